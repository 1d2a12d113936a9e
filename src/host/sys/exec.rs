//! Executing a program without allocating, for a child that shares its parent's memory.

use nix::errno::Errno;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr;

/// A list of C strings as execve(2) wants it, closed by a null pointer.
pub struct Words<'a> {
    /// Each points to a string that lives for `'a`, but for the last, which is null.
    pointers: Vec<*const c_char>,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Words<'a> {
    /// The strings in order.
    pub fn new(words: impl Iterator<Item = &'a CStr>) -> Words<'a> {
        let pointers = words.map(CStr::as_ptr).chain([ptr::null()]).collect();
        Words { pointers, strings: PhantomData }
    }

    /// All of a slice.
    pub fn of(words: &'a [CString]) -> Words<'a> {
        Words::new(words.iter().map(CString::as_c_str))
    }

    /// Puts another string in the place of the one at `at`; no such place is no change.
    pub fn set(&mut self, at: usize, word: &'a CStr) {
        // The last one must stay null.
        if let Some((_, words)) = self.pointers.split_last_mut()
            && let Some(slot) = words.get_mut(at)
        {
            *slot = word.as_ptr();
        }
    }
}

/// Becomes the program at `path`. It returns only if that failed, and why.
///
/// `ENOENT`, `EACCES`, `ENOTDIR` and `ENOEXEC` are what a search must expect: execve(2).
pub fn execve(path: &CStr, argv: &Words<'_>, env: &Words<'_>) -> Errno {
    // SAFETY: `path` is a C string; both lists are null-terminated arrays of pointers to live C strings, which is
    // the invariant of `Words`. The call only reads them.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), env.pointers.as_ptr()) };
    Errno::last()
}

/// Becomes the program that the descriptor `image` is open on. It returns only if that failed, and why.
///
/// `ENOENT` for a script whose descriptor is close-on-exec: execveat(2).
pub fn execveat(image: i32, argv: &Words<'_>, env: &Words<'_>) -> Errno {
    // musl has no wrapper for this call, so it goes through syscall(2).
    //
    // SAFETY: as for `execve`; the path is an empty C string, and a bad descriptor is only an error.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            image,
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            env.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}
