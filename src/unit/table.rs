//! THE table of directives. The parser, the flags, the variables, `show`, `help` and docs/directives.md are
//! read off it.
//!
//! A new directive is one row and its use. Those that nothing here acts on stand in [`OTHERS`], grouped by
//! the reason. The documentation is in our own words; systemd's manual pages are the authority.
#![forbid(unsafe_code)]

use super::complaint::Problem;
use super::directive::{Access, Directive, Own, Reading, Verdict, Words};
use super::life::*;
use super::nearest::nearest;
use super::own::*;
use super::own_environment::*;
use super::own_execution::*;
use super::spec::{
    ExecKind, ExitType, FailureMode, KillMode, Limit, NotifyAccess, Place, Restart, RestartMode, SandboxMode,
    SignalTarget, Spec,
};
use super::syntax::Section;
use super::value::command;

/// One of a few words for a field that can be compared.
macro_rules! words {
    ($($field:ident).+: $($word:literal => $value:expr),+ $(,)?) => {
        Access::Word(Words {
            words: &[$($word),+],
            get: |spec| [$($value),+].iter().position(|value| *value == spec.$($field).+),
            set: |spec, at| {
                if let Some(value) = [$($value),+].into_iter().nth(at) {
                    spec.$($field).+ = value;
                }
            },
            reset: |spec, default| spec.$($field).+ = default.$($field).+,
        })
    };
}

