//! The course of one activation: up, down, and what the ends of processes have to do with it.
//!
//! The facts come in at `service`; here is what systemd's `service_enter_*()` functions do. Every change of state
//! goes through `enter`.
#![forbid(unsafe_code)]

use super::{Control, KILL_AGAIN, Orders, Said, Service};
use crate::engine::restart::{self, Verdict};
use crate::engine::{Action, Level, Mono, Note, Outcome, Run, Spawn, State, Whom};
use crate::unit::spec::{Command, ExecKind, Exit, KillMode, Signal, SignalTarget, Span, Type};

impl Service {
    // ---- the way up ----

    /// Begins an activation, if the start limit allows one.
    pub(super) fn activate(&mut self, now: Mono, automatic: bool, out: &mut Orders) {
        // Counted until the next start by hand, so that one can see it after the end; a refused one counts too.
        self.restarts = if automatic { self.restarts.saturating_add(1) } else { 0 };
        let service = &self.spec.service;
        if !self.limit.allows(now, service.start_limit_interval, service.start_limit_burst) {
            let (burst, interval) = (service.start_limit_burst, service.start_limit_interval);
            self.note(
                out,
                Level::Warn,
                format!("not started: {burst} starts within {interval} were allowed"),
            );
            // What had failed already keeps its result.
            self.worsen(Outcome::StartLimitHit);
            self.limit_hit = true;
            return self.enter(now, State::Failed, None);
        }
        self.limit_hit = false;
        self.result = Outcome::Success;
        (self.activated, self.ready_after) = (Some(now), None);
        (self.main_exit, self.control_exit, self.spawn_failure) = (None, None, None);
        (self.stop_asked, self.stop_signal, self.watchdog_override) = (false, None, None);
        (self.last_start, self.reload_wanted, self.said) = (false, false, None);
        self.status_text.clear();
        self.status_errno = 0;
        if self.spec.service.commands(ExecKind::StartPre).is_empty() {
            self.enter_start(now, out);
        } else {
            self.control_command(now, State::StartPre, ExecKind::StartPre, 0, out);
        }
    }

    fn enter_start(&mut self, now: Mono, out: &mut Orders) {
        // To systemd a simple service is up by now; here the fact that it runs is only just on its way.
        let patience = match self.spec.service.kind {
            Type::Simple => Span::INFINITY,
            Type::Exec | Type::Notify => self.spec.service.timeout_start.zero_is_never(),
        };
        self.enter(now, State::Start, now.after(patience));
        self.main = Some(self.spawn(ExecKind::Start, 0, out));
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
        } else if self.main.is_some() {
            if !matches!(self.state, State::Reload | State::ReloadNotify) {
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
        } else {
            self.started_once = true;
            self.enter_stop(now, Outcome::Success, out);
        }
    }

    pub(super) fn enter_reload_by_notify(&mut self, now: Mono, out: &mut Orders) {
        self.note_state(out, Level::Info, State::ReloadNotify, "RELOADING=1: the service reloads".into());
        self.enter(now, State::ReloadNotify, now.after(self.spec.service.timeout_start.zero_is_never()));
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
        let patience = match state {
            // Here alone zero means "at once".
            State::StopWatchdog => self.spec.service.timeout_abort.unwrap_or(self.stop_timeout()),
            _ if alone && !kill => self.stop_timeout().min(linger),
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
            State::StopWatchdog => self.spec.kill.watchdog_signal,
            State::StopSigkill | State::FinalSigkill => self.spec.kill.final_signal,
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
            State::FinalSigterm if hard => {
                self.enter_signal(now, State::FinalSigkill, Outcome::Success, out);
            }
            State::FinalSigterm | State::FinalSigkill => self.enter_dead(now, Outcome::Success, out),
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
        (self.main, self.control) = (None, None);
        let end = if self.result == Outcome::Success { State::Dead } else { State::Failed };
        let level = if end == State::Failed { Level::Warn } else { Level::Info };
        let ended = format!("ended with result {}", self.result);
        if self.stop_asked || self.last_start {
            self.note_state(out, level.max(Level::Info), end, ended);
            return self.enter(now, end, None);
        }
        match restart::verdict(&self.spec.service, self.result, self.main_exit) {
            Verdict::Rest(rule) => {
                // With Restart=no the status says it all; a rule that forbids a restart is news.
                let level = if rule == "Restart=no" { Level::Info } else { level };
                self.note_state(out, level, end, format!("{ended}; not restarted: {rule}"));
                self.enter(now, end, None);
            }
            Verdict::Again(rule) => {
                *self.restarts_by.entry(self.result).or_default() += 1;
                let n = self.restarts.saturating_add(1);
                let wait = restart::delay(&self.spec.service, n);
                let text = format!("{ended}; restart {n} in {wait}: {rule}");
                self.note_state(out, Level::Warn, State::AutoRestart, text);
                // A restart that never comes is a deadline that never comes.
                self.enter(now, State::AutoRestart, now.after(wait));
            }
        }
    }

    // ---- the ends of processes ----

    pub(super) fn main_exited(&mut self, now: Mono, exit: Exit, out: &mut Orders) {
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
            State::Start => match self.spec.service.kind {
                // It still owes us a word.
                Type::Notify if f == Outcome::Success => {
                    self.note(out, Level::Warn, "main process ended before READY=1".into());
                    self.enter_signal(now, State::StopSigterm, Outcome::Protocol, out);
                }
                Type::Notify => self.enter_signal(now, State::StopSigterm, f, out),
                // It never was executed, and that may be forgiven.
                Type::Simple | Type::Exec => self.enter_running(now, f, out),
            },
            // The control command finishes first.
            State::StartPost | State::Reload | State::Stop if control => {}
            State::Running | State::StartPost | State::Reload | State::ReloadNotify => {
                self.enter_running(now, f, out);
            }
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

    pub(super) fn control_exited(&mut self, now: Mono, control: Control, exit: Exit, out: &mut Orders) {
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
            // Each line has the whole time-out for itself (TimeoutStopSec= in systemd.service(5)).
            let since = self.since;
            self.control_command(now, self.state, control.kind, next, out);
            self.since = since;
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
            State::Start
            | State::Running
            | State::ReloadNotify
            | State::Dead
            | State::Failed
            | State::AutoRestart => {}
        }
    }

    /// In a state that waits for processes to be gone: goes on if those that it knows are.
    pub(super) fn gone(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
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
        self.kill_again = None;
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
            _ => self.spec.service.timeout_start.zero_is_never(),
        };
        self.enter(now, state, now.after(patience));
        let run = self.spawn(kind, index, out);
        self.control = Some(Control { run, kind, index });
    }

    fn spawn(&mut self, kind: ExecKind, index: usize, out: &mut Orders) -> Run {
        self.empty = false;
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

    pub(super) fn signal(&self, whom: Whom, signal: Signal, out: &mut Orders) {
        out.actions.push(Action::Signal { unit: self.id, whom, signal });
    }

    pub(super) fn note(&self, out: &mut Orders, level: Level, text: String) {
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
