//! A few pages between two fences, locked into memory where the system allows.

use std::alloc::{Layout, handle_alloc_error};
use std::io;
use std::ptr::{NonNull, null_mut};

/// Bytes of one mapping without its fences: small beside the 64 KiB that old systems let an
/// ordinary user lock, and room for 255 secrets.
pub(crate) const BYTES: usize = 16 * 1024;

/// Room for a fence even where pages are 16 or 64 KiB.
const FENCE: usize = 64 * 1024;

/// A private mapping of [`BYTES`] zeros, unmapped on drop.
pub(crate) struct Pages {
    base: NonNull<u8>,
    /// Why it is not locked into memory, if it is not.
    pub(crate) unlocked: Option<io::Error>,
}

// SAFETY: `Pages` owns its mapping, which belongs to the process and not to a thread. It hands out
// the address only; who writes where is the business of `cell`, which guards it with a lock.
unsafe impl Send for Pages {}

impl Pages {
    /// Map, fence, lock, and keep out of core dumps and of forked children.
    ///
    /// Only the mapping itself must succeed; a system that will not lock it says why.
    pub(crate) fn new() -> Self {
        // SAFETY: an anonymous mapping at an address of the kernel's choosing touches nothing that
        // exists. The result is checked before it is used.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                BYTES + 2 * FENCE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let failed = || handle_alloc_error(Layout::from_size_align(BYTES, 64).expect("a constant"));
        if start == libc::MAP_FAILED {
            failed();
        }
        // SAFETY: the mapping is BYTES + 2 * FENCE long, so this stays inside it.
        let base = unsafe { start.cast::<u8>().add(FENCE) };
        // SAFETY: BYTES from `base` on are ours, just mapped, and nobody points there yet.
        if unsafe { libc::mprotect(base.cast(), BYTES, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            failed();
        }
        // SAFETY: as above; locking changes no byte.
        let locked = unsafe { libc::mlock(base.cast(), BYTES) } == 0;
        let unlocked = (!locked).then(io::Error::last_os_error);
        // Both pieces of advice are best effort: an old kernel refuses them, and the secrets are
        // then as safe as they were.
        #[cfg(target_os = "linux")]
        for advice in [libc::MADV_DONTDUMP, libc::MADV_WIPEONFORK] {
            // SAFETY: as above; the first only marks the pages, and the second zeroes them in a
            // forked child, where `cell` looks for that before every use.
            unsafe { libc::madvise(base.cast(), BYTES, advice) };
        }
        Self {
            base: NonNull::new(base).expect("FENCE is above address 0"),
            unlocked,
        }
    }

    /// The first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this is the very range that `new` mapped, and `cell` drops it only when nothing
        // points into it.
        unsafe {
            libc::munmap(self.base.as_ptr().sub(FENCE).cast(), BYTES + 2 * FENCE);
        }
    }
}
