//! Opens one of the three streams, in the child.
//!
//! As everything there it must never wait: not for the other end of a FIFO, not for the carrier of a line, not for room in
//! a socket's queue. So files are opened with O_NONBLOCK, which is taken off again for the program.
#![forbid(unsafe_code)]

use crate::host::sys::descriptor;
use crate::plan::Stream;
use crate::unit::spec::Opening;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Whence, lseek, write};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

/// Permissions of new files, before the mask.
const MODE: Mode = Mode::from_bits_truncate(0o666);

/// Makes `stream` the descriptor `number` of this process.
pub fn place(stream: &Stream, number: i32) -> Result<(), Errno> {
    let opened = match stream {
        Stream::Keep => return Ok(()),
        Stream::Copy(source) => return descriptor::duplicate_to(*source, number),
        Stream::Null => open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?,
        Stream::File { path, read, write } => file(path, *read, *write)?,
        Stream::Data(bytes) => data(bytes)?,
    };
    if opened.as_raw_fd() == number {
        // Ours was closed, and now it is this one for good.
        return descriptor::pass_on(opened.into_raw_fd());
    }
    descriptor::duplicate_to(opened.as_raw_fd(), number)
}

fn file(path: &CStr, read: bool, write: Option<Opening>) -> Result<OwnedFd, Errno> {
    let access = match (read, write) {
        (true, Some(_)) => OFlag::O_RDWR,
        (true, None) => OFlag::O_RDONLY,
        (false, _) => OFlag::O_WRONLY,
    };
    let what = match write {
        None => OFlag::empty(),
        Some(Opening::Overwrite) => OFlag::O_CREAT,
        Some(Opening::Append) => OFlag::O_CREAT | OFlag::O_APPEND,
        Some(Opening::Truncate) => OFlag::O_CREAT | OFlag::O_TRUNC,
    };
    let always = OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    // Both ends of a FIFO at once: the program waits for a peer in its own time, and an end of the peer is no end of input.
    let both_ends = || open(path, OFlag::O_RDWR | always, Mode::empty());
    let opened = match open(path, access | what | always, MODE) {
        Ok(opened) if read && write.is_none() && is_fifo(&opened) => both_ends().unwrap_or(opened),
        // A FIFO that nobody reads, or a socket.
        Err(Errno::ENXIO) => both_ends().or_else(|_| connected(path))?,
        other => other?,
    };
    let flags = OFlag::from_bits_truncate(fcntl(&opened, FcntlArg::F_GETFL)?);
    fcntl(&opened, FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK))?;
    Ok(opened)
}

fn is_fifo(file: &OwnedFd) -> bool {
    fstat(file).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO)
}

/// A connection to a socket in the file system: unix(7). `EAGAIN` if its queue is full.
fn connected(path: &CStr) -> Result<OwnedFd, Errno> {
    let address = UnixAddr::new(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let ours = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(ours.as_raw_fd(), &address)?;
    Ok(ours)
}

/// A file in memory that holds these bytes.
fn data(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let file = memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    lseek(&file, 0, Whence::SeekSet)?;
    Ok(file)
}
