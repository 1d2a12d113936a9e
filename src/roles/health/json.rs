//! The answers as JSON, for the operator: every check with its reason, every component with its state.
//!
//! Times are seconds with three decimals: `since` counts from 1970, `for_seconds` up to now.
#![forbid(unsafe_code)]

use crate::wire::{Check, Component, Snapshot};

/// A probe with all that is known.
pub fn probe(
    word: &str,
    passed: bool,
    checks: &[Check<'_>],
    excluded: &[bool],
    snapshot: Option<&Snapshot>,
    boot_us: u64,
) -> String {
    let mut to = Object::new();
    to.text("probe", word);
    to.raw("ok", bool_word(passed));
    if let Some(s) = snapshot {
        to.text("phase", s.phase.word());
        to.text("version", &s.version);
        to.raw("since", &seconds(boot_us.saturating_add(s.started)));
        to.raw("for_seconds", &seconds(s.now.saturating_sub(s.started)));
    }
    let excluded = excluded.iter().copied().chain(std::iter::repeat(false));
    to.list(
        "checks",
        checks.iter().zip(excluded).map(|(c, excluded)| {
            let mut to = check_head(c);
            if excluded {
                to.raw("excluded", "true");
            }
            to.finish()
        }),
    );
    if let Some(s) = snapshot {
        to.list(
            "components",
            s.components.iter().map(|c| {
                let mut to = Object::new();
                to.text("name", &c.name);
                let reason = checks
                    .iter()
                    .find(|check| check.name == c.name)
                    .and_then(|check| check.failure.as_deref());
                component(&mut to, c, s, boot_us);
                to.text_unless_empty("reason", reason.unwrap_or_default());
                to.finish()
            }),
        );
    }
    to.finish() + "\n"
}

/// One check; a component's with its state.
pub fn one(check: &Check<'_>, snapshot: Option<&Snapshot>, boot_us: u64) -> String {
    let mut to = check_head(check);
    if let Some((s, c)) =
        snapshot.and_then(|s| Some((s, s.components.iter().find(|c| c.name == check.name)?)))
    {
        component(&mut to, c, s, boot_us);
    }
    to.finish() + "\n"
}

fn check_head(check: &Check<'_>) -> Object {
    let mut to = Object::new();
    to.text("name", check.name);
    to.raw("ok", bool_word(check.failure.is_none()));
    to.text_unless_empty("reason", check.failure.as_deref().unwrap_or_default());
    to
}

fn component(to: &mut Object, c: &Component, s: &Snapshot, boot_us: u64) {
    to.text("state", &c.state);
    to.text("result", &c.result);
    to.raw("since", &seconds(boot_us.saturating_add(c.since)));
    to.raw("for_seconds", &seconds(s.now.saturating_sub(c.since)));
    to.raw("active", bool_word(c.active));
    to.raw("ready", bool_word(c.ready));
    to.raw("wanted", bool_word(c.wanted));
    to.raw("essential", bool_word(c.essential));
    to.raw("failed_for_good", bool_word(c.failed_for_good));
    let mut restarts = Object::new();
    for (reason, count) in &c.restarts {
        restarts.raw(reason, &count.to_string());
    }
    to.raw("restarts", &restarts.finish());
    to.text_unless_empty("last_exit", &c.last_exit);
    to.text_unless_empty("status", &c.status);
}

const fn bool_word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Microseconds as seconds with three decimals.
pub(super) fn seconds(us: u64) -> String {
    format!("{}.{:03}", us / 1_000_000, us / 1_000 % 1_000)
}

/// An object that is being written.
struct Object(String);

impl Object {
    fn new() -> Object {
        Object("{".into())
    }

    fn raw(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, key);
        self.0.push(':');
        self.0.push_str(value);
    }

    fn text(&mut self, key: &str, value: &str) {
        let mut quoted = String::with_capacity(value.len().saturating_add(2));
        quote(&mut quoted, value);
        self.raw(key, &quoted);
    }

    fn text_unless_empty(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    fn list(&mut self, key: &str, items: impl Iterator<Item = String>) {
        self.raw(key, &format!("[{}]", items.collect::<Vec<_>>().join(",")));
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A string of RFC 8259, section 7.
fn quote(to: &mut String, text: &str) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => to.extend(['\\', c]),
            '\n' => to.push_str("\\n"),
            c if c < ' ' || c == '\u{7f}' => to.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => to.push(c),
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted() {
        let table = [
            ("plain", "web", "\"web\""),
            ("quotes", "a\"b\\c", r#""a\"b\\c""#),
            ("a newline", "a\nb", r#""a\nb""#),
            ("control characters", "\0\u{1b}[31m\u{7f}", r#""\u0000\u001b[31m\u007f""#),
            ("beyond ASCII", "\u{e4}\u{1f980}", "\"\u{e4}\u{1f980}\""),
        ];
        for (why, text, quoted) in table {
            let mut to = String::new();
            quote(&mut to, text);
            assert_eq!(to, quoted, "{why}");
        }
    }

    #[test]
    fn seconds_have_three_decimals() {
        let table = [
            (0, "0.000"),
            (999, "0.000"),
            (1_000, "0.001"),
            (12_345_678, "12.345"),
            (u64::MAX, "18446744073709.551"),
        ];
        for (us, text) in table {
            assert_eq!(seconds(us), text);
        }
    }
}
