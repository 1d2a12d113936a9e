//! The state as numbers: OpenMetrics 1.0, or the older Prometheus text.
//!
//! The two differ in a counter's family name, which in OpenMetrics lacks `_total`, in the type of an
//! info, and in the last line. Names are the project's conventions, section 6.
#![forbid(unsafe_code)]

use super::json::seconds;
use crate::wire::{Probe, Snapshot, checks};

/// systemd's sub-states that a service can be in here. Each is a sample, 1 for the one it is in.
const STATES: [&str; 16] = [
    "dead",
    "start-pre",
    "start",
    "start-post",
    "running",
    "reload",
    "reload-notify",
    "stop",
    "stop-watchdog",
    "stop-sigterm",
    "stop-sigkill",
    "stop-post",
    "final-sigterm",
    "final-sigkill",
    "failed",
    "auto-restart",
];

/// Everything. `boot_us` is when CLOCK_MONOTONIC was zero, in µs since 1970.
pub fn write(s: &Snapshot, boot_us: u64, openmetrics: bool) -> String {
    let mut to = Page { text: String::with_capacity(4096), openmetrics };
    to.family("tinysvc_build", "_info", "info", "The running tinysvc.");
    to.sample("tinysvc_build_info", &[("version", &s.version)], "1");
    to.family("tinysvc_start_time_seconds", "", "gauge", "When tinysvc started, since 1970.");
    to.sample("tinysvc_start_time_seconds", &[], &seconds(boot_us.saturating_add(s.started)));
    to.family("tinysvc_check_up", "", "gauge", "Whether a check of a probe passes.");
    for probe in Probe::ALL {
        for check in checks(probe, Some(s)) {
            let labels = [("check", check.name), ("level", probe.word())];
            to.sample("tinysvc_check_up", &labels, digit(check.failure.is_none()));
        }
    }
    to.family("tinysvc_unit_state", "", "gauge", "Whether a unit is in this state.");
    for c in &s.components {
        for state in STATES {
            to.sample("tinysvc_unit_state", &[("unit", &c.name), ("state", state)], digit(c.state == state));
        }
        if !STATES.contains(&c.state.as_str()) {
            to.sample("tinysvc_unit_state", &[("unit", &c.name), ("state", &c.state)], "1");
        }
    }
    to.family(
        "tinysvc_unit_restarts",
        "_total",
        "counter",
        "Automatic restarts, by the result that caused them.",
    );
    for c in &s.components {
        for (reason, count) in &c.restarts {
            let labels = [("unit", c.name.as_str()), ("reason", reason)];
            to.sample("tinysvc_unit_restarts_total", &labels, &count.to_string());
        }
    }
    to.family(
        "tinysvc_unit_start_time_seconds",
        "",
        "gauge",
        "When the main process last started, since 1970.",
    );
    for c in &s.components {
        if let Some(at) = c.started {
            to.sample(
                "tinysvc_unit_start_time_seconds",
                &[("unit", &c.name)],
                &seconds(boot_us.saturating_add(at)),
            );
        }
    }
    to.family(
        "tinysvc_unit_ready_seconds",
        "",
        "gauge",
        "How long the last start took until the unit was ready.",
    );
    for c in &s.components {
        if let Some(us) = c.ready_after {
            to.sample("tinysvc_unit_ready_seconds", &[("unit", &c.name)], &seconds(us));
        }
    }
    if let Some(count) = s.orphans_reaped {
        to.family(
            "tinysvc_orphans_reaped",
            "_total",
            "counter",
            "Processes reaped that nobody else waited for.",
        );
        to.sample("tinysvc_orphans_reaped_total", &[], &count.to_string());
    }
    if openmetrics {
        to.text.push_str("# EOF\n");
    }
    to.text
}

