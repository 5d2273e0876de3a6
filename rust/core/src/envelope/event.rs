//! What one envelope says, borrowed from its bytes.

use super::text::Text;

/// How the bytes of an envelope or of a raw value are encoded. A word wide: see [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Format {
    /// RFC 8259, UTF-8.
    Json,
    /// The msgpack specification of 2017, with `bin`, `str8` and `ext`.
    Msgpack,
}

impl Format {
    /// The name used in Python and in error messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Msgpack => "msgpack",
        }
    }

    /// A map with nothing in it.
    #[must_use]
    pub const fn empty_map(self) -> Raw<'static> {
        let bytes: &[u8] = match self {
            Self::Json => b"{}",
            Self::Msgpack => &[0x80],
        };
        Raw {
            bytes,
            format: self,
        }
    }

    /// The value that stands for nothing.
    #[must_use]
    pub const fn null(self) -> Raw<'static> {
        let bytes: &[u8] = match self {
            Self::Json => b"null",
            Self::Msgpack => &[0xc0],
        };
        Raw {
            bytes,
            format: self,
        }
    }
}

/// The bytes of exactly one value, which nobody has decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The value as it stands on the wire.
    pub bytes: &'a [u8],
    /// How it is encoded; in a msgpack envelope this may be [`Format::Json`].
    pub format: Format,
}

/// One envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The call (or ping) that this belongs to.
    pub id: Text<'a>,
    /// What is said.
    pub body: Body<'a>,
}

impl Event<'_> {
    /// A place for [`super::decode`] to put an event.
    pub const NONE: Event<'static> = Event {
        id: Text::EMPTY,
        body: Body::Completed,
    };
}

/// What is said, by `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// `call.requested`: please carry out an operation.
    Requested(Requested<'a>),
    /// `call.responded`: the answer, or one item of a subscription.
    Responded {
        /// The answer.
        output: Raw<'a>,
    },
    /// `call.completed`: no more answers will come.
    Completed,
    /// `call.aborted`: one side ended the call on purpose.
    Aborted,
    /// `call.error`: there is no answer, and this is why.
    Failed(Failed<'a>),
    /// `call.credit`: so many more items may be sent.
    Credit {
        /// Added to what was allowed before.
        items: u64,
    },
    /// `call.item`: one item of an upload.
    Item {
        /// The item.
        item: Raw<'a>,
    },
    /// `call.finished`: the caller will send no more items.
    Finished,
    /// `link.ping`: are you there?
    Ping,
    /// `link.pong`: I am.
    Pong,
    /// A type that this version does not know; its payload was checked and dropped.
    Unknown {
        /// The type.
        kind: Text<'a>,
    },
}

/// `call.requested`. All raw fields are in the format of `input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested<'a> {
    /// `/{node}/{service}/{operation}`.
    pub operation: Text<'a>,
    /// The argument; an empty map if the peer sent none.
    pub input: Raw<'a>,
    /// When the caller stops waiting, in Unix milliseconds.
    pub deadline_ms: Option<u64>,
    /// The call on whose behalf this one is made.
    pub parent_id: Option<Text<'a>>,
    /// Who calls, if not the owner of the connection.
    pub auth_token: Option<Text<'a>>,
    /// For whom a head forwards; a claim, not an authority.
    pub forwarded_for: Option<Raw<'a>>,
    /// Whatever the caller attached.
    pub metadata: Option<Raw<'a>>,
    /// How many items may be sent before the first credit.
    pub window: Option<u64>,
    /// Older dialect: the longest silence between two items, in milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// W3C Trace Context, version 00.
    pub traceparent: Option<Text<'a>>,
    /// How many heads this call has passed.
    pub hops: Option<u64>,
}

impl<'a> Requested<'a> {
    /// A request with nothing but what it must have.
    #[must_use]
    pub const fn new(operation: Text<'a>, input: Raw<'a>) -> Self {
        Self {
            operation,
            input,
            deadline_ms: None,
            parent_id: None,
            auth_token: None,
            forwarded_for: None,
            metadata: None,
            window: None,
            idle_timeout_ms: None,
            traceparent: None,
            hops: None,
        }
    }
}

/// `call.error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed<'a> {
    /// What a program branches on, such as `NOT_FOUND`.
    pub code: Text<'a>,
    /// What a person reads.
    pub message: Text<'a>,
    /// The same request may succeed later.
    pub retryable: bool,
    /// More for the program.
    pub details: Option<Raw<'a>>,
}
