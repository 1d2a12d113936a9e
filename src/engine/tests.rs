//! The service machine and the system as tables.
//!
//! A row is a story: prose, a spec, and steps. A step is a moment in milliseconds, what happens then, and all
//! that can be seen of the answer in one line: the orders in their sequence (notes left out), then the state
//! of the unit, its result unless that is `success`, and when the engine wants its next tick.
//! `start#1` starts run 1 of ExecStart=, `stop-post.1#4` starts the second line of ExecStopPost= as run 4,
//! `TERM>1` is a signal to the process of run 1, `TERM>group1` to its group, `TERM>rest` to every other process
//! of the unit, `TERM>all` to everybody.

mod jobs;
mod types;

use super::notify::Message;
use super::*;
use crate::unit::spec::{
    Command, ExecKind, Exit, KillMode, NotifyAccess, Privilege, Restart, Signal, SignalTarget, Span, Spec,
    Type, status,
};
use std::fmt::Write as _;

/// What happens and what is seen of it.
type Step = (u64, Event, &'static str);

type Units = Vec<(Role, Spec)>;

const UNIT: UnitId = UnitId(0);

fn words(actions: &[Action]) -> String {
    let mut text = String::new();
    for action in actions {
        let word = match action {
            Action::Spawn(spawn) => {
                let kind = match spawn.kind {
                    ExecKind::Condition => "condition",
                    ExecKind::StartPre => "start-pre",
                    ExecKind::Start => "start",
                    ExecKind::StartPost => "start-post",
                    ExecKind::Reload => "reload",
                    ExecKind::Stop => "stop",
                    ExecKind::StopPost => "stop-post",
                };
                let line = if spawn.index > 0 { format!(".{}", spawn.index) } else { String::new() };
                format!("{kind}{line}#{}", spawn.run.0)
            }
            Action::Signal { whom, signal, .. } => {
                let whom = match whom {
                    Whom::Process(run) => run.0.to_string(),
                    Whom::Group(run) => format!("group{}", run.0),
                    Whom::Rest { .. } => "rest".to_owned(),
                    Whom::Everything => "all".to_owned(),
                };
                format!("{}>{whom}", signal.short())
            }
            Action::FindMain { run, seek, .. } => match seek {
                Seek::Guess => format!("guess#{}", run.0),
                Seek::PidFile => format!("pid-file#{}", run.0),
                Seek::Pid(number) => format!("pid{number}#{}", run.0),
            },
            Action::CheckConditions { run, .. } => format!("check#{}", run.0),
            Action::Reply { client, ok, .. } => format!("{}:{}", client.0, if *ok { "ok" } else { "no" }),
            Action::Announce(text) => text.clone(),
            Action::Note(_) => continue,
            Action::Exit { status } => format!("exit={status}"),
        };
        let _ = write!(text, "{word} ");
    }
    text
}

fn seen(engine: &Engine, actions: &[Action]) -> String {
    let service = engine.service(UNIT).unwrap();
    let mut text = words(actions);
    let _ = write!(text, "| {}", service.state());
    if service.result() != Outcome::Success {
        let _ = write!(text, " {}", service.result());
    }
    if let Some(Mono(at)) = engine.next_deadline() {
        let _ = write!(text, " @{}", at as f64 / 1000.0);
    }
    text
}

/// Tells a story to a fresh engine of one essential unit, and returns the engine as it stands at the end.
fn tell(why: &str, spec: Spec, steps: &[Step]) -> Engine {
    tell_all(why, vec![(Role::Essential, spec)], steps)
}

fn tell_all(why: &str, units: Units, steps: &[Step]) -> Engine {
    let mut engine = Engine::new(units);
    for (ms, event, expected) in steps {
        let mut actions = Vec::new();
        engine.step(Mono(ms * 1000), event.clone(), &mut actions);
        assert_eq!(seen(&engine, &actions), *expected, "{why}: at {ms} ms, {event:?}");
    }
    engine
}

fn command(ignore_failure: bool) -> Command {
    Command {
        program: "/bin/true".into(),
        argv: vec!["/bin/true".into()],
        ignore_failure,
        expand: true,
        privilege: Privilege::Sandboxed,
        from_command_line: false,
    }
}

/// A unit with systemd's defaults, but for stop and start time-outs of 90 ms, and what the row changes.
fn unit(change: impl FnOnce(&mut Spec)) -> Spec {
    let mut spec = Spec::new("t.service");
    spec.service.commands.insert(ExecKind::Start, vec![command(false)]);
    spec.service.timeout_start = ms(90);
    spec.service.timeout_stop = ms(90);
    change(&mut spec);
    spec
}

/// One supervised command.
fn one(change: impl FnOnce(&mut Spec)) -> Spec {
    let mut spec = Spec::for_command("t.service");
    spec.service.commands.insert(ExecKind::Start, vec![command(false)]);
    change(&mut spec);
    spec
}

fn lines(spec: &mut Spec, kind: ExecKind, lines: usize) {
    spec.service.commands.insert(kind, vec![command(false); lines]);
}

const fn ms(n: u64) -> Span {
    Span::from_millis(n)
}

fn spawned(run: u64) -> Event {
    Event::Spawned { run: Run(run) }
}

fn exited(run: u64, status: u8) -> Event {
    Event::Exited { run: Run(run), exit: Exit::Exited(status) }
}

fn killed(run: u64, signal: Signal) -> Event {
    Event::Exited { run: Run(run), exit: Exit::Killed(signal) }
}

fn resources(run: u64) -> Event {
    Event::SpawnFailed { run: Run(run), failure: SpawnFailure::Resources { errno: 11 } }
}

fn setup(run: u64, status: u8, errno: i32) -> Event {
    Event::SpawnFailed { run: Run(run), failure: SpawnFailure::Setup { status, errno } }
}

fn signal(signal: Signal) -> Event {
    Event::Signal { signal }
}

fn says(run: u64, text: &str) -> Event {
    let message = Message::parse(text.as_bytes()).unwrap();
    Event::Notify { unit: UNIT, from: Sender::Run(Run(run)), message }
}

fn other_says(text: &str) -> Event {
    let message = Message::parse(text.as_bytes()).unwrap();
    Event::Notify { unit: UNIT, from: Sender::Other, message }
}

const BOOT: Event = Event::Boot;
const TICK: Event = Event::Tick;
const GONE: Event = Event::Emptied { unit: None };
const EMPTY: Event = Event::Emptied { unit: Some(UNIT) };
const TERM: Signal = Signal::TERM;
const KILL: Signal = Signal::KILL;

#[test]
fn one_command_runs_and_ends() {
    let table: [(&str, Spec, Vec<Step>); 11] = [
        (
            "a plain run: its status is ours",
            one(|_| {}),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (5, exited(1, 7), "TERM>rest CONT>rest | stop-sigterm exit-code @5005"),
                (6, EMPTY, "STOPPING=1 TERM>all | failed exit-code @5006"),
                (7, GONE, "exit=7 | failed exit-code"),
            ],
        ),
        (
            "what outlives the main process gets LingerSec, then SIGKILL, and is no failure",
            one(|_| {}),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, exited(1, 0), "TERM>rest CONT>rest | stop-sigterm @5001"),
                (5000, TICK, "| stop-sigterm @5001"),
                (5001, TICK, "KILL>rest | stop-sigkill @6001"),
                (5002, EMPTY, "STOPPING=1 TERM>all | dead @10002"),
                (5003, GONE, "exit=0 | dead"),
            ],
        ),
        (
            "what SIGKILL does not end is waited for, but not for ever",
            one(|s| s.ours.linger = ms(50)),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, exited(1, 3), "TERM>rest CONT>rest | stop-sigterm exit-code @51"),
                (51, TICK, "KILL>rest | stop-sigkill exit-code @1051"),
                (10_050, TICK, "KILL>rest | stop-sigkill exit-code @10051"),
                (10_051, TICK, "TERM>rest CONT>rest | final-sigterm exit-code @10101"),
                (10_101, TICK, "KILL>rest | final-sigkill exit-code @11101"),
                (20_101, TICK, "STOPPING=1 TERM>all | failed exit-code @20151"),
            ],
        ),
        (
            "what outruns SIGKILL gets it again, until it is gone",
            one(|s| s.ours.linger = ms(10)),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, exited(1, 0), "TERM>rest CONT>rest | stop-sigterm @11"),
                (11, TICK, "KILL>rest | stop-sigkill @1011"),
                (1010, TICK, "| stop-sigkill @1011"),
                (1011, TICK, "KILL>rest | stop-sigkill @2011"),
                (2011, TICK, "KILL>rest | stop-sigkill @3011"),
                (2012, EMPTY, "STOPPING=1 TERM>all | dead @2022"),
                (2013, GONE, "exit=0 | dead"),
            ],
        ),
        (
            "a shorter TimeoutStopSec= shortens it, and what is left is asked all the same",
            one(|s| s.service.timeout_stop = ms(3000)),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, exited(1, 0), "TERM>rest CONT>rest | stop-sigterm @3001"),
                (3001, TICK, "KILL>rest | stop-sigkill @4001"),
                (3002, EMPTY, "STOPPING=1 TERM>all | dead @8002"),
                (3003, GONE, "exit=0 | dead"),
            ],
        ),
        (
            "LingerSec=0 kills what is left at once",
            one(|s| s.ours.linger = Span::ZERO),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, exited(1, 0), "KILL>rest | stop-sigkill @1001"),
                (2, EMPTY, "STOPPING=1 TERM>all | dead @2"),
                (2, TICK, "KILL>all | dead @1002"),
                (1002, TICK, "KILL>all | dead @2002"),
                (1003, GONE, "exit=0 | dead"),
            ],
        ),
        (
            "a signal that kills gives 128 and its number",
            one(|s| s.ours.linger = Span::ZERO),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, killed(1, Signal::SEGV), "KILL>rest | stop-sigkill signal @1001"),
                (2, EMPTY, "STOPPING=1 TERM>all | failed signal @2"),
                (2, GONE, "exit=139 | failed signal"),
            ],
        ),
        (
            "a program that is not there gives 127",
            one(|s| s.ours.linger = Span::ZERO),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, setup(1, status::EXEC, 2), "KILL>rest | stop-sigkill exit-code @1000"),
                (0, EMPTY, "STOPPING=1 TERM>all | failed exit-code @0"),
                (0, GONE, "exit=127 | failed exit-code"),
            ],
        ),
        (
            "a program that may not be executed gives 126",
            one(|s| s.ours.linger = Span::ZERO),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, setup(1, status::EXEC, 13), "KILL>rest | stop-sigkill exit-code @1000"),
                (0, EMPTY, "STOPPING=1 TERM>all | failed exit-code @0"),
                (0, GONE, "exit=126 | failed exit-code"),
            ],
        ),
        (
            "a step that fails before the program gives its own status",
            one(|s| s.ours.linger = Span::ZERO),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, setup(1, status::USER, 1), "KILL>rest | stop-sigkill exit-code @1000"),
                (0, EMPTY, "STOPPING=1 TERM>all | failed exit-code @0"),
                (0, GONE, "exit=217 | failed exit-code"),
            ],
        ),
        (
            "no process to be had gives 71",
            one(|s| s.ours.linger = Span::ZERO),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, resources(1), "KILL>rest | stop-sigkill resources @1000"),
                (0, EMPTY, "STOPPING=1 TERM>all | failed resources @0"),
                (0, GONE, "exit=71 | failed resources"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        tell(why, spec, &steps);
    }
}

