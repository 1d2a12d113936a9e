//! What a row of the directive table is, and what can be done with one.
//!
//! A row says where its value lands with a *lens*: a function from a spec to the field. Reading, showing and
//! resetting are then the same for all directives of a kind.
#![forbid(unsafe_code)]

use super::complaint::Problem;
use super::spec::{ExecKind, ExitSet, Limit, Signal, Span, Spec};
use super::specifier::Unit;
use super::syntax::Section;
use super::value::{command, names, quantity};

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does what the manual says.
    Enforced,
    /// It does so by other means, or nearly so.
    Emulated(&'static str),
    /// It is accepted and does nothing here, which nobody will miss: the reason.
    Ignored(&'static str),
    /// It asks for something that does not happen yet, and each start says so: the reason.
    Missing(&'static str),
    /// As `Missing`, and the protection that it asks for is not there: `Sandbox=strict` refuses to start.
    Unprotected(&'static str),
}

/// One row: everything there is to know of one directive.
pub struct Directive {
    /// As systemd spells it.
    pub name: &'static str,
    /// The section that it stands in.
    pub section: Section,
    /// What it takes, in few words.
    pub allowed: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Where its value lands.
    pub(super) access: Access,
}

/// Where a value lands, by its kind.
pub(super) enum Access {
    Flag(fn(&mut Spec) -> &mut bool),
    MaybeFlag(fn(&mut Spec) -> &mut Option<bool>),
    Time(fn(&mut Spec) -> &mut Span),
    MaybeTime(fn(&mut Spec) -> &mut Option<Span>),
    Count(fn(&mut Spec) -> &mut u32),
    /// The smallest and the largest.
    Bounded(fn(&mut Spec) -> &mut Option<i32>, i32, i32),
    Signal(fn(&mut Spec) -> &mut Signal),
    Exits(fn(&mut Spec) -> &mut ExitSet),
    Name(fn(&mut Spec) -> &mut Option<String>),
    Commands(ExecKind),
    Limit(Limit),
    Word(Words),
    Own(Own),
}

/// One of a few words.
pub(super) struct Words {
    pub words: &'static [&'static str],
    /// Which of the words stands in the spec.
    pub get: fn(&Spec) -> Option<usize>,
    /// Puts the word of this number there.
    pub set: fn(&mut Spec, usize),
    /// Copies the default over.
    pub reset: fn(&mut Spec, &Spec),
}

/// A directive with a syntax of its own.
pub(super) struct Own {
    /// Is called with an empty value only if there is no `reset`.
    pub set: fn(&mut Spec, &str, &mut Reading<'_>) -> Result<(), Problem>,
    pub show: fn(&Spec) -> Vec<String>,
    /// Copies the default over.
    pub reset: Option<fn(&mut Spec, &Spec)>,
}

/// What a reader needs besides the value, and what it has to say.
pub struct Reading<'a> {
    /// For specifiers.
    pub unit: Unit<'a>,
    /// What was wrong with words that were dropped, and what should be known.
    pub problems: Vec<Problem>,
}

impl Directive {
    /// Puts a value into the spec. An empty one resets: to nothing where the directive gathers a list, to the
    /// default elsewhere.
    ///
    /// # Errors
    /// The value as a whole means nothing; the spec is as before.
    pub fn set(&self, spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
        if value.is_empty() {
            return self.reset(spec, reading);
        }
        match &self.access {
            Access::Flag(lens) => *lens(spec) = boolean(value)?,
            Access::MaybeFlag(lens) => *lens(spec) = Some(boolean(value)?),
            Access::Time(lens) => *lens(spec) = quantity::span(value)?,
            Access::MaybeTime(lens) => *lens(spec) = Some(quantity::span(value)?),
            Access::Count(lens) => {
                *lens(spec) =
                    quantity::integer(value, 0, i64::from(u32::MAX))?.try_into().unwrap_or(u32::MAX);
            }
            Access::Bounded(lens, min, max) => {
                let number = quantity::integer(value, (*min).into(), (*max).into())?;
                *lens(spec) = i32::try_from(number).ok();
            }
            Access::Signal(lens) => *lens(spec) = names::signal(value)?,
            Access::Exits(lens) => names::exits(lens(spec), value, &mut reading.problems),
            Access::Name(lens) => {
                *lens(spec) = Some(command::user(value, reading.unit, &mut reading.problems)?)
            }
            Access::Commands(kind) => {
                let commands = command::commands(value, reading.unit, &mut reading.problems)?;
                spec.service.commands.entry(*kind).or_default().extend(commands);
            }
            Access::Limit(limit) => {
                spec.exec.limits.insert(*limit, quantity::limit(*limit, value)?);
            }
            Access::Word(words) => match words.words.iter().position(|word| *word == value) {
                Some(at) => (words.set)(spec, at),
                None => return Err(Problem::unknown("word", value, &mut words.words.iter().copied())),
            },
            Access::Own(own) => (own.set)(spec, value, reading)?,
        }
        Ok(())
    }

    fn reset(&self, spec: &mut Spec, reading: &mut Reading<'_>) -> Result<(), Problem> {
        let mut default = if reading.unit.one_command { Spec::for_command("") } else { Spec::new("") };
        match &self.access {
            Access::Flag(lens) => *lens(spec) = *lens(&mut default),
            Access::MaybeFlag(lens) => *lens(spec) = *lens(&mut default),
            Access::Time(lens) => *lens(spec) = *lens(&mut default),
            Access::MaybeTime(lens) => *lens(spec) = *lens(&mut default),
            Access::Count(lens) => *lens(spec) = *lens(&mut default),
            Access::Bounded(lens, ..) => *lens(spec) = *lens(&mut default),
            Access::Signal(lens) => *lens(spec) = *lens(&mut default),
            Access::Exits(lens) => *lens(spec) = ExitSet::default(),
            Access::Name(lens) => *lens(spec) = None,
            Access::Commands(kind) => {
                spec.service.commands.entry(*kind).or_default().clear();
            }
            Access::Limit(limit) => {
                // Built anew: taking one out of a tree is a lot of code for something so rare.
                let old = std::mem::take(&mut spec.exec.limits);
                old.into_iter().filter(|(l, _)| l != limit).for_each(|(l, pair)| {
                    spec.exec.limits.insert(l, pair);
                });
            }
            Access::Word(words) => (words.reset)(spec, &default),
            Access::Own(own) => match own.reset {
                Some(reset) => reset(spec, &default),
                None => (own.set)(spec, "", reading)?,
            },
        }
        Ok(())
    }

    /// The values that [`Directive::set`] makes the same spec of; none if it is not set at all.
    pub fn show(&self, spec: &Spec) -> Vec<String> {
        // A lens wants a spec that it could change. Nobody shows specs in a hurry.
        let spec = &mut spec.clone();
        let flag = |value: bool| quantity::yes_no(value).to_owned();
        let one = match &self.access {
            Access::Flag(lens) => Some(flag(*lens(spec))),
            Access::MaybeFlag(lens) => lens(spec).map(flag),
            Access::Time(lens) => Some(lens(spec).to_string()),
            Access::MaybeTime(lens) => lens(spec).map(|span| span.to_string()),
            Access::Count(lens) => Some(lens(spec).to_string()),
            Access::Bounded(lens, ..) => lens(spec).map(|number| number.to_string()),
            Access::Signal(lens) => Some(lens(spec).to_string()),
            Access::Exits(lens) => Some(names::show_exits(lens(spec))).filter(|text| !text.is_empty()),
            Access::Name(lens) => lens(spec).clone(),
            Access::Commands(kind) => {
                return spec.service.commands(*kind).iter().map(command::show_command).collect();
            }
            Access::Limit(limit) => spec.exec.limits.get(limit).map(|pair| quantity::show_limit(*pair)),
            Access::Word(words) => {
                (words.get)(spec).and_then(|at| words.words.get(at)).map(|word| (*word).to_owned())
            }
            Access::Own(own) => return (own.show)(spec),
        };
        one.into_iter().collect()
    }

    /// The directives that an assignment sets: itself, unless it is short for others and shows as these.
    pub fn stands_for(&self) -> &[&'static str] {
        match self.name {
            "TimeoutSec" => &["TimeoutStartSec", "TimeoutStopSec"],
            "StandardInputText" => &["StandardInputData"],
            _ => std::slice::from_ref(&self.name),
        }
    }

    /// The variable of the environment that sets it: `TINYSVC_RESTART_SEC` for `RestartSec`.
    pub fn variable(&self) -> String {
        variable(self.name)
    }
}

fn boolean(value: &str) -> Result<bool, Problem> {
    quantity::boolean(value).ok_or(Problem::value("not a boolean"))
}

/// `TINYSVC_` and the name in capitals, with `_` before each new word. A run of two or more capitals is one
/// word, whose last letter begins the next one if a small letter follows: `OOMScoreAdjust` gives
/// `OOM_SCORE_ADJUST`. A single capital is no word of its own: `UMask` gives `UMASK`.
pub fn variable(directive: &str) -> String {
    let name = directive.as_bytes();
    let mut out = String::from("TINYSVC_");
    let mut run = 0;
    for (at, byte) in name.iter().enumerate() {
        let small_next = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let upper = byte.is_ascii_uppercase();
        if at > 0 && upper && (run == 0 || (run >= 2 && small_next)) {
            out.push('_');
        }
        run = if upper { run + 1 } else { 0 };
        out.push(char::from(byte.to_ascii_uppercase()));
    }
    out
}
