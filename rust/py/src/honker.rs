//! honker in our own library: streams, queues and notifications as SQL functions.
//!
//! SQLite loads this shared object as an extension through `sqlite3_honkerext_init`. Its crate is
//! built with `loadable_extension`: every call goes through the table of functions that the host
//! hands over, so there is one SQLite in the process, the host's. A second copy working on the same
//! file would drop the first one's POSIX locks. honker's own extension is a `cdylib` and cannot be
//! linked in; this is its entry point without the watchers, since we know of our own commits.
#![allow(
    unsafe_code,
    reason = "SQLite hands an extension raw pointers, and looks for its entry by name"
)]

use std::ffi::{c_char, c_int};
use std::panic::catch_unwind;

use rusqlite::{Connection, Result, ffi};

/// Make honker's functions known to the connection *db*.
///
/// # Safety
/// SQLite calls it while loading an extension, with pointers that it owns: *db* and *api* are valid
/// for the lifetime of the connection, and *message* may be null.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn sqlite3_honkerext_init(
    db: *mut ffi::sqlite3,
    _message: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
) -> c_int {
    if db.is_null() || api.is_null() {
        return ffi::SQLITE_ERROR;
    }
    // A panic must not unwind into C.
    let attached = catch_unwind(|| -> Result<()> {
        // SAFETY: *api* is SQLite's own table, as promised above.
        unsafe { ffi::rusqlite_extension_init2(api) }?;
        // SAFETY: *db* is open; a Connection from a handle does not close it when it is dropped.
        let connection = unsafe { Connection::from_handle(db) }?;
        honker_core::attach_notify(&connection)
            .map_err(|error| rusqlite::Error::UserFunctionError(error.to_string().into()))?;
        honker_core::attach_honker_functions(&connection)
    });
    match attached {
        // The functions live in this library, which Python never unloads either.
        Ok(Ok(())) => ffi::SQLITE_OK_LOAD_PERMANENTLY,
        Ok(Err(_)) | Err(_) => ffi::SQLITE_ERROR,
    }
}
