//! The steps from a new process to its program, and the one order they stand in.
#![forbid(unsafe_code)]

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are explained where they are applied, in launch::apply")]
pub enum Step {
    Session,
    Signals,
    Nice,
    OomScore,
    Limits,
    Umask,
    BoundingSet,
    Groups,
    User,
    Capabilities,
    WorkingDirectory,
    NoNewPrivileges,
    Filters,
    Exec,
}
