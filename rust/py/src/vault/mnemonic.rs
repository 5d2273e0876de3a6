//! Recovery phrases.

use alknet_core::vault::Mnemonic;
use pyo3::prelude::*;

use crate::buffer::Text;
use crate::errors;

/// A new recovery phrase of 12, 15, 18, 21 or 24 *words* (BIP-39), from the system's randomness.
///
/// Raises:
///     InvalidInput: another number of words.
#[pyfunction]
#[pyo3(signature = (words = 24))]
fn generate_mnemonic(words: usize) -> PyResult<String> {
    errors::run(|| Mnemonic::generate(words)).map(|phrase| phrase.phrase().to_owned())
}

/// Check that *phrase*, `str` or UTF-8 bytes-like, is a BIP-39 phrase of English words.
///
/// It is read as a person types it: white space of any kind and amount, and capitals, do not
/// matter, here and wherever a phrase is taken. Words are not completed from their beginnings.
///
/// Raises:
///     BadMnemonic: the number of words, a word (which one, from 1, also in `details["word"]`, but
///         never the word itself) or the checksum is wrong.
#[pyfunction]
fn check_mnemonic(phrase: Text<'_>) -> PyResult<()> {
    let phrase = phrase.as_utf8()?;
    errors::run(|| Mnemonic::parse(phrase)).map(drop)
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check_mnemonic, module)?)?;
    module.add_function(wrap_pyfunction!(generate_mnemonic, module)?)
}