#[test]
fn a_stop_asks_and_then_kills() {
    let stopping = |second: Signal, row: &'static str| -> Vec<Step> {
        vec![
            (0, BOOT, "start#1 | start"),
            (0, spawned(1), "READY=1 | running"),
            (10, signal(TERM), "STOPPING=1 TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm @100"),
            (50, signal(second), row),
        ]
    };
    let first = |asked: Signal, row: &'static str| -> Vec<Step> {
        vec![(0, BOOT, "start#1 | start"), (0, spawned(1), "READY=1 | running"), (10, signal(asked), row)]
    };
    let table: [(&str, Spec, Vec<Step>); 14] = [
        (
            "the whole of a stop that is obeyed",
            unit(|_| {}),
            [
                stopping(TERM, "TERM>1 | stop-sigterm @100"),
                vec![
                    (60, killed(1, TERM), "TERM>rest CONT>rest | final-sigterm @150"),
                    (61, EMPTY, "TERM>all | dead @5061"),
                    (62, GONE, "exit=143 | dead"),
                ],
            ]
            .concat(),
        ),
        (
            "patience ends on time, not before, and not later for a second SIGTERM",
            unit(|_| {}),
            [
                stopping(TERM, "TERM>1 | stop-sigterm @100"),
                vec![
                    (99, TICK, "| stop-sigterm @100"),
                    (100, TICK, "KILL>1 KILL>rest | stop-sigkill timeout @190"),
                    (101, killed(1, KILL), "TERM>rest CONT>rest | final-sigterm timeout @191"),
                    (190, TICK, "| final-sigterm timeout @191"),
                    (191, TICK, "KILL>rest | final-sigkill timeout @281"),
                    (281, TICK, "TERM>all | failed timeout @5281"),
                    (5281, TICK, "KILL>all | failed timeout @6281"),
                    (6281, TICK, "KILL>all | failed timeout @7281"),
                    (7000, GONE, "exit=137 | failed timeout"),
                ],
            ]
            .concat(),
        ),
        (
            "another signal during the stop is passed on",
            unit(|_| {}),
            stopping(Signal::USR1, "USR1>1 | stop-sigterm @100"),
        ),
        (
            "SIGINT after SIGTERM is passed on as it is",
            unit(|_| {}),
            stopping(Signal::INT, "INT>1 | stop-sigterm @100"),
        ),
        (
            "a kill that nothing survives waits for nobody",
            unit(|_| {}),
            [
                first(TERM, "STOPPING=1 TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm @100"),
                vec![
                    (100, TICK, "KILL>1 KILL>rest | stop-sigkill timeout @190"),
                    (101, killed(1, KILL), "TERM>rest CONT>rest | final-sigterm timeout @191"),
                    (102, EMPTY, "TERM>all | failed timeout @5102"),
                ],
            ]
            .concat(),
        ),
        (
            "one command: no deadline, and only the main process is asked",
            one(|_| {}),
            first(TERM, "STOPPING=1 TERM>1 CONT>1 | stop-sigterm"),
        ),
        (
            "SIGINT is passed on as it is",
            one(|_| {}),
            first(Signal::INT, "STOPPING=1 INT>1 CONT>1 | stop-sigterm"),
        ),
        ("so is SIGQUIT", one(|_| {}), first(Signal::QUIT, "STOPPING=1 QUIT>1 CONT>1 | stop-sigterm")),
        (
            "SIGRTMIN+3 means stop and nothing else",
            one(|_| {}),
            first(Signal::realtime(3), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm"),
        ),
        (
            "SIGTERM becomes KillSignal=",
            one(|s| s.kill.signal = Signal::QUIT),
            first(TERM, "STOPPING=1 QUIT>1 CONT>1 | stop-sigterm"),
        ),
        (
            "SignalTarget=group: the stop goes to the group",
            one(|s| s.ours.signal_target = SignalTarget::Group),
            first(TERM, "STOPPING=1 TERM>group1 CONT>group1 | stop-sigterm"),
        ),
        (
            "and so does what is passed on",
            one(|s| s.ours.signal_target = SignalTarget::Group),
            first(Signal::USR1, "USR1>group1 | running"),
        ),
        (
            "a signal that is no stop is passed on and changes nothing",
            one(|_| {}),
            first(Signal::HUP, "HUP>1 | running"),
        ),
        ("real-time signals too", one(|_| {}), first(Signal::realtime(30), "RTMIN+30>1 | running")),
    ];
    for (why, spec, steps) in table {
        tell(why, spec, &steps);
    }
}

