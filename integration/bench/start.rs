//! What it costs to be there at all: bytes, microseconds and system calls until the program runs.

use std::fs;
use std::process::Command;

use crate::peers::{Init, Peers, clean, which};
use crate::report::{Report, median};

const ROUNDS: usize = 400;

/// Reads the size of each binary. A dynamic one needs libraries besides.
pub fn size(peers: &Peers, report: &mut Report) {
    report.title("size", "of the binary");
    for init in peers.all() {
        let bytes = fs::metadata(&init.path).map_or(0, |m| m.len());
        report.row(init.name, &[("", bytes as f64 / 1e3, "kB")]);
        if init.name == "tinysvc" {
            report.at_most_number("the release binary", bytes as f64, 850_000.0, "bytes");
        }
    }
}

/// Times a program that does nothing under each init as PID 1, from the fork to the end of the init, in turns.
/// The same program as PID 1 without an init is subtracted: what is left is the init's overhead.
pub fn start(peers: &Peers, report: &mut Report) {
    report.title("start", "from fork to end, as PID 1, of a program that does nothing; median of turns");
    let mut inits = peers.all();
    inits.insert(1, Init { name: "tinysvc, health off", ..peers.bare_tinysvc.clone() });
    let mut bare = Vec::with_capacity(ROUNDS);
    let mut taken = vec![Vec::with_capacity(ROUNDS); inits.len()];
    for _ in 0..ROUNDS {
        let mut command = Command::new(&peers.nothing);
        clean(&mut command);
        bare.push(peers.time_as_pid_1(&mut command));
        for (init, taken) in inits.iter().zip(&mut taken) {
            taken.push(peers.time_as_pid_1(&mut init.command(&peers.nothing, [""; 0])));
        }
    }
    let bare = median(&mut bare);
    report.row("no init", &[("", bare, "us")]);
    let mut of = Vec::new();
    for (init, taken) in inits.iter().zip(&mut taken) {
        let whole = median(taken);
        report.row(
            init.name,
            &[("", whole, "us"), ("over", whole - bare, "us"), ("times bare", whole / bare, "x")],
        );
        of.push((init.name, whole - bare));
    }
    let over = |name: &str| of.iter().find(|(n, _)| *n == name).map(|(_, over)| *over);
    match over("tinysvc").zip(over("tini-static")) {
        Some((ours, theirs)) => report.at_most("start overhead", ours, 0.8, "tini-static's", theirs),
        None => report.left_out("the aim for the start: no tini-static"),
    }
}

/// Counts system calls under strace: those of the init and of its child, from the init's execution as PID 1 until the
/// child executes the program.
pub fn calls(peers: &Peers, report: &mut Report) {
    report.title("calls", "system calls from the execution of the init to that of the program");
    let Some(strace) = which("strace") else {
        report.left_out("system calls from start to exec: no strace");
        return;
    };
    for init in peers.all() {
        let trace = std::env::temp_dir().join(format!("tinysvc-bench-trace-{}", std::process::id()));
        let inner = init.command(&peers.nothing, [""; 0]);
        let mut command = Command::new(&strace);
        command.args(["-f", "-qq", "-o"]).arg(&trace).args(["unshare", "--pid", "--fork", "--"]);
        command.arg(inner.get_program()).args(inner.get_args());
        clean(&mut command);
        let _ = command.status();
        let text = fs::read_to_string(&trace).unwrap_or_default();
        let _ = fs::remove_file(&trace);
        match count_calls(&text, &init.path.to_string_lossy(), &peers.nothing.to_string_lossy()) {
            Some(count) => report.row(init.name, &[("", count as f64, "calls")]),
            None => {
                report.left_out(format!("system calls of {}: the trace does not show its start", init.name))
            }
        }
    }
}

/// Lines of a trace of `strace -f -o`: "PID call(…) = result". A resumed call was counted when it began.
fn count_calls(trace: &str, init: &str, program: &str) -> Option<usize> {
    let executes = |line: &str, path: &str| line.contains(&format!("execve(\"{path}\""));
    let mut lines = trace.lines().skip_while(|line| !executes(line, init));
    lines.next()?;
    let mut count = 0;
    for line in lines {
        if executes(line, program) {
            return Some(count);
        }
        let is_call = !line.contains("resumed>") && !line.contains("+++") && !line.contains("---");
        // unshare, which waits above, makes no call of its own meanwhile.
        count += usize::from(is_call);
    }
    None
}
