//! Several units of a manager, and who asks what of them. The stories are those of the recorded cases, in fewer steps.
//!
//! Units are `a`, `b`, … in their order: `a.start#1` starts run 1 of a's ExecStart=, and the end of a line says where
//! each stands. `1:ok` and `1:no` answer client 1.
#![forbid(unsafe_code)]

use super::types::ask;
use super::*;

/// A moment in milliseconds, what happens then, and what is seen of it.
type Row = (u64, Event, &'static str);

fn of(unit: u32, client: u64, verb: Verb) -> Event {
    Event::Request { client: Client(client), verb, unit: UnitId(unit), no_block: false }
}

fn start(unit: u32) -> Event {
    of(unit, 1, Verb::Start)
}

fn stop(unit: u32) -> Event {
    of(unit, 2, Verb::Stop)
}

fn restart(unit: u32) -> Event {
    of(unit, 3, Verb::Restart)
}

fn letter(unit: UnitId) -> char {
    char::from(b'a' + unit.0 as u8)
}

fn told(engine: &Engine, actions: &[Action]) -> String {
    let mut text = String::new();
    for action in actions {
        match action {
            Action::Note(_) => continue,
            Action::Spawn(spawn) => text.push_str(&format!("{}.", letter(spawn.unit))),
            Action::Signal { whom: Whom::Everything, .. } => {}
            Action::Signal { unit, .. } => text.push_str(&format!("{}.", letter(*unit))),
            _ => {}
        }
        text += &words(std::slice::from_ref(action));
    }
    text.push('|');
    for (_, _, service) in engine.services() {
        let _ = write!(text, " {}", service.state());
    }
    text
}

fn manager(units: Vec<Spec>) -> Engine {
    let mut engine = Engine::manager();
    for (mut spec, n) in units.into_iter().zip(0u8..) {
        spec.name = format!("{}.service", char::from(b'a' + n));
        engine.add(Role::Managed, spec);
    }
    engine.step(Mono(0), BOOT, &mut Vec::new());
    engine
}

fn go_on(why: &str, engine: &mut Engine, steps: &[Row]) -> Vec<Action> {
    let mut all = Vec::new();
    for (ms, event, expected) in steps {
        let mut actions = Vec::new();
        engine.step(Mono(ms * 1000), event.clone(), &mut actions);
        assert_eq!(told(engine, &actions), *expected, "{why}: at {ms} ms, {event:?}");
        all.append(&mut actions);
    }
    all
}

fn play(why: &str, units: Vec<Spec>, steps: &[Row]) -> Engine {
    let mut engine = manager(units);
    go_on(why, &mut engine, steps);
    engine
}

/// A daemon whose processes are all known, so that a stop is one signal and one end.
fn daemon(change: impl FnOnce(&mut Spec)) -> Spec {
    unit(|s| {
        s.kill.mode = KillMode::Process;
        change(s);
    })
}

fn oneshot(change: impl FnOnce(&mut Spec)) -> Spec {
    daemon(|s| {
        s.service.kind = Type::Oneshot;
        change(s);
    })
}

fn remaining(change: impl FnOnce(&mut Spec)) -> Spec {
    oneshot(|s| {
        s.service.remain_after_exit = true;
        change(s);
    })
}

fn plain() -> Spec {
    daemon(|_| {})
}

fn names(names: &str) -> Vec<String> {
    names.split_whitespace().map(|name| format!("{name}.service")).collect()
}

/// Requires= and After=.
fn needs(spec: &mut Spec, others: &str) {
    (spec.unit.requires, spec.unit.after) = (names(others), names(others));
}

#[test]
fn what_is_required_comes_first_and_goes_last() {
    let chain = || vec![remaining(|_| {}), remaining(|s| needs(s, "a")), remaining(|s| needs(s, "b"))];
    let table: [(&str, Vec<Spec>, Vec<Row>); 8] = [
        (
            "a chain, up and down",
            chain(),
            vec![
                (0, start(2), "a.start#1 | start dead dead"),
                (1, exited(1, 0), "b.start#2 | exited start dead"),
                (2, exited(2, 0), "c.start#3 | exited exited start"),
                (3, exited(3, 0), "1:ok | exited exited exited"),
                (4, stop(0), "2:ok | dead dead dead"),
            ],
        ),
        (
            "a restart takes those along that were up",
            vec![plain(), daemon(|s| needs(s, "a")), daemon(|s| needs(s, "a"))],
            vec![
                (0, start(1), "a.start#1 | start dead dead"),
                (0, spawned(1), "b.start#2 | running start dead"),
                (0, spawned(2), "1:ok | running running dead"),
                (1, restart(0), "b.TERM>2 b.CONT>2 | running stop-sigterm dead"),
                (2, exited(2, 0), "a.TERM>1 a.CONT>1 | stop-sigterm dead dead"),
                (3, exited(1, 0), "a.start#3 | start dead dead"),
                (3, spawned(3), "3:ok b.start#4 | running start dead"),
            ],
        ),
        (
            "without an order all start at once",
            vec![plain(), daemon(|s| s.unit.requires = names("a"))],
            vec![(0, start(1), "a.start#1 b.start#2 | start start")],
        ),
        (
            "Before= is After= the other way round",
            vec![daemon(|s| s.unit.before = names("b")), daemon(|s| s.unit.wants = names("a"))],
            vec![(0, start(1), "a.start#1 | start dead"), (0, spawned(1), "b.start#2 | running start")],
        ),
        (
            "an order alone brings nobody",
            vec![plain(), daemon(|s| s.unit.after = names("a"))],
            vec![(0, start(1), "b.start#1 | dead start")],
        ),
        (
            "after a notify service is after its word",
            vec![daemon(|s| s.service.kind = Type::Notify), daemon(|s| s.unit.after = names("a"))],
            vec![
                (0, start(0), "a.start#1 | start dead"),
                (0, of(1, 5, Verb::Start), "| start dead"),
                (0, spawned(1), "| start dead"),
                (5, says(1, "READY=1"), "1:ok b.start#2 | running start"),
            ],
        ),
        (
            "who requires one that ends by itself stays; who requires one that is stopped does not",
            vec![plain(), daemon(|s| needs(s, "a"))],
            vec![
                (0, start(1), "a.start#1 | start dead"),
                (0, spawned(1), "b.start#2 | running start"),
                (0, spawned(2), "1:ok | running running"),
                (1, killed(1, KILL), "| failed running"),
                (2, start(0), "a.start#3 | start running"),
                (2, spawned(3), "1:ok | running running"),
                (3, stop(0), "b.TERM>2 b.CONT>2 | running stop-sigterm"),
                (4, exited(2, 0), "a.TERM>3 a.CONT>3 | stop-sigterm dead"),
                (5, exited(3, 0), "2:ok | dead dead"),
            ],
        ),
        (
            "a start of one that is up brings back what it wants",
            vec![plain(), daemon(|s| s.unit.wants = names("a"))],
            vec![
                (0, start(1), "a.start#1 b.start#2 | start start"),
                (0, spawned(1), "| running start"),
                (0, spawned(2), "1:ok | running running"),
                (1, stop(0), "a.TERM>1 a.CONT>1 | stop-sigterm running"),
                (2, exited(1, 0), "2:ok | dead running"),
                (3, start(1), "a.start#3 1:ok | start running"),
            ],
        ),
    ];
    for (why, units, steps) in table {
        play(why, units, &steps);
    }
}

#[test]
fn what_cannot_be_had() {
    let circle = |wanted: bool| {
        let other = |s: &mut Spec, name| {
            s.unit.after = names(name);
            if wanted { s.unit.wants = names(name) } else { s.unit.requires = names(name) }
        };
        vec![remaining(|s| other(s, "b")), remaining(|s| other(s, "a"))]
    };
    let table: [(&str, Vec<Spec>, Vec<Row>); 9] = [
        (
            "what is required fails: not tried",
            vec![oneshot(|_| {}), daemon(|s| needs(s, "a"))],
            vec![(0, start(1), "a.start#1 | start dead"), (1, exited(1, 1), "1:no | failed dead")],
        ),
        (
            "what is wanted fails: tried all the same",
            vec![oneshot(|_| {}), daemon(|s| (s.unit.wants, s.unit.after) = (names("a"), names("a")))],
            vec![(0, start(1), "a.start#1 | start dead"), (1, exited(1, 1), "b.start#2 | failed start")],
        ),
        (
            "the failure goes all the way up",
            vec![oneshot(|_| {}), daemon(|s| needs(s, "a")), daemon(|s| needs(s, "b"))],
            vec![
                (0, start(2), "a.start#1 | start dead dead"),
                (0, of(1, 5, Verb::Start), "| start dead dead"),
                (1, exited(1, 1), "5:no 1:no | failed dead dead"),
            ],
        ),
        (
            "one that was required and is called off takes the others with it",
            vec![oneshot(|_| {}), daemon(|s| needs(s, "a"))],
            vec![
                (0, start(1), "a.start#1 | start dead"),
                (1, stop(0), "1:no a.TERM>1 a.CONT>1 | stop-sigterm dead"),
            ],
        ),
        (
            "one that only was skipped is good enough",
            vec![oneshot(|s| lines(s, ExecKind::Condition, 1)), daemon(|s| needs(s, "a"))],
            vec![
                (0, start(1), "a.condition#1 | condition dead"),
                (1, exited(1, 1), "b.start#2 | dead start"),
            ],
        ),
        (
            "a unit that is not there is required",
            vec![daemon(|s| s.unit.requires = names("none"))],
            vec![(0, start(0), "1:no | dead")],
        ),
        (
            "a unit that is not there is wanted",
            vec![daemon(|s| s.unit.wants = names("none"))],
            vec![(0, start(0), "a.start#1 | start")],
        ),
        ("a circle of the required", circle(false), vec![(0, start(0), "1:no | dead dead")]),
        (
            "a circle of the wanted is cut",
            circle(true),
            vec![(0, start(0), "a.start#1 | start dead"), (1, exited(1, 0), "1:ok | exited dead")],
        ),
    ];
    for (why, units, steps) in table {
        play(why, units, &steps);
    }
}

#[test]
fn requests_meet() {
    let reloads = || daemon(|s| lines(s, ExecKind::Reload, 1));
    let up = |more: Vec<Row>| {
        let mut steps: Vec<Row> = vec![(0, start(0), "a.start#1 | start"), (0, spawned(1), "1:ok | running")];
        steps.extend(more);
        steps
    };
    let table: [(&str, Spec, Vec<Row>); 14] = [
        (
            "a start during a slow stop cancels the stop, and comes after it",
            plain(),
            up(vec![
                (1, stop(0), "a.TERM>1 a.CONT>1 | stop-sigterm"),
                (2, start(0), "2:no | stop-sigterm"),
                (9, exited(1, 0), "a.start#2 | start"),
                (9, spawned(2), "1:ok | running"),
            ]),
        ),
        (
            "a second stop waits with the first, and sends nothing",
            plain(),
            up(vec![
                (1, stop(0), "a.TERM>1 a.CONT>1 | stop-sigterm"),
                (2, of(0, 7, Verb::Stop), "| stop-sigterm"),
                (9, exited(1, 0), "2:ok 7:ok | dead"),
            ]),
        ),
        (
            "a stop during a start cancels the start",
            daemon(|s| s.service.kind = Type::Notify),
            vec![
                (0, start(0), "a.start#1 | start"),
                (4, stop(0), "1:no a.TERM>1 a.CONT>1 | stop-sigterm"),
                (5, exited(1, 0), "2:ok | dead"),
            ],
        ),
        (
            "a second start waits with the first",
            daemon(|s| s.service.kind = Type::Notify),
            vec![
                (0, start(0), "a.start#1 | start"),
                (1, of(0, 7, Verb::Start), "| start"),
                (2, says(1, "READY=1"), "1:ok 7:ok | running"),
            ],
        ),
        (
            "a restart during a start begins anew, and both wait for that",
            daemon(|s| s.service.kind = Type::Notify),
            vec![
                (0, start(0), "a.start#1 | start"),
                (1, restart(0), "a.TERM>1 a.CONT>1 | stop-sigterm"),
                (2, exited(1, 0), "a.start#2 | start"),
                (3, says(2, "READY=1"), "1:ok 3:ok | running"),
            ],
        ),
        ("a restart of what is down starts it", plain(), vec![(0, restart(0), "a.start#1 | start")]),
        ("a stop that has nothing to do is done", plain(), vec![(0, stop(0), "2:ok | dead")]),
        (
            "try-restart does nothing to what is down",
            plain(),
            vec![(0, of(0, 4, Verb::TryRestart), "4:ok | dead")],
        ),
        (
            "try-restart restarts what is up",
            plain(),
            up(vec![(1, of(0, 4, Verb::TryRestart), "a.TERM>1 a.CONT>1 | stop-sigterm")]),
        ),
        (
            "reload-or-restart reloads what can be reloaded",
            reloads(),
            up(vec![
                (1, of(0, 4, Verb::ReloadOrRestart), "a.reload#2 | reload"),
                (2, exited(2, 0), "4:ok | running"),
            ]),
        ),
        (
            "reload-or-restart starts what is down",
            reloads(),
            vec![(0, of(0, 4, Verb::ReloadOrRestart), "a.start#1 | start")],
        ),
        (
            "reload-or-restart restarts what cannot be reloaded",
            plain(),
            up(vec![(1, of(0, 4, Verb::ReloadOrRestart), "a.TERM>1 a.CONT>1 | stop-sigterm")]),
        ),
        (
            "a second reload may be about something that the first has not read",
            reloads(),
            up(vec![
                (1, of(0, 4, Verb::Reload), "a.reload#2 | reload"),
                (2, of(0, 5, Verb::Reload), "| reload"),
                (3, exited(2, 0), "a.reload#3 | reload"),
                (4, exited(3, 0), "4:ok 5:ok | running"),
            ]),
        ),
        (
            "a reload of what is starting is done when it has started",
            daemon(|s| {
                s.service.kind = Type::Notify;
                lines(s, ExecKind::Reload, 1);
            }),
            vec![
                (0, start(0), "a.start#1 | start"),
                (1, of(0, 4, Verb::Reload), "| start"),
                (2, says(1, "READY=1"), "1:ok 4:ok | running"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        play(why, vec![spec], &steps);
    }
}

#[test]
fn who_does_not_wait_is_answered_at_once() {
    let mut engine = manager(vec![plain()]);
    let now = |verb| Event::Request { client: Client(9), verb, unit: UnitId(0), no_block: true };
    go_on(
        "no_block",
        &mut engine,
        &[
            (0, now(Verb::Start), "9:ok a.start#1 | start"),
            (0, spawned(1), "| running"),
            (1, now(Verb::Stop), "9:ok a.TERM>1 a.CONT>1 | stop-sigterm"),
            (2, exited(1, 0), "| dead"),
            (3, now(Verb::Reload), "9:no | dead"),
        ],
    );
    let mut actions = Vec::new();
    engine.step(Mono(5000), of(1, 3, Verb::Start), &mut actions);
    let [Action::Reply { ok: false, text, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(text, "there is no such unit");
}

#[test]
fn requests_during_a_restart() {
    let restarts = || {
        daemon(|s| {
            s.service.restart = Restart::Always;
            s.service.restart_delay = ms(2000);
        })
    };
    let crash: [Row; 3] = [
        (0, start(0), "a.start#1 | start"),
        (0, spawned(1), "1:ok | running"),
        (1, exited(1, 1), "| auto-restart"),
    ];
    let table: [(&str, Vec<Row>, [&str; 3]); 4] = [
        (
            "a start starts at once and counts as a restart",
            vec![(5, start(0), "a.start#2 | start"), (5, spawned(2), "1:ok | running")],
            ["1", "success", "active"],
        ),
        (
            "a restart starts at once and counts from nothing",
            vec![(5, restart(0), "a.start#2 | start"), (5, spawned(2), "3:ok | running")],
            ["0", "success", "active"],
        ),
        (
            "a stop calls it off and keeps the result",
            vec![(5, stop(0), "2:ok | dead"), (2001, TICK, "| dead")],
            ["0", "exit-code", "inactive"],
        ),
        (
            "nobody asks",
            vec![(2001, TICK, "a.start#2 | start"), (2001, spawned(2), "| running")],
            ["1", "success", "active"],
        ),
    ];
    for (why, steps, [count, result, state]) in table {
        let mut engine = manager(vec![restarts()]);
        go_on(why, &mut engine, &crash);
        go_on(why, &mut engine, &steps);
        let service = engine.service(UNIT).unwrap();
        assert_eq!(service.property("NRestarts").unwrap(), count, "{why}");
        assert_eq!(service.property("Result").unwrap(), result, "{why}");
        assert_eq!(service.property("ActiveState").unwrap(), state, "{why}");
    }
}

#[test]
fn a_restart_by_itself_is_a_job_too() {
    let again = |s: &mut Spec| s.service.restart = Restart::Always;
    play(
        "it brings back what it requires",
        vec![oneshot(|_| {}), daemon(|s| (needs(s, "a"), again(s)).0)],
        &[
            (0, start(1), "a.start#1 | start dead"),
            (1, exited(1, 0), "b.start#2 | dead start"),
            (1, spawned(2), "1:ok | dead running"),
            (2, exited(2, 1), "| dead auto-restart"),
            (102, TICK, "a.start#3 | start auto-restart-queued"),
            (103, exited(3, 0), "b.start#4 | dead start"),
        ],
    );
    play(
        "whoever requires it restarts with it",
        vec![daemon(again), daemon(|s| needs(s, "a"))],
        &[
            (0, start(1), "a.start#1 | start dead"),
            (0, spawned(1), "b.start#2 | running start"),
            (0, spawned(2), "1:ok | running running"),
            (1, exited(1, 1), "| auto-restart running"),
            (101, TICK, "b.TERM>2 b.CONT>2 | auto-restart-queued stop-sigterm"),
            (102, exited(2, 0), "a.start#3 | start dead"),
            (102, spawned(3), "b.start#4 | running start"),
        ],
    );
    play(
        "one that has become impossible is given up",
        vec![oneshot(|_| {}), daemon(|s| (needs(s, "a"), again(s)).0)],
        &[(0, start(1), "a.start#1 | start dead"), (1, exited(1, 1), "1:no | failed dead")],
    );
}

#[test]
fn the_start_limit_and_reset_failed() {
    let limited = |restart| {
        daemon(|s| {
            (s.service.start_limit_burst, s.service.start_limit_interval) = (2, Span::from_secs(30));
            s.service.restart = restart;
        })
    };
    let properties = |engine: &Engine| {
        let service = engine.service(UNIT).unwrap();
        ["ActiveState", "Result", "NRestarts"].map(|name| service.property(name).unwrap()).join(" ")
    };
    let mut engine = manager(vec![limited(Restart::OnFailure)]);
    let crash: [Row; 6] = [
        (0, start(0), "a.start#1 | start"),
        (0, spawned(1), "1:ok | running"),
        (1, exited(1, 1), "| auto-restart"),
        (101, TICK, "a.start#2 | start"),
        (101, exited(2, 1), "| auto-restart"),
        (201, TICK, "| failed"),
    ];
    go_on("restarts hit it", &mut engine, &crash);
    assert_eq!(properties(&engine), "failed exit-code 2");
    go_on("a start by hand is refused", &mut engine, &[(300, start(0), "1:no | failed")]);
    assert_eq!(properties(&engine), "failed exit-code 2", "and changes nothing");
    let reset = of(0, 8, Verb::ResetFailed);
    go_on("it is forgotten", &mut engine, &[(400, reset.clone(), "8:ok | dead")]);
    assert_eq!(properties(&engine), "inactive success 0");
    go_on("and it starts", &mut engine, &[(401, start(0), "a.start#3 | start")]);

    let mut engine = manager(vec![limited(Restart::No)]);
    let by_hand: [Row; 7] = [
        (0, start(0), "a.start#1 | start"),
        (0, exited(1, 0), "1:ok | dead"),
        (1, start(0), "a.start#2 | start"),
        (1, exited(2, 0), "1:ok | dead"),
        (2, start(0), "1:no | failed"),
        (3, reset, "8:ok | dead"),
        (4, start(0), "a.start#3 | start"),
    ];
    go_on("starts by hand hit it", &mut engine, &by_hand[..5]);
    assert_eq!(properties(&engine), "failed start-limit-hit 0");
    go_on("it is forgotten again", &mut engine, &by_hand[5..]);
}

#[test]
fn others_start_at_the_end_of_one() {
    let handler = || oneshot(|_| {});
    let watched = |change: fn(&mut Spec)| {
        oneshot(move |s| {
            (s.unit.on_failure, s.unit.on_success) = (names("b"), names("c"));
            change(s);
        })
    };
    let table: [(&str, Spec, Vec<Row>); 6] = [
        (
            "one that has failed",
            watched(|_| {}),
            vec![
                (0, start(0), "a.start#1 | start dead dead"),
                (1, exited(1, 3), "1:no b.start#2 | failed start dead"),
            ],
        ),
        (
            "one that has ended well",
            watched(|_| {}),
            vec![
                (0, start(0), "a.start#1 | start dead dead"),
                (1, exited(1, 0), "1:ok c.start#2 | dead dead start"),
            ],
        ),
        (
            "one that was stopped",
            watched(|_| {}),
            vec![
                (0, start(0), "a.start#1 | start dead dead"),
                (1, stop(0), "1:no a.TERM>1 a.CONT>1 | stop-sigterm dead dead"),
                (2, exited(1, 0), "2:ok c.start#2 | dead dead start"),
            ],
        ),
        (
            "each failure counts, also those that a restart follows, and the refusal",
            watched(|s| {
                s.service.restart = Restart::OnFailure;
                s.service.start_limit_burst = 1;
            }),
            vec![
                (0, start(0), "a.start#1 | start dead dead"),
                (1, exited(1, 3), "1:no b.start#2 | auto-restart start dead"),
                (2, exited(2, 0), "| auto-restart dead dead"),
                (101, TICK, "b.start#3 | failed start dead"),
                (102, start(0), "1:no | failed start dead"),
            ],
        ),
        (
            "with RestartMode=direct only the last failure counts",
            watched(|s| {
                s.service.restart = Restart::OnFailure;
                s.service.restart_mode = crate::unit::spec::RestartMode::Direct;
                s.service.start_limit_burst = 1;
            }),
            vec![
                (0, start(0), "a.start#1 | start dead dead"),
                (1, exited(1, 3), "| auto-restart dead dead"),
                (101, TICK, "1:no b.start#2 | failed start dead"),
            ],
        ),
        (
            "one that never was tried, since what it requires has failed",
            watched(|s| needs(s, "d")),
            vec![
                (0, start(0), "d.start#1 | dead dead dead start"),
                (1, exited(1, 1), "1:no b.start#2 | dead start dead failed"),
            ],
        ),
    ];
    for (why, spec, steps) in table {
        let mut units = vec![spec, handler(), handler()];
        if why.starts_with("one that never") {
            units.push(handler());
        }
        play(why, units, &steps);
    }
}

#[test]
fn who_starts_at_the_end_of_one_is_told_of_it() {
    let mut engine = manager(vec![oneshot(|s| s.unit.on_failure = names("b")), oneshot(|_| {})]);
    let actions = go_on(
        "failure",
        &mut engine,
        &[(0, start(0), "a.start#1 | start dead"), (1, exited(1, 3), "1:no b.start#2 | failed start")],
    );
    let spawn = actions.iter().find_map(|action| match action {
        Action::Spawn(spawn) if spawn.run == Run(2) => Some(spawn.clone()),
        _ => None,
    });
    let spawn = spawn.unwrap();
    let told: Vec<String> = spawn.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "MONITOR_SERVICE_RESULT=exit-code",
        "MONITOR_EXIT_CODE=exited",
        "MONITOR_EXIT_STATUS=3",
        "MONITOR_UNIT=a.service",
    ];
    assert_eq!((told, spawn.monitor), (expected.map(str::to_owned).to_vec(), Some(UnitId(0))));
}

#[test]
fn kill_is_no_stop() {
    let kill = |whom| of(0, 6, Verb::Kill { whom, signal: Signal::USR1 });
    let spec = || unit(|s| lines(s, ExecKind::Reload, 1));
    let table: [(&str, Vec<Row>); 3] = [
        (
            "nobody is there",
            vec![
                (0, kill(KillWhom::All), "a.USR1>rest 6:ok | dead"),
                (0, kill(KillWhom::Main), "6:no | dead"),
                (0, kill(KillWhom::Control), "6:no | dead"),
            ],
        ),
        (
            "the main process is",
            vec![
                (0, start(0), "a.start#1 | start"),
                (0, spawned(1), "1:ok | running"),
                (1, kill(KillWhom::Main), "a.USR1>1 6:ok | running"),
                (1, kill(KillWhom::Control), "6:no | running"),
                (1, kill(KillWhom::All), "a.USR1>1 a.USR1>rest 6:ok | running"),
            ],
        ),
        (
            "a control process is, too",
            vec![
                (0, start(0), "a.start#1 | start"),
                (0, spawned(1), "1:ok | running"),
                (1, ask(3, Verb::Reload), "a.reload#2 | reload"),
                (2, kill(KillWhom::Control), "a.USR1>2 6:ok | reload"),
            ],
        ),
    ];
    for (why, steps) in table {
        play(why, vec![spec()], &steps);
    }
}

#[test]
fn a_new_spec_counts_from_the_next_start() {
    let mut engine = manager(vec![plain(), plain()]);
    let changed = || {
        let mut spec = daemon(|s| {
            lines(s, ExecKind::StopPost, 1);
            s.unit.wants = names("b");
        });
        spec.name = "a.service".into();
        spec
    };
    go_on(
        "up",
        &mut engine,
        &[(0, start(0), "a.start#1 | start dead"), (0, spawned(1), "1:ok | running dead")],
    );
    engine.replace(UNIT, changed());
    let again: [Row; 5] = [
        (1, restart(0), "a.TERM>1 a.CONT>1 b.start#2 | stop-sigterm start"),
        (2, exited(1, 0), "a.start#3 | start start"),
        (2, spawned(3), "3:ok | running start"),
        (3, stop(0), "a.TERM>3 a.CONT>3 | stop-sigterm start"),
        (4, exited(3, 0), "a.stop-post#4 | stop-post start"),
    ];
    go_on("the old one to its end, then the new one", &mut engine, &again);
    let mut idle = manager(vec![plain(), plain()]);
    idle.replace(UNIT, changed());
    assert_eq!(idle.service(UNIT).unwrap().spec(), &changed(), "at once where nothing runs");
    idle.alias("other.service", UnitId(1));
    assert_eq!((idle.find("other.service"), idle.find("none.service")), (Some(UnitId(1)), None));
}

#[test]
fn a_manager_stays_until_a_signal_ends_it() {
    let notify = || daemon(|s| s.service.kind = Type::Notify);
    let table: [(&str, Vec<Spec>, Vec<Row>); 5] = [
        (
            "nothing runs, and it stays",
            vec![plain()],
            vec![
                (0, start(0), "a.start#1 | start"),
                (1, exited(1, 1), "1:no | failed"),
                (60_000, TICK, "| failed"),
                (60_001, signal(Signal::HUP), "| failed"),
                (60_002, signal(TERM), "STOPPING=1 TERM>all | failed"),
                (60_003, GONE, "exit=0 | failed"),
            ],
        ),
        (
            "without a unit",
            vec![],
            vec![(0, signal(Signal::realtime(3)), "STOPPING=1 TERM>all |"), (0, GONE, "exit=0 |")],
        ),
        (
            "all stop side by side, whatever their order",
            vec![plain(), daemon(|s| needs(s, "a"))],
            vec![
                (0, start(1), "a.start#1 | start dead"),
                (0, spawned(1), "b.start#2 | running start"),
                (0, spawned(2), "1:ok | running running"),
                (
                    1,
                    signal(TERM),
                    "STOPPING=1 a.TERM>1 a.CONT>1 b.TERM>2 b.CONT>2 | stop-sigterm stop-sigterm",
                ),
                (2, exited(1, 0), "| dead stop-sigterm"),
                (3, signal(TERM), "| dead stop-sigterm"),
                (4, exited(2, 0), "TERM>all | dead dead"),
            ],
        ),
        (
            "who waits for a start is told, and nothing starts any more",
            vec![notify(), oneshot(|_| {})],
            vec![
                (0, start(0), "a.start#1 | start dead"),
                (1, signal(TERM), "STOPPING=1 1:no a.TERM>1 a.CONT>1 | stop-sigterm dead"),
                (2, of(1, 5, Verb::Start), "5:no | stop-sigterm dead"),
                (3, stop(0), "| stop-sigterm dead"),
                (4, exited(1, 0), "2:ok TERM>all | dead dead"),
            ],
        ),
        (
            "neither restarts nor handlers of failures begin",
            vec![
                daemon(|s| (s.service.restart, s.unit.on_failure) = (Restart::Always, names("b"))),
                oneshot(|_| {}),
            ],
            vec![
                (0, start(0), "a.start#1 | start dead"),
                (0, spawned(1), "1:ok | running dead"),
                (1, signal(TERM), "STOPPING=1 a.TERM>1 a.CONT>1 | stop-sigterm dead"),
                (2, exited(1, 9), "TERM>all | failed dead"),
            ],
        ),
    ];
    for (why, units, steps) in table {
        play(why, units, &steps);
    }
}
