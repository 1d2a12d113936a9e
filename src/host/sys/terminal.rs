//! The controlling terminal, by the number of a descriptor that may not be one: ioctl_tty(2).

use nix::errno::Errno;

/// Makes the terminal on `fd` the controlling one of our session, which has none. `steal` takes it from whoever has it,
/// for which CAP_SYS_ADMIN is needed.
///
/// # Errors
/// `ENOTTY` if it is no terminal, `EPERM` if it is another session's.
pub fn take(fd: i32, steal: bool) -> Result<(), Errno> {
    // SAFETY: the arguments are integers. No memory is read or written.
    let ret = unsafe { libc::ioctl(fd, libc::TIOCSCTTY as _, i32::from(steal)) };
    Errno::result(ret).map(drop)
}

/// The process group in the foreground of our controlling terminal; 0 if it is one of another PID namespace.
///
/// # Errors
/// `ENOTTY` if `fd` is not our controlling terminal.
pub fn foreground(fd: i32) -> Result<i32, Errno> {
    // SAFETY: an integer; the C library passes a place of its own to the kernel.
    let ret = unsafe { libc::tcgetpgrp(fd) };
    Errno::result(ret)
}

/// Puts a process group of our session in the foreground. SIGTTOU is blocked or ignored.
///
/// # Errors
/// `ENOTTY` if `fd` is not our controlling terminal, `EPERM` for a group of another session.
pub fn set_foreground(fd: i32, group: i32) -> Result<(), Errno> {
    // SAFETY: integers; the C library passes a place of its own to the kernel.
    let ret = unsafe { libc::tcsetpgrp(fd, group) };
    Errno::result(ret).map(drop)
}
