//! `tinysvc help`: what there is, and what a directive means.
#![forbid(unsafe_code)]

use super::run::Ask;
use crate::engine::exit_code;
use crate::unit::{page, table};
use std::ffi::OsString;
use std::io::Write;

/// What `--help` prints.
pub(super) const HELP: &str = "\
tinysvc runs one program as the init of a container, and is to it what systemd is on a host.

  tinysvc [OPTIONS] [--] PROGRAM [ARG]...     supervise one program
  tinysvc [OPTIONS] --unit FILE               supervise the ExecStart= of a unit file
  tinysvc show [OPTIONS] [--all] -- PROGRAM   print the settings and where each comes from
  tinysvc cat [--root DIR] UNIT...            print the files that units are made of
  tinysvc verify [--root DIR] UNIT|FILE...    say what is wrong with units
  tinysvc health [live|ready|startup]         ask the running tinysvc, for HEALTHCHECK and probes
  tinysvc help [directives|NAME]              explain the settings, or one of them

Examples:
  ENTRYPOINT [\"/sbin/tinysvc\", \"--\"]          signals arrive, zombies are reaped, the exit status is passed on
  tinysvc --restart on-failure -p RestartSec=5 -- /app
  tinysvc --user app -p CapabilityBoundingSet= -p RestrictAddressFamilies='AF_INET AF_INET6' -- /app

Options:
  -p, --property NAME=VALUE   set a directive; as often as you like
  -u, --unit FILE             read [Service] and [X-Tinysvc] of a unit file
  -r, --restart WHEN          Restart=: no, on-failure, always, ...
      --user USER[:GROUP]     User= and Group=
      --health ADDRESS        Health=: off, on, PORT or ADDRESS:PORT (default [::]:8469 as PID 1)
      --drain TIME            DrainSec=: be unready for so long before a stop
  -g, --signal-group          SignalTarget=group: signals go to the whole process group
  -e, --map-exit FROM[:TO]    ExitStatusMap=: exit with TO (0) where it would be FROM
      --log-level LEVEL       error, warn (default), info, debug
  -v, --verbose               as --log-level info; -vv as --log-level debug
      --log-format FORMAT     text (default), json
  -h, --help                  this
  -V, --version               the version

Environment:
  TINYSVC_NAME=VALUE          a directive, as TINYSVC_RESTART_SEC=5; a flag wins over it, it wins over the file
  TINYSVC_UNIT, TINYSVC_LOG_LEVEL, TINYSVC_LOG_FORMAT

Exit status: the program's; 128+N if signal N ended it; 127 not found, 126 not executable;
  64 the command line cannot be understood, 78 the unit file cannot be used; 70 and 71 tinysvc itself or the
  system failed; 200 to 246 the step of the start that failed, as systemd.exec(5) numbers them.
";

/// Answers `--help` or `--version`.
pub fn answer(ask: Ask) -> u8 {
    print(match ask {
        Ask::Help => HELP,
        Ask::Version => VERSION,
    })
}

/// Runs `tinysvc help`; `args` is what stands behind it. Returns the exit status.
pub fn main(args: &[OsString]) -> u8 {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    match words.as_slice() {
        [] | ["-h" | "--help"] => print(HELP),
        ["directives"] => print(&page::list()),
        ["directives", "--markdown"] => print(&page::markdown()),
        [name] => {
            let name = name.trim_end_matches('=');
            match table::find(name) {
                Some(found) => print(&page::explain(name, found)),
                None => refuse(&match table::suggest(name) {
                    Some(meant) => format!("no directive {name}; did you mean {meant}?"),
                    None => format!("no directive {name}; tinysvc help directives lists them"),
                }),
            }
        }
        _ => refuse("help takes one word: directives, or a directive's name"),
    }
}

/// The version, for `--version`.
const VERSION: &str = concat!("tinysvc ", env!("CARGO_PKG_VERSION"), "\n");

/// Prints to standard output. A reader that has gone away (`| head`) is no error of ours.
pub fn print(text: &str) -> u8 {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => 1,
        _ => 0,
    }
}

/// Says on standard error why the argument line is of no use, and returns the exit status for that.
pub fn refuse(message: &str) -> u8 {
    // If standard error is gone, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "tinysvc: {message}");
    exit_code::USAGE
}
