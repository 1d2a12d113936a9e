//! What the end of a process has to say: `service_sigchld_event()` of systemd.
#![forbid(unsafe_code)]

use super::{Control, Orders, Service};
use crate::engine::restart;
use crate::engine::{Level, Mono, Outcome, Seek, State};
use crate::unit::spec::{ExecKind, Exit, NotifyAccess, Type};

impl Service {
    pub(super) fn main_exited(&mut self, now: Mono, exit: Exit, out: &mut Orders) {
        (self.main, self.alien) = (None, false);
        match &mut self.heir {
            // An heir has been named. Only if there is none has the service ended.
            Some(heir) => heir.ended = Some(exit),
            None => self.main_ended(now, exit, false, out),
        }
    }

    /// The main process has ended, and nobody takes its place. `whole`: it is known that nothing is left of it.
    pub(super) fn main_ended(&mut self, now: Mono, exit: Exit, whole: bool, out: &mut Orders) {
        self.main_exit = Some(exit);
        let kind = self.spec.service.kind();
        let forgiven = self.command(ExecKind::Start, self.main_line).is_some_and(|c| c.ignore_failure);
        let f = match kind {
            _ if forgiven => Outcome::Success,
            // It is a command, not a daemon.
            Type::Oneshot => restart::classify_control(&self.spec.service, exit),
            _ => restart::classify_main(&self.spec.service, exit),
        };
        let level = match f {
            Outcome::Success => Level::Info,
            _ if self.stop_asked => Level::Info,
            // What the caller gets to see as our own exit status need not be told twice.
            Outcome::ExitCode => Level::Info,
            _ => Level::Warn,
        };
        self.note_exit(out, level, format!("main process ended, {exit}"), exit);
        self.worsen(f);
        if kind == Type::Oneshot
            && f == Outcome::Success
            && self.state == State::Start
            && self.main_line + 1 < self.spec.service.commands(ExecKind::Start).len()
        {
            return self.start_line(now, self.main_line + 1, out);
        }
        if self.lives_by_all() && !whole && !self.empty {
            // Whether that was the last one, the host will tell. A program that is executed has done its part.
            if self.state == State::Start && !kind.notifies() && kind != Type::Forking {
                self.enter_start_post(now, out);
            }
            return;
        }
        let control = self.control.is_some();
        match self.state {
            State::Start => match kind {
                Type::Oneshot if f == Outcome::Success => self.enter_start_post(now, out),
                Type::Oneshot => self.enter_signal(now, State::StopSigterm, f, out),
                Type::Notify | Type::NotifyReload if f != Outcome::Success => {
                    self.enter_signal(now, State::StopSigterm, f, out);
                }
                // Another process may yet say the word.
                Type::Notify | Type::NotifyReload
                    if self.spec.service.remain_after_exit && self.notify_access() != NotifyAccess::Main => {}
                // It still owes us a word.
                Type::Notify | Type::NotifyReload => {
                    self.note(out, Level::Warn, "main process ended before READY=1".into());
                    self.enter_signal(now, State::StopSigterm, Outcome::Protocol, out);
                }
                // It has named a main process before it was done; its own end comes first.
                Type::Forking if control => {}
                // It never was executed, and that may be forgiven.
                Type::Simple | Type::Exec | Type::Dbus | Type::Idle | Type::Forking => {
                    self.enter_running(now, f, out);
                }
            },
            // The control command finishes first.
            State::StartPost | State::Reload | State::Stop if control => {}
            State::Running | State::StartPost | State::Reload | State::ReloadSignal | State::ReloadNotify => {
                self.enter_running(now, f, out);
            }
            State::Stop => self.enter_signal(now, State::StopSigterm, f, out),
            State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalWatchdog
            | State::FinalSigterm
            | State::FinalSigkill => self.gone(now, f, out),
            // No main process lives in these.
            State::Condition
            | State::StartPre
            | State::Exited
            | State::Dead
            | State::Failed
            | State::AutoRestart
            | State::AutoRestartQueued => {}
        }
    }

