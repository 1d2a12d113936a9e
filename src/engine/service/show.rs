//! What a service shows: systemd's properties, and its own share in our exit status.
#![forbid(unsafe_code)]

use super::Service;
use crate::engine::restart;
use crate::engine::{Outcome, SpawnFailure};
use crate::unit::spec::{Exit, KillMode, NotifyAccess, Restart, Span, status};

impl Service {
    /// A property by systemd's name and in its words (`systemctl show`), as far as this room knows it. Whose pids they
    /// are, and whether the unit is loaded, the host knows.
    pub fn property(&self, name: &str) -> Option<String> {
        let service = &self.spec.service;
        let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let word = |text: &str| text.to_owned();
        Some(match name {
            "ActiveState" => word(self.active_state().word()),
            "SubState" => word(self.state.word()),
            "Result" => word(self.result.word()),
            "ReloadResult" if self.reload_failed => word("exit-code"),
            "ReloadResult" => word("success"),
            "NRestarts" => self.restarts.to_string(),
            // CLD_EXITED, CLD_KILLED and CLD_DUMPED of sigaction(2); 0 as long as nothing has ended.
            "ExecMainCode" => word(match self.main_exit {
                None => "0",
                Some(Exit::Exited(_)) => "1",
                Some(Exit::Killed(_)) => "2",
                Some(Exit::Dumped(_)) => "3",
            }),
            "ExecMainStatus" => match self.main_exit {
                None => word("0"),
                Some(Exit::Exited(status)) => status.to_string(),
                Some(Exit::Killed(signal) | Exit::Dumped(signal)) => signal.number().to_string(),
            },
            "StatusText" => self.status_text.clone(),
            "StatusErrno" => self.status_errno.to_string(),
            "ConditionResult" => yes_no(self.condition_met),
            "AssertResult" => yes_no(self.assert_met),
            "Type" => word(service.kind().word()),
            "Restart" => word(match service.restart {
                Restart::No => "no",
                Restart::Always => "always",
                Restart::OnSuccess => "on-success",
                Restart::OnFailure => "on-failure",
                Restart::OnAbnormal => "on-abnormal",
                Restart::OnAbort => "on-abort",
                Restart::OnWatchdog => "on-watchdog",
            }),
            "NotifyAccess" => word(match self.notify_access() {
                NotifyAccess::None => "none",
                NotifyAccess::Main => "main",
                NotifyAccess::Exec => "exec",
                NotifyAccess::All => "all",
            }),
            "KillMode" => word(match self.spec.kill.mode {
                KillMode::ControlGroup => "control-group",
                KillMode::Mixed => "mixed",
                KillMode::Process => "process",
                KillMode::None => "none",
            }),
            "RemainAfterExit" => yes_no(service.remain_after_exit),
            "RestartUSec" => timespan(service.restart_delay),
            "RestartUSecNext" => timespan(restart::delay(service, self.restarts.saturating_add(1))),
            "TimeoutStartUSec" => timespan(service.start_patience()),
            "TimeoutStopUSec" => timespan(service.timeout_stop.zero_is_never()),
            "TimeoutAbortUSec" => {
                timespan(service.timeout_abort.unwrap_or(service.timeout_stop.zero_is_never()))
            }
            "RuntimeMaxUSec" => timespan(service.runtime_max.zero_is_never()),
            "WatchdogUSec" => timespan(self.watchdog_interval()),
            _ => return None,
        })
    }
}

/// As `systemctl show` prints a span: below a minute with the smaller units as decimals (`format_timespan()`).
fn timespan(span: Span) -> String {
    const UNITS: [(&str, u64, usize); 3] = [("s", 1_000_000, 6), ("ms", 1_000, 3), ("us", 1, 0)];
    let micros = span.as_micros();
    if span.is_infinite() || micros == 0 || micros >= 60_000_000 && micros.is_multiple_of(1_000_000) {
        return span.to_string();
    }
    let (minutes, rest) = (micros / 60_000_000 * 60_000_000, micros % 60_000_000);
    let before = if minutes > 0 { format!("{} ", Span::from_micros(minutes)) } else { String::new() };
    for (unit, size, digits) in UNITS {
        match (rest / size, rest % size) {
            (0, _) => {}
            (whole, 0) => return format!("{before}{whole}{unit}"),
            (whole, part) => return format!("{before}{whole}.{part:0digits$}{unit}"),
        }
    }
    before
}

/// The exit status that tells how a service fared: the main process's own where it has one.
///
/// A program that was not found gives 127 and one that could not be executed 126, as from a shell; a
/// failing set-up gives systemd's status of its step. A service that failed although its processes ended
/// well gives 1, and one whose process could not be made 71 (EX_OSERR).
pub(in crate::engine) fn exit_status(service: &Service) -> u8 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_as_systemctl_shows_it() {
        let table = [
            (0, "0"),
            (1, "1us"),
            (1_500, "1.500ms"),
            (100_000, "100ms"),
            (1_600_000, "1.600000s"),
            (7_000_000, "7s"),
            (90_000_000, "1min 30s"),
            (61_500_000, "1min 1.500000s"),
            (3_600_000_000, "1h"),
            (u64::MAX, "infinity"),
        ];
        for (micros, text) in table {
            assert_eq!(timespan(Span::from_micros(micros)), text);
        }
    }
}
