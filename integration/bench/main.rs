//! Puts tinysvc beside tini, dumb-init, catatonit and nginx, in one run, and says who needs what.
//!
//! Absolute times belong to a machine and an hour; ratios of one run are steady. So every measurement takes turns
//! between all that are compared, takes medians, and prints both. An aim is a ratio that must hold.
//! A peer that is not installed is named as left out, and so is the aim that needs it.
//!
//! `BENCH=start,idle,…` selects; `BENCH_IDLE_SECS` (60) is how long nothing happens. The whole runs in a network
//! namespace of its own, and each init as PID 1 of one, as root or through a user namespace.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a benchmark is about clocks and waits")]
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on says so and ends")]
#![allow(missing_docs, reason = "the names in a small program say it")]

mod peers;
mod probes;
mod report;
mod restart;
mod start;
mod steady;

use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use peers::Peers;
use report::Report;

/// A measurement: its name for `BENCH=`, and what it does.
type Measurement = (&'static str, fn(&Peers, &mut Report));

const ALL: [Measurement; 9] = [
    ("size", start::size),
    ("start", start::start),
    ("calls", start::calls),
    ("idle", steady::idle),
    ("orphans", steady::orphans),
    ("signal", steady::signal),
    ("crash", restart::crash_loop),
    ("restart", restart::latency),
    ("health", probes::health),
];

fn main() -> ExitCode {
    if std::env::var_os("BENCH_INSIDE").is_none() {
        return go_inside();
    }
    let selection = std::env::var("BENCH").unwrap_or_default();
    let selected: Vec<&str> = selection.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    for name in &selected {
        if !ALL.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
            eprintln!("bench: there is no measurement '{name}'; there are {}", known.join(", "));
            return ExitCode::from(2);
        }
    }
    let mut report = Report::default();
    let peers = match Peers::find(&mut report) {
        Ok(peers) => peers,
        Err(why) => {
            eprintln!("bench: {why}");
            return ExitCode::FAILURE;
        }
    };
    for (name, measure) in ALL {
        if selected.is_empty() || selected.contains(&name) {
            let attempt = AssertUnwindSafe(|| measure(&peers, &mut report));
            if catch_unwind(attempt).is_err() {
                report.broken(name);
            }
        }
    }
    report.end()
}

/// Executes this program again where every port is free and PID namespaces can be made.
fn go_inside() -> ExitCode {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--", "sh", "-c", r#"ip link set lo up; exec "$@""#, "sh"]);
    command.arg(std::env::current_exe().expect("the path of this program")).env("BENCH_INSIDE", "1");
    let error = command.exec();
    eprintln!("bench: cannot run unshare: {error}");
    ExitCode::FAILURE
}
