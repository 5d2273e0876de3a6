//! What the header decoder asks of a format. Two formats, one decoder: see `json` and `msgpack`.

use super::event::{Format, Raw};
use super::kind::Kind;
use super::malformed::Malformed;
use super::text::Text;

pub(crate) type Read<T> = Result<T, Malformed>;

/// A position in the bytes of one envelope.
///
/// Where a value is expected and something else stands there, the offset of the error is that of
/// what stands there.
pub(crate) trait Reader<'a> {
    /// What is left to say about a map that is being read.
    type Map;

    const FORMAT: Format;

    /// Where the next value begins.
    fn value_offset(&mut self) -> usize;
    /// Go back (or forth) to the value at *offset*, as `value_offset` told it.
    fn seek(&mut self, offset: usize);
    /// Step over the beginning that nearly every envelope has, `type` first and then the key `id`,
    /// if it stands here to the letter; the rest of the map follows the id.
    fn usual_start(&mut self) -> Option<(Kind, Self::Map)>;
    /// Begin a map; anything else is refused.
    fn enter_map(&mut self) -> Read<Self::Map>;
    /// The next key, or nothing at the end of the map.
    fn next_key(&mut self, map: &mut Self::Map) -> Read<Option<Text<'a>>>;
    /// Where the key that was read last begins.
    fn key_offset(&self) -> usize;
    /// Step over a null if one stands here.
    fn take_null(&mut self) -> Read<bool>;
    fn string(&mut self) -> Read<Text<'a>>;
    fn unsigned(&mut self) -> Read<u64>;
    fn boolean(&mut self) -> Read<bool>;
    /// Validate one value and return its bytes.
    fn raw(&mut self) -> Read<Raw<'a>>;
    /// Validate the payload, which is one level above the raw values inside it.
    fn pass_payload(&mut self) -> Read<()>;
    /// Refuse anything that follows the value.
    fn finish(&mut self) -> Read<()>;
}
