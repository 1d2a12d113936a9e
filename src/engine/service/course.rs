//! The course of one activation: up, down, and what the ends of processes have to do with it.
//!
//! The facts come in at `service`; here is what systemd's `service_enter_*()` functions do. Every change of state
//! goes through `enter`.
#![forbid(unsafe_code)]

use super::{Change, Control, KILL_AGAIN, Orders, Said, Service};
use crate::engine::restart::{self, Verdict};
use crate::engine::{Action, ActiveState, Level, Mono, Note, Outcome, Run, Spawn, State, Whom};
use crate::unit::spec::{Command, ExecKind, Exit, KillMode, RestartMode, Signal, SignalTarget, Span, Type};

/// How long what outlives the main process is waited for after SIGKILL where TimeoutStopSec= says for ever, as it does
/// unless it is set: a process of another user would be.
const KILLED: Span = Span::from_secs(10);

impl Service {
    // ---- the way up ----

    /// Begins an activation, if the start limit and the conditions allow one. An automatic one was allowed by the
    /// conditions before.
    pub(super) fn activate(&mut self, now: Mono, automatic: bool, out: &mut Orders) {
        let service = &self.spec.service;
        if !self.limit.allows(now, service.start_limit_interval, service.start_limit_burst) {
            let (burst, interval) = (service.start_limit_burst, service.start_limit_interval);
            self.note(
                out,
                Level::Warn,
                format!("not started: {burst} starts within {interval} were allowed"),
            );
            // What had failed already keeps its result.
            if self.result.is_clean() {
                self.result = Outcome::StartLimitHit;
            }
            self.limit_hit = true;
            return self.enter(now, State::Failed, None);
        }
        self.limit_hit = false;
        if !automatic && !self.latest_spec().unit.conditions.is_empty() {
            let run = Self::next_run(out);
            self.checking = Some(run);
            return out.actions.push(Action::CheckConditions { unit: self.id, run });
        }
        if !automatic {
            (self.condition_met, self.assert_met) = (true, true);
        }
        self.begin(now, automatic, out);
    }

    pub(super) fn begin(&mut self, now: Mono, automatic: bool, out: &mut Orders) {
        if let Some(spec) = self.next_spec.take() {
            self.spec = spec;
        }
        if !automatic {
            // Counted until the next start by hand, so that one can see it after the end.
            self.restarts = 0;
        }
        self.result = Outcome::Success;
        (self.activated, self.ready_after) = (Some(now), None);
        (self.main_exit, self.control_exit, self.spawn_failure) = (None, None, None);
        (self.main_known, self.alien, self.main_line, self.heir) = (false, false, 0, None);
        (self.stop_asked, self.stop_signal, self.watchdog_override) = (false, None, None);
        (self.last_start, self.reload_wanted, self.said) = (false, false, None);
        (self.reload_failed, self.restarting, self.access_override) = (false, false, None);
        self.status_text.clear();
        self.status_errno = 0;
        if self.spec.service.commands(ExecKind::Condition).is_empty() {
            self.enter_start_pre(now, out);
        } else {
            self.control_command(now, State::Condition, ExecKind::Condition, 0, out);
        }
    }

    pub(super) fn enter_start_pre(&mut self, now: Mono, out: &mut Orders) {
        if self.spec.service.commands(ExecKind::StartPre).is_empty() {
            self.enter_start(now, out);
        } else {
            self.control_command(now, State::StartPre, ExecKind::StartPre, 0, out);
        }
    }

    pub(super) fn enter_start(&mut self, now: Mono, out: &mut Orders) {
        match self.spec.service.kind() {
            // Its first process is there to start the main one.
            Type::Forking => self.control_command(now, State::Start, ExecKind::Start, 0, out),
            // It has nothing to do but to be up.
            Type::Oneshot if self.spec.service.commands(ExecKind::Start).is_empty() => {
                self.main_known = true;
                self.enter(now, State::Start, None);
                self.enter_start_post(now, out);
            }
            _ => self.start_line(now, 0, out),
        }
    }

