//! Puts the layers on top of each other: default, unit file, environment, flags, and the program itself.
//!
//! A layer is read whole before the next, so that a flag wins over a variable and a variable over the file.
//! Lists gather over all layers, as they do over drop-ins; an empty assignment in a higher layer empties what
//! the lower ones gathered. With no file, no variable and no flag nothing is read at all.
#![forbid(unsafe_code)]

use super::complaint::{Complaint, Origin, Problem, Severity, Weight};
use super::directive::{Directive, Reading, Verdict, variable};
use super::machine::Machine;
use super::rooted;
use super::spec::{Command, ExecKind, Privilege, SandboxMode, Spec};
use super::specifier::Unit;
use super::syntax::{self, Section};
use super::table::{self, DIRECTIVES, Found};
use super::unit_section;
use super::value::quantity;
use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One `NAME=VALUE` of the argument line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As it was typed, such as `-p Restart=always` or `--restart always`.
    pub typed: String,
    /// The directive.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Everything that a spec is made of.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// The unit's name if no file gives it one.
    pub name: &'a str,
    /// The unit file.
    pub unit_file: Option<&'a Path>,
    /// The process's environment, of which `TINYSVC_*` counts.
    pub environment: &'a [(OsString, OsString)],
    /// In the order of the argument line.
    pub flags: &'a [Flag],
    /// The program after the options, and its arguments; empty if there is none.
    pub command: &'a [OsString],
}

/// A spec, and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The spec, as far as it was understood.
    pub spec: Spec,
    /// What is wrong or should be known, in the order of reading. One that is
    /// [fatal](Complaint::fatal) forbids to start.
    pub complaints: Vec<Complaint>,
    /// For each directive that was given, by name, where it was given last.
    pub origins: Vec<(&'static str, Origin)>,
    /// Variables `TINYSVC_*` that are options and no directives, by the name of the option: `LOG_LEVEL`.
    pub options: Vec<(&'static str, String)>,
}

/// The variables that are options of the command and no directives, without `TINYSVC_`.
pub const OPTIONS: [&str; 3] = ["LOG_LEVEL", "LOG_FORMAT", "UNIT"];

/// What every variable of ours begins with.
pub const PREFIX: &[u8] = b"TINYSVC_";

/// Reads all layers.
pub fn load(layers: &Layers<'_>) -> Loaded {
    let path = layers.unit_file.map(|path| path.to_string_lossy());
    let name = path.as_deref().map_or(layers.name.to_owned(), unit_name);
    let mut loaded = Loaded::new(Spec::for_command(name.as_str()));
    // Named by a person, so it may be a pipe as well.
    let text = layers.unit_file.map(|path| std::fs::File::open(path).and_then(rooted::whole));
    let machine = match text.as_ref() {
        Some(Ok(Some(text))) if text.contains(&b'%') => Machine::read(Path::new("/")),
        _ if layers.speak_of_the_machine() => Machine::read(Path::new("/")),
        _ => Machine::UNKNOWN,
    };
    let unit = Unit::one_command(&name, path.as_deref().unwrap_or_default(), &machine);
    if let (Some(text), Some(path)) = (&text, &path) {
        loaded.file(text, path, unit);
    }
    for (name, value) in layers.environment {
        if let Some(rest) = name.as_bytes().strip_prefix(PREFIX) {
            loaded.variable(&String::from_utf8_lossy(rest), &value.to_string_lossy(), unit);
        }
    }
    for flag in layers.flags {
        loaded.flag(flag, unit);
    }
    if !layers.command.is_empty() {
        loaded.command(layers.command);
    }
    loaded.check();
    loaded
}

impl Layers<'_> {
    /// Whether a variable or a flag may hold a specifier. Most hold none, and the machine is not looked at.
    fn speak_of_the_machine(&self) -> bool {
        let ours = |(name, value): &(OsString, OsString)| {
            name.as_bytes().starts_with(PREFIX) && value.as_bytes().contains(&b'%')
        };
        self.environment.iter().any(ours) || self.flags.iter().any(|flag| flag.value.contains('%'))
    }
}

/// The unit's name: the file's, with `.service` in place of another ending.
fn unit_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    format!("{}.service", if stem.is_empty() { file } else { stem })
}

/// Where something is wrong, and what was written there.
struct Mistake<'a> {
    origin: Origin,
    key: &'a str,
    value: &'a str,
    allowed: &'static str,
}

impl Loaded {
    /// A spec that nothing was said of yet.
    pub(super) fn new(spec: Spec) -> Loaded {
        Loaded { spec, complaints: Vec::new(), origins: Vec::new(), options: Vec::new() }
    }

    fn file(&mut self, text: &io::Result<Option<Vec<u8>>>, path: &str, unit: Unit<'_>) {
        let origin = Origin::File { path: path.to_owned(), line: 0 };
        match text {
            Ok(Some(text)) => _ = self.text(text, path, "Service", unit),
            Ok(None) => self.fatal(origin, "the unit file is larger than 16 MiB"),
            Err(e) => self.fatal(origin, format!("cannot read the unit file: {}", rooted::plain(e))),
        }
    }

