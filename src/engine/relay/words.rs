//! The words of glibc for errnos and signals.
//!
//! The programs that we stand in for print strerror(3) and strsignal(3) of the C library that they are built with, and
//! other people's tests look for these words. musl has others for some.
#![forbid(unsafe_code)]

use crate::unit::spec::Signal;

/// Errnos of execve(2), kill(2), fork(2), prctl(2) and the terminal's ioctls, with glibc's words.
const ERRNOS: &[(i32, &str)] = &[
    (1, "Operation not permitted"),
    (2, "No such file or directory"),
    (3, "No such process"),
    (5, "Input/output error"),
    (6, "No such device or address"),
    (7, "Argument list too long"),
    (8, "Exec format error"),
    (9, "Bad file descriptor"),
    (10, "No child processes"),
    (11, "Resource temporarily unavailable"),
    (12, "Cannot allocate memory"),
    (13, "Permission denied"),
    (14, "Bad address"),
    (16, "Device or resource busy"),
    (20, "Not a directory"),
    (21, "Is a directory"),
    (22, "Invalid argument"),
    (23, "Too many open files in system"),
    (24, "Too many open files"),
    (25, "Inappropriate ioctl for device"),
    (26, "Text file busy"),
    (36, "File name too long"),
    (38, "Function not implemented"),
    (40, "Too many levels of symbolic links"),
    (79, "Can not access a needed shared library"),
    (80, "Accessing a corrupted shared library"),
    (116, "Stale file handle"),
    (122, "Disk quota exceeded"),
];

/// strerror(3).
pub fn errno(number: i32) -> String {
    match ERRNOS.iter().find(|(n, _)| *n == number) {
        Some((_, words)) => (*words).to_owned(),
        None => format!("Unknown error {number}"),
    }
}

/// strsignal(3), signals 1 to 31.
const SIGNALS: [&str; 31] = [
    "Hangup",
    "Interrupt",
    "Quit",
    "Illegal instruction",
    "Trace/breakpoint trap",
    "Aborted",
    "Bus error",
    "Floating point exception",
    "Killed",
    "User defined signal 1",
    "Segmentation fault",
    "User defined signal 2",
    "Broken pipe",
    "Alarm clock",
    "Terminated",
    "Stack fault",
    "Child exited",
    "Continued",
    "Stopped (signal)",
    "Stopped",
    "Stopped (tty input)",
    "Stopped (tty output)",
    "Urgent I/O condition",
    "CPU time limit exceeded",
    "File size limit exceeded",
    "Virtual timer expired",
    "Profiling timer expired",
    "Window changed",
    "I/O possible",
    "Power failure",
    "Bad system call",
];

/// strsignal(3).
pub fn signal(signal: Signal) -> String {
    let number = signal.number();
    let place = usize::try_from(number - 1).ok();
    match place.and_then(|at| SIGNALS.get(at)) {
        Some(words) => (*words).to_owned(),
        None if number >= 34 => format!("Real-time signal {}", number - 34),
        None => format!("Unknown signal {number}"),
    }
}
