//! Readiness messages: the assignments of sd_notify(3), parsed.
//!
//! A message comes from a process that may be hostile. Unknown keys and bad values are skipped one by
//! one, as systemd does; the rest of the message counts.
#![forbid(unsafe_code)]

use super::Mono;
use crate::unit::spec::{NotifyAccess, Span};

/// What a message says. Every field is one key of sd_notify(3).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// `READY=1`.
    pub ready: bool,
    /// `RELOADING=1`.
    pub reloading: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `STATUS=`; an empty one takes the text away.
    pub status: Option<String>,
    /// `ERRNO=`.
    pub errno: Option<i32>,
    /// `WATCHDOG=1`.
    pub watchdog: bool,
    /// `WATCHDOG=trigger`.
    pub watchdog_trigger: bool,
    /// `WATCHDOG_USEC=`.
    pub watchdog_interval: Option<Span>,
    /// `EXTEND_TIMEOUT_USEC=`.
    pub extend_timeout: Option<Span>,
    /// `MAINPID=`: a number of the sender's process namespace, which only the host can make sense of.
    pub main_pid: Option<u32>,
    /// `MONOTONIC_USEC=`, as the sender read CLOCK_MONOTONIC.
    pub monotonic: Option<Mono>,
    /// `NOTIFYACCESS=`.
    pub notify_access: Option<NotifyAccess>,
}

/// The longest message that is read; systemd's own limit.
pub const MESSAGE_LEN_MAX: usize = 4096;
/// The longest status that is kept, in bytes.
pub const STATUS_LEN_MAX: usize = 2048;

impl Message {
    /// Reads one datagram. `None` for one that is no message at all: longer than [`MESSAGE_LEN_MAX`] or
    /// with a NUL inside.
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        if bytes.len() > MESSAGE_LEN_MAX || bytes.contains(&0) {
            return None;
        }
        let mut message = Message::default();
        for line in bytes.split(|b| *b == b'\n') {
            let Some(at) = line.iter().position(|b| *b == b'=') else { continue };
            let (key, value) = line.split_at(at);
            // A value that is no UTF-8 is a bad value of its one key.
            let Ok(value) = std::str::from_utf8(value.get(1..).unwrap_or_default()) else { continue };
            message.assign(key, value);
        }
        Some(message)
    }

    fn assign(&mut self, key: &[u8], value: &str) {
        let micros = || value.parse().ok().map(Span::from_micros);
        match key {
            b"READY" => self.ready |= value == "1",
            b"RELOADING" => self.reloading |= value == "1",
            b"STOPPING" => self.stopping |= value == "1",
            b"STATUS" => {
                let mut end = value.len().min(STATUS_LEN_MAX);
                while !value.is_char_boundary(end) {
                    end -= 1;
                }
                self.status = value.get(..end).map(str::to_owned);
            }
            b"ERRNO" => self.errno = value.parse().ok().filter(|n| *n >= 0).or(self.errno),
            b"WATCHDOG" => match value {
                "1" => self.watchdog = true,
                "trigger" => self.watchdog_trigger = true,
                _ => {}
            },
            b"WATCHDOG_USEC" => self.watchdog_interval = micros().or(self.watchdog_interval),
            b"MAINPID" => self.main_pid = value.parse().ok().filter(|n| *n > 0).or(self.main_pid),
            b"MONOTONIC_USEC" => self.monotonic = value.parse().ok().map(Mono).or(self.monotonic),
            b"NOTIFYACCESS" => {
                self.notify_access = match value {
                    "none" => Some(NotifyAccess::None),
                    "main" => Some(NotifyAccess::Main),
                    "exec" => Some(NotifyAccess::Exec),
                    "all" => Some(NotifyAccess::All),
                    _ => self.notify_access,
                };
            }
            b"EXTEND_TIMEOUT_USEC" => self.extend_timeout = micros().or(self.extend_timeout),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_counts_and_the_rest_does_not() {
        let ready = Message { ready: true, ..Message::default() };
        let table: [(&str, &[u8], Option<Message>); 11] = [
            ("the plain word", b"READY=1", Some(ready.clone())),
            ("a final newline is optional", b"READY=1\n", Some(ready.clone())),
            ("zero is undefined", b"READY=0", Some(Message::default())),
            ("unknown keys are skipped", b"X_FOO=1\nREADY=1\nnonsense", Some(ready.clone())),
            ("a bad value spoils its key only", b"STATUS=\xff\nREADY=1", Some(ready)),
            ("a NUL spoils all", b"READY=1\0", None),
            ("nothing says nothing", b"", Some(Message::default())),
            (
                "all of it",
                b"STATUS=busy = yes\nERRNO=5\nWATCHDOG=trigger\nWATCHDOG_USEC=7\nEXTEND_TIMEOUT_USEC=9",
                Some(Message {
                    status: Some("busy = yes".into()),
                    errno: Some(5),
                    watchdog_trigger: true,
                    watchdog_interval: Some(Span::from_micros(7)),
                    extend_timeout: Some(Span::from_micros(9)),
                    ..Message::default()
                }),
            ),
            (
                "a successor",
                b"MAINPID=7\nMONOTONIC_USEC=8\nNOTIFYACCESS=all",
                Some(Message {
                    main_pid: Some(7),
                    monotonic: Some(Mono(8)),
                    notify_access: Some(NotifyAccess::All),
                    ..Message::default()
                }),
            ),
            (
                "no successor",
                b"MAINPID=0\nMAINPID=-1\nMONOTONIC_USEC=soon\nNOTIFYACCESS=some",
                Some(Message::default()),
            ),
            ("negative numbers are none", b"ERRNO=-5\nWATCHDOG_USEC=-1", Some(Message::default())),
        ];
        for (why, bytes, message) in table {
            assert_eq!(Message::parse(bytes), message, "{why}");
        }
    }

    #[test]
    fn limits_hold_at_the_edge() {
        let longest = [b"STATUS=".as_slice(), &vec![b'x'; MESSAGE_LEN_MAX - 7]].concat();
        let message = Message::parse(&longest).unwrap();
        assert_eq!(message.status.map(|s| s.len()), Some(STATUS_LEN_MAX));
        assert_eq!(Message::parse(&[longest, vec![b'x']].concat()), None);
        let wide = [b"STATUS=x".as_slice(), "é".repeat(STATUS_LEN_MAX / 2).as_bytes()].concat();
        let message = Message::parse(&wide).unwrap();
        assert_eq!(message.status.map(|s| s.len()), Some(STATUS_LEN_MAX - 1));
    }
}
