//! Reads what the helper reported and turns it into a trace: process ids, times and masks of this run become names,
//! seconds and words that are the same in every run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::trace::{Proc, Step, Trace};

/// One line of the observer's log.
pub struct Event {
    /// Milliseconds of the machine's monotonic clock.
    t: f64,
    pid: u32,
    name: String,
    pub kind: String,
    words: BTreeMap<String, String>,
}

/// The life of one helper under one name.
struct Life {
    began: f64,
    died: Option<f64>,
    /// `NAME#K`.
    label: String,
    name: String,
}

/// All that was reported so far.
pub struct Log {
    events: Vec<Event>,
    lives: BTreeMap<u32, Vec<Life>>,
}

/// Capabilities of an ordinary Docker container; sets are compared inside this window.
const DOCKER_CAPS: [(u32, &str); 14] = [
    (0, "CHOWN"),
    (1, "DAC_OVERRIDE"),
    (3, "FOWNER"),
    (4, "FSETID"),
    (5, "KILL"),
    (6, "SETGID"),
    (7, "SETUID"),
    (8, "SETPCAP"),
    (10, "NET_BIND_SERVICE"),
    (13, "NET_RAW"),
    (18, "SYS_CHROOT"),
    (27, "MKNOD"),
    (29, "AUDIT_WRITE"),
    (31, "SETFCAP"),
];

/// The names of signals 1 to 31; the few without one stand as numbers.
const SIGNALS: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "", "XCPU", "XFSZ", "", "", "WINCH",
    "IO", "PWR", "SYS",
];

fn signal(number: u32) -> Option<&'static str> {
    SIGNALS.get(number as usize).copied().filter(|name| !name.is_empty())
}

impl Event {
    fn read(line: &str) -> Option<Event> {
        if !(line.starts_with('{') && line.ends_with('}')) {
            return None; // half a line: the rest comes with the next look
        }
        let json: Value = serde_json::from_str(line).ok()?;
        let mut words = BTreeMap::new();
        for (key, value) in json.as_object()? {
            words.insert(key.clone(), value.as_str().map(bytes_as_text).unwrap_or_default());
        }
        Some(Event {
            t: json.get("t")?.as_f64()?,
            pid: json.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
            name: words.get("name").cloned().unwrap_or_default(),
            kind: words.get("ev").cloned().unwrap_or_default(),
            words,
        })
    }

    fn word(&self, key: &str) -> &str {
        self.words.get(key).map(String::as_str).unwrap_or_default()
    }

    /// As it stands in a trace; the kind alone where it does not.
    pub fn text(&self) -> String {
        match self.kind.as_str() {
            "sig" => format!("sig {} by {}", self.word("sig"), self.word("by")),
            "bye" => format!("bye {}", self.word("code")),
            "notify" => format!("notify {} -> {}", self.word("what"), self.word("r")),
            "raise" => format!("raise {}", self.word("sig")),
            "log" => match self.words.get("what") {
                Some(what) => format!("log {} {what}", self.word("text")),
                None => format!("log {}", self.word("text")),
            },
            kind => kind.to_owned(),
        }
    }
}

/// The helper escapes byte by byte, so each character stands for a byte of what it saw.
fn bytes_as_text(text: &str) -> String {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    match bytes {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => text.to_owned(),
    }
}

impl Log {
    /// Reads the observer's log from where the case began.
    pub fn read(text: &str) -> Log {
        let mut events: Vec<Event> = text.lines().filter_map(Event::read).collect();
        events.sort_by(|a, b| a.t.total_cmp(&b.t));
        let mut count: BTreeMap<&str, u32> = BTreeMap::new();
        let mut lives: BTreeMap<u32, Vec<Life>> = BTreeMap::new();
        for event in &events {
            if event.kind == "start" {
                let number = count.entry(&event.name).or_default();
                *number += 1;
                lives.entry(event.pid).or_default().push(Life {
                    began: event.t,
                    died: None,
                    label: format!("{}#{number}", event.name),
                    name: event.name.clone(),
                });
            } else if event.kind == "dead" {
                for life in lives.get_mut(&event.pid).into_iter().flatten() {
                    life.died.get_or_insert(event.t);
                }
            }
        }
        Log { events, lives }
    }

    /// The process id of `NAME#K`.
    pub fn pid(&self, label: &str) -> Option<u32> {
        let is = |life: &Life| life.label == label;
        self.lives.iter().find(|(_, lives)| lives.iter().any(is)).map(|(pid, _)| *pid)
    }

