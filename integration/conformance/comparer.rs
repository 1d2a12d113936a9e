//! Is the judge of the conformance cases just? It is shown traces that are made up, on both sides of each boundary.
//!
//! A row is a recording, what was seen, and what the judge must say. Both are JSON as in README.md, but for what
//! all rows have in common.
#![forbid(unsafe_code)]
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(dead_code, reason = "a part of the runner is used")]

mod case;
mod clock;
mod compare;
mod driver;
mod glob;
mod known;
mod trace;
mod watch;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use compare::{Kind, compare};
use known::Known;
use trace::{Step, Trace};
use watch::Log;

/// A trace of parts: what `more` does not say is empty.
fn trace(more: Value) -> Trace {
    let mut json = json!({"steps": [], "procs": {}, "show": {}, "survivors": [], "tolerance": 0.45});
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    Trace::from_json(&json).unwrap()
}

/// What the judge says, one line a difference; late ones begin with `late: `.
fn said(expected: Value, seen: Value) -> Vec<String> {
    let found = compare(&trace(expected), &trace(seen));
    let mark = |kind| if kind == Kind::Time { "late: " } else { "" };
    found.into_iter().map(|d| format!("{}{}", mark(d.kind), d.text)).collect()
}

/// A process that started at `start`, and ended at `end`.
fn proc(start: f64, end: f64) -> Value {
    json!({"events": ["start", "bye 0"], "t": [start, end], "t_end": end})
}

