//! What it costs to start a program again.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::peers::{Peers, RUNS, clean, micros};
use crate::report::{Report, median};

/// Restarts a program that fails at once, without a pause, some thousand times, beside a loop in C of fork,
/// exec and wait. Pids count the runs: the program ends the loop by another status when its own is high enough.
pub fn crash_loop(peers: &Peers, report: &mut Report) {
    const ROUNDS: usize = 5;
    report.title(
        "crash",
        &format!("RestartSec=0, {RUNS} runs of a program that fails at once, {ROUNDS} turns"),
    );
    let Some((bare, until)) = &peers.loops else {
        report.left_out("the crash loop: no C compiler");
        return;
    };
    let options = [
        "-p",
        "Restart=always",
        "-p",
        "RestartSec=0",
        "-p",
        "StartLimitIntervalSec=0",
        "-p",
        "RestartPreventExitStatus=9",
    ];
    let tinysvc = peers.bare_tinysvc.with(&options);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut command = Command::new(bare);
        command.arg(until);
        clean(&mut command);
        theirs.push(peers.time_as_pid_1(&mut command) / RUNS as f64);
        ours.push(peers.time_as_pid_1(&mut tinysvc.command(until, [""; 0])) / RUNS as f64);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    report.row("C loop", &[("", theirs, "us a run")]);
    report.row("tinysvc", &[("", ours, "us a run")]);
    if ours < theirs / 2.0 {
        report.left_out("the aim for the crash loop: tinysvc ended it too early to be true");
    } else {
        report.at_most("crash loop", ours, 5.0, "the C loop's", theirs);
    }
}

/// Kills the program and waits for the first line of its next run. Starting it without an init is the floor.
pub fn latency(peers: &Peers, report: &mut Report) {
    const ROUNDS: usize = 300;
    report.title("restart", "from SIGKILL to the first line of the next run, RestartSec=0; median");
    let options = ["-p", "Restart=always", "-p", "RestartSec=0", "-p", "StartLimitIntervalSec=0"];
    let tinysvc = peers.bare_tinysvc.with(&options);
    let mut running =
        peers.start_as_pid_1(tinysvc.command(&peers.demo, ["print", "up", "hang"]).stdout(Stdio::piped()));
    let mut lines = BufReader::new(running.0.stdout.take().expect("a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("the first run");
    let (mut taken, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let child = running.child();
        let begin = Instant::now();
        kill(Pid::from_raw(child), Signal::SIGKILL).expect("kill");
        line.clear();
        lines.read_line(&mut line).expect("the next run");
        if line.is_empty() {
            report.left_out("restart latency: there was no next run");
            return;
        }
        taken.push(micros(begin.elapsed()));

        let mut command = Command::new(&peers.demo);
        clean(command.args(["print", "up"]));
        let begin = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the demo");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("a line");
        floor.push(micros(begin.elapsed()));
        let _ = child.wait();
    }
    let (taken, floor) = (median(&mut taken), median(&mut floor));
    report.row("bare start", &[("", floor, "us")]);
    report.row("tinysvc", &[("", taken, "us"), ("times bare", taken / floor, "x")]);
}
