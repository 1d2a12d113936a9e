//! Decides what happens to one service when something happens to it.
//!
//! This is systemd's service machine (`src/core/service.c`, systemd.service(5), systemd.kill(5)) for the types
//! simple, exec and notify, with the same states, results and order of steps. It knows one service: who
//! waits for whom, and when tinysvc itself ends, is `system`. It never sees a pid.
//!
//! Words: a *run* is one life of one process, numbered. The *main* run is the service; a *control* run is
//! one of the other Exec*= commands, and there is one at a time. Every change of state goes through
//! `enter`, which sets the one deadline that holds in the new state, so that no deadline is ever stale.
//!
//! What cannot be known here is whether other processes of the service are left. Where that matters the
//! machine waits in its state and says so ([`Service::waits_for_empty`]); the host answers with `Emptied`.
//!
//! It differs from systemd on purpose where a deadline is at stake: `WATCHDOG=1` before the end of the start or
//! after the beginning of the stop arms nothing, and a stop asked for while a watchdog's victim is being
//! ended does not begin anew, so that nobody can postpone SIGKILL but by EXTEND_TIMEOUT_USEC.
#![forbid(unsafe_code)]

mod course;

use super::notify::Message;
use super::restart::StartLimit;
use super::{Action, Level, Mono, Outcome, Run, Sender, SpawnFailure, State, UnitId, Whom, earlier};
use crate::unit::spec::{ExecKind, Exit, NotifyAccess, Signal, SignalTarget, Span, Spec, Type, status};
use std::collections::BTreeMap;

/// Where the orders of one step are collected, and where run numbers come from.
pub(super) struct Orders<'a> {
    pub actions: &'a mut Vec<Action>,
    pub last_run: &'a mut u64,
}

/// How long SIGKILL is given before whoever is left gets it again: without a cgroup a process that forks faster than it is
/// found can outrun the first.
const KILL_AGAIN: Span = Span::from_secs(1);

/// The control command that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control {
    run: Run,
    kind: ExecKind,
    index: usize,
}

/// What the service said last about itself, `service_notify_message_process_state()` of systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Ready,
    Reloading,
    Stopping,
}

/// One service and where it stands.
#[derive(Clone, Debug)]
pub struct Service {
    id: UnitId,
    spec: Spec,
    state: State,
    /// When the state was entered.
    since: Mono,
    /// When the activation at hand was completed.
    active_since: Mono,
    /// When patience with the state ends; set by [`Service::enter`] and, later only, by EXTEND_TIMEOUT_USEC.
    deadline: Option<Mono>,
    /// When SIGKILL is sent again to whoever has outrun it.
    kill_again: Option<Mono>,
    main: Option<Run>,
    control: Option<Control>,
    /// Nobody was left of it when the host last looked, and nothing has been spawned since.
    empty: bool,
    /// When the watchdog bites; armed from the end of the start to the beginning of the stop.
    watchdog: Option<Mono>,
    /// WATCHDOG_USEC= as the service said it.
    watchdog_override: Option<Span>,
    limit: StartLimit,
    /// The start limit has refused a start and not yet let another one through.
    limit_hit: bool,
    /// How the activation at hand has fared so far.
    result: Outcome,
    main_exit: Option<Exit>,
    /// The first failure of a control command: the cause when the main process has none.
    control_exit: Option<Exit>,
    /// The failure to start a process that the activation failed of.
    spawn_failure: Option<SpawnFailure>,
    /// A stop was asked for: no restart.
    stop_asked: bool,
    /// The signal that asked for it, where that is to be passed on as it is.
    stop_signal: Option<Signal>,
    /// However this activation ends, none follows.
    last_start: bool,
    /// SIGHUP came while a start or a reload was under way: another reload follows.
    reload_wanted: bool,
    said: Option<Said>,
    restarts: u32,
    status_text: String,
    status_errno: i32,
    started_once: bool,
    /// When the last activation began, and how long it took to be up.
    activated: Option<Mono>,
    ready_after: Option<Span>,
    restarts_by: BTreeMap<Outcome, u64>,
}