type Rows<'a> = &'a [(&'a str, Value, Value, &'a [&'a str])];

fn judge(rows: Rows) {
    for (why, expected, seen, differences) in rows {
        assert_eq!(said(expected.clone(), seen.clone()), *differences, "{why}");
    }
}

#[test]
fn a_step_is_judged_by_its_result_and_its_time() {
    let step = |more: Value| {
        let mut step = json!({"do": "start", "t": 0.0});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"steps": [step]})
    };
    judge(&[
        ("the same", step(json!({"ok": true})), step(json!({"ok": true})), &[]),
        (
            "another result",
            step(json!({"ok": true})),
            step(json!({"ok": false})),
            &["step 0 (start): expected ok, got failed"],
        ),
        ("still blocked, as it was", step(json!({"ok": null})), step(json!({"ok": null})), &[]),
        (
            "no longer blocked",
            step(json!({"ok": null})),
            step(json!({"ok": true})),
            &["step 0 (start): expected still blocked, got ok"],
        ),
        ("the recordings disagreed", step(json!({})), step(json!({"ok": false})), &[]),
        ("the same words", step(json!({"out": "active"})), step(json!({"out": "active"})), &[]),
        (
            "other words",
            step(json!({"out": "active"})),
            step(json!({"out": "failed"})),
            &["step 0 (start) said: expected \"active\", got \"failed\""],
        ),
        ("within the tolerance", step(json!({"dur": 1.0})), step(json!({"dur": 1.45})), &[]),
        ("early within the tolerance", step(json!({"dur": 1.0})), step(json!({"dur": 0.55})), &[]),
        (
            "one past the tolerance",
            step(json!({"dur": 1.0})),
            step(json!({"dur": 1.46})),
            &["late: step 0 (start) took 1.46 s, expected 1.00 +- 0.45"],
        ),
        (
            "a noisy step has its own tolerance",
            step(json!({"dur": 1.0, "tolerance": 0.6})),
            step(json!({"dur": 1.6})),
            &[],
        ),
        (
            "and one past that",
            step(json!({"dur": 1.0, "tolerance": 0.6})),
            step(json!({"dur": 1.61})),
            &["late: step 0 (start) took 1.61 s, expected 1.00 +- 0.60"],
        ),
    ]);
}

#[test]
fn processes_are_judged_by_who_they_are_and_what_they_say() {
    let one = |more: Value| {
        let mut one = json!({"events": ["start"], "t": [0.0]});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"procs": {"main#1": one}})
    };
    let with = |mut json: Value, key: &str, value: Value| {
        json[key] = value;
        json
    };
    let events = |list: Value| {
        let times: Vec<f64> = list.as_array().unwrap().iter().map(|_| 0.0).collect();
        one(json!({"events": list, "t": times}))
    };
    judge(&[
        ("nobody", json!({}), json!({}), &[]),
        ("one is missing", one(json!({})), json!({}), &["main#1 is missing"]),
        (
            "one too many",
            json!({}),
            events(json!(["start", "bye 0"])),
            &["main#1 was not expected: start, bye 0"],
        ),
        (
            "the recordings disagreed about who was there",
            json!({"unstable": ["procs.x#1: present in only one recording"]}),
            one(json!({})),
            &[],
        ),
        (
            "another parent",
            one(json!({"by": "supervisor"})),
            one(json!({"by": "other"})),
            &["main#1: expected to be a child of supervisor, got other"],
        ),
        ("a parent that is not compared", one(json!({})), one(json!({"by": "other"})), &[]),
        (
            "no session of its own",
            one(json!({"session_leader": true})),
            one(json!({"session_leader": false})),
            &["main#1: expected to be a session leader"],
        ),
        (
            "a group of its own",
            one(json!({"pgrp_leader": false})),
            one(json!({"pgrp_leader": true})),
            &["main#1: expected to be no process group leader"],
        ),
        (
            "another end",
            one(json!({"end": "exited 0"})),
            one(json!({"end": "killed TERM"})),
            &["main#1 end: expected exited 0, got killed TERM"],
        ),
        (
            "an end of which nothing is known",
            one(json!({"end": "exited 0"})),
            one(json!({"end": "dead"})),
            &[],
        ),
        (
            "but it is one",
            one(json!({"end": "running"})),
            one(json!({"end": "exited 0"})),
            &["main#1 end: expected running, got exited 0"],
        ),
        (
            "another event",
            events(json!(["start", "sig TERM by supervisor", "bye 0"])),
            events(json!(["start", "sig INT by supervisor", "bye 0"])),
            &[
                "main#1 events:\n  expected start, >> sig TERM by supervisor, bye 0\n  got      start, >> sig INT by \
               supervisor, bye 0",
            ],
        ),
        (
            "one event fewer",
            events(json!(["start", "bye 0"])),
            events(json!(["start"])),
            &["main#1 events:\n  expected start, >> bye 0\n  got      start, >> no more"],
        ),
        ("an open end may have more", one(json!({"open": true})), events(json!(["start", "log x"])), &[]),
        (
            "but not fewer",
            one(json!({"open": true})),
            one(json!({"events": [], "t": []})),
            &["main#1 events:\n  expected >> start\n  got      >> no more"],
        ),
        (
            "another fact",
            one(json!({"facts": {"nice": "0"}})),
            one(json!({"facts": {"nice": "5"}})),
            &["main#1 fact nice: expected \"0\", got \"5\""],
        ),
        (
            "a fact is missing",
            one(json!({"facts": {"nice": "0"}})),
            one(json!({})),
            &["main#1 fact nice: expected \"0\", got nothing"],
        ),
        ("facts for information", one(json!({"info": {"a": "1"}})), one(json!({"facts": {"a": "2"}})), &[]),
        ("a fact that was not recorded", one(json!({})), one(json!({"facts": {"nice": "5"}})), &[]),
        (
            "but no more variables",
            one(json!({})),
            one(json!({"facts": {"env.X": "1"}})),
            &["main#1 extra fact env.X=\"1\""],
        ),
        ("unless they are the machine's", one(json!({})), one(json!({"facts": {"env.LANG": "C"}})), &[]),
        (
            "or are for information",
            one(json!({"info": {"env.X": ""}})),
            one(json!({"facts": {"env.X": "1"}})),
            &[],
        ),
        (
            "or the recordings disagreed",
            with(one(json!({})), "unstable", json!(["procs.main#1.facts[env.Y]: 1 / 2"])),
            one(json!({"facts": {"env.X": "1"}})),
            &[],
        ),
    ]);
}

