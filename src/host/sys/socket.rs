//! A socket option that nix has no type for, and a message of which nix would have too much.

use nix::errno::Errno;
use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Lets a connection become acceptable only when its first byte has arrived, or after `seconds`.
///
/// `listener` is a TCP socket, before or after listen(2); otherwise `ENOPROTOOPT` or `EOPNOTSUPP`. See
/// `TCP_DEFER_ACCEPT` in tcp(7).
pub fn defer_accept(listener: BorrowedFd<'_>, seconds: i32) -> io::Result<()> {
    let fd = listener.as_raw_fd();
    // SAFETY: the kernel reads `optlen` bytes from `optval`, which is the address of an i32 that outlives the
    // call, with that type's own size; tcp(7) has this option as an int. The borrow keeps `fd` open.
    let ret = unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of_val(&seconds) as libc::socklen_t,
        )
    };
    if ret == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Room for one SCM_CREDENTIALS, and for nothing else.
#[repr(C)]
struct Credentials {
    header: libc::cmsghdr,
    of: libc::ucred,
}

/// Receives one datagram without waiting: its length, cut to that of `bytes`, and the pid of its sender.
///
/// `socket` is a unix(7) one with SO_PASSCRED. There is no room for descriptors, so the kernel drops those that come along
/// and makes none here: with room for them, some would stay ours unseen where `RLIMIT_NOFILE` cuts them short. The pid
/// is 0 for a sender that our PID namespace does not know. See recvmsg(2); `EAGAIN` says that there is nothing.
pub fn receive_from(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(usize, Option<i32>), Errno> {
    // SAFETY: plain data, for which all zeroes is a value.
    let mut control: Credentials = unsafe { zeroed() };
    let mut piece = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: likewise; null pointers of length zero ask for nothing.
    let mut message: libc::msghdr = unsafe { zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut piece, 1);
    (message.msg_control, message.msg_controllen) =
        ((&raw mut control).cast(), size_of::<Credentials>() as _);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the kernel writes at most `iov_len` bytes to `bytes` and at most `msg_controllen` to `control`; both
    // outlive the call, and nothing else refers to them meanwhile.
    let len = Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    let header = control.header;
    let told = message.msg_controllen as usize >= size_of::<libc::cmsghdr>() + size_of::<libc::ucred>()
        && (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS);
    // A length is not negative.
    Ok((len.unsigned_abs(), told.then_some(control.of.pid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_lie_where_the_kernel_puts_them() {
        // CMSG_LEN(0) and CMSG_SPACE(sizeof(struct ucred)) of cmsg(3): the data follow the header, and nothing is left.
        assert_eq!(std::mem::offset_of!(Credentials, of), 16);
        assert_eq!(size_of::<Credentials>(), 32);
    }
}
