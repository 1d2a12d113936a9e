//! Signal masks, dispositions and the signalfd, as the kernel counts them.
//!
//! A set is a `u64` in which bit n−1 is signal n, as in `/proc/self/status`. The C libraries keep signals 32 to 34
//! from their callers' sets (musl) or 32 and 33 (glibc), so these calls go straight to the kernel.

use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The size of the kernel's `sigset_t`, which the system calls demand (rt_sigprocmask(2), NOTES).
const SET_SIZE: usize = size_of::<u64>();

/// Replaces the blocked set of this thread and returns the one before.
///
/// See rt_sigprocmask(2). Fails only for an invalid address or size, so never here.
pub fn set_mask(set: u64) -> Result<u64, Errno> {
    let mut old = 0u64;
    // SAFETY: both pointers are to live, aligned u64s, which is the kernel's sigset_t of SET_SIZE bytes; the
    // kernel reads the first and writes the second before it returns.
    let ret = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const set, &raw mut old, SET_SIZE)
    };
    Errno::result(ret).map(|_| old)
}

/// A descriptor from which the blocked signals of a set are read, close-on-exec. A read sleeps until there is one.
///
/// See signalfd(2). Fails with `EMFILE`, `ENFILE`, `ENODEV` and `ENOMEM`.
pub fn signalfd(set: u64) -> Result<OwnedFd, Errno> {
    // SAFETY: the pointer is to a live u64 of SET_SIZE bytes that the kernel only reads; −1 asks for a new
    // descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const set, SET_SIZE, libc::SFD_CLOEXEC) };
    Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sets the disposition of a signal to ignored or to the default, and says whether it was ignored before.
///
/// See rt_sigaction(2). Fails with `EINVAL` for SIGKILL, SIGSTOP and numbers that are none.
pub fn set_disposition(signal: i32, ignored: bool) -> Result<bool, Errno> {
    // The kernel's struct on x86-64 and aarch64: handler, flags, restorer, mask, all of 64 bits. Flags and
    // restorer are unused where there is no handler.
    let new: [usize; 4] = [if ignored { libc::SIG_IGN } else { libc::SIG_DFL }, 0, 0, 0];
    let mut old: [usize; 4] = [0; 4];
    // SAFETY: both arrays have the size and alignment of the kernel's struct sigaction (32 bytes on both
    // machines); the kernel reads the first and fills the second. No handler is installed, so no code can run
    // in signal context.
    let ret =
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new.as_ptr(), old.as_mut_ptr(), SET_SIZE) };
    Errno::result(ret).map(|_| old.first() == Some(&libc::SIG_IGN))
}