#[test]
fn a_time_counts_from_the_start_of_the_case_the_last_run_or_the_own_start() {
    let two = |a: Value, b: Value| json!({"procs": {"main#1": a, "main#2": b}});
    let one = |a: Value| json!({"procs": {"main#1": a}});
    judge(&[
        ("close", one(proc(1.0, 2.0)), one(proc(1.45, 2.45)), &[]),
        (
            "a start just past the tolerance; its end is counted from it",
            one(proc(1.0, 2.0)),
            one(proc(1.46, 2.46)),
            &["late: main#1 start at 1.46 s, expected 1.00 +- 0.45"],
        ),
        (
            "an end that is late in both counts",
            one(proc(1.0, 2.0)),
            one(proc(1.1, 2.56)),
            &[
                "late: main#1 bye 0 at 2.56 s, expected 2.00 +- 0.45",
                "late: main#1 end at 2.56 s, expected 2.00 +- 0.45",
            ],
        ),
        (
            "a restart counted from the end of the run before",
            two(proc(0.0, 1.0), proc(2.0, 3.0)),
            two(proc(0.4, 1.4), proc(2.8, 3.8)),
            &[],
        ),
        (
            "a restart that is late even so",
            two(proc(0.0, 1.0), proc(2.0, 3.0)),
            two(proc(0.4, 1.4), proc(2.86, 3.86)),
            &["late: main#2 start at 2.86 s, expected 2.00 +- 0.45"],
        ),
        (
            "without the end of the run before there is one count less",
            two(json!({"events": ["start"], "t": [0.0]}), proc(2.0, 3.0)),
            two(json!({"events": ["start"], "t": [0.4]}), proc(2.8, 3.8)),
            &["late: main#2 start at 2.80 s, expected 2.00 +- 0.45"],
        ),
        (
            "a noisy process has its own tolerance",
            one(json!({"events": ["start"], "t": [1.0], "tolerance": 0.7})),
            one(json!({"events": ["start"], "t": [1.7]})),
            &[],
        ),
        (
            "an end that was not seen is no time",
            one(proc(1.0, 2.0)),
            one(json!({"events": ["start", "bye 0"], "t": [1.0, 2.0]})),
            &[],
        ),
    ]);
}

#[test]
fn order_is_judged_by_the_recorded_pairs() {
    let both = |a: f64, b: f64| {
        json!({
            "procs": {
                "a#1": {"events": ["start"], "t": [a], "t_end": 9.0},
                "b#1": {"events": ["start"], "t": [b], "t_end": 9.0},
            },
            "before": [["a#1:0", "b#1:0"]],
        })
    };
    let mut end = both(0.1, 0.2);
    end["before"] = json!([["a#1:end", "b#1:0"]]);
    let mut none = both(0.1, 0.2);
    none["before"] = json!([["a#1:7", "b#1:0"], ["c#1:0", "b#1:0"]]);
    judge(&[
        ("in order", both(0.1, 0.2), both(0.1, 0.2), &[]),
        ("at once", both(0.1, 0.2), both(0.2, 0.2), &[]),
        ("late by the slack", both(0.1, 0.2), both(0.219, 0.2), &[]),
        (
            "later than the slack",
            both(0.1, 0.2),
            both(0.221, 0.2),
            &["order: a#1 start came 0.02 s after b#1 start, not before"],
        ),
        (
            "an end is a moment, too",
            end,
            both(0.1, 0.2),
            &["order: a#1 end came 8.80 s after b#1 start, not before"],
        ),
        ("who was not there is in no order", none, both(0.1, 0.2), &[]),
    ]);
}

#[test]
fn what_is_shown_and_who_lives_on_is_exact() {
    let show = |props: Value| json!({"show": {"final": {"t.service": props}}});
    let live = |list: Value| json!({"survivors": list});
    judge(&[
        ("the same", show(json!({"Result": "success"})), show(json!({"Result": "success"})), &[]),
        ("one more is no difference", show(json!({})), show(json!({"Result": "success"})), &[]),
        (
            "another value",
            show(json!({"Result": "success"})),
            show(json!({"Result": "signal"})),
            &["show final t.service Result: expected \"success\", got \"signal\""],
        ),
        (
            "none at all",
            show(json!({"Result": "success"})),
            json!({}),
            &["show final t.service Result: expected \"success\", got nothing"],
        ),
        ("the same survivors", live(json!(["a#1"])), live(json!(["a#1"])), &[]),
        ("one survivor more", live(json!([])), live(json!(["a#1"])), &["survivors: expected none, got a#1"]),
        (
            "one fewer",
            live(json!(["a#1", "b#1"])),
            live(json!(["a#1"])),
            &["survivors: expected a#1 b#1, got a#1"],
        ),
        ("the recordings disagreed", live(json!(null)), live(json!(["a#1"])), &[]),
    ]);
}

