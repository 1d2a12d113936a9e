//! The command line of catatonit.
#![forbid(unsafe_code)]

use super::dropin::{Known, Met, Options, Request, Variables};
use crate::engine::relay::{Catatonit, Relay, Stream};
use std::ffi::OsString;

/// It begins as tini's does because `docker info` looks for that. The number is the release that we behave as.
const VERSION: &str = "tini version 0.1.7_catatonit";

const KNOWN: Known = Known {
    short: &[(b'g', false), (b'h', false), (b'L', false), (b'P', false), (b'V', false)],
    long: &[("version", false, b'V')],
    permute: true,
};

/// Reads the argument line and the variables.
pub fn read(args: Vec<OsString>, variables: Variables<'_>) -> Request {
    // Before all else, so that not even -h is heard.
    if variables("CATATONIT_LOG").is_some() {
        return Request::say(Stream::Err, error("CATATONIT_LOG is reserved for future use"), 1);
    }
    let mut catatonit = Catatonit::default();
    catatonit.debug = variables("CATATONIT_DEBUG").is_some();
    let mut options = Options::new(args, &KNOWN, variables);
    for met in options.by_ref() {
        match met {
            Met::Flag(b'h') => return Request::say(Stream::Err, help(), 0),
            Met::Flag(b'L') => return Request::say(Stream::Out, LICENCE, 0),
            Met::Flag(b'V') => return Request::say(Stream::Out, VERSION, 0),
            Met::Flag(b'g') => catatonit.group = true,
            Met::Flag(b'P') => catatonit.pause = true,
            Met::Flag(_) | Met::Value(..) => {}
            Met::Wrong(text) => {
                return Request::Say(vec![(Stream::Err, text), (Stream::Err, USAGE.to_owned())], 1);
            }
        }
    }
    let mut command = options.into_command();
    if catatonit.pause {
        // A program is allowed there and never run.
        command.clear();
    } else if command.is_empty() {
        let lines = vec![(Stream::Err, error("missing program name")), (Stream::Err, USAGE.to_owned())];
        return Request::Say(lines, 1);
    }
    Request::Run(Relay::Catatonit(catatonit), command)
}

fn error(text: &str) -> String {
    format!("ERROR (catatonit:{}): {text}", std::process::id())
}

const USAGE: &str = "usage: catatonit [-ghLPV] [--] PROGRAM [ARG]...";

fn help() -> String {
    format!(
        "\
{USAGE}

Starts PROGRAM as its child, passes signals on to it, reaps what nobody else waits for, and ends as PROGRAM ends.
This is tinysvc, doing what catatonit does.

  -g             pass signals on to PROGRAM's process group
  -P             pause: run no program, reap until SIGINT or SIGTERM comes
  -L             show the licence
  -V, --version  show the version
  -h             show this

Environment variables:

  CATATONIT_DEBUG  when set, tell on standard error what happens"
    )
}

const LICENCE: &str = "\
This is tinysvc, doing what catatonit does; it holds none of catatonit's code.
tinysvc is licensed under the MIT License or the Apache License 2.0, whichever you prefer.";
