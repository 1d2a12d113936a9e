//! Memory that need not be ours while we sleep.

use super::signal::{Info, take_signal};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

unsafe extern "C" {
    /// The first byte of the image; named by the linker, see the manual of ld and end(3).
    #[link_name = "__executable_start"]
    static IMAGE_START: u8;
    /// One past the last byte of code; named by the linker, see end(3).
    #[link_name = "etext"]
    static CODE_END: u8;
}

/// Unmaps the pages of our own code. What is needed again comes back from the page cache when it is touched.
///
/// The kernel maps sixteen pages around each that is touched at start, so nearly the whole binary counts
/// as resident although waiting needs a page of it. Called once, before the first long wait, and part of the functions that then wait,
/// so that nothing else is touched in between: with the calls apart, nine such neighbourhoods were back at once.
///
/// See madvise(2). A failure loses nothing.
#[inline(always)]
fn forget_code() {
    let page = 4096;
    let start = (&raw const IMAGE_START).addr() / page * page;
    // Downwards: a page that code shares with what follows it is left alone.
    let end = (&raw const CODE_END).addr() / page * page;
    let start_pointer = (&raw const IMAGE_START).with_addr(start);
    let len = end.saturating_sub(start);
    // SAFETY: from the image's start to the end of its code lie headers, constants and code: mapped from the file,
    // never writable and without relocations (a position-independent image keeps those behind its code), so what is
    // forgotten here reads the same when it is faulted in again, even for the instructions that are running.
    unsafe { libc::syscall(libc::SYS_madvise, start_pointer, len, libc::MADV_DONTNEED) };
}

/// Forgets our code, then sleeps until `fd` is readable or has failed. See poll(2), whose errors these are.
#[inline(never)]
pub fn forget_code_and_poll(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut fds = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    forget_code();
    // SAFETY: one live pollfd is passed; null pointers say that there is no time limit and that the signal mask stays.
    let ready = unsafe {
        libc::syscall(libc::SYS_ppoll, &raw mut fds, 1, ptr::null::<libc::timespec>(), ptr::null::<u64>(), 8)
    };
    Errno::result(ready).map(drop)
}

/// Forgets our code, then takes a signal as [`super::signal::wait_signal`] does, without a time limit.
#[inline(never)]
pub fn forget_code_and_wait_signal(set: u64) -> Result<Info, Errno> {
    let mut info = Info::default();
    forget_code();
    take_signal(set, &mut info, ptr::null())?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn code_that_was_forgotten_runs_on() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        for _ in 0..2 {
            assert_eq!(forget_code_and_poll(reader.as_fd()), Ok(()));
        }
    }
}
