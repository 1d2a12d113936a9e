//! `tinysvc start|stop|…`: talks to the running tinysvc, as systemctl talks to systemd.
//!
//! One connection, one request; what comes back is printed, and its end is our exit status. The words are systemctl's.
//! Whoever asks is known to PID 1 by the kernel's word; the rights are decided there.
#![forbid(unsafe_code)]

use super::help;
use crate::engine::exit_code;
use crate::host::control::{address, connect};
use crate::unit::spec::Signal;
use crate::wire::control::{PIECE_LEN_MAX, Piece, Request};
use nix::sys::socket::{MsgFlags, recv, send};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsRawFd;

/// The subcommands that are sent to PID 1, and whether each needs a unit.
const VERBS: &[(&str, bool)] = &[
    ("start", true),
    ("stop", true),
    ("restart", true),
    ("try-restart", true),
    ("reload", true),
    ("reload-or-restart", true),
    ("kill", true),
    ("reset-failed", false),
    ("daemon-reload", false),
    ("is-active", true),
    ("is-failed", true),
    ("list", false),
    ("status", false),
    ("show", true),
];

/// Whether a word is one of these subcommands. `show` is one only with `.service` names and without a program.
pub fn is_verb(word: &[u8]) -> bool {
    VERBS.iter().any(|(verb, _)| verb.as_bytes() == word)
}

/// Whether the words behind `show` ask about units of the running tinysvc, and not about one command's settings.
pub fn shows_units(args: &[OsString]) -> bool {
    let units = args.iter().filter(|arg| !arg.as_encoded_bytes().starts_with(b"-"));
    let is_unit = |arg: &OsString| arg.as_encoded_bytes().ends_with(b".service");
    let mut units = units.peekable();
    let of_command = |arg: &OsString| {
        let arg = arg.as_encoded_bytes();
        arg == b"--" || arg == b"-u" || arg.starts_with(b"--unit")
    };
    units.peek().is_some() && !args.iter().any(of_command) && args.iter().any(is_unit)
}

/// Runs `tinysvc VERB ARGS` and returns its exit status.
pub fn main(verb: &str, args: &[OsString]) -> u8 {
    let request = match read(verb, args) {
        Ok(request) => request,
        Err(message) => return help::refuse(&message),
    };
    let Some(bytes) = request.encode() else { return help::refuse("the request is too long") };
    let socket = match connect() {
        Ok(socket) => socket,
        Err(e) => {
            let running = "is `tinysvc boot` PID 1 here?";
            return fail(&format!(
                "cannot reach the running tinysvc at {}: {}; {running}",
                address(),
                e.desc()
            ));
        }
    };
    if let Err(e) = send(socket.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL) {
        return fail(&format!("cannot ask the running tinysvc: {}", e.desc()));
    }
    let mut buffer = vec![0; PIECE_LEN_MAX + 1];
    loop {
        let piece = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(0) => return fail("the running tinysvc has gone without an answer"),
            Ok(n) => Piece::decode(buffer.get(..n).unwrap_or_default()),
            Err(nix::errno::Errno::EINTR) => continue,
            Err(e) => return fail(&format!("cannot read the answer: {}", e.desc())),
        };
        match piece {
            Some(Piece::Out(text)) => {
                // A reader that has seen enough is no reason to leave the job unfinished.
                let _closed = std::io::stdout().write_all(text.as_bytes());
            }
            Some(Piece::Err(text)) => {
                // If standard error is gone, there is nobody to tell.
                let _closed = std::io::stderr().write_all(text.as_bytes());
            }
            Some(Piece::End(status)) => return status,
            None => return fail("the answer cannot be read"),
        }
    }
}

fn fail(message: &str) -> u8 {
    // If standard error is gone, there is nobody to tell.
    let _closed = writeln!(std::io::stderr(), "tinysvc: {message}");
    exit_code::UNAVAILABLE
}

