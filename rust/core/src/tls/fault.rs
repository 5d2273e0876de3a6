//! Why there is no TLS session, sorted by what can be done about it.

use std::fmt;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError};

/// Why there is no TLS session, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A certificate, a key or a name that was given to us cannot be used.
    Given(String),
    /// The peer shows a certificate that we do not trust.
    Untrusted(String),
    /// The server has no certificate to show, as a node has none while its vault is locked.
    NoCertificate,
    /// The peer breaks the protocol, or says that we do.
    Broken(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(why) | Self::Untrusted(why) | Self::Broken(why) => out.write_str(why),
            Self::NoCertificate => out.write_str(
                "the node has no certificate to show: its vault is locked, or it has no seed",
            ),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::AlertReceived(AlertDescription::AccessDenied) => Self::NoCertificate,
            Error::InvalidCertificate(CertificateError::Other(OtherError(ref why))) => {
                let why: &dyn std::error::Error = &**why;
                why.downcast_ref::<Self>()
                    .cloned()
                    .unwrap_or_else(|| Self::Untrusted(why.to_string()))
            }
            Error::InvalidCertificate(why) => Self::Untrusted(why.to_string()),
            Error::General(why) => Self::Given(why),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<Fault> for Error {
    /// Carry *fault* through the library, out of a verifier of ours.
    fn from(fault: Fault) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
    }
}
