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
#![forbid(unsafe_code)]

use super::notify::Message;
use super::restart::{self, StartLimit, Verdict};
use super::{
    Action, Level, Mono, Note, Outcome, Run, Sender, Spawn, SpawnFailure, State, UnitId, Whom, earlier,
};
use crate::unit::spec::{
    Command, ExecKind, Exit, KillMode, NotifyAccess, Signal, SignalTarget, Span, Spec, Type, status,
};
use std::collections::BTreeMap;

/// Where the orders of one step are collected, and where run numbers come from.
pub(super) struct Orders<'a> {
    pub actions: &'a mut Vec<Action>,
    pub last_run: &'a mut u64,
}

/// The control command that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control {
    run: Run,
    kind: ExecKind,
    index: usize,
}

/// One service and where it stands.
#[derive(Clone, Debug)]
pub struct Service {
    id: UnitId,
    spec: Spec,
    state: State,
    /// When the state was entered.
    since: Mono,
    /// When patience with the state ends; set by [`Service::enter`] and, later only, by EXTEND_TIMEOUT_USEC.
    deadline: Option<Mono>,
    main: Option<Run>,
    control: Option<Control>,
    /// When the watchdog bites; armed from the end of the start to the beginning of the stop.
    watchdog: Option<Mono>,
    /// WATCHDOG_USEC= as the service said it.
    watchdog_override: Option<Span>,
    limit: StartLimit,
    /// How the activation at hand has fared so far.
    result: Outcome,
    main_exit: Option<Exit>,
    /// The first failure of a control command or of a spawn: the cause when the main process has none.
    control_exit: Option<Exit>,
    spawn_failure: Option<SpawnFailure>,
    /// A stop was asked for: no restart.
    stop_asked: bool,
    /// The signal that asked for it, where that is to be passed on as it is.
    stop_signal: Option<Signal>,
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
            deadline: None,
            main: None,
            control: None,
            watchdog: None,
            watchdog_override: None,
            limit: StartLimit::default(),
            result: Outcome::Success,
            main_exit: None,
            control_exit: None,
            spawn_failure: None,
            stop_asked: false,
            stop_signal: None,
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

    /// Why the program could not be executed, if it could not in this activation.
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
        earlier(self.deadline, self.watchdog)
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

