//! Signal numbers and their names.
//!
//! Real-time signals count from 34, glibc's `SIGRTMIN`, whatever libc this binary was built with: musl's
//! is 35, and a `SIGRTMIN+3` from a container runtime is 37.
#![forbid(unsafe_code)]

use std::fmt;

/// A signal of signal(7), 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Linux numbers of the standard signals, the same on x86-64 and aarch64 (signal(7)).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

const RTMIN: u8 = 34;
const MAX: u8 = 64;

#[allow(missing_docs, reason = "the signals of signal(7)")]
impl Signal {
    pub const HUP: Signal = Signal(1);
    pub const INT: Signal = Signal(2);
    pub const QUIT: Signal = Signal(3);
    pub const ILL: Signal = Signal(4);
    pub const TRAP: Signal = Signal(5);
    pub const ABRT: Signal = Signal(6);
    pub const BUS: Signal = Signal(7);
    pub const FPE: Signal = Signal(8);
    pub const KILL: Signal = Signal(9);
    pub const USR1: Signal = Signal(10);
    pub const SEGV: Signal = Signal(11);
    pub const USR2: Signal = Signal(12);
    pub const PIPE: Signal = Signal(13);
    pub const TERM: Signal = Signal(15);
    pub const CHLD: Signal = Signal(17);
    pub const CONT: Signal = Signal(18);
    pub const STOP: Signal = Signal(19);
    pub const TSTP: Signal = Signal(20);
    pub const TTIN: Signal = Signal(21);
    pub const TTOU: Signal = Signal(22);
    pub const SYS: Signal = Signal(31);
}

impl Signal {
    /// The signal of that number, 1 to 64.
    pub fn new(number: i32) -> Option<Signal> {
        u8::try_from(number).ok().filter(|n| (1..=MAX).contains(n)).map(Signal)
    }

    /// `SIGRTMIN+n`, n from 0 to 30; larger ones are `SIGRTMAX`.
    pub const fn realtime(n: u8) -> Signal {
        if n > MAX - RTMIN { Signal(MAX) } else { Signal(RTMIN + n) }
    }

    /// The kernel's number.
    pub fn number(self) -> i32 {
        self.0.into()
    }

    /// Reads a name with or without `SIG`, `RTMIN+n`, `RTMAX-n`, or a number: systemd's
    /// `signal_from_string()`.
    pub fn parse(text: &str) -> Option<Signal> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Signal::new(text.parse().ok()?);
        }
        let name = text.strip_prefix("SIG").unwrap_or(text);
        if let Some(at) = NAMES.iter().position(|n| *n == name) {
            return Signal::new(at as i32 + 1);
        }
        let number = |text: &str| text.parse::<u8>().ok().filter(|n| *n <= MAX - RTMIN);
        match name {
            "RTMIN" => Some(Signal(RTMIN)),
            "RTMAX" => Some(Signal(MAX)),
            "CLD" => Some(Signal::CHLD),
            "POLL" => Signal::new(29),
            "IOT" => Some(Signal::ABRT),
            _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
                (Some(n), _) => Some(Signal(RTMIN + number(n)?)),
                (_, Some(n)) => Some(Signal(MAX - number(n)?)),
                _ => None,
            },
        }
    }

    /// The name without `SIG`, as systemd's `$EXIT_STATUS` has it: `TERM`, `RTMIN+3`.
    pub fn short(self) -> String {
        match NAMES.get(usize::from(self.0) - 1) {
            Some(name) => (*name).to_owned(),
            None if self.0 < RTMIN => self.0.to_string(),
            None => format!("RTMIN+{}", self.0 - RTMIN),
        }
    }

    /// Whether it reports a fault of the process that it is delivered to, and so is never passed on.
    pub fn is_fault(self) -> bool {
        [Signal::FPE, Signal::ILL, Signal::SEGV, Signal::BUS, Signal::ABRT, Signal::TRAP, Signal::SYS]
            .contains(&self)
    }
}

/// `SIGTERM`, `SIGRTMIN+3`.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_reads_back_as_itself() {
        for n in (1..=31).chain(34..=64) {
            let signal = Signal::new(n).unwrap();
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
            assert_eq!(Signal::parse(&signal.short()), Some(signal));
            assert_eq!(Signal::parse(&n.to_string()), Some(signal));
        }
    }

    #[test]
    fn edges() {
        let table = [
            ("0", None),
            ("65", None),
            ("64", Signal::new(64)),
            ("RTMIN+30", Signal::new(64)),
            ("RTMIN+31", None),
            ("RTMAX-30", Signal::new(34)),
            ("SIGRTMAX-0", Signal::new(64)),
            ("term", None),
            ("", None),
            ("SIG", None),
            ("SIGRTMIN+3", Signal::new(37)),
        ];
        for (text, signal) in table {
            assert_eq!(Signal::parse(text), signal, "{text}");
        }
    }
}
