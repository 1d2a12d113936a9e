//! Compiles one command line of a spec into a plan.
//!
//! A directive that this container cannot honour in full is not dropped in silence: it becomes a [`Holding`] that says what
//! it is held by, or how it is degraded and why. `Sandbox=strict` makes the latter a [`PlanError`]. What a user could
//! not want otherwise, such as another identity than the one asked for, is an error in either mode.
//!
//! A command without directives asks the facility nothing and opens no file.
#![forbid(unsafe_code)]

use super::environment::{self, Variable};
use super::facility::{Capability, Facility};
use super::identity::{self, Account};
use super::{Plan, Session, SignalState, capability, filter, folder, schedule, stream, variables};
use crate::unit::spec::{Command, ExecSpec, Limit, Privilege, SandboxMode, Spec, Status, status};
use std::borrow::Cow;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// A plan, and what it makes of the directives.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// A line for each directive of the sandbox that was given.
    pub holdings: Vec<Holding>,
}

/// What becomes of one directive here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The directive, such as `CapabilityBoundingSet`.
    pub directive: &'static str,
    /// What holds it.
    pub by: Enforcement,
}

/// What holds a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// seccomp(2) filters.
    Seccomp,
    /// capabilities(7).
    Capability,
    /// setrlimit(2).
    Rlimit,
    /// credentials(7).
    Credentials,
    /// An attribute of the process that the kernel keeps: no_new_privs, umask, priority.
    Kernel,
    /// It does not hold, or not in full: how, and why.
    Degraded(String),
}

/// As the log has it: `seccomp`, or `degraded: …`.
impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Enforcement::Seccomp => f.write_str("seccomp"),
            Enforcement::Capability => f.write_str("capability"),
            Enforcement::Rlimit => f.write_str("rlimit"),
            Enforcement::Credentials => f.write_str("credentials"),
            Enforcement::Kernel => f.write_str("kernel"),
            Enforcement::Degraded(how) => write!(f, "degraded: {how}"),
        }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// systemd's exit status for the step that would have failed.
    pub status: Status,
    /// What was tried, on what, and why it cannot be.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PlanError {}

/// What a start is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// One supervised command: it inherits what tinysvc was started with, as it would without tinysvc.
    #[default]
    Command,
    /// A unit among others: it starts from what systemd gives every unit.
    Unit,
}

/// What surrounds a start, besides the spec and the container.
#[derive(Clone, Debug, Default)]
pub struct Surroundings<'a> {
    /// What it is part of.
    pub manner: Manner,
    /// The environment that tinysvc was started with, less what was meant for it alone.
    pub container: &'a [(OsString, OsString)],
    /// Variables about this very start, such as `MAINPID`. A value of [`environment::OWN_PID`] becomes the pid of the new
    /// process.
    pub said: &'a [(OsString, OsString)],
    /// What the files of `EnvironmentFile=` say, later ones last.
    pub files: &'a [(OsString, OsString)],
    /// Descriptors by their names, for `fd:NAME`, and the numbers that the child knows them by.
    pub named: &'a [(String, i32)],
    /// The signal state that tinysvc was started with.
    pub signals: SignalState,
    /// Whether the command gets the terminal.
    pub foreground: bool,
}

/// Compiles a command of a spec.
///
/// # Errors
/// A user or group that does not exist or that we may not become; a word with a null byte; with `Sandbox=strict` each
/// directive that does not hold in full.
pub fn compile(
    spec: &Spec,
    command: &Command,
    surroundings: &Surroundings<'_>,
    facility: &Facility,
) -> Result<Compiled, PlanError> {
    let exec = &spec.exec;
    let account = identity::account(spec, surroundings.manner, facility)?;
    let told = match &account {
        Some(_) => None,
        None if surroundings.manner == Manner::Unit || exec.set_login_environment.is_some() => {
            identity::own(facility)
        }
        None => None,
    };
    let credentials = if exec.credentials.is_empty() {
        None
    } else {
        folder::credentials_path(spec, &facility.probe().credentials())
    };
    let env =
        environment::compose(exec, surroundings, account.as_ref().or(told.as_ref()), credentials.as_deref());
    let mut draft = Draft::new(exec, surroundings, facility, spec.ours.sandbox == SandboxMode::Strict);
    draft.signals();
    draft.plan.session = match (surroundings.foreground, command.from_command_line) {
        (true, _) => Session::Foreground,
        // Job control and Ctrl-C of the session that tinysvc was started in go on working.
        (false, true) => Session::Group,
        // As systemd starts every process of a unit.
        (false, false) => Session::New,
    };
    draft.words(command, &env)?;
    stream::plan(&mut draft)?;
    let owner = identity::owner(&draft, account.as_ref())?;
    folder::plan(&mut draft, owner);
    folder::credentials(&mut draft, credentials.as_ref(), owner)?;
    draft.priority()?;
    schedule::plan(&mut draft)?;
    draft.limits()?;
    draft.umask();
    draft.working_directory(account.as_ref(), &env)?;
    draft.sandbox(command.privilege, account.as_ref())?;
    Ok(Compiled { plan: draft.plan, holdings: draft.holdings })
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) exec: &'a ExecSpec,
    pub(super) surroundings: &'a Surroundings<'a>,
    pub(super) facility: &'a Facility,
    pub(super) plan: Plan,
    strict: bool,
    holdings: Vec<Holding>,
}

