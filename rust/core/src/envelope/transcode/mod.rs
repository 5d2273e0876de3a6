//! One value from one format into the other, for the rare link whose two sides differ.
//!
//! msgpack says more than JSON. Binary becomes a base64 string, a whole-number key its decimal digits
//! and a timestamp RFC 3339 (as msgspec does, so schemas agree); JSON in an extension of type 1 is put
//! in as it stands. NaN, infinities, other extensions and other keys are refused.

pub(super) mod to_json;
mod to_msgpack;

use super::decode::check;
use super::event::Format;
use super::limits::Limits;
use super::malformed::Malformed;

/// Say one value in another format. The same format copies it, validated.
///
/// # Errors
/// [`Malformed`] if *raw* is not one well-formed value, or has no form in *target*.
pub fn transcode(
    raw: &[u8],
    source: Format,
    target: Format,
    limits: &Limits,
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 4);
    match (source, target) {
        (Format::Json, Format::Msgpack) => to_msgpack::append(&mut out, raw, limits)?,
        (Format::Msgpack, Format::Json) => to_json::append(&mut out, raw, limits)?,
        _ => {
            check(raw, source, limits)?;
            out.extend_from_slice(raw);
        }
    }
    Ok(out)
}
