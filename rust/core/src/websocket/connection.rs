//! One end of a connection that is open: what is read, what is answered by itself, how it ends.

use super::Role;
use super::close::{Close, Fault};
use super::header::{Header, LONGEST_BYTES, LONGEST_CONTROL_BYTES, Opcode};
use super::mask::Mask;
use super::reader::{Payload, Read, Reader};
use crate::random::{self, NoRandomness};

/// What a frame of the peer's comes to.
#[derive(Debug)]
pub enum Step<'a> {
    /// A whole message.
    Message {
        /// Whether it is text, which is UTF-8 then.
        is_text: bool,
        /// What it holds.
        payload: Payload<'a>,
    },
    /// The answer to a ping of ours, or one that nobody has asked for.
    Pong(Vec<u8>),
    /// A frame that is no message, or not yet: go on.
    Part,
    /// All that was given is used up, or the connection has ended.
    Nothing,
}

/// One end of a WebSocket.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    reader: Reader,
    /// What must be sent that nobody has asked for: pongs and the farewell.
    unsent: Vec<u8>,
    received: Option<Close>,
    sent: Option<Close>,
    fault: Option<Fault>,
}

impl Connection {
    /// An end that takes messages of *`message_bytes`* at most.
    #[must_use]
    pub fn new(role: Role, message_bytes: usize) -> Self {
        Self {
            role,
            reader: Reader::new(role, message_bytes),
            unsent: Vec::new(),
            received: None,
            sent: None,
            fault: None,
        }
    }

    /// Whether neither end has said farewell.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.received.is_none() && self.sent.is_none()
    }

    /// The peer's farewell.
    #[must_use]
    pub fn received(&self) -> Option<&Close> {
        self.received.as_ref()
    }

    /// This end's farewell.
    #[must_use]
    pub fn sent(&self) -> Option<&Close> {
        self.sent.as_ref()
    }

    /// Bytes of a message, or of a frame, whose end has not come.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.reader.buffered()
    }

    /// Read from *data* what is one frame at most, and take that off it.
    ///
    /// What the peer does wrong ends the connection, with a farewell that says so. After a farewell
    /// of the peer's nothing is read; after one of ours, only the peer's.
    ///
    /// # Errors
    /// There is no randomness to answer with.
    pub fn read<'d>(&mut self, data: &mut &'d [u8]) -> Result<Step<'d>, NoRandomness> {
        if self.received.is_some() || self.fault.is_some() {
            *data = &[];
            return Ok(Step::Nothing);
        }
        match self.reader.read(data).and_then(checked) {
            Ok(Read::Message { is_text, payload }) => Ok(Step::Message { is_text, payload }),
            Ok(Read::Control(Opcode::Pong, payload)) => Ok(Step::Pong(payload)),
            Ok(Read::Control(Opcode::Ping, payload)) => {
                if self.is_open() {
                    self.control(Opcode::Pong, &payload)?;
                }
                Ok(Step::Part)
            }
            Ok(Read::Control(_, payload)) => {
                match Close::parse(&payload) {
                    Ok(close) => {
                        if self.sent.is_none() {
                            let code = close.code;
                            let reason = String::new();
                            self.say_farewell(Close { code, reason })?;
                        }
                        self.received = Some(close);
                    }
                    Err(fault) => self.break_off(fault)?,
                }
                Ok(Step::Part)
            }
            Ok(Read::Part) => Ok(Step::Part),
            Ok(Read::Nothing) => Ok(Step::Nothing),
            Err(fault) => {
                self.break_off(fault)?;
                *data = &[];
                Ok(Step::Nothing)
            }
        }
    }

    fn break_off(&mut self, fault: Fault) -> Result<(), NoRandomness> {
        self.fault = Some(fault);
        self.close(fault.close())
    }

    /// Say farewell, unless that was done.
    ///
    /// # Errors
    /// There is no randomness to mask with.
    pub fn close(&mut self, close: Close) -> Result<(), NoRandomness> {
        if self.is_open() {
            self.say_farewell(close)?;
        }
        Ok(())
    }

    fn say_farewell(&mut self, close: Close) -> Result<(), NoRandomness> {
        self.control(Opcode::Close, &close.payload())?;
        self.sent = Some(close);
        Ok(())
    }

    /// Ask whether the peer is there, with a *payload* that its answer repeats, of 125 bytes at most.
    ///
    /// # Errors
    /// There is no randomness to mask with.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), NoRandomness> {
        self.control(
            Opcode::Ping,
            &payload[..payload.len().min(LONGEST_CONTROL_BYTES)],
        )
    }

    /// What must be sent beside the messages.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unsent)
    }

    /// Append the frame of a whole message to *out*.
    ///
    /// # Errors
    /// There is no randomness to mask with.
    pub fn write(
        &self,
        is_text: bool,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoRandomness> {
        out.reserve(LONGEST_BYTES + payload.len());
        self.frame(message(is_text), payload, out)
    }

    /// The header of a whole message whose *length* bytes follow as they are; none for a client,
    /// which masks them.
    #[must_use]
    pub fn header(&self, is_text: bool, length: usize) -> Option<Vec<u8>> {
        (self.role == Role::Server).then(|| {
            let mut header = Vec::with_capacity(LONGEST_BYTES);
            Header::write(message(is_text), length, None, &mut header);
            header
        })
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), NoRandomness> {
        let mut unsent = std::mem::take(&mut self.unsent);
        let outcome = self.frame(opcode, payload, &mut unsent);
        self.unsent = unsent;
        outcome
    }

    fn frame(&self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) -> Result<(), NoRandomness> {
        let mask = self.mask()?;
        Header::write(opcode, payload.len(), mask, out);
        let start = out.len();
        out.extend_from_slice(payload);
        if let Some(mask) = mask {
            mask.apply(&mut out[start..]);
        }
        Ok(())
    }

    /// A key that cannot be foreseen from outside (RFC 6455, section 10.3). That a forked child has
    /// the same harms nobody: what it is to prevent, a page that chooses the bytes on the wire, is
    /// not what runs here.
    fn mask(&self) -> Result<Option<Mask>, NoRandomness> {
        match self.role {
            Role::Client => random::may_repeat().map(|key| Some(Mask(key))),
            Role::Server => Ok(None),
        }
    }
}

/// Text is judged as a whole, when it is whole.
fn checked(read: Read<'_>) -> Result<Read<'_>, Fault> {
    match read {
        Read::Message {
            is_text: true,
            payload,
        } => {
            let payload = match payload {
                Payload::Lent(bytes, Some(key)) => {
                    let mut plain = bytes.to_vec();
                    Mask(key).apply(&mut plain);
                    Payload::Joined(plain)
                }
                other => other,
            };
            let bytes = match &payload {
                Payload::Lent(bytes, _) => bytes,
                Payload::Joined(bytes) => bytes.as_slice(),
            };
            simdutf8::basic::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
            Ok(Read::Message {
                is_text: true,
                payload,
            })
        }
        other => Ok(other),
    }
}

fn message(is_text: bool) -> Opcode {
    if is_text {
        Opcode::Text
    } else {
        Opcode::Binary
    }
}