/// Lines as the observer writes them; the case's first step begins at 1000 ms.
fn log(lines: &[&str]) -> Trace {
    let mut text =
        String::from("{\"t\":1000.0,\"pid\":9,\"name\":\"harness\",\"ev\":\"mark\",\"text\":\"step-0\"}\n");
    for line in lines {
        let (time, rest) = line.split_once(' ').unwrap();
        text.push_str(&format!("{{\"t\":{time},{rest}}}\n"));
    }
    text.push_str("{\"t\":1");
    let step = |text: &str| Step { text: text.to_owned(), ..Step::default() };
    Log::read(&text).trace(vec![step("start"), step("wait 1"), step("stop &")]).unwrap()
}

#[test]
fn a_log_becomes_a_trace_without_the_numbers_of_one_run() {
    let trace = log(&[
        "1100 \"pid\":20,\"name\":\"main\",\"ev\":\"start\",\"ppid\":\"1\",\"leader\":\"1\",\"pgleader\":\"0\"",
        "1150 \"pid\":20,\"name\":\"main\",\"ev\":\"notify\",\"what\":\"MAINPID=21|XPID=21\",\"r\":\"ok\"",
        "1160 \"pid\":20,\"name\":\"main\",\"ev\":\"notify\",\"what\":\"RELOADING=1|MONOTONIC_USEC=77\",\"r\":\"ok\"",
        "1200 \"pid\":21,\"name\":\"kid\",\"ev\":\"start\",\"ppid\":\"20\",\"leader\":\"0\",\"pgleader\":\"0\"",
        "1300 \"pid\":21,\"name\":\"kid\",\"ev\":\"sig\",\"sig\":\"TERM\",\"by\":\"supervisor\"",
        "1310 \"pid\":21,\"name\":\"kid\",\"ev\":\"log\",\"text\":\"gr\\u00c3\\u00bcn\"",
        "1400 \"pid\":21,\"name\":\"kid\",\"ev\":\"dead\"",
        "1400 \"pid\":21,\"name\":\"kid\",\"ev\":\"reaped\",\"status\":\"9\"",
        "1500 \"pid\":9,\"name\":\"harness\",\"ev\":\"mark\",\"text\":\"end-0\"",
        "1500 \"pid\":9,\"name\":\"harness\",\"ev\":\"mark\",\"text\":\"step-1\"",
        "1600 \"pid\":20,\"name\":\"main\",\"ev\":\"dead\"",
        "1600 \"pid\":20,\"name\":\"main\",\"ev\":\"reaped\",\"status\":\"1792\"",
        "1700 \"pid\":20,\"name\":\"main\",\"ev\":\"start\",\"ppid\":\"5\",\"leader\":\"1\",\"pgleader\":\"1\"",
        "1800 \"pid\":9,\"name\":\"harness\",\"ev\":\"mark\",\"text\":\"end-1\"",
    ]);
    let table = [
        ("the first", "main#1", "supervisor", "exited 7", Some(0.6)),
        ("its child", "kid#1", "main#1", "killed KILL", Some(0.4)),
        ("the same pid, later", "main#2", "other", "running", None),
    ];
    assert_eq!(trace.procs.len(), table.len());
    for (why, name, by, end, t_end) in table {
        let proc = &trace.procs[name];
        assert_eq!(
            (proc.by.as_deref(), proc.end.as_deref(), proc.t_end),
            (Some(by), Some(end), t_end),
            "{why}"
        );
    }
    assert_eq!(
        trace.procs["main#1"].events,
        ["start", "notify MAINPID=<kid#1>|XPID=21 -> ok", "notify RELOADING=1|MONOTONIC_USEC=<now> -> ok"]
    );
    assert_eq!(trace.procs["kid#1"].events, ["start", "sig TERM by supervisor", "log grün"]);
    assert_eq!(trace.procs["kid#1"].t, [0.2, 0.3, 0.31]);
    let flags = |name: &str| (trace.procs[name].session_leader, trace.procs[name].pgrp_leader);
    assert_eq!((flags("main#1"), flags("kid#1")), ((Some(true), Some(false)), (Some(false), Some(false))));
    let steps: Vec<_> = trace.steps.iter().map(|step| (step.dur, step.ok)).collect();
    assert_eq!(
        steps,
        [(Some(0.5), None), (None, None), (None, Some(None))],
        "waiting has no time of its own"
    );
}