    /// Starts a line of ExecStart= as the main process.
    pub(super) fn start_line(&mut self, now: Mono, line: usize, out: &mut Orders) {
        // To systemd a simple service is up by now; here the fact that it runs is only just on its way.
        let patience = match self.spec.service.kind() {
            Type::Simple | Type::Dbus | Type::Idle => Span::INFINITY,
            Type::Exec | Type::Notify | Type::NotifyReload | Type::Oneshot | Type::Forking => {
                self.spec.service.start_patience()
            }
        };
        self.enter(now, State::Start, now.after(patience));
        (self.main_known, self.main_line, self.main_exit) = (true, line, None);
        self.main = Some(self.spawn(ExecKind::Start, line, out));
    }

    pub(super) fn enter_start_post(&mut self, now: Mono, out: &mut Orders) {
        self.arm_watchdog(now);
        if self.spec.service.commands(ExecKind::StartPost).is_empty() {
            self.enter_running(now, Outcome::Success, out);
        } else {
            self.control_command(now, State::StartPost, ExecKind::StartPost, 0, out);
        }
    }

    /// The start or a reload is over, or the main process has ended: up if it lives, else down.
    pub(super) fn enter_running(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        if self.result != Outcome::Success {
            self.enter_signal(now, State::StopSigterm, f, out);
        } else if self.is_good() {
            if !matches!(self.state, State::Reload | State::ReloadSignal | State::ReloadNotify) {
                self.note_state(out, Level::Info, State::Running, "started".into());
                self.started_once = true;
                self.ready_after = self.activated.map(|at| now.since(at));
                self.active_since = now;
            }
            match self.said {
                Some(Said::Stopping) => return self.enter_stop_by_notify(now, out),
                Some(Said::Reloading) => return self.enter_reload_by_notify(now, out),
                Some(Said::Ready) | None => {}
            }
            // RuntimeMaxSec counts from the activation, whatever was reloaded since.
            self.enter(now, State::Running, self.active_since.after(self.spec.service.runtime_max));
            if std::mem::take(&mut self.reload_wanted) {
                self.reload(now, out);
            }
        } else if self.spec.service.remain_after_exit {
            let starting = self.state.active_state() == ActiveState::Activating;
            if starting {
                self.ready_after = self.activated.map(|at| now.since(at));
            }
            let text = if starting { "started" } else { "remains after its end" };
            self.note_state(out, Level::Info, State::Exited, text.into());
            self.started_once = true;
            self.watchdog = None;
            self.enter(now, State::Exited, None);
            if std::mem::take(&mut self.reload_wanted) {
                self.reload(now, out);
            }
        } else {
            self.started_once = true;
            self.enter_stop(now, Outcome::Success, out);
        }
    }

    /// Makes it reload: by its signal, by its commands, or by both.
    pub(super) fn enter_reload(&mut self, now: Mono, out: &mut Orders) {
        (self.reload_failed, self.reload_begun) = (false, now);
        let asked = self.ask_to_reload(out);
        if !self.spec.service.commands(ExecKind::Reload).is_empty() {
            self.note(out, Level::Info, "reloading: ExecReload".into());
            self.control_command(now, State::Reload, ExecKind::Reload, 0, out);
        } else if asked {
            self.note(out, Level::Info, format!("reloading: {}", self.spec.service.reload_signal));
            self.enter(now, State::ReloadSignal, now.after(self.spec.service.start_patience()));
        }
    }

    pub(super) fn enter_reload_by_notify(&mut self, now: Mono, out: &mut Orders) {
        self.note_state(out, Level::Info, State::ReloadNotify, "RELOADING=1: the service reloads".into());
        self.enter(now, State::ReloadNotify, now.after(self.spec.service.start_patience()));
    }

    // ---- the way down ----