const fn digit(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

struct Page {
    text: String,
    openmetrics: bool,
}

impl Page {
    fn family(&mut self, name: &str, suffix: &str, kind: &str, help: &str) {
        let (suffix, kind) = match (self.openmetrics, kind) {
            (true, kind) => ("", kind),
            (false, "info") => (suffix, "gauge"),
            (false, kind) => (suffix, kind),
        };
        self.text.extend(["# HELP ", name, suffix, " ", help, "\n# TYPE ", name, suffix, " ", kind, "\n"]);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.text.push_str(name);
        let mut open = '{';
        for (label, value) in labels {
            self.text.push(open);
            self.text.extend([label, "=\""]);
            for c in value.chars() {
                match c {
                    '"' | '\\' => self.text.extend(['\\', c]),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
            open = ',';
        }
        self.text.push_str(if labels.is_empty() { " " } else { "} " });
        self.text.extend([value, "\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Component, Phase};

    const BODY: &str = r#"
# HELP tinysvc_build_info The running tinysvc.
# TYPE tinysvc_build_info gauge
tinysvc_build_info{version="0.1.0"} 1
# HELP tinysvc_start_time_seconds When tinysvc started, since 1970.
# TYPE tinysvc_start_time_seconds gauge
tinysvc_start_time_seconds 1000.250
# HELP tinysvc_check_up Whether a check of a probe passes.
# TYPE tinysvc_check_up gauge
tinysvc_check_up{check="ping",level="live"} 1
tinysvc_check_up{check="ping",level="ready"} 1
tinysvc_check_up{check="stopping",level="ready"} 1
tinysvc_check_up{check="a\"\\\nb",level="ready"} 0
tinysvc_check_up{check="ping",level="startup"} 1
tinysvc_check_up{check="startup",level="startup"} 1
tinysvc_check_up{check="a\"\\\nb",level="startup"} 1
# HELP tinysvc_unit_state Whether a unit is in this state.
# TYPE tinysvc_unit_state gauge
"#;
    const REST: &str = r#"# HELP tinysvc_unit_restarts_total Automatic restarts, by the result that caused them.
# TYPE tinysvc_unit_restarts_total counter
tinysvc_unit_restarts_total{unit="a\"\\\nb",reason="signal"} 3
# HELP tinysvc_unit_start_time_seconds When the main process last started, since 1970.
# TYPE tinysvc_unit_start_time_seconds gauge
tinysvc_unit_start_time_seconds{unit="a\"\\\nb"} 1001.000
# HELP tinysvc_unit_ready_seconds How long the last start took until the unit was ready.
# TYPE tinysvc_unit_ready_seconds gauge
tinysvc_unit_ready_seconds{unit="a\"\\\nb"} 0.500
# HELP tinysvc_orphans_reaped_total Processes reaped that nobody else waited for.
# TYPE tinysvc_orphans_reaped_total counter
tinysvc_orphans_reaped_total 4
"#;

    #[test]
    fn both_formats() {
        let snapshot = Snapshot {
            nonce: 0,
            version: "0.1.0".into(),
            phase: Phase::Running,
            startup_done: true,
            now: 9,
            started: 250_000,
            orphans_reaped: Some(4),
            components: vec![Component {
                name: "a\"\\\nb".into(),
                state: "auto-restart".into(),
                wanted: true,
                started: Some(1_000_000),
                ready_after: Some(500_000),
                restarts: vec![("signal".into(), 3)],
                ..Component::default()
            }],
        };
        let mut states = String::new();
        for state in STATES {
            let value = u8::from(state == "auto-restart");
            states += &format!("tinysvc_unit_state{{unit=\"a\\\"\\\\\\nb\",state=\"{state}\"}} {value}\n");
        }
        let older = format!("{}{states}{REST}", BODY.trim_start());
        assert_eq!(write(&snapshot, 1_000_000_000, false), older);
        // OpenMetrics names a family without its suffix, and ends.
        let mut newer = older.clone() + "# EOF\n";
        for name in ["tinysvc_unit_restarts", "tinysvc_orphans_reaped"] {
            for word in ["HELP", "TYPE"] {
                newer = newer.replace(&format!("# {word} {name}_total "), &format!("# {word} {name} "));
            }
        }
        newer = newer.replace("# HELP tinysvc_build_info ", "# HELP tinysvc_build ");
        newer = newer.replace("# TYPE tinysvc_build_info gauge", "# TYPE tinysvc_build info");
        assert_eq!(write(&snapshot, 1_000_000_000, true), newer);
    }

    #[test]
    fn a_state_without_a_place_is_told_all_the_same() {
        let component = Component { name: "a".into(), state: "mounting".into(), ..Component::default() };
        let snapshot = Snapshot {
            nonce: 0,
            version: String::new(),
            phase: Phase::Running,
            startup_done: true,
            now: 0,
            started: 0,
            orphans_reaped: None,
            components: vec![component],
        };
        let text = write(&snapshot, 0, false);
        assert_eq!(text.matches("tinysvc_unit_state{unit=\"a\"").count(), 17);
        assert!(text.contains("tinysvc_unit_state{unit=\"a\",state=\"mounting\"} 1\n"));
        assert!(!text.contains("orphans"));
    }
}