#[test]
fn kill_modes() {
    let up: Vec<Step> = vec![(0, BOOT, "start#1 | start"), (0, spawned(1), "READY=1 | running")];
    let mode = |mode: KillMode| unit(move |s| s.kill.mode = mode);
    let table: [(&str, Spec, Vec<Step>); 12] = [
        (
            "mixed: children get no SIGTERM, only SIGKILL when the main process is gone",
            mode(KillMode::Mixed),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @91"),
                (2, exited(1, 0), "KILL>rest | final-sigkill @92"),
                (3, EMPTY, "TERM>all | dead @5003"),
            ],
        ),
        (
            "mixed: SIGKILL goes to all",
            mode(KillMode::Mixed),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @91"),
                (91, TICK, "KILL>1 KILL>rest | stop-sigkill timeout @181"),
            ],
        ),
        (
            "mixed: when it dies by itself what is left is killed before anything else",
            mode(KillMode::Mixed),
            vec![
                (1, exited(1, 1), "KILL>rest | stop-sigkill exit-code @91"),
                (2, EMPTY, "STOPPING=1 TERM>all | failed exit-code @5002"),
            ],
        ),
        (
            "control-group: when it dies by itself what is left is asked and waited for",
            unit(|s| lines(s, ExecKind::StopPost, 1)),
            vec![
                (1, exited(1, 1), "TERM>rest CONT>rest | stop-sigterm exit-code @91"),
                (91, TICK, "KILL>rest | stop-sigkill exit-code @181"),
                (92, EMPTY, "stop-post#2 | stop-post exit-code @182"),
                (93, spawned(2), "| stop-post exit-code @182"),
                (94, exited(2, 0), "TERM>rest CONT>rest | final-sigterm exit-code @184"),
                (95, EMPTY, "STOPPING=1 TERM>all | failed exit-code @5095"),
            ],
        ),
        (
            "control-group: at a stop ExecStopPost= runs as soon as the main process is gone, then SIGTERM once more",
            unit(|s| lines(s, ExecKind::StopPost, 1)),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm @91"),
                (2, exited(1, 0), "stop-post#2 | stop-post @92"),
                (3, exited(2, 0), "TERM>rest CONT>rest | final-sigterm @93"),
                (93, TICK, "KILL>rest | final-sigkill timeout @183"),
                (94, EMPTY, "TERM>all | failed timeout @5094"),
            ],
        ),
        (
            "process: children are left alone by the unit, and swept away with the container",
            mode(KillMode::Process),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @91"),
                (2, exited(1, 0), "TERM>all | dead @5002"),
                (5002, TICK, "KILL>all | dead @6002"),
                (5003, GONE, "exit=0 | dead"),
            ],
        ),
        (
            "process: the main process is killed when it does not obey",
            mode(KillMode::Process),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @91"),
                (91, TICK, "KILL>1 | stop-sigkill timeout @181"),
                (92, killed(1, KILL), "TERM>all | failed timeout @5092"),
            ],
        ),
        (
            "none: ExecStopPost= runs beside the main process, which is waited for and then given up",
            unit(|s| {
                s.kill.mode = KillMode::None;
                lines(s, ExecKind::StopPost, 1);
            }),
            vec![
                (1, signal(TERM), "STOPPING=1 stop-post#2 | stop-post @91"),
                (2, exited(2, 0), "| stop-post @91"),
                (91, TICK, "TERM>all | failed timeout @5091"),
                (92, killed(1, TERM), "| failed timeout @5091"),
                (93, GONE, "exit=1 | failed timeout"),
            ],
        ),
        (
            "SendSIGKILL=no: three times TimeoutStopSec= in all",
            unit(|s| {
                s.kill.send_sigkill = false;
                lines(s, ExecKind::StopPost, 1);
            }),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm @91"),
                (91, TICK, "stop-post#2 | stop-post timeout @181"),
                (92, exited(2, 0), "| stop-post timeout @181"),
                (181, TICK, "TERM>1 CONT>1 TERM>rest CONT>rest | final-sigterm timeout @271"),
                (270, TICK, "| final-sigterm timeout @271"),
                (271, TICK, "TERM>all | failed timeout @5271"),
            ],
        ),
        (
            "SendSIGKILL=no: and beside what was spared nothing starts again",
            unit(|s| {
                s.kill.send_sigkill = false;
                s.service.restart = Restart::Always;
                s.service.runtime_max = ms(10);
            }),
            vec![
                (10, TICK, "TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm timeout @100"),
                (100, TICK, "TERM>1 CONT>1 TERM>rest CONT>rest | final-sigterm timeout @190"),
                (190, TICK, "STOPPING=1 TERM>all | failed timeout @5190"),
            ],
        ),
        (
            "SendSIGHUP=yes: SIGHUP follows KillSignal= at once and nothing else",
            unit(|s| {
                s.kill.send_sighup = true;
                s.kill.mode = KillMode::Process;
            }),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 HUP>1 | stop-sigterm @91"),
                (91, TICK, "KILL>1 | stop-sigkill timeout @181"),
            ],
        ),
        (
            "TimeoutStopSec=0 is never",
            unit(|s| s.service.timeout_stop = Span::ZERO),
            vec![(1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 TERM>rest CONT>rest | stop-sigterm")],
        ),
    ];
    for (why, spec, steps) in table {
        // RuntimeMaxSec= shows in the second step already.
        let engine_up = if spec.service.runtime_max == Span::INFINITY {
            up.clone()
        } else {
            vec![(0, BOOT, "start#1 | start"), (0, spawned(1), "READY=1 | running @10")]
        };
        tell(why, spec, &[engine_up, steps].concat());
    }
}

