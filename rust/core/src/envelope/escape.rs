//! What the escapes of a JSON string stand for (RFC 8259, section 7).

/// The text that a validated string with escapes stands for.
pub(super) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let letter = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        text.push(match letter {
            b'u' => {
                let (character, after) = code_point(rest);
                rest = after;
                character
            }
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            other => char::from(other),
        });
    }
    text.push_str(rest);
    text
}

/// The character of four digits, or of a pair of surrogates, and what follows it.
fn code_point(rest: &str) -> (char, &str) {
    let unit = |from: usize| u16::from_str_radix(&rest[from..from + 4], 16).unwrap_or(0xfffd);
    let units = [
        unit(0),
        if rest.len() >= 10 {
            unit_after(rest)
        } else {
            0
        },
    ];
    let character = char::decode_utf16(units).next();
    match character {
        Some(Ok(character)) => (
            character,
            &rest[if character > '\u{ffff}' { 10 } else { 4 }..],
        ),
        _ => (char::REPLACEMENT_CHARACTER, &rest[4..]),
    }
}

/// The second half of a pair, if `\u` and four digits follow the first.
fn unit_after(rest: &str) -> u16 {
    rest.get(4..10)
        .and_then(|second| second.strip_prefix("\\u"))
        .and_then(|digits| u16::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}
