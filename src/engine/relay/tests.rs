//! What the small inits do, as tables.
#![forbid(unsafe_code)]

use super::*;

const PID: i32 = 7;
const CHILD: i32 = 8;

/// The orders of a fact, in words: `out TEXT`, `err TEXT`, `child 15`, `group 15`, `reap`, `stop`, `exit 3`.
fn step(relay: &mut Relay, fact: Fact<'_>) -> Vec<String> {
    let mut orders = Vec::new();
    relay.step(fact, &mut orders);
    let word = |order| match order {
        Order::Say(Stream::Out, text) => format!("out {text}"),
        Order::Say(Stream::Err, text) => format!("err {text}"),
        Order::Signal(Whom::Child, signal) => format!("child {}", signal.number()),
        Order::Signal(Whom::Group, signal) => format!("group {}", signal.number()),
        Order::Reap => "reap".to_owned(),
        Order::StopSelf => "stop".to_owned(),
        Order::Exit(status) => format!("exit {status}"),
    };
    orders.into_iter().map(word).collect()
}

fn tini(change: impl FnOnce(&mut Tini)) -> Relay {
    let mut tini = Tini::default();
    change(&mut tini);
    begun(Relay::Tini(tini))
}

fn dumb_init(change: impl FnOnce(&mut DumbInit)) -> Relay {
    let mut dumb_init = DumbInit::default();
    change(&mut dumb_init);
    begun(Relay::DumbInit(dumb_init))
}

fn catatonit(change: impl FnOnce(&mut Catatonit)) -> Relay {
    let mut catatonit = Catatonit::default();
    change(&mut catatonit);
    begun(Relay::Catatonit(catatonit))
}

fn begun(mut relay: Relay) -> Relay {
    step(&mut relay, Fact::Begun { pid: PID, reaper: true, refused: false });
    relay
}

fn signal(number: i32) -> Fact<'static> {
    Fact::Signal(Signal::new(number).unwrap())
}

fn undelivered(errno: i32) -> Fact<'static> {
    Fact::Undelivered { signal: Signal::USR1, target: CHILD, errno }
}

fn main_ended(exit: Exit) -> Fact<'static> {
    Fact::Reaped { pid: CHILD, main: true, exit }
}

#[test]
fn a_signal_finds_its_way() {
    let rewritten = |to| dumb_init(move |d| d.rewrite[20] = Some(to));
    let table: Vec<(&str, Relay, i32, &[&str])> = vec![
        ("tini: to the child", tini(|_| ()), 10, &["child 10"]),
        ("tini: to the group", tini(|t| t.group = true), 10, &["group 10"]),
        ("tini: a real-time one", tini(|_| ()), 64, &["child 64"]),
        ("tini: Ctrl-Z goes on", tini(|_| ()), 20, &["child 20"]),
        ("tini: a terminal's stop does not", tini(|_| ()), 21, &[]),
        ("tini: nor for writing", tini(|_| ()), 22, &[]),
        ("tini: a child ended", tini(|_| ()), 17, &["reap"]),
        (
            "tini: at length",
            tini(|t| t.verbosity = 3),
            15,
            &["out [DEBUG tini (7)] Passing signal: 'Terminated'", "child 15"],
        ),
        (
            "tini: at full length it looks for zombies too",
            tini(|t| t.verbosity = 4),
            35,
            &["out [DEBUG tini (7)] Passing signal: 'Real-time signal 1'", "child 35", "reap"],
        ),
        ("dumb-init: to the group", dumb_init(|_| ()), 10, &["group 10"]),
        ("dumb-init: to the child", dumb_init(|d| d.single_child = true), 10, &["child 10"]),
        ("dumb-init: even a fault", dumb_init(|_| ()), 11, &["group 11"]),
        ("dumb-init: a real-time one", dumb_init(|_| ()), 64, &["group 64"]),
        ("dumb-init: Ctrl-Z stops all", dumb_init(|_| ()), 20, &["group 19", "stop"]),
        ("dumb-init: so does reading", dumb_init(|_| ()), 21, &["group 19", "stop"]),
        ("dumb-init: so does writing", dumb_init(|_| ()), 22, &["group 19", "stop"]),
        ("dumb-init: or as it came", dumb_init(|d| d.single_child = true), 20, &["child 20", "stop"]),
        ("dumb-init: or as it is told", rewritten(10), 20, &["group 10", "stop"]),
        ("dumb-init: or not at all", rewritten(0), 20, &["stop"]),
        ("dumb-init: a child ended", dumb_init(|d| d.rewrite[17] = Some(10)), 17, &["reap"]),
        ("catatonit: to the child", catatonit(|_| ()), 10, &["child 10"]),
        ("catatonit: to the group", catatonit(|c| c.group = true), 10, &["group 10"]),
        ("catatonit: no Ctrl-Z", catatonit(|_| ()), 20, &[]),
        ("catatonit: a child ended", catatonit(|_| ()), 17, &["reap"]),
        ("catatonit: a pause ends", catatonit(|c| c.pause = true), 2, &["exit 0"]),
        ("catatonit: and so", catatonit(|c| c.pause = true), 15, &["exit 0"]),
        ("catatonit: and not so", catatonit(|c| c.pause = true), 1, &[]),
        ("catatonit: a pause reaps", catatonit(|c| c.pause = true), 17, &["reap"]),
    ];
    for (why, mut relay, number, then) in table {
        assert_eq!(step(&mut relay, signal(number)), then, "{why}");
    }
}