impl Service {
    /// A service that has never been started.
    pub fn new(id: UnitId, spec: Spec) -> Service {
        Service {
            id,
            spec,
            state: State::Dead,
            since: Mono(0),
            active_since: Mono(0),
            deadline: None,
            kill_again: None,
            main: None,
            control: None,
            empty: false,
            watchdog: None,
            watchdog_override: None,
            limit: StartLimit::default(),
            limit_hit: false,
            result: Outcome::Success,
            main_exit: None,
            control_exit: None,
            spawn_failure: None,
            stop_asked: false,
            stop_signal: None,
            last_start: false,
            reload_wanted: false,
            said: None,
            restarts: 0,
            status_text: String::new(),
            status_errno: 0,
            started_once: false,
            activated: None,
            ready_after: None,
            restarts_by: BTreeMap::new(),
        }
    }

    /// What it should be.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// systemd's SubState.
    pub fn state(&self) -> State {
        self.state
    }

    /// When the state was entered.
    pub fn since(&self) -> Mono {
        self.since
    }

    /// systemd's Result.
    pub fn result(&self) -> Outcome {
        self.result
    }

    /// The main run, while it lives.
    pub fn main(&self) -> Option<Run> {
        self.main
    }

    /// The control run, while it lives.
    pub fn control(&self) -> Option<Run> {
        self.control.map(|c| c.run)
    }

    /// How the last main process ended.
    pub fn main_exit(&self) -> Option<Exit> {
        self.main_exit
    }

    /// How the failed control command ended, if one failed in this activation.
    pub fn control_exit(&self) -> Option<Exit> {
        self.control_exit
    }

    /// Why a program could not be executed, if that is what the activation failed of.
    pub fn spawn_failure(&self) -> Option<SpawnFailure> {
        self.spawn_failure
    }

    /// systemd's NRestarts.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The text of STATUS=.
    pub fn status_text(&self) -> &str {
        &self.status_text
    }

    /// The number of ERRNO=.
    pub fn status_errno(&self) -> i32 {
        self.status_errno
    }

    /// Whether a start has ever been completed.
    pub fn started_once(&self) -> bool {
        self.started_once
    }

    /// When the last activation began.
    pub fn activated(&self) -> Option<Mono> {
        self.activated
    }

    /// How long the last activation took to be up.
    pub fn ready_after(&self) -> Option<Span> {
        self.ready_after
    }

    /// Automatic restarts since the beginning, by the result that made them necessary.
    pub fn restarts_by_result(&self) -> impl Iterator<Item = (Outcome, u64)> {
        self.restarts_by.iter().map(|(result, n)| (*result, *n))
    }

    /// When it wants a tick.
    pub fn next_deadline(&self) -> Option<Mono> {
        earlier(earlier(self.deadline, self.watchdog), self.kill_again)
    }

    /// Whether it waits until no process of it is left.
    pub fn waits_for_empty(&self) -> bool {
        let killing = matches!(
            self.state,
            State::StopWatchdog
                | State::StopSigterm
                | State::StopSigkill
                | State::FinalSigterm
                | State::FinalSigkill
        );
        killing && self.main.is_none() && self.control.is_none()
    }

    /// Whether the start limit has refused a start and would refuse another one.
    pub fn limit_hit(&self) -> bool {
        self.limit_hit
    }

    /// When a start limit that was hit lets another start through; `None` for never and for one that was not hit.
    pub fn limit_reopens(&self) -> Option<Mono> {
        if self.limit_hit { self.limit.reopens(self.spec.service.start_limit_interval) } else { None }
    }

    // ---- what may be asked of it ----

    /// Starts it, unless it is up or on its way.
    pub(super) fn start(&mut self, now: Mono, out: &mut Orders) {
        if self.state.is_inactive() || self.state == State::AutoRestart {
            self.activate(now, self.state == State::AutoRestart, out);
        }
    }

