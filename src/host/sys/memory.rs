//! Memory that need not be ours while we sleep.

use nix::errno::Errno;

unsafe extern "C" {
    /// The first byte of the image; named by the linker, see the manual of ld and end(3).
    #[link_name = "__executable_start"]
    static IMAGE_START: u8;
    /// One past the last byte of code; named by the linker, see end(3).
    #[link_name = "etext"]
    static CODE_END: u8;
}

/// Unmaps the pages of our own code; those that are needed again come back from the page cache when they are touched.
///
/// The kernel maps sixteen pages around each that is touched at start, so nearly the whole binary counts
/// as resident although waiting for events needs a few pages of it. Called once, before the first long wait:
/// it halves what an idle PID 1 is charged for and costs one call and a few minor faults.
///
/// See madvise(2). Fails with `EINVAL` if the pages are locked or larger than 4096 bytes; nothing is lost by that.
pub fn forget_code() -> Result<(), Errno> {
    let page = 4096;
    let start = (&raw const IMAGE_START).addr() / page * page;
    // Downwards: a page that code shares with what follows it is left alone.
    let end = (&raw const CODE_END).addr() / page * page;
    let start_pointer = (&raw const IMAGE_START).with_addr(start).cast_mut().cast();
    // SAFETY: from the image's start to the end of its code lie headers, constants and code: mapped from the file,
    // never writable and without relocations (a position-independent image keeps those behind its code), so what is
    // forgotten here reads the same when it is faulted in again, even for the instructions that are running.
    let done = unsafe { libc::madvise(start_pointer, end.saturating_sub(start), libc::MADV_DONTNEED) };
    Errno::result(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_forgotten_runs_on() {
        assert_eq!(forget_code(), Ok(()));
        assert_eq!(forget_code(), Ok(()), "and again, by code that was just forgotten");
    }
}