    /// The text of a unit file, whose kind has the section `own`. Returns whether its syntax was sound.
    pub(super) fn text(&mut self, text: &[u8], path: &str, own: &str, unit: Unit<'_>) -> bool {
        let at = |line| Origin::File { path: path.to_owned(), line };
        let parsed = syntax::parse_kind(text, own);
        let sound = parsed.problems.iter().all(|(.., problem)| problem.weight < Weight::Unit);
        for (line, text, problem) in parsed.problems {
            self.complain(Mistake { origin: at(line), key: "", value: &text, allowed: "" }, problem);
        }
        for assignment in parsed.assignments {
            let origin = at(assignment.line);
            self.assign(origin, Some(assignment.section), &assignment.key, &assignment.value, unit);
        }
        sound
    }

    /// The text of a drop-in. What makes a unit file useless ends the reading of a drop-in, and the unit counts
    /// as it is then: systemd's `unit_load_dropin()` does not look at what its parser returns.
    pub(super) fn dropin(&mut self, text: &[u8], path: &str, own: &str, unit: Unit<'_>) {
        let at = |line| Origin::File { path: path.to_owned(), line };
        let parsed = syntax::parse_kind(text, own);
        let mut end = usize::MAX;
        for (line, text, problem) in parsed.problems {
            if problem.weight == Weight::Unit {
                end = end.min(line);
            }
            self.complain(Mistake { origin: at(line), key: "", value: &text, allowed: "" }, problem);
            self.forgive();
        }
        for assignment in parsed.assignments.into_iter().take_while(|a| a.line < end) {
            let origin = at(assignment.line);
            self.assign(origin, Some(assignment.section), &assignment.key, &assignment.value, unit);
            if self.forgive() {
                break;
            }
        }
    }

    /// Makes a warning of the last complaint, if it is an error.
    fn forgive(&mut self) -> bool {
        match self.complaints.last_mut() {
            Some(last) if last.fatal() => {
                last.severity = Severity::Warning;
                last.message = format!("{}; the rest of this drop-in is ignored", last.message).into();
                true
            }
            _ => false,
        }
    }

    /// One `TINYSVC_*`, `rest` being its name behind the prefix.
    fn variable(&mut self, rest: &str, value: &str, unit: Unit<'_>) {
        if let Some(option) = OPTIONS.iter().find(|option| **option == rest) {
            return self.options.push((option, value.to_owned()));
        }
        let name = format!("TINYSVC_{rest}");
        let origin = Origin::Environment(format!("{name}={}", super::complaint::shortened(value)));
        let found = table::all_names().find(|directive| variable(directive) == name);
        if let Some(directive) = found {
            return self.assign(origin, None, directive, value, unit);
        }
        if from_kubernetes(rest) {
            let note = Problem::remark("a Kubernetes service variable, not a setting");
            return self.say(Mistake { origin, key: "", value, allowed: "" }, note, Severity::Note);
        }
        let names: Vec<String> = DIRECTIVES.iter().map(Directive::variable).collect();
        let nearest = super::nearest::nearest(&name, &mut names.iter().map(String::as_str));
        let mut problem = Problem::value("no setting has this variable, which is ignored");
        problem.suggestion = nearest.map(str::to_owned);
        self.say(Mistake { origin, key: "", value, allowed: "" }, problem, Severity::Warning);
    }

    fn flag(&mut self, flag: &Flag, unit: Unit<'_>) {
        self.assign(Origin::Flag(flag.typed.clone()), None, &flag.name, &flag.value, unit);
    }

    /// The program after the options takes the place of `ExecStart=`.
    fn command(&mut self, argv: &[OsString]) {
        let command = Command {
            program: argv.first().cloned().unwrap_or_default(),
            argv: argv.to_vec(),
            ignore_failure: false,
            expand: false,
            privilege: Privilege::Sandboxed,
            from_command_line: true,
        };
        self.spec.service.commands.insert(ExecKind::Start, vec![command]);
        self.given("ExecStart", Origin::Command);
    }

    /// One assignment, in a section if it is a file's.
    fn assign(&mut self, origin: Origin, section: Option<Section>, key: &str, value: &str, unit: Unit<'_>) {
        let Some(found) = table::find(key) else {
            // As in sections, what begins with X- is other people's.
            if section.is_some() && key.starts_with("X-") {
                return;
            }
            let mut problem = Problem::value(match section {
                Some(section) => Cow::Owned(format!("no such directive in [{}], ignored", section.name())),
                None => Cow::Borrowed("no such directive"),
            });
            problem.suggestion = table::suggest(key).map(str::to_owned);
            return self.complain(Mistake { origin, key, value, allowed: "" }, problem);
        };
        if let Some(section) = section.filter(|section| !found.belongs_in(*section)) {
            let belongs = found.section().name();
            let problem = format!("it stands in [{}] and belongs in [{belongs}], ignored", section.name());
            return self.complain(Mistake { origin, key, value, allowed: "" }, Problem::value(problem));
        }
        match found {
            Found::Row(row) => {
                self.set(row, origin.clone(), key, value, unit);
                if matches!(row.verdict, Verdict::Missing(_) | Verdict::Unprotected(_)) {
                    self.not_acted_on(row.verdict, origin, key, value);
                }
            }
            Found::Other(others) => {
                let mut reading = Reading { unit, problems: Vec::new() };
                let result = unit_section::set(&mut self.spec.unit, key, value, &mut reading);
                let problems = reading.problems.into_iter().chain(result.and_then(Result::err));
                for problem in problems {
                    self.complain(Mistake { origin: origin.clone(), key, value, allowed: "" }, problem);
                }
                self.not_acted_on(others.verdict, origin, key, value);
            }
        }
    }