    /// Stops it for good. Asking twice changes nothing, but for the signal, which is passed on again.
    ///
    /// `signal` replaces `KillSignal=` where the signal that asked for the stop is itself to be passed on.
    pub(super) fn stop(&mut self, now: Mono, signal: Option<Signal>, out: &mut Orders) {
        let again = self.stop_asked;
        self.stop_asked = true;
        if !again {
            self.stop_signal = signal;
        }
        match self.state {
            State::Dead | State::Failed => {}
            State::AutoRestart => {
                self.note(out, Level::Info, "restart cancelled: a stop was asked for".into());
                // The result stays that of what had made the restart necessary.
                self.enter(now, State::Dead, None);
            }
            State::Running => {
                self.note(out, Level::Info, "stopping".into());
                self.enter_stop(now, Outcome::Success, out);
            }
            State::StartPre | State::Start | State::StartPost | State::Reload | State::ReloadNotify => {
                self.note(out, Level::Info, "stopping".into());
                self.enter_signal(now, State::StopSigterm, Outcome::Success, out);
            }
            // On its way down: no deadline moves, or a client could postpone SIGKILL for ever.
            State::Stop
            | State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalSigterm
            | State::FinalSigkill => {
                if again || signal.is_some() {
                    self.forward(signal.unwrap_or(self.spec.kill.signal), out);
                }
            }
        }
    }

    /// Passes a signal on to the main process, and says whether there was one.
    pub(super) fn forward(&mut self, signal: Signal, out: &mut Orders) -> bool {
        let Some(main) = self.main else { return false };
        let whom = match self.spec.ours.signal_target {
            SignalTarget::Main => Whom::Process(main),
            SignalTarget::Group => Whom::Group(main),
        };
        out.actions.push(Action::Signal { unit: self.id, whom, signal });
        true
    }

    /// Lets it go on, but for the last time: however it ends, no start follows.
    pub(super) fn hold(&mut self) {
        self.last_start = true;
    }

    /// Runs `ExecReload=`, at once or when what is under way is over, and says whether it will.
    pub(super) fn reload(&mut self, now: Mono, out: &mut Orders) -> bool {
        if self.spec.service.commands(ExecKind::Reload).is_empty() {
            return false;
        }
        match self.state {
            State::Running => {
                self.note(out, Level::Info, "reloading: ExecReload".into());
                self.control_command(now, State::Reload, ExecKind::Reload, 0, out);
                true
            }
            // What it has read so far may be older than what the signal is about.
            State::Start | State::StartPost | State::Reload | State::ReloadNotify => {
                self.reload_wanted = true;
                true
            }
            // It has yet to read anything, or has no use for it any more.
            State::StartPre
            | State::AutoRestart
            | State::Dead
            | State::Failed
            | State::Stop
            | State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalSigterm
            | State::FinalSigkill => false,
        }
    }

    // ---- what may happen to it ----

    /// The program of one of its runs is executing.
    pub(super) fn spawned(&mut self, now: Mono, run: Run, out: &mut Orders) {
        // A control command's program says nothing by being executed.
        if self.main != Some(run) || self.state != State::Start {
            return;
        }
        match self.spec.service.kind {
            Type::Simple | Type::Exec => self.enter_start_post(now, out),
            // It is up when it says so.
            Type::Notify => {}
        }
    }

    /// The program of one of its runs could not be executed.
    pub(super) fn spawn_failed(&mut self, now: Mono, run: Run, failure: SpawnFailure, out: &mut Orders) {
        if self.main != Some(run) && self.control() != Some(run) {
            return;
        }
        // What it takes down with it is told by its own exit status.
        let was = self.result;
        match failure {
            SpawnFailure::Setup { status, .. } => {
                // To systemd a process that fails in its set-up is one that has ended with that status,
                // and Type=simple was up as soon as it existed.
                if self.main == Some(run)
                    && self.state == State::Start
                    && self.spec.service.kind == Type::Simple
                {
                    self.enter_start_post(now, out);
                }
                self.exited(now, run, Exit::Exited(status), out);
            }
            SpawnFailure::Resources { .. } => self.no_process(now, run, out),
        }
        if was == Outcome::Success && self.result != Outcome::Success {
            self.spawn_failure = Some(failure);
        }
    }

