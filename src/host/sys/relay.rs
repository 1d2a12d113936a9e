//! The system calls of `host::relay` that `nix` lacks or narrows.
//!
//! Signal sets are plain words, bit n−1 for signal n, as the kernel has them. Neither `nix` nor musl will do:
//! `nix` knows no real-time signals, and musl keeps 32 to 34 to itself, of which 34 is glibc's `SIGRTMIN`.

use nix::errno::Errno;
use std::ptr;

/// The size of a signal set, as the kernel wants to be told.
const SET: usize = size_of::<u64>();

/// Sleeps until a signal of `set` is pending, takes it and returns its number.
///
/// `EINTR`: a signal outside the set was handled, or the process was stopped and continued. See rt_sigtimedwait(2).
pub fn wait_signal(set: u64) -> Result<i32, Errno> {
    // SAFETY: the set is a live word of the size that is given and is only read. A null siginfo asks for none, and
    // a null time means to wait without end.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const set,
            ptr::null_mut::<libc::siginfo_t>(),
            ptr::null::<libc::timespec>(),
            SET,
        )
    };
    // Signal numbers are at most 64.
    Errno::result(ret).map(|number| number as i32)
}

/// Gives up the controlling terminal if it is the one on standard input. `ENOTTY`: it is not. See TIOCNOTTY in
/// ioctl_tty(2).
///
/// If this process leads its session, the kernel sends SIGHUP and SIGCONT to the terminal's foreground group.
pub fn detach_terminal() -> Result<(), Errno> {
    // SAFETY: the request takes no argument. Descriptor 0 is not owned by anything here, and is not closed.
    Errno::result(unsafe { libc::ioctl(0, libc::TIOCNOTTY as _) }).map(drop)
}

/// The foreground process group of the terminal on standard input, if that is ours. `ENOTTY`: it is not, or is none;
/// `EBADF`: standard input is closed. See tcgetpgrp(3).
pub fn foreground_group() -> Result<i32, Errno> {
    // SAFETY: the argument is an integer. Descriptor 0 is asked about and stays as it is.
    Errno::result(unsafe { libc::tcgetpgrp(0) })
}

/// Closes every descriptor from `first` on.
///
/// `ENOSYS` before Linux 5.9. See close_range(2).
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: the arguments are integers. The caller owns no descriptor from `first` on: `host::relay` opens none, and
    // what it was started with is wrapped in no `OwnedFd`.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Closes one descriptor that was inherited and that nothing owns. See close(2).
pub fn close_inherited(descriptor: i32) -> Result<(), Errno> {
    // SAFETY: an integer; as for [`close_from`], no `OwnedFd` has this descriptor.
    Errno::result(unsafe { libc::close(descriptor) }).map(drop)
}