#[test]
fn a_signal_that_does_not_arrive() {
    const ESRCH: i32 = 3;
    const EPERM: i32 = 1;
    let table: Vec<(&str, Relay, i32, &[&str])> = vec![
        (
            "tini: a dead child is a warning",
            tini(|_| ()),
            ESRCH,
            &["err [WARN  tini (7)] Child was dead when forwarding signal"],
        ),
        ("tini: which can be off", tini(|t| t.verbosity = 0), ESRCH, &[]),
        (
            "tini: anything else is its end",
            tini(|t| t.verbosity = 0),
            EPERM,
            &[
                "err [FATAL tini (7)] Unexpected error when forwarding signal: 'Operation not permitted'",
                "exit 1",
            ],
        ),
        ("dumb-init: nothing", dumb_init(|d| d.verbose = true), EPERM, &[]),
        ("catatonit: nothing is said", catatonit(|_| ()), EPERM, &[]),
        (
            "catatonit: unless asked",
            catatonit(|c| c.debug = true),
            EPERM,
            &["err WARN (catatonit:7): forwarding of signal 10 to pid1 (8) failed: Operation not permitted"],
        ),
    ];
    for (why, mut relay, errno, then) in table {
        assert_eq!(step(&mut relay, undelivered(errno)), then, "{why}");
    }
}

#[test]
fn the_end_of_the_child_is_the_end() {
    let killed = Exit::Killed(Signal::TERM);
    let mapped = |status| tini(move |t| t.map_to_zero(status));
    // The orders when the child is reaped, and those when nothing else is.
    let table: Vec<(&str, Relay, Exit, &[&str], &[&str])> = vec![
        ("tini", tini(|_| ()), Exit::Exited(3), &[], &["exit 3"]),
        ("tini: killed", tini(|_| ()), killed, &[], &["exit 143"]),
        ("tini: with a core", tini(|_| ()), Exit::Dumped(Signal::SEGV), &[], &["exit 139"]),
        ("tini: mapped", mapped(3), Exit::Exited(3), &[], &["exit 0"]),
        ("tini: the last one mapped", mapped(255), Exit::Exited(255), &[], &["exit 0"]),
        ("tini: another mapped", mapped(4), Exit::Exited(3), &[], &["exit 3"]),
        ("tini: a signal mapped", mapped(143), killed, &[], &["exit 0"]),
        ("dumb-init", dumb_init(|_| ()), Exit::Exited(3), &["group 15", "exit 3"], &[]),
        ("dumb-init: nobody to tell", dumb_init(|d| d.single_child = true), killed, &["exit 143"], &[]),
        (
            "dumb-init: told otherwise",
            dumb_init(|d| d.rewrite[15] = Some(2)),
            killed,
            &["group 2", "exit 143"],
            &[],
        ),
        ("dumb-init: not told", dumb_init(|d| d.rewrite[15] = Some(0)), killed, &["exit 143"], &[]),
        ("catatonit", catatonit(|_| ()), Exit::Exited(3), &[], &["exit 3"]),
        ("catatonit: killed", catatonit(|_| ()), killed, &[], &["exit 143"]),
    ];
    for (why, mut relay, exit, first, last) in table {
        assert_eq!(step(&mut relay, main_ended(exit)), first, "{why}");
        assert_eq!(step(&mut relay, Fact::Emptied { none_left: true }), last, "{why}");
    }
}

