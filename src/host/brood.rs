//! The processes of one service, as the process holds them that they are below of.
//!
//! Starts its commands, signals some or all of them, knows which have ended and whether anything is left.
//! It chooses how, never whether. "All" is the subtree of this process in `/proc`, so whatever calls
//! this must be the subreaper of the service and of nothing else.
#![forbid(unsafe_code)]

use super::reap::{Ended, Reaper};
use super::sys::process::kill;
use super::{environment, log, tree};
use crate::engine::{Level, Note, Run, SpawnFailure, UnitId, Whom};
use crate::launch;
use crate::plan::environment::OWN_PID;
use crate::plan::{self, Enforcement, Facility, Manner, Plan, PlanError, SignalState, Surroundings};
use crate::unit::spec::{ExecKind, NotifyAccess, Signal, Spec};
use nix::errno::Errno;
use std::ffi::OsString;

/// What the processes of a service start with, whatever its spec says.
pub struct Origin {
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// What `$NOTIFY_SOCKET` says, for services that may speak.
    pub notify: Option<OsString>,
    /// What this container can do.
    pub facility: Facility,
    /// The signals' state.
    pub signals: SignalState,
}

/// The processes of one service.
pub struct Brood {
    unit: UnitId,
    spec: Spec,
    origin: Origin,
    reaper: Reaper,
    /// `$INVOCATION_ID` of this activation.
    invocation: String,
    /// Folders or credentials were made that are to be removed at the end of the activation.
    leftovers: bool,
}

impl Brood {
    /// Nobody yet.
    pub fn new(unit: UnitId, spec: Spec, origin: Origin) -> Brood {
        Brood { unit, spec, origin, reaper: Reaper::default(), invocation: String::new(), leftovers: false }
    }

    /// Starts a command and returns its pid.
    ///
    /// # Errors
    /// Where it is not executing; the log has said why.
    pub fn spawn(
        &mut self,
        run: Run,
        kind: ExecKind,
        index: usize,
        variables: &[(String, String)],
    ) -> Result<i32, SpawnFailure> {
        let first = [ExecKind::Condition, ExecKind::StartPre, ExecKind::Start]
            .into_iter()
            .find(|kind| !self.spec.service.commands(*kind).is_empty());
        if first == Some(kind) && index == 0 {
            self.invocation = invocation_id();
        }
        let plan = self.compile(kind, index, variables)?;
        self.leftovers |= !(plan.folders.is_empty() && plan.credentials.is_none());
        let spawned = launch::spawn(&plan);
        match spawned {
            Ok(pid) => self.reaper.born(run, self.unit, pid),
            Err(failure) => {
                let program = plan.argv.first().map(|arg| arg.to_string_lossy()).unwrap_or_default();
                self.say(Level::Error, format!("{}={program}: {}", kind.directive(), words(failure)));
            }
        }
        spawned
    }

    fn compile(
        &self,
        kind: ExecKind,
        index: usize,
        variables: &[(String, String)],
    ) -> Result<Plan, SpawnFailure> {
        let (spec, origin) = (&self.spec, &self.origin);
        let command = spec.service.commands(kind).get(index);
        let command = command.ok_or(SpawnFailure::Resources { errno: libc::ENOENT })?;
        let mut said: Vec<(OsString, OsString)> = Vec::new();
        let mut set = |name: &str, value: OsString| said.push((name.into(), value));
        set("INVOCATION_ID", self.invocation.clone().into());
        if let Some(address) =
            origin.notify.as_ref().filter(|_| spec.service.notify_access() != NotifyAccess::None)
        {
            set("NOTIFY_SOCKET", address.clone());
        }
        if spec.service.watchdog.as_micros() > 0 {
            set("WATCHDOG_USEC", spec.service.watchdog.as_micros().to_string().into());
            set("WATCHDOG_PID", OWN_PID.into());
        }
        for (name, value) in variables {
            set(name, value.into());
        }
        let files = environment::read_all(&spec.exec.environment_files).map_err(|(path, error)| {
            self.say(Level::Error, format!("cannot read {} (EnvironmentFile=): {error}", path.display()));
            SpawnFailure::Resources { errno: error.raw_os_error().unwrap_or(libc::ENOENT) }
        })?;
        let surroundings = Surroundings {
            manner: Manner::Unit,
            container: &origin.environment,
            said: &said,
            files: &files,
            signals: origin.signals,
            ..Surroundings::default()
        };
        match plan::compile(spec, command, &surroundings, &origin.facility) {
            Ok(compiled) => {
                for holding in compiled.holdings.iter().filter(|_| kind == ExecKind::Start) {
                    if let Enforcement::Degraded(how) = &holding.by {
                        self.say(Level::Warn, format!("{}= is degraded: {how}", holding.directive));
                    }
                }
                Ok(compiled.plan)
            }
            Err(PlanError { status, message }) => {
                self.say(Level::Error, message);
                Err(SpawnFailure::Setup { status, errno: 0 })
            }
        }
    }

