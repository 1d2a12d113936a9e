//! Descriptors on their way into a program, by number.
//!
//! A child's table of descriptors is its own, so nothing here closes or replaces what an `OwnedFd` of the parent
//! stands for.

use nix::errno::Errno;

/// Duplicates `fd` to a free number above `highest`, close-on-exec.
///
/// # Errors
/// `EBADF`, `EMFILE`; `EINVAL` beyond `RLIMIT_NOFILE`: F_DUPFD_CLOEXEC(2const).
pub fn duplicate_above(fd: i32, highest: i32) -> Result<i32, Errno> {
    let lowest = highest.saturating_add(1);
    // SAFETY: integers only. The result is a new descriptor, which nobody owns yet.
    let ret = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, lowest) };
    Errno::result(ret)
}

/// Duplicates `source` to the number `target`, to stay open in the program. What was there is closed.
///
/// # Errors
/// `EBADF`; `EINVAL` if the two are equal: dup3(2).
pub fn duplicate_to(source: i32, target: i32) -> Result<(), Errno> {
    // SAFETY: integers only. It replaces an entry of the caller's own table, which is what is asked for.
    let ret = unsafe { libc::dup3(source, target, 0) };
    Errno::result(ret).map(drop)
}

/// Lets a descriptor stay open in the program.
///
/// # Errors
/// `EBADF`: F_SETFD(2const).
pub fn pass_on(fd: i32) -> Result<(), Errno> {
    // SAFETY: integers only; it changes a flag.
    let ret = unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
    Errno::result(ret).map(drop)
}
