//! What it costs while the program runs: memory, wake-ups, orphans, signals.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::peers::{OneCpu, Peers, Running, children, memory, micros, ran, wait_for};
use crate::report::{Report, median};

/// Lets each init sleep above a program that sleeps, all at the same time, and looks how often it was put on a CPU:
/// whoever was never put on one made no system call. Memory is read one after the other before that, since pages that
/// two share are halved.
pub fn idle(peers: &Peers, report: &mut Report) {
    let secs: u64 = std::env::var("BENCH_IDLE_SECS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    report.title("idle", &format!("one child that sleeps: memory, then {secs} s of nothing"));
    let start = |init: &crate::peers::Init| {
        let running = peers.start_as_pid_1(&mut init.command(&peers.demo, ["sleep", "3600"]));
        running.child();
        settle(running.pid());
        running
    };
    let mut weights = Vec::new();
    for init in peers.alike() {
        let running = start(&init);
        let pid = running.pid();
        weights.push((init.name, memory(pid, "Pss"), memory(pid, "Private_Dirty"), memory(pid, "Rss")));
    }
    let all: Vec<Running> = peers.alike().iter().map(start).collect();
    let before: Vec<(f64, f64)> = all.iter().map(|running| ran(running.pid())).collect();
    std::thread::sleep(Duration::from_secs(secs));
    for ((running, before), (name, pss, dirty, rss)) in all.iter().zip(before).zip(&weights) {
        let after = ran(running.pid());
        let wakes = after.1 - before.1;
        report.row(
            name,
            &[("PSS", *pss, "kB"), ("dirty", *dirty, "kB"), ("RSS", *rss, "kB"), ("wake-ups", wakes, "")],
        );
        if *name == "tinysvc" {
            let what = format!("system calls in {secs} idle seconds (times on a CPU)");
            report.at_most_number(&what, wakes, 0.0, "");
        }
    }
    let pss = |name: &str| weights.iter().find(|(n, ..)| *n == name).map(|(_, pss, ..)| *pss);
    match pss("tinysvc").zip(pss("tini-static")) {
        Some((ours, theirs)) => report.at_most("idle PSS, health off", ours, 0.75, "tini-static's", theirs),
        None => report.left_out("the aim for idle memory: no tini-static"),
    }
}

/// Waits until a process has not run for 50 ms.
fn settle(pid: i32) {
    let mut last = ran(pid);
    let mut since = Instant::now();
    wait_for("rest", || {
        let now = ran(pid);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() > Duration::from_millis(50)).then_some(())
    });
}

/// Lets many orphans end at once below each init, in turns: CPU time of the init for each, and how fast they go.
/// Only the time of the init itself counts; what the kernel does to end a process is the process's own.
pub fn orphans(peers: &Peers, report: &mut Report) {
    const ORPHANS: usize = 2_000;
    const ROUNDS: usize = 7;
    report
        .title("orphans", &format!("{ORPHANS} that end at once, {ROUNDS} turns: CPU of the init, and rate"));
    let inits = peers.alike();
    let mut cpu = vec![Vec::new(); inits.len()];
    let mut rate = vec![Vec::new(); inits.len()];
    for _ in 0..ROUNDS {
        for (i, init) in inits.iter().enumerate() {
            let mut command = init.command(&peers.demo, ["orphans", &ORPHANS.to_string(), "hang"]);
            let mut running = peers.start_as_pid_1(command.stdout(Stdio::piped()));
            let mut lines = BufReader::new(running.0.stdout.take().expect("a pipe"));
            let pid = running.pid();
            await_line(&mut lines, "orphans wait");
            let (before, begin) = (ran(pid), Instant::now());
            await_line(&mut lines, "orphans end");
            wait_for("the last orphan", || (children(pid).len() <= 1).then_some(()));
            let seconds = begin.elapsed().as_secs_f64();
            settle(pid);
            if let Some(cpu) = cpu.get_mut(i) {
                cpu.push((ran(pid).0 - before.0) / ORPHANS as f64);
            }
            if let Some(rate) = rate.get_mut(i) {
                rate.push(ORPHANS as f64 / seconds);
            }
        }
    }
    let mut costs = Vec::new();
    for ((init, cpu), rate) in inits.iter().zip(&mut cpu).zip(&mut rate) {
        let cost = median(cpu);
        report.row(init.name, &[("CPU", cost, "us each"), ("rate", median(rate), "a second")]);
        costs.push((init.name, cost));
    }
    let cost = |name: &str| costs.iter().find(|(n, _)| *n == name).map(|(_, cost)| *cost);
    match cost("tinysvc").zip(cost("tini-static")) {
        Some((ours, theirs)) => report.at_most("CPU per reaped orphan", ours, 1.0, "tini-static's", theirs),
        None => report.left_out("the aim for orphans: no tini-static"),
    }
}

fn await_line(lines: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        let n = lines.read_line(&mut line).expect("a line");
        assert!(n > 0, "the program ended before it said '{text}'");
    }
}

/// Sends SIGUSR1 to each init in turns and waits for the byte by which the program answers: the whole way there and
/// back. Sent to the program itself it is the floor. The CPU time is that of the init alone.
pub fn signal(peers: &Peers, report: &mut Report) {
    const ROUNDS: usize = 3_000;
    report.title("signal", "SIGUSR1 through the init until the program has answered, all on one CPU; median");
    let _one = OneCpu::begin();
    let inits = peers.alike();
    let mut stages = Vec::new();
    for init in &inits {
        let mut command = init.command(&peers.demo, ["answer", "USR1"]);
        let mut running = peers.start_as_pid_1(command.stdout(Stdio::piped()));
        let mut answers = running.0.stdout.take().expect("a pipe");
        let mut byte = [0];
        answers.read_exact(&mut byte).expect("the program is up");
        stages.push((running, answers, Vec::with_capacity(ROUNDS)));
    }
    let mut direct = Vec::with_capacity(ROUNDS);
    let before: Vec<f64> = stages.iter().map(|(running, ..)| ran(running.pid()).0).collect();
    let ask = |to: i32, answers: &mut dyn Read| {
        let begin = Instant::now();
        kill(Pid::from_raw(to), Signal::SIGUSR1).expect("kill");
        let mut byte = [0];
        answers.read_exact(&mut byte).expect("an answer");
        micros(begin.elapsed())
    };
    for _ in 0..ROUNDS {
        for (running, answers, taken) in &mut stages {
            taken.push(ask(running.pid(), answers));
        }
    }
    let cpu: Vec<f64> = stages.iter().zip(&before).map(|((r, ..), before)| ran(r.pid()).0 - before).collect();
    if let Some((running, answers, _)) = stages.first_mut() {
        let child = running.child();
        for _ in 0..ROUNDS {
            direct.push(ask(child, answers));
        }
    }
    report.row("no init", &[("", median(&mut direct), "us")]);
    let mut of = Vec::new();
    for ((init, (_, _, taken)), cpu) in inits.iter().zip(&mut stages).zip(cpu) {
        let taken = median(taken);
        report.row(init.name, &[("", taken, "us"), ("CPU", cpu / ROUNDS as f64, "us")]);
        of.push((init.name, taken));
    }
    let taken = |name: &str| of.iter().find(|(n, _)| *n == name).map(|(_, taken)| *taken);
    match taken("tinysvc").zip(taken("tini")) {
        Some((ours, theirs)) => report.at_most("signal latency", ours, 1.0, "tini's", theirs),
        None => report.left_out("the aim for signals: no tini"),
    }
}
