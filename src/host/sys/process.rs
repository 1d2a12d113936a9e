//! Waiting for processes and signalling them, with every signal the kernel has.

use nix::errno::Errno;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Reaps one child that has ended, or with `untraced` notices one that has stopped, without waiting.
///
/// Returns its pid and its wait status as in wait(2), or `None` when no child has anything to tell. Fails
/// with `ECHILD` when there is no child at all.
pub fn wait_any(untraced: bool) -> Result<Option<(i32, i32)>, Errno> {
    let flags = libc::WNOHANG | if untraced { libc::WUNTRACED } else { 0 };
    let mut status = 0;
    // SAFETY: `status` is a live i32 that the kernel writes before the call returns.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
    Ok(match Errno::result(pid)? {
        0 => None,
        pid => Some((pid, status)),
    })
}

/// Whether this process has any child, ended or not. Reaps nothing.
///
/// See waitid(2): `ECHILD` is the answer "none".
pub fn has_child() -> Result<bool, Errno> {
    is_there(libc::P_ALL, 0)
}

/// Whether a pid is that of a child of this process, ended or not.
pub fn is_child(pid: i32) -> bool {
    // A pid is positive.
    is_there(libc::P_PID, pid.unsigned_abs()).unwrap_or(false)
}

fn is_there(kind: libc::idtype_t, id: u32) -> Result<bool, Errno> {
    // SAFETY: siginfo_t is plain data for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is live and of the type the call writes; the rest are integers.
    match Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, flags) }) {
        Ok(_) => Ok(true),
        Err(Errno::ECHILD) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Sends a signal to a process, to the group −`pid`, or with −1 to every process that may be signalled.
///
/// See kill(2). Fails with `ESRCH` when there is none and `EPERM` when none may be signalled.
pub fn kill(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: both arguments are integers passed by value; no memory is shared with the kernel.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// A descriptor for a process; close-on-exec by its nature.
///
/// See pidfd_open(2). Fails with `ENOSYS` before Linux 5.3, `EPERM` under an old seccomp profile and
/// `ESRCH` when there is no such process.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: both arguments are integers passed by value.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends a signal to the process of a descriptor, which cannot be another one by now.
///
/// See pidfd_send_signal(2), Linux 5.1. Fails with `ESRCH` when it has ended and is reaped.
pub fn pidfd_send_signal(fd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let none: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo asks the kernel to fill it as kill(2) does; everything else is an integer.
    let ret = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, none, 0) };
    Errno::result(ret).map(drop)
}

/// The first 64 bytes of `struct pidfd_info` (linux/pidfd.h, PIDFD_INFO_SIZE_VER0).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    /// pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid.
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT` of linux/pidfd.h.
const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `PIDFD_GET_INFO` of linux/pidfd.h: `_IOWR(0xFF, 11, struct pidfd_info)` with the first published size.
const PIDFD_GET_INFO: u32 = (3 << 30) | ((size_of::<PidfdInfo>() as u32) << 16) | (0xFF << 8) | 11;

/// The wait status of the process of a descriptor, once it has ended and been reaped by whomever.
///
/// `None` while it has not. Works since Linux 6.15; fails with `ENOTTY` or `EINVAL` before 6.13 and gives `None`
/// for ever in between, so a caller must know its kernel.
pub fn pidfd_exit_status(fd: BorrowedFd<'_>) -> Result<Option<i32>, Errno> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request number carries the size of the struct, which is what the kernel reads and writes at
    // most; the struct is live for the call and any bytes are a value of it.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    match Errno::result(ret) {
        Ok(_) => Ok((info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)),
        // The process is reaped and this kernel keeps nothing of it, or it is just being reaped.
        Err(Errno::ESRCH) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Ends this process at once, without destructors, flushing nothing.
///
/// See _exit(2).
pub fn exit_now(status: u8) -> ! {
    // SAFETY: the call takes an integer and does not return; nothing can observe broken state afterwards.
    unsafe { libc::_exit(status.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_number_is_the_headers() {
        // From linux/pidfd.h, computed by a C compiler: _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info).
        assert_eq!(size_of::<PidfdInfo>(), 64);
        assert_eq!(PIDFD_GET_INFO, 0xC040_FF0B);
    }
}