#[test]
fn facts_are_the_same_on_every_machine() {
    let table = [
        ("a capability set has names", "cap.eff", "0000000000000021", "CHOWN KILL"),
        ("all that a container has", "cap.eff", "00000000a80425fb", "all"),
        ("with more beyond the window", "cap.bnd", "000001ffffffffff", "all"),
        ("none", "cap.eff", "0000000000000000", ""),
        ("a mask of signals", "sig.ign", "0000000000001000", "PIPE"),
        ("real-time signals", "sig.blk", "8000000000000001", "HUP RT64"),
        ("what is new each time is there", "env.INVOCATION_ID", "abc", "<present>"),
        ("or not", "env.INVOCATION_ID", "<unset>", "<unset>"),
        ("the own pid", "env.SYSTEMD_EXEC_PID", "20", "<self>"),
        ("a known pid", "env.MAINPID", "21", "<kid#1>"),
        ("an unknown pid", "env.MAINPID", "77", "<other>"),
        ("not a pid", "env.MAINPID", "x7", "x7"),
        ("any other variable", "env.N", "21", "21"),
        ("an argument that is a pid", "argv.01", "21", "<kid#1>"),
        ("an argument that is a number", "argv.01", "77", "77"),
        ("one is a number, not the supervisor", "argv.01", "1", "1"),
        ("where output goes", "fd1", "socket", "log"),
        ("or does not", "fd1", "null", "null"),
    ];
    for (why, key, value, expected) in table {
        let fact =
            format!("1300 \"pid\":20,\"name\":\"main\",\"ev\":\"fact\",\"k\":\"{key}\",\"v\":\"{value}\"");
        let trace = log(&[
            "1100 \"pid\":20,\"name\":\"main\",\"ev\":\"start\",\"ppid\":\"1\",\"leader\":\"1\",\"pgleader\":\"1\"",
            "1200 \"pid\":21,\"name\":\"kid\",\"ev\":\"start\",\"ppid\":\"20\",\"leader\":\"0\",\"pgleader\":\"0\"",
            &fact,
        ]);
        assert_eq!(trace.procs["main#1"].facts[key], expected, "{why}");
    }
}