/// A directive with a syntax of its own; without `reset`, `set` knows what an empty value means.
const fn own(
    set: fn(&mut Spec, &str, &mut Reading<'_>) -> Result<(), Problem>,
    show: fn(&Spec) -> Vec<String>,
    reset: Option<fn(&mut Spec, &Spec)>,
) -> Access {
    Access::Own(Own { set, show, reset })
}

/// `*Directory=` and `*DirectoryMode=` of one place.
macro_rules! folders {
    ($place:ident) => {
        own(
            |spec, value, reading| set_folders(spec, Place::$place, value, reading),
            |spec| show_folders(spec, Place::$place),
            None,
        )
    };
    ($place:ident mode) => {
        own(
            |spec, value, _| set_folder_mode(spec, Place::$place, value),
            |spec| show_folder_mode(spec, Place::$place),
            Some(|spec, _| reset_folder_mode(spec, Place::$place)),
        )
    };
}

/// A row that does what the manual says.
macro_rules! row {
    ($section:ident $name:literal, $access:expr, $allowed:expr, $doc:literal) => {
        row!($section $name, $access, $allowed, $doc, Verdict::Enforced)
    };
    ($section:ident $name:literal, $access:expr, $allowed:expr, $doc:literal, $verdict:expr) => {
        Directive {
            name: $name,
            section: Section::$section,
            allowed: $allowed,
            doc: $doc,
            verdict: $verdict,
            access: $access,
        }
    };
}

const TIME: &str = "a time span such as 90, 1min 30s, 500ms, infinity";
const BOOLEAN: &str = "yes or no";
const SIGNAL: &str = "a signal such as SIGTERM, USR1, RTMIN+3, 15";
const COMMAND: &str = "a command line; prefixes - @ : + ! may stand before it";
const EXITS: &str = "exit statuses (0 to 255, TEMPFAIL) and signals (SIGKILL)";
const COUNT: &str = "a number from 0 to 4294967295";
const CAPABILITIES: &str = "names such as CAP_NET_RAW; ~ before them: all but these";
const BYTES: &str = "a size such as 64M, or soft:hard, or infinity";
const NUMBER: &str = "a number, or soft:hard, or infinity";
const OUTPUT: &str = "inherit, null, tty, journal, kmsg, file:PATH, append:PATH, truncate:PATH, fd:NAME";
const TO_CONTAINER: Verdict =
    Verdict::Emulated("journal, syslog and kmsg are the container's own output, which its runtime keeps");
const FOLDERS: &str = "relative paths with white space between, each with :LINK if need be";
const MODE: &str = "an octal number up to 7777";

/// Every directive that lands in the spec, in the order that `show` prints.
pub static DIRECTIVES: &[Directive] = &[
    row!(Unit "StartLimitIntervalSec", Access::Time(|s| &mut s.service.start_limit_interval), TIME,
        "Within this time at most StartLimitBurst= starts happen; 0 switches the limit off."),
    row!(Unit "StartLimitBurst", Access::Count(|s| &mut s.service.start_limit_burst), COUNT,
        "How many starts may happen within StartLimitIntervalSec= before tinysvc gives up."),
    row!(Service "Type", own(set_type, show_type, Some(reset_type)),
        "simple, exec, forking, oneshot, dbus, notify, notify-reload, idle",
        "When the service counts as started: at the fork, at the exec, when what was started has left the \
        service behind, when all of it has ended, or when it says READY=1.",
        Verdict::Emulated("there is no bus, so dbus is simple; idle waits for nothing")),
    row!(Service "ExitType",
        words!(service.exit_type: "main" => ExitType::Main, "cgroup" => ExitType::Cgroup), "main, cgroup",
        "Whether the service ends with its main process or with its last one.",
        Verdict::Emulated("the processes below tinysvc stand for the control group")),
    row!(Service "RemainAfterExit", Access::Flag(|s| &mut s.service.remain_after_exit), BOOLEAN,
        "The service stays up when its processes have ended well."),
    row!(Service "GuessMainPID", Access::Flag(|s| &mut s.service.guess_main_pid), BOOLEAN,
        "With Type=forking and no PIDFile=: if one process is left, it is the main one."),
    row!(Service "PIDFile", own(set_pid_file, show_pid_file, Some(|s, _| s.service.pid_file = None)),
        "a path; below /run if it is not absolute",
        "With Type=forking: where the service leaves the number of its main process."),
    row!(Service "NotifyAccess",
        words!(service.notify_access: "none" => Some(NotifyAccess::None),
            "main" => Some(NotifyAccess::Main), "exec" => Some(NotifyAccess::Exec),
            "all" => Some(NotifyAccess::All)), "none, main, exec, all",
        "Whose readiness messages are heard. Unset: main where Type=notify or WatchdogSec= needs it."),
    row!(Service "ExecCondition", Access::Commands(ExecKind::Condition), COMMAND,
        "Runs before all else; a status from 1 to 254 skips the start, any other failure fails it."),
    row!(Service "ExecStartPre", Access::Commands(ExecKind::StartPre), COMMAND,
        "Runs before ExecStart=; a failure ends the start."),
    row!(Service "ExecStart", Access::Commands(ExecKind::Start), COMMAND,
        "The service itself. The program after -- on the command line takes its place."),
    row!(Service "ExecStartPost", Access::Commands(ExecKind::StartPost), COMMAND,
        "Runs once the service has started."),
    row!(Service "ExecReload", Access::Commands(ExecKind::Reload), COMMAND,
        "Runs when tinysvc gets SIGHUP. Unset: SIGHUP is passed on."),
    row!(Service "ExecStop", Access::Commands(ExecKind::Stop), COMMAND,
        "Runs to stop the service, before any signal."),
    row!(Service "ExecStopPost", Access::Commands(ExecKind::StopPost), COMMAND,
        "Runs after the service has ended, however it did."),
    row!(Service "Restart",
        words!(service.restart: "no" => Restart::No, "always" => Restart::Always,
            "on-success" => Restart::OnSuccess, "on-failure" => Restart::OnFailure,
            "on-abnormal" => Restart::OnAbnormal, "on-abort" => Restart::OnAbort,
            "on-watchdog" => Restart::OnWatchdog),
        "no, always, on-success, on-failure, on-abnormal, on-abort, on-watchdog",
        "After which endings the service is started again."),
    row!(Service "RestartMode",
        words!(service.restart_mode: "normal" => RestartMode::Normal, "direct" => RestartMode::Direct,
            "debug" => RestartMode::Debug), "normal, direct, debug",
        "Whether others hear that the service was down between two starts; debug also sets \
        DEBUG_INVOCATION=1."),
    row!(Service "RestartSec", Access::Time(|s| &mut s.service.restart_delay), TIME,
        "How long a restart waits."),
    row!(Service "RestartSteps", Access::Count(|s| &mut s.service.restart_steps), COUNT,
        "In how many restarts the wait grows from RestartSec= to RestartMaxDelaySec=; 0 keeps it."),
    row!(Service "RestartMaxDelaySec", Access::Time(|s| &mut s.service.restart_max_delay), TIME,
        "The longest wait before a restart."),
    row!(Service "SuccessExitStatus", Access::Exits(|s| &mut s.service.success_exit), EXITS,
        "Endings that count as success, besides 0, SIGHUP, SIGINT, SIGTERM and SIGPIPE."),
    row!(Service "RestartPreventExitStatus", Access::Exits(|s| &mut s.service.restart_prevent_exit), EXITS,
        "Endings after which there is no restart, whatever else is said."),
    row!(Service "RestartForceExitStatus", Access::Exits(|s| &mut s.service.restart_force_exit), EXITS,
        "Endings after which there is a restart, whatever Restart= says."),
    row!(Service "TimeoutStartSec",
        own(set_timeout_start, show_timeout_start, Some(reset_timeout_start)), TIME,
        "How long a start may take; 0 and infinity are no limit, and a oneshot has none by default."),
    row!(Service "TimeoutStopSec", Access::Time(|s| &mut s.service.timeout_stop), TIME,
        "How long a stop may take before SIGKILL; 0 and infinity are no limit. The runtime outside has a \
        deadline of its own, so there is none by default."),
    row!(Service "TimeoutSec", own(set_timeouts, |_| Vec::new(), Some(reset_timeouts)), TIME,
        "TimeoutStartSec= and TimeoutStopSec= in one."),
    row!(Service "TimeoutStartFailureMode",
        words!(service.timeout_start_failure: "terminate" => FailureMode::Terminate,
            "abort" => FailureMode::Abort, "kill" => FailureMode::Kill), "terminate, abort, kill",
        "What a start that takes too long gets first: KillSignal=, WatchdogSignal= or FinalKillSignal=."),
    row!(Service "TimeoutStopFailureMode",
        words!(service.timeout_stop_failure: "terminate" => FailureMode::Terminate,
            "abort" => FailureMode::Abort, "kill" => FailureMode::Kill), "terminate, abort, kill",
        "What a stop that takes too long gets next: KillSignal=, WatchdogSignal= or FinalKillSignal=."),
    row!(Service "TimeoutAbortSec", Access::MaybeTime(|s| &mut s.service.timeout_abort), TIME,
        "How long a service that missed its watchdog may take to die. Unset: as TimeoutStopSec=."),
    row!(Service "RuntimeMaxSec", Access::Time(|s| &mut s.service.runtime_max), TIME,
        "How long the service may run before it is stopped as a failure."),
    row!(Service "WatchdogSec", Access::Time(|s| &mut s.service.watchdog), TIME,
        "The service must say WATCHDOG=1 at least this often; 0 switches the watchdog off."),
    row!(Service "KillMode",
        words!(kill.mode: "control-group" => KillMode::ControlGroup, "mixed" => KillMode::Mixed,
            "process" => KillMode::Process, "none" => KillMode::None),
        "control-group, mixed, process, none",
        "Who gets the signals of a stop. For one command the default is mixed: first the main process, at \
        last all.", Verdict::Emulated("the processes below tinysvc stand for the control group")),
    row!(Service "KillSignal", Access::Signal(|s| &mut s.kill.signal), SIGNAL,
        "The first signal of a stop."),
    row!(Service "RestartKillSignal",
        own(set_restart_signal, show_restart_signal, Some(|s, _| s.kill.restart_signal = None)), SIGNAL,
        "The first signal of a stop that a start follows. Unset: as KillSignal=."),
    row!(Service "ReloadSignal", Access::Signal(|s| &mut s.service.reload_signal), SIGNAL,
        "With Type=notify-reload: what asks the service to reload."),
    row!(Service "FinalKillSignal", Access::Signal(|s| &mut s.kill.final_signal), SIGNAL,
        "The last signal of a stop."),
    row!(Service "WatchdogSignal", Access::Signal(|s| &mut s.kill.watchdog_signal), SIGNAL,
        "What a service gets that missed its watchdog."),
    row!(Service "SendSIGHUP", Access::Flag(|s| &mut s.kill.send_sighup), BOOLEAN,
        "SIGHUP follows KillSignal= at once."),
    row!(Service "SendSIGKILL", Access::Flag(|s| &mut s.kill.send_sigkill), BOOLEAN,
        "A stop ends with FinalKillSignal=."),
    row!(Service "Environment",
        own(set_environment, |s| s.exec.environment.iter().map(command::show_variable).collect(), None),
        "NAME=VALUE, several with white space between, quoted if need be",
        "Variables for the service, besides the container's own, which it inherits.",
        Verdict::Emulated("the container's environment is inherited, where systemd starts from an empty one")),
    row!(Service "EnvironmentFile", own(set_environment_file, show_environment_file, None),
        "an absolute path, with - before it if it may be missing; may be a pattern",
        "A file of NAME=VALUE lines that is read before each command; it wins over Environment=."),
    row!(Service "PassEnvironment", own(set_pass_environment, |s| joined(&s.exec.pass_environment), None),
        "names of variables", "Variables that the service gets from those of tinysvc.",
        Verdict::Emulated("one command gets them all, a unit all but those that speak of whoever started tinysvc")),
    row!(Service "UnsetEnvironment", own(set_unset_environment, show_unset_environment, None),
        "names of variables, or NAME=VALUE", "Variables that the service does not get, whoever says so."),
    row!(Service "ExecSearchPath", own(set_search_path, show_search_path, None),
        "absolute folders with : between",
        "Where programs are looked for that are named without a slash; sets $PATH."),
    row!(Service "SetLoginEnvironment", Access::MaybeFlag(|s| &mut s.exec.set_login_environment), BOOLEAN,
        "Whether HOME, LOGNAME and SHELL are set. Unset: with User= only."),
    row!(Service "WorkingDirectory",
        own(set_working_directory, show_working_directory, Some(|s, _| s.exec.working_directory = None)),
        "an absolute path, or ~ for the home of User=; - before it: a missing one is no failure",
        "Where the service starts. Unset: where tinysvc was started."),
    row!(Service "User", Access::Name(|s| &mut s.exec.user), "a name or a number",
        "As whom the service runs."),
    row!(Service "Group", Access::Name(|s| &mut s.exec.group), "a name or a number",
        "The service's group. Unset: that of User=."),
    row!(Service "SupplementaryGroups", own(set_groups, |s| joined(&s.exec.supplementary_groups), None),
        "names or numbers", "More groups of the service."),
    row!(Service "UMask", own(set_umask, show_umask, Some(|s, _| s.exec.umask = None)),
        "an octal number up to 7777",
        "Permissions that new files do not get. Unset: as tinysvc was started."),
    row!(Service "Nice", Access::Bounded(|s| &mut s.exec.nice, -20, 19), "a number from -20 to 19",
        "The priority; lower is more."),
    row!(Service "OOMScoreAdjust", Access::Bounded(|s| &mut s.exec.oom_score_adjust, -1000, 1000),
        "a number from -1000 to 1000",
        "Whom the kernel kills first when memory runs out; higher is sooner."),
    row!(Service "LimitCPU", Access::Limit(Limit::Cpu), "a time span in seconds, or soft:hard, or infinity",
        "Processor time of a process."),
    row!(Service "LimitFSIZE", Access::Limit(Limit::Fsize), BYTES, "The largest file that may be written."),
    row!(Service "LimitDATA", Access::Limit(Limit::Data), BYTES, "The largest data segment."),
    row!(Service "LimitSTACK", Access::Limit(Limit::Stack), BYTES, "The largest stack."),
    row!(Service "LimitCORE", Access::Limit(Limit::Core), BYTES, "The largest core dump."),
    row!(Service "LimitRSS", Access::Limit(Limit::Rss), BYTES,
        "The resident set; Linux does not enforce it."),
    row!(Service "LimitNOFILE", Access::Limit(Limit::Nofile), NUMBER, "How many descriptors may be open."),
    row!(Service "LimitAS", Access::Limit(Limit::As), BYTES, "The largest address space."),
    row!(Service "LimitNPROC", Access::Limit(Limit::Nproc), NUMBER,
        "How many processes the user may have."),
    row!(Service "LimitMEMLOCK", Access::Limit(Limit::Memlock), BYTES, "Memory that may be locked."),
    row!(Service "LimitLOCKS", Access::Limit(Limit::Locks), NUMBER, "How many locks may be held."),
    row!(Service "LimitSIGPENDING", Access::Limit(Limit::Sigpending), NUMBER,
        "How many signals may be queued."),
    row!(Service "LimitMSGQUEUE", Access::Limit(Limit::Msgqueue), BYTES, "Bytes in POSIX message queues."),
    row!(Service "LimitNICE", Access::Limit(Limit::Nice),
        "a level with its sign from -20 to +19, or 0 to 40 as the kernel counts",
        "How far the priority may be raised."),
    row!(Service "LimitRTPRIO", Access::Limit(Limit::Rtprio), NUMBER, "The highest real-time priority."),
    row!(Service "LimitRTTIME", Access::Limit(Limit::Rttime),
        "a time span in microseconds, or soft:hard, or infinity",
        "Processor time without a pause under real-time scheduling."),
    row!(Service "CapabilityBoundingSet", own(set_bounding, show_bounding, None), CAPABILITIES,
        "The only capabilities that the service can ever have."),
    row!(Service "AmbientCapabilities", own(set_ambient, show_ambient, None), CAPABILITIES,
        "Capabilities that the service has even as an ordinary user."),
    row!(Service "SecureBits", own(set_secure_bits, show_secure_bits, None),
        "keep-caps, no-setuid-fixup, noroot, each also with -locked",
        "What root means to the kernel (capabilities(7))."),
    row!(Service "NoNewPrivileges", Access::MaybeFlag(|s| &mut s.exec.no_new_privileges), BOOLEAN,
        "No program gives the service more rights than it has."),
    row!(Service "RestrictAddressFamilies", own(set_families, show_families, None),
        "names such as AF_INET, or none; ~ before them: all but these",
        "Which sockets the service can make. Whatever would get round it (io_uring, other ABIs) is \
        refused too."),
    row!(Service "SystemCallFilter", own(set_call_filter, show_call_filter, None),
        "names of system calls, each with :ERRNO or :kill if need be; ~ before them: all but these",
        "Which system calls the service can make.",
        Verdict::Emulated("groups (@name) come later: a list with one is not enforced, and the start says so")),
    row!(Service "SystemCallErrorNumber",
        own(set_call_errno, show_call_errno, Some(|s, _| s.exec.system_call_errno = None)),
        "an errno such as EPERM, or kill",
        "What a refused system call returns. Unset: it kills the process."),
    row!(Service "SystemCallArchitectures",
        own(set_architectures, show_architectures, Some(|s, _| s.exec.system_call_architectures = None)),
        "native", "System calls of other ABIs (i386, x32) kill the process.",
        Verdict::Emulated("native is the only value that means anything here; others are dropped")),
    row!(Service "StandardInput",
        own(set_input, show_input, Some(|s, _| s.exec.standard_input = None)),
        "null, tty, tty-force, tty-fail, data, file:PATH, fd:NAME",
        "What the service reads. Unset: data if StandardInputText= or StandardInputData= is there; else null for \
        a unit, and for one command what tinysvc reads.",
        Verdict::Emulated("tty does not wait until the terminal is free, and a FIFO is opened for both ways, so \
            that a start never waits")),
    row!(Service "StandardOutput",
        own(set_output, show_standard_output, Some(|s, _| s.exec.standard_output = None)), OUTPUT,
        "Where the service writes. Unset: where tinysvc writes.", TO_CONTAINER),
    row!(Service "StandardError",
        own(set_error, show_standard_error, Some(|s, _| s.exec.standard_error = None)), OUTPUT,
        "Where it writes errors. Unset and inherit: as StandardOutput=, or where tinysvc does.", TO_CONTAINER),
    row!(Service "StandardInputText", own(set_input_text, |_| Vec::new(), None),
        "a line of text with C escapes", "A line of what StandardInput=data reads."),
    row!(Service "StandardInputData", own(set_input_data, show_input_data, None), "Base64",
        "More of what StandardInput=data reads."),
    row!(Service "TTYPath", own(set_tty_path, show_tty_path, Some(|s, _| s.exec.tty_path = None)),
        "an absolute path", "The terminal of StandardInput=tty and StandardOutput=tty. Unset: /dev/console."),
    row!(Service "RuntimeDirectory", folders!(Runtime), FOLDERS,
        "Folders below /run that are made for the service, named in $RUNTIME_DIRECTORY, and removed when it has \
        ended."),
    row!(Service "StateDirectory", folders!(State), FOLDERS,
        "Folders below /var/lib that are made for the service, named in $STATE_DIRECTORY."),
    row!(Service "CacheDirectory", folders!(Cache), FOLDERS,
        "Folders below /var/cache that are made for the service, named in $CACHE_DIRECTORY."),
    row!(Service "LogsDirectory", folders!(Logs), FOLDERS,
        "Folders below /var/log that are made for the service, named in $LOGS_DIRECTORY."),
    row!(Service "ConfigurationDirectory", folders!(Configuration), FOLDERS,
        "Folders below /etc that are made if they are missing, named in $CONFIGURATION_DIRECTORY."),
    row!(Service "RuntimeDirectoryMode", folders!(Runtime mode), MODE,
        "Permissions of RuntimeDirectory=. Unset: 0755."),
    row!(Service "StateDirectoryMode", folders!(State mode), MODE,
        "Permissions of StateDirectory=. Unset: 0755."),
    row!(Service "CacheDirectoryMode", folders!(Cache mode), MODE,
        "Permissions of CacheDirectory=. Unset: 0755."),
    row!(Service "LogsDirectoryMode", folders!(Logs mode), MODE,
        "Permissions of LogsDirectory=. Unset: 0755."),
    row!(Service "ConfigurationDirectoryMode", folders!(Configuration mode), MODE,
        "Permissions of a ConfigurationDirectory= that was missing. Unset: 0755."),
    row!(Service "RuntimeDirectoryPreserve",
        own(set_preserve, show_preserve,
            Some(|s, d| s.exec.runtime_directory_preserve = d.exec.runtime_directory_preserve)),
        "no, restart, yes", "Whether RuntimeDirectory= stays when the service has ended, or over a restart."),
    row!(Service "LoadCredential", own(set_load_credential, show_load_credential, None),
        "ID:PATH, or ID", "A secret from a file, for the service alone, in $CREDENTIALS_DIRECTORY.",
        Verdict::Emulated("the folder is an ordinary one below /run/credentials or in shared memory; a socket is \
            not read from")),
    row!(Service "SetCredential", own(set_credential, show_credential, None), "ID:VALUE, with C escapes",
        "A secret in the unit itself; LoadCredential= of that name comes first."),
    row!(Service "DynamicUser", Access::Flag(|s| &mut s.exec.dynamic_user), BOOLEAN,
        "The service runs as a user of its own, who exists only for it, with the number from 61184 to 65519.",
        Verdict::Emulated("the number follows from the name; without the right to change user it is ours, and no \
            part of the file system is taken away")),
    row!(Service "IgnoreSIGPIPE", Access::MaybeFlag(|s| &mut s.exec.ignore_sigpipe), BOOLEAN,
        "SIGPIPE is ignored. Unset: yes for a unit, and for one command as tinysvc was started."),
    row!(Service "CoredumpFilter",
        own(set_core_filter, show_core_filter, Some(|s, _| s.exec.coredump_filter = None)),
        "kinds of memory such as private-anonymous, all, default, or a hexadecimal number",
        "What a core dump has of the memory: core(5)."),
    row!(Service "CPUSchedulingPolicy",
        own(set_policy, show_policy, Some(|s, _| s.exec.schedule.policy = None)),
        "other, fifo, rr, batch, idle", "How the processor is shared: sched(7)."),
    row!(Service "CPUSchedulingPriority", Access::Bounded(|s| &mut s.exec.schedule.priority, 0, 99),
        "a number from 0 to 99", "The priority under fifo and rr."),
    row!(Service "CPUSchedulingResetOnFork", Access::MaybeFlag(|s| &mut s.exec.schedule.reset_on_fork), BOOLEAN,
        "Children get the ordinary policy."),
    row!(Service "CPUAffinity", own(set_affinity, show_affinity, None), "numbers and ranges such as 0-3 5",
        "On which processors the service runs."),
    row!(Service "IOSchedulingClass",
        own(set_io_class, show_io_class, Some(|s, _| s.exec.schedule.io_class = None)),
        "none, realtime, best-effort, idle", "How disks are shared: ioprio_set(2)."),
    row!(Service "IOSchedulingPriority", Access::Bounded(|s| &mut s.exec.schedule.io_priority, 0, 7),
        "a number from 0 to 7", "The priority within the class; lower is more. Unset: 4."),
    row!(Service "TimerSlackNSec",
        own(set_timer_slack, show_timer_slack, Some(|s, _| s.exec.schedule.timer_slack = None)),
        "nanoseconds, or a time span with its unit", "How late timers may be, so that they can be joined."),
    row!(Service "Personality",
        own(set_personality, show_personality, Some(|s, _| s.exec.schedule.personality = None)),
        "x86, x86-64, arm, arm64", "What kind of machine uname(2) tells of."),
    row!(Ours "LingerSec", Access::Time(|s| &mut s.ours.linger), TIME,
        "When the main process has ended for good, what is left gets SIGTERM and this long to obey before \
        SIGKILL."),
    row!(Ours "DrainSec", Access::Time(|s| &mut s.ours.drain), TIME,
        "How long a stop waits before the first signal, with /readyz already saying no, so that balancers \
        look elsewhere."),
    row!(Ours "Health", own(set_health, show_health, Some(|s, d| s.ours.health = d.ours.health.clone())),
        "on, off, PORT, :PORT, ADDRESS:PORT",
        "Where /livez, /readyz and the other probes are answered. Unset: [::]:8469 if tinysvc is PID 1 \
        and no systemd is above it."),
    row!(Ours "Sandbox",
        words!(ours.sandbox: "best-effort" => SandboxMode::BestEffort, "strict" => SandboxMode::Strict),
        "best-effort, strict",
        "What happens if the container does not allow a protection: start and warn, or refuse to start."),
    row!(Ours "SignalTarget",
        words!(ours.signal_target: "main" => SignalTarget::Main, "group" => SignalTarget::Group),
        "main, group",
        "Who gets the signals that tinysvc passes on: the main process or its process group."),
    row!(Ours "StopSignals",
        own(set_stop_signals, |s| joined(&s.ours.stop_signals), Some(reset_stop_signals)),
        "signals such as SIGTERM SIGINT",
        "Which signals to tinysvc ask for a stop; others are just passed on. An assignment replaces the \
        ones before."),
    row!(Ours "ExitStatusMap",
        own(set_exit_map, show_exit_map, Some(|s, _| s.ours.exit_status_map.clear())),
        "FROM:TO, exit statuses from 0 to 255 or names; FROM may be a signal",
        "Exit statuses of tinysvc itself that are replaced at the very end."),
];

/// Other directives of a host's unit files, by what becomes of them.
pub struct Others {
    /// Their sections.
    pub sections: &'static [Section],
    /// Their names, with a space between.
    pub names: &'static str,
    /// What becomes of them.
    pub verdict: Verdict,
}

impl Others {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.names.split_ascii_whitespace()
    }
}

