//! The 1024 words of SLIP-0039 (satoshilabs/slips `slip-0039/wordlist.txt`), sorted.

use std::sync::LazyLock;

use zeroize::Zeroizing;

/// No word of the list is longer, and none shorter than [`PREFIX`] (SLIP-0039, "Wordlist").
pub(super) const LONGEST_WORD: usize = 8;
/// So many letters tell any two words apart.
const PREFIX: usize = 4;
/// Words with more slips in them are not guessed at.
const MOST_SLIPS: usize = 2;

static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("wordlist.txt").lines().collect());

/// The word of *index*, below 1024.
pub(super) fn word(index: u16) -> &'static str {
    WORDS[usize::from(index) % WORDS.len()]
}

/// Where *word* stands in the list; capitals do not matter.
pub(super) fn find(word: &str) -> Option<u16> {
    let lower = lower(word)?;
    let index = WORDS.binary_search_by(|each| each.as_bytes().cmp(&lower[..word.len()]));
    index.ok().and_then(|index| u16::try_from(index).ok())
}

/// The word of the list that *word* was most likely meant to be, for the eyes of who typed it.
///
/// None where it is in the list itself, and where two slips and fewer lead to no word, or to several
/// alike.
#[must_use]
pub fn nearest(word: &str) -> Option<&'static str> {
    let typed = lower(word)?;
    if find(word).is_some() {
        return None;
    }
    let typed = &typed[..word.len()];
    let slips = |each: &&'static str| distance(typed, each.as_bytes());
    let best = WORDS.iter().min_by_key(|each| slips(each))?;
    let fewest = slips(best);
    if fewest <= MOST_SLIPS && WORDS.iter().filter(|each| slips(each) == fewest).count() == 1 {
        return Some(best);
    }
    let begins = |each: &&&'static str| typed.get(..PREFIX) == Some(&each.as_bytes()[..PREFIX]);
    WORDS.iter().find(begins).copied()
}

fn lower(word: &str) -> Option<Zeroizing<[u8; LONGEST_WORD + MOST_SLIPS]>> {
    let mut lower = Zeroizing::new([0; LONGEST_WORD + MOST_SLIPS]);
    let letters = lower.get_mut(..word.len()).filter(|_| word.is_ascii())?;
    letters.copy_from_slice(word.as_bytes());
    letters.make_ascii_lowercase();
    Some(lower)
}

/// How many letters are left out, put in, exchanged or swapped with the next (restricted
/// Damerau-Levenshtein) between two short words.
fn distance(one: &[u8], other: &[u8]) -> usize {
    const ROOM: usize = LONGEST_WORD + MOST_SLIPS + 1;
    let mut cost = [[0; ROOM]; ROOM];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            cost[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = usize::from(one[i - 1] != other[j - 1]);
                let mut least = (cost[i - 1][j - 1] + changed)
                    .min(cost[i - 1][j] + 1)
                    .min(cost[i][j - 1] + 1);
                let is_swapped =
                    i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
                if is_swapped {
                    least = least.min(cost[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    cost[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_what_the_standard_promises() {
        assert_eq!(WORDS.len(), 1024);
        assert!(WORDS.is_sorted());
        assert!(
            WORDS
                .iter()
                .all(|word| (PREFIX..=LONGEST_WORD).contains(&word.len()))
        );
        let mut beginnings: Vec<_> = WORDS.iter().map(|word| &word[..PREFIX]).collect();
        beginnings.dedup();
        assert_eq!(beginnings.len(), 1024);
        for (index, word) in (0..).zip(WORDS.iter()) {
            assert_eq!(find(&word.to_uppercase()), Some(index));
        }
    }

    #[test]
    fn a_slip_is_near_one_word_or_none() {
        for (typed, meant) in [
            ("acadmic", Some("academic")),
            ("shaodw", Some("shadow")),
            ("PISTOLL", Some("pistol")),
            ("duckl", Some("duckling")),
            ("academic", None),
            ("qqqqqq", None),
            ("", None),
            ("not-a-word-of-any-list", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }
}
