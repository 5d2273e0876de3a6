//! The value of `type`.

/// The types that this version knows, and the one for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Requested,
    Responded,
    Completed,
    Aborted,
    Failed,
    Credit,
    Item,
    Finished,
    Ping,
    Pong,
    Unknown,
}

impl Kind {
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"call.requested" => Self::Requested,
            b"call.responded" => Self::Responded,
            b"call.completed" => Self::Completed,
            b"call.aborted" => Self::Aborted,
            b"call.error" => Self::Failed,
            b"call.credit" => Self::Credit,
            b"call.item" => Self::Item,
            b"call.finished" => Self::Finished,
            b"link.ping" => Self::Ping,
            b"link.pong" => Self::Pong,
            _ => Self::Unknown,
        }
    }
}