    pub(super) fn enter_stop(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        self.watchdog = None;
        if self.spec.service.commands(ExecKind::Stop).is_empty() {
            self.enter_signal(now, State::StopSigterm, Outcome::Success, out);
        } else {
            self.control_command(now, State::Stop, ExecKind::Stop, 0, out);
        }
    }

    /// It has begun its own stop: no ExecStop and no signal, but TimeoutStopSec counts.
    pub(super) fn enter_stop_by_notify(&mut self, now: Mono, out: &mut Orders) {
        self.note_state(
            out,
            Level::Info,
            State::StopSigterm,
            "STOPPING=1: the service stops by itself".into(),
        );
        self.enter(now, State::StopSigterm, now.after(self.stop_timeout()));
        self.watchdog = None;
    }

    /// Sends the signals that belong to a killing state and waits in it, or passes through it where nobody is to be
    /// waited for: `service_enter_signal()` and `unit_kill_context()`.
    pub(super) fn enter_signal(&mut self, now: Mono, state: State, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        self.watchdog = None;
        let kill = matches!(state, State::StopSigkill | State::FinalSigkill);
        let (mode, linger) = (self.spec.kill.mode, self.spec.ours.linger);
        let alone = self.main.is_none() && self.control.is_none();
        let rest = self.reaches_rest(state);
        if mode == KillMode::None || alone && (self.empty || !rest) {
            return self.pass_through(now, state, out);
        }
        let signal = self.send_to_all(state, out);
        if self.alien && self.main.is_some() && self.control.is_none() {
            // Nobody would tell us of its end, so it gets no time: unit_kill_context() does not wait for one either.
            return self.pass_through(now, state, out);
        }
        let patience = match state {
            // Here alone zero means "at once".
            State::StopWatchdog | State::FinalWatchdog => {
                self.spec.service.timeout_abort.unwrap_or(self.stop_timeout())
            }
            _ if alone && !kill => self.stop_timeout().min(linger),
            // Nobody whose word we wait for, and nothing stronger to say.
            _ if alone && self.stop_timeout().is_infinite() => KILLED,
            _ => self.stop_timeout(),
        };
        self.enter(now, state, now.after(patience));
        if rest && signal == Signal::KILL {
            self.kill_again = now.after(KILL_AGAIN);
        }
    }

    /// Sends what belongs to a killing state to everybody whom `KillMode=` names, and says which signal that is.
    pub(super) fn send_to_all(&self, state: State, out: &mut Orders) -> Signal {
        let rest = self.reaches_rest(state);
        let signal = match state {
            State::StopWatchdog | State::FinalWatchdog => self.spec.kill.watchdog_signal,
            State::StopSigkill | State::FinalSigkill => self.spec.kill.final_signal,
            State::StopSigterm if self.restarting && self.spec.kill.restart_signal.is_some() => {
                self.spec.kill.restart_signal.unwrap_or(self.spec.kill.signal)
            }
            _ => self.stop_signal.filter(|_| state == State::StopSigterm).unwrap_or(self.spec.kill.signal),
        };
        // The signal that asks for a stop is a forwarded one, so SignalTarget= counts, unless all get it anyway.
        let group =
            self.spec.ours.signal_target == SignalTarget::Group && state == State::StopSigterm && !rest;
        let main = self.main.map(|run| if group { Whom::Group(run) } else { Whom::Process(run) });
        let control = self.control().map(Whom::Process);
        let others = rest.then_some(Whom::Rest { main: self.main, control: self.control() });
        let hang_up = self.spec.kill.send_sighup
            && matches!(state, State::StopSigterm | State::FinalSigterm)
            && signal != Signal::HUP;
        for whom in [main, control, others].into_iter().flatten() {
            self.signal(whom, signal, out);
            // A stopped process must be continued to notice; unit_kill_context() has this order.
            if signal != Signal::KILL && signal != Signal::CONT {
                self.signal(whom, Signal::CONT, out);
            }
            if hang_up {
                self.signal(whom, Signal::HUP, out);
            }
        }
        signal
    }

