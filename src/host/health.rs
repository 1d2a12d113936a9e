//! PID 1's side of the probes: the listener it binds, and the answers it gives its health role.
//!
//! PID 1 accepts no connection and reads no byte that came from one. It polls the listener until the
//! first connection, hands it to the role, and takes it back when the role is gone. The role asks over a
//! socket pair; each answer is a fresh snapshot. PID 1 never waits for the role: what cannot be sent at
//! once is dropped, and a role that sends rubbish gets no answer.
#![forbid(unsafe_code)]

use super::sys::socket::defer_accept;
use crate::wire::{ASK_LEN_MAX, Ask, Snapshot};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, listen as start_listening,
    recv, send, setsockopt, socket, socketpair, sockopt,
};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// How long a silent connection is kept in the kernel before anyone hears of it, in seconds.
const SILENT_SECONDS: i32 = 2;
/// Asks that are read in one go. The role has one under way at a time, so more is rubbish.
const ASKS_MAX: usize = 16;

/// Listens at `addr`. `[::]` takes IPv4 too, and becomes `0.0.0.0` where there is no IPv6.
///
/// The descriptor is non-blocking and close-on-exec. A connection becomes acceptable when its first byte
/// has arrived, so that a port scan starts nothing. Errors are those of socket(2) and bind(2): expect
/// `EADDRINUSE`, `EADDRNOTAVAIL`, and `EACCES` below port 1024.
pub fn listen(addr: SocketAddr) -> io::Result<OwnedFd> {
    match listen_at(addr) {
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) if addr.ip() == Ipv6Addr::UNSPECIFIED => {
            Ok(listen_at((Ipv4Addr::UNSPECIFIED, addr.port()).into())?)
        }
        result => Ok(result?),
    }
}

fn listen_at(addr: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if addr.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    // A restarted container must not wait for the connections of its last life (TIME-WAIT).
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if addr.ip() == Ipv6Addr::UNSPECIFIED {
        // The default is a sysctl: net.ipv6.bindv6only.
        setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
    }
    // It saves wake-ups and nothing depends on it, so a kernel without it (gVisor) will do.
    let _ = defer_accept(fd.as_fd(), SILENT_SECONDS);
    bind(fd.as_raw_fd(), &SockaddrStorage::from(addr))?;
    // As many as the kernel lets wait: net.core.somaxconn. (With musl, nix refuses any number above 128.)
    start_listening(&fd, Backlog::MAXALLOWABLE)?;
    Ok(fd)
}

/// A pair to talk over: PID 1's end, then the role's. Both are non-blocking and close-on-exec.
pub fn channel() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
}

/// What became of [`answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A snapshot is on its way.
    Sent,
    /// Nothing was asked that could be answered.
    Nothing,
    /// A snapshot was taken, and there was no room for it.
    Dropped,
    /// The role has closed its end.
    Closed,
}

/// Reads what the role asks over `fd` and answers the latest. Call it whenever `fd` is readable; it never
/// blocks. Errors are those of recv(2) and send(2) that are no answer in themselves.
pub fn answer(fd: BorrowedFd<'_>, snapshot: impl FnOnce(u64) -> Snapshot) -> io::Result<Answer> {
    // One byte more than the longest, so that a longer one is seen to be longer.
    let mut buffer = [0; ASK_LEN_MAX + 1];
    let mut latest = None;
    for _ in 0..ASKS_MAX {
        match recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) | Err(Errno::ECONNRESET) => return Ok(Answer::Closed),
            Ok(n) => latest = buffer.get(..n).and_then(|b| Ask::decode(b).ok()).or(latest),
            Err(Errno::EAGAIN) => break,
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let Some(ask) = latest else { return Ok(Answer::Nothing) };
    let Some(bytes) = snapshot(ask.nonce).encode() else { return Ok(Answer::Dropped) };
    match send(fd.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Ok(_) => Ok(Answer::Sent),
        Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::EMSGSIZE | Errno::EINTR) => {
            Ok(Answer::Dropped)
        }
        Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(Answer::Closed),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Phase, SNAPSHOT_LEN_MAX};
    use std::io::{Read, Write};
    use std::net::{Ipv6Addr, TcpListener, TcpStream};

    fn snapshot(nonce: u64) -> Snapshot {
        Snapshot {
            nonce,
            version: "0".into(),
            phase: Phase::Running,
            startup_done: true,
            now: 0,
            started: 0,
            orphans_reaped: None,
            components: vec![],
        }
    }

    fn say(fd: &OwnedFd, bytes: &[u8]) {
        assert_eq!(send(fd.as_raw_fd(), bytes, MsgFlags::empty()), Ok(bytes.len()));
    }

    fn hear(fd: &OwnedFd) -> Result<Snapshot, Errno> {
        let mut buffer = vec![0; SNAPSHOT_LEN_MAX];
        let n = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        Ok(Snapshot::decode(&buffer[..n]).unwrap())
    }

    #[test]
    fn the_latest_ask_is_answered_and_rubbish_is_not() {
        let (ours, theirs) = channel().unwrap();
        let answer = || answer(ours.as_fd(), snapshot).unwrap();
        assert_eq!(answer(), Answer::Nothing, "nothing was asked");
        say(&theirs, b"rubbish");
        say(&theirs, &[b'x'; 4096]);
        assert_eq!(answer(), Answer::Nothing, "rubbish was asked");
        say(&theirs, &Ask { nonce: 1 }.encode());
        say(&theirs, &Ask { nonce: 2 }.encode());
        say(&theirs, b"rubbish");
        assert_eq!(answer(), Answer::Sent);
        assert_eq!(hear(&theirs).map(|s| s.nonce), Ok(2));
        assert_eq!(hear(&theirs), Err(Errno::EAGAIN), "one answer for both");
        drop(theirs);
        assert_eq!(answer(), Answer::Closed);
    }

    #[test]
    fn a_role_that_does_not_read_is_not_waited_for() {
        let (ours, theirs) = channel().unwrap();
        let wide = |nonce| Snapshot { version: "x".repeat(SNAPSHOT_LEN_MAX - 200), ..snapshot(nonce) };
        let mut answers = vec![];
        while answers.last() != Some(&Answer::Dropped) {
            assert!(answers.len() < 100_000, "the socket buffer has no end");
            say(&theirs, &Ask { nonce: 7 }.encode());
            answers.push(answer(ours.as_fd(), wide).unwrap());
        }
        assert_eq!(answers.first(), Some(&Answer::Sent));
    }

    #[test]
    fn the_wildcard_takes_both_families_and_a_taken_port_is_an_error() {
        let listener = TcpListener::from(listen((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap());
        let addr = listener.local_addr().unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, addr.port())).unwrap();
        client.write_all(b"x").unwrap();
        listener.set_nonblocking(false).unwrap();
        assert_eq!(listener.accept().unwrap().0.read(&mut [0; 9]).unwrap(), 1);
        let error = listen(addr).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
