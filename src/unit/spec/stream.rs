//! `StandardInput=`, `StandardOutput=`, `StandardError=`: where the three streams of a process lead.
#![forbid(unsafe_code)]

use std::ffi::OsString;

/// `StandardInput=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`.
    Null,
    /// The terminal of `TTYPath=`.
    Terminal(Claim),
    /// What `StandardInputText=` and `StandardInputData=` say.
    Data,
    /// `file:PATH`.
    File(OsString),
    /// `fd:NAME`; without a name it is that of the stream.
    Named(Option<String>),
}

/// How `StandardInput=tty` and its like make the terminal the controlling one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `tty`: if nobody has it.
    Ask,
    /// `tty-force`: whoever has it.
    Force,
    /// `tty-fail`: or there is no start.
    Demand,
}

/// `StandardOutput=` and `StandardError=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Of standard output: our own, or the terminal or descriptor that is standard input. Of standard error:
    /// what standard output is, and our own if that is ours.
    Inherit,
    /// `journal`, `kmsg` and the like, which are the container's own output here.
    Container,
    /// `/dev/null`.
    Null,
    /// The terminal of `TTYPath=`.
    Terminal,
    /// `file:`, `append:`, `truncate:`.
    File(OsString, Opening),
    /// `fd:NAME`; without a name it is that of the stream.
    Named(Option<String>),
}

/// What becomes of what a file has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// `file:`: written over from its beginning.
    Overwrite,
    /// `append:`: kept.
    Append,
    /// `truncate:`: gone.
    Truncate,
}
