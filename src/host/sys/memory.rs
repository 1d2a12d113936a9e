//! Memory that need not be ours while we sleep.

use nix::errno::Errno;
use nix::poll::PollFd;
use std::ptr;

unsafe extern "C" {
    /// The first byte of the image; named by the linker, see the manual of ld and end(3).
    #[link_name = "__executable_start"]
    static IMAGE_START: u8;
    /// One past the last byte of code; named by the linker, see end(3).
    #[link_name = "etext"]
    static CODE_END: u8;
}

/// Unmaps the pages of our own code and sleeps until one of `fds` is ready, without a time limit.
///
/// The kernel maps sixteen pages around each that is touched at start, so nearly the whole binary counts
/// as resident although waiting needs a page of it. What is needed again comes back from the page cache when it is
/// touched. Called once, before the first long wait. It is one function, so that nothing else is touched between the two calls:
/// with them apart, nine such neighbourhoods were back at once.
///
/// See madvise(2), whose failure loses nothing, and poll(2), whose errors these are; `EINTR` among them. Returns how many
/// are ready.
#[inline(never)]
pub fn forget_code_and_wait(fds: &mut [PollFd<'_>]) -> Result<usize, Errno> {
    let page = 4096;
    let start = (&raw const IMAGE_START).addr() / page * page;
    // Downwards: a page that code shares with what follows it is left alone.
    let end = (&raw const CODE_END).addr() / page * page;
    let start_pointer = (&raw const IMAGE_START).with_addr(start);
    let len = end.saturating_sub(start);
    let (fds_pointer, count, none) = (fds.as_mut_ptr(), fds.len(), ptr::null::<libc::timespec>());
    // SAFETY: from the image's start to the end of its code lie headers, constants and code: mapped from the file,
    // never writable and without relocations (a position-independent image keeps those behind its code), so what is
    // forgotten here reads the same when it is faulted in again, even for the instructions that are running.
    unsafe { libc::syscall(libc::SYS_madvise, start_pointer, len, libc::MADV_DONTNEED) };
    // SAFETY: `PollFd` is a transparent `struct pollfd`, and `count` of them are borrowed for the call; null pointers
    // say that there is no time limit and that the signal mask stays.
    let ready = unsafe { libc::syscall(libc::SYS_ppoll, fds_pointer, count, none, ptr::null::<u64>(), 8) };
    Errno::result(ready).map(|n| n.unsigned_abs() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::PollFlags;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn code_that_was_forgotten_runs_on() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        for _ in 0..2 {
            let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            assert_eq!(forget_code_and_wait(&mut fds), Ok(1));
            assert_eq!(fds[0].revents(), Some(PollFlags::POLLIN));
        }
    }
}