    /// There was no process to be had for a run.
    fn no_process(&mut self, now: Mono, run: Run, out: &mut Orders) {
        // The first line of a list and a later one fail differently: service_run_next_control() of systemd.
        let first = self.control.is_none_or(|control| control.index == 0);
        if self.main == Some(run) {
            self.main = None;
        } else {
            self.control = None;
        }
        let f = Outcome::Resources;
        match self.state {
            State::StartPre if first => self.enter_dead(now, f, out),
            State::StartPost if first => self.enter_stop(now, f, out),
            State::StopPost if first => self.enter_signal(now, State::FinalSigterm, f, out),
            State::StopPost => self.enter_dead(now, f, out),
            State::StartPre | State::Start | State::StartPost | State::Stop => {
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            State::Reload => self.enter_running(now, Outcome::Success, out),
            // A stop overtook the spawn: what is left of it goes on as it would.
            State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::FinalSigterm
            | State::FinalSigkill => self.gone(now, f, out),
            State::Running | State::ReloadNotify | State::Dead | State::Failed | State::AutoRestart => {}
        }
    }

    /// The process of one of its runs has ended.
    pub(super) fn exited(&mut self, now: Mono, run: Run, exit: Exit, out: &mut Orders) {
        if self.main == Some(run) {
            self.main_exited(now, exit, out);
        } else if let Some(control) = self.control.filter(|c| c.run == run) {
            self.control_exited(now, control, exit, out);
        }
        // An exit of an earlier run: true, but no longer news.
    }

    /// None of its processes is left.
    pub(super) fn emptied(&mut self, now: Mono, out: &mut Orders) {
        if self.waits_for_empty() {
            self.empty = true;
            self.gone(now, Outcome::Success, out);
        }
    }

    /// One of its processes says something.
    pub(super) fn notified(&mut self, now: Mono, from: Sender, message: &Message, out: &mut Orders) {
        let main = self.main.is_some_and(|run| from == Sender::Run(run));
        let control = self.control().is_some_and(|run| from == Sender::Run(run));
        let heard = match self.spec.service.notify_access() {
            NotifyAccess::None => false,
            NotifyAccess::Main => main,
            NotifyAccess::Exec => main || control,
            NotifyAccess::All => true,
        };
        if !heard {
            let why = "readiness message ignored: its sender is not allowed by NotifyAccess";
            return self.note(out, Level::Debug, why.into());
        }
        if let Some(text) = &message.status {
            self.status_text.clone_from(text);
        }
        if let Some(errno) = message.errno {
            self.status_errno = errno;
        }
        self.said(now, message, out);
        if let Some(more) = message.extend_timeout
            && let Some(extended) = now.after(more)
            && more != Span::ZERO
            && self.state != State::AutoRestart
        {
            // Never earlier, and nothing where nothing runs.
            self.deadline = self.deadline.map(|at| at.max(extended));
            self.watchdog = self.watchdog.map(|at| at.max(extended));
        }
        let watched =
            matches!(self.state, State::StartPost | State::Running | State::Reload | State::ReloadNotify);
        if message.watchdog_trigger && (watched || self.state == State::Start) {
            return self.watchdog_bites(now, "WATCHDOG=trigger", out);
        }
        if let Some(interval) = message.watchdog_interval {
            self.watchdog_override = Some(interval);
        }
        if watched && (message.watchdog || message.watchdog_interval.is_some()) {
            self.arm_watchdog(now);
        }
    }

    /// Ready, reloading or stopping. STOPPING=1 wins in one message, and READY=1 over RELOADING=1.
    fn said(&mut self, now: Mono, message: &Message, out: &mut Orders) {
        if message.stopping {
            self.said = Some(Said::Stopping);
            if matches!(self.state, State::Running | State::ReloadNotify) {
                self.enter_stop_by_notify(now, out);
            }
        } else if message.ready {
            self.said = Some(Said::Ready);
            match self.state {
                State::Start if self.spec.service.kind == Type::Notify => {
                    self.note(out, Level::Debug, "READY=1".into());
                    self.enter_start_post(now, out);
                }
                State::ReloadNotify => self.enter_running(now, Outcome::Success, out),
                _ => {}
            }
        } else if message.reloading {
            self.said = Some(Said::Reloading);
            if self.state == State::Running {
                self.enter_reload_by_notify(now, out);
            }
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Mono, out: &mut Orders) {
        if self.limit_reopens().is_some_and(|at| now >= at) {
            self.limit_hit = false;
        }
        if self.watchdog.is_some_and(|at| now >= at) {
            let limit = self.watchdog_interval();
            return self.watchdog_bites(now, &format!("no WATCHDOG=1 within {limit}"), out);
        }
        if self.deadline.is_none_or(|at| now < at) {
            if self.kill_again.is_some_and(|at| now >= at) {
                self.send_to_all(self.state, out);
                self.kill_again = now.after(KILL_AGAIN);
            }
            return;
        }
        // LingerSec= is ours: to systemd, who clears up behind a service that has ended in order has not failed.
        let f = if self.lingers() { Outcome::Success } else { Outcome::Timeout };
        let (state, limit) = (self.state, now.since(self.since));
        let mut late = |this: &Self, what: &str| {
            this.note(out, Level::Warn, format!("{state} timed out after {limit}: {what}"));
        };
        match self.state {
            State::StartPre | State::Start | State::StartPost => {
                late(self, "terminating");
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            State::Running => {
                late(self, "RuntimeMaxSec is over, stopping");
                self.enter_stop(now, f, out);
            }
            State::Reload => {
                late(self, "killing ExecReload");
                if let Some(control) = self.control.take() {
                    self.signal(Whom::Process(control.run), Signal::KILL, out);
                }
                self.enter_running(now, Outcome::Success, out);
            }
            State::ReloadNotify => {
                late(self, "no READY=1 after RELOADING=1, taking it for reloaded");
                self.said = None;
                self.enter_running(now, Outcome::Success, out);
            }
            State::Stop => {
                late(self, "terminating");
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            State::StopWatchdog | State::StopSigterm if self.spec.kill.send_sigkill => {
                late(self, "killing");
                self.enter_signal(now, State::StopSigkill, f, out);
            }
            State::StopWatchdog | State::StopSigterm => {
                late(self, "SendSIGKILL=no, going on without killing");
                self.enter_stop_post(now, f, out);
            }
            State::StopSigkill => {
                late(self, "processes are still there after SIGKILL, going on");
                self.enter_stop_post(now, Outcome::Timeout, out);
            }
            State::StopPost => {
                late(self, "terminating");
                self.enter_signal(now, State::FinalSigterm, f, out);
            }
            State::FinalSigterm if self.spec.kill.send_sigkill => {
                late(self, "killing");
                self.enter_signal(now, State::FinalSigkill, f, out);
            }
            State::FinalSigterm => {
                late(self, "SendSIGKILL=no, giving up on what is left");
                // Beside what was spared on purpose nothing starts again.
                self.last_start = true;
                self.enter_dead(now, f, out);
            }
            State::FinalSigkill => {
                late(self, "processes are still there after SIGKILL, giving up on them");
                self.enter_dead(now, Outcome::Timeout, out);
            }
            State::AutoRestart => self.activate(now, true, out),
            State::Dead | State::Failed => {}
        }
    }
}

/// The exit status that tells how a service fared: the main process's own where it has one.
///
/// A program that was not found gives 127 and one that could not be executed 126, as from a shell; a
/// failing set-up gives systemd's status of its step. A service that failed although its processes ended
/// well gives 1, and one whose process could not be made 71 (EX_OSERR).
pub(super) fn exit_status(service: &Service) -> u8 {
    /// errno ENOENT, the same on every Linux.
    const ENOENT: i32 = 2;
    let failed = service.result != Outcome::Success;
    match (service.spawn_failure, service.main_exit, service.control_exit) {
        (Some(SpawnFailure::Setup { status: status::EXEC, errno }), ..) if failed => {
            if errno == ENOENT {
                127
            } else {
                126
            }
        }
        (Some(SpawnFailure::Setup { status, .. }), ..) if failed => status,
        (Some(SpawnFailure::Resources { .. }), None, None) if failed => 71,
        (_, Some(exit), _) if exit.shell_status() != 0 => exit.shell_status(),
        (_, _, Some(exit)) if failed && exit.shell_status() != 0 => exit.shell_status(),
        _ => failed.into(),
    }
}
