//! What goes into the engine and what comes out of it.
//!
//! An [`Event`] is a fact: it has happened and cannot be refused. An [`Action`] is an order: the host
//! carries it out, and what it yields comes back as a later event.
#![forbid(unsafe_code)]

use super::job::{Client, Verb};
use super::notify::Message;
use super::{Outcome, State};
use crate::unit::spec::{ExecKind, Exit, Signal};

/// A unit of this engine, by its place in the order of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u32);

/// One life of one process that the engine asked for. Numbers are never used twice, so that a late
/// message about one run cannot touch another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub u64);

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The host stands: start what is wanted.
    Boot,
    /// The program of this run is executing.
    Spawned {
        /// The run.
        run: Run,
    },
    /// The program of this run is not executing and nothing of it is left.
    SpawnFailed {
        /// The run.
        run: Run,
        /// Why.
        failure: SpawnFailure,
    },
    /// The process of this run has ended and is reaped.
    Exited {
        /// The run.
        run: Run,
        /// How.
        exit: Exit,
    },
    /// No process is left of those that [`super::Engine::waiting_for_empty`] asked about.
    Emptied {
        /// The unit, or `None` for everything below PID 1.
        unit: Option<UnitId>,
    },
    /// A readiness message, from a process of this unit.
    Notify {
        /// The unit.
        unit: UnitId,
        /// Who sent it.
        from: Sender,
        /// What it says.
        message: Message,
    },
    /// Somebody sent PID 1 a signal.
    Signal {
        /// The signal, never SIGCHLD.
        signal: Signal,
    },
    /// Someone has connected to the listener that the engine holds for this unit.
    Connection {
        /// The unit to be started.
        unit: UnitId,
    },
    /// The host has found the process that [`Action::FindMain`] asked for and counts it as this run from now on: its end
    /// will be told, if it can be learned of.
    MainFound {
        /// The run.
        run: Run,
        /// It is nobody's child of ours, so that its end may pass unnoticed.
        alien: bool,
    },
    /// There is no such process, or none that could be the main one.
    MainNotFound {
        /// The run that it would have been.
        run: Run,
        /// Why, in words.
        reason: String,
        /// No process at all is left of the unit.
        empty: bool,
    },
    /// What [`Action::CheckConditions`] asked for.
    Conditions {
        /// The run that the action bore.
        run: Run,
        /// Every `Condition*=` is met.
        met: bool,
        /// An `Assert*=` is not met. Only counts where the conditions are met.
        assert_failed: bool,
    },
    /// Somebody wants something of a unit.
    Request {
        /// Whom to answer; each answer is one [`Action::Reply`].
        client: Client,
        /// What.
        verb: Verb,
        /// Of which.
        unit: UnitId,
        /// The answer is wanted as soon as it is accepted, and not when it is done.
        no_block: bool,
    },
    /// Time has passed.
    Tick,
}

/// Where a main process is to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// Among the unit's processes: the one that is a child of ours, if there is just one.
    Guess,
    /// In `PIDFile=`, as it is now: the host does not wait for it. It must be a process of the unit, or root's word.
    PidFile,
    /// The service has named it by this number, in `MAINPID=`.
    Pid(u32),
}

/// Why a program is not executing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnFailure {
    /// There is no process: fork(2) or what leads up to it failed with this errno. systemd's `resources`.
    Resources {
        /// The errno.
        errno: i32,
    },
    /// The process failed at a step and ended with that step's exit status of systemd.exec(5).
    Setup {
        /// 200 to 246.
        status: u8,
        /// The errno.
        errno: i32,
    },
}

/// Who sent a readiness message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The process of this run.
    Run(Run),
    /// Another process of the unit.
    Other,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a process. `Spawned` or `SpawnFailed` follows.
    Spawn(Spawn),
    /// Send a signal; to a process that has ended it is no error.
    Signal {
        /// Whose.
        unit: UnitId,
        /// Which of its processes.
        whom: Whom,
        /// The signal.
        signal: Signal,
    },
    /// Look for a main process that we did not start. `MainFound` or `MainNotFound` follows in the next batch.
    FindMain {
        /// Whose.
        unit: UnitId,
        /// What it will be called.
        run: Run,
        /// Where.
        seek: Seek,
    },
    /// Check `Condition*=` and `Assert*=`. `Conditions` follows in the next batch.
    CheckConditions {
        /// Whose.
        unit: UnitId,
        /// What the answer is to bear.
        run: Run,
    },
    /// Answer a client.
    Reply {
        /// Whom.
        client: Client,
        /// What was asked for was done.
        ok: bool,
        /// What there is to say of it; often nothing.
        text: String,
    },
    /// Tell whoever started us: sd_notify(3) assignments, one a line.
    Announce(String),
    /// One decision, for the log.
    Note(Note),
    /// End tinysvc with this status. Always the last action, and only when nobody is left or SIGKILL does not help.
    Exit {
        /// The exit status.
        status: u8,
    },
}

/// A process to be started.
#[derive(Clone, Debug, PartialEq)]
pub struct Spawn {
    /// Whose.
    pub unit: UnitId,
    /// Its number.
    pub run: Run,
    /// Which list of commands.
    pub kind: ExecKind,
    /// Which one of the list.
    pub index: usize,
    /// The main process, for `$MAINPID`.
    pub main: Option<Run>,
    /// `$SERVICE_RESULT` and its like.
    pub environment: Vec<(&'static str, String)>,
    /// The unit whose end has made this one start, for `$MONITOR_INVOCATION_ID`.
    pub monitor: Option<UnitId>,
}

/// Which processes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The process of this run.
    Process(Run),
    /// The process group that the process of this run leads.
    Group(Run),
    /// Every process of the unit but these two.
    Rest {
        /// The main process.
        main: Option<Run>,
        /// The control process.
        control: Option<Run>,
    },
    /// Every process below PID 1, whatever unit it belongs to.
    Everything,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Someone must act.
    Error,
    /// Someone should know.
    Warn,
    /// A unit changed its state.
    Info,
    /// Detail.
    Debug,
}

/// One decision in words, with the facts beside it for a log that machines read.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// How much it matters.
    pub level: Level,
    /// Whose decision it is about; `None` for the system's.
    pub unit: Option<UnitId>,
    /// The sentence, without the unit's name.
    pub text: String,
    /// The state that the unit is in now.
    pub state: Option<State>,
    /// The result so far.
    pub result: Option<Outcome>,
    /// How the process of which the note speaks ended.
    pub exit: Option<Exit>,
}