    pub(super) fn control_exited(&mut self, now: Mono, control: Control, exit: Exit, out: &mut Orders) {
        self.control = None;
        let f = self.judge_control(control, exit);
        let name = control.kind.directive();
        let level = match f {
            Outcome::Success => Level::Debug,
            Outcome::ExecCondition => Level::Info,
            _ => Level::Warn,
        };
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
                | State::FinalWatchdog
                | State::FinalSigterm
                | State::FinalSigkill
        );
        let next = control.index + 1;
        // Only a oneshot has more than one line of ExecStart=, and they are its main processes.
        let more = control.kind != ExecKind::Start && next < self.spec.service.commands(control.kind).len();
        if f == Outcome::Success && !killing && more {
            // Each line has the whole time-out for itself (TimeoutStopSec= in systemd.service(5)).
            let since = self.since;
            self.control_command(now, self.state, control.kind, next, out);
            self.since = since;
            return;
        }
        match self.state {
            State::Condition if f == Outcome::Success => self.enter_start_pre(now, out),
            State::StartPre if f == Outcome::Success => self.enter_start(now, out),
            State::Start if f == Outcome::Success => self.left_behind(now, false, out),
            State::StartPost if f == Outcome::Success => self.left_behind(now, true, out),
            State::Condition | State::StartPre | State::Start | State::StartPost => {
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            State::Reload => {
                self.reload_failed = f != Outcome::Success;
                self.enter_running(now, Outcome::Success, out);
            }
            State::Stop => self.enter_signal(now, State::StopSigterm, f, out),
            State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalWatchdog
            | State::FinalSigterm
            | State::FinalSigkill => self.gone(now, f, out),
            // No control command lives in these.
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

    /// How the end of a control command counts.
    fn judge_control(&mut self, control: Control, exit: Exit) -> Outcome {
        let forgiven = self.command(control.kind, control.index).is_some_and(|c| c.ignore_failure);
        let f = match control.kind {
            _ if forgiven => Outcome::Success,
            // What a forking service starts with is the daemon itself.
            ExecKind::Start => restart::classify_main(&self.spec.service, exit),
            _ => restart::classify_control(&self.spec.service, exit),
        };
        if self.state != State::Condition {
            return f;
        }
        match (f, exit) {
            // It says no, which is no failure.
            (Outcome::ExitCode, Exit::Exited(status)) if status < 255 => {
                self.condition_met = false;
                Outcome::ExecCondition
            }
            (f, _) => {
                self.condition_met |= f == Outcome::Success;
                f
            }
        }
    }

    /// What was started has ended well, or ExecStartPost= has (`posted`): who is the main process of a forking service?
    fn left_behind(&mut self, now: Mono, posted: bool, out: &mut Orders) {
        let service = &self.spec.service;
        if service.kind() == Type::Forking && self.main.is_none() && !self.main_known {
            if service.pid_file.is_some() {
                return self.look_for_main(Seek::PidFile, posted, out);
            }
            if service.guess_main_pid {
                return self.look_for_main(Seek::Guess, posted, out);
            }
        }
        if posted {
            self.enter_running(now, Outcome::Success, out);
        } else {
            self.enter_start_post(now, out);
        }
    }

    /// In a state that waits for processes to be gone: goes on if those that it knows are.
    pub(super) fn gone(&mut self, now: Mono, f: Outcome, out: &mut Orders) {
        if self.counts_on_somebody() || self.heir.is_some() {
            return;
        }
        match self.state {
            State::StopWatchdog | State::StopSigterm | State::StopSigkill => {
                self.enter_stop_post(now, f, out)
            }
            State::StopPost => self.enter_signal(now, State::FinalSigterm, f, out),
            State::FinalWatchdog | State::FinalSigterm | State::FinalSigkill => self.enter_dead(now, f, out),
            _ => {}
        }
    }
}
