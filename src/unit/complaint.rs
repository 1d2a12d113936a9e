//! What is wrong with what a person wrote, and where it was written.
//!
//! A mistake never ends the reading: it becomes a [`Complaint`] and the next assignment is read. How much a
//! mistake matters depends on where it stands. A unit file may have been written for another version or
//! another machine, so systemd ignores what it cannot read and says so, and we do too. A flag or a variable
//! was written for this very start: there a mistake is an error.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

/// Where a setting was made, or a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a file.
    File {
        /// The path, as it was given.
        path: String,
        /// The line, counted from 1; 0 for the file as a whole.
        line: usize,
    },
    /// In this variable of the environment.
    Environment(String),
    /// With this flag, as it was typed.
    Flag(String),
    /// As the program after the options.
    Command,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: 0 } => f.write_str(path),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag(typed) => f.write_str(typed),
            Origin::Command => f.write_str("command line"),
        }
    }
}

/// How much a complaint matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know when something is looked for; said at the level `debug`.
    Note,
    /// Said, and the start goes on.
    Warning,
    /// Said, and nothing is started.
    Error,
}

/// One mistake, or one thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Where.
    pub origin: Origin,
    /// The directive's name as written; empty where there is none.
    pub key: String,
    /// The value as written.
    pub value: String,
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// What the directive takes; empty where that is not the point.
    pub allowed: &'static str,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// How much it matters.
    pub severity: Severity,
}

impl Complaint {
    /// Whether nothing may be started.
    pub fn fatal(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// One line: `web.service:3: Restart=allways: …; allowed: no, always, …; did you mean always?`
impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = format!("{}: ", self.origin);
        if matches!(self.origin, Origin::File { .. }) && !self.key.is_empty() {
            line.push_str(&format!("{}={}: ", self.key, shortened(&self.value)));
        }
        line.push_str(&self.message);
        if !self.allowed.is_empty() {
            line.push_str(&format!("; allowed: {}", self.allowed));
        }
        if let Some(suggestion) = &self.suggestion {
            line.push_str(&format!("; did you mean {suggestion}?"));
        }
        // What people wrote must not move the cursor of whoever reads the log.
        f.write_str(&line.replace(char::is_control, "?"))
    }
}

/// At most 60 characters of a value, all on one line.
pub fn shortened(value: &str) -> String {
    let mut short: String = value.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}

/// What is wrong with a value, before it is known where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What systemd makes of it.
    pub weight: Weight,
}

/// What a problem does to the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The value counts; a warning wherever it stands.
    Remark,
    /// The value, or this word of it, does not count: a warning in a file, an error elsewhere.
    Value,
    /// The whole unit is of no use: systemd's `bad-setting`.
    Unit,
}

impl Problem {
    /// The value, or a word of it, does not count.
    pub fn value(message: impl Into<Cow<'static, str>>) -> Problem {
        Problem { message: message.into(), suggestion: None, weight: Weight::Value }
    }

    /// The value counts, but the person should know.
    pub fn remark(message: impl Into<Cow<'static, str>>) -> Problem {
        Problem { weight: Weight::Remark, ..Problem::value(message) }
    }

    /// The whole unit is of no use.
    pub fn unit(message: impl Into<Cow<'static, str>>) -> Problem {
        Problem { weight: Weight::Unit, ..Problem::value(message) }
    }

    /// A word that is none of `known`; suggests the nearest.
    pub fn unknown(what: &str, word: &str, known: &mut dyn Iterator<Item = &str>) -> Problem {
        let suggestion = super::nearest::nearest(word, known).map(str::to_owned);
        Problem { suggestion, ..Problem::value(format!("unknown {what} \"{}\"", shortened(word))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_says_where_what_and_what_instead() {
        let mut complaint = Complaint {
            origin: Origin::File { path: "web.service".into(), line: 3 },
            key: "Restart".into(),
            value: "allways\n".into(),
            message: "unknown word".into(),
            allowed: "no, always",
            suggestion: Some("always".into()),
            severity: Severity::Warning,
        };
        assert_eq!(
            complaint.to_string(),
            "web.service:3: Restart=allways?: unknown word; allowed: no, always; did you mean always?"
        );
        complaint.origin = Origin::Flag("--restart allways".into());
        complaint.suggestion = None;
        assert_eq!(complaint.to_string(), "--restart allways: unknown word; allowed: no, always");
        assert_eq!(shortened(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }
}
