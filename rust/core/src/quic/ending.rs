//! Why a connection is gone.

use std::fmt;

use quinn_proto::{ConnectionError, TransportErrorCode};

use crate::tls::{Fault, ServerTrust};

/// Why there is no connection, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The handshake failed for what was shown, or was not.
    Tls(Fault),
    /// The peer has closed it, with a code (0 is in good order) and perhaps a reason.
    Closed {
        /// The application's code (RFC 9000, section 20.2).
        code: u64,
        /// The peer's words.
        reason: String,
    },
    /// The far end takes no more connections now.
    Refused,
    /// Nothing was heard of the peer for as long as it may be silent.
    Silent,
    /// The far end knows nothing of the connection: it was started anew.
    Forgotten,
    /// One of the two broke the protocol.
    Broken(String),
    /// The library panicked over it.
    Panicked,
}

/// The alerts of TLS (RFC 8446, section 6) as QUIC carries them (RFC 9001, section 4.8).
const ACCESS_DENIED: u8 = 49;
const NO_APPLICATION_PROTOCOL: u8 = 120;

impl Ending {
    /// What *error* means, for the end that judged its peer by *trust*.
    pub(super) fn of(error: &ConnectionError, trust: Option<&ServerTrust>) -> Self {
        if let Some(fault) = trust.and_then(|trust| trust.refused.get()) {
            return Self::Tls(fault.clone());
        }
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Closed {
                code: close.error_code.into_inner(),
                reason: words(&close.reason),
            },
            ConnectionError::ConnectionClosed(close) => match close.error_code {
                TransportErrorCode::CONNECTION_REFUSED => Self::Refused,
                code if code == TransportErrorCode::crypto(ACCESS_DENIED) => {
                    Self::Tls(Fault::NoCertificate)
                }
                code if code == TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL) => Self::Tls(
                    Fault::Broken("it speaks another protocol above QUIC".into()),
                ),
                code => Self::Broken(format!("the peer says: {code} {}", words(&close.reason))),
            },
            ConnectionError::TimedOut => Self::Silent,
            ConnectionError::Reset => Self::Forgotten,
            other => Self::Broken(other.to_string()),
        }
    }
}

/// The peer's own words, as far as a log can bear them.
fn words(reason: &[u8]) -> String {
    const LONGEST: usize = 500;
    String::from_utf8_lossy(reason)
        .chars()
        .filter(|each| !each.is_control())
        .take(LONGEST)
        .collect()
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(fault) => fault.fmt(out),
            Self::Closed { code: 0, reason } if reason.is_empty() => {
                out.write_str("the far end has closed it")
            }
            Self::Closed { reason, .. } if !reason.is_empty() => {
                write!(out, "the far end has closed it: {reason}")
            }
            Self::Closed { code, .. } => write!(out, "the far end has closed it with code {code}"),
            Self::Refused => out.write_str("the far end takes no more connections now"),
            Self::Silent => out.write_str("nothing was heard of the far end for too long"),
            Self::Forgotten => {
                out.write_str("the far end knows nothing of it: it was started anew")
            }
            Self::Broken(why) => out.write_str(why.trim_end()),
            Self::Panicked => out.write_str("a fault in our QUIC; stderr says where"),
        }
    }
}
