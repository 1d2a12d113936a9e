//! What may happen to a service: its programs begin, its processes end, it says something, its main process is found.
//!
//! systemd's `service_notify_message()`, `service_notify_cgroup_empty_event()` and the ways to a main process that
//! nobody here has started. What an end has to say is `ends`.
#![forbid(unsafe_code)]

use super::{Change, Heir, Orders, Said, Search, Service};
use crate::engine::notify::Message;
use crate::engine::{Action, Level, Mono, Outcome, Run, Seek, Sender, SpawnFailure, State, Whom};
use crate::unit::spec::{ExecKind, Exit, ExitType, NotifyAccess, Signal, Span, Type};

/// How long until a PID file that is not there is looked for again.
const SEARCH_AGAIN: Span = Span::from_millis(50);

impl Service {
    /// The program of one of its runs is executing.
    pub(in crate::engine) fn spawned(&mut self, now: Mono, run: Run, out: &mut Orders) {
        // A control command's program says nothing by being executed.
        if self.main != Some(run) || self.state != State::Start {
            return;
        }
        match self.spec.service.kind() {
            Type::Simple | Type::Exec | Type::Dbus | Type::Idle => self.enter_start_post(now, out),
            // It is up when it says so, or when it has ended.
            Type::Notify | Type::NotifyReload | Type::Oneshot | Type::Forking => {}
        }
    }

