//! Decides what happens to one service when something happens to it.
#![forbid(unsafe_code)]

use std::fmt;

/// systemd's sub-states of a service (systemctl --state=help).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "systemd's own words")]
pub enum State {
    Dead,
    StartPre,
    Start,
    StartPost,
    Running,
    Reload,
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

/// systemd's results of a service: `$SERVICE_RESULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "systemd.exec(5), $SERVICE_RESULT, defines each")]
pub enum ResultWord {
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
}

impl ResultWord {
    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            ResultWord::Success => "success",
            ResultWord::Resources => "resources",
            ResultWord::Protocol => "protocol",
            ResultWord::Timeout => "timeout",
            ResultWord::ExitCode => "exit-code",
            ResultWord::Signal => "signal",
            ResultWord::CoreDump => "core-dump",
            ResultWord::Watchdog => "watchdog",
            ResultWord::StartLimitHit => "start-limit-hit",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for ResultWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
