//! Is it alive, ready, started? What a snapshot says to each probe.
//!
//! The checks come in a fixed order: PID 1 itself, the system, then each component as it was loaded. A
//! probe passes when all of its checks do. Pure, and here rather than in the engine because the health
//! role, which gives the answers, knows only the wire.
#![forbid(unsafe_code)]

use super::{Component, Phase, Snapshot};

/// The reason when PID 1 has not answered in time.
pub const NO_ANSWER: &str = "PID 1 did not answer";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// Does it work at all? Where not, it should be killed.
    Live,
    /// Does it want requests?
    Ready,
    /// Has the first start of everything finished, once and for all?
    Startup,
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check<'a> {
    /// `ping`, `stopping`, `startup` or a unit's name.
    pub name: &'a str,
    /// Why it fails; `None` when it passes.
    pub failure: Option<String>,
}

impl Probe {
    /// All of them.
    pub const ALL: [Probe; 3] = [Probe::Live, Probe::Ready, Probe::Startup];

    /// `live`, `ready` or `startup`.
    pub const fn word(self) -> &'static str {
        match self {
            Probe::Live => "live",
            Probe::Ready => "ready",
            Probe::Startup => "startup",
        }
    }
}

/// The checks of a probe. Without a snapshot PID 1 has not answered, and nothing else is known.
pub fn checks(probe: Probe, snapshot: Option<&Snapshot>) -> Vec<Check<'_>> {
    let Some(snapshot) = snapshot else {
        return vec![check("ping", false, || NO_ANSWER.into())];
    };
    let mut checks = Vec::with_capacity(snapshot.components.len().saturating_add(2));
    checks.push(check("ping", true, String::new));
    match probe {
        Probe::Live => {}
        Probe::Ready => {
            let stopping = matches!(snapshot.phase, Phase::Draining | Phase::Stopping);
            let reason = || format!("a stop has begun, tinysvc is {}", snapshot.phase.word());
            checks.push(check("stopping", !stopping, reason));
        }
        Probe::Startup => {
            let reason = || "the first start has not finished".into();
            checks.push(check("startup", snapshot.startup_done, reason));
        }
    }
    for c in &snapshot.components {
        let (counts, passes) = match probe {
            Probe::Live => (c.essential, !c.failed_for_good),
            Probe::Ready => (c.wanted, c.active && c.ready),
            // A unit that is stopped later has been started all the same.
            Probe::Startup => (c.wanted, c.started_once || snapshot.startup_done),
        };
        if counts {
            checks.push(check(&c.name, passes, || reason(c)));
        }
    }
    checks
}

/// The check of this name; a unit's may be given without `.service`.
pub fn find<'a, 'b>(checks: &'b [Check<'a>], name: &str) -> Option<&'b Check<'a>> {
    let exact = checks.iter().find(|c| c.name == name);
    exact.or_else(|| checks.iter().find(|c| c.name.strip_suffix(".service") == Some(name)))
}

fn check(name: &str, passes: bool, reason: impl FnOnce() -> String) -> Check<'_> {
    Check { name, failure: if passes { None } else { Some(reason()) } }
}

/// `auto-restart, result exit-code, code=exited, status=1/FAILURE`, and what the service says of itself.
fn reason(c: &Component) -> String {
    let mut text = c.state.clone();
    if c.active && !c.ready {
        text.push_str(", not ready");
    }
    for (word, value) in [(", result ", &c.result), (", ", &c.last_exit), (": ", &c.status)] {
        if !value.is_empty() && value != "success" {
            text.push_str(word);
            text.push_str(&printable(value));
        }
    }
    text
}

