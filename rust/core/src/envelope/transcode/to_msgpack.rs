//! A JSON value in msgpack.

use super::super::json::{self, Number};
use super::super::limits::Limits;
use super::super::reader::{Read, Reader};
use super::super::text::Text;
use super::super::writer::{Msgpack, Writer};

/// Append the JSON value *raw* to *out* as msgpack.
pub(super) fn append(out: &mut Vec<u8>, raw: &[u8], limits: &Limits) -> Read<()> {
    // msgpack wants the number of items before the first: count them all in a first walk, which
    // validates too, and say them in a second.
    let mut counts = Vec::new();
    let mut scanner = json::Scanner::new(raw, limits);
    scanner.count(&mut counts, limits.depth)?;
    scanner.finish()?;
    let mut again = json::Scanner::new(raw, limits);
    again.say_as_msgpack(out, &mut counts.into_iter())
}

/// What comes next in a map or an array; its value follows.
enum Entry<'a> {
    Key(Text<'a>),
    Item,
}

impl<'a> json::Scanner<'a> {
    /// Note how many items each map and array has, in the order in which they open.
    fn count(&mut self, counts: &mut Vec<usize>, levels: usize) -> Read<()> {
        self.space();
        let Some(open @ (b'{' | b'[')) = self.peek() else {
            return self.value(levels);
        };
        let levels = self.deeper(levels)?;
        let slot = counts.len();
        counts.push(0);
        let mut first = true;
        while self.next_entry(open, &mut first)?.is_some() {
            counts[slot] += 1;
            self.count(counts, levels)?;
        }
        Ok(())
    }

    /// The next item of an array, or the next key of a map.
    fn next_entry(&mut self, open: u8, first: &mut bool) -> Read<Option<Entry<'a>>> {
        if open == b'{' {
            Ok(self.key(first)?.map(Entry::Key))
        } else {
            Ok(self.next_item(first)?.then_some(Entry::Item))
        }
    }

    fn say_as_msgpack(
        &mut self,
        out: &mut Vec<u8>,
        counts: &mut impl Iterator<Item = usize>,
    ) -> Read<()> {
        self.space();
        match self.peek() {
            Some(open @ (b'{' | b'[')) => {
                self.step();
                let count = counts.next().unwrap_or(0);
                if open == b'{' {
                    Msgpack(out).open_map(count);
                } else {
                    Msgpack(out).array(count);
                }
                let mut first = true;
                while let Some(entry) = self.next_entry(open, &mut first)? {
                    if let Entry::Key(key) = entry {
                        Msgpack(out).string(&key.bytes());
                    }
                    self.say_as_msgpack(out, counts)?;
                }
            }
            Some(b'"') => Msgpack(out).string(&self.string()?.bytes()),
            Some(b't' | b'f') => {
                let value = self.boolean()?;
                Msgpack(out).boolean(value);
            }
            Some(b'n') => {
                self.take_null()?;
                Msgpack(out).nil();
            }
            _ => match self.any_number()? {
                Number::Unsigned(value) => Msgpack(out).unsigned(value),
                // "-0" is an integer for JSON, and msgpack has one zero.
                Number::Negative(0) => Msgpack(out).unsigned(0),
                Number::Negative(value) => Msgpack(out).negative(value),
                Number::Float(value) => Msgpack(out).float(value),
            },
        }
        Ok(())
    }
}