/// Every directive that is known and lands nowhere.
pub static OTHERS: &[Others] = &[
    Others {
        sections: &[Section::Unit],
        names: "Description Documentation SourcePath CollectMode",
        verdict: Verdict::Ignored("it describes the unit and changes nothing"),
    },
    Others {
        sections: &[Section::Unit],
        names: "ConditionArchitecture ConditionFirmware ConditionVirtualization ConditionHost \
            ConditionKernelCommandLine ConditionKernelVersion ConditionVersion ConditionCredential \
            ConditionEnvironment ConditionSecurity ConditionCapability ConditionACPower \
            ConditionNeedsUpdate ConditionFirstBoot ConditionPathExists ConditionPathExistsGlob \
            ConditionPathIsDirectory ConditionPathIsSymbolicLink ConditionPathIsMountPoint \
            ConditionPathIsReadWrite ConditionPathIsEncrypted ConditionPathIsSocket \
            ConditionDirectoryNotEmpty ConditionFileNotEmpty ConditionFileIsExecutable ConditionUser \
            ConditionGroup ConditionControlGroupController ConditionMemory ConditionCPUs \
            ConditionCPUFeature ConditionOSRelease ConditionMemoryPressure ConditionCPUPressure \
            ConditionIOPressure ConditionKernelModuleLoaded AssertArchitecture AssertFirmware \
            AssertVirtualization AssertHost AssertKernelCommandLine AssertKernelVersion AssertVersion \
            AssertCredential AssertEnvironment AssertSecurity AssertCapability AssertACPower \
            AssertNeedsUpdate AssertFirstBoot AssertPathExists AssertPathExistsGlob \
            AssertPathIsDirectory AssertPathIsSymbolicLink AssertPathIsMountPoint AssertPathIsReadWrite \
            AssertPathIsEncrypted AssertPathIsSocket AssertDirectoryNotEmpty AssertFileNotEmpty \
            AssertFileIsExecutable AssertUser AssertGroup AssertControlGroupController AssertMemory \
            AssertCPUs AssertCPUFeature AssertOSRelease AssertMemoryPressure AssertCPUPressure \
            AssertIOPressure AssertKernelModuleLoaded",
        verdict: Verdict::Missing("conditions are not checked yet: the service starts whatever they say"),
    },
    Others {
        sections: &[Section::Unit],
        names: "After Before Wants Requires OnFailure OnSuccess Requisite BindsTo PartOf Upholds Conflicts \
            DefaultDependencies OnFailureJobMode OnSuccessJobMode PropagatesReloadTo \
            ReloadPropagatedFrom PropagatesStopTo StopPropagatedFrom JoinsNamespaceOf RequiresMountsFor \
            WantsMountsFor IgnoreOnIsolate AllowIsolate StopWhenUnneeded RefuseManualStart \
            RefuseManualStop SurviveFinalKillSignal JobTimeoutSec JobRunningTimeoutSec JobTimeoutAction \
            JobTimeoutRebootArgument",
        verdict: Verdict::Ignored("it speaks of other units, and one command is alone"),
    },
    Others {
        sections: &[Section::Install],
        names: "WantedBy RequiredBy UpheldBy Alias Also DefaultInstance",
        verdict: Verdict::Ignored("it is for systemctl enable; this unit was named"),
    },
    Others {
        sections: &[Section::Unit, Section::Service],
        names: "FailureAction SuccessAction FailureActionExitStatus SuccessActionExitStatus StartLimitAction \
            RebootArgument",
        verdict: Verdict::Missing("when the service has ended for good, tinysvc exits"),
    },
    Others {
        sections: &[Section::Service],
        names: "ExecReloadPost BusName RuntimeRandomizedExtraSec PermissionsStartOnly RootDirectoryStartOnly NonBlocking \
            Sockets FileDescriptorStoreMax FileDescriptorStorePreserve OpenFile OOMPolicy \
            USBFunctionDescriptors USBFunctionStrings",
        verdict: Verdict::Missing("it comes with units"),
    },
    Others {
        sections: &[Section::Service],
        names: "NUMAPolicy NUMAMask TimeoutCleanSec LoadCredentialEncrypted ImportCredential \
            SetCredentialEncrypted",
        verdict: Verdict::Missing("nothing acts on it yet"),
    },
    Others {
        sections: &[Section::Service],
        names: "TTYReset TTYVHangup TTYRows TTYColumns TTYVTDisallocate",
        verdict: Verdict::Ignored("the terminal is the container's, and its runtime looks after it"),
    },
    Others {
        sections: &[Section::Service],
        names: "SyslogIdentifier SyslogFacility SyslogLevel SyslogLevelPrefix LogLevelMax LogExtraFields \
            LogRateLimitIntervalSec LogRateLimitBurst LogFilterPatterns LogNamespace UtmpIdentifier \
            UtmpMode",
        verdict: Verdict::Ignored(
            "the service writes to the container's own output, and the runtime keeps the log",
        ),
    },
    Others {
        sections: &[Section::Service],
        names: "Slice Delegate DelegateSubgroup DisableControllers CPUAccounting CPUWeight StartupCPUWeight \
            CPUQuota CPUQuotaPeriodSec CPUShares StartupCPUShares AllowedCPUs StartupAllowedCPUs \
            AllowedMemoryNodes StartupAllowedMemoryNodes MemoryAccounting MemoryMin MemoryLow \
            StartupMemoryLow DefaultStartupMemoryLow DefaultMemoryLow DefaultMemoryMin MemoryHigh \
            StartupMemoryHigh MemoryMax StartupMemoryMax MemorySwapMax StartupMemorySwapMax \
            MemoryZSwapMax StartupMemoryZSwapMax MemoryZSwapWriteback MemoryLimit TasksAccounting \
            TasksMax IOAccounting IOWeight StartupIOWeight IODeviceWeight IOReadBandwidthMax \
            IOWriteBandwidthMax IOReadIOPSMax IOWriteIOPSMax IODeviceLatencyTargetSec BlockIOAccounting \
            BlockIOWeight StartupBlockIOWeight BlockIODeviceWeight BlockIOReadBandwidth \
            BlockIOWriteBandwidth IPAccounting ManagedOOMSwap ManagedOOMMemoryPressure \
            ManagedOOMMemoryPressureLimit ManagedOOMMemoryPressureDurationSec ManagedOOMPreference \
            MemoryPressureWatch MemoryPressureThresholdSec CoredumpReceive NFTSet MemoryKSM",
        verdict: Verdict::Ignored("the container is the control group: its runtime sets the limits"),
    },
    Others {
        sections: &[Section::Service],
        names: "ProtectSystem ProtectHome ProtectProc ProcSubset ProtectHostname ProtectClock \
            ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups PrivateTmp \
            PrivateDevices PrivateNetwork PrivateIPC PrivatePIDs PrivateUsers PrivateMounts PrivateBPF \
            NetworkNamespacePath IPCNamespacePath UserNamespacePath RestrictNamespaces RestrictRealtime \
            RestrictSUIDSGID RestrictFileSystems RestrictNetworkInterfaces LockPersonality \
            MemoryDenyWriteExecute RemoveIPC KeyringMode ReadWritePaths \
            ReadOnlyPaths InaccessiblePaths ExecPaths NoExecPaths ReadWriteDirectories \
            ReadOnlyDirectories InaccessibleDirectories TemporaryFileSystem BindPaths BindReadOnlyPaths \
            BindLogSockets MountFlags MountAPIVFS MountImages MountImagePolicy ExtensionImages \
            ExtensionImagePolicy ExtensionDirectories RootDirectory RootImage RootImageOptions \
            RootImagePolicy RootEphemeral RootHash RootHashSignature RootVerity SystemCallLog \
            SELinuxContext AppArmorProfile SmackProcessLabel PAMName DeviceAllow DevicePolicy \
            IPAddressAllow IPAddressDeny IPIngressFilterPath IPEgressFilterPath SocketBindAllow \
            SocketBindDeny BPFProgram",
        verdict: Verdict::Unprotected("not enforced yet"),
    },
    Others {
        sections: &[Section::Socket],
        names: "ListenStream ListenDatagram ListenSequentialPacket ListenFIFO ListenSpecial ListenNetlink \
            BindIPv6Only Backlog BindToDevice SocketUser SocketGroup SocketMode DirectoryMode Accept \
            MaxConnections KeepAlive NoDelay FreeBind PassCredentials PassSecurity FileDescriptorName \
            Symlinks RemoveOnStop TriggerLimitIntervalSec TriggerLimitBurst",
        verdict: Verdict::Missing("nothing acts on sockets yet"),
    },
    Others {
        sections: &[Section::Timer],
        names: "OnCalendar OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec \
            Persistent AccuracySec RandomizedDelaySec FixedRandomDelay WakeSystem RemainAfterElapse",
        verdict: Verdict::Missing("nothing acts on timers yet"),
    },
    Others {
        sections: &[Section::Path],
        names: "PathExists PathExistsGlob PathChanged PathModified DirectoryNotEmpty MakeDirectory",
        verdict: Verdict::Missing("nothing acts on paths yet"),
    },
];

