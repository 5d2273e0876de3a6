//! Derivation paths as people write them: `m/74'/0'/0'/0'` (BIP-32).

use core::fmt;
use std::str::FromStr;

/// Added to an index, this makes the step hardened (BIP-32).
pub const HARDENED: u32 = 1 << 31;

/// The most steps an extended key can count: its depth is one byte.
pub const MAX_DEPTH: usize = 255;

/// A path that exists is a good path: everything is checked while it is read.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DerivationPath(Vec<u32>);

/// Why a text is no path, and where: *position* counts characters from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPath {
    /// Where in the text, in characters.
    pub position: usize,
    /// What is wrong there, as half a sentence.
    pub reason: String,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bad derivation path at character {}: {}; a path reads like m/74'/0'/0'/0'",
            self.position, self.reason
        )
    }
}

impl std::error::Error for BadPath {}

impl DerivationPath {
    /// The path of *indices*, each already with [`HARDENED`] added where it is.
    ///
    /// # Errors
    /// More than [`MAX_DEPTH`] steps.
    pub fn from_indices(indices: impl Into<Vec<u32>>) -> Result<Self, BadPath> {
        let indices = indices.into();
        if indices.len() > MAX_DEPTH {
            return Err(BadPath {
                position: 0,
                reason: too_deep(indices.len()),
            });
        }
        Ok(Self(indices))
    }

    /// The steps from the root, hardened ones with [`HARDENED`] added.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.0
    }

    /// Whether every step is hardened; true of `m`, which has none.
    #[must_use]
    pub fn is_hardened(&self) -> bool {
        self.0.iter().all(|index| index & HARDENED != 0)
    }

    /// Refuse the path because of the first step that is `wrong`, if there is one.
    ///
    /// # Errors
    /// *reason*, behind the path as it is printed, with the place of that step.
    pub(super) fn refuse(&self, wrong: impl Fn(u32) -> bool, reason: &str) -> Result<(), BadPath> {
        let Some(step) = self.0.iter().position(|index| wrong(*index)) else {
            return Ok(());
        };
        let above = Self(self.0[..step].to_vec()).to_string();
        Err(BadPath {
            position: above.chars().count() + 1,
            reason: format!("{self} {reason}"),
        })
    }

    /// This path without its last step; that of `m` is `m`.
    #[must_use]
    pub fn parent(&self) -> Self {
        let above = self.0.split_last().map_or(&[][..], |(_, above)| above);
        Self(above.to_vec())
    }

    /// This path and one step more.
    ///
    /// # Errors
    /// The path is [`MAX_DEPTH`] deep already.
    pub fn child(&self, index: u32) -> Result<Self, BadPath> {
        let mut indices = self.0.clone();
        indices.push(index);
        Self::from_indices(indices)
    }
}

fn too_deep(found: usize) -> String {
    format!("{found} steps, and an extended key counts no more than {MAX_DEPTH}")
}

impl FromStr for DerivationPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let fail = |position, reason: String| Err(BadPath { position, reason });
        let mut steps = text.split('/');
        let root = steps.next().unwrap_or_default();
        if root != "m" {
            return fail(0, "it must start with 'm', the root".into());
        }
        let mut indices = Vec::new();
        let mut position = 1;
        for (number, step) in steps.enumerate() {
            position += 1;
            let (digits, offset) = match step.strip_suffix(['\'', 'h', 'H']) {
                Some(digits) => (digits, HARDENED),
                None => (step, 0),
            };
            if digits.is_empty() {
                return fail(position, format!("step {} is empty", number + 1));
            }
            if let Some(stray) = digits.chars().position(|c| !c.is_ascii_digit()) {
                let found = digits.chars().nth(stray).unwrap_or_default();
                return fail(
                    position + stray,
                    format!("{found:?} is neither a digit nor a closing ', h or H"),
                );
            }
            let Some(index) = digits.parse::<u32>().ok().filter(|index| *index < HARDENED) else {
                return fail(
                    position,
                    format!("the index of step {} is above {}", number + 1, HARDENED - 1),
                );
            };
            indices.push(index + offset);
            if indices.len() > MAX_DEPTH {
                return fail(position, too_deep(text.matches('/').count()));
            }
            position += step.chars().count();
        }
        Ok(Self(indices))
    }
}

impl fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        for index in &self.0 {
            let mark = if index & HARDENED == 0 { "" } else { "'" };
            write!(f, "/{}{mark}", index & !HARDENED)?;
        }
        Ok(())
    }
}

impl fmt::Debug for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DerivationPath({self})")
    }
}