    /// Whether the signal of a killing state is for every process of the service, and not only for those that we know.
    fn reaches_rest(&self, state: State) -> bool {
        let kill = matches!(state, State::StopSigkill | State::FinalSigkill);
        // With LingerSec=, what outlives the main process is asked before it is killed, in mixed mode too.
        let asked = self.lingers() && self.spec.ours.linger != Span::ZERO;
        match self.spec.kill.mode {
            KillMode::ControlGroup => true,
            KillMode::Mixed => kill || asked,
            KillMode::Process | KillMode::None => false,
        }
    }

    /// Whether LingerSec= is what counts for processes that outlive the main process.
    pub(super) fn lingers(&self) -> bool {
        self.main.is_none() && self.control.is_none() && !self.spec.ours.linger.is_infinite()
    }

    fn pass_through(&mut self, now: Mono, state: State, out: &mut Orders) {
        let hard = self.spec.kill.send_sigkill;
        match state {
            State::StopWatchdog | State::StopSigterm if hard => {
                self.enter_signal(now, State::StopSigkill, Outcome::Success, out);
            }
            State::FinalWatchdog | State::FinalSigterm if hard => {
                self.enter_signal(now, State::FinalSigkill, Outcome::Success, out);
            }
            State::FinalWatchdog | State::FinalSigterm | State::FinalSigkill => {
                self.enter_dead(now, Outcome::Success, out);
            }
            _ => self.enter_stop_post(now, Outcome::Success, out),
        }
    }

    pub(super) fn enter_stop_post(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        if self.spec.service.commands(ExecKind::StopPost).is_empty() {
            self.enter_signal(now, State::FinalSigterm, Outcome::Success, out);
        } else {
            self.control_command(now, State::StopPost, ExecKind::StopPost, 0, out);
        }
    }

    /// The end of an activation: down for good, or until the restart.
    pub(super) fn enter_dead(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.worsen(f);
        self.watchdog = None;
        // Whatever still runs by now has been given up on.
        (self.main, self.alien, self.control, self.heir) = (None, false, None, None);
        let end = if self.result.is_clean() { State::Dead } else { State::Failed };
        let level = if end == State::Failed { Level::Warn } else { Level::Info };
        let ended = format!("ended with result {}", self.result);
        if self.stop_asked || self.last_start {
            self.debug = false;
            self.note_state(out, level.max(Level::Info), end, ended);
            return self.enter(now, end, None);
        }
        match restart::verdict(&self.spec.service, self.result, self.main_exit) {
            Verdict::Rest(rule) => {
                // With Restart=no the status says it all; a rule that forbids a restart is news.
                let level = if rule == "Restart=no" { Level::Info } else { level };
                self.debug = false;
                self.note_state(out, level, end, format!("{ended}; not restarted: {rule}"));
                self.enter(now, end, None);
            }
            Verdict::Again(rule) => {
                *self.restarts_by.entry(self.result).or_default() += 1;
                let n = self.restarts.saturating_add(1);
                let wait = restart::delay(&self.spec.service, n);
                let text = format!("{ended}; restart {n} in {wait}: {rule}");
                self.note_state(out, Level::Warn, State::AutoRestart, text);
                let mode = self.spec.service.restart_mode;
                self.debug |= mode == RestartMode::Debug;
                if mode != RestartMode::Direct {
                    self.changed(Change::State(end.active_state(), true));
                }
                // A restart that never comes is a deadline that never comes.
                self.enter(now, State::AutoRestart, now.after(wait));
            }
        }
    }

    /// No start follows, though one was ahead.
    pub(in crate::engine) fn give_up(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        self.last_start = true;
        self.enter_dead(now, f, out);
    }

    // ---- the watchdog ----

    pub(super) fn watchdog_interval(&self) -> Span {
        self.watchdog_override.unwrap_or(self.spec.service.watchdog)
    }

    pub(super) fn arm_watchdog(&mut self, now: Mono) {
        let interval = self.watchdog_interval();
        self.watchdog = if interval == Span::ZERO { None } else { now.after(interval) };
    }