#[test]
fn an_orphan_is_no_end() {
    let orphan = Fact::Reaped { pid: 9, main: false, exit: Exit::Exited(3) };
    let table: Vec<(&str, Relay, &[&str])> = vec![
        ("tini", tini(|_| ()), &[]),
        (
            "tini -w",
            tini(|t| t.warn_on_reap = true),
            &["err [WARN  tini (7)] Reaped zombie process with pid=9"],
        ),
        (
            "dumb-init -v",
            dumb_init(|d| d.verbose = true),
            &["err [dumb-init] A child with PID 9 exited with exit status 3."],
        ),
        (
            "catatonit",
            catatonit(|c| c.debug = true),
            &["err DEBUG (catatonit:7): child process 9 exited with code 3"],
        ),
    ];
    for (why, mut relay, then) in table {
        assert_eq!(step(&mut relay, orphan), then, "{why}");
        let rest = step(&mut relay, Fact::Emptied { none_left: false });
        assert!(rest.is_empty(), "{why}: {rest:?}");
    }
}

#[test]
fn dumb_init_swallows_one_of_each_at_the_hand_over() {
    let mut relay = dumb_init(|_| ());
    step(&mut relay, Fact::Detached { failed: None, leader: true });
    let table: &[(&str, i32, &[&str])] = &[
        ("the kernel's CONT", 18, &[]),
        ("the kernel's HUP", 1, &[]),
        ("a second HUP is somebody's", 1, &["group 1"]),
        ("so is a second CONT", 18, &["group 18"]),
    ];
    for (why, number, then) in table {
        assert_eq!(step(&mut relay, signal(*number)), *then, "{why}");
    }
    for (why, failed, leader) in [("no terminal", Some(25), false), ("not its own session", None, false)] {
        let mut relay = dumb_init(|_| ());
        step(&mut relay, Fact::Detached { failed, leader });
        assert_eq!(step(&mut relay, signal(1)), ["group 1"], "{why}");
    }
}

#[test]
fn a_program_that_cannot_be_executed() {
    let not_executed = |errno| Fact::NotExecuted {
        pid: CHILD,
        program: "x",
        errno,
        at: Hurdle::Exec,
        terminal: Terminal::Taken,
    };
    let table: Vec<(&str, Relay, i32, &[&str])> = vec![
        (
            "tini",
            tini(|_| ()),
            2,
            &["err [FATAL tini (8)] exec x failed: No such file or directory", "exit 127"],
        ),
        ("tini", tini(|_| ()), 13, &["err [FATAL tini (8)] exec x failed: Permission denied", "exit 126"]),
        ("tini", tini(|_| ()), 8, &["err [FATAL tini (8)] exec x failed: Exec format error", "exit 1"]),
        (
            "tini, mapped",
            tini(|t| t.map_to_zero(127)),
            2,
            &["err [FATAL tini (8)] exec x failed: No such file or directory", "exit 0"],
        ),
        (
            "dumb-init",
            dumb_init(|d| d.single_child = true),
            2,
            &["err [dumb-init] x: No such file or directory", "exit 2"],
        ),
        (
            "catatonit",
            catatonit(|_| ()),
            13,
            &["err ERROR (catatonit:8): failed to exec pid1: Permission denied", "exit 1"],
        ),
    ];
    for (why, mut relay, errno, then) in table {
        assert_eq!(step(&mut relay, not_executed(errno)), then, "{why}");
    }
}

#[test]
fn the_childs_signals() {
    let inherited = Signals { mask: bit(10) | bit(32), default: 0, ignore: bit(17) | bit(40) };
    let table = [
        ("tini: as they were", tini(|_| ()), inherited),
        (
            "dumb-init: none blocked but glibc's own, none ignored but real-time ones",
            dumb_init(|_| ()),
            Signals { mask: bit(32), default: 0x7fff_ffff & !bit(9) & !bit(19), ignore: bit(40) },
        ),
        (
            "catatonit: three more blocked",
            catatonit(|_| ()),
            Signals { mask: inherited.mask | STOPS, ..inherited },
        ),
    ];
    for (why, relay, then) in table {
        assert_eq!(relay.child_signals(inherited), then, "{why}");
    }
}
