//! Descriptors by number: those on their way into a program, and the standard ones.
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

/// How many of descriptors 0, 1 and 2 are closed.
///
/// # Errors
/// None that poll(2) documents for such a call, but that of a limit of fewer than three descriptors: `EINVAL`.
pub fn standard_ones_closed() -> Result<usize, Errno> {
    let mut fds = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the kernel reads and writes these three, which are live, and a time of zero is not waited for.
    Errno::result(unsafe { libc::poll(fds.as_mut_ptr(), 3, 0) })?;
    Ok(fds.iter().filter(|fd| fd.revents & libc::POLLNVAL != 0).count())
}
