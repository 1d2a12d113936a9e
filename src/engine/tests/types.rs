//! One unit of a manager: every type, and what becomes of it. The stories are those of the recorded cases, in fewer steps.
//!
//! Beside what the parent shows: `check#1` asks for the conditions, `guess#2`, `pid-file#2` and `pid77#2` look for a
//! main process, and `1:ok` or `1:no` answers client 1.
#![forbid(unsafe_code)]

use super::*;
use crate::unit::spec::{Condition, ExitType, FailureMode, RestartMode};

const START: Event = ask(1, Verb::Start);
const STOP: Event = ask(2, Verb::Stop);
const RELOAD: Event = ask(3, Verb::Reload);
const RESTART: Event = ask(4, Verb::Restart);

pub(super) const fn ask(client: u64, verb: Verb) -> Event {
    Event::Request { client: Client(client), verb, unit: UNIT, no_block: false }
}

const fn found(run: u64) -> Event {
    Event::MainFound { run: Run(run), alien: false }
}

fn missing(run: u64, empty: bool) -> Event {
    Event::MainNotFound { run: Run(run), reason: "it is not there".into(), empty }
}

/// Tells a story to a manager of one unit.
fn manage(why: &str, spec: Spec, steps: &[Step]) -> Engine {
    let mut engine = Engine::manager();
    engine.add(Role::Managed, spec);
    let mut boot = Vec::new();
    engine.step(Mono(0), BOOT, &mut boot);
    assert_eq!(words(&boot), "READY=1 ", "{why}");
    for (ms, event, expected) in steps {
        let mut actions = Vec::new();
        engine.step(Mono(ms * 1000), event.clone(), &mut actions);
        assert_eq!(seen(&engine, &actions), *expected, "{why}: at {ms} ms, {event:?}");
    }
    engine
}

fn kind(kind: Type) -> Spec {
    unit(|s| s.service.kind = kind)
}

fn with(mut spec: Spec, change: impl FnOnce(&mut Spec)) -> Spec {
    change(&mut spec);
    spec
}

