//! The command line of tini (docker-init).
#![forbid(unsafe_code)]

use super::dropin::{Known, Met, Options, Request, Variables, base_name, leading_number, number};
use crate::engine::relay::{Relay, Stream, Tini};
use crate::unit::spec::Signal;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;

/// `docker info` and others look for its beginning. The number is the release that we behave as.
const VERSION: &str = "tini version 0.19.0";

const KNOWN: Known = Known {
    short: &[
        (b'h', false),
        (b's', false),
        (b'p', true),
        (b'v', false),
        (b'w', false),
        (b'g', false),
        (b'e', true),
        (b'l', false),
    ],
    long: &[],
    permute: true,
};

/// Reads the argument line and the variables.
pub fn read(args: Vec<OsString>, variables: Variables<'_>) -> Request {
    // Only as the sole argument; anywhere else it is a string of unknown letters.
    if let [_, only] = args.as_slice()
        && only == "--version"
    {
        return Request::say(Stream::Out, VERSION, 0);
    }
    let mut tini = Tini::default();
    let mut options = Options::new(args, &KNOWN, variables);
    while let Some(met) = options.next() {
        match met {
            Met::Flag(b'h') => return Request::say(Stream::Out, usage(options.name()), 0),
            Met::Flag(b'l') => return Request::say(Stream::Out, LICENCE, 0),
            Met::Flag(b's') => tini.subreaper = true,
            Met::Flag(b'v') => tini.verbosity += 1,
            Met::Flag(b'w') => tini.warn_on_reap = true,
            Met::Flag(b'g') => tini.group = true,
            Met::Value(b'p', value) => match parent_death(&value) {
                Some(signal) => tini.parent_death = Some(signal),
                None => return bad_value('p', &value),
            },
            Met::Value(b'e', value) => {
                match value.to_str().and_then(number).and_then(|n| u8::try_from(n).ok()) {
                    Some(status) => tini.map_to_zero(status),
                    None => return bad_value('e', &value),
                }
            }
            Met::Flag(_) | Met::Value(..) => {}
            Met::Wrong(text) => {
                let usage = usage(options.name());
                return Request::Say(vec![(Stream::Err, text), (Stream::Err, usage)], 1);
            }
        }
    }
    let usage = usage(options.name());
    let command = options.into_command();
    if command.is_empty() {
        return Request::say(Stream::Err, usage, 1);
    }
    tini.subreaper |= variables("TINI_SUBREAPER").is_some();
    tini.group |= variables("TINI_KILL_PROCESS_GROUP").is_some();
    if let Some(text) = variables("TINI_VERBOSITY") {
        // As atoi(3): what is no number is 0. A negative one is a large one there, and so here.
        let level = leading_number(&text.to_string_lossy()).map_or(0, |(level, _)| level);
        tini.verbosity = u32::try_from(level).unwrap_or(u32::MAX);
    }
    tini.child_lines = tini.verbosity >= 3 && std::io::stdout().is_terminal();
    Request::Run(Relay::Tini(tini), command)
}

/// A signal's full name. The three that the original does not know are no signals to it.
fn parent_death(value: &OsStr) -> Option<Signal> {
    const UNKNOWN: [i32; 3] = [16, 29, 30];
    let name = value.to_str()?;
    let signal = Signal::parse(name)?;
    let known = signal.number() <= 31 && !UNKNOWN.contains(&signal.number());
    (known && signal.to_string() == name).then_some(signal)
}

fn bad_value(letter: char, value: &OsStr) -> Request {
    let (pid, value) = (std::process::id(), value.to_string_lossy());
    Request::say(Stream::Err, format!("[FATAL tini ({pid})] Not a valid option for -{letter}: {value}"), 1)
}

fn usage(name: &str) -> String {
    let name = base_name(OsStr::new(name)).to_string_lossy();
    format!(
        "\
{name} ({VERSION}, as tinysvc has it)
Usage: {name} [OPTIONS] [--] PROGRAM [ARG]... | --version

Starts PROGRAM as its child, passes signals on to it, reaps what nobody else waits for, and ends as PROGRAM ends.

Options:

  -s         be a child subreaper, to reap when not PID 1
  -p SIGNAL  have the kernel send this process SIGNAL when its parent dies: -p SIGKILL
  -g         pass signals on to PROGRAM's process group
  -e STATUS  end with 0 where PROGRAM ended with STATUS, 0 to 255; may be repeated
  -w         warn of each orphan that is reaped
  -v         say more; up to three times
  -l         show the licence
  -h         show this
  --version  show the version; on its own only

Environment variables:

  TINI_SUBREAPER           when set, as -s
  TINI_KILL_PROCESS_GROUP  when set, as -g
  TINI_VERBOSITY           how much to say: 0 fatal errors, 1 warnings (unless set), 2 to 4 more
"
    )
}

const LICENCE: &str = "\
This is tinysvc, doing what tini does; it holds none of tini's code.
tinysvc is licensed under the MIT License or the Apache License 2.0, whichever you prefer.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_options() {
        let table = [
            ("a warning is the default", "", "tini ls", 1, false, false),
            ("letters count", "", "tini -vv ls", 3, false, false),
            ("the variable wins", "TINI_VERBOSITY=0", "tini -vvv ls", 0, false, false),
            ("no number is 0", "TINI_VERBOSITY=x", "tini ls", 0, false, false),
            ("less than 0 is everything", "TINI_VERBOSITY=-1", "tini ls", u32::MAX, false, false),
            ("an empty variable is set", "TINI_SUBREAPER=", "tini ls", 1, true, false),
            ("so is this one", "TINI_KILL_PROCESS_GROUP=", "tini ls", 1, false, true),
            ("the letters for both", "", "tini -sg ls", 1, true, true),
        ];
        for (why, variable, line, verbosity, subreaper, group) in table {
            let (name, value) = variable.split_once('=').unwrap_or_default();
            let variables = |asked: &str| (asked == name).then(|| OsString::from(value));
            let args = line.split(' ').map(OsString::from).collect();
            let Request::Run(Relay::Tini(tini), command) = read(args, &variables) else { panic!("{why}") };
            assert_eq!((tini.verbosity, tini.subreaper, tini.group), (verbosity, subreaper, group), "{why}");
            assert_eq!(command, ["ls"], "{why}");
        }
    }

    #[test]
    fn a_parent_death_signal_has_its_full_name() {
        let table = [
            ("SIGKILL", Some(9)),
            ("KILL", None),
            ("9", None),
            ("SIGIOT", None),
            ("SIGIO", None),
            ("SIGSTKFLT", None),
            ("SIGRTMIN", None),
            ("SIGSYS", Some(31)),
        ];
        for (name, then) in table {
            assert_eq!(parent_death(OsStr::new(name)).map(Signal::number), then, "{name}");
        }
    }
}