#[test]
fn commands_come_in_order() {
    let all = |s: &mut Spec| {
        s.kill.mode = KillMode::Process;
        for kind in [ExecKind::StartPre, ExecKind::StartPost, ExecKind::Stop, ExecKind::StopPost] {
            lines(s, kind, 2);
        }
    };
    let table: [(&str, Spec, Vec<Step>); 11] = [
        (
            "every list in file order, one at a time, each line with a time-out of its own",
            unit(all),
            vec![
                (0, BOOT, "start-pre#1 | start-pre @90"),
                (1, spawned(1), "| start-pre @90"),
                (5, exited(1, 0), "start-pre.1#2 | start-pre @95"),
                (9, exited(2, 0), "start#3 | start"),
                (9, spawned(3), "start-post#4 | start-post @99"),
                (11, exited(4, 0), "start-post.1#5 | start-post @101"),
                (12, exited(5, 0), "READY=1 | running"),
                (20, signal(TERM), "STOPPING=1 stop#6 | stop @110"),
                (30, exited(6, 0), "stop.1#7 | stop @120"),
                (31, exited(7, 0), "TERM>3 CONT>3 | stop-sigterm @121"),
                (32, exited(3, 0), "stop-post#8 | stop-post @122"),
                (40, exited(8, 0), "stop-post.1#9 | stop-post @130"),
                (41, exited(9, 0), "TERM>all | dead @5041"),
                (42, GONE, "exit=0 | dead"),
            ],
        ),
        (
            "a failing ExecStartPre=: nothing else starts, ExecStopPost= runs, its status is ours",
            unit(all),
            vec![
                (0, BOOT, "start-pre#1 | start-pre @90"),
                (5, exited(1, 5), "stop-post#2 | stop-post exit-code @95"),
                (6, exited(2, 0), "stop-post.1#3 | stop-post exit-code @96"),
                (7, exited(3, 0), "STOPPING=1 TERM>all | failed exit-code @5007"),
                (8, GONE, "exit=5 | failed exit-code"),
            ],
        ),
        (
            "'-' forgives",
            unit(|s| {
                s.service.commands.insert(ExecKind::StartPre, vec![command(true)]);
            }),
            vec![(0, BOOT, "start-pre#1 | start-pre @90"), (5, exited(1, 5), "start#2 | start")],
        ),
        (
            "a failing ExecStartPost= ends the main process, without ExecStop=",
            unit(all),
            vec![
                (0, BOOT, "start-pre#1 | start-pre @90"),
                (0, exited(1, 0), "start-pre.1#2 | start-pre @90"),
                (0, exited(2, 0), "start#3 | start"),
                (0, spawned(3), "start-post#4 | start-post @90"),
                (1, exited(4, 4), "TERM>3 CONT>3 | stop-sigterm exit-code @91"),
                (2, exited(3, 0), "stop-post#5 | stop-post exit-code @92"),
                (3, exited(5, 0), "stop-post.1#6 | stop-post exit-code @93"),
                (4, exited(6, 0), "STOPPING=1 TERM>all | failed exit-code @5004"),
                (5, GONE, "exit=4 | failed exit-code"),
            ],
        ),
        (
            "the main process ends during ExecStartPost=: that finishes first, and ExecStop= runs after a clean end",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                lines(s, ExecKind::StartPost, 1);
                lines(s, ExecKind::Stop, 1);
            }),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "start-post#2 | start-post @90"),
                (1, exited(1, 0), "| start-post @90"),
                (2, exited(2, 0), "stop#3 | stop @92"),
                (3, exited(3, 0), "STOPPING=1 TERM>all | dead @5003"),
            ],
        ),
        (
            "but not after a failure",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                lines(s, ExecKind::StartPost, 1);
                lines(s, ExecKind::Stop, 1);
            }),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "start-post#2 | start-post @90"),
                (1, exited(1, 3), "| start-post exit-code @90"),
                (2, exited(2, 0), "STOPPING=1 TERM>all | failed exit-code @5002"),
                (3, GONE, "exit=3 | failed exit-code"),
            ],
        ),
        (
            "a failing ExecStop= skips its other lines and fails the unit",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                lines(s, ExecKind::Stop, 2);
            }),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, signal(TERM), "STOPPING=1 stop#2 | stop @91"),
                (2, exited(2, 6), "TERM>1 CONT>1 | stop-sigterm exit-code @92"),
                (3, exited(1, 0), "TERM>all | failed exit-code @5003"),
                (4, GONE, "exit=6 | failed exit-code"),
            ],
        ),
        (
            "ExecStop= that ends the main process itself: no SIGTERM any more",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                lines(s, ExecKind::Stop, 1);
            }),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, signal(TERM), "STOPPING=1 stop#2 | stop @91"),
                (2, exited(1, 0), "| stop @91"),
                (3, exited(2, 0), "TERM>all | dead @5003"),
            ],
        ),
        (
            "ExecStop= that hangs gets SIGTERM together with the main process",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                lines(s, ExecKind::Stop, 1);
            }),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, signal(TERM), "STOPPING=1 stop#2 | stop @91"),
                (90, TICK, "| stop @91"),
                (91, TICK, "TERM>1 CONT>1 TERM>2 CONT>2 | stop-sigterm timeout @181"),
                (92, exited(1, 0), "| stop-sigterm timeout @181"),
                (93, killed(2, TERM), "TERM>all | failed timeout @5093"),
            ],
        ),
        (
            "ExecStopPost= that hangs: SIGTERM, SIGKILL, and its other lines do not run",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                lines(s, ExecKind::StopPost, 2);
            }),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, exited(1, 0), "stop-post#2 | stop-post @91"),
                (91, TICK, "TERM>2 CONT>2 | final-sigterm timeout @181"),
                (181, TICK, "KILL>2 | final-sigkill timeout @271"),
                (182, killed(2, KILL), "STOPPING=1 TERM>all | failed timeout @5182"),
            ],
        ),
        (
            "a stop while it starts goes straight to the signals",
            unit(all),
            vec![
                (0, BOOT, "start-pre#1 | start-pre @90"),
                (5, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @95"),
                (6, exited(1, 0), "stop-post#2 | stop-post @96"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        tell(why, spec, &steps);
    }
}

#[test]
fn what_stop_commands_are_told() {
    let spec = || {
        unit(|s| {
            s.kill.mode = KillMode::Process;
            lines(s, ExecKind::Stop, 1);
            lines(s, ExecKind::StopPost, 1);
        })
    };
    let asked = vec![signal(TERM), exited(2, 0), exited(1, 0)];
    let table: [(&str, Vec<Event>, &str, Option<u64>); 6] = [
        (
            "ExecStop= before the main process has ended",
            vec![signal(TERM)],
            "SERVICE_RESULT=success",
            Some(1),
        ),
        (
            "ExecStop= after its clean end",
            vec![killed(1, TERM)],
            "SERVICE_RESULT=success EXIT_CODE=killed EXIT_STATUS=TERM",
            None,
        ),
        ("ExecStopPost= after a stop", asked, "SERVICE_RESULT=success EXIT_CODE=exited EXIT_STATUS=0", None),
        (
            "ExecStopPost= after a failure",
            vec![exited(1, 9)],
            "SERVICE_RESULT=exit-code EXIT_CODE=exited EXIT_STATUS=9",
            None,
        ),
        (
            "ExecStopPost= after a core dump",
            vec![Event::Exited { run: Run(1), exit: Exit::Dumped(Signal::SEGV) }],
            "SERVICE_RESULT=core-dump EXIT_CODE=dumped EXIT_STATUS=SEGV",
            None,
        ),
        (
            "ExecStopPost= when ExecStop= failed and the main process obeyed",
            vec![signal(TERM), exited(2, 6), exited(1, 0)],
            "SERVICE_RESULT=exit-code EXIT_CODE=exited EXIT_STATUS=0",
            None,
        ),
    ];
    for (why, events, environment, main) in table {
        let mut engine = Engine::new(vec![(Role::Essential, spec())]);
        let mut actions = Vec::new();
        for event in [vec![BOOT, spawned(1)], events].concat() {
            actions.clear();
            engine.step(Mono(1), event, &mut actions);
        }
        let told = actions.iter().find_map(|action| match action {
            Action::Spawn(spawn) => Some((
                spawn.environment.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "),
                spawn.main.map(|run| run.0),
            )),
            _ => None,
        });
        assert_eq!(told, Some((environment.to_owned(), main)), "{why}");
    }
}

#[test]
fn restarts() {
    let again = |s: &mut Spec| {
        s.kill.mode = KillMode::Process;
        s.service.restart = Restart::Always;
        s.service.restart_delay = ms(10);
        s.service.start_limit_interval = ms(100);
        s.service.start_limit_burst = 3;
    };
    let crash: Vec<Step> = vec![
        (0, BOOT, "start#1 | start"),
        (0, spawned(1), "READY=1 | running"),
        (1, exited(1, 1), "| auto-restart exit-code @11"),
    ];
    let table: [(&str, Spec, Vec<Step>, u32); 9] = [
        (
            "a restart waits RestartSec= and begins afresh; the whole is ready only once",
            unit(again),
            vec![
                (10, TICK, "| auto-restart exit-code @11"),
                (11, TICK, "start#2 | start"),
                (11, spawned(2), "| running"),
            ],
            1,
        ),
        ("until then the counter stands", unit(again), vec![(10, TICK, "| auto-restart exit-code @11")], 0),
        (
            "a stop cancels it, and the result stays",
            unit(again),
            vec![
                (5, signal(TERM), "STOPPING=1 TERM>all | dead exit-code @5005"),
                (6, GONE, "exit=1 | dead exit-code"),
            ],
            0,
        ),
        (
            "the start limit: three in a window, the fourth is refused and counted; the result stays",
            unit(again),
            vec![
                (11, TICK, "start#2 | start"),
                (11, setup(2, status::EXEC, 2), "| auto-restart exit-code @21"),
                (21, TICK, "start#3 | start"),
                (21, spawned(3), "| running"),
                (89, exited(3, 1), "| auto-restart exit-code @99"),
                (100, TICK, "STOPPING=1 TERM>all | failed exit-code @5100"),
                (101, GONE, "exit=1 | failed exit-code"),
            ],
            3,
        ),
        (
            "one microsecond past the window a new one opens",
            unit(again),
            vec![
                (11, TICK, "start#2 | start"),
                (11, setup(2, status::EXEC, 2), "| auto-restart exit-code @21"),
                (21, TICK, "start#3 | start"),
                (21, spawned(3), "| running"),
                (91, exited(3, 1), "| auto-restart exit-code @101"),
                (101, TICK, "start#4 | start"),
            ],
            3,
        ),
        (
            "a late exit of an old run is no news",
            unit(again),
            vec![
                (11, TICK, "start#2 | start"),
                (12, exited(1, 0), "| start"),
                (12, spawned(1), "| start"),
                (12, spawned(2), "| running"),
                (13, killed(1, KILL), "| running"),
                (13, setup(1, 203, 2), "| running"),
            ],
            1,
        ),
        (
            "RestartPreventExitStatus= beats all",
            unit(|s| {
                again(s);
                s.service.restart_prevent_exit.statuses.insert(7);
            }),
            vec![
                (11, TICK, "start#2 | start"),
                (11, spawned(2), "| running"),
                (12, exited(2, 7), "STOPPING=1 TERM>all | failed exit-code @5012"),
            ],
            1,
        ),
        (
            "RestartSteps= goes up to RestartMaxDelaySec=, and a stop ends the wait",
            unit(|s| {
                again(s);
                s.service.restart_delay = ms(10);
                s.service.restart_steps = 1;
                s.service.restart_max_delay = Span::from_secs(1000);
            }),
            vec![
                (11, TICK, "start#2 | start"),
                (11, spawned(2), "| running"),
                (12, exited(2, 7), "| auto-restart exit-code @1000012"),
                (13, signal(TERM), "STOPPING=1 TERM>all | dead exit-code @5013"),
            ],
            1,
        ),
        (
            "no process to be had counts as a failure and is tried again",
            unit(again),
            vec![
                (11, TICK, "start#2 | start"),
                (11, resources(2), "| auto-restart resources @21"),
                (21, TICK, "start#3 | start"),
                (21, spawned(3), "| running"),
            ],
            2,
        ),
    ];
    for (why, spec, steps, restarts) in table {
        let engine = tell(why, spec, &[crash.clone(), steps].concat());
        assert_eq!(engine.service(UNIT).unwrap().restarts(), restarts, "{why}: NRestarts");
    }
    let clean = unit(|s| {
        again(s);
        s.service.start_limit_burst = 1;
    });
    let steps: Vec<Step> = vec![
        (0, BOOT, "start#1 | start"),
        (0, spawned(1), "READY=1 | running"),
        (1, exited(1, 0), "| auto-restart @11"),
        (11, TICK, "STOPPING=1 TERM>all | failed start-limit-hit @5011"),
        (12, GONE, "exit=1 | failed start-limit-hit"),
    ];
    tell("a clean service that restarts too often fails of that", clean, &steps);
}

#[test]
fn what_cannot_be_spawned() {
    let with = |kind: ExecKind| {
        unit(move |s| {
            s.kill.mode = KillMode::Process;
            lines(s, kind, 2);
        })
    };
    let up: [Step; 2] = [(0, BOOT, "start#1 | start"), (0, spawned(1), "READY=1 | running")];
    let table: [(&str, Spec, Vec<Step>); 12] = [
        (
            "the first ExecStartPre=: it is over at once",
            with(ExecKind::StartPre),
            vec![
                (0, BOOT, "start-pre#1 | start-pre @90"),
                (1, resources(1), "STOPPING=1 TERM>all | failed resources @5001"),
                (2, GONE, "exit=71 | failed resources"),
            ],
        ),
        (
            "a later ExecStartPre=",
            with(ExecKind::StartPre),
            vec![
                (0, BOOT, "start-pre#1 | start-pre @90"),
                (1, exited(1, 0), "start-pre.1#2 | start-pre @91"),
                (2, resources(2), "STOPPING=1 TERM>all | failed resources @5002"),
            ],
        ),
        (
            "the first ExecStartPost=: stopped in order",
            with(ExecKind::StartPost),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "start-post#2 | start-post @90"),
                (1, resources(2), "TERM>1 CONT>1 | stop-sigterm resources @91"),
                (2, exited(1, 0), "STOPPING=1 TERM>all | failed resources @5002"),
                (3, GONE, "exit=1 | failed resources"),
            ],
        ),
        (
            "ExecStop=: on with the signals",
            with(ExecKind::Stop),
            [
                up.to_vec(),
                vec![
                    (1, signal(TERM), "STOPPING=1 stop#2 | stop @91"),
                    (2, resources(2), "TERM>1 CONT>1 | stop-sigterm resources @92"),
                ],
            ]
            .concat(),
        ),
        (
            "ExecReload=: nothing has happened",
            with(ExecKind::Reload),
            [
                up.to_vec(),
                vec![
                    (1, signal(Signal::HUP), "reload#2 | reload @91"),
                    (2, resources(2), "| running"),
                    (3, exited(1, 4), "STOPPING=1 TERM>all | failed exit-code @5003"),
                    (4, GONE, "exit=4 | failed exit-code"),
                ],
            ]
            .concat(),
        ),
        (
            "a missing ExecReload= is forgotten when the service ends",
            with(ExecKind::Reload),
            [
                up.to_vec(),
                vec![
                    (1, signal(Signal::HUP), "reload#2 | reload @91"),
                    (2, setup(2, status::EXEC, 2), "| running"),
                    (3, exited(1, 4), "STOPPING=1 TERM>all | failed exit-code @5003"),
                    (4, GONE, "exit=4 | failed exit-code"),
                ],
            ]
            .concat(),
        ),
        (
            "ExecStopPost=: it is over",
            with(ExecKind::StopPost),
            [
                up.to_vec(),
                vec![
                    (1, exited(1, 0), "stop-post#2 | stop-post @91"),
                    (2, exited(2, 0), "stop-post.1#3 | stop-post @92"),
                    (3, resources(3), "STOPPING=1 TERM>all | failed resources @5003"),
                ],
            ]
            .concat(),
        ),
        (
            "the main process, overtaken by a stop",
            unit(|s| s.kill.mode = KillMode::Process),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @90"),
                (1, resources(1), "TERM>all | failed resources @5001"),
                (2, GONE, "exit=71 | failed resources"),
            ],
        ),
        (
            "the main process, late: it runs after the stop has asked it to end",
            unit(|s| s.kill.mode = KillMode::Process),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @90"),
                (1, spawned(1), "| stop-sigterm @90"),
                (2, killed(1, TERM), "TERM>all | dead @5002"),
            ],
        ),
        (
            "Type=exec: a missing program is an ordinary end",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                s.service.kind = Type::Exec;
            }),
            vec![
                (0, BOOT, "start#1 | start @90"),
                (1, setup(1, status::EXEC, 2), "STOPPING=1 TERM>all | failed exit-code @5001"),
                (2, GONE, "exit=127 | failed exit-code"),
            ],
        ),
        (
            "Type=exec: and may be forgiven",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                s.service.kind = Type::Exec;
                s.service.commands.insert(ExecKind::Start, vec![command(true)]);
            }),
            vec![
                (0, BOOT, "start#1 | start @90"),
                (1, setup(1, status::EXEC, 2), "STOPPING=1 TERM>all | dead @5001"),
            ],
        ),
        (
            "Type=notify: a missing program is no broken promise",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                s.service.kind = Type::Notify;
            }),
            vec![
                (0, BOOT, "start#1 | start @90"),
                (1, setup(1, status::EXEC, 13), "STOPPING=1 TERM>all | failed exit-code @5001"),
                (2, GONE, "exit=126 | failed exit-code"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        tell(why, spec, &steps);
    }
}

