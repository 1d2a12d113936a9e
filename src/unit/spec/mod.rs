//! The typed spec: what one service should be, after every layer has spoken.
//!
//! Plain data. Nothing here reads text (that is `unit::value`) and nothing here acts. The engine reads
//! `service`, `kill` and `ours`; the plan reads `exec`. Field names follow the directives; defaults are
//! systemd's, and [`Spec::for_command`] is where one supervised command differs from a unit on a host.
#![forbid(unsafe_code)]

pub mod condition;
mod exit;
mod folder;
mod life;
mod schedule;
mod signal;
mod span;
mod stream;
mod unit;

pub use exit::{Exit, ExitSet, Status, status};
pub use folder::{Credential, CredentialSource, Folder, Folders, Place, Preserve};
pub use life::{ExitType, FailureMode, RestartMode, Type};
pub use schedule::Schedule;
pub use signal::Signal;
pub use span::Span;
pub use stream::{Claim, Input, Opening, Output};
pub use unit::{Install, Relation, UnitSpec};

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

/// One service, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The unit's name with its suffix, such as `web.service`.
    pub name: String,
    /// systemd.unit(5).
    pub unit: UnitSpec,
    /// systemd.service(5) and the start limits of systemd.unit(5).
    pub service: ServiceSpec,
    /// systemd.kill(5).
    pub kill: KillSpec,
    /// systemd.exec(5).
    pub exec: ExecSpec,
    /// `[X-Tinysvc]`: what systemd has no word for.
    pub ours: OursSpec,
}

impl Spec {
    /// systemd's own defaults.
    pub fn new(name: impl Into<String>) -> Spec {
        Spec {
            name: name.into(),
            unit: UnitSpec::default(),
            service: ServiceSpec::default(),
            kill: KillSpec::default(),
            exec: ExecSpec::default(),
            ours: OursSpec::default(),
        }
    }

    /// The defaults for one supervised command.
    ///
    /// Three things differ from a unit on a host. The runtime outside holds the deadline of a stop, so
    /// `TimeoutStopSec` is infinity. A stop asks the main process alone, as every small init does
    /// (`KillMode=mixed`). What is left when it has ended gets SIGTERM and `LingerSec` = 5 s.
    pub fn for_command(name: impl Into<String>) -> Spec {
        let mut spec = Spec::new(name);
        spec.service.timeout_stop = Span::INFINITY;
        spec.kill.mode = KillMode::Mixed;
        spec.ours.linger = Span::from_secs(5);
        spec
    }
}

/// `Restart=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "systemd.service(5), table of Restart=, defines each word")]
pub enum Restart {
    No,
    Always,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    OnAbort,
    OnWatchdog,
}

/// `NotifyAccess=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyAccess {
    /// Nobody is heard, and no socket is offered.
    None,
    /// The main process only.
    Main,
    /// The main process and the Exec*= commands.
    Exec,
    /// Every process of the unit.
    All,
}

/// Which list of commands a command line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the directive Exec* of the same name in systemd.service(5)")]
pub enum ExecKind {
    Condition,
    StartPre,
    Start,
    StartPost,
    Reload,
    Stop,
    StopPost,
}

impl ExecKind {
    /// Every kind, in the order of an activation.
    pub const ALL: [ExecKind; 6] = [
        ExecKind::StartPre,
        ExecKind::Start,
        ExecKind::StartPost,
        ExecKind::Reload,
        ExecKind::Stop,
        ExecKind::StopPost,
    ];

    /// The directive's name, such as `ExecStartPre`.
    pub const fn directive(self) -> &'static str {
        match self {
            ExecKind::Condition => "ExecCondition",
            ExecKind::StartPre => "ExecStartPre",
            ExecKind::Start => "ExecStart",
            ExecKind::StartPost => "ExecStartPost",
            ExecKind::Reload => "ExecReload",
            ExecKind::Stop => "ExecStop",
            ExecKind::StopPost => "ExecStopPost",
        }
    }
}