    pub(super) fn watchdog_bites(&mut self, now: Mono, why: &str, out: &mut Orders) {
        let signal = self.spec.kill.watchdog_signal;
        self.note(out, Level::Warn, format!("watchdog: {why}; sending {signal}"));
        self.enter_signal(now, State::StopWatchdog, Outcome::Watchdog, out);
    }

    // ---- small things ----

    pub(super) fn enter(&mut self, now: Mono, state: State, deadline: Option<Mono>) {
        (self.state, self.since, self.deadline) = (state, now, deadline);
        (self.kill_again, self.search) = (None, None);
        self.changed(Change::State(self.active_state(), !self.reload_failed));
    }

    /// Keeps what others are to know of, where there are others.
    pub(super) fn changed(&mut self, change: Change) {
        if self.managed {
            self.changes.push(change);
        }
    }

    /// The first thing that goes wrong is the result.
    pub(super) fn worsen(&mut self, f: Outcome) {
        if self.result == Outcome::Success {
            self.result = f;
        }
    }

    pub(super) fn stop_timeout(&self) -> Span {
        self.spec.service.timeout_stop.zero_is_never()
    }

    pub(super) fn command(&self, kind: ExecKind, index: usize) -> Option<&Command> {
        self.spec.service.commands(kind).get(index)
    }

    pub(super) fn control_command(
        &mut self,
        now: Mono,
        state: State,
        kind: ExecKind,
        index: usize,
        out: &mut Orders,
    ) {
        let patience = match state {
            State::Stop | State::StopPost => self.stop_timeout(),
            _ => self.spec.service.start_patience(),
        };
        self.enter(now, state, now.after(patience));
        let run = self.spawn(kind, index, out);
        self.control = Some(Control { run, kind, index });
    }

    /// A number that no run has had.
    pub(super) fn next_run(out: &mut Orders) -> Run {
        *out.last_run += 1;
        Run(*out.last_run)
    }

    fn spawn(&mut self, kind: ExecKind, index: usize, out: &mut Orders) -> Run {
        self.empty = false;
        let run = Self::next_run(out);
        let mut environment = Vec::new();
        let mut monitor = None;
        if self.debug {
            environment.push(("DEBUG_INVOCATION", "1".to_owned()));
        }
        if let (ExecKind::StartPre | ExecKind::Start, Some((unit, variables))) = (kind, &self.monitor) {
            monitor = Some(*unit);
            environment.extend(variables.iter().cloned());
        }
        if matches!(kind, ExecKind::Stop | ExecKind::StopPost) {
            environment.push(("SERVICE_RESULT", self.result.word().to_owned()));
            if let Some(exit) = self.main_exit {
                environment.push(("EXIT_CODE", exit.code().to_owned()));
                environment.push(("EXIT_STATUS", exit.status_word()));
            }
        }
        let main = self.main;
        out.actions.push(Action::Spawn(Spawn {
            unit: self.id,
            run,
            kind,
            index,
            main,
            environment,
            monitor,
        }));
        run
    }

    pub(super) fn signal(&self, whom: Whom, signal: Signal, out: &mut Orders) {
        out.actions.push(Action::Signal { unit: self.id, whom, signal });
    }

    pub(super) fn note(&self, out: &mut Orders, level: Level, text: String) {
        self.write_note(out, level, self.state, text, None);
    }

    pub(super) fn note_state(&self, out: &mut Orders, level: Level, state: State, text: String) {
        self.write_note(out, level, state, text, self.main_exit);
    }

    pub(super) fn note_exit(&self, out: &mut Orders, level: Level, text: String, exit: Exit) {
        self.write_note(out, level, self.state, text, Some(exit));
    }

    fn write_note(&self, out: &mut Orders, level: Level, state: State, text: String, exit: Option<Exit>) {
        let (state, result) = (Some(state), Some(self.result));
        out.actions.push(Action::Note(Note { level, unit: Some(self.id), text, state, result, exit }));
    }
}
