//! What the process gives away of itself.

use std::io;

/// Keep the memory of this process out of core dumps, and out of reach of debuggers of other
/// processes of the same user (`PR_SET_DUMPABLE` 0).
///
/// `/proc/self` then belongs to root, and a program that is executed later starts dumpable again.
///
/// # Errors
/// The system has no such switch, or refuses it.
pub fn disable_core_dumps() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: this call reads one integer and touches no memory of ours.
        match unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0 as libc::c_ulong, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the system may write this process's memory to a core dump.
#[must_use]
pub fn is_dumpable() -> bool {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: this call returns an integer and touches no memory of ours.
        unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 }
    }
    #[cfg(not(target_os = "linux"))]
    true
}
