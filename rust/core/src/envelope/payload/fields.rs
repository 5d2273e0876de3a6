//! Which fields of one map have been seen, so that none comes twice.

use std::borrow::Cow;
use std::collections::HashSet;

use super::super::malformed::{InField, Malformed, quoted};
use super::super::reader::{Read, Reader};
use super::super::text::Text;

/// Visit every key of the map that stands here, as it is spelled without escapes and as it came.
#[inline(always)]
pub(crate) fn each_key<'a, R: Reader<'a>>(
    reader: &mut R,
    map_name: &'static str,
    visit: impl FnMut(&mut R, &[u8], Text<'a>) -> Read<()>,
) -> Read<()> {
    let map = reader.enter_map().in_field(map_name)?;
    rest_of_keys(reader, map, map_name, visit)
}

/// As `each_key`, for a map of which the reader is in the middle.
#[inline(always)]
pub(crate) fn rest_of_keys<'a, R: Reader<'a>>(
    reader: &mut R,
    mut map: R::Map,
    map_name: &'static str,
    mut visit: impl FnMut(&mut R, &[u8], Text<'a>) -> Read<()>,
) -> Read<()> {
    while let Some(key) = reader.next_key(&mut map).in_field(map_name)? {
        let resolved;
        let name = if let Some(name) = key.plain() {
            name
        } else {
            resolved = key.to_str().into_owned();
            resolved.as_bytes()
        };
        visit(reader, name, key)?;
    }
    Ok(())
}

/// The older dialect's `payload.requestId`, and where it stands.
pub(crate) type OlderId<'a> = (usize, Text<'a>);

/// The first bit; those of a map's own fields are above it.
pub(crate) const REQUEST_ID: u32 = 1;

/// A field that comes twice is refused: two readers could believe two different things.
pub(crate) struct Fields<'a> {
    parent: &'static str,
    seen: u32,
    /// Made when the first unknown field comes, which is rare; a hash set, because how many come is
    /// the peer's choice.
    unknown: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Fields<'a> {
    #[inline]
    pub(crate) fn new(parent: &'static str) -> Self {
        Self {
            parent,
            seen: 0,
            unknown: None,
        }
    }

    /// Note a known field, whose key was read last; refuse it the second time.
    #[inline(always)]
    pub(crate) fn once<R: Reader<'a>>(
        &mut self,
        bit: u32,
        reader: &R,
        name: &'static str,
    ) -> Read<()> {
        if self.seen & bit != 0 {
            return Err(twice(reader.key_offset(), name));
        }
        self.seen |= bit;
        Ok(())
    }

    /// Note fields that were read without being looked at one by one.
    #[inline]
    pub(crate) fn assume(&mut self, bits: u32) {
        self.seen |= bits;
    }

    #[inline]
    pub(crate) fn has(&self, bit: u32) -> bool {
        self.seen & bit != 0
    }

    /// A field that is none of a payload's own: the older id, or one that nobody knows.
    #[cold]
    pub(crate) fn other<R: Reader<'a>>(
        &mut self,
        reader: &mut R,
        name: &[u8],
        key: Text<'a>,
        older: &mut Option<OlderId<'a>>,
    ) -> Read<()> {
        if name == b"requestId" {
            self.once(REQUEST_ID, reader, "payload.requestId")?;
            *older = Some(older_id(reader)?);
            return Ok(());
        }
        self.skip(reader, key)
    }

    /// Check and drop the value of a field that nobody knows; refuse it the second time.
    #[cold]
    pub(crate) fn skip<R: Reader<'a>>(&mut self, reader: &mut R, key: Text<'a>) -> Read<()> {
        let at = reader.key_offset();
        let key = key.to_str();
        reader.raw().in_unknown_field(self.parent, &key)?;
        let known = self.unknown.get_or_insert_default();
        if known.contains(&key) {
            return Err(twice(at, &format!("{}{}", self.parent, quoted(&key))));
        }
        known.insert(key);
        Ok(())
    }
}

#[cold]
fn twice(at: usize, name: &str) -> Malformed {
    Malformed::new(at, format!("{name}: comes twice"))
}

#[cold]
pub(crate) fn older_id<'a, R: Reader<'a>>(reader: &mut R) -> Read<OlderId<'a>> {
    let offset = reader.value_offset();
    Ok((offset, reader.string().in_field("payload.requestId")?))
}

/// A field that may be null instead of being left out.
#[inline(always)]
pub(super) fn optional<'a, R: Reader<'a>, T>(
    reader: &mut R,
    name: &'static str,
    read: impl FnOnce(&mut R) -> Read<T>,
) -> Read<Option<T>> {
    if reader.take_null().in_field(name)? {
        return Ok(None);
    }
    read(reader).map(Some).in_field(name)
}
