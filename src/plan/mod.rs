//! What must the child be? A spec and what this container allows in, a plan out.
//!
//! Pure: users are looked up and paths are joined here, but nothing is changed and no process exists yet.
//! `launch` carries the plan out in a child, where it must not fail for want of a decision. A plan is
//! compiled once for an activation and reused by its restarts.
#![forbid(unsafe_code)]

mod capability;
mod compile;
pub mod environment;
pub mod facility;
mod filter;
pub mod folder;
mod identity;
mod role;
mod schedule;
mod step;
mod stream;
mod users;
pub mod variables;

pub use compile::{Compiled, Enforcement, Holding, Manner, PlanError, Surroundings, compile};
pub use facility::Facility;
pub use role::role_plan;
pub use step::Step;

use crate::unit::spec::{Opening, Status};
use std::ffi::{CString, OsString};

/// Everything that a child does between its birth and its program, decided beforehand.
///
/// Every field is one [`Step`] or part of one; `None` and empty mean that the step does nothing. The
/// steps run in the order of [`Step::ORDER`]. Only `folders` and `credentials` are made before, in the parent, since that
/// takes memory and time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Folders that are to be there, made in this order.
    pub folders: Vec<Folder>,
    /// The folder of the credentials.
    pub credentials: Option<Credentials>,
    /// Descriptors to be passed on: ours, and the number that the child knows it by. Numbers may overlap.
    /// Every other descriptor below is left as it is: what was born close-on-exec goes, the rest stays.
    pub descriptors: Vec<(i32, i32)>,
    /// Standard input, output and error.
    pub streams: [Stream; 3],
    /// What is executed, tried in order as execvp(3) tries the folders of `PATH`.
    pub programs: Vec<CString>,
    /// A descriptor of the program, executed in place of `programs` by execveat(2). Needs no `/proc`.
    pub image: Option<i32>,
    /// The arguments, from `argv[0]`.
    pub argv: Vec<CString>,
    /// The environment as `NAME=value`. A `LISTEN_PID=` among it is rewritten by the child if it names us.
    pub env: Vec<CString>,
    /// Places in `env` of variables to which the child's pid is added: `SYSTEMD_EXEC_PID=`.
    pub own_pid: Vec<usize>,
    /// Leave `LISTEN_PID=` as it is.
    pub keep_listen_pid: bool,
    /// Run a file without a header the kernel knows by `/bin/sh`, as execvp(3) does.
    pub shell_fallback: bool,
    /// The child's place among sessions and process groups.
    pub session: Session,
    /// The signal state that the program starts with.
    pub signals: SignalState,
    /// `Limit*=`: the number of the resource in setrlimit(2), soft, hard.
    pub limits: Vec<(u32, u64, u64)>,
    /// `Nice=`.
    pub nice: Option<i32>,
    /// The policies of processor and disk, and the like.
    pub scheduling: Option<Scheduling>,
    /// `CoredumpFilter=`.
    pub core_filter: Option<u32>,
    /// `OOMScoreAdjust=`.
    pub oom_score_adjust: Option<i32>,
    /// `UMask=`.
    pub umask: Option<u32>,
    /// Capability numbers to be dropped from the bounding set.
    pub bounding_drop: Vec<u8>,
    /// `setgroups(2)`, `setresgid(2)`, `setresuid(2)`.
    pub identity: Option<Identity>,
    /// The capability sets that the program starts from; `None` leaves them alone.
    pub capabilities: Option<Capabilities>,
    /// `WorkingDirectory=`: the path and whether a missing one is forgiven.
    pub working_directory: Option<(CString, bool)>,
    /// `NoNewPrivileges=`, or implied by a filter.
    pub no_new_privileges: bool,
    /// Take the file system away by landlock(7): no file can be opened, made or executed any more, but `image`.
    pub landlock: bool,
    /// Seccomp programs, installed in this order.
    pub filters: Vec<Filter>,
}