#[test]
fn a_oneshot_runs_line_by_line() {
    let oneshot = |lines_of_start| {
        with(kind(Type::Oneshot), |s| {
            lines(s, ExecKind::Start, lines_of_start);
            lines(s, ExecKind::StopPost, 1);
        })
    };
    let table: [(&str, Spec, Vec<Step>); 8] = [
        (
            "start waits for its end, and then it is down",
            oneshot(1),
            vec![
                (0, START, "start#1 | start"),
                (0, spawned(1), "| start"),
                (70, exited(1, 0), "TERM>rest CONT>rest | stop-sigterm @160"),
                (70, EMPTY, "stop-post#2 | stop-post @160"),
                (71, exited(2, 0), "TERM>rest CONT>rest | final-sigterm @161"),
                (71, EMPTY, "1:ok | dead"),
            ],
        ),
        (
            "a line follows a line, and a failure ends the row",
            oneshot(3),
            vec![
                (0, START, "start#1 | start"),
                (1, exited(1, 0), "start.1#2 | start"),
                (2, exited(2, 2), "TERM>rest CONT>rest | stop-sigterm exit-code @92"),
                (2, EMPTY, "stop-post#3 | stop-post exit-code @92"),
                (3, exited(3, 0), "TERM>rest CONT>rest | final-sigterm exit-code @93"),
                (3, EMPTY, "1:no | failed exit-code"),
            ],
        ),
        (
            "a forgiven failure is none",
            with(oneshot(2), |s| {
                s.service.commands.insert(ExecKind::Start, vec![command(true); 2]).map_or((), drop)
            }),
            vec![
                (0, START, "start#1 | start"),
                (1, exited(1, 2), "start.1#2 | start"),
                (2, setup(2, status::EXEC, 2), "TERM>rest CONT>rest | stop-sigterm @92"),
            ],
        ),
        (
            "a signal is no clean end of a command",
            oneshot(2),
            vec![
                (0, START, "start#1 | start"),
                (1, killed(1, TERM), "TERM>rest CONT>rest | stop-sigterm signal @91"),
            ],
        ),
        (
            "what is being stopped does not go on",
            oneshot(2),
            vec![
                (0, START, "start#1 | start"),
                (1, STOP, "1:no TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm @91"),
                (2, exited(1, 0), "stop-post#2 | stop-post @92"),
            ],
        ),
        (
            "RemainAfterExit keeps it up, a second start does nothing, a stop runs ExecStop",
            with(kind(Type::Oneshot), |s| {
                s.service.remain_after_exit = true;
                lines(s, ExecKind::Stop, 1);
            }),
            vec![
                (0, START, "start#1 | start"),
                (1, exited(1, 0), "1:ok | exited"),
                (2, START, "1:ok | exited"),
                (3, STOP, "stop#2 | stop @93"),
                (4, exited(2, 0), "TERM>rest CONT>rest | stop-sigterm @94"),
                (4, EMPTY, "2:ok | dead"),
            ],
        ),
        (
            "with nothing to start it is up at once",
            with(unit(|s| s.service.remain_after_exit = true), |s| {
                s.service.commands.clear();
                lines(s, ExecKind::Stop, 1);
            }),
            vec![(0, START, "1:ok | exited"), (1, STOP, "stop#1 | stop @91")],
        ),
        (
            "it has no time-out but the one that is given",
            with(kind(Type::Oneshot), |s| s.service.timeout_start_given = true),
            vec![
                (0, START, "start#1 | start @90"),
                (90, TICK, "TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm timeout @180"),
                (91, killed(1, TERM), "TERM>rest CONT>rest | final-sigterm timeout @181"),
                (91, EMPTY, "1:no | failed timeout"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        manage(why, spec, &steps);
    }
}

#[test]
fn a_forking_service_leaves_its_main_process_behind() {
    let with_file = || with(kind(Type::Forking), |s| s.service.pid_file = Some("/run/t.pid".into()));
    let table: [(&str, Spec, Vec<Step>); 10] = [
        (
            "the one that is left is the main process",
            kind(Type::Forking),
            vec![
                (0, START, "start#1 | start @90"),
                (1, spawned(1), "| start @90"),
                (2, exited(1, 0), "guess#2 | start @90"),
                (2, found(2), "1:ok | running"),
                (9, exited(2, 0), "TERM>rest CONT>rest | stop-sigterm @99"),
            ],
        ),
        (
            "with two left there is none, and the last one's end is the service's, however it ends",
            kind(Type::Forking),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 0), "guess#2 | start @90"),
                (2, missing(2, false), "1:ok | running"),
                (9, EMPTY, "| dead"),
            ],
        ),
        (
            "nobody looks if nobody is to guess",
            with(kind(Type::Forking), |s| s.service.guess_main_pid = false),
            vec![(0, START, "start#1 | start @90"), (2, exited(1, 0), "1:ok | running")],
        ),
        (
            "nobody is left",
            kind(Type::Forking),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 0), "guess#2 | start @90"),
                (2, missing(2, true), "1:ok | dead"),
            ],
        ),
        (
            "what starts it fails",
            kind(Type::Forking),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 1), "TERM>rest CONT>rest | stop-sigterm exit-code @92"),
                (2, EMPTY, "1:no | failed exit-code"),
            ],
        ),
        (
            "the file tells",
            with_file(),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 0), "pid-file#2 | start @90"),
                (2, found(2), "1:ok | running"),
                (3, STOP, "TERM>2 CONT>2 TERM>rest CONT>rest | stop-sigterm @93"),
                (4, exited(2, 0), "TERM>rest CONT>rest | final-sigterm @94"),
                (4, EMPTY, "2:ok | dead"),
            ],
        ),
        (
            "the file comes late",
            with_file(),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 0), "pid-file#2 | start @90"),
                (2, missing(2, false), "| start @52"),
                (52, TICK, "pid-file#3 | start @90"),
                (53, found(3), "1:ok | running"),
            ],
        ),
        (
            "the file does not come, and that the daemon has died meanwhile is not noticed",
            with_file(),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 0), "pid-file#2 | start @90"),
                (2, missing(2, false), "| start @52"),
                (52, TICK, "pid-file#3 | start @90"),
                (53, missing(3, true), "| start @90"),
                (90, TICK, "TERM>rest CONT>rest | stop-sigterm timeout @180"),
                (90, EMPTY, "1:no | failed timeout"),
            ],
        ),
        (
            "nobody is left to write the file",
            with_file(),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 0), "pid-file#2 | start @90"),
                (2, missing(2, true), "TERM>rest CONT>rest | stop-sigterm protocol @92"),
            ],
        ),
        (
            "ExecStartPost may be what writes the file",
            with(with_file(), |s| lines(s, ExecKind::StartPost, 1)),
            vec![
                (0, START, "start#1 | start @90"),
                (2, exited(1, 0), "pid-file#2 | start @90"),
                (2, missing(2, false), "start-post#3 | start-post @92"),
                (3, exited(3, 0), "pid-file#4 | start-post @92"),
                (3, found(4), "1:ok | running"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        manage(why, spec, &steps);
    }
}

#[test]
fn notify_reload_reloads_by_signal_and_says_when() {
    let spec = || with(kind(Type::NotifyReload), |s| s.service.reload_signal = Signal::USR1);
    let up = |more: Vec<Step>| {
        let mut steps: Vec<Step> =
            vec![(0, START, "start#1 | start @90"), (1, says(1, "READY=1"), "1:ok | running")];
        steps.extend(more);
        steps
    };
    let table: [(&str, Spec, Vec<Step>); 6] = [
        (
            "from RELOADING=1 to READY=1",
            spec(),
            up(vec![
                (2, RELOAD, "USR1>1 CONT>1 | reload-signal @92"),
                (3, says(1, "RELOADING=1\nMONOTONIC_USEC=2500"), "| reload-notify @92"),
                (9, says(1, "READY=1"), "3:ok | running"),
            ]),
        ),
        (
            "one that began before it was asked for does not count",
            spec(),
            up(vec![
                (2, RELOAD, "USR1>1 CONT>1 | reload-signal @92"),
                (3, says(1, "RELOADING=1\nMONOTONIC_USEC=1999"), "| reload-signal @92"),
                (4, says(1, "RELOADING=1"), "| reload-signal @92"),
                (5, says(1, "RELOADING=1\nREADY=1\nMONOTONIC_USEC=2000"), "3:ok | running"),
            ]),
        ),
        (
            "without an answer the reload fails and the service goes on",
            spec(),
            up(vec![
                (2, RELOAD, "USR1>1 CONT>1 | reload-signal @92"),
                (92, TICK, "3:no | running"),
                (93, RELOAD, "USR1>1 CONT>1 | reload-signal @183"),
            ]),
        ),
        (
            "ExecReload= comes with it",
            with(spec(), |s| lines(s, ExecKind::Reload, 1)),
            up(vec![
                (2, RELOAD, "USR1>1 CONT>1 reload#2 | reload @92"),
                (3, says(1, "RELOADING=1\nMONOTONIC_USEC=2500"), "| reload @92"),
                (4, exited(2, 0), "| reload-notify @94"),
                (5, says(1, "READY=1"), "3:ok | running"),
            ]),
        ),
        (
            "a stop cuts it short",
            spec(),
            up(vec![
                (2, RELOAD, "USR1>1 CONT>1 | reload-signal @92"),
                (3, STOP, "3:no TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm @93"),
            ]),
        ),
        (
            "its main process dies of it",
            spec(),
            up(vec![
                (2, RELOAD, "USR1>1 CONT>1 | reload-signal @92"),
                (3, killed(1, Signal::USR1), "TERM>rest CONT>rest | stop-sigterm signal @93"),
                (3, EMPTY, "3:no | failed signal"),
            ]),
        ),
    ];
    for (why, spec, steps) in table {
        manage(why, spec, &steps);
    }
}

#[test]
fn exec_reload_is_a_job() {
    let spec = || unit(|s| lines(s, ExecKind::Reload, 2));
    let up = |more: Vec<Step>| {
        let mut steps: Vec<Step> = vec![(0, START, "start#1 | start"), (0, spawned(1), "1:ok | running")];
        steps.extend(more);
        steps
    };
    let table: [(&str, Spec, Vec<Step>); 6] = [
        (
            "line by line",
            spec(),
            up(vec![
                (1, RELOAD, "reload#2 | reload @91"),
                (2, exited(2, 0), "reload.1#3 | reload @92"),
                (3, exited(3, 0), "3:ok | running"),
            ]),
        ),
        (
            "a failure is the verb's alone",
            spec(),
            up(vec![(1, RELOAD, "reload#2 | reload @91"), (2, exited(2, 1), "3:no | running")]),
        ),
        (
            "one that hangs is killed at once",
            spec(),
            up(vec![(1, RELOAD, "reload#2 | reload @91"), (91, TICK, "KILL>2 3:no | running")]),
        ),
        (
            "if the main process dies meanwhile, the end waits for it",
            spec(),
            up(vec![
                (1, RELOAD, "reload#2 | reload @91"),
                (2, exited(1, 1), "| reload exit-code @91"),
                (3, exited(2, 0), "reload.1#3 | reload exit-code @93"),
                (4, exited(3, 0), "TERM>rest CONT>rest | stop-sigterm exit-code @94"),
                (4, EMPTY, "3:no | failed exit-code"),
            ]),
        ),
        ("no way to reload", unit(|_| {}), up(vec![(1, RELOAD, "3:no | running")])),
        ("nothing to reload", spec(), vec![(1, RELOAD, "3:no | dead")]),
    ];
    for (why, spec, steps) in table {
        manage(why, spec, &steps);
    }
}

#[test]
fn an_exec_condition_skips_or_fails() {
    let spec = || {
        unit(|s| {
            lines(s, ExecKind::Condition, 2);
            s.service.restart = Restart::Always;
        })
    };
    let table: [(&str, Vec<Step>, [&str; 2]); 4] = [
        (
            "all say yes",
            vec![
                (0, START, "condition#1 | condition @90"),
                (1, exited(1, 0), "condition.1#2 | condition @91"),
                (2, exited(2, 0), "start#3 | start"),
            ],
            ["success", "yes"],
        ),
        (
            "one says no: skipped, in order, and not restarted",
            vec![
                (0, START, "condition#1 | condition @90"),
                (1, exited(1, 254), "TERM>rest CONT>rest | stop-sigterm exec-condition @91"),
                (1, EMPTY, "1:ok | dead exec-condition"),
            ],
            ["exec-condition", "no"],
        ),
        (
            "255 is a failure",
            vec![
                (0, START, "condition#1 | condition @90"),
                (1, exited(1, 255), "TERM>rest CONT>rest | stop-sigterm exit-code @91"),
                (1, EMPTY, "1:no | auto-restart exit-code @101"),
            ],
            ["exit-code", "yes"],
        ),
        (
            "so is a signal",
            vec![
                (0, START, "condition#1 | condition @90"),
                (1, killed(1, TERM), "TERM>rest CONT>rest | stop-sigterm signal @91"),
            ],
            ["signal", "yes"],
        ),
    ];
    for (why, steps, [result, condition]) in table {
        let engine = manage(why, spec(), &steps);
        let service = engine.service(UNIT).unwrap();
        assert_eq!(service.property("Result").unwrap(), result, "{why}");
        assert_eq!(service.property("ConditionResult").unwrap(), condition, "{why}");
    }
}

#[test]
fn conditions_and_asserts_are_asked_for_first() {
    let spec = || {
        unit(|s| {
            let (kind, argument) = ("PathExists", "/x".to_owned());
            s.unit.conditions =
                vec![Condition { assert: false, kind, trigger: false, negate: false, argument }];
            s.service.restart = Restart::OnFailure;
        })
    };
    let answer = |met, assert_failed| Event::Conditions { run: Run(1), met, assert_failed };
    let table: [(&str, Vec<Step>, [&str; 2]); 5] = [
        (
            "both are met",
            vec![(0, START, "check#1 | dead"), (0, answer(true, false), "start#2 | start")],
            ["yes", "yes"],
        ),
        (
            "a condition is not, and that is in order",
            vec![(0, START, "check#1 | dead"), (0, answer(false, false), "1:ok | dead")],
            ["no", "no"],
        ),
        (
            "an assert is not, and the start fails, but not the unit",
            vec![(0, START, "check#1 | dead"), (0, answer(true, true), "1:no | dead")],
            ["yes", "no"],
        ),
        (
            "a stop calls the start off",
            vec![
                (0, START, "check#1 | dead"),
                (0, STOP, "1:no 2:ok | dead"),
                (0, answer(true, false), "| dead"),
            ],
            ["no", "no"],
        ),
        (
            "an automatic restart does not ask again",
            vec![
                (0, START, "check#1 | dead"),
                (0, answer(true, false), "start#2 | start"),
                (0, spawned(2), "1:ok | running"),
                (1, exited(2, 1), "TERM>rest CONT>rest | stop-sigterm exit-code @91"),
                (1, EMPTY, "| auto-restart exit-code @101"),
                (101, TICK, "start#3 | start"),
            ],
            ["yes", "yes"],
        ),
    ];
    for (why, steps, [condition, assert]) in table {
        let engine = manage(why, spec(), &steps);
        let service = engine.service(UNIT).unwrap();
        assert_eq!(service.property("ConditionResult").unwrap(), condition, "{why}");
        assert_eq!(service.property("AssertResult").unwrap(), assert, "{why}");
    }
}

#[test]
fn another_process_takes_over() {
    let spec = || with(kind(Type::Notify), |s| s.service.notify_access = Some(NotifyAccess::All));
    let up = |more: Vec<Step>| {
        let mut steps: Vec<Step> = vec![
            (0, START, "start#1 | start @90"),
            (1, other_says("MAINPID=77\nREADY=1"), "pid77#2 1:ok | running"),
        ];
        steps.extend(more);
        steps
    };
    let table: [(&str, Spec, Vec<Step>); 7] = [
        (
            "the old one may go, the new one's end is the service's",
            spec(),
            up(vec![
                (1, found(2), "| running"),
                (2, exited(1, 0), "| running"),
                (3, exited(2, 0), "TERM>rest CONT>rest | stop-sigterm @93"),
            ]),
        ),
        (
            "the old one goes before the new one is found",
            spec(),
            up(vec![
                (1, exited(1, 0), "| running"),
                (2, found(2), "| running"),
                (3, STOP, "TERM>2 CONT>2 TERM>rest CONT>rest | stop-sigterm @93"),
            ]),
        ),
        (
            "the old one goes, and there is no new one",
            spec(),
            up(vec![
                (1, exited(1, 3), "| running"),
                (2, missing(2, false), "TERM>rest CONT>rest | stop-sigterm exit-code @92"),
            ]),
        ),
        (
            "there is no new one, and the old one stays",
            spec(),
            up(vec![
                (1, missing(2, false), "| running"),
                (2, exited(1, 0), "TERM>rest CONT>rest | stop-sigterm @92"),
            ]),
        ),
        (
            "one that is nobody's child gets no time",
            with(spec(), |s| lines(s, ExecKind::StopPost, 1)),
            up(vec![
                (1, Event::MainFound { run: Run(2), alien: true }, "| running"),
                (3, STOP, "TERM>2 CONT>2 TERM>rest CONT>rest KILL>2 KILL>rest stop-post#3 | stop-post @93"),
                (4, exited(3, 0), "TERM>2 CONT>2 TERM>rest CONT>rest KILL>2 KILL>rest 2:ok | dead"),
            ]),
        ),
        (
            "who may not speak may not hand over either",
            kind(Type::Notify),
            vec![(0, START, "start#1 | start @90"), (1, other_says("MAINPID=77"), "| start @90")],
        ),
        (
            "NOTIFYACCESS= lets others speak",
            kind(Type::Notify),
            vec![
                (0, START, "start#1 | start @90"),
                (1, says(1, "NOTIFYACCESS=all"), "| start @90"),
                (2, other_says("READY=1"), "1:ok | running"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        manage(why, spec, &steps);
    }
}

#[test]
fn exit_type_and_remain_after_exit() {
    let by_all = |s: &mut Spec| s.service.exit_type = ExitType::Cgroup;
    let table: [(&str, Spec, Vec<Step>); 5] = [
        (
            "ExitType=cgroup: up until the last one ends",
            unit(by_all),
            vec![
                (0, START, "start#1 | start"),
                (0, spawned(1), "1:ok | running"),
                (3, exited(1, 0), "| running"),
                (9, EMPTY, "| dead"),
            ],
        ),
        (
            "ExitType=cgroup: a stop waits for all of it",
            with(unit(by_all), |s| s.kill.mode = KillMode::Mixed),
            vec![
                (0, START, "start#1 | start"),
                (0, spawned(1), "1:ok | running"),
                (1, STOP, "TERM>1 CONT>1 | stop-sigterm @91"),
                (2, exited(1, 0), "| stop-sigterm @91"),
                (3, EMPTY, "2:ok | dead"),
            ],
        ),
        (
            "ExitType=cgroup: a program that never ran leaves nobody",
            unit(by_all),
            vec![
                (0, START, "start#1 | start"),
                (0, setup(1, status::EXEC, 2), "TERM>rest CONT>rest 1:ok | stop-sigterm exit-code @90"),
            ],
        ),
        (
            "RemainAfterExit: a daemon that ends well is up, whatever Restart= says",
            unit(|s| {
                s.service.remain_after_exit = true;
                s.service.restart = Restart::Always;
            }),
            vec![
                (0, START, "start#1 | start"),
                (0, spawned(1), "1:ok | running"),
                (1, exited(1, 0), "| exited"),
                (2, STOP, "TERM>rest CONT>rest | stop-sigterm @92"),
            ],
        ),
        (
            "RemainAfterExit: one that fails has failed",
            unit(|s| s.service.remain_after_exit = true),
            vec![
                (0, START, "start#1 | start"),
                (0, spawned(1), "1:ok | running"),
                (1, exited(1, 1), "TERM>rest CONT>rest | stop-sigterm exit-code @91"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        manage(why, spec, &steps);
    }
}

#[test]
fn idle_and_dbus_are_nearly_simple() {
    manage(
        "who waits for an idle service waits no longer than for its first command",
        with(kind(Type::Idle), |s| lines(s, ExecKind::StartPre, 1)),
        &[(0, START, "start-pre#1 1:ok | start-pre @90"), (1, exited(1, 0), "start#2 | start")],
    );
    manage(
        "there is no bus to wait for",
        kind(Type::Dbus),
        &[(0, START, "start#1 | start"), (0, spawned(1), "1:ok | running")],
    );
}

#[test]
fn what_comes_when_it_takes_too_long() {
    let slow = |mode, stop_mode| {
        with(kind(Type::Notify), |s| {
            s.service.timeout_start_failure = mode;
            s.service.timeout_stop_failure = stop_mode;
            s.kill.mode = KillMode::Process;
        })
    };
    use FailureMode::{Abort, Kill, Terminate};
    let table: [(&str, Spec, Vec<Step>); 4] = [
        (
            "abort: the watchdog's signal, then SIGKILL",
            slow(Abort, Terminate),
            vec![
                (0, START, "start#1 | start @90"),
                (90, TICK, "ABRT>1 CONT>1 | stop-watchdog timeout @180"),
                (180, TICK, "KILL>1 | stop-sigkill timeout @270"),
                (181, killed(1, KILL), "1:no | failed timeout"),
            ],
        ),
        (
            "kill: SIGKILL at once",
            slow(Kill, Terminate),
            vec![(0, START, "start#1 | start @90"), (90, TICK, "KILL>1 | stop-sigkill timeout @180")],
        ),
        (
            "a stop that aborts",
            with(slow(Terminate, Abort), |s| lines(s, ExecKind::StopPost, 1)),
            vec![
                (0, START, "start#1 | start @90"),
                (1, STOP, "1:no TERM>1 CONT>1 | stop-sigterm @91"),
                (91, TICK, "ABRT>1 CONT>1 | stop-watchdog timeout @181"),
                (92, killed(1, Signal::ABRT), "stop-post#2 | stop-post timeout @182"),
                (182, TICK, "ABRT>2 CONT>2 | final-watchdog timeout @272"),
                (272, TICK, "KILL>2 | final-sigkill timeout @362"),
                (273, killed(2, KILL), "2:ok | failed timeout"),
            ],
        ),
        (
            "a stop that kills",
            with(slow(Terminate, Kill), |s| lines(s, ExecKind::Stop, 1)),
            vec![
                (0, START, "start#1 | start @90"),
                (0, says(1, "READY=1"), "1:ok | running"),
                (1, STOP, "stop#2 | stop @91"),
                (91, TICK, "KILL>1 KILL>2 | stop-sigkill timeout @181"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        manage(why, spec, &steps);
    }
}

#[test]
fn restarts_as_others_see_them() {
    let spec = |mode| {
        unit(|s| {
            s.service.restart = Restart::OnFailure;
            s.service.restart_mode = mode;
            s.service.kind = Type::Oneshot;
            s.kill.mode = KillMode::Process;
        })
    };
    manage(
        "the verb fails at the first failure, though the service goes on",
        spec(RestartMode::Normal),
        &[
            (0, START, "start#1 | start"),
            (1, exited(1, 1), "1:no | auto-restart exit-code @101"),
            (101, TICK, "start#2 | start"),
            (102, exited(2, 0), "| dead"),
        ],
    );
    manage(
        "with RestartMode=direct nobody hears of it",
        spec(RestartMode::Direct),
        &[
            (0, START, "start#1 | start"),
            (1, exited(1, 1), "| auto-restart exit-code @101"),
            (101, TICK, "start#2 | start"),
            (102, exited(2, 0), "1:ok | dead"),
        ],
    );
    let mut engine = manage(
        "with RestartMode=debug the service does",
        spec(RestartMode::Debug),
        &[(0, START, "start#1 | start"), (1, exited(1, 1), "1:no | auto-restart exit-code @101")],
    );
    let mut actions = Vec::new();
    engine.step(Mono(101_000), TICK, &mut actions);
    let said = actions.iter().any(|action| {
        matches!(action, Action::Spawn(spawn) if spawn.environment.contains(&("DEBUG_INVOCATION", "1".into())))
    });
    assert!(said, "{actions:?}");
}

#[test]
fn restart_kill_signal_is_for_a_stop_that_a_start_follows() {
    let spec = || {
        unit(|s| {
            s.kill.restart_signal = Some(Signal::USR2);
            s.kill.mode = KillMode::Process;
        })
    };
    manage(
        "a restart",
        spec(),
        &[
            (0, START, "start#1 | start"),
            (0, spawned(1), "1:ok | running"),
            (1, RESTART, "USR2>1 CONT>1 | stop-sigterm @91"),
            (2, exited(1, 0), "start#2 | start"),
            (2, spawned(2), "4:ok | running"),
            (3, STOP, "TERM>2 CONT>2 | stop-sigterm @93"),
        ],
    );
}

#[test]
fn properties_are_systemds() {
    let engine = manage(
        "a killed daemon that said something",
        unit(|s| {
            s.service.notify_access = Some(NotifyAccess::Main);
            s.service.restart = Restart::OnFailure;
            s.kill.mode = KillMode::Process;
        }),
        &[
            (0, START, "start#1 | start"),
            (0, spawned(1), "1:ok | running"),
            (1, says(1, "STATUS=busy\nERRNO=5"), "| running"),
            (2, killed(1, KILL), "| auto-restart signal @102"),
        ],
    );
    let service = engine.service(UNIT).unwrap();
    let table = [
        ("ActiveState", "activating"),
        ("SubState", "auto-restart"),
        ("Result", "signal"),
        ("NRestarts", "0"),
        ("ExecMainCode", "2"),
        ("ExecMainStatus", "9"),
        ("StatusText", "busy"),
        ("StatusErrno", "5"),
        ("ConditionResult", "yes"),
        ("AssertResult", "yes"),
        ("Type", "simple"),
        ("Restart", "on-failure"),
        ("NotifyAccess", "main"),
        ("KillMode", "process"),
        ("RestartUSecNext", "100ms"),
        ("TimeoutStopUSec", "90ms"),
        ("RuntimeMaxUSec", "infinity"),
    ];
    for (name, value) in table {
        assert_eq!(service.property(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(service.property("MainPID"), None, "a pid is the host's");
    let fresh = Service::new(UNIT, unit(|_| {}));
    assert_eq!(fresh.property("ConditionResult").unwrap(), "no");
    assert_eq!(fresh.property("ExecMainCode").unwrap(), "0");
}