    /// Has that process reported an event that begins so?
    pub fn has(&self, label: &str, begins: &str) -> bool {
        self.events.iter().filter(|event| event.kind != "mark").any(|event| {
            let mut lives = self.lives.get(&event.pid).into_iter().flatten();
            lives.find(|life| life.name == event.name).is_some_and(|life| life.label == label)
                && event.text().starts_with(begins)
        })
    }

    /// Who has not been seen to die: name and process id.
    pub fn undead(&self) -> Vec<(String, u32)> {
        let last = self.lives.iter().filter_map(|(pid, lives)| Some((*pid, lives.last()?)));
        last.filter(|(_, life)| life.died.is_none()).map(|(pid, life)| (life.label.clone(), pid)).collect()
    }

    /// The name of a process id at a time, in ms; the last one it had, without a time.
    fn named(&self, pid: u32, t: Option<f64>) -> Option<&str> {
        if pid == 1 {
            return Some("supervisor");
        }
        let mut best = None;
        for life in self.lives.get(&pid).into_iter().flatten() {
            // It may be spoken of a little before it reports itself.
            let early = |ms: f64| t.is_none_or(|t| life.began <= t + ms);
            if early(0.001) || (best.is_none() && early(1000.0)) {
                best = Some(life.label.as_str());
            }
        }
        best
    }

    /// `<NAME#K>` for a property or a variable that holds a process id.
    pub fn placeholder(&self, pid: &str) -> String {
        format!("<{}>", pid.parse().ok().and_then(|pid| self.named(pid, None)).unwrap_or("other"))
    }

    /// Fills in the times of `steps` and all processes. `None` if not even the first step was marked.
    pub fn trace(&self, mut steps: Vec<Step>) -> Option<Trace> {
        let zero = self.events.iter().find(|e| e.kind == "mark" && e.word("text") == "step-0")?.t;
        let seconds = |t: f64| thousandths((t - zero) / 1000.0);
        for event in self.events.iter().filter(|event| event.kind == "mark") {
            let mut words = event.word("text").split('-');
            let (kind, number, rest) = (words.next(), words.next(), words.next());
            let Some(step) = number.and_then(|n| n.parse::<usize>().ok()).and_then(|n| steps.get_mut(n))
            else {
                continue;
            };
            let now = seconds(event.t);
            let took = |step: &Step| Some(thousandths(now - step.t.unwrap_or(now)));
            match kind {
                Some("step") => step.t = Some(now),
                Some("end") if is_timed(&step.text) => step.dur = took(step),
                Some("async") => {
                    step.ok = Some(Some(rest == Some("0")));
                    step.dur = took(step);
                }
                _ => {}
            }
        }
        for step in &mut steps {
            if step.text.ends_with(" &") && step.ok.is_none() {
                step.ok = Some(None);
            }
        }
        Some(Trace { steps, procs: self.procs(&seconds), ..Trace::default() })
    }