/// Old spellings that systemd still reads.
pub(super) const OLD_NAMES: &[(&str, &str)] = &[("StartLimitInterval", "StartLimitIntervalSec")];

/// What a name stands for.
#[derive(Clone, Copy)]
pub enum Found {
    /// A directive of [`DIRECTIVES`].
    Row(&'static Directive),
    /// One of [`OTHERS`].
    Other(&'static Others),
}

/// Finds a directive by its name, in any section.
pub fn find(name: &str) -> Option<Found> {
    let name = OLD_NAMES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
    if let Some(row) = DIRECTIVES.iter().find(|row| row.name == name) {
        return Some(Found::Row(row));
    }
    OTHERS.iter().find(|others| others.names().any(|n| n == name)).map(Found::Other)
}

impl Found {
    /// Whether it may stand in that section. The start limits did stand in `[Service]` once, and still may.
    pub fn belongs_in(self, section: Section) -> bool {
        match self {
            Found::Row(row) if row.name.starts_with("StartLimit") => {
                matches!(section, Section::Unit | Section::Service)
            }
            Found::Row(row) => row.section == section,
            Found::Other(others) => others.sections.contains(&section),
        }
    }

    /// The section that it stands in first of all.
    pub fn section(self) -> Section {
        match self {
            Found::Row(row) => row.section,
            Found::Other(others) => others.sections.first().copied().unwrap_or(Section::Service),
        }
    }

    /// What becomes of it.
    pub fn verdict(self) -> Verdict {
        match self {
            Found::Row(row) => row.verdict,
            Found::Other(others) => others.verdict,
        }
    }
}

/// Every name, those that do something first.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    DIRECTIVES.iter().map(|row| row.name).chain(OTHERS.iter().flat_map(Others::names))
}

/// The directive that was probably meant.
pub fn suggest(name: &str) -> Option<&'static str> {
    nearest(name, &mut all_names())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::directive::variable;
    use crate::unit::machine::Machine;
    use crate::unit::page;
    use crate::unit::specifier::Unit;
    use std::collections::BTreeSet;