/// One command line, after syntax and before variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What to execute: a path, or a name to be found.
    pub program: OsString,
    /// The arguments from `argv[0]` on.
    pub argv: Vec<OsString>,
    /// `-`: a failure counts as success.
    pub ignore_failure: bool,
    /// Variables are replaced in the arguments, unless `:` forbids it. The command given after `--` is
    /// taken as it is.
    pub expand: bool,
    /// `+`, `!` or neither.
    pub privilege: Privilege,
    /// Look `program` up as execvp(3) does, in the `PATH` of the environment and with a shell for a script that
    /// lacks its `#!`: for the command given after `--`. Otherwise systemd's fixed search path counts.
    pub from_command_line: bool,
}

/// How much of the sandbox a command line gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// All of it.
    Sandboxed,
    /// `!`: all but the identity (`User=`, `Group=`, `SupplementaryGroups=`) and ambient capabilities.
    NoSetuid,
    /// `+`: none of it.
    Full,
}

/// systemd.service(5) and the start limits of systemd.unit(5).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each field is the directive of the same name")]
pub struct ServiceSpec {
    /// `Type=` as written; see [`ServiceSpec::kind`] for what counts.
    pub kind: Type,
    /// `Type=` was given.
    pub kind_given: bool,
    pub remain_after_exit: bool,
    pub exit_type: ExitType,
    /// `PIDFile=`, absolute.
    pub pid_file: Option<OsString>,
    pub guess_main_pid: bool,
    pub reload_signal: Signal,
    pub commands: BTreeMap<ExecKind, Vec<Command>>,
    pub restart: Restart,
    pub restart_mode: RestartMode,
    pub restart_delay: Span,
    pub restart_steps: u32,
    pub restart_max_delay: Span,
    pub success_exit: ExitSet,
    pub restart_prevent_exit: ExitSet,
    pub restart_force_exit: ExitSet,
    /// `StartLimitIntervalSec=`; zero switches the limit off.
    pub start_limit_interval: Span,
    pub start_limit_burst: u32,
    /// `TimeoutStartSec=`; see [`ServiceSpec::start_patience`] for what counts.
    pub timeout_start: Span,
    /// `TimeoutStartSec=` was given.
    pub timeout_start_given: bool,
    pub timeout_start_failure: FailureMode,
    pub timeout_stop_failure: FailureMode,
    pub timeout_stop: Span,
    /// `TimeoutAbortSec=`; unset means as `TimeoutStopSec=`.
    pub timeout_abort: Option<Span>,
    pub runtime_max: Span,
    /// `NotifyAccess=` as written; see [`ServiceSpec::notify_access`] for what counts.
    pub notify_access: Option<NotifyAccess>,
    /// `WatchdogSec=`; zero is off.
    pub watchdog: Span,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        ServiceSpec {
            kind: Type::Simple,
            kind_given: false,
            remain_after_exit: false,
            exit_type: ExitType::Main,
            pid_file: None,
            guess_main_pid: true,
            reload_signal: Signal::HUP,
            commands: BTreeMap::new(),
            restart: Restart::No,
            restart_mode: RestartMode::Normal,
            restart_delay: Span::from_millis(100),
            restart_steps: 0,
            restart_max_delay: Span::INFINITY,
            success_exit: ExitSet::default(),
            restart_prevent_exit: ExitSet::default(),
            restart_force_exit: ExitSet::default(),
            start_limit_interval: Span::from_secs(10),
            start_limit_burst: 5,
            timeout_start: Span::from_secs(90),
            timeout_start_given: false,
            timeout_start_failure: FailureMode::Terminate,
            timeout_stop_failure: FailureMode::Terminate,
            timeout_stop: Span::from_secs(90),
            timeout_abort: None,
            runtime_max: Span::INFINITY,
            notify_access: None,
            watchdog: Span::ZERO,
        }
    }
}