/// Reads the words behind the verb.
fn read(verb: &str, args: &[OsString]) -> Result<Request, String> {
    let mut request = Request { verb: verb.to_owned(), ..Request::default() };
    let (mut whom, mut signal) = ("all".to_owned(), "SIGTERM".to_owned());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let arg = arg.to_str().ok_or_else(|| format!("{verb}: an argument is not UTF-8"))?;
        let (name, mut value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ if arg.starts_with('-') && !arg.starts_with("--") && arg.len() > 2 => {
                let (name, value) = arg.split_at(2);
                (name, Some(value.to_owned()))
            }
            _ => (arg, None),
        };
        let mut next = |what: &str| {
            let value = value.take().or_else(|| args.next().and_then(|v| v.to_str()).map(str::to_owned));
            value.ok_or_else(|| format!("{verb}: {name} needs {what}"))
        };
        match name {
            "--no-block" => request.no_block = true,
            "--value" => request.value = true,
            "-p" | "--property" => {
                let names = next("the name of a property")?;
                request.properties.extend(names.split(',').map(str::to_owned));
            }
            "-s" | "--signal" if verb == "kill" => signal = next("a signal")?,
            "--kill-whom" | "--kill-who" if verb == "kill" => whom = next("main, control or all")?,
            _ if name.starts_with('-') => return Err(format!("{verb}: unknown option {arg}")),
            unit => request.units.push(if unit.contains('.') {
                unit.to_owned()
            } else {
                format!("{unit}.service")
            }),
        }
    }
    if verb == "kill" {
        if !["main", "control", "all"].contains(&whom.as_str()) {
            return Err(format!("kill: --kill-whom={whom}: allowed are main, control and all"));
        }
        let number = Signal::parse(&signal).ok_or_else(|| format!("kill: unknown signal {signal}"))?;
        request.properties = vec![whom, number.number().to_string()];
    }
    let needs_unit = VERBS.iter().any(|(name, needs)| *name == verb && *needs);
    if needs_unit && request.units.is_empty() {
        return Err(format!("{verb}: no unit given: tinysvc {verb} UNIT..."));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_words_are_systemctls() {
        let table: [(&str, &[&str], Result<Request, &str>); 7] = [
            ("start", &["web"], Ok(Request { units: vec!["web.service".into()], ..Request::default() })),
            ("stop", &[], Err("stop: no unit given: tinysvc stop UNIT...")),
            (
                "show",
                &["-p", "MainPID,Result", "--value", "a.service"],
                Ok(Request {
                    units: vec!["a.service".into()],
                    properties: vec!["MainPID".into(), "Result".into()],
                    value: true,
                    ..Request::default()
                }),
            ),
            (
                "kill",
                &["--kill-whom=main", "-sHUP", "a.service"],
                Ok(Request {
                    units: vec!["a.service".into()],
                    properties: vec!["main".into(), "1".into()],
                    ..Request::default()
                }),
            ),
            ("kill", &["-s", "NOPE", "a"], Err("kill: unknown signal NOPE")),
            (
                "kill",
                &["--kill-whom", "some", "a"],
                Err("kill: --kill-whom=some: allowed are main, control and all"),
            ),
            ("restart", &["--now", "a"], Err("restart: unknown option --now")),
        ];
        for (verb, args, expected) in table {
            let expected = expected.map(|r| Request { verb: verb.to_owned(), ..r }).map_err(str::to_owned);
            assert_eq!(read(verb, &words(args)), expected, "{verb} {args:?}");
        }
    }

    #[test]
    fn show_is_about_units_or_about_a_command() {
        let table: [(&[&str], bool); 6] = [
            (&["--unit", "/etc/a.service"], false),
            (&["a.service"], true),
            (&["-p", "MainPID", "a.service"], true),
            (&["--", "/bin/a.service"], false),
            (&["-p", "Restart=no", "/bin/app"], false),
            (&[], false),
        ];
        for (args, expected) in table {
            assert_eq!(shows_units(&words(args)), expected, "{args:?}");
        }
    }
}
