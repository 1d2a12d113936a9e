//! The control socket: where the running tinysvc is asked and told.
//!
//! `SOCK_SEQPACKET`, one request a connection. Who asks is what the kernel says (SO_PEERCRED, unix(7)): only root and the
//! owner of PID 1 may change anything. A client that says half, nothing, too much or rubbish changes nothing
//! and costs a bounded place; PID 1 waits for nobody.
#![forbid(unsafe_code)]

use crate::wire::control::{PIECE_LEN_MAX, Piece, REQUEST_LEN_MAX, Request};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, connect as connect_to,
    getsockopt, listen, recv, send, socket, sockopt,
};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

/// Where it is if `/run` can be written.
const PATH: &str = "/run/tinysvc/control";
/// Clients at a time. One more is turned away with a word.
pub const CLIENTS_MAX: usize = 64;

/// The abstract name for a container whose `/run` cannot be written: the PID namespace in it keeps two containers
/// that share a network apart.
fn abstract_name() -> Vec<u8> {
    let namespace = fs::metadata("/proc/self/ns/pid").map(|m| m.ino()).unwrap_or(0);
    format!("tinysvc/{namespace}/control").into_bytes()
}

/// Where a client looks first, for words.
pub fn address() -> &'static str {
    PATH
}

fn stream(more: SockFlag) -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC | more, None)
}

/// Connects to the running tinysvc of this container.
///
/// # Errors
/// Those of connect(2): `ENOENT` and `ECONNREFUSED` where there is none.
pub fn connect() -> Result<OwnedFd, Errno> {
    let socket = stream(SockFlag::empty())?;
    let by_path = connect_to(socket.as_raw_fd(), &UnixAddr::new(PATH)?);
    match by_path {
        Ok(()) => Ok(socket),
        Err(e) => match connect_to(socket.as_raw_fd(), &UnixAddr::new_abstract(&abstract_name())?) {
            Ok(()) => Ok(socket),
            // The reason that counts is that of the usual place.
            Err(_) => Err(e),
        },
    }
}

/// Listens for clients.
///
/// # Errors
/// Those of bind(2), of both places.
pub fn open() -> Result<OwnedFd, Errno> {
    match by_path() {
        Ok(socket) => Ok(socket),
        Err(_) => {
            let socket = stream(SockFlag::SOCK_NONBLOCK)?;
            bind(socket.as_raw_fd(), &UnixAddr::new_abstract(&abstract_name())?)?;
            listen(&socket, Backlog::MAXALLOWABLE)?;
            Ok(socket)
        }
    }
}

fn by_path() -> Result<OwnedFd, Errno> {
    let errno = |e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
    if let Some(folder) = std::path::Path::new(PATH).parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(errno)?;
    }
    // One that an earlier life left behind: nobody else is PID 1 here.
    let _absent = fs::remove_file(PATH);
    let socket = stream(SockFlag::SOCK_NONBLOCK)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(PATH)?)?;
    // Everybody may ask; who may change anything is looked at for each request.
    fs::set_permissions(PATH, fs::Permissions::from_mode(0o666)).map_err(errno)?;
    listen(&socket, Backlog::MAXALLOWABLE)?;
    Ok(socket)
}

/// One client.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    /// Who it is, by the kernel's word.
    pub uid: u32,
}

impl Client {
    /// Takes the next one that has connected; `None` if there is none.
    pub fn accept(listener: BorrowedFd<'_>) -> Option<Client> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = accept4(listener.as_raw_fd(), flags).ok()?;
        let socket = super::sys::process::received(fd);
        let uid = getsockopt(&socket, sockopt::PeerCredentials).map_or(u32::MAX, |peer| peer.uid());
        Some(Client { socket, uid })
    }

    /// Reads its request. `None`: nothing yet. `Err`: it is gone, or it has said what cannot be understood.
    pub fn request(&self) -> Option<Result<Request, String>> {
        // One byte more than the longest, so that a longer one is seen to be longer.
        let mut bytes = vec![0; REQUEST_LEN_MAX + 1];
        match recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Some(Err(String::new())),
            Ok(n) => {
                let request = Request::decode(bytes.get(..n).unwrap_or_default());
                Some(request.map_err(|e| format!("the request cannot be understood: {e}")))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(e) => Some(Err(e.desc().to_owned())),
        }
    }

    /// Sends text, in pieces, and drops what the client has no room for: it is not waited for.
    pub fn say(&self, error: bool, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = rest.len().min(PIECE_LEN_MAX - 1);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, more) = rest.split_at(end);
            let piece = if error { Piece::Err(piece.to_owned()) } else { Piece::Out(piece.to_owned()) };
            self.send(&piece);
            rest = more;
        }
    }

    /// Ends the conversation.
    pub fn end(self, status: u8) {
        self.send(&Piece::End(status));
    }

    fn send(&self, piece: &Piece) {
        // A client that does not read, or is gone, has lost its answer.
        let _lost =
            send(self.socket.as_raw_fd(), &piece.encode(), MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
