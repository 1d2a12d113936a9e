//! Signal masks and dispositions with all 64 signals.
//!
//! musl's own functions hide 32 to 34 from the caller, of which 34 is every other program's `SIGRTMIN`, so
//! these go to the kernel. A mask has signal n at bit n−1.

use nix::errno::Errno;
use std::ptr;

/// The kernel's `sigset_t`, in bytes.
const MASK_LEN: usize = size_of::<u64>();

/// Replaces the signal mask and returns the one before. See rt_sigprocmask(2).
///
/// # Errors
/// None that the kernel documents for valid pointers.
pub fn set_mask(mask: u64) -> Result<u64, Errno> {
    let mut before = 0u64;
    // SAFETY: both pointers are to live 8-byte masks, and 8 is the size that is said. The C library is not
    // asked, and it keeps no copy of the mask.
    let ret = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut before, MASK_LEN)
    };
    Errno::result(ret).map(|_| before)
}

/// Puts a signal's disposition to the default, or to ignored. See rt_sigaction(2).
///
/// # Errors
/// `EINVAL` for SIGKILL, SIGSTOP and what is no signal.
pub fn set_disposition(signal: u8, ignored: bool) -> Result<(), Errno> {
    // `struct sigaction` of the kernel on x86-64 and aarch64: handler, flags, restorer, mask. Without a handler
    // nothing but the first counts.
    let action = [if ignored { libc::SIG_IGN } else { libc::SIG_DFL }, 0, 0, 0];
    // SAFETY: `action` has the kernel's layout and no handler, so no code of ours can be called by it. The old
    // action is not asked for, which a null pointer says.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            libc::c_int::from(signal),
            action.as_ptr(),
            ptr::null_mut::<libc::c_void>(),
            MASK_LEN,
        )
    };
    Errno::result(ret).map(drop)
}