#[test]
fn a_log_answers_while_the_case_is_played() {
    let text = "\
{\"t\":1.0,\"pid\":20,\"name\":\"main\",\"ev\":\"start\",\"ppid\":\"1\"}
{\"t\":2.0,\"pid\":21,\"name\":\"kid\",\"ev\":\"start\",\"ppid\":\"20\"}
{\"t\":3.0,\"pid\":20,\"name\":\"main\",\"ev\":\"sig\",\"sig\":\"HUP\",\"by\":\"supervisor\"}
{\"t\":4.0,\"pid\":20,\"name\":\"main\",\"ev\":\"dead\"}
";
    let log = Log::read(text);
    assert_eq!(log.undead(), [("kid#1".to_owned(), 21)]);
    assert_eq!((log.pid("main#1"), log.pid("main#2")), (Some(20), None));
    let table = [
        ("an event of it", "main#1", "sig HUP", true),
        ("of another", "kid#1", "sig HUP", false),
        ("that did not come", "main#1", "sig TERM", false),
        ("its death", "main#1", "dead", true),
    ];
    for (why, name, begins, has) in table {
        assert_eq!(log.has(name, begins), has, "{why}");
    }
}

/// A recording satisfies itself, and what it says comes through reading and writing.
#[test]
fn every_recording_can_be_read_and_agrees_with_itself() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/conformance/cases");
    let names = case::find(&cases, &[]).unwrap();
    assert!(names.len() >= 240, "{} cases", names.len());
    for name in names {
        let case = case::Case::read(&cases, &name).unwrap();
        let expected = case.expected("expected.json").unwrap();
        let found = compare(&expected, &expected);
        assert!(found.is_empty(), "{name}: {found:?}");
        let again = Trace::from_json(&expected.to_json()).unwrap();
        assert!(compare(&expected, &again).is_empty(), "{name} is not the same once written");
        assert!(
            !case.title.is_empty() && ["portable", "privileged"].contains(&case.class.as_str()),
            "{name}"
        );
    }
}

#[test]
fn every_driver_and_the_known_differences_can_be_read() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/conformance");
    for entry in fs::read_dir(here.join("drivers")).unwrap().flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "json") {
            assert!(driver::Driver::read(&entry.path()).is_ok(), "{}", entry.path().display());
        }
    }
    let known = Known::read(&fs::read_to_string(here.join("known-differences.txt")).unwrap()).unwrap();
    for case in known.cases() {
        assert!(here.join("cases").join(case).join("case.json").exists(), "{case} is no case");
    }
}

#[test]
fn words_reach_the_shell_as_they_are() {
    let table = [
        ("a plain one", "t.service", "t.service"),
        ("an instance", "a@b.service", "a@b.service"),
        ("none", "", "''"),
        ("blanks", "a b", "'a b'"),
        ("a quote", "a'b", "'a'\"'\"'b'"),
        ("a backslash", "a\\x2db.service", "'a\\x2db.service'"),
    ];
    for (why, word, expected) in table {
        assert_eq!(driver::quoted(word), expected, "{why}");
    }
}

#[test]
fn a_pattern_fits_as_the_shell_says() {
    let table = [
        ("itself", "env.LANG", "env.LANG", true),
        ("not a part", "env.LANG", "env.LANGUAGE", false),
        ("a star is any text", "limit.*", "limit.NOFILE", true),
        ("and no text", "limit.*", "limit.", true),
        ("but what is before it must be there", "limit.*", "limi", false),
        ("a star crosses a slash", "kill*", "kill/mode-none", true),
        ("a star in the middle gives back", "*/mode-*-dies", "kill/mode-none-main-dies", true),
        ("a mark is one character", "t.0?", "t.01", true),
        ("not none", "t.0?", "t.0", false),
        ("a set", "[kr]*", "restart", true),
        ("not in the set", "[kr]*", "types", false),
        ("a range", "x[0-9]", "x7", true),
        ("one past the range", "x[0-8]", "x9", false),
        ("a negated set", "x[!0-9]", "x7", false),
        ("a set without an end is text", "x[0", "x[0", true),
    ];
    for (why, pattern, text, fits) in table {
        assert_eq!(glob::fits(pattern, text), fits, "{why}: {pattern} {text}");
    }
}

#[test]
fn a_line_is_a_case_and_a_reason() {
    let table = [
        ("a comment is none", "# a\n\n", Ok(vec![])),
        ("a case and its reason", "kill/x  because, see docs", Ok(vec![("kill/x", "because, see docs")])),
        ("two", "kill/x a\nenv/y b", Ok(vec![("env/y", "b"), ("kill/x", "a")])),
        ("no reason", "kill/x", Err("known-differences.txt:1: kill/x has no reason")),
        ("no reason but space", "\nkill/x  ", Err("known-differences.txt:2: kill/x has no reason")),
        ("an area", "kill because", Err("known-differences.txt:1: kill is no case: area/name")),
        ("twice", "kill/x a\nkill/x a", Err("known-differences.txt:2: kill/x is there twice")),
    ];
    for (why, text, expected) in table {
        let expected = expected
            .map(|rows| Known(rows.into_iter().map(|(c, r)| (c.to_owned(), r.to_owned())).collect()))
            .map_err(str::to_owned);
        assert_eq!(Known::read(text), expected, "{why}");
    }
}