/// One of standard input, output and error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    /// Ours.
    #[default]
    Keep,
    /// `/dev/null`.
    Null,
    /// A file, opened so that nothing has to wait; made if it is to be written and missing.
    File {
        /// Its path.
        path: CString,
        /// Whether it is read.
        read: bool,
        /// Whether it is written, and what becomes of what is in it.
        write: Option<Opening>,
    },
    /// These bytes, to be read.
    Data(Vec<u8>),
    /// The same as the descriptor that the child knows by this number.
    Copy(i32),
}

/// A folder that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path. What is missing above it is made as root's, with 0755.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// The user and group that it and all below it belong to; [`folder::UNCHANGED`] for either.
    pub owner: (u32, u32),
    /// One that is there already is left as it is.
    pub keep: bool,
    /// Symbolic links to be there as well: the path and what it holds.
    pub links: Vec<(String, String)>,
    /// systemd's exit status if it cannot be made.
    pub status: Status,
}

/// The folder of a unit's credentials, for its own user alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its path.
    pub path: String,
    /// The user and group who may read it.
    pub owner: (u32, u32),
    /// Each file's name, and where its content may come from: the first origin that there is.
    pub files: Vec<(String, Vec<Origin>)>,
}

/// Where a credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file or a folder of files, read when the service starts. Without a `/` before it: see
    /// [`crate::unit::spec::CredentialSource::Load`].
    File(OsString),
    /// These bytes.
    Text(Vec<u8>),
}

/// How the kernel schedules a process. `None` and empty: as its parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// Policy, priority, and whether children get the ordinary one: sched_setscheduler(2).
    pub policy: Option<(i32, i32, bool)>,
    /// Class and priority in one number: ioprio_set(2).
    pub io: Option<i32>,
    /// In nanoseconds: PR_SET_TIMERSLACK(2const).
    pub timer_slack: Option<u64>,
    /// A bit for each processor: sched_setaffinity(2).
    pub affinity: Vec<u64>,
    /// personality(2).
    pub personality: Option<u32>,
}

/// One seccomp program.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// systemd's exit status if it cannot be installed (`SECCOMP`, `ADDRESS_FAMILIES`).
    pub status: u8,
    /// The instructions, in the kernel's form.
    pub program: Vec<Instruction>,
}

/// A `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields of struct sock_filter")]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// The signal state of a new program. Bit n−1 of a mask is signal n, as in `/proc/self/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalState {
    /// The blocked signals.
    pub mask: u64,
    /// Signals whose disposition is put back to the default.
    pub default: u64,
    /// Signals whose disposition is put back to ignored.
    pub ignore: u64,
}

/// The child's place among sessions and process groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// A process group of its own in our session.
    #[default]
    Group,
    /// As `Group`, and in the foreground of the controlling terminal.
    Foreground,
    /// A session of its own, without a terminal.
    New,
    /// A session of its own that takes the terminal on standard input as its controlling one, if there is one.
    NewWithTerminal,
    /// As `NewWithTerminal`, and takes it from whoever has it.
    NewTakingTerminal,
    /// As `NewWithTerminal`, and fails if it is another's.
    NewOnlyWithTerminal,
    /// Our own group and session.
    Inherit,
}

/// Whom the child becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The supplementary groups, or `None` to leave them.
    pub groups: Option<Vec<u32>>,
    /// Real, effective and saved group id.
    pub gid: Option<u32>,
    /// Real, effective and saved user id.
    pub uid: Option<u32>,
}

/// The capability sets of capabilities(7), as masks by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Kept in the permitted and effective sets until the program is executed, which computes them anew.
    /// It must be part of the permitted set that the child is born with.
    pub keep: u64,
    /// The inheritable set.
    pub inheritable: u64,
    /// Raised in the ambient set; part of `keep` and of `inheritable`.
    pub ambient: u64,
    /// `SECBIT_*`, or `None` to leave them.
    pub secure_bits: Option<u32>,
}
