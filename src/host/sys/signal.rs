//! Signal masks, dispositions and the signalfd, as the kernel counts them.
//!
//! A set is a `u64` in which bit n−1 is signal n, as in `/proc/self/status`. The C libraries keep signals 32 to 34
//! from their callers' sets (musl) or 32 and 33 (glibc), so these calls go straight to the kernel.

use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

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

/// What the kernel says of a signal that was taken: the head of `siginfo_t`, sigaction(2).
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    pid: u32,
    rest: [u32; 27],
}

impl Info {
    /// Its number.
    pub fn signal(&self) -> i32 {
        self.signal
    }

    /// Who sent it, if a process did.
    pub fn sender(&self) -> Option<u32> {
        // SI_USER, SI_QUEUE and SI_TKILL; what comes from the kernel itself has other uses for the field.
        (self.code <= 0).then_some(self.pid)
    }
}

/// Takes a pending signal of `set`, sleeping until there is one, at most for `limit`.
///
/// See rt_sigtimedwait(2). `EAGAIN`: the time is over. `EINTR`: the process was stopped and continued.
pub fn wait_signal(set: u64, limit: Option<Duration>) -> Result<Info, Errno> {
    let mut info = Info::default();
    let limit = limit.map(|limit| {
        let sec = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        [sec, i64::from(limit.subsec_nanos())]
    });
    take_signal(set, &mut info, limit.as_ref().map_or(ptr::null(), ptr::from_ref))?;
    Ok(info)
}

/// The call itself, in line where it is used. `limit` is null or a live `struct timespec` of 64-bit fields.
#[inline(always)]
pub(super) fn take_signal(set: u64, info: &mut Info, limit: *const [i64; 2]) -> Result<(), Errno> {
    // SAFETY: the set is SET_SIZE bytes and only read; `info` is as large (128 bytes) and as aligned as the kernel's siginfo_t,
    // whose head it names; the limit is what this function asks for.
    let ret = unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, ptr::from_mut(info), limit, SET_SIZE)
    };
    Errno::result(ret).map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_siginfo_lies_where_the_kernel_has_it() {
        assert_eq!(size_of::<Info>(), 128);
        assert_eq!(std::mem::offset_of!(Info, pid), 16);
    }
}
