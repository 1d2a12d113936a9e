//! A socket option that nix has no type for.

use std::io;
use std::mem::size_of_val;
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