    /// Sends a signal. Whoever has ended meanwhile is no error.
    pub fn signal(&mut self, whom: Whom, signal: Signal) {
        let sent = match whom {
            Whom::Process(run) => self.reaper.signal(run, signal),
            Whom::Group(run) => match self.reaper.pid(run) {
                Some(pid) => kill(-pid, signal.number()),
                None => Ok(()),
            },
            Whom::Rest { main, control } => {
                let spared = [main, control].into_iter().flatten().filter_map(|run| self.reaper.pid(run));
                let spared: Vec<i32> = spared.collect();
                return self.signal_all(&spared, signal);
            }
            Whom::Everything => return self.signal_all(&[], signal),
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(e) => self.say(Level::Warn, format!("cannot send {signal}: {}", e.desc())),
        }
    }

    fn signal_all(&mut self, spared: &[i32], signal: Signal) {
        if self.reaper.nobody() {
            return;
        }
        match tree::signal(&[], spared, signal) {
            Ok(true) => {}
            Ok(false) => {
                self.say(Level::Error, format!("{signal} has not met everybody: the tree outgrows its end"))
            }
            Err(why) => self.say(Level::Warn, format!("cannot send {signal}: {why}")),
        }
    }

    /// Takes a process below us in as a run, though nobody started it as one: the one that is said, the one whose number
    /// is in a file, or the only child of ours that is no run.
    pub fn find_main(&mut self, run: Run, pid: Option<u32>, file: Option<&str>) -> Option<i32> {
        let found = match (pid, file) {
            (Some(pid), _) => i32::try_from(pid).ok()?,
            (None, Some(file)) => read_pid(file)?,
            (None, None) => {
                let us = std::process::id() as i32;
                let all = tree::descendants(us, &[]).ok()?;
                let mut children = all.into_iter().filter(|pid| {
                    tree::ancestors(*pid).get(1) == Some(&us) && self.reaper.owner(*pid).is_none()
                });
                children.next().filter(|_| children.next().is_none())?
            }
        };
        let below = tree::descendants(std::process::id() as i32, &[]).is_ok_and(|all| all.contains(&found));
        if !below {
            return None;
        }
        self.reaper.reborn(run, self.unit, found);
        Some(found)
    }

    /// Removes what was made for an activation that is over; `restart` if another follows.
    pub fn clean_up(&mut self, restart: bool) {
        if !std::mem::take(&mut self.leftovers) {
            return;
        }
        let credentials = self.origin.facility.probe().credentials();
        let paths = plan::folder::leftovers(&self.spec, restart, &credentials);
        if let Err((path, errno)) = launch::folders::remove(&paths) {
            self.say(Level::Warn, format!("cannot remove {path}: {}", errno.desc()));
        }
    }

    /// Reaps, and says which runs have ended. `true` if there may be more.
    pub fn collect(&mut self, ended: &mut Vec<Ended>) -> bool {
        self.reaper.collect(ended, None)
    }

    /// Whether nothing is left.
    pub fn is_empty(&mut self) -> bool {
        self.reaper.nobody()
    }

    fn say(&self, level: Level, text: String) {
        let note = Note { level, unit: Some(self.unit), text, state: None, result: None, exit: None };
        log::note(&note, Some(&self.spec.name));
    }
}

/// 128 random bits as 32 hexadecimal digits; sd-id128(3).
fn invocation_id() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    uuid.chars().filter(char::is_ascii_hexdigit).collect()
}

/// The number in a PID file. Its first word counts, as with systemd.
fn read_pid(path: &str) -> Option<i32> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    // One that is a FIFO must not be waited for.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().filter(|pid| *pid > 1)
}

/// What failed, in words: the step and the errno's own.
fn words(failure: SpawnFailure) -> String {
    let (step, errno) = match failure {
        SpawnFailure::Resources { errno } => ("make a process", errno),
        SpawnFailure::Setup { status, errno } => (super::perform::step(status), errno),
    };
    format!("cannot {step}: {}", Errno::from_raw(errno).desc())
}
