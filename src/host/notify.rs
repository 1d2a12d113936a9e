//! Readiness messages: those of our services, taken in, and ours to whoever started us, sent up.
//!
//! The way is sd_notify(3): one datagram of assignments over AF_UNIX. The socket of our services is an abstract
//! one with a name of the kernel's choosing, so that it works with a read-only root, without `/run`, and
//! for any user. Who sent a message is what the kernel says (SCM_CREDENTIALS), never what the message says.
#![forbid(unsafe_code)]

use super::sys::socket::receive_from;
use crate::engine::notify::MESSAGE_LEN_MAX;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, getsockname, setsockopt, socket, sockopt,
};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// How many messages are read in one turn, so that a flood cannot keep the loop from its other work.
const MESSAGES_A_TURN_MAX: usize = 256;

/// The socket that our services' messages come to.
#[derive(Debug)]
pub struct NotifySocket {
    fd: OwnedFd,
    address: OsString,
}

impl NotifySocket {
    /// Makes one.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<NotifySocket> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        setsockopt(&fd, sockopt::PassCred, &true)?;
        // An unnamed address asks for an abstract name, unix(7), "Autobind feature".
        bind(fd.as_raw_fd(), &UnixAddr::new_unnamed())?;
        let name: UnixAddr = getsockname(fd.as_raw_fd())?;
        let mut address = b"@".to_vec();
        address.extend_from_slice(
            name.as_abstract().ok_or_else(|| io::Error::other("the kernel gave no name"))?,
        );
        Ok(NotifySocket { fd, address: OsString::from_vec(address) })
    }

    /// What `$NOTIFY_SOCKET` is to say.
    pub fn address(&self) -> &OsStr {
        &self.address
    }

    /// Reads what has come and calls `each` with the sender's pid and the bytes. Descriptors that come along are not
    /// taken. Says whether there may be more.
    pub fn drain(&self, mut each: impl FnMut(i32, &[u8])) -> bool {
        for _ in 0..MESSAGES_A_TURN_MAX {
            // One byte more than is allowed, so that a message that is too long is known as such.
            let mut bytes = [0u8; MESSAGE_LEN_MAX + 1];
            let (len, pid) = match receive_from(self.fd.as_fd(), &mut bytes) {
                Ok(received) => received,
                Err(Errno::EINTR) => continue,
                Err(_) => return false,
            };
            // A sender outside of our PID namespace has no pid here, and none of our services is outside.
            if let (Some(pid), Some(bytes)) = (pid.filter(|pid| *pid > 0), bytes.get(..len)) {
                each(pid, bytes);
            }
        }
        true
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whoever started us and wants to hear: `$NOTIFY_SOCKET`.
#[derive(Debug)]
pub struct Upward {
    socket: UnixDatagram,
    to: SocketAddr,
}

impl Upward {
    /// Reads the address as systemd's libraries do: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// For an address of another kind, or where no socket can be made.
    pub fn open(address: &OsStr) -> io::Result<Upward> {
        let bytes = address.as_bytes();
        let to = match bytes.split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            Some((b'/', _)) => SocketAddr::from_pathname(address)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "neither a path nor an abstract name",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Upward { socket, to })
    }

    /// Sends assignments, one a line. A receiver that takes nothing is not waited for.
    ///
    /// # Errors
    /// Those of sendto(2).
    pub fn tell(&self, assignments: &str) -> io::Result<()> {
        self.socket.send_to_addr(assignments.as_bytes(), &self.to).map(drop)
    }
}
