//! Judges what was seen by what was recorded: README.md, section "expected.json and how it is compared".

use crate::glob;
use crate::trace::{Proc, Step, Trace};

/// Facts that belong to the machine or to the transport of the log: one more of them is no difference.
const OF_THE_MACHINE: [&str; 9] = [
    "env.LANG",
    "env.JOURNAL_STREAM",
    "env.MEMORY_PRESSURE_*",
    "limit.*",
    "cap_full.*",
    "timerslack",
    "pdeathsig",
    "fd1==fd2",
    "dumpable",
];
/// Seconds by which two events may be seen in the wrong order: they are reported through one pipe, but deaths are not.
const ORDER_SLACK: f64 = 0.02;
/// Times are whole milliseconds, but not as binary fractions.
const ROUNDING: f64 = 1e-6;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Something else happened.
    Fact,
    /// The same happened, at another time: what a machine under load does, too.
    Time,
}

#[derive(Debug)]
pub struct Difference {
    pub kind: Kind,
    pub text: String,
}

/// Everything in which `seen` does not satisfy `expected`, in reading order.
pub fn compare(expected: &Trace, seen: &Trace) -> Vec<Difference> {
    let mut judge = Judge { expected, seen, found: Vec::new() };
    for (number, (x, y)) in expected.steps.iter().zip(&seen.steps).enumerate() {
        judge.step(number, x, y);
    }
    judge.who_was_there();
    for (name, x) in &expected.procs {
        if let Some(y) = seen.procs.get(name) {
            judge.process(name, x, y);
        }
    }
    judge.order();
    judge.show();
    if let Some(x) = &expected.survivors
        && Some(x) != seen.survivors.as_ref()
    {
        let y = seen.survivors.as_deref().unwrap_or_default();
        judge.differs(format!("survivors: expected {}, got {}", names(x), names(y)));
    }
    judge.found
}

struct Judge<'a> {
    expected: &'a Trace,
    seen: &'a Trace,
    found: Vec<Difference>,
}