#[test]
fn readiness() {
    let notify = |change: fn(&mut Spec)| {
        unit(move |s| {
            s.kill.mode = KillMode::Process;
            s.service.kind = Type::Notify;
            change(s);
        })
    };
    let start: [Step; 2] = [(0, BOOT, "start#1 | start @90"), (1, spawned(1), "| start @90")];
    let up: Vec<Step> = [start.to_vec(), vec![(2, says(1, "READY=1"), "READY=1 | running")]].concat();
    let after = |steps: Vec<Step>| [up.clone(), steps].concat();
    let starting = |steps: Vec<Step>| [start.to_vec(), steps].concat();
    let table: [(&str, Spec, Vec<Step>); 24] = [
        ("it is up when it says so", notify(|_| {}), up.clone()),
        (
            "the start times out on time",
            notify(|_| {}),
            starting(vec![
                (89, TICK, "| start @90"),
                (90, TICK, "TERM>1 CONT>1 | stop-sigterm timeout @180"),
                (91, killed(1, TERM), "STOPPING=1 TERM>all | failed timeout @5091"),
                (92, GONE, "exit=143 | failed timeout"),
            ]),
        ),
        (
            "TimeoutStartSec=0 is never",
            notify(|s| s.service.timeout_start = Span::ZERO),
            vec![(0, BOOT, "start#1 | start"), (1, spawned(1), "| start")],
        ),
        (
            "an end before READY=1 breaks the protocol",
            notify(|_| {}),
            starting(vec![
                (2, exited(1, 0), "STOPPING=1 TERM>all | failed protocol @5002"),
                (3, GONE, "exit=1 | failed protocol"),
            ]),
        ),
        (
            "READY=1 and the end in one batch: it was ready",
            notify(|_| {}),
            after(vec![(2, exited(1, 0), "STOPPING=1 TERM>all | dead @5002")]),
        ),
        (
            "a child is not heard with NotifyAccess=main",
            notify(|_| {}),
            starting(vec![(2, other_says("READY=1"), "| start @90")]),
        ),
        (
            "but with all",
            notify(|s| s.service.notify_access = Some(NotifyAccess::All)),
            starting(vec![(2, other_says("READY=1"), "READY=1 | running")]),
        ),
        (
            "an old run is nobody",
            notify(|_| {}),
            starting(vec![(2, says(0, "READY=1"), "| start @90"), (2, says(7, "READY=1"), "| start @90")]),
        ),
        (
            "ExecStartPre= may speak with exec, but cannot make it ready",
            notify(|s| {
                lines(s, ExecKind::StartPre, 1);
                s.service.notify_access = Some(NotifyAccess::Exec);
            }),
            vec![
                (0, BOOT, "start-pre#1 | start-pre @90"),
                (1, says(1, "READY=1\nSTATUS=hello"), "STATUS=hello | start-pre @90"),
                (2, exited(1, 0), "start#2 | start @92"),
            ],
        ),
        (
            "a simple service has no one to listen to",
            unit(|s| s.kill.mode = KillMode::Process),
            vec![
                (0, BOOT, "start#1 | start"),
                (0, spawned(1), "READY=1 | running"),
                (1, says(1, "STATUS=hello\nSTOPPING=1"), "| running"),
            ],
        ),
        (
            "STATUS= goes up once for each change, and stays",
            notify(|_| {}),
            after(vec![
                (3, says(1, "STATUS=a"), "STATUS=a | running"),
                (4, says(1, "STATUS=a"), "| running"),
                (5, says(1, "STATUS="), "STATUS= | running"),
            ]),
        ),
        (
            "STOPPING=1: no signal, but TimeoutStopSec= counts",
            notify(|_| {}),
            after(vec![
                (3, says(1, "STOPPING=1"), "| stop-sigterm @93"),
                (93, TICK, "KILL>1 | stop-sigkill timeout @183"),
            ]),
        ),
        (
            "STOPPING=1: a stop has nothing to add",
            notify(|_| {}),
            after(vec![
                (3, says(1, "STOPPING=1"), "| stop-sigterm @93"),
                (4, signal(TERM), "STOPPING=1 | stop-sigterm @93"),
                (5, signal(TERM), "TERM>1 | stop-sigterm @93"),
                (6, exited(1, 0), "TERM>all | dead @5006"),
            ]),
        ),
        (
            "STOPPING=1 wins over READY=1 in one message",
            notify(|_| {}),
            starting(vec![
                (2, says(1, "READY=1\nSTOPPING=1"), "| start @90"),
                (3, says(1, "READY=1"), "READY=1 | running"),
            ]),
        ),
        (
            "STOPPING=1 said during ExecStartPost= counts after it",
            notify(|s| lines(s, ExecKind::StartPost, 1)),
            starting(vec![
                (2, says(1, "READY=1"), "start-post#2 | start-post @92"),
                (3, says(1, "STOPPING=1"), "| start-post @92"),
                (4, exited(2, 0), "| stop-sigterm @94"),
            ]),
        ),
        (
            "RELOADING=1 until READY=1",
            notify(|_| {}),
            after(vec![
                (3, says(1, "RELOADING=1"), "| reload-notify @93"),
                (50, says(1, "READY=1"), "| running"),
            ]),
        ),
        (
            "RELOADING=1 and no READY=1: it goes on running",
            notify(|_| {}),
            after(vec![
                (3, says(1, "RELOADING=1"), "| reload-notify @93"),
                (93, TICK, "| running"),
                (94, exited(1, 0), "STOPPING=1 TERM>all | dead @5094"),
            ]),
        ),
        (
            "EXTEND_TIMEOUT_USEC= moves the start's deadline, later only",
            notify(|_| {}),
            starting(vec![
                (50, says(1, "EXTEND_TIMEOUT_USEC=39999"), "| start @90"),
                (50, says(1, "EXTEND_TIMEOUT_USEC=100000"), "| start @150"),
                (149, TICK, "| start @150"),
                (150, TICK, "TERM>1 CONT>1 | stop-sigterm timeout @240"),
            ]),
        ),
        (
            "EXTEND_TIMEOUT_USEC= moves the stop's deadline",
            notify(|_| {}),
            after(vec![
                (10, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @100"),
                (20, says(1, "EXTEND_TIMEOUT_USEC=500000"), "| stop-sigterm @520"),
                (100, TICK, "| stop-sigterm @520"),
            ]),
        ),
        (
            "EXTEND_TIMEOUT_USEC= gives no deadline to what has none",
            notify(|_| {}),
            after(vec![(3, says(1, "EXTEND_TIMEOUT_USEC=1000"), "| running")]),
        ),
        (
            "EXTEND_TIMEOUT_USEC= of 0 and of infinity mean nothing",
            notify(|_| {}),
            starting(vec![
                (2, says(1, "EXTEND_TIMEOUT_USEC=0"), "| start @90"),
                (2, says(1, "EXTEND_TIMEOUT_USEC=18446744073709551615"), "| start @90"),
            ]),
        ),
        (
            "RuntimeMaxSec= counts from the activation and runs ExecStop=",
            notify(|s| {
                s.service.runtime_max = ms(100);
                lines(s, ExecKind::Stop, 1);
                lines(s, ExecKind::Reload, 1);
            }),
            starting(vec![
                (2, says(1, "READY=1"), "READY=1 | running @102"),
                (50, signal(Signal::HUP), "reload#2 | reload @140"),
                (60, exited(2, 0), "| running @102"),
                (101, TICK, "| running @102"),
                (102, TICK, "stop#3 | stop timeout @192"),
            ]),
        ),
        (
            "a watchdog that is fed lives",
            notify(|s| {
                s.service.watchdog = ms(10);
                s.service.timeout_abort = Some(ms(20));
            }),
            starting(vec![
                (1, says(1, "WATCHDOG=1"), "| start @90"),
                (2, says(1, "READY=1"), "READY=1 | running @12"),
                (8, says(1, "WATCHDOG=1"), "| running @18"),
                (17, TICK, "| running @18"),
                (18, TICK, "ABRT>1 CONT>1 | stop-watchdog watchdog @38"),
                (37, TICK, "| stop-watchdog watchdog @38"),
                (38, TICK, "KILL>1 | stop-sigkill watchdog @128"),
                (39, killed(1, KILL), "STOPPING=1 TERM>all | failed watchdog @5039"),
                (40, GONE, "exit=137 | failed watchdog"),
            ]),
        ),
        (
            "WATCHDOG_USEC= changes the interval and 0 ends it; trigger bites at once; TimeoutAbortSec=0 kills at once",
            notify(|s| {
                s.service.watchdog = ms(10);
                s.service.timeout_abort = Some(Span::ZERO);
            }),
            starting(vec![
                (2, says(1, "READY=1"), "READY=1 | running @12"),
                (3, says(1, "WATCHDOG_USEC=50000"), "| running @53"),
                (4, says(1, "EXTEND_TIMEOUT_USEC=60000"), "| running @64"),
                (5, says(1, "WATCHDOG_USEC=0"), "| running"),
                (6, says(1, "WATCHDOG=trigger"), "ABRT>1 CONT>1 | stop-watchdog watchdog @6"),
                (6, TICK, "KILL>1 | stop-sigkill watchdog @96"),
            ]),
        ),
    ];
    for (why, spec, steps) in table {
        tell(why, spec, &steps);
    }
}

#[test]
fn reloads() {
    let spec = |change: fn(&mut Spec)| {
        unit(move |s| {
            s.kill.mode = KillMode::Process;
            lines(s, ExecKind::Reload, 2);
            change(s);
        })
    };
    let up: [Step; 2] = [(0, BOOT, "start#1 | start"), (0, spawned(1), "READY=1 | running")];
    let table: [(&str, Spec, Vec<Step>); 6] = [
        (
            "SIGHUP runs ExecReload=, and a failing line skips the rest",
            spec(|_| {}),
            vec![
                (1, signal(Signal::HUP), "reload#2 | reload @91"),
                (2, exited(2, 0), "reload.1#3 | reload @92"),
                (3, exited(3, 1), "| running"),
                (4, signal(Signal::HUP), "reload#4 | reload @94"),
                (5, exited(4, 1), "| running"),
            ],
        ),
        (
            "SIGHUP during a reload is not lost, but two are one",
            spec(|_| {}),
            vec![
                (1, signal(Signal::HUP), "reload#2 | reload @91"),
                (2, signal(Signal::HUP), "| reload @91"),
                (2, signal(Signal::HUP), "| reload @91"),
                (3, exited(2, 1), "reload#3 | reload @93"),
                (4, exited(3, 1), "| running"),
            ],
        ),
        (
            "ExecReload= that hangs is killed at once when its time is over",
            spec(|_| {}),
            vec![
                (1, signal(Signal::HUP), "reload#2 | reload @91"),
                (91, TICK, "KILL>2 | running"),
                (92, killed(2, KILL), "| running"),
            ],
        ),
        (
            "the main process ends meanwhile: ExecReload= finishes first",
            spec(|_| {}),
            vec![
                (1, signal(Signal::HUP), "reload#2 | reload @91"),
                (2, exited(1, 1), "| reload exit-code @91"),
                (3, exited(2, 1), "STOPPING=1 TERM>all | failed exit-code @5003"),
            ],
        ),
        (
            "a stop meanwhile ends both",
            spec(|_| {}),
            vec![
                (1, signal(Signal::HUP), "reload#2 | reload @91"),
                (2, signal(TERM), "STOPPING=1 TERM>1 CONT>1 TERM>2 CONT>2 | stop-sigterm @92"),
                (3, killed(2, TERM), "| stop-sigterm signal @92"),
                (4, killed(1, TERM), "TERM>all | failed signal @5004"),
            ],
        ),
        (
            "SIGHUP during a stop reaches nobody",
            spec(|_| {}),
            vec![
                (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @91"),
                (2, signal(Signal::HUP), "| stop-sigterm @91"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        tell(why, spec, &[up.to_vec(), steps].concat());
    }
}

#[test]
fn the_whole_stops_once() {
    let drain = |change: fn(&mut Spec)| {
        unit(move |s| {
            s.kill.mode = KillMode::Process;
            s.ours.drain = ms(30);
            change(s);
        })
    };
    let up: Vec<Step> = vec![(0, BOOT, "start#1 | start"), (0, spawned(1), "READY=1 | running")];
    let table: [(&str, Spec, Vec<Step>); 9] = [
        (
            "DrainSec=: unready at once, asked later, and a second SIGTERM hurries nobody",
            drain(|_| {}),
            [
                up.clone(),
                vec![
                    (10, signal(TERM), "STOPPING=1 | running @40"),
                    (20, signal(TERM), "| running @40"),
                    (21, signal(Signal::USR1), "USR1>1 | running @40"),
                    (39, TICK, "| running @40"),
                    (40, TICK, "TERM>1 CONT>1 | stop-sigterm @130"),
                    (41, exited(1, 0), "TERM>all | dead @5041"),
                ],
            ]
            .concat(),
        ),
        (
            "DrainSec=: the signal that asked is the one that is passed on",
            drain(|_| {}),
            [
                up.clone(),
                vec![
                    (10, signal(Signal::INT), "STOPPING=1 | running @40"),
                    (40, TICK, "INT>1 CONT>1 | stop-sigterm @130"),
                ],
            ]
            .concat(),
        ),
        (
            "DrainSec=: whoever ends by itself is not started again",
            drain(|s| s.service.restart = Restart::Always),
            [
                up.clone(),
                vec![
                    (10, signal(TERM), "STOPPING=1 | running @40"),
                    (20, exited(1, 1), "TERM>all | failed exit-code @5020"),
                    (21, GONE, "exit=1 | failed exit-code"),
                ],
            ]
            .concat(),
        ),
        (
            "DrainSec=: who is not up has nobody to serve",
            drain(|s| s.service.kind = Type::Notify),
            vec![
                (0, BOOT, "start#1 | start @90"),
                (1, spawned(1), "| start @90"),
                (10, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @100"),
            ],
        ),
        (
            "DrainSec=: neither has who waits for a restart",
            drain(|s| s.service.restart = Restart::Always),
            [
                up.clone(),
                vec![
                    (1, exited(1, 1), "| auto-restart exit-code @101"),
                    (2, signal(TERM), "STOPPING=1 TERM>all | dead exit-code @5002"),
                ],
            ]
            .concat(),
        ),
        (
            "a stop before the start: nothing starts",
            drain(|_| {}),
            vec![
                (0, signal(TERM), "STOPPING=1 TERM>all | dead @5000"),
                (0, BOOT, "| dead @5000"),
                (1, GONE, "exit=0 | dead"),
            ],
        ),
        (
            "the sweep: LingerSec= and then SIGKILL every second, until nobody is left, and nothing after that",
            drain(|s| s.ours.linger = ms(50)),
            [
                up.clone(),
                vec![
                    (1, exited(1, 0), "STOPPING=1 TERM>all | dead @51"),
                    (2, signal(TERM), "| dead @51"),
                    (2, EMPTY, "| dead @51"),
                    (50, TICK, "| dead @51"),
                    (51, TICK, "KILL>all | dead @1051"),
                    (1051, TICK, "KILL>all | dead @2051"),
                    (1052, GONE, "exit=0 | dead"),
                    (1053, GONE, "| dead"),
                    (1053, signal(TERM), "| dead"),
                    (9999, TICK, "| dead"),
                ],
            ]
            .concat(),
        ),
        (
            "whom SIGKILL does not end keeps nobody waiting for ever",
            drain(|s| s.ours.linger = ms(0)),
            [
                up.clone(),
                vec![
                    (0, exited(1, 3), "STOPPING=1 TERM>all | failed exit-code @0"),
                    (0, TICK, "KILL>all | failed exit-code @1000"),
                    (1000, TICK, "KILL>all | failed exit-code @2000"),
                    (2000, TICK, "KILL>all | failed exit-code @3000"),
                    (3000, TICK, "KILL>all | failed exit-code @4000"),
                    (4000, TICK, "KILL>all | failed exit-code @5000"),
                    (5000, TICK, "KILL>all | failed exit-code @6000"),
                    (6000, TICK, "KILL>all | failed exit-code @7000"),
                    (7000, TICK, "KILL>all | failed exit-code @8000"),
                    (8000, TICK, "KILL>all | failed exit-code @9000"),
                    (9000, TICK, "KILL>all | failed exit-code @10000"),
                    (9999, TICK, "| failed exit-code @10000"),
                    (10_000, TICK, "exit=3 | failed exit-code"),
                ],
            ]
            .concat(),
        ),
        (
            "ExitStatusMap= has the last word",
            unit(|s| {
                s.kill.mode = KillMode::Process;
                s.ours.exit_status_map.extend([(143, 0), (0, 9)]);
            }),
            [
                up.clone(),
                vec![
                    (1, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | stop-sigterm @91"),
                    (2, killed(1, TERM), "TERM>all | dead @5002"),
                    (3, GONE, "exit=0 | dead"),
                ],
            ]
            .concat(),
        ),
    ];
    for (why, spec, steps) in table {
        tell(why, spec, &steps);
    }
}

#[test]
fn one_unit_may_ask_for_the_stop_of_all() {
    let spec = |change: fn(&mut Spec)| {
        unit(move |s| {
            s.kill.mode = KillMode::Process;
            change(s);
        })
    };
    let units = vec![
        (Role::Essential, spec(|s| lines(s, ExecKind::Reload, 1))),
        (Role::Essential, spec(|s| s.ours.stop_signals.extend([Signal::HUP, Signal::USR1]))),
    ];
    let steps: Vec<Step> = vec![
        (0, BOOT, "start#1 start#2 | start"),
        (0, spawned(1), "| running"),
        (0, spawned(2), "READY=1 | running"),
        (1, signal(Signal::USR2), "USR2>1 USR2>2 | running"),
        (2, signal(Signal::HUP), "STOPPING=1 HUP>1 CONT>1 HUP>2 CONT>2 | stop-sigterm @92"),
        (3, signal(Signal::USR1), "USR1>1 USR1>2 | stop-sigterm @92"),
        (4, exited(1, 0), "| dead @92"),
        (5, exited(2, 0), "TERM>all | dead @5005"),
    ];
    tell_all("SIGHUP means stop to one, so it means reload to nobody", units, &steps);
}

#[test]
fn a_role_serves_on_demand() {
    let role = |restart: Restart| {
        unit(move |s| {
            s.kill.mode = KillMode::Process;
            s.service.restart = restart;
            s.service.restart_delay = ms(10);
            s.service.start_limit_interval = ms(100);
            s.service.start_limit_burst = 2;
        })
    };
    let main = || {
        unit(|s| {
            s.kill.mode = KillMode::Process;
            s.service.restart = Restart::Always;
        })
    };
    let units = |restart| vec![(Role::OnDemand, role(restart)), (Role::Essential, main())];
    let knock = || Event::Connection { unit: UNIT };
    let up: Vec<Step> = vec![
        (0, BOOT, "start#1 | dead"),
        (0, spawned(1), "READY=1 | dead"),
        (5, knock(), "start#2 | start"),
        (5, knock(), "| start"),
        (5, spawned(2), "| running"),
    ];
    let limited: Vec<Step> = vec![
        (6, killed(2, KILL), "| failed signal"),
        (7, knock(), "start#3 | start"),
        (7, spawned(3), "| running"),
        (8, killed(3, KILL), "| failed signal"),
        (9, knock(), "| failed signal @105.001"),
    ];
    let table: [(&str, Units, Vec<Step>, u64, bool); 8] = [
        ("a role sleeps until someone knocks", units(Restart::No), up[..2].to_vec(), 1, true),
        ("while it runs nobody need watch its door", units(Restart::No), up.clone(), 5, false),
        (
            "its end is nobody's, and the next one who knocks starts it",
            units(Restart::No),
            [up.clone(), limited[..2].to_vec()].concat(),
            7,
            false,
        ),
        (
            "too many starts close the door",
            units(Restart::No),
            [up.clone(), limited.clone()].concat(),
            105,
            false,
        ),
        (
            "the door opens when the window has passed, and nobody is woken again for it",
            units(Restart::No),
            [up.clone(), limited, vec![(106, TICK, "| failed signal")]].concat(),
            106,
            true,
        ),
        (
            "it serves while the others stop",
            units(Restart::Always),
            [
                up.clone(),
                vec![
                    (10, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | running @100"),
                    (11, killed(2, KILL), "| auto-restart signal @21"),
                    (21, TICK, "start#3 | start @100"),
                    (21, spawned(3), "| running @100"),
                    (22, exited(1, 0), "TERM>3 CONT>3 TERM>all | stop-sigterm @112"),
                    (23, killed(3, TERM), "| dead @5022"),
                    (24, GONE, "exit=0 | dead"),
                ],
            ]
            .concat(),
            24,
            false,
        ),
        (
            "a look that is older than what was asked for since is no end",
            vec![
                (
                    Role::OnDemand,
                    unit(|s| {
                        s.kill.mode = KillMode::Process;
                        lines(s, ExecKind::StopPost, 2);
                    }),
                ),
                (Role::Essential, main()),
            ],
            [
                up.clone(),
                vec![
                    (10, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | running @100"),
                    (11, exited(1, 0), "TERM>2 CONT>2 TERM>all | stop-sigterm @101"),
                    (12, exited(2, 0), "stop-post#3 | stop-post @102"),
                    (13, exited(3, 0), "stop-post.1#4 | stop-post @103"),
                    (13, GONE, "| stop-post @103"),
                    (14, exited(4, 0), "| dead @5011"),
                    (15, GONE, "exit=0 | dead"),
                ],
            ]
            .concat(),
            14,
            false,
        ),
        (
            "a role that waits for its restart is forgotten in the sweep",
            units(Restart::Always),
            [
                up,
                vec![
                    (10, signal(TERM), "STOPPING=1 TERM>1 CONT>1 | running @100"),
                    (11, killed(2, KILL), "| auto-restart signal @21"),
                    (12, exited(1, 0), "TERM>all | dead signal @5012"),
                    (21, TICK, "| dead signal @5012"),
                    (22, knock(), "| dead signal @5012"),
                ],
            ]
            .concat(),
            22,
            false,
        ),
    ];
    for (why, units, steps, at, watched) in table {
        let engine = tell_all(why, units, &steps);
        assert_eq!(engine.wants_connections(Mono(at * 1000), UNIT), watched, "{why}");
    }
}

#[test]
fn what_is_told_at_the_default_level() {
    let up = [BOOT, spawned(1)];
    let quiet = |s: &mut Spec| s.kill.mode = KillMode::Process;
    let table: [(&str, Spec, Vec<Event>, &[&str]); 6] = [
        ("a plain end is told by its status alone", one(quiet), vec![exited(1, 3), GONE], &[]),
        ("a stop that is obeyed", one(quiet), vec![signal(TERM), killed(1, TERM), GONE], &[]),
        (
            "a kill that nobody here asked for",
            one(quiet),
            vec![killed(1, KILL), GONE],
            &["main process ended, code=killed, status=9/KILL"],
        ),
        (
            "a restart",
            one(|s| {
                quiet(s);
                s.service.restart = Restart::OnFailure;
            }),
            vec![exited(1, 3)],
            &["ended with result exit-code; restart 1 in 100ms: Restart=on-failure"],
        ),
        (
            "a rule that forbids one",
            one(|s| {
                quiet(s);
                s.service.restart = Restart::OnFailure;
                s.service.restart_prevent_exit.statuses.insert(3);
            }),
            vec![exited(1, 3)],
            &["ended with result exit-code; not restarted: RestartPreventExitStatus"],
        ),
        (
            "no restart after a clean end",
            one(|s| s.service.restart = Restart::OnFailure),
            vec![exited(1, 0)],
            &[],
        ),
    ];
    for (why, spec, events, told) in table {
        let mut engine = Engine::new(vec![(Role::Essential, spec)]);
        let mut actions = Vec::new();
        for event in up.iter().cloned().chain(events) {
            engine.step(Mono(1), event, &mut actions);
        }
        let said = actions.iter().filter_map(|action| match action {
            Action::Note(note) if note.level <= Level::Warn => Some(note.text.as_str()),
            _ => None,
        });
        assert_eq!(said.collect::<Vec<_>>(), told, "{why}");
    }
}
