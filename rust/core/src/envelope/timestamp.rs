//! The msgpack timestamp extension, as RFC 3339 text in UTC.

/// Its extension type.
pub(crate) const EXTENSION: i8 = -1;

/// `1970-01-01T00:00:00Z` and so on, with a fraction only if there is one; nothing if the content is
/// not a timestamp, or if its year does not have four digits.
pub(crate) fn rfc3339(content: &[u8]) -> Option<String> {
    let (seconds, nanos) = read(content)?;
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    if nanos > 999_999_999 || !(0..=9999).contains(&year) {
        return None;
    }
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos > 0 {
        let fraction = format!(".{nanos:09}");
        // Microseconds are what most readers can hold: say no more digits than there are.
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    Some(text)
}

/// The three layouts of the specification: 32, 64 and 96 bits.
fn read(content: &[u8]) -> Option<(i64, u32)> {
    match content.len() {
        4 => Some((i64::from(u32::from_be_bytes(content.try_into().ok()?)), 0)),
        8 => {
            let both = u64::from_be_bytes(content.try_into().ok()?);
            let nanos = u32::try_from(both >> 34).ok()?;
            Some(((both & ((1 << 34) - 1)).cast_signed(), nanos))
        }
        12 => {
            let (nanos, seconds) = content.split_at(4);
            Some((
                i64::from_be_bytes(seconds.try_into().ok()?),
                u32::from_be_bytes(nanos.try_into().ok()?),
            ))
        }
        _ => None,
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the proleptic Gregorian calendar.
///
/// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the leap
/// day is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}