impl ServiceSpec {
    /// The commands of one kind, in order.
    pub fn commands(&self, kind: ExecKind) -> &[Command] {
        self.commands.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Who is heard: `NotifyAccess=`, or `main` where the type or a watchdog needs it.
    pub fn notify_access(&self) -> NotifyAccess {
        let needed = self.kind.notifies() || self.watchdog != Span::ZERO;
        match self.notify_access {
            None | Some(NotifyAccess::None) if needed => NotifyAccess::Main,
            None => NotifyAccess::None,
            Some(access) => access,
        }
    }
}

/// `KillMode=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillMode {
    /// Every process of the unit gets the signals.
    ControlGroup,
    /// The main process gets the first signal, all get the last.
    Mixed,
    /// The main process only.
    Process,
    /// Nobody.
    None,
}

/// systemd.kill(5).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each field is the directive of the same name")]
pub struct KillSpec {
    pub mode: KillMode,
    pub signal: Signal,
    /// `RestartKillSignal=`; unset means as `KillSignal=`.
    pub restart_signal: Option<Signal>,
    pub final_signal: Signal,
    pub watchdog_signal: Signal,
    pub send_sighup: bool,
    pub send_sigkill: bool,
}

impl Default for KillSpec {
    fn default() -> Self {
        KillSpec {
            mode: KillMode::ControlGroup,
            signal: Signal::TERM,
            restart_signal: None,
            final_signal: Signal::KILL,
            watchdog_signal: Signal::ABRT,
            send_sighup: false,
            send_sigkill: true,
        }
    }
}

/// `[X-Tinysvc]`.
#[derive(Clone, Debug, PartialEq)]
pub struct OursSpec {
    /// `LingerSec=`: how long processes that outlive the main process may take to obey SIGTERM before
    /// SIGKILL, at most `TimeoutStopSec=`. `infinity` leaves it to `TimeoutStopSec=`.
    pub linger: Span,
    /// `DrainSec=`: how long a stop waits, unready, before the first signal.
    pub drain: Span,
    /// `Health=`.
    pub health: Health,
    /// `Sandbox=`.
    pub sandbox: SandboxMode,
    /// `SignalTarget=`: who gets a forwarded signal.
    pub signal_target: SignalTarget,
    /// `StopSignals=`: which signals sent to PID 1 ask for a stop. They are passed on as they are, but for
    /// SIGTERM and SIGRTMIN+3, which become `KillSignal=`.
    pub stop_signals: BTreeSet<Signal>,
    /// `ExitStatusMap=`: exit statuses of tinysvc itself that are replaced at the very end.
    pub exit_status_map: BTreeMap<u8, u8>,
}

impl Default for OursSpec {
    fn default() -> Self {
        // Inserted one by one: `BTreeSet::from` brings a sort, and this runs at every start.
        let mut stop_signals = BTreeSet::new();
        for signal in [Signal::INT, Signal::QUIT, Signal::TERM, Signal::realtime(3)] {
            stop_signals.insert(signal);
        }
        OursSpec {
            linger: Span::INFINITY,
            drain: Span::ZERO,
            health: Health::Default,
            sandbox: SandboxMode::BestEffort,
            signal_target: SignalTarget::Main,
            stop_signals,
            exit_status_map: BTreeMap::new(),
        }
    }
}

/// `Health=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing was said: on at the default address when PID 1 has no systemd above it, and a port in use
    /// is only a warning.
    Default,
    /// `off`.
    Off,
    /// `on`, or an address: a failure to listen there is an error.
    On(std::net::SocketAddr),
}

impl Health {
    /// `[::]:8469`, which takes IPv4 too. T-I-N-Y on a telephone.
    pub const DEFAULT: std::net::SocketAddr =
        std::net::SocketAddr::new(std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 8469);
}

/// `Sandbox=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// Start without what the container does not allow, and warn once a directive.
    BestEffort,
    /// Refuse to start.
    Strict,
}

/// `SignalTarget=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalTarget {
    /// The main process.
    Main,
    /// The main process's process group.
    Group,
}