impl Judge<'_> {
    fn differs(&mut self, text: String) {
        self.found.push(Difference { kind: Kind::Fact, text });
    }

    fn is_late(&mut self, text: String) {
        self.found.push(Difference { kind: Kind::Time, text });
    }

    fn step(&mut self, number: usize, x: &Step, y: &Step) {
        let what = format!("step {number} ({})", x.text);
        let word = |ok: Option<bool>| ok.map_or("still blocked", |ok| if ok { "ok" } else { "failed" });
        if let Some(ok) = x.ok
            && ok != y.ok.flatten()
        {
            self.differs(format!("{what}: expected {}, got {}", word(ok), word(y.ok.flatten())));
        }
        if let Some(out) = &x.out
            && Some(out) != y.out.as_ref()
        {
            let got = y.out.as_deref().unwrap_or_default();
            self.differs(format!("{what} said: expected {out:?}, got {got:?}"));
        }
        if let (Some(expected), Some(got)) = (x.dur, y.dur) {
            let tolerance = x.tolerance.unwrap_or(self.expected.notes.tolerance);
            if (expected - got).abs() > tolerance + ROUNDING {
                self.is_late(format!("{what} took {got:.2} s, expected {expected:.2} +- {tolerance:.2}"));
            }
        }
    }

    fn who_was_there(&mut self) {
        for name in self.expected.procs.keys().filter(|name| !self.seen.procs.contains_key(*name)) {
            self.differs(format!("{name} is missing"));
        }
        // Where the recordings disagreed about who was there, nothing is said of others.
        if self.expected.notes.unstable.iter().any(|note| note.contains("present in only one")) {
            return;
        }
        for (name, proc) in
            self.seen.procs.iter().filter(|(name, _)| !self.expected.procs.contains_key(*name))
        {
            self.differs(format!("{name} was not expected: {}", proc.events.join(", ")));
        }
    }

    fn process(&mut self, name: &str, x: &Proc, y: &Proc) {
        let flags = [
            ("session leader", x.session_leader, y.session_leader),
            ("process group leader", x.pgrp_leader, y.pgrp_leader),
        ];
        for (what, x, y) in flags {
            if let Some(x) = x
                && Some(x) != y
            {
                let word = |yes: bool| if yes { "to be a" } else { "to be no" };
                self.differs(format!("{name}: expected {} {what}", word(x)));
            }
        }
        if let Some(by) = &x.by
            && Some(by) != y.by.as_ref()
        {
            let got = y.by.as_deref().unwrap_or_default();
            self.differs(format!("{name}: expected to be a child of {by}, got {got}"));
        }
        // Older kernels do not tell the observer how a process ended.
        if let (Some(x), Some(y)) = (&x.end, &y.end)
            && x != y
            && x != "dead"
            && y != "dead"
        {
            self.differs(format!("{name} end: expected {x}, got {y}"));
        }
        let got = if x.open { y.events.get(..x.events.len()) } else { Some(y.events.as_slice()) };
        if got != Some(x.events.as_slice()) {
            self.differs(beside(&format!("{name} events"), &x.events, &y.events));
        } else {
            self.times(name, x, y);
        }
        for (key, value) in &x.facts {
            let got = y.facts.get(key);
            if got != Some(value) {
                let got = got.map_or_else(|| "nothing".to_owned(), |got| format!("{got:?}"));
                self.differs(format!("{name} fact {key}: expected {value:?}, got {got}"));
            }
        }
        if self.expected.notes.unstable.is_empty() {
            let of_the_machine = |key: &str| OF_THE_MACHINE.iter().any(|pattern| glob::fits(pattern, key));
            for (key, value) in y.facts.iter().filter(|(key, _)| key.starts_with("env.")) {
                if !x.facts.contains_key(key) && !x.info.contains(key) && !of_the_machine(key) {
                    self.differs(format!("{name} extra fact {key}={value:?}"));
                }
            }
        }
    }

    /// A time is right if it is close to the recorded one, absolutely, or counted from the end of the same
    /// command's previous run, or from its own start.
    fn times(&mut self, name: &str, x: &Proc, y: &Proc) {
        let tolerance = x.tolerance.unwrap_or(self.expected.notes.tolerance);
        let mut references = vec![(0.0, 0.0)];
        let ends = |trace: &Trace, name: &str| trace.procs.get(name).and_then(|proc| proc.t_end);
        if let Some(before) = previous(name)
            && let (Some(expected), Some(got)) = (ends(self.expected, &before), ends(self.seen, &before))
        {
            references.push((expected, got));
        }
        let events = x.events.iter().map(String::as_str).zip(x.t.iter().copied().zip(y.t.iter().copied()));
        let end = x.t_end.zip(y.t_end).map(|times| ("end", times));
        for (event, (expected, got)) in events.chain(end) {
            let close = |(e, g): &(f64, f64)| ((expected - e) - (got - g)).abs() <= tolerance + ROUNDING;
            if !references.iter().any(close) {
                self.is_late(format!(
                    "{name} {event} at {got:.2} s, expected {expected:.2} +- {tolerance:.2}"
                ));
            }
            if event == "start" {
                references.push((expected, got));
            }
        }
    }

    fn order(&mut self) {
        let when = self.seen.moments();
        for (first, second) in &self.expected.notes.before {
            if let (Some(a), Some(b)) = (when.get(first), when.get(second))
                && *a > b + ORDER_SLACK + ROUNDING
            {
                let [first, second] = [first, second].map(|moment| self.in_words(moment));
                self.differs(format!("order: {first} came {:.2} s after {second}, not before", a - b));
            }
        }
    }

    /// `main#1:0` as `main#1 start`.
    fn in_words(&self, moment: &str) -> String {
        let word = || {
            let (name, index) = moment.rsplit_once(':')?;
            let event = self.expected.procs.get(name)?.events.get(index.parse::<usize>().ok()?)?;
            Some(format!("{name} {event}"))
        };
        word().unwrap_or_else(|| moment.replace(':', " "))
    }

    fn show(&mut self) {
        for (label, units) in &self.expected.show {
            for (unit, props) in units {
                let seen = self.seen.show.get(label).and_then(|units| units.get(unit));
                for (key, value) in props {
                    let got = seen.and_then(|props| props.get(key));
                    if got != Some(value) {
                        let got = got.map_or_else(|| "nothing".to_owned(), |got| format!("{got:?}"));
                        self.differs(format!("show {label} {unit} {key}: expected {value:?}, got {got}"));
                    }
                }
            }
        }
    }
}

/// `t#1` for `t#2`.
fn previous(name: &str) -> Option<String> {
    let (name, number) = name.rsplit_once('#')?;
    Some(format!("{name}#{}", number.parse::<u32>().ok()?.checked_sub(1)?))
}

fn names(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(" ") }
}

/// Two lists one below the other; the first place where they part is marked.
fn beside(what: &str, expected: &[String], got: &[String]) -> String {
    let parts = expected.iter().zip(got).take_while(|(x, y)| x == y).count();
    let line = |list: &[String]| {
        let marked =
            |(i, event): (usize, &String)| if i == parts { format!(">> {event}") } else { event.clone() };
        let mut words: Vec<String> = list.iter().enumerate().map(marked).collect();
        if list.len() == parts {
            words.push(">> no more".to_owned());
        }
        words.join(", ")
    };
    format!("{what}:\n  expected {}\n  got      {}", line(expected), line(got))
}