    fn reading() -> Reading<'static> {
        Reading { unit: Unit::one_command("t.service", "", &Machine::UNKNOWN), problems: Vec::new() }
    }

    /// A spec with these values of one directive, and what was wrong with them.
    fn with(row: &Directive, values: &[&str]) -> (Spec, usize) {
        let (mut spec, mut reading) = (Spec::for_command("t.service"), reading());
        let errors = values.iter().filter(|value| row.set(&mut spec, value, &mut reading).is_err()).count();
        (spec, errors + reading.problems.len())
    }

    #[test]
    fn every_row_takes_a_good_value_shows_it_and_reads_it_back() {
        for row in DIRECTIVES {
            let value = match row.name {
                "Type" => "notify",
                "ExitType" => "cgroup",
                "RestartMode" => "direct",
                "PIDFile" => "/run/app.pid",
                "TimeoutStartFailureMode" | "TimeoutStopFailureMode" => "abort",
                "NotifyAccess" | "SignalTarget" => "main",
                "Restart" => "always",
                "KillMode" => "process",
                "Sandbox" => "strict",
                "Environment" | "UnsetEnvironment" => "A=b",
                "PassEnvironment" => "A",
                "EnvironmentFile" => "-/a.env",
                "ExecSearchPath" => "/a:/b",
                "SetLoginEnvironment" => "yes",
                "WorkingDirectory" => "-/srv",
                "UMask" => "0027",
                "CapabilityBoundingSet" | "AmbientCapabilities" => "CAP_NET_RAW",
                "SecureBits" => "noroot",
                "RestrictAddressFamilies" => "AF_UNIX",
                "SystemCallFilter" => "~mount",
                "SystemCallErrorNumber" => "EPERM",
                "SystemCallArchitectures" => "native",
                "ExitStatusMap" => "143:0",
                "SendSIGHUP" | "SendSIGKILL" | "NoNewPrivileges" | "RemainAfterExit" | "GuessMainPID" => {
                    "yes"
                }
                "Health" => "127.0.0.1:8080",
                "StandardInput" => "file:/in",
                "StandardOutput" | "StandardError" => "append:/out",
                "StandardInputText" => "text",
                "StandardInputData" => "Zm9v",
                "TTYPath" => "/dev/tty1",
                "RuntimeDirectoryPreserve" => "restart",
                "LoadCredential" => "a:/b",
                "SetCredential" => "a:b",
                "CPUSchedulingPolicy" => "batch",
                "IOSchedulingClass" => "idle",
                "Personality" if cfg!(target_arch = "aarch64") => "arm64",
                "Personality" => "x86-64",
                "TimerSlackNSec" => "7000",
                "CoredumpFilter" => "0x33",
                "DynamicUser" | "IgnoreSIGPIPE" | "CPUSchedulingResetOnFork" => "yes",
                name if name.ends_with("DirectoryMode") => "0750",
                "ConfigurationDirectory" => "a b/c",
                name if name.ends_with("Directory") && name != "WorkingDirectory" => "a b/c:link",
                name if name.starts_with("Exec") => "-/bin/app --x",
                name if name.ends_with("Sec") => "7s",
                name if name.ends_with("ExitStatus") => "3 SIGKILL",
                name if name.ends_with("Signal") => "SIGUSR1",
                "StopSignals" => "SIGUSR1 SIGTERM",
                "User" | "Group" | "SupplementaryGroups" => "app",
                _ => "7",
            };
            let (spec, wrong) = with(row, &[value]);
            let shown = row.show(&spec);
            if row.stands_for() == [row.name] {
                assert_eq!((shown.join("|").as_str(), wrong), (value, 0), "{}", row.name);
            }
            let again: Vec<&str> = shown.iter().map(String::as_str).collect();
            if !again.is_empty() {
                assert_eq!(with(row, &again), (spec, 0), "{}, read back", row.name);
            }
            // Empty is the default again, but for capabilities, where it is none.
            let emptied = match row.name {
                "CapabilityBoundingSet" => vec![String::new()],
                _ => row.show(&Spec::for_command("t.service")),
            };
            let (spec, wrong) = with(row, &[value, ""]);
            assert_eq!((row.show(&spec), wrong), (emptied, 0), "{}= empty", row.name);
        }
    }

    #[test]
    fn every_row_that_can_be_wrong_says_so_and_leaves_the_spec_alone() {
        for row in DIRECTIVES {
            if row.name == "StandardInputText" {
                // A quote is a character like any other there.
                continue;
            }
            let (spec, wrong) = with(row, &["\"open"]);
            assert_eq!(wrong, 1, "{}", row.name);
            if row.name != "CapabilityBoundingSet"
                && row.name != "RestrictAddressFamilies"
                && row.name != "SystemCallFilter"
            {
                assert_eq!(spec, Spec::for_command("t.service"), "{}", row.name);
            }
        }
    }

    #[test]
    fn names_and_variables_are_unique_and_none_looks_like_kubernetes() {
        let (mut names, mut variables) = (BTreeSet::new(), BTreeSet::new());
        for name in all_names() {
            assert!(names.insert(name), "{name} stands twice");
            assert!(variables.insert(variable(name)), "{} stands twice", variable(name));
            let of_a_service =
                variable(name).ends_with("_PORT") || variable(name).contains("TINYSVC_SERVICE_");
            assert!(!of_a_service, "{name} could come from Kubernetes");
        }
        for option in crate::unit::layers::OPTIONS {
            assert!(!variables.contains(&format!("TINYSVC_{option}")), "{option} is a directive too");
        }
        for (old, new) in OLD_NAMES {
            assert!(!names.contains(old) && names.contains(new), "{old}");
        }
        let table = [
            ("RestartSec", "TINYSVC_RESTART_SEC"),
            ("OOMScoreAdjust", "TINYSVC_OOM_SCORE_ADJUST"),
            ("SendSIGHUP", "TINYSVC_SEND_SIGHUP"),
            ("LimitNOFILE", "TINYSVC_LIMIT_NOFILE"),
            ("LimitAS", "TINYSVC_LIMIT_AS"),
            ("UMask", "TINYSVC_UMASK"),
            ("ExecStartPre", "TINYSVC_EXEC_START_PRE"),
            ("IOSchedulingClass", "TINYSVC_IO_SCHEDULING_CLASS"),
            ("RestrictSUIDSGID", "TINYSVC_RESTRICT_SUIDSGID"),
            ("Health", "TINYSVC_HEALTH"),
        ];
        for (name, expected) in table {
            assert_eq!(variable(name), expected);
        }
    }

    #[test]
    fn the_words_of_each_list_are_those_of_its_row() {
        for row in DIRECTIVES {
            if let Access::Word(words) = &row.access {
                assert_eq!(row.allowed, words.words.join(", "), "{}", row.name);
            }
        }
    }

    #[test]
    fn the_values_of_our_own_section_have_bounds() {
        let table: [(&str, &[&str], &[&str], usize); 30] = [
            ("Health", &["off"], &["off"], 0),
            ("Health", &["no"], &["off"], 0),
            ("Health", &["on"], &["[::]:8469"], 0),
            ("Health", &["8080"], &["[::]:8080"], 0),
            ("Health", &[":8080"], &["[::]:8080"], 0),
            ("Health", &["[::1]:80"], &["[::1]:80"], 0),
            ("Health", &["65535"], &["[::]:65535"], 0),
            ("Health", &["65536"], &[], 1),
            ("Health", &["localhost:80"], &[], 1),
            ("Health", &["127.0.0.1"], &[], 1),
            ("ExitStatusMap", &["143:0 SIGINT:0", "3:TEMPFAIL"], &["3:75 130:0 143:0"], 0),
            ("ExitStatusMap", &["255:255 0:1"], &["0:1 255:255"], 0),
            ("ExitStatusMap", &["256:0"], &[], 1),
            ("ExitStatusMap", &["0:256"], &[], 1),
            ("ExitStatusMap", &["5"], &[], 1),
            ("StopSignals", &["SIGUSR1", "SIGUSR2"], &["SIGUSR2"], 0),
            ("StopSignals", &["SIGMAGIC SIGUSR1"], &["SIGINT SIGQUIT SIGTERM SIGRTMIN+3"], 1),
            ("Type", &["idle"], &["idle"], 0),
            ("Type", &["dbus"], &["dbus"], 1),
            ("Type", &["magic"], &["simple"], 1),
            ("PIDFile", &["app.pid"], &["/run/app.pid"], 0),
            ("PIDFile", &["/run/../app.pid"], &[], 1),
            ("SystemCallErrorNumber", &["EPERM", "kill"], &[], 0),
            ("SystemCallErrorNumber", &["0"], &[], 1),
            ("SystemCallArchitectures", &["native x86"], &["native"], 1),
            ("Nice", &["-20"], &["-20"], 0),
            ("Nice", &["25"], &[], 1),
            ("OOMScoreAdjust", &["1000"], &["1000"], 0),
            ("OOMScoreAdjust", &["1500"], &[], 1),
            ("SupplementaryGroups", &["mail 42", "news"], &["mail 42 news"], 0),
        ];
        for (name, values, shown, complaints) in table {
            let Some(Found::Row(row)) = find(name) else { panic!("no {name}") };
            let (spec, wrong) = with(row, values);
            assert_eq!(
                (row.show(&spec), wrong),
                (shown.iter().map(|s| (*s).to_owned()).collect(), complaints),
                "{name}={values:?}"
            );
        }
    }

    #[test]
    fn the_old_spelling_and_the_old_section_still_count() {
        let Some(Found::Row(row)) = find("StartLimitInterval") else { panic!("not found") };
        assert_eq!(row.name, "StartLimitIntervalSec");
        assert!(Found::Row(row).belongs_in(Section::Service) && Found::Row(row).belongs_in(Section::Unit));
        assert!(!Found::Row(row).belongs_in(Section::Install));
        assert_eq!(suggest("RestartSecs"), Some("RestartSec"));
    }

    #[test]
    fn the_reference_page_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/directives.md");
        let page = page::markdown();
        if std::env::var_os("TINYSVC_WRITE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let on_disk = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            on_disk == page,
            "docs/directives.md is old: tinysvc help directives --markdown writes it anew"
        );
        for name in all_names() {
            assert!(page.contains(name), "{name} is not in the page");
        }
    }
}