    fn set(&mut self, row: &'static Directive, origin: Origin, key: &str, value: &str, unit: Unit<'_>) {
        let mut reading = Reading { unit, problems: Vec::new() };
        let result = row.set(&mut self.spec, value, &mut reading);
        let understood = result.is_ok();
        for problem in reading.problems.into_iter().chain(result.err()) {
            // What is allowed helps with a value that means nothing, not with one word of many.
            let allowed = if understood { "" } else { row.allowed };
            self.complain(Mistake { origin: origin.clone(), key, value, allowed }, problem);
        }
        if understood {
            for name in row.stands_for() {
                self.given(name, origin.clone());
            }
        }
    }

    fn not_acted_on(&mut self, verdict: Verdict, origin: Origin, key: &str, value: &str) {
        let off = value.is_empty() || quantity::boolean(value) == Some(false);
        let (reason, mut severity) = match verdict {
            Verdict::Enforced | Verdict::Emulated(_) => return,
            Verdict::Ignored(reason) => (reason, Severity::Note),
            Verdict::Missing(reason) | Verdict::Unprotected(reason) => (reason, Severity::Warning),
        };
        // Not doing what is switched off, and saying the same thing twice, is nobody's news.
        if off || self.complaints.iter().any(|c| c.key == key) {
            severity = Severity::Note;
        }
        self.say(Mistake { origin, key, value, allowed: "" }, Problem::remark(reason), severity);
    }

    fn given(&mut self, name: &'static str, origin: Origin) {
        match self.origins.iter_mut().find(|(n, _)| *n == name) {
            Some((_, last)) => *last = origin,
            None => self.origins.push((name, origin)),
        }
    }

    /// What cannot be seen in one assignment alone.
    fn check(&mut self) {
        let starts = self.spec.service.commands(ExecKind::Start).len();
        let origin = |loaded: &Loaded| {
            let last = loaded.origins.iter().find(|(name, _)| *name == "ExecStart");
            last.map_or(Origin::Default, |(_, origin)| origin.clone())
        };
        match starts {
            0 => self.fatal(Origin::Command, "no program: give one after --, or ExecStart= in a unit file"),
            1 => {}
            _ => self.fatal(origin(self), "more than one ExecStart=, which only Type=oneshot may have"),
        }
        if self.spec.ours.sandbox == SandboxMode::Strict {
            let weaker = |c: &Complaint| match table::find(&c.key).map(Found::verdict) {
                Some(Verdict::Unprotected(_)) => true,
                _ => c.key == "SystemCallFilter" && c.value.contains('@'),
            };
            for complaint in self.complaints.iter_mut().filter(|c| c.severity == Severity::Warning) {
                if weaker(complaint) {
                    complaint.severity = Severity::Error;
                }
            }
        }
    }

    pub(super) fn fatal(&mut self, origin: Origin, message: impl Into<Cow<'static, str>>) {
        let mistake = Mistake { origin, key: "", value: "", allowed: "" };
        self.say(mistake, Problem::unit(message), Severity::Error);
    }

    /// A mistake in a file is a warning, since the file may have been written for another version; what was
    /// written for this very start is an error.
    fn complain(&mut self, mistake: Mistake<'_>, problem: Problem) {
        let file = matches!(mistake.origin, Origin::File { .. });
        let severity = match problem.weight {
            Weight::Remark => Severity::Warning,
            Weight::Value if file => Severity::Warning,
            Weight::Value | Weight::Unit => Severity::Error,
        };
        self.say(mistake, problem, severity);
    }

    fn say(&mut self, mistake: Mistake<'_>, problem: Problem, severity: Severity) {
        self.complaints.push(Complaint {
            origin: mistake.origin,
            key: mistake.key.to_owned(),
            value: mistake.value.to_owned(),
            message: problem.message,
            allowed: mistake.allowed,
            suggestion: problem.suggestion,
            severity,
        });
    }
}

/// Whether Kubernetes or Docker made the variable for a service whose name begins with `tinysvc`:
/// `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_PORT`, `…_PORT_80_TCP_ADDR`.
fn from_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}");
    let numbered = |(at, part): (usize, &str)| {
        rest.get(at + part.len()..).is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()))
    };
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.ends_with("_PORT")
        || rest.match_indices("_PORT_").any(numbered)
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
