//! The words for how a service lives, and what no service can be.
//!
//! [`Spec::validate`] refuses what systemd refuses at load (`service_verify()`), with the load state `bad-setting`:
//! combinations of directives each of which is right by itself. A value that is wrong by itself never gets here.
#![forbid(unsafe_code)]

use super::{ExecKind, Restart, ServiceSpec, Span, Spec};

/// `Type=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Up as soon as the process exists.
    Simple,
    /// Up as soon as the program is executed.
    Exec,
    /// Up when the process that was started has ended and left the service behind.
    Forking,
    /// Up when its commands, one after the other, have ended.
    Oneshot,
    /// Here: as [`Type::Simple`]. There is no bus to wait for.
    Dbus,
    /// Up when the service says `READY=1`.
    Notify,
    /// So, and it reloads at a signal and says when it has.
    NotifyReload,
    /// As [`Type::Simple`], and up from the first command on to whoever waits for it.
    Idle,
}

impl Type {
    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            Type::Simple => "simple",
            Type::Exec => "exec",
            Type::Forking => "forking",
            Type::Oneshot => "oneshot",
            Type::Dbus => "dbus",
            Type::Notify => "notify",
            Type::NotifyReload => "notify-reload",
            Type::Idle => "idle",
        }
    }

    /// Whether the service itself says when it is up.
    pub const fn notifies(self) -> bool {
        matches!(self, Type::Notify | Type::NotifyReload)
    }
}

/// `ExitType=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitType {
    /// The service ends with its main process.
    Main,
    /// It ends with its last process.
    Cgroup,
}

/// `RestartMode=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartMode {
    /// The service is down in between: `OnFailure=` and who waits for it hear of it.
    Normal,
    /// Nobody hears of it.
    Direct,
    /// As normal, and the restarted service gets `DEBUG_INVOCATION=1`.
    Debug,
}

/// `TimeoutStartFailureMode=` and `TimeoutStopFailureMode=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureMode {
    /// `KillSignal=`, then `FinalKillSignal=`.
    Terminate,
    /// `WatchdogSignal=`, then `FinalKillSignal=`.
    Abort,
    /// `FinalKillSignal=` at once.
    Kill,
}

impl ServiceSpec {
    /// The type that counts: where `Type=` is not given and there is nothing to run, a oneshot.
    pub fn kind(&self) -> Type {
        if self.kind == Type::Simple && !self.kind_given && self.commands(ExecKind::Start).is_empty() {
            Type::Oneshot
        } else {
            self.kind
        }
    }

    /// How long a start may take: for ever at zero, and where a oneshot says nothing.
    pub fn start_patience(&self) -> Span {
        if self.kind() == Type::Oneshot && !self.timeout_start_given {
            Span::INFINITY
        } else {
            self.timeout_start.zero_is_never()
        }
    }
}

impl Spec {
    /// Whether a service can be so.
    ///
    /// # Errors
    /// It cannot: why, in words.
    pub fn validate(&self) -> Result<(), &'static str> {
        let service = &self.service;
        let (starts, kind) = (service.commands(ExecKind::Start).len(), service.kind());
        let successful = matches!(service.restart, Restart::Always | Restart::OnSuccess);
        let table = [
            (starts == 0 && service.commands(ExecKind::Stop).is_empty(), "neither ExecStart= nor ExecStop="),
            (starts == 0 && kind != Type::Oneshot, "no ExecStart=, which only Type=oneshot may lack"),
            (
                starts == 0 && !service.remain_after_exit,
                "no ExecStart=, which makes sense only with RemainAfterExit=yes",
            ),
            (
                starts > 1 && kind != Type::Oneshot,
                "more than one ExecStart=, which only Type=oneshot may have",
            ),
            (
                kind == Type::Oneshot && successful,
                "Type=oneshot cannot have Restart=always or Restart=on-success",
            ),
            (
                kind == Type::Oneshot && service.exit_type == ExitType::Cgroup,
                "Type=oneshot cannot have ExitType=cgroup",
            ),
        ];
        table.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::spec::{Command, Privilege};

    fn lines(spec: &mut Spec, kind: ExecKind, lines: usize) {
        let command = Command {
            program: "/bin/true".into(),
            argv: Vec::new(),
            ignore_failure: false,
            expand: true,
            privilege: Privilege::Sandboxed,
            from_command_line: false,
        };
        spec.service.commands.insert(kind, vec![command; lines]);
    }

    #[test]
    fn what_no_service_can_be_is_refused() {
        let table: [(&str, fn(&mut Spec), bool); 12] = [
            ("one command", |s| lines(s, ExecKind::Start, 1), true),
            ("nothing at all", |_| (), false),
            ("nothing but a reload", |s| lines(s, ExecKind::Reload, 1), false),
            ("two commands", |s| lines(s, ExecKind::Start, 2), false),
            (
                "two commands of a oneshot",
                |s| {
                    lines(s, ExecKind::Start, 2);
                    s.service.kind = Type::Oneshot;
                },
                true,
            ),
            ("only a stop", |s| lines(s, ExecKind::Stop, 1), false),
            (
                "only a stop, and it remains",
                |s| {
                    lines(s, ExecKind::Stop, 1);
                    s.service.remain_after_exit = true;
                },
                true,
            ),
            (
                "only a stop of what is expressly simple",
                |s| {
                    lines(s, ExecKind::Stop, 1);
                    s.service.remain_after_exit = true;
                    s.service.kind_given = true;
                },
                false,
            ),
            (
                "a oneshot for ever",
                |s| {
                    lines(s, ExecKind::Start, 1);
                    s.service.kind = Type::Oneshot;
                    s.service.restart = Restart::Always;
                },
                false,
            ),
            (
                "a oneshot until it works",
                |s| {
                    lines(s, ExecKind::Start, 1);
                    s.service.kind = Type::Oneshot;
                    s.service.restart = Restart::OnFailure;
                },
                true,
            ),
            (
                "a oneshot as long as anybody lives",
                |s| {
                    lines(s, ExecKind::Start, 1);
                    s.service.kind = Type::Oneshot;
                    s.service.exit_type = ExitType::Cgroup;
                },
                false,
            ),
            (
                "a daemon as long as anybody lives",
                |s| {
                    lines(s, ExecKind::Start, 1);
                    s.service.exit_type = ExitType::Cgroup;
                },
                true,
            ),
        ];
        for (why, change, good) in table {
            let mut spec = Spec::new("t.service");
            change(&mut spec);
            assert_eq!(spec.validate().is_ok(), good, "{why}: {:?}", spec.validate());
        }
    }

    #[test]
    fn a_oneshot_waits_for_ever_unless_it_says_how_long() {
        let mut spec = ServiceSpec { timeout_start: Span::from_secs(3), ..ServiceSpec::default() };
        let table = [
            ("a daemon", Type::Simple, false, Span::from_secs(3)),
            ("a oneshot", Type::Oneshot, false, Span::INFINITY),
            ("a oneshot that says", Type::Oneshot, true, Span::from_secs(3)),
        ];
        for (why, kind, given, patience) in table {
            (spec.kind, spec.kind_given, spec.timeout_start_given) = (kind, true, given);
            assert_eq!(spec.start_patience(), patience, "{why}");
        }
    }
}
