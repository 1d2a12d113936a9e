//! How a process ended, and sets of such endings.
#![forbid(unsafe_code)]

use super::Signal;
use std::collections::BTreeSet;
use std::fmt;

/// How a process ended, from wait(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// It returned this status.
    Exited(u8),
    /// This signal killed it.
    Killed(Signal),
    /// This signal killed it and it left a core.
    Dumped(Signal),
}

impl Exit {
    /// What a shell would report: the status, or 128 and the signal's number.
    pub fn shell_status(self) -> u8 {
        match self {
            Exit::Exited(status) => status,
            // A signal is at most 64, so the sum is at most 192.
            Exit::Killed(signal) | Exit::Dumped(signal) => 128 + signal.number() as u8,
        }
    }

    /// `$EXIT_CODE`: `exited`, `killed` or `dumped`.
    pub fn code(self) -> &'static str {
        match self {
            Exit::Exited(_) => "exited",
            Exit::Killed(_) => "killed",
            Exit::Dumped(_) => "dumped",
        }
    }

    /// `$EXIT_STATUS`: the number, or the signal's name without `SIG`.
    pub fn status_word(self) -> String {
        match self {
            Exit::Exited(status) => status.to_string(),
            Exit::Killed(signal) | Exit::Dumped(signal) => signal.short(),
        }
    }
}

/// As systemd's log has it: `code=exited, status=1/FAILURE`, `code=killed, status=15/TERM`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code={}, status=", self.code())?;
        match *self {
            Exit::Exited(status) => match status::name(status) {
                Some(name) => write!(f, "{status}/{name}"),
                None => write!(f, "{status}"),
            },
            Exit::Killed(signal) | Exit::Dumped(signal) => {
                write!(f, "{}/{}", signal.number(), signal.short())
            }
        }
    }
}

/// `SuccessExitStatus=` and its like: statuses and signals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitSet {
    /// Exit statuses, 0 to 255.
    pub statuses: BTreeSet<u8>,
    /// Signals that killed.
    pub signals: BTreeSet<Signal>,
}

impl ExitSet {
    /// Whether a process that ended so is in the set.
    pub fn contains(&self, exit: Exit) -> bool {
        match exit {
            Exit::Exited(status) => self.statuses.contains(&status),
            Exit::Killed(signal) | Exit::Dumped(signal) => self.signals.contains(&signal),
        }
    }
}

/// A number of [`status`].
pub type Status = u8;

/// The exit statuses with names: systemd.exec(5), "Process Exit Codes", and sysexits(3).
pub mod status {
    #![allow(missing_docs, reason = "systemd.exec(5), Process Exit Codes, defines each")]
    use super::Status;

    pub const CHDIR: Status = 200;
    pub const NICE: Status = 201;
    pub const FDS: Status = 202;
    pub const EXEC: Status = 203;
    pub const MEMORY: Status = 204;
    pub const LIMITS: Status = 205;
    pub const OOM_ADJUST: Status = 206;
    pub const SIGNAL_MASK: Status = 207;
    pub const STDIN: Status = 208;
    pub const STDOUT: Status = 209;
    pub const IOPRIO: Status = 211;
    pub const TIMERSLACK: Status = 212;
    pub const SECUREBITS: Status = 213;
    pub const SETSCHEDULER: Status = 214;
    pub const CPUAFFINITY: Status = 215;
    pub const GROUP: Status = 216;
    pub const USER: Status = 217;
    pub const CAPABILITIES: Status = 218;
    pub const SETSID: Status = 220;
    pub const STDERR: Status = 222;
    pub const NO_NEW_PRIVILEGES: Status = 227;
    pub const SECCOMP: Status = 228;
    pub const PERSONALITY: Status = 230;
    pub const ADDRESS_FAMILIES: Status = 232;
    pub const CREDENTIALS: Status = 243;

