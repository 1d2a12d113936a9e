//! systemd's words for where a service stands and how it fared.
#![forbid(unsafe_code)]

use std::fmt;

/// systemd's sub-states of a service (`systemctl --state=help`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "systemd's own words")]
pub enum State {
    Dead,
    Condition,
    StartPre,
    Start,
    StartPost,
    Running,
    Exited,
    Reload,
    ReloadSignal,
    ReloadNotify,
    Stop,
    StopWatchdog,
    StopSigterm,
    StopSigkill,
    StopPost,
    FinalWatchdog,
    FinalSigterm,
    FinalSigkill,
    Failed,
    AutoRestart,
    AutoRestartQueued,
}

/// systemd's active states of a unit: the [`State`] in less detail, which is what jobs and other units go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "systemd's own words")]
pub enum ActiveState {
    Inactive,
    Activating,
    Active,
    Reloading,
    Deactivating,
    Failed,
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
    ExecCondition,
}

impl State {
    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            State::Dead => "dead",
            State::Condition => "condition",
            State::StartPre => "start-pre",
            State::Start => "start",
            State::StartPost => "start-post",
            State::Running => "running",
            State::Exited => "exited",
            State::Reload => "reload",
            State::ReloadSignal => "reload-signal",
            State::ReloadNotify => "reload-notify",
            State::Stop => "stop",
            State::StopWatchdog => "stop-watchdog",
            State::StopSigterm => "stop-sigterm",
            State::StopSigkill => "stop-sigkill",
            State::StopPost => "stop-post",
            State::FinalWatchdog => "final-watchdog",
            State::FinalSigterm => "final-sigterm",
            State::FinalSigkill => "final-sigkill",
            State::Failed => "failed",
            State::AutoRestart => "auto-restart",
            State::AutoRestartQueued => "auto-restart-queued",
        }
    }

    /// Whether a start would begin a new activation: nothing runs and nothing is scheduled.
    pub const fn is_inactive(self) -> bool {
        matches!(self, State::Dead | State::Failed)
    }

    /// Whether the service is up, whatever else is being done with it.
    pub const fn is_active(self) -> bool {
        matches!(self.active_state(), ActiveState::Active | ActiveState::Reloading)
    }

    /// The same in less detail.
    pub const fn active_state(self) -> ActiveState {
        match self {
            State::Dead => ActiveState::Inactive,
            State::Condition
            | State::StartPre
            | State::Start
            | State::StartPost
            | State::AutoRestart
            | State::AutoRestartQueued => ActiveState::Activating,
            State::Running | State::Exited => ActiveState::Active,
            State::Reload | State::ReloadSignal | State::ReloadNotify => ActiveState::Reloading,
            State::Stop
            | State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalWatchdog
            | State::FinalSigterm
            | State::FinalSigkill => ActiveState::Deactivating,
            State::Failed => ActiveState::Failed,
        }
    }
}

impl ActiveState {
    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            ActiveState::Inactive => "inactive",
            ActiveState::Activating => "activating",
            ActiveState::Active => "active",
            ActiveState::Reloading => "reloading",
            ActiveState::Deactivating => "deactivating",
            ActiveState::Failed => "failed",
        }
    }

    /// Up, whatever else is being done with it.
    pub const fn is_up(self) -> bool {
        matches!(self, ActiveState::Active | ActiveState::Reloading)
    }

    /// Down, and not about to come up by itself.
    pub const fn is_down(self) -> bool {
        matches!(self, ActiveState::Inactive | ActiveState::Failed)
    }
}

impl Outcome {
    /// Whether it went as it should: well, or not at all because it should not.
    pub const fn is_clean(self) -> bool {
        matches!(self, Outcome::Success | Outcome::ExecCondition)
    }

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
            Outcome::ExecCondition => "exec-condition",
        }
    }
}

impl fmt::Display for ActiveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
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