impl<'a> Draft<'a> {
    fn new(
        exec: &'a ExecSpec,
        surroundings: &'a Surroundings<'a>,
        facility: &'a Facility,
        strict: bool,
    ) -> Draft<'a> {
        Draft { exec, surroundings, facility, strict, plan: Plan::default(), holdings: Vec::new() }
    }

    /// A unit starts with no signal blocked or ignored but SIGPIPE; one command as tinysvc was started.
    fn signals(&mut self) {
        let mut state = self.surroundings.signals;
        if self.surroundings.manner == Manner::Unit {
            state = SignalState { mask: 0, default: !(bit(KILL) | bit(STOP)), ignore: 0 };
        }
        let unit = (self.surroundings.manner == Manner::Unit).then_some(true);
        match self.exec.ignore_sigpipe.or(unit) {
            Some(true) => {
                (state.default, state.ignore) = (state.default & !bit(PIPE), state.ignore | bit(PIPE))
            }
            Some(false) => {
                (state.default, state.ignore) = (state.default | bit(PIPE), state.ignore & !bit(PIPE))
            }
            None => {}
        }
        self.plan.signals = state;
    }

    /// Notes what holds a directive.
    pub(super) fn held(&mut self, directive: &'static str, by: Enforcement) {
        self.holdings.push(Holding { directive, by });
    }

    /// Notes that a directive does not hold, which `Sandbox=strict` refuses with the status of the step.
    pub(super) fn degraded(
        &mut self,
        directive: &'static str,
        status: Status,
        how: String,
    ) -> Result<(), PlanError> {
        if self.strict {
            let message = format!("{directive}= does not hold here and Sandbox=strict: {how}");
            return Err(PlanError { status, message });
        }
        self.held(directive, Enforcement::Degraded(how));
        Ok(())
    }

    fn words(&mut self, command: &Command, env: &[(OsString, OsString)]) -> Result<(), PlanError> {
        let argv = if command.expand {
            Cow::Owned(variables::expand(&command.argv, env))
        } else {
            Cow::Borrowed(&command.argv)
        };
        self.plan.argv = argv.iter().map(|word| c_string(word.as_bytes())).collect::<Result<_, _>>()?;
        if self.plan.argv.is_empty() {
            // A program without argv[0] is refused or patched by the kernel: execve(2).
            self.plan.argv.push(c_string(command.program.as_bytes())?);
        }
        self.plan.env = assignments(env)?;
        let own_pid = |(at, (_, value)): (usize, &Variable)| (value == environment::OWN_PID).then_some(at);
        self.plan.own_pid = env.iter().enumerate().filter_map(own_pid).collect();
        self.plan.programs = programs(self.exec, command, env)?;
        self.plan.shell_fallback = command.from_command_line;
        Ok(())
    }

    fn priority(&mut self) -> Result<(), PlanError> {
        if let Some(nice) = self.exec.nice {
            let now = self.facility.probe().nice();
            let lowest = if nice >= now || self.facility.can_globally(Capability::SysNice) {
                nice
            } else {
                // `RLIMIT_NICE` says how far: getrlimit(2).
                let ceiling = self.facility.probe().limit(number(Limit::Nice)).0.min(40);
                now.min(20 - ceiling as i32)
            };
            let nearest = nice.max(lowest);
            self.plan.nice = (nearest != now).then_some(nearest);
            if nearest == nice {
                self.held("Nice", Enforcement::Kernel);
            } else {
                let how =
                    format!("{nearest} in place of {nice}, since there is no CAP_SYS_NICE for this machine");
                self.degraded("Nice", status::NICE, how)?;
            }
        }
        if let Some(adjust) = self.exec.oom_score_adjust {
            let how = match self.facility.probe().oom_score_adjust() {
                None => Some("there is no /proc/self/oom_score_adj to write to".to_owned()),
                Some(now) if adjust < now && !self.facility.can_globally(Capability::SysResource) => {
                    Some(format!(
                        "{now} in place of {adjust}, since there is no CAP_SYS_RESOURCE for this machine"
                    ))
                }
                Some(_) => None,
            };
            match how {
                Some(how) => self.degraded("OOMScoreAdjust", status::OOM_ADJUST, how)?,
                None => {
                    self.plan.oom_score_adjust = Some(adjust);
                    self.held("OOMScoreAdjust", Enforcement::Kernel);
                }
            }
        }
        if let Some(mask) = self.exec.coredump_filter {
            self.plan.core_filter = Some(mask);
            self.held("CoredumpFilter", Enforcement::Kernel);
        }
        Ok(())
    }

    fn limits(&mut self) -> Result<(), PlanError> {
        let exec = self.exec;
        for (&limit, &(soft, hard)) in &exec.limits {
            let (directive, number) = (directive(limit), number(limit));
            let most = self.most(limit, hard);
            let (soft, nearest) = (soft.min(most), hard.min(most));
            self.plan.limits.push((number, soft, nearest));
            if nearest == hard {
                self.held(directive, Enforcement::Rlimit);
            } else {
                let why = if self.facility.can_globally(Capability::SysResource) {
                    "which is what /proc/sys/fs/nr_open allows"
                } else {
                    "the hard limit that this container has, since there is no CAP_SYS_RESOURCE for this machine"
                };
                let asked = if hard == u64::MAX { "infinity".to_owned() } else { hard.to_string() };
                self.degraded(directive, status::LIMITS, format!("{nearest} in place of {asked}, {why}"))?;
            }
        }
        Ok(())
    }

    /// How high a hard limit can be set here, if `wanted` is asked for.
    fn most(&self, limit: Limit, wanted: u64) -> u64 {
        let now = self.facility.probe().limit(number(limit)).1;
        if wanted <= now {
            wanted
        } else if !self.facility.can_globally(Capability::SysResource) {
            now
        } else if limit == Limit::Nofile {
            // Even with the capability: setrlimit(2), EPERM.
            self.facility.probe().open_files_max().map_or(now, |most| most.max(now))
        } else {
            wanted
        }
    }

    fn umask(&mut self) {
        self.plan.umask = self.exec.umask;
        if self.exec.umask.is_some() {
            self.held("UMask", Enforcement::Kernel);
        } else if self.surroundings.manner == Manner::Unit {
            self.plan.umask = Some(UMASK);
        }
    }

    fn working_directory(
        &mut self,
        account: Option<&Account>,
        env: &[(OsString, OsString)],
    ) -> Result<(), PlanError> {
        let Some(wanted) = &self.exec.working_directory else {
            if self.surroundings.manner == Manner::Unit {
                self.plan.working_directory = Some((CString::from(c"/"), false));
            }
            return Ok(());
        };
        let path = match &wanted.path {
            Some(path) => path.as_bytes().to_vec(),
            None => match account {
                Some(account) => account.home(),
                None => identity::own_home(self.facility, value(env, "HOME")),
            },
        };
        self.plan.working_directory = Some((c_string(&path)?, wanted.missing_ok));
        Ok(())
    }

    /// Identity, capabilities and filters, which depend on one another.
    fn sandbox(&mut self, privilege: Privilege, account: Option<&Account>) -> Result<(), PlanError> {
        identity::plan(self, privilege, account)?;
        if privilege == Privilege::Full {
            return Ok(());
        }
        self.filters()?;
        self.no_new_privileges()?;
        capability::plan(self)
    }

    fn filters(&mut self) -> Result<(), PlanError> {
        let exec = self.exec;
        let wanted = [
            (
                "SystemCallArchitectures",
                status::SECCOMP,
                exec.system_call_architectures.is_some(),
                exec.system_call_architectures.map(|_| filter::native_only()),
            ),
            (
                "RestrictAddressFamilies",
                status::ADDRESS_FAMILIES,
                exec.restrict_address_families.is_some(),
                exec.restrict_address_families.as_ref().and_then(filter::address_families),
            ),
            // The last, since it may refuse to install another.
            (
                "SystemCallFilter",
                status::SECCOMP,
                exec.system_call_filter.is_some(),
                exec.system_call_filter.as_ref().and_then(|f| filter::calls(f, exec.system_call_errno)),
            ),
        ];
        for (directive, status, given, filter) in wanted {
            if !given {
                continue;
            }
            if filter.is_some() && !self.facility.filters() {
                self.degraded(directive, status, "this kernel has no seccomp filters".to_owned())?;
                continue;
            }
            self.plan.filters.extend(filter);
            self.held(directive, Enforcement::Seccomp);
        }
        Ok(())
    }

    /// A filter needs no_new_privs or CAP_SYS_ADMIN. Without the latter the former is implied, as in systemd.
    fn no_new_privileges(&mut self) -> Result<(), PlanError> {
        let implied = !self.plan.filters.is_empty()
            && !self.facility.can(Capability::SysAdmin)
            && !self.facility.probe().no_new_privileges();
        // A user who comes and goes must leave nothing behind that gives its rights to others.
        let asked = if self.exec.dynamic_user { Some(true) } else { self.exec.no_new_privileges };
        self.plan.no_new_privileges = asked == Some(true) || implied;
        match asked {
            Some(true) => self.held("NoNewPrivileges", Enforcement::Kernel),
            Some(false) if implied => {
                let how =
                    "on, since a system call filter needs it where there is no CAP_SYS_ADMIN".to_owned();
                self.degraded("NoNewPrivileges", status::NO_NEW_PRIVILEGES, how)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// systemd's default of `UMask=`.
const UMASK: u32 = 0o022;
/// Signals by their numbers.
const KILL: u8 = 9;
const PIPE: u8 = 13;
const STOP: u8 = 19;

/// The bit of a signal in a mask.
const fn bit(signal: u8) -> u64 {
    1 << (signal - 1)
}

/// A C string, for a word of a command line, an assignment or a path.
pub(super) fn c_string(bytes: &[u8]) -> Result<CString, PlanError> {
    CString::new(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(bytes).replace('\0', "\\0");
        PlanError {
            status: status::EXEC,
            message: format!(
                "\"{text}\" has a null byte at {}, which no argument can hold",
                error.nul_position()
            ),
        }
    })
}

/// The value of a variable; a later assignment wins.
fn value<'a>(env: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    env.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
}

/// `NAME=value`, and `NAME=` where the child puts its pid.
fn assignments(env: &[Variable]) -> Result<Vec<CString>, PlanError> {
    let one = |(name, value): &Variable| {
        let value = if value == environment::OWN_PID { &[] } else { value.as_bytes() };
        c_string(&[name.as_bytes(), b"=", value].concat())
    };
    env.iter().map(one).collect()
}

/// Where systemd looks for a command without a slash (`DEFAULT_PATH`), and the two folders that are apart from `/usr` in
/// some images. The environment does not count.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The files to try, in order.
fn programs(exec: &ExecSpec, command: &Command, env: &[Variable]) -> Result<Vec<CString>, PlanError> {
    let program = command.program.as_bytes();
    if program.contains(&b'/') {
        return Ok(vec![c_string(program)?]);
    }
    if program.is_empty() {
        // execvp(3): ENOENT.
        return Ok(Vec::new());
    }
    let ours = exec.exec_search_path.join(OsStr::new(":"));
    let path = if command.from_command_line { value(env, "PATH") } else { None };
    let path = path.or(Some(ours.as_os_str()).filter(|ours| !ours.is_empty()));
    let folders = path.map_or(SEARCH_PATH.as_bytes(), OsStr::as_bytes).split(|b| *b == b':');
    folders
        .map(|folder| {
            let mut file = folder.to_vec();
            // An empty one is the working directory.
            if !file.is_empty() {
                file.push(b'/');
            }
            file.extend_from_slice(program);
            c_string(&file)
        })
        .collect()
}

/// `RLIMIT_*` of asm-generic/resource.h, which x86-64 and aarch64 use.
pub(super) const fn number(limit: Limit) -> u32 {
    match limit {
        Limit::Cpu => 0,
        Limit::Fsize => 1,
        Limit::Data => 2,
        Limit::Stack => 3,
        Limit::Core => 4,
        Limit::Rss => 5,
        Limit::Nproc => 6,
        Limit::Nofile => 7,
        Limit::Memlock => 8,
        Limit::As => 9,
        Limit::Locks => 10,
        Limit::Sigpending => 11,
        Limit::Msgqueue => 12,
        Limit::Nice => 13,
        Limit::Rtprio => 14,
        Limit::Rttime => 15,
    }
}

fn directive(limit: Limit) -> &'static str {
    match limit {
        Limit::Cpu => "LimitCPU",
        Limit::Fsize => "LimitFSIZE",
        Limit::Data => "LimitDATA",
        Limit::Stack => "LimitSTACK",
        Limit::Core => "LimitCORE",
        Limit::Rss => "LimitRSS",
        Limit::Nproc => "LimitNPROC",
        Limit::Nofile => "LimitNOFILE",
        Limit::Memlock => "LimitMEMLOCK",
        Limit::As => "LimitAS",
        Limit::Locks => "LimitLOCKS",
        Limit::Sigpending => "LimitSIGPENDING",
        Limit::Msgqueue => "LimitMSGQUEUE",
        Limit::Nice => "LimitNICE",
        Limit::Rtprio => "LimitRTPRIO",
        Limit::Rttime => "LimitRTTIME",
    }
}

#[cfg(test)]
mod tests;