    /// When a start limit that was hit lets another start through.
    pub fn limit_reopens(&self) -> Option<Mono> {
        self.limit.reopens(self.spec.service.start_limit_interval)
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
                self.enter(now, State::Dead, None);
                self.result = Outcome::Success;
                self.restarts = 0;
            }
            State::Running | State::Reload if self.control.is_none() => {
                self.note(out, Level::Info, "stopping".into());
                self.enter_stop(now, Outcome::Success, out);
            }
            State::StartPre | State::Start | State::StartPost | State::Reload | State::Running => {
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

    /// Runs `ExecReload=`, and says whether that could begin.
    pub(super) fn reload(&mut self, now: Mono, out: &mut Orders) -> bool {
        if self.state != State::Running || self.spec.service.commands(ExecKind::Reload).is_empty() {
            return false;
        }
        self.note(out, Level::Info, "reloading: ExecReload".into());
        self.control_command(now, State::Reload, ExecKind::Reload, 0, out);
        true
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
        self.spawn_failure = Some(failure);
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
            SpawnFailure::Resources { .. } => {
                if self.main == Some(run) {
                    self.main = None;
                } else {
                    self.control = None;
                }
                let f = Outcome::Resources;
                match self.state {
                    State::StartPre => self.enter_dead(now, f, out),
                    State::Start => self.enter_signal(now, State::StopSigterm, f, out),
                    State::StartPost => self.enter_stop(now, f, out),
                    State::Reload => self.enter_running(now, Outcome::Success, out),
                    State::Stop => self.enter_signal(now, State::StopSigterm, f, out),
                    State::StopPost => self.enter_signal(now, State::FinalSigterm, f, out),
                    // A stop overtook the spawn: what is left of it goes on as it would.
                    State::StopWatchdog
                    | State::StopSigterm
                    | State::StopSigkill
                    | State::FinalSigterm
                    | State::FinalSigkill => self.gone(now, f, out),
                    State::Running | State::Dead | State::Failed | State::AutoRestart => {}
                }
            }
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
        if message.ready && self.state == State::Start && self.spec.service.kind == Type::Notify {
            self.note(out, Level::Debug, "READY=1".into());
            self.enter_start_post(now, out);
        }
        if message.stopping && self.state.is_active() && self.control.is_none() {
            self.note(out, Level::Info, "STOPPING=1: the service stops by itself".into());
            // It has begun its own stop: no ExecStop and no signal, but TimeoutStopSec counts.
            self.enter(now, State::StopSigterm, now.after(self.stop_timeout()));
            self.watchdog = None;
        }
        if let Some(interval) = message.watchdog_interval {
            self.watchdog_override = Some(interval);
            self.arm_watchdog(now);
        }
        if message.watchdog {
            self.arm_watchdog(now);
        }
        if message.watchdog_trigger && self.state.is_active() {
            self.watchdog_bites(now, "WATCHDOG=trigger", out);
        }
        if let Some(more) = message.extend_timeout
            && let (Some(deadline), Some(extended)) = (self.deadline, now.after(more))
            && self.state != State::AutoRestart
        {
            self.deadline = Some(deadline.max(extended));
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Mono, out: &mut Orders) {
        if self.watchdog.is_some_and(|at| now >= at) {
            let limit = self.watchdog_interval();
            return self.watchdog_bites(now, &format!("no WATCHDOG=1 within {limit}"), out);
        }
        if self.deadline.is_none_or(|at| now < at) {
            return;
        }
        let f = Outcome::Timeout;
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
            State::Stop => {
                late(self, "terminating");
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            State::StopWatchdog => {
                late(self, "killing");
                self.enter_signal(now, State::StopSigkill, f, out);
            }
            State::StopSigterm if self.spec.kill.send_sigkill => {
                late(self, "killing");
                self.enter_signal(now, State::StopSigkill, f, out);
            }
            State::StopSigterm => {
                late(self, "SendSIGKILL=no, going on without killing");
                self.enter_stop_post(now, f, out);
            }
            State::StopSigkill => {
                late(self, "processes are still there after SIGKILL, going on");
                self.enter_stop_post(now, f, out);
            }
            State::StopPost => {
                late(self, "terminating");
                self.enter_signal(now, State::FinalSigterm, f, out);
            }
            State::FinalSigterm if self.spec.kill.send_sigkill => {
                late(self, "killing");
                self.enter_signal(now, State::FinalSigkill, f, out);
            }
            State::FinalSigterm | State::FinalSigkill => {
                late(self, "processes are still there, giving up on them");
                self.enter_dead(now, f, out);
            }
            State::AutoRestart => self.activate(now, true, out),
            State::Dead | State::Failed => {}
        }
    }

    // ---- the way up ----

    /// Begins an activation, if the start limit allows one.
    fn activate(&mut self, now: Mono, automatic: bool, out: &mut Orders) {
        let service = &self.spec.service;
        if !self.limit.allows(now, service.start_limit_interval, service.start_limit_burst) {
            let (burst, interval) = (service.start_limit_burst, service.start_limit_interval);
            self.note(
                out,
                Level::Warn,
                format!("not started: {burst} starts within {interval} were allowed"),
            );
            // An automatic restart that is refused keeps the result of what made it necessary.
            if !automatic {
                self.result = Outcome::StartLimitHit;
            }
            return self.enter(now, State::Failed, None);
        }
        if !automatic {
            self.restarts = 0;
        }
        self.result = Outcome::Success;
        (self.activated, self.ready_after) = (Some(now), None);
        (self.main_exit, self.control_exit, self.spawn_failure) = (None, None, None);
        (self.stop_asked, self.stop_signal, self.watchdog_override) = (false, None, None);
        self.status_text.clear();
        self.status_errno = 0;
        if self.spec.service.commands(ExecKind::StartPre).is_empty() {
            self.enter_start(now, out);
        } else {
            self.control_command(now, State::StartPre, ExecKind::StartPre, 0, out);
        }
    }

    fn enter_start(&mut self, now: Mono, out: &mut Orders) {
        // Type=simple and exec wait here for the program to execute, which takes no time that counts.
        let patience = self.spec.service.timeout_start.zero_is_never();
        self.enter(now, State::Start, now.after(patience));
        self.main = Some(self.spawn(ExecKind::Start, 0, out));
    }

    fn enter_start_post(&mut self, now: Mono, out: &mut Orders) {
        self.arm_watchdog_at(now);
        if self.spec.service.commands(ExecKind::StartPost).is_empty() {
            self.enter_running(now, Outcome::Success, out);
        } else {
            self.control_command(now, State::StartPost, ExecKind::StartPost, 0, out);
        }
    }

    /// The start or a reload is over, or the main process has ended: up if it lives, else down.
    fn enter_running(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        if self.result != Outcome::Success {
            self.enter_signal(now, State::StopSigterm, f, out);
        } else if self.main.is_some() {
            let fresh = self.state != State::Reload;
            if fresh {
                self.note_state(out, Level::Info, State::Running, "started".into());
                self.started_once = true;
                self.ready_after = self.activated.map(|at| now.since(at));
            }
            // RuntimeMaxSec counts from the activation, not from the end of a reload.
            let until = self.spec.service.runtime_max;
            let since = if fresh { now } else { self.since };
            self.enter(now, State::Running, since.after(until));
        } else {
            self.started_once = true;
            self.enter_stop(now, Outcome::Success, out);
        }
    }

    // ---- the way down ----

    fn enter_stop(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        self.watchdog = None;
        if self.spec.service.commands(ExecKind::Stop).is_empty() {
            self.enter_signal(now, State::StopSigterm, Outcome::Success, out);
        } else {
            self.control_command(now, State::Stop, ExecKind::Stop, 0, out);
        }
    }

    /// Sends the signals that belong to a killing state and waits in it, or passes through it where nobody is to be
    /// waited for: `service_enter_signal()` and `unit_kill_context()`.
    fn enter_signal(&mut self, now: Mono, state: State, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        self.watchdog = None;
        let kill = matches!(state, State::StopSigkill | State::FinalSigkill);
        let (mode, linger) = (self.spec.kill.mode, self.spec.ours.linger);
        let alone = self.main.is_none() && self.control.is_none();
        // With LingerSec=, what outlives the main process is asked before it is killed, in mixed mode too.
        let lingers = alone && !kill && !linger.is_infinite() && linger != Span::ZERO;
        let rest = mode == KillMode::ControlGroup || mode == KillMode::Mixed && (kill || lingers);
        if mode == KillMode::None || alone && !rest {
            return self.pass_through(now, state, out);
        }
        let signal = match state {
            State::StopWatchdog => self.spec.kill.watchdog_signal,
            _ if kill => self.spec.kill.final_signal,
            _ => self.stop_signal.filter(|_| state == State::StopSigterm).unwrap_or(self.spec.kill.signal),
        };
        let runs = [self.main, self.control()];
        for run in runs.into_iter().flatten() {
            self.signal_and_wake(Whom::Process(run), signal, out);
        }
        if rest {
            self.signal_and_wake(Whom::Rest { main: self.main, control: self.control() }, signal, out);
        }
        let patience = match state {
            State::StopWatchdog => self.spec.service.timeout_abort.unwrap_or(self.spec.service.timeout_stop),
            _ if alone && !kill => self.spec.service.timeout_stop.zero_is_never().min(linger),
            _ => self.spec.service.timeout_stop,
        };
        self.enter(now, state, now.after(patience.zero_is_never()));
    }

    fn pass_through(&mut self, now: Mono, state: State, out: &mut Orders) {
        let hard = self.spec.kill.send_sigkill;
        match state {
            State::StopWatchdog | State::StopSigterm if hard => {
                self.enter_signal(now, State::StopSigkill, Outcome::Success, out);
            }
            State::FinalSigterm if hard => {
                self.enter_signal(now, State::FinalSigkill, Outcome::Success, out);
            }
            State::FinalSigterm | State::FinalSigkill => self.enter_dead(now, Outcome::Success, out),
            _ => self.enter_stop_post(now, Outcome::Success, out),
        }
    }

    fn enter_stop_post(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        if self.spec.service.commands(ExecKind::StopPost).is_empty() {
            self.enter_signal(now, State::FinalSigterm, Outcome::Success, out);
        } else {
            self.control_command(now, State::StopPost, ExecKind::StopPost, 0, out);
        }
    }

    /// The end of an activation: down for good, or until the restart.
    fn enter_dead(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        self.watchdog = None;
        // Whatever still runs by now has been given up on.
        (self.main, self.control) = (None, None);
        let end = if self.result == Outcome::Success { State::Dead } else { State::Failed };
        let level = if end == State::Failed { Level::Warn } else { Level::Info };
        let ended = format!("ended with result {}", self.result);
        if self.stop_asked {
            self.note_state(out, level.max(Level::Info), end, ended);
            return self.enter(now, end, None);
        }
        match restart::verdict(&self.spec.service, self.result, self.main_exit) {
            Verdict::Rest(rule) => {
                // With Restart=no the status says it all; a rule that forbids a restart is news.
                let level = if rule == "Restart=no" { Level::Info } else { level };
                self.note_state(out, level, end, format!("{ended}; not restarted: {rule}"));
                self.restarts = 0;
                self.enter(now, end, None);
            }
            Verdict::Again(rule) => {
                self.restarts = self.restarts.saturating_add(1);
                *self.restarts_by.entry(self.result).or_default() += 1;
                let (n, wait) = (self.restarts, restart::delay(&self.spec.service, self.restarts));
                let text = format!("{ended}; restart {n} in {wait}: {rule}");
                self.note_state(out, Level::Warn, State::AutoRestart, text);
                // A restart that never comes is a deadline that never comes.
                self.enter(now, State::AutoRestart, now.after(wait));
            }
        }
    }

    // ---- the ends of processes ----

    fn main_exited(&mut self, now: Mono, exit: Exit, out: &mut Orders) {
        self.main = None;
        self.main_exit = Some(exit);
        let forgiven = self.command(ExecKind::Start, 0).is_some_and(|c| c.ignore_failure);
        let f = if forgiven { Outcome::Success } else { restart::classify_main(&self.spec.service, exit) };
        let level = match f {
            Outcome::Success => Level::Info,
            _ if self.stop_asked => Level::Info,
            // What the caller gets to see as our own exit status need not be told twice.
            Outcome::ExitCode => Level::Info,
            _ => Level::Warn,
        };
        self.note_exit(out, level, format!("main process ended, {exit}"), exit);
        self.worsen(f);
        let control = self.control.is_some();
        match self.state {
            State::Start => {
                // Only Type=notify can be met here: it owes us a word.
                let f = if f == Outcome::Success { Outcome::Protocol } else { f };
                if f == Outcome::Protocol {
                    self.note(out, Level::Warn, "main process ended before READY=1".into());
                }
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            // The control command finishes first.
            State::StartPost | State::Reload | State::Stop if control => {}
            State::Running | State::StartPost | State::Reload => self.enter_running(now, f, out),
            State::Stop => self.enter_signal(now, State::StopSigterm, f, out),
            State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalSigterm
            | State::FinalSigkill => self.gone(now, f, out),
            // No main process lives in these.
            State::StartPre | State::Dead | State::Failed | State::AutoRestart => {}
        }
    }

    fn control_exited(&mut self, now: Mono, control: Control, exit: Exit, out: &mut Orders) {
        self.control = None;
        let forgiven = self.command(control.kind, control.index).is_some_and(|c| c.ignore_failure);
        let f = if forgiven { Outcome::Success } else { restart::classify_control(&self.spec.service, exit) };
        let name = control.kind.directive();
        let level = if f == Outcome::Success { Level::Debug } else { Level::Warn };
        self.note_exit(out, level, format!("{name} ended, {exit}"), exit);
        let reload = self.state == State::Reload;
        if !reload {
            self.worsen(f);
        }
        if f != Outcome::Success && !reload && self.control_exit.is_none() {
            self.control_exit = Some(exit);
        }
        let killing = matches!(
            self.state,
            State::StopWatchdog
                | State::StopSigterm
                | State::StopSigkill
                | State::FinalSigterm
                | State::FinalSigkill
        );
        let next = control.index + 1;
        if f == Outcome::Success && !killing && next < self.spec.service.commands(control.kind).len() {
            let (state, deadline, since) = (self.state, self.deadline, self.since);
            self.control_command(now, state, control.kind, next, out);
            // The list shares the patience of its state.
            (self.deadline, self.since) = (deadline, since);
            return;
        }
        match self.state {
            State::StartPre if f == Outcome::Success => self.enter_start(now, out),
            State::StartPre => self.enter_signal(now, State::StopSigterm, f, out),
            State::StartPost if f == Outcome::Success => self.enter_running(now, Outcome::Success, out),
            State::StartPost => self.enter_signal(now, State::StopSigterm, f, out),
            State::Reload => self.enter_running(now, Outcome::Success, out),
            State::Stop => self.enter_signal(now, State::StopSigterm, f, out),
            State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalSigterm
            | State::FinalSigkill => self.gone(now, f, out),
            // No control command lives in these.
            State::Start | State::Running | State::Dead | State::Failed | State::AutoRestart => {}
        }
    }

    /// In a state that waits for processes to be gone: goes on if those that it knows are.
    fn gone(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        if self.main.is_some() || self.control.is_some() {
            return;
        }
        match self.state {
            State::StopWatchdog | State::StopSigterm | State::StopSigkill => {
                self.enter_stop_post(now, f, out)
            }
            State::StopPost => self.enter_signal(now, State::FinalSigterm, f, out),
            State::FinalSigterm | State::FinalSigkill => self.enter_dead(now, f, out),
            _ => {}
        }
    }

    // ---- the watchdog ----

    fn watchdog_interval(&self) -> Span {
        self.watchdog_override.unwrap_or(self.spec.service.watchdog)
    }

    fn arm_watchdog(&mut self, now: Mono) {
        if matches!(self.state, State::StartPost | State::Running | State::Reload) {
            self.arm_watchdog_at(now);
        }
    }

    fn arm_watchdog_at(&mut self, now: Mono) {
        let interval = self.watchdog_interval();
        self.watchdog = if interval == Span::ZERO { None } else { now.after(interval) };
    }

    fn watchdog_bites(&mut self, now: Mono, why: &str, out: &mut Orders) {
        let signal = self.spec.kill.watchdog_signal;
        self.note(out, Level::Warn, format!("watchdog: {why}; sending {signal}"));
        self.enter_signal(now, State::StopWatchdog, Outcome::Watchdog, out);
    }

    // ---- small things ----

    fn enter(&mut self, now: Mono, state: State, deadline: Option<Mono>) {
        (self.state, self.since, self.deadline) = (state, now, deadline);
    }

    /// The first thing that goes wrong is the result.
    fn worsen(&mut self, f: Outcome) {
        if self.result == Outcome::Success {
            self.result = f;
        }
    }

    fn stop_timeout(&self) -> Span {
        self.spec.service.timeout_stop.zero_is_never()
    }

    fn command(&self, kind: ExecKind, index: usize) -> Option<&Command> {
        self.spec.service.commands(kind).get(index)
    }

    fn control_command(&mut self, now: Mono, state: State, kind: ExecKind, index: usize, out: &mut Orders) {
        let patience = match state {
            State::Stop | State::StopPost => self.stop_timeout(),
            _ => self.spec.service.timeout_start.zero_is_never(),
        };
        self.enter(now, state, now.after(patience));
        let run = self.spawn(kind, index, out);
        self.control = Some(Control { run, kind, index });
    }

    fn spawn(&mut self, kind: ExecKind, index: usize, out: &mut Orders) -> Run {
        *out.last_run += 1;
        let run = Run(*out.last_run);
        let mut environment = Vec::new();
        if matches!(kind, ExecKind::Stop | ExecKind::StopPost) {
            environment.push(("SERVICE_RESULT", self.result.word().to_owned()));
            if let Some(exit) = self.main_exit {
                environment.push(("EXIT_CODE", exit.code().to_owned()));
                environment.push(("EXIT_STATUS", exit.status_word()));
            }
        }
        let main = self.main;
        out.actions.push(Action::Spawn(Spawn { unit: self.id, run, kind, index, main, environment }));
        run
    }

    fn signal(&self, whom: Whom, signal: Signal, out: &mut Orders) {
        out.actions.push(Action::Signal { unit: self.id, whom, signal });
    }

    /// As `unit_kill_context()`: a stopped process must be continued to notice, and `SendSIGHUP=` follows.
    fn signal_and_wake(&self, whom: Whom, signal: Signal, out: &mut Orders) {
        self.signal(whom, signal, out);
        if signal == Signal::KILL || signal == Signal::CONT {
            return;
        }
        self.signal(whom, Signal::CONT, out);
        if self.spec.kill.send_sighup && signal == self.spec.kill.signal {
            self.signal(whom, Signal::HUP, out);
        }
    }

    fn note(&self, out: &mut Orders, level: Level, text: String) {
        self.write_note(out, level, self.state, text, None);
    }

    fn note_state(&self, out: &mut Orders, level: Level, state: State, text: String) {
        self.write_note(out, level, state, text, self.main_exit);
    }

    fn note_exit(&self, out: &mut Orders, level: Level, text: String, exit: Exit) {
        self.write_note(out, level, self.state, text, Some(exit));
    }

    fn write_note(&self, out: &mut Orders, level: Level, state: State, text: String, exit: Option<Exit>) {
        let (state, result) = (Some(state), Some(self.result));
        out.actions.push(Action::Note(Note { level, unit: Some(self.id), text, state, result, exit }));
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
