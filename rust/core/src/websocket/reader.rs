//! The receiving half: bytes in, whole messages and control frames out.

use super::Role;
use super::close::Fault;
use super::header::{Header, LONGEST_BYTES, LONGEST_CONTROL_BYTES, Opcode};
use super::mask::Mask;

/// What a message holds.
#[derive(Debug)]
pub enum Payload<'a> {
    /// It lay whole in what was read, masked perhaps.
    Lent(&'a [u8], Option<[u8; 4]>),
    /// It had to be put together.
    Joined(Vec<u8>),
}

impl Payload<'_> {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Lent(bytes, _) => bytes.len(),
            Self::Joined(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Write it to *out*, which is as long.
    pub fn write(&self, out: &mut [u8]) {
        match self {
            Self::Lent(bytes, mask) => {
                out.copy_from_slice(bytes);
                if let Some(key) = mask {
                    Mask(*key).apply(out);
                }
            }
            Self::Joined(bytes) => out.copy_from_slice(bytes),
        }
    }
}

/// What one frame, or a part of one, comes to.
#[derive(Debug)]
pub(super) enum Read<'a> {
    /// A message is whole; text is not checked yet.
    Message { is_text: bool, payload: Payload<'a> },
    /// A control frame.
    Control(Opcode, Vec<u8>),
    /// A fragment, or a part of a frame: there may be more.
    Part,
    /// All that was given is used up.
    Nothing,
}

/// A frame whose payload has not all come.
#[derive(Debug)]
struct Open {
    header: Header,
    missing: usize,
}

/// Cuts a stream into frames, and joins the fragments of a message.
#[derive(Debug)]
pub(super) struct Reader {
    role: Role,
    message_bytes: usize,
    /// The beginning of a header whose end has not come.
    head: Vec<u8>,
    open: Option<Open>,
    control: Vec<u8>,
    /// The message whose fragments come, and whether it is text.
    message: Vec<u8>,
    is_text: Option<bool>,
}

impl Reader {
    pub(super) fn new(role: Role, message_bytes: usize) -> Self {
        Self {
            role,
            message_bytes,
            head: Vec::with_capacity(LONGEST_BYTES),
            open: None,
            control: Vec::new(),
            message: Vec::new(),
            is_text: None,
        }
    }

    /// Bytes of a message, or of a frame, whose end has not come.
    pub(super) fn buffered(&self) -> usize {
        self.head.len() + self.control.len() + self.message.len()
    }

    /// Read from *data* what is one frame at most, and take that off it.
    pub(super) fn read<'d>(&mut self, data: &mut &'d [u8]) -> Result<Read<'d>, Fault> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => match self.header(data)? {
                Some(header) => self.begin(header)?,
                None => return Ok(Read::Nothing),
            },
        };
        let whole = open.missing;
        let (bytes, rest) = data.split_at(whole.min(data.len()));
        *data = rest;
        open.missing -= bytes.len();
        let header = open.header;
        let is_new = whole as u64 == header.length;
        if header.opcode.is_control() {
            join(&mut self.control, bytes, header.mask, whole);
        } else if header.is_last && is_new && open.missing == 0 && self.message.is_empty() {
            let is_text = self.is_text.take() == Some(true);
            let payload = Payload::Lent(bytes, header.mask.map(|Mask(key)| key));
            return Ok(Read::Message { is_text, payload });
        } else {
            join(&mut self.message, bytes, header.mask, whole);
        }
        if open.missing > 0 {
            open.header.mask = header.mask.map(|mask| mask.after(bytes.len()));
            self.open = Some(open);
            return Ok(Read::Nothing);
        }
        Ok(if header.opcode.is_control() {
            Read::Control(header.opcode, std::mem::take(&mut self.control))
        } else if header.is_last {
            Read::Message {
                is_text: self.is_text.take() == Some(true),
                payload: Payload::Joined(std::mem::take(&mut self.message)),
            }
        } else {
            Read::Part
        })
    }

    /// The next header, if it is all there; what there is of it is kept.
    fn header(&mut self, data: &mut &[u8]) -> Result<Option<Header>, Fault> {
        if self.head.is_empty() {
            if let Some((header, length)) = Header::parse(data, self.role)? {
                *data = &data[length..];
                return Ok(Some(header));
            }
            self.head.extend_from_slice(data);
            *data = &[];
            return Ok(None);
        }
        let kept = self.head.len();
        let more = (LONGEST_BYTES - kept).min(data.len());
        self.head.extend_from_slice(&data[..more]);
        let parsed = Header::parse(&self.head, self.role)?;
        let used = parsed.map_or(more, |(_, length)| length - kept);
        *data = &data[used..];
        if parsed.is_some() {
            self.head.clear();
        }
        Ok(parsed.map(|(header, _)| header))
    }

    /// Judge what a frame is in the light of those before it.
    fn begin(&mut self, header: Header) -> Result<Open, Fault> {
        let limit = match header.opcode {
            Opcode::Continuation if self.is_text.is_none() => {
                return Err(Fault::Protocol("a fragment of no message"));
            }
            Opcode::Text | Opcode::Binary if self.is_text.is_some() => {
                return Err(Fault::Protocol("a message within the fragments of another"));
            }
            Opcode::Text | Opcode::Binary => {
                self.is_text = Some(header.opcode == Opcode::Text);
                self.message_bytes
            }
            Opcode::Continuation => self.message_bytes,
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                LONGEST_CONTROL_BYTES + self.message.len()
            }
        };
        let size = header.length.saturating_add(self.message.len() as u64);
        match usize::try_from(header.length) {
            Ok(missing) if size <= limit as u64 => Ok(Open { header, missing }),
            _ => Err(Fault::TooLarge { size, limit }),
        }
    }
}

/// Append *bytes*, unmasked, to *buffer*, which is to have *missing* bytes more.
fn join(buffer: &mut Vec<u8>, bytes: &[u8], mask: Option<Mask>, missing: usize) {
    let (start, wanted) = (buffer.len(), buffer.len() + bytes.len());
    if wanted > buffer.capacity() {
        // A length that is only announced takes no memory: the buffer doubles as bytes arrive, so
        // that many small reads stay linear, and not beyond the frame.
        let capacity = (2 * buffer.capacity()).clamp(wanted, (start + missing).max(wanted));
        buffer.reserve_exact(capacity - start);
    }
    buffer.extend_from_slice(bytes);
    if let Some(mask) = mask {
        mask.apply(&mut buffer[start..]);
    }
}
