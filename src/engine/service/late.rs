//! The passing of time: `service_dispatch_timer()` and `service_dispatch_watchdog()` of systemd.
#![forbid(unsafe_code)]

use super::{KILL_AGAIN, Orders, Service};
use crate::engine::{Level, Mono, Outcome, State, Whom};
use crate::unit::spec::{FailureMode, Signal, Span};

impl Service {
    /// Time has passed.
    pub(in crate::engine) fn tick(&mut self, now: Mono, out: &mut Orders) {
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
            return self.search_again(now, out);
        }
        self.too_late(now, out);
    }

    /// Patience with the state has ended.
    fn too_late(&mut self, now: Mono, out: &mut Orders) {
        // LingerSec= is ours: to systemd, who clears up behind a service that has ended in order has not failed.
        let f = if self.lingers() { Outcome::Success } else { Outcome::Timeout };
        let (state, limit) = (self.state, now.since(self.since));
        let late = |this: &Self, out: &mut Orders, what: &str| {
            this.note(out, Level::Warn, format!("{state} timed out after {limit}: {what}"));
        };
        let abort = self.spec.service.timeout_stop_failure == FailureMode::Abort;
        let hard = self.spec.kill.send_sigkill;
        match self.state {
            State::Condition | State::StartPre | State::Start | State::StartPost => {
                self.end_it(now, self.spec.service.timeout_start_failure, limit, f, out);
            }
            State::Running => {
                late(self, out, "RuntimeMaxSec is over, stopping");
                self.enter_stop(now, f, out);
            }
            State::Reload => {
                late(self, out, "killing ExecReload");
                if let Some(control) = self.control.take() {
                    self.signal(Whom::Process(control.run), Signal::KILL, out);
                }
                self.reload_failed = true;
                self.enter_running(now, Outcome::Success, out);
            }
            State::ReloadSignal => {
                late(self, out, "no RELOADING=1 after ReloadSignal, going on");
                self.reload_failed = true;
                self.said = None;
                self.enter_running(now, Outcome::Success, out);
            }
            State::ReloadNotify => {
                late(self, out, "no READY=1 after RELOADING=1, taking it for reloaded");
                self.reload_failed = true;
                self.said = None;
                self.enter_running(now, Outcome::Success, out);
            }
            State::Stop => self.end_it(now, self.spec.service.timeout_stop_failure, limit, f, out),
            State::StopSigterm if abort => {
                late(self, out, "aborting");
                self.enter_signal(now, State::StopWatchdog, f, out);
            }
            State::StopWatchdog | State::StopSigterm if hard => {
                late(self, out, "killing");
                self.enter_signal(now, State::StopSigkill, f, out);
            }
            State::StopWatchdog | State::StopSigterm => {
                late(self, out, "SendSIGKILL=no, going on without killing");
                self.enter_stop_post(now, f, out);
            }
            State::StopSigkill => {
                late(self, out, "processes are still there after SIGKILL, going on");
                self.enter_stop_post(now, Outcome::Timeout, out);
            }
            State::StopPost => match self.spec.service.timeout_stop_failure {
                FailureMode::Terminate => {
                    late(self, out, "terminating");
                    self.enter_signal(now, State::FinalSigterm, f, out);
                }
                FailureMode::Abort => {
                    late(self, out, "aborting");
                    self.enter_signal(now, State::FinalWatchdog, f, out);
                }
                FailureMode::Kill if hard => {
                    late(self, out, "killing");
                    self.enter_signal(now, State::FinalSigkill, f, out);
                }
                FailureMode::Kill => self.spare(now, limit, f, out),
            },
            State::FinalSigterm if abort => {
                late(self, out, "aborting");
                self.enter_signal(now, State::FinalWatchdog, f, out);
            }
            State::FinalWatchdog | State::FinalSigterm if hard => {
                late(self, out, "killing");
                self.enter_signal(now, State::FinalSigkill, f, out);
            }
            State::FinalWatchdog | State::FinalSigterm => self.spare(now, limit, f, out),
            State::FinalSigkill => {
                late(self, out, "processes are still there after SIGKILL, giving up on them");
                self.enter_dead(now, Outcome::Timeout, out);
            }
            State::AutoRestart if self.managed => {
                // From here on it is a job like any other, which waits for others and brings others with it.
                self.restarts = self.restarts.saturating_add(1);
                self.enter(now, State::AutoRestartQueued, None);
            }
            State::AutoRestart => {
                self.restarts = self.restarts.saturating_add(1);
                self.activate(now, true, out);
            }
            State::AutoRestartQueued | State::Exited | State::Dead | State::Failed => {}
        }
    }

    /// A start or ExecStop= has taken too long: by `Timeout*FailureMode=`.
    fn end_it(&mut self, now: Mono, mode: FailureMode, limit: Span, f: Outcome, out: &mut Orders) {
        let state = self.state;
        let mut late = |this: &Self, what: &str| {
            this.note(out, Level::Warn, format!("{state} timed out after {limit}: {what}"));
        };
        match mode {
            FailureMode::Terminate => {
                late(self, "terminating");
                self.enter_signal(now, State::StopSigterm, f, out);
            }
            FailureMode::Abort => {
                late(self, "aborting");
                self.enter_signal(now, State::StopWatchdog, f, out);
            }
            FailureMode::Kill if self.spec.kill.send_sigkill => {
                late(self, "killing");
                self.enter_signal(now, State::StopSigkill, f, out);
            }
            FailureMode::Kill => {
                late(self, "SendSIGKILL=no, going on without killing");
                self.enter_stop_post(now, f, out);
            }
        }
    }

    /// Gives up on whom SIGKILL may not be sent to.
    fn spare(&mut self, now: Mono, limit: Span, f: Outcome, out: &mut Orders) {
        let text =
            format!("{} timed out after {limit}: SendSIGKILL=no, giving up on what is left", self.state);
        self.note(out, Level::Warn, text);
        // Beside what was spared on purpose nothing starts again.
        self.last_start = true;
        self.enter_dead(now, f, out);
    }
}
