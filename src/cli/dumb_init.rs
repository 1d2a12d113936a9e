//! The command line of dumb-init.
#![forbid(unsafe_code)]

use super::dropin::{Known, Met, Options, Request, Variables, leading_number};
use crate::engine::relay::{DumbInit, REWRITE_MAX, Relay, Stream};
use std::ffi::OsString;

/// The number is the release that we behave as.
const VERSION: &str = "dumb-init v1.2.5";

const KNOWN: Known = Known {
    short: &[(b'h', false), (b'v', false), (b'V', false), (b'c', false), (b'r', true)],
    long: &[
        ("help", false, b'h'),
        ("single-child", false, b'c'),
        ("rewrite", true, b'r'),
        ("verbose", false, b'v'),
        ("version", false, b'V'),
    ],
    permute: false,
};

/// Reads the argument line and the variables.
pub fn read(args: Vec<OsString>, variables: Variables<'_>) -> Request {
    let mut dumb_init = DumbInit::default();
    let mut options = Options::new(args, &KNOWN, variables);
    while let Some(met) = options.next() {
        match met {
            Met::Flag(b'h') => return Request::say(Stream::Err, help(options.name()), 0),
            Met::Flag(b'V') => return Request::say(Stream::Err, VERSION, 0),
            Met::Flag(b'v') => dumb_init.verbose = true,
            Met::Flag(b'c') => dumb_init.single_child = true,
            Met::Value(b'r', value) => match rewriting(&value.to_string_lossy()) {
                Some((from, to)) => {
                    if let Some(place) = dumb_init.rewrite.get_mut(from) {
                        *place = Some(to);
                    }
                }
                None => return Request::say(Stream::Err, BAD_REWRITING, 1),
            },
            Met::Flag(_) | Met::Value(..) => {}
            Met::Wrong(text) => return Request::say(Stream::Err, text, 1),
        }
    }
    let name = options.name().to_owned();
    let command = options.into_command();
    if command.is_empty() {
        let usage = format!("Usage: {name} [option] program [args]\nTry {name} --help for full usage.");
        return Request::say(Stream::Err, usage, 1);
    }
    // These values and no others.
    dumb_init.verbose_by_variable = variables("DUMB_INIT_DEBUG").is_some_and(|value| value == "1");
    dumb_init.verbose |= dumb_init.verbose_by_variable;
    dumb_init.single_by_variable = variables("DUMB_INIT_SETSID").is_some_and(|value| value == "0");
    dumb_init.single_child |= dumb_init.single_by_variable;
    Request::Run(Relay::DumbInit(dumb_init), command)
}

/// `FROM:TO` as `%d:%d` of sscanf(3) reads it: whatever follows the second number is not looked at.
fn rewriting(text: &str) -> Option<(usize, u8)> {
    let (from, rest) = leading_number(text)?;
    let (to, _) = leading_number(rest.strip_prefix(':')?)?;
    let max = i64::from(REWRITE_MAX);
    let fits = (1..=max).contains(&from) && (0..=max).contains(&to);
    fits.then_some((usize::try_from(from).ok()?, u8::try_from(to).ok()?))
}

/// Test suites compare these three lines.
const BAD_REWRITING: &str = "\
Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.
This option can be specified multiple times.
Use --help for full usage.";

fn help(name: &str) -> String {
    format!(
        "\
{VERSION}, as tinysvc has it
Usage: {name} [OPTION]... COMMAND [ARG]...

Starts COMMAND in a session of its own, passes signals on to all of it, reaps what nobody else waits for, and ends as
COMMAND ends.

Options:

  -c, --single-child     no session of its own; signals go to COMMAND alone
  -r, --rewrite FROM:TO  pass signal FROM on as TO, by number; TO 0 drops it; may be repeated
  -v, --verbose          tell on standard error what happens
  -h, --help             show this
  -V, --version          show the version

Environment variables:

  DUMB_INIT_DEBUG=1      as -v
  DUMB_INIT_SETSID=0     as -c"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewritings() {
        let table = [
            ("15:3", Some((15, 3))),
            ("1:0", Some((1, 0))),
            ("31:31", Some((31, 31))),
            ("32:1", None),
            ("1:32", None),
            ("0:1", None),
            ("-1:1", None),
            ("1:-1", None),
            ("15", None),
            ("15:", None),
            ("15 :3", None),
            (" 15: 3", Some((15, 3))),
            ("15:3x", Some((15, 3))),
            ("TERM:3", None),
            ("", None),
        ];
        for (text, then) in table {
            assert_eq!(rewriting(text), then, "{text:?}");
        }
    }
}