    /// The program of one of its runs could not be executed.
    pub(in crate::engine) fn spawn_failed(
        &mut self,
        now: Mono,
        run: Run,
        failure: SpawnFailure,
        out: &mut Orders,
    ) {
        if self.main != Some(run) && self.control() != Some(run) {
            return;
        }
        // What it takes down with it is told by its own exit status.
        let was = self.result;
        match failure {
            SpawnFailure::Setup { status, .. } => {
                // To systemd a process that fails in its set-up is one that has ended with that status,
                // and Type=simple was up as soon as it existed.
                let at_once = matches!(self.spec.service.kind(), Type::Simple | Type::Dbus | Type::Idle);
                if self.main == Some(run) && self.state == State::Start && at_once {
                    self.enter_start_post(now, out);
                }
                if self.main == Some(run) {
                    self.main = None;
                    self.main_ended(now, Exit::Exited(status), true, out);
                } else {
                    self.exited(now, run, Exit::Exited(status), out);
                }
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
        let next_main = self.main == Some(run) && self.main_line > 0;
        if self.main == Some(run) {
            self.main = None;
        } else {
            self.control = None;
        }
        let f = Outcome::Resources;
        match self.state {
            State::Condition | State::StartPre if first => self.enter_dead(now, f, out),
            State::Start if next_main => self.enter_stop(now, f, out),
            State::StartPost if first => self.enter_stop(now, f, out),
            State::StopPost if first => self.enter_signal(now, State::FinalSigterm, f, out),
            State::StopPost => self.enter_dead(now, f, out),
            State::Condition | State::StartPre | State::Start | State::StartPost | State::Stop => {
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            State::Reload => {
                self.reload_failed = true;
                self.enter_running(now, Outcome::Success, out);
            }
            // A stop overtook the spawn: what is left of it goes on as it would.
            State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::FinalWatchdog
            | State::FinalSigterm
            | State::FinalSigkill => self.gone(now, f, out),
            State::Running
            | State::Exited
            | State::ReloadSignal
            | State::ReloadNotify
            | State::Dead
            | State::Failed
            | State::AutoRestart
            | State::AutoRestartQueued => {}
        }
    }

    /// The process of one of its runs has ended.
    pub(in crate::engine) fn exited(&mut self, now: Mono, run: Run, exit: Exit, out: &mut Orders) {
        if self.main == Some(run) {
            self.main_exited(now, exit, out);
        } else if let Some(control) = self.control.filter(|c| c.run == run) {
            self.control_exited(now, control, exit, out);
        }
        // An exit of an earlier run: true, but no longer news.
    }

    /// None of its processes is left.
    pub(in crate::engine) fn emptied(&mut self, now: Mono, out: &mut Orders) {
        if !self.waits_for_empty() {
            return;
        }
        self.empty = true;
        if self.alien {
            (self.main, self.alien) = (None, false);
        }
        match self.state {
            State::Start if self.spec.service.kind().notifies() => {
                self.note(out, Level::Warn, "the last process ended before READY=1".into());
                self.enter_stop_post(now, Outcome::Protocol, out);
            }
            State::Start => self.enter_stop_post(now, Outcome::Success, out),
            State::Running | State::ReloadSignal | State::ReloadNotify => {
                self.enter_running(now, Outcome::Success, out);
            }
            _ => self.gone(now, Outcome::Success, out),
        }
    }

    // ---- its conditions ----

    /// What its conditions have come to.
    pub(in crate::engine) fn conditions(
        &mut self,
        now: Mono,
        run: Run,
        (met, assert_failed): (bool, bool),
        out: &mut Orders,
    ) {
        if self.checking != Some(run) {
            // The start was called off meanwhile.
            return;
        }
        self.checking = None;
        self.condition_met = met;
        if !met {
            self.assert_met = false;
            self.note(out, Level::Info, "not started: a condition is not met".into());
            self.changed(Change::Skipped);
        } else if assert_failed {
            self.assert_met = false;
            self.note(out, Level::Error, "not started: an assertion is not met".into());
            self.changed(Change::AssertFailed);
        } else {
            self.assert_met = true;
            self.begin(now, false, out);
        }
    }

    // ---- a main process that somebody else has started ----

    /// Looks for the main process; what follows is decided when there is an answer.
    pub(super) fn look_for_main(&mut self, seek: Seek, posted: bool, out: &mut Orders) {
        let run = Self::next_run(out);
        self.search = Some(Search { run, seek, posted, late: false, again: None });
        out.actions.push(Action::FindMain { unit: self.id, run, seek });
    }

    /// The host has found a main process.
    pub(in crate::engine) fn main_found(&mut self, now: Mono, run: Run, alien: bool, out: &mut Orders) {
        if self.heir.is_some_and(|heir| heir.run == run) {
            self.heir = None;
            if self.takes_heirs() {
                self.set_main(run, alien, out);
            }
            return;
        }
        let Some(search) = self.search.filter(|search| search.run == run) else {
            // It was looked for by an activation, or a state, that is over.
            return;
        };
        self.search = None;
        self.set_main(run, alien, out);
        // A file that has come late was all that was missing: service_retry_pid_file().
        if search.posted || search.late {
            self.enter_running(now, Outcome::Success, out);
        } else {
            self.enter_start_post(now, out);
        }
    }

    /// The host has found none.
    pub(in crate::engine) fn main_not_found(
        &mut self,
        now: Mono,
        run: Run,
        reason: &str,
        empty: bool,
        out: &mut Orders,
    ) {
        if let Some(heir) = self.heir.filter(|heir| heir.run == run) {
            self.heir = None;
            self.note(out, Level::Warn, format!("MAINPID ignored: {reason}"));
            if let Some(exit) = heir.ended {
                self.main_ended(now, exit, false, out);
            }
            return;
        }
        let Some(search) = self.search.filter(|search| search.run == run) else { return };
        match search.seek {
            Seek::PidFile if search.late => self.look_again(now, search),
            Seek::PidFile
                if !search.posted && !self.spec.service.commands(ExecKind::StartPost).is_empty() =>
            {
                // ExecStartPost= may be what writes it.
                self.note(out, Level::Debug, format!("PIDFile: {reason}"));
                self.search = None;
                self.enter_start_post(now, out);
            }
            Seek::PidFile if empty && search.posted => {
                self.note(out, Level::Warn, format!("PIDFile: {reason}, and nobody is left to write it"));
                self.enter_stop(now, Outcome::Protocol, out);
            }
            Seek::PidFile if empty => {
                self.note(out, Level::Warn, format!("PIDFile: {reason}, and nobody is left to write it"));
                self.enter_signal(now, State::StopSigterm, Outcome::Protocol, out);
            }
            Seek::PidFile => {
                self.note(out, Level::Debug, format!("PIDFile: {reason}; waiting for it"));
                self.look_again(now, search);
            }
            Seek::Guess | Seek::Pid(_) => {
                self.note(out, Level::Debug, format!("no main process: {reason}"));
                self.search = None;
                self.empty = empty;
                if search.posted {
                    self.enter_running(now, Outcome::Success, out);
                } else {
                    self.enter_start_post(now, out);
                }
            }
        }
    }

    fn look_again(&mut self, now: Mono, search: Search) {
        self.search = Some(Search { late: true, again: now.after(SEARCH_AGAIN), ..search });
    }

    /// A PID file that was not there is looked for once more.
    pub(super) fn search_again(&mut self, now: Mono, out: &mut Orders) {
        if let Some(search) = &mut self.search
            && search.again.is_some_and(|at| now >= at)
        {
            let run = Self::next_run(out);
            (search.run, search.again) = (run, None);
            out.actions.push(Action::FindMain { unit: self.id, run, seek: search.seek });
        }
    }

    fn set_main(&mut self, run: Run, alien: bool, out: &mut Orders) {
        self.note(out, Level::Debug, "a main process was found".into());
        (self.main, self.main_known, self.alien) = (Some(run), true, alien);
        (self.empty, self.main_exit) = (false, None);
    }

    /// Whether MAINPID= counts now.
    fn takes_heirs(&self) -> bool {
        matches!(
            self.state,
            State::Start
                | State::StartPost
                | State::Running
                | State::Reload
                | State::ReloadSignal
                | State::ReloadNotify
                | State::Stop
                | State::StopSigterm
        )
    }

    // ---- what it says ----

    /// One of its processes says something.
    pub(in crate::engine) fn notified(
        &mut self,
        now: Mono,
        from: Sender,
        message: &Message,
        out: &mut Orders,
    ) {
        let main = self.main.is_some_and(|run| from == Sender::Run(run));
        let control = self.control().is_some_and(|run| from == Sender::Run(run));
        let heard = match self.notify_access() {
            NotifyAccess::None => false,
            NotifyAccess::Main => main,
            NotifyAccess::Exec => main || control,
            NotifyAccess::All => true,
        };
        if !heard {
            let why = "readiness message ignored: its sender is not allowed by NotifyAccess";
            return self.note(out, Level::Debug, why.into());
        }
        if let Some(number) = message.main_pid
            && self.takes_heirs()
        {
            let run = Self::next_run(out);
            self.heir = Some(Heir { run, ended: self.heir.and_then(|heir| heir.ended) });
            out.actions.push(Action::FindMain { unit: self.id, run, seek: Seek::Pid(number) });
        }
        if let Some(text) = &message.status {
            self.status_text.clone_from(text);
        }
        if let Some(errno) = message.errno {
            self.status_errno = errno;
        }
        if message.notify_access.is_some() {
            self.access_override = message.notify_access;
        }
        self.said(now, message, out);
        if let Some(more) = message.extend_timeout
            && let Some(extended) = now.after(more)
            && more != Span::ZERO
            && !matches!(self.state, State::AutoRestart | State::AutoRestartQueued)
        {
            // Never earlier, and nothing where nothing runs.
            self.deadline = self.deadline.map(|at| at.max(extended));
            self.watchdog = self.watchdog.map(|at| at.max(extended));
        }
        let watched = matches!(
            self.state,
            State::StartPost | State::Running | State::Reload | State::ReloadSignal | State::ReloadNotify
        );
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
        // One that was begun before it was asked for says nothing about what was asked.
        let reloads = message.reloading && message.monotonic.is_some_and(|at| at >= self.reload_begun);
        if message.stopping {
            self.said = Some(Said::Stopping);
            if matches!(self.state, State::Running | State::ReloadSignal | State::ReloadNotify) {
                self.enter_stop_by_notify(now, out);
            }
        } else if message.ready {
            self.said = Some(Said::Ready);
            match self.state {
                State::Start if self.spec.service.kind().notifies() => {
                    self.note(out, Level::Debug, "READY=1".into());
                    self.enter_start_post(now, out);
                }
                State::ReloadNotify => self.enter_running(now, Outcome::Success, out),
                // It has begun and ended in one.
                State::ReloadSignal if reloads => self.enter_running(now, Outcome::Success, out),
                _ => {}
            }
        } else if message.reloading {
            self.said = Some(Said::Reloading);
            match self.state {
                State::Running => self.enter_reload_by_notify(now, out),
                // The time that the reload may take runs already.
                State::ReloadSignal if reloads => self.enter(now, State::ReloadNotify, self.deadline),
                _ => {}
            }
        }
    }

    /// Asks the main process to reload by the signal that is for it, and says whether there is one.
    pub(super) fn ask_to_reload(&mut self, out: &mut Orders) -> bool {
        match self.main {
            Some(main) if self.spec.service.kind() == Type::NotifyReload => {
                self.signal(Whom::Process(main), self.spec.service.reload_signal, out);
                self.signal(Whom::Process(main), Signal::CONT, out);
                true
            }
            _ => false,
        }
    }

    /// Whether the service is up as long as any of its processes is.
    pub(super) fn lives_by_all(&self) -> bool {
        self.spec.service.exit_type == ExitType::Cgroup
    }
}
