//! Shares of a recovery phrase.

use std::sync::{Mutex, MutexGuard, PoisonError};

use alknet_core::vault::cache::Limits;
use alknet_core::vault::slip39::{Share, nearest};
use alknet_core::vault::{self, Error, Mnemonic, slip39};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::keyring::Keyring;
use crate::buffer::Text;
use crate::errors;
use crate::sign::not_pickled;

/// Shares of one recovery phrase (SLIP-0039), as they come in, until there are enough.
///
/// They stay in Rust, in memory that is wiped (see `memory_status`). A share that is refused changes
/// nothing: those that were given before stay. It may be used from several threads at once.
#[pyclass(frozen, module = "alknet.keys")]
struct ShareSet(Mutex<slip39::ShareSet>);

#[pymethods]
impl ShareSet {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(slip39::ShareSet::new()))
    }

    /// Take *share* in, `str` or UTF-8 bytes-like; it is read as `check_share` says.
    ///
    /// Raises:
    ///     BadShare: see `check_share`; or it belongs to another set, was given already, or enough
    ///         of its group were.
    fn add(&self, share: Text<'_>) -> PyResult<()> {
        let share = share.as_utf8()?;
        errors::run(|| self.set().add(Share::parse(share)?))
    }

    /// How many shares were given.
    #[getter]
    fn given(&self) -> usize {
        self.set().given()
    }

    /// How many more are needed at least, 0 when there are enough; None before the first.
    #[getter]
    fn missing(&self) -> Option<usize> {
        self.set().missing()
    }

    /// What the passphrase of the shares costs: 10000 times two to this power rounds of PBKDF2.
    ///
    /// None before the first share. At 0 they take some 2 ms, at 15 a minute and more.
    #[getter]
    fn iteration_exponent(&self) -> Option<u8> {
        self.set().iteration_exponent()
    }

    /// The keyring of the phrase that was shared, with the BIP-39 *passphrase*.
    ///
    /// *share_passphrase* is the one that the shares were made with; another gives another phrase,
    /// and nothing tells. Other threads run meanwhile.
    ///
    /// Raises:
    ///     BadShare: there are not enough shares, they do not fit together, or they are of something
    ///         else than a phrase.
    ///     Locked: the process is a forked child, which inherits no shares.
    #[pyo3(
        signature = (passphrase = Text::Empty, *, share_passphrase = Text::Empty),
        text_signature = "($self, passphrase='', *, share_passphrase='')"
    )]
    fn keyring(
        &self,
        py: Python<'_>,
        passphrase: Text<'_>,
        share_passphrase: Text<'_>,
    ) -> PyResult<Keyring> {
        let (passphrase, of_shares) = (passphrase.as_utf8()?, share_passphrase.as_utf8()?);
        let keyring = py.detach(|| {
            errors::run(|| {
                let mnemonic = self.set().mnemonic(of_shares)?;
                vault::Keyring::from_mnemonic(&mnemonic, passphrase, Limits::default())
            })
        })?;
        Ok(Keyring(keyring))
    }

    /// The phrase that was shared, as text that nobody can wipe.
    ///
    /// Raises: as `keyring`.
    #[pyo3(
        signature = (share_passphrase = Text::Empty),
        text_signature = "($self, share_passphrase='')"
    )]
    fn reveal_phrase(&self, py: Python<'_>, share_passphrase: Text<'_>) -> PyResult<String> {
        let of_shares = share_passphrase.as_utf8()?;
        let mnemonic = py.detach(|| errors::run(|| self.set().mnemonic(of_shares)))?;
        Ok(mnemonic.phrase().to_owned())
    }

    /// The secret that was shared, whatever it is; of a phrase it is the entropy.
    ///
    /// Raises: as `keyring`.
    #[pyo3(
        signature = (share_passphrase = Text::Empty),
        text_signature = "($self, share_passphrase='')"
    )]
    fn reveal_secret<'py>(
        &self,
        py: Python<'py>,
        share_passphrase: Text<'_>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let of_shares = share_passphrase.as_utf8()?;
        let (secret, bytes) = py.detach(|| errors::run(|| self.set().secret(of_shares)))?;
        Ok(PyBytes::new(py, &secret[..bytes]))
    }

    /// Wipe every share; the set is as new.
    fn clear(&self) {
        self.set().clear();
    }

    fn __repr__(&self) -> String {
        format!("ShareSet(<{} given>)", self.given())
    }

    fn __reduce__(_this: &Bound<'_, Self>) -> PyResult<()> {
        Err(not_pickled())
    }
}

impl ShareSet {
    fn set(&self) -> MutexGuard<'_, slip39::ShareSet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Share a recovery *phrase* out to *count* people, so that any *threshold* of them give it back.
///
/// What is shared is its entropy (SLIP-0039, one group): 20 words a share for a phrase of 12, 33 for
/// one of 24. *passphrase*, of printable ASCII, is needed to put the shares together; it is not that
/// of BIP-39. Who guesses it pays for 10000 times two to the power of *iteration_exponent* rounds.
/// Each call makes another set. Other threads run meanwhile.
///
/// Raises:
///     BadMnemonic: see `check_mnemonic`.
///     InvalidInput: so many of so many cannot be asked for, or *passphrase* has other characters.
#[pyfunction]
#[pyo3(
    signature = (phrase, threshold, count, *, passphrase = Text::Empty, iteration_exponent = 1,
                 extendable = true),
    text_signature = "(phrase, threshold, count, *, passphrase='', iteration_exponent=1, \
                      extendable=True)"
)]
fn split_mnemonic(
    py: Python<'_>,
    phrase: Text<'_>,
    threshold: u8,
    count: u8,
    passphrase: Text<'_>,
    iteration_exponent: u8,
    extendable: bool,
) -> PyResult<Vec<String>> {
    let (phrase, passphrase) = (phrase.as_utf8()?, passphrase.as_utf8()?);
    let shares = py.detach(|| {
        errors::run(|| {
            let phrase = Mnemonic::parse(phrase)?;
            phrase.split(threshold, count, passphrase, iteration_exponent, extendable)
        })
    })?;
    Ok(shares
        .iter()
        .map(|share| share.words().to_string())
        .collect())
}

/// Check that *share*, `str` or UTF-8 bytes-like, is one of SLIP-0039.
///
/// White space of any kind and amount, and capitals, do not matter, here and wherever a share is
/// taken. Words are not completed from their beginnings.
///
/// Raises:
///     BadShare: the number of words, a word or the checksum is wrong. Which word, from 1, is also in
///         `details["word"]`; for a checksum it is the one that is wrong if only one is.
#[pyfunction]
fn check_share(share: Text<'_>) -> PyResult<()> {
    let share = share.as_utf8()?;
    errors::run(|| Share::parse(share).map(drop).map_err(Error::from))
}

/// The word of the list that word *position*, from 1, of *share* was most likely meant to be.
///
/// None where nothing is near, or the word is in the list itself. It is part of a secret: show it to nobody but who typed the share.
#[pyfunction]
fn nearest_share_word(share: Text<'_>, position: usize) -> PyResult<Option<&'static str>> {
    let share = core::str::from_utf8(share.as_utf8()?).unwrap_or_default();
    let index = position.checked_sub(1);
    Ok(index
        .and_then(|index| share.split_whitespace().nth(index))
        .and_then(nearest))
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ShareSet>()?;
    module.add_function(wrap_pyfunction!(split_mnemonic, module)?)?;
    module.add_function(wrap_pyfunction!(check_share, module)?)?;
    module.add_function(wrap_pyfunction!(nearest_share_word, module)?)
}
