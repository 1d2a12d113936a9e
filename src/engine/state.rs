//! systemd's words for where a service stands and how it fared.
#![forbid(unsafe_code)]

use std::fmt;

/// systemd's sub-states of a service (`systemctl --state=help`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "systemd's own words")]
pub enum State {
    Dead,
    StartPre,
    Start,
    StartPost,
    Running,
    Reload,
    ReloadNotify,
    Stop,
    StopWatchdog,
    StopSigterm,
    StopSigkill,
    StopPost,
    FinalSigterm,
    FinalSigkill,
    Failed,
    AutoRestart,
}

/// systemd's results of a service, `$SERVICE_RESULT` of systemd.exec(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "systemd.exec(5), $SERVICE_RESULT, defines each")]
pub enum Outcome {
    Success,
    Resources,
    Protocol,
    Timeout,
    ExitCode,
    Signal,
    CoreDump,
    Watchdog,
    StartLimitHit,
}

impl State {
    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            State::Dead => "dead",
            State::StartPre => "start-pre",
            State::Start => "start",
            State::StartPost => "start-post",
            State::Running => "running",
            State::Reload => "reload",
            State::ReloadNotify => "reload-notify",
            State::Stop => "stop",
            State::StopWatchdog => "stop-watchdog",
            State::StopSigterm => "stop-sigterm",
            State::StopSigkill => "stop-sigkill",
            State::StopPost => "stop-post",
            State::FinalSigterm => "final-sigterm",
            State::FinalSigkill => "final-sigkill",
            State::Failed => "failed",
            State::AutoRestart => "auto-restart",
        }
    }

    /// Whether a start would begin a new activation: nothing runs and nothing is scheduled.
    pub const fn is_inactive(self) -> bool {
        matches!(self, State::Dead | State::Failed)
    }

    /// Whether the service is up, whatever else is being done with it.
    pub const fn is_active(self) -> bool {
        matches!(self, State::Running | State::Reload | State::ReloadNotify)
    }
}

impl Outcome {
    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Resources => "resources",
            Outcome::Protocol => "protocol",
            Outcome::Timeout => "timeout",
            Outcome::ExitCode => "exit-code",
            Outcome::Signal => "signal",
            Outcome::CoreDump => "core-dump",
            Outcome::Watchdog => "watchdog",
            Outcome::StartLimitHit => "start-limit-hit",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