    const NAMES: &[(Status, &str)] = &[
        (0, "SUCCESS"),
        (1, "FAILURE"),
        (2, "INVALIDARGUMENT"),
        (3, "NOTIMPLEMENTED"),
        (4, "NOPERMISSION"),
        (5, "NOTINSTALLED"),
        (6, "NOTCONFIGURED"),
        (7, "NOTRUNNING"),
        (64, "USAGE"),
        (65, "DATAERR"),
        (66, "NOINPUT"),
        (67, "NOUSER"),
        (68, "NOHOST"),
        (69, "UNAVAILABLE"),
        (70, "SOFTWARE"),
        (71, "OSERR"),
        (72, "OSFILE"),
        (73, "CANTCREAT"),
        (74, "IOERR"),
        (75, "TEMPFAIL"),
        (76, "PROTOCOL"),
        (77, "NOPERM"),
        (78, "CONFIG"),
        (200, "CHDIR"),
        (201, "NICE"),
        (202, "FDS"),
        (203, "EXEC"),
        (204, "MEMORY"),
        (205, "LIMITS"),
        (206, "OOM_ADJUST"),
        (207, "SIGNAL_MASK"),
        (208, "STDIN"),
        (209, "STDOUT"),
        (210, "CHROOT"),
        (211, "IOPRIO"),
        (212, "TIMERSLACK"),
        (213, "SECUREBITS"),
        (214, "SETSCHEDULER"),
        (215, "CPUAFFINITY"),
        (216, "GROUP"),
        (217, "USER"),
        (218, "CAPABILITIES"),
        (219, "CGROUP"),
        (220, "SETSID"),
        (221, "CONFIRM"),
        (222, "STDERR"),
        (224, "PAM"),
        (225, "NETWORK"),
        (226, "NAMESPACE"),
        (227, "NO_NEW_PRIVILEGES"),
        (228, "SECCOMP"),
        (229, "SELINUX_CONTEXT"),
        (230, "PERSONALITY"),
        (231, "APPARMOR_PROFILE"),
        (232, "ADDRESS_FAMILIES"),
        (233, "RUNTIME_DIRECTORY"),
        (235, "CHOWN"),
        (236, "SMACK_PROCESS_LABEL"),
        (237, "KEYRING"),
        (238, "STATE_DIRECTORY"),
        (239, "CACHE_DIRECTORY"),
        (240, "LOGS_DIRECTORY"),
        (241, "CONFIGURATION_DIRECTORY"),
        (242, "NUMA_POLICY"),
        (243, "CREDENTIALS"),
        (245, "BPF"),
        (255, "EXCEPTION"),
    ];

    /// The name of a status, without `EXIT_` or `EX_`.
    pub fn name(status: Status) -> Option<&'static str> {
        NAMES.iter().find(|(n, _)| *n == status).map(|(_, name)| *name)
    }

    /// The status of a name.
    pub fn number(name: &str) -> Option<Status> {
        NAMES.iter().find(|(_, n)| *n == name).map(|(number, _)| *number)
    }

    /// Every name, in the order of the numbers.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_256_statuses_name_at_most_once_and_read_back() {
        let mut seen = BTreeSet::new();
        for n in 0..=255 {
            if let Some(name) = status::name(n) {
                assert!(seen.insert(name), "{name} names two statuses");
                assert_eq!(status::number(name), Some(n));
            }
        }
        assert_eq!(seen.len(), status::names().count());
        assert_eq!(status::number("CHDIR"), Some(status::CHDIR));
        assert_eq!(status::number("ADDRESS_FAMILIES"), Some(status::ADDRESS_FAMILIES));
        assert_eq!(status::number("nonsense"), None);
    }

    #[test]
    fn an_ending_speaks_as_a_shell_and_as_systemd() {
        let table = [
            (Exit::Exited(3), 3, "code=exited, status=3/NOTIMPLEMENTED", "3"),
            (Exit::Exited(42), 42, "code=exited, status=42", "42"),
            (Exit::Killed(Signal::TERM), 143, "code=killed, status=15/TERM", "TERM"),
            (Exit::Dumped(Signal::SEGV), 139, "code=dumped, status=11/SEGV", "SEGV"),
            (Exit::Killed(Signal::realtime(30)), 192, "code=killed, status=64/RTMIN+30", "RTMIN+30"),
        ];
        for (exit, shell, text, word) in table {
            assert_eq!((exit.shell_status(), exit.to_string().as_str()), (shell, text));
            assert_eq!(exit.status_word(), word);
        }
    }
}