/// `text` on one line: a control character becomes its escape.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use Probe::{Live, Ready, Startup};

    fn component(name: &str) -> Component {
        Component {
            name: name.into(),
            state: "running".into(),
            result: "success".into(),
            active: true,
            ready: true,
            wanted: true,
            essential: true,
            started_once: true,
            ..Component::default()
        }
    }

    fn snapshot(components: Vec<Component>) -> Snapshot {
        Snapshot {
            nonce: 0,
            version: String::new(),
            phase: Phase::Running,
            startup_done: true,
            now: 0,
            started: 0,
            orphans_reaped: None,
            components,
        }
    }

    /// `name` for a check that passes, `name: reason` for one that fails.
    fn say(probe: Probe, snapshot: Option<&Snapshot>) -> String {
        let line = |c: &Check<'_>| match &c.failure {
            None => c.name.to_owned(),
            Some(reason) => format!("{}: {reason}", c.name),
        };
        checks(probe, snapshot).iter().map(line).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn the_verdicts() {
        let well = || snapshot(vec![component("a.service"), component("b.service")]);
        let with = |change: &dyn Fn(&mut Snapshot)| {
            let mut snapshot = well();
            change(&mut snapshot);
            Some(snapshot)
        };
        let restarting = |c: &mut Component| {
            (c.active, c.ready, c.state) = (false, false, "auto-restart".into());
            (c.result, c.last_exit) = ("exit-code".into(), "code=exited, status=1/FAILURE".into());
        };
        let table = [
            ("all is well", Live, with(&|_| ()), "ping | a.service | b.service"),
            ("all is well", Ready, with(&|_| ()), "ping | stopping | a.service | b.service"),
            ("all is well", Startup, with(&|_| ()), "ping | startup | a.service | b.service"),
            ("nobody answers", Live, None, "ping: PID 1 did not answer"),
            ("nobody answers", Ready, None, "ping: PID 1 did not answer"),
            ("nobody answers", Startup, None, "ping: PID 1 did not answer"),
            (
                "a crash is no reason to kill",
                Live,
                with(&|s| restarting(&mut s.components[0])),
                "ping | a.service | b.service",
            ),
            (
                "but one to send no requests",
                Ready,
                with(&|s| restarting(&mut s.components[0])),
                "ping | stopping | a.service: auto-restart, result exit-code, code=exited, status=1/FAILURE | b.service",
            ),
            (
                "failed for good",
                Live,
                with(&|s| {
                    s.components[1].failed_for_good = true;
                    s.components[1].state = "failed".into();
                    s.components[1].result = "start-limit-hit".into();
                }),
                "ping | a.service | b.service: failed, result start-limit-hit",
            ),
            (
                "failed for good, but not essential",
                Live,
                with(&|s| (s.components[1].failed_for_good, s.components[1].essential) = (true, false)),
                "ping | a.service",
            ),
            (
                "up, and has not said READY=1",
                Ready,
                with(&|s| {
                    s.components[0].ready = false;
                    s.components[0].status = "loading\n70 %".into();
                }),
                "ping | stopping | a.service: running, not ready: loading\\n70 % | b.service",
            ),
            (
                "what nobody wants is not waited for",
                Ready,
                with(&|s| (s.components[0].wanted, s.components[0].active) = (false, false)),
                "ping | stopping | b.service",
            ),
            (
                "a drain",
                Ready,
                with(&|s| s.phase = Phase::Draining),
                "ping | stopping: a stop has begun, tinysvc is draining | a.service | b.service",
            ),
            (
                "a stop is no reason to kill",
                Live,
                with(&|s| s.phase = Phase::Stopping),
                "ping | a.service | b.service",
            ),
            (
                "still starting",
                Startup,
                with(&|s| {
                    s.startup_done = false;
                    s.components[1].started_once = false;
                    s.components[1].state = "start-pre".into();
                }),
                "ping | startup: the first start has not finished | a.service | b.service: start-pre",
            ),
            (
                "started is started, whatever comes after",
                Startup,
                with(&|s| s.components[1].started_once = false),
                "ping | startup | a.service | b.service",
            ),
        ];
        for (why, probe, snapshot, said) in table {
            assert_eq!(say(probe, snapshot.as_ref()), said, "{why} ({})", probe.word());
        }
    }

    #[test]
    fn a_name_is_found_with_and_without_its_suffix() {
        let s = snapshot(vec![
            component("a.service"),
            component("a"),
            component("ping.service"),
            component("b@1.service"),
        ]);
        let table = [
            ("exact", "a.service", Some("a.service")),
            ("exact comes first", "a", Some("a")),
            ("our own name comes first", "ping", Some("ping")),
            ("and the unit has its full one", "ping.service", Some("ping.service")),
            ("an instance", "b@1", Some("b@1.service")),
            ("no part of a name", "b", None),
            ("nothing", "", None),
        ];
        let checks = checks(Live, Some(&s));
        for (why, name, found) in table {
            assert_eq!(find(&checks, name).map(|c| c.name), found, "{why}");
        }
    }
}