    fn procs(&self, seconds: &dyn Fn(f64) -> f64) -> BTreeMap<String, Proc> {
        let mut procs: BTreeMap<String, Proc> = BTreeMap::new();
        let mut current: BTreeMap<u32, String> = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.kind != "mark") {
            let now = seconds(event.t);
            if event.kind == "start" {
                let Some(label) = self.named(event.pid, Some(event.t)) else { continue };
                let parent = event.word("ppid").parse().ok().and_then(|ppid| self.named(ppid, Some(event.t)));
                current.insert(event.pid, label.to_owned());
                let proc = Proc {
                    by: Some(parent.unwrap_or("other").to_owned()),
                    session_leader: Some(event.word("leader") == "1"),
                    pgrp_leader: Some(event.word("pgleader") == "1"),
                    events: vec!["start".to_owned()],
                    t: vec![now],
                    end: Some("running".to_owned()),
                    ..Proc::default()
                };
                procs.insert(label.to_owned(), proc);
                continue;
            }
            let Some(proc) = current.get(&event.pid).and_then(|label| procs.get_mut(label)) else { continue };
            match event.kind.as_str() {
                "fact" => self.fact(&mut proc.facts, event),
                "dead" => {
                    proc.t_end = Some(now);
                    proc.end = Some("dead".to_owned());
                }
                "reaped" => proc.end = event.word("status").parse().ok().map(end).or(proc.end.take()),
                _ => {
                    proc.events.push(self.without_numbers(&event.text(), event.t));
                    proc.t.push(now);
                }
            }
        }
        procs
    }

    /// Replaces what is different in each run inside of a readiness message.
    fn without_numbers(&self, text: &str, t: f64) -> String {
        let mut out = String::new();
        let mut rest = text;
        const KEYS: [&str; 3] = ["MAINPID=", "PID=", "MONOTONIC_USEC="];
        while let Some((at, key)) = KEYS.iter().filter_map(|key| Some((rest.find(key)?, *key))).min() {
            let begins = rest[..at].chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
            let (head, tail) = rest.split_at(at + key.len());
            let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            out.push_str(head);
            rest = &tail[digits..];
            match key {
                _ if digits == 0 => {}
                "MONOTONIC_USEC=" => out.push_str("<now>"),
                _ if begins => {
                    let name = tail[..digits].parse().ok().and_then(|pid| self.named(pid, Some(t)));
                    out.push_str(&format!("<{}>", name.unwrap_or("?")));
                }
                _ => out.push_str(&tail[..digits]),
            }
        }
        out + rest
    }

    fn fact(&self, facts: &mut BTreeMap<String, String>, event: &Event) {
        let (key, value) = (event.word("k"), event.word("v"));
        let pid = value.bytes().all(|c| c.is_ascii_digit()).then(|| value.parse::<u32>().ok()).flatten();
        let who = |pid: u32| match self.named(pid, Some(event.t)) {
            _ if pid == event.pid => Some("self"),
            name => name,
        };
        let said = match key {
            _ if key.starts_with("cap.") => {
                facts.insert(format!("cap_full.{}", &key["cap.".len()..]), value.to_owned());
                capabilities(value)
            }
            _ if key.starts_with("sig.") => {
                let mask = u64::from_str_radix(value, 16).unwrap_or(0);
                let number = (1..=64).filter(|n| mask >> (n - 1) & 1 == 1);
                join(number.map(|n| signal(n).map_or_else(|| format!("RT{n}"), str::to_owned)))
            }
            "env.INVOCATION_ID"
            | "env.NOTIFY_SOCKET"
            | "env.JOURNAL_STREAM"
            | "env.MONITOR_INVOCATION_ID"
                if value != "<unset>" =>
            {
                "<present>".to_owned()
            }
            "env.MAINPID"
            | "env.SYSTEMD_EXEC_PID"
            | "env.WATCHDOG_PID"
            | "env.LISTEN_PID"
            | "env.REMOTE_PORT" => {
                pid.map_or_else(|| value.to_owned(), |pid| format!("<{}>", who(pid).unwrap_or("other")))
            }
            _ if key.starts_with("argv.") => match pid.filter(|pid| *pid > 1) {
                // An argument that is a number need not be a process.
                Some(pid) if self.named(pid, Some(event.t)).is_some() => {
                    format!("<{}>", who(pid).unwrap_or_default())
                }
                _ => value.to_owned(),
            },
            // Whatever pipe or socket the supervisor collects the output with.
            "fd0" | "fd1" | "fd2" if matches!(value, "socket" | "fifo") => "log".to_owned(),
            _ => value.to_owned(),
        };
        facts.insert(key.to_owned(), said);
    }
}

/// The names inside the window, `all` if that is all of them.
fn capabilities(hex: &str) -> String {
    let mask = u64::from_str_radix(hex, 16).unwrap_or(0);
    let inside: Vec<&str> =
        DOCKER_CAPS.iter().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, name)| *name).collect();
    if inside.len() == DOCKER_CAPS.len() { "all".to_owned() } else { inside.join(" ") }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// A wait status (wait(2)) in words.
fn end(status: u32) -> String {
    match status & 0x7f {
        0 => format!("exited {}", status >> 8),
        number => format!("killed {}", signal(number).map_or_else(|| number.to_string(), str::to_owned)),
    }
}

/// Does the time that a step takes say something about the supervisor?
fn is_timed(step: &str) -> bool {
    const NOT: [&str; 10] =
        ["wait", "sh", "do", "unit-sed", "await", "show", "signal", "is-active", "is-failed", "kill"];
    !step.ends_with('&') && !NOT.contains(&step.split_whitespace().next().unwrap_or_default())
}

fn thousandths(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