/// systemd.exec(5). `None` and empty mean that the directive was not given.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the directive of the same name")]
pub struct ExecSpec {
    pub user: Option<String>,
    pub group: Option<String>,
    pub supplementary_groups: Vec<String>,
    pub umask: Option<u32>,
    pub working_directory: Option<WorkingDirectory>,
    /// `Limit*=`, by resource.
    pub limits: BTreeMap<Limit, (u64, u64)>,
    /// −20 to 19.
    pub nice: Option<i32>,
    /// −1000 to 1000.
    pub oom_score_adjust: Option<i32>,
    /// A mask by capability number: what may remain.
    pub capability_bounding_set: Option<u64>,
    /// A mask by capability number.
    pub ambient_capabilities: u64,
    /// `SECBIT_*` of capabilities(7).
    pub secure_bits: u32,
    pub no_new_privileges: Option<bool>,
    pub restrict_address_families: Option<AddressFamilies>,
    pub system_call_filter: Option<CallFilter>,
    /// `SystemCallErrorNumber=`: the errno of a call that the filter denies; unset kills the process.
    pub system_call_errno: Option<i32>,
    pub system_call_architectures: Option<Architectures>,
    /// `Environment=`, later assignments last.
    pub environment: Vec<(OsString, OsString)>,
    /// `EnvironmentFile=`: the path, and whether a missing one is no failure.
    pub environment_files: Vec<(OsString, bool)>,
    pub pass_environment: Vec<String>,
    /// Names, or assignments that are taken away only if the value is the same.
    pub unset_environment: Vec<OsString>,
    pub exec_search_path: Vec<OsString>,
    pub set_login_environment: Option<bool>,
    pub dynamic_user: bool,
    pub standard_input: Option<Input>,
    pub standard_output: Option<Output>,
    pub standard_error: Option<Output>,
    /// `StandardInputText=` and `StandardInputData=`, one after the other.
    pub standard_input_data: Vec<u8>,
    /// `TTYPath=`; unset is `/dev/console`.
    pub tty_path: Option<OsString>,
    /// `*Directory=` and `*DirectoryMode=`, in the order of [`Place::ALL`].
    pub directories: [Folders; 5],
    pub runtime_directory_preserve: Preserve,
    /// `LoadCredential=` and `SetCredential=`.
    pub credentials: Vec<Credential>,
    pub ignore_sigpipe: Option<bool>,
    /// A mask: core(5).
    pub coredump_filter: Option<u32>,
    pub schedule: Schedule,
}

/// `WorkingDirectory=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingDirectory {
    /// The path, or `None` for `~`.
    pub path: Option<OsString>,
    /// `-`: a missing one is no failure.
    pub missing_ok: bool,
}

/// A resource of getrlimit(2); `RLIM_INFINITY` is `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is RLIMIT_* of the same name in getrlimit(2)")]
pub enum Limit {
    Cpu,
    Fsize,
    Data,
    Stack,
    Core,
    Rss,
    Nofile,
    As,
    Nproc,
    Memlock,
    Locks,
    Sigpending,
    Msgqueue,
    Nice,
    Rtprio,
    Rttime,
}

/// `RestrictAddressFamilies=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFamilies {
    /// `~`: `families` is what is refused, not what is left.
    pub deny: bool,
    /// `AF_*` numbers of address_families(7).
    pub families: BTreeSet<i32>,
}

/// `SystemCallFilter=`. A filter that refuses (`deny`) no call refuses nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// `~` came first: `calls` is what is refused, not what is left.
    pub deny: bool,
    /// System calls of this machine by name, each with the errno of `name:errno` if it was written so: 0 to 4095,
    /// or [`CallFilter::KILL`].
    pub calls: BTreeMap<String, Option<i32>>,
}

impl CallFilter {
    /// `name:kill`: the call ends the process, whatever `SystemCallErrorNumber=` says.
    pub const KILL: i32 = -1;
}

/// `SystemCallArchitectures=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architectures {
    /// Only this machine's own.
    Native,
}
