//! Reads `tinysvc [OPTIONS] [--] PROGRAM [ARG]...`.
//!
//! The first word that is no option ends the options, and everything from there on is the program's: nothing
//! is ever permuted, so that an option of the program cannot become one of ours. Short options are other
//! spellings of directives; whatever they cannot say, `-p NAME=VALUE` can.
#![forbid(unsafe_code)]

use crate::engine::{Level, exit_code};
use crate::host::log::Format;
use crate::unit::complaint::{Complaint, Origin, Severity};
use crate::unit::layers::{self, Flag, Layers, Loaded};
use crate::unit::nearest::nearest;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What the argument line asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Help or the version, and nothing else.
    pub ask: Option<Ask>,
    /// `--unit`.
    pub unit: Option<PathBuf>,
    /// `-p`, and the options that stand for a directive, in order.
    pub flags: Vec<Flag>,
    /// `--log-level`.
    pub log_level: Option<Level>,
    /// `--log-format`.
    pub log_format: Option<Format>,
    /// `--all`, which only `show` has.
    pub all: bool,
    /// The program and its arguments; empty if there is none.
    pub command: Vec<OsString>,
}

/// What is printed in place of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// Why an argument line cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion}?"),
            None => f.write_str("; see tinysvc --help"),
        }
    }
}

/// One option.
pub(super) struct Opt {
    /// The letter; 0 if it has none.
    short: u8,
    /// The name behind `--`.
    pub long: &'static str,
    /// What its value is called; empty if it takes none.
    value: &'static str,
    meaning: Meaning,
}

#[derive(Clone, Copy)]
enum Meaning {
    Property,
    Unit,
    /// The value of this directive.
    Directive(&'static str),
    /// This directive has this value.
    Fixed(&'static str, &'static str),
    /// `USER` or `USER:GROUP`.
    User,
    /// `FROM` or `FROM:TO`.
    MapExit,
    Level,
    Verbose,
    Format,
    All,
    Ask(Ask),
}

/// Every option, in the order of the help.
pub(super) static OPTIONS: &[Opt] = &[
    Opt { short: b'p', long: "property", value: "NAME=VALUE", meaning: Meaning::Property },
    Opt { short: b'u', long: "unit", value: "FILE", meaning: Meaning::Unit },
    Opt { short: b'r', long: "restart", value: "WHEN", meaning: Meaning::Directive("Restart") },
    Opt { short: 0, long: "user", value: "USER[:GROUP]", meaning: Meaning::User },
    Opt { short: 0, long: "health", value: "ADDRESS", meaning: Meaning::Directive("Health") },
    Opt { short: 0, long: "drain", value: "TIME", meaning: Meaning::Directive("DrainSec") },
    Opt { short: b'g', long: "signal-group", value: "", meaning: Meaning::Fixed("SignalTarget", "group") },
    Opt { short: b'e', long: "map-exit", value: "FROM[:TO]", meaning: Meaning::MapExit },
    Opt { short: 0, long: "log-level", value: "LEVEL", meaning: Meaning::Level },
    Opt { short: b'v', long: "verbose", value: "", meaning: Meaning::Verbose },
    Opt { short: 0, long: "log-format", value: "FORMAT", meaning: Meaning::Format },
    Opt { short: 0, long: "all", value: "", meaning: Meaning::All },
    Opt { short: b'h', long: "help", value: "", meaning: Meaning::Ask(Ask::Help) },
    Opt { short: b'V', long: "version", value: "", meaning: Meaning::Ask(Ask::Version) },
];

/// Reads the arguments behind the name of the command.
///
/// # Errors
/// An option that does not exist, or whose value is missing or no text.
pub fn parse(args: &[OsString]) -> Result<Request, Usage> {
    let request = parse_for_show(args)?;
    if request.all {
        return Err(usage("--all belongs to tinysvc show"));
    }
    Ok(request)
}

/// As [`parse`], for `tinysvc show`.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_for_show(args: &[OsString]) -> Result<Request, Usage> {
    let mut request = Request::default();
    let mut rest = args;
    while let [arg, after @ ..] = rest {
        match arg.as_bytes() {
            b"--" => {
                rest = after;
                break;
            }
            [b'-', b'-', name @ ..] => {
                rest = after;
                long(&mut request, name, &mut rest)?;
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                rest = after;
                short(&mut request, letters, &mut rest)?;
            }
            _ => break,
        }
    }
    request.command = rest.to_vec();
    Ok(request)
}

fn long(request: &mut Request, arg: &[u8], rest: &mut &[OsString]) -> Result<(), Usage> {
    let (name, given) = match arg.iter().position(|b| *b == b'=') {
        Some(at) => (arg.get(..at).unwrap_or_default(), arg.get(at + 1..)),
        None => (arg, None),
    };
    let Some(option) = OPTIONS.iter().find(|option| option.long.as_bytes() == name) else {
        return Err(unknown(&String::from_utf8_lossy(name)));
    };
    let typed = format!("--{}", option.long);
    match (option.value.is_empty(), given) {
        (true, Some(_)) => Err(usage(format!("{typed} takes no value"))),
        (true, None) => request.take(option, &typed, ""),
        (false, Some(value)) => {
            let value = text(&typed, OsStr::from_bytes(value))?;
            request.take(option, &typed, value)
        }
        (false, None) => request.take(option, &typed, following(option, &typed, rest)?),
    }
}

/// Letters behind one `-`: those without a value may stand together, and what follows one with a value is the
/// value.
fn short(request: &mut Request, letters: &[u8], rest: &mut &[OsString]) -> Result<(), Usage> {
    let mut left = letters;
    while let [letter, after @ ..] = left {
        left = after;
        let Some(option) = OPTIONS.iter().find(|option| option.short == *letter) else {
            return Err(usage(format!("unknown option -{}", char::from(*letter).escape_default())));
        };
        let typed = format!("-{}", char::from(*letter));
        if option.value.is_empty() {
            request.take(option, &typed, "")?;
        } else if after.is_empty() {
            request.take(option, &typed, following(option, &typed, rest)?)?;
        } else {
            let value = text(&typed, OsStr::from_bytes(after))?;
            request.take(option, &typed, value)?;
            return Ok(());
        }
    }
    Ok(())
}

/// The next argument as the value of an option.
fn following<'a>(option: &Opt, typed: &str, rest: &mut &'a [OsString]) -> Result<&'a str, Usage> {
    let Some((value, after)) = rest.split_first() else {
        return Err(usage(format!("{typed} needs a value: {typed} {}", option.value)));
    };
    *rest = after;
    text(typed, value)
}

fn text<'a>(typed: &str, value: &'a OsStr) -> Result<&'a str, Usage> {
    value.to_str().ok_or_else(|| usage(format!("the value of {typed} is not UTF-8")))
}

fn usage(message: impl Into<String>) -> Usage {
    Usage { message: message.into(), suggestion: None }
}

fn unknown(name: &str) -> Usage {
    let meant = nearest(name, &mut OPTIONS.iter().map(|option| option.long)).map(|name| format!("--{name}"));
    // Someone who knows the directive and not the flag.
    let directive = || {
        let plain = name.replace('-', "");
        let row = crate::unit::table::DIRECTIVES.iter().find(|row| row.name.eq_ignore_ascii_case(&plain))?;
        Some(format!("-p {}=…", row.name))
    };
    Usage { message: format!("unknown option --{name}"), suggestion: directive().or(meant) }
}

impl Request {
    fn take(&mut self, option: &Opt, typed: &str, value: &str) -> Result<(), Usage> {
        match option.meaning {
            Meaning::Property => {
                let Some((name, assigned)) = value.split_once('=') else {
                    return Err(usage(format!("{typed} {value}: not NAME=VALUE")));
                };
                self.flag(format!("{typed} {value}"), name.trim(), assigned.trim());
            }
            Meaning::Unit => self.unit = Some(value.into()),
            Meaning::Directive(name) => self.flag(format!("{typed} {value}"), name, value),
            Meaning::Fixed(name, value) => self.flag(typed.to_owned(), name, value),
            Meaning::User => {
                let (user, group) = value.split_once(':').unwrap_or((value, ""));
                self.flag(format!("{typed} {value}"), "User", user);
                if !group.is_empty() {
                    self.flag(format!("{typed} {value}"), "Group", group);
                }
            }
            Meaning::MapExit => {
                let pair = if value.contains(':') { value.to_owned() } else { format!("{value}:0") };
                self.flag(format!("{typed} {value}"), "ExitStatusMap", &pair);
            }
            Meaning::Level => self.log_level = Some(level(value).ok_or_else(|| bad(typed, value, LEVELS))?),
            Meaning::Verbose => {
                self.log_level =
                    Some(if self.log_level >= Some(Level::Info) { Level::Debug } else { Level::Info });
            }
            Meaning::Format => {
                self.log_format = Some(format(value).ok_or_else(|| bad(typed, value, FORMATS))?)
            }
            Meaning::All => self.all = true,
            Meaning::Ask(ask) => self.ask = self.ask.or(Some(ask)),
        }
        Ok(())
    }

    fn flag(&mut self, typed: String, name: &str, value: &str) {
        self.flags.push(Flag { typed, name: name.to_owned(), value: value.to_owned() });
    }
}

const LEVELS: &str = "error, warn, info, debug";
const FORMATS: &str = "text, json";

fn bad(typed: &str, value: &str, allowed: &str) -> Usage {
    usage(format!("{typed} {value}: unknown word; allowed: {allowed}"))
}

fn level(word: &str) -> Option<Level> {
    Some(match word {
        "error" | "err" => Level::Error,
        "warn" | "warning" => Level::Warn,
        "info" => Level::Info,
        "debug" => Level::Debug,
        _ => return None,
    })
}

fn format(word: &str) -> Option<Format> {
    match word {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// Everything that a start needs to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The spec, what is wrong with it, and where it comes from.
    pub loaded: Loaded,
    /// What is logged: this and what matters more. Warnings, unless asked otherwise.
    pub log_level: Level,
    /// How it is logged.
    pub log_format: Format,
}

impl Setup {
    /// The exit status if nothing may be started: [`exit_code::CONFIG`] if a file is at fault, else [`exit_code::USAGE`].
    pub fn refusal(&self) -> Option<u8> {
        let mut fatal = self.loaded.complaints.iter().filter(|complaint| complaint.fatal()).peekable();
        fatal.peek()?;
        let file = fatal.any(|complaint| matches!(complaint.origin, Origin::File { .. }));
        Some(if file { exit_code::CONFIG } else { exit_code::USAGE })
    }
}

/// Reads the layers that a request names.
pub fn load(request: &Request, environment: &[(OsString, OsString)]) -> Setup {
    let unit = request.unit.clone().or_else(|| {
        let variable = environment.iter().find(|(name, _)| name == "TINYSVC_UNIT")?;
        Some(PathBuf::from(&variable.1)).filter(|path| !path.as_os_str().is_empty())
    });
    let program = request.command.first().map(|program| program.to_string_lossy());
    let name = match program.as_deref().and_then(|path| path.rsplit('/').next()) {
        Some(program) if !program.is_empty() => format!("{program}.service"),
        _ => "tinysvc.service".to_owned(),
    };
    let mut loaded = layers::load(&Layers {
        name: &name,
        unit_file: unit.as_deref(),
        environment,
        flags: &request.flags,
        command: &request.command,
    });
    let log_level = option(&mut loaded, "LOG_LEVEL", LEVELS, level);
    let log_format = option(&mut loaded, "LOG_FORMAT", FORMATS, format);
    Setup {
        loaded,
        log_level: request.log_level.or(log_level).unwrap_or(Level::Warn),
        log_format: request.log_format.or(log_format).unwrap_or_default(),
    }
}

/// An option from the environment; empty is as if it were not there.
fn option<T>(
    loaded: &mut Loaded,
    name: &str,
    allowed: &'static str,
    read: fn(&str) -> Option<T>,
) -> Option<T> {
    let value = loaded.options.iter().find(|(n, value)| *n == name && !value.is_empty())?.1.clone();
    let option = read(&value);
    if option.is_none() {
        loaded.complaints.push(Complaint {
            origin: Origin::Environment(format!("TINYSVC_{name}={value}")),
            key: String::new(),
            value,
            message: "unknown word".into(),
            allowed,
            suggestion: None,
            severity: Severity::Error,
        });
    }
    option
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::spec::{Health, Restart, SignalTarget};

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    /// The flags as `NAME=VALUE`, then `--`, then the program.
    fn read(words: &[&str]) -> Result<String, String> {
        let request = parse(&os(words)).map_err(|usage| usage.to_string())?;
        let mut said: Vec<String> = request.flags.iter().map(|f| format!("{}={}", f.name, f.value)).collect();
        said.push("--".to_owned());
        said.extend(request.command.iter().map(|word| word.to_string_lossy().into_owned()));
        Ok(said.join(" "))
    }

    #[test]
    fn options_end_where_the_program_begins() {
        let table: [(&str, &[&str], Result<&str, &str>); 24] = [
            ("a program", &["/app", "-p", "x"], Ok("-- /app -p x")),
            ("a program behind --", &["--", "-p", "--"], Ok("-- -p --")),
            ("nothing", &[], Ok("--")),
            ("a lone dash is a program", &["-", "x"], Ok("-- - x")),
            ("an empty word is a program", &["", "x"], Ok("--  x")),
            ("a directive", &["-p", "Restart=no", "/app"], Ok("Restart=no -- /app")),
            ("a directive in one word", &["-pRestart=no", "/app"], Ok("Restart=no -- /app")),
            ("long", &["--property", "A=b=c", "--property=D=", "/app"], Ok("A=b=c D= -- /app")),
            (
                "short names",
                &["-r", "always", "--health=off", "--drain", "5"],
                Ok("Restart=always Health=off DrainSec=5 --"),
            ),
            ("letters together", &["-gvr", "no", "x"], Ok("SignalTarget=group Restart=no -- x")),
            ("a user", &["--user", "app", "x"], Ok("User=app -- x")),
            ("a user and a group", &["--user=1000:100", "x"], Ok("User=1000 Group=100 -- x")),
            ("an exit status to 0", &["-e", "143", "x"], Ok("ExitStatusMap=143:0 -- x")),
            ("to another", &["-e143:3", "x"], Ok("ExitStatusMap=143:3 -- x")),
            ("no value left", &["-p"], Err("-p needs a value: -p NAME=VALUE; see tinysvc --help")),
            (
                "no value left, long",
                &["--unit"],
                Err("--unit needs a value: --unit FILE; see tinysvc --help"),
            ),
            ("no assignment", &["-p", "Restart", "x"], Err("-p Restart: not NAME=VALUE; see tinysvc --help")),
            (
                "a value too many",
                &["--signal-group=x"],
                Err("--signal-group takes no value; see tinysvc --help"),
            ),
            ("an unknown letter", &["-x"], Err("unknown option -x; see tinysvc --help")),
            (
                "an unknown name",
                &["--restrat", "x"],
                Err("unknown option --restrat; did you mean --restart?"),
            ),
            (
                "a directive as an option",
                &["--restart-sec=5"],
                Err("unknown option --restart-sec; did you mean -p RestartSec=…?"),
            ),
            (
                "a bad level",
                &["--log-level", "loud"],
                Err("--log-level loud: unknown word; allowed: error, warn, info, debug; see tinysvc --help"),
            ),
            (
                "a bad format",
                &["--log-format=xml"],
                Err("--log-format xml: unknown word; allowed: text, json; see tinysvc --help"),
            ),
            ("show's own", &["--all", "x"], Err("--all belongs to tinysvc show; see tinysvc --help")),
        ];
        for (why, words, expected) in table {
            assert_eq!(read(words), expected.map(str::to_owned).map_err(str::to_owned), "{why}");
        }
        let rubbish = OsStr::from_bytes(b"A=\xff").to_owned();
        assert!(parse(&["-p".into(), rubbish.clone()]).is_err());
        // The program's arguments may be any bytes.
        assert_eq!(parse(std::slice::from_ref(&rubbish)).map(|request| request.command), Ok(vec![rubbish]));
    }

    #[test]
    fn help_the_version_and_the_level() {
        let ask = |words: &[&str]| parse(&os(words)).unwrap().ask;
        assert_eq!(
            (ask(&["-h"]), ask(&["--version"]), ask(&["--", "-h"])),
            (Some(Ask::Help), Some(Ask::Version), None)
        );
        let level = |words: &[&str], environment: &[(&str, &str)]| {
            let environment: Vec<_> = environment.iter().map(|(n, v)| (n.into(), v.into())).collect();
            let setup = load(&parse(&os(words)).unwrap(), &environment);
            (setup.log_level, setup.refusal())
        };
        let variable = ("TINYSVC_LOG_LEVEL", "debug");
        assert_eq!(level(&["x"], &[]), (Level::Warn, None));
        assert_eq!(level(&["-v", "x"], &[]), (Level::Info, None));
        assert_eq!(level(&["-vv", "x"], &[]), (Level::Debug, None));
        assert_eq!(level(&["--log-level=error", "x"], &[variable]), (Level::Error, None));
        assert_eq!(level(&["x"], &[variable]), (Level::Debug, None));
        assert_eq!(level(&["x"], &[("TINYSVC_LOG_LEVEL", "")]), (Level::Warn, None));
        assert_eq!(level(&["x"], &[("TINYSVC_LOG_LEVEL", "loud")]), (Level::Warn, Some(exit_code::USAGE)));
    }

    #[test]
    fn a_request_becomes_a_spec_or_a_refusal() {
        let words =
            os(&["-r", "always", "-g", "--health", ":80", "--log-format=json", "--", "/bin/app", "x"]);
        let setup = load(&parse(&words).unwrap(), &[]);
        let spec = &setup.loaded.spec;
        assert_eq!((spec.name.as_str(), spec.service.restart), ("app.service", Restart::Always));
        assert_eq!(spec.ours.signal_target, SignalTarget::Group);
        assert_eq!(spec.ours.health, Health::On("[::]:80".parse().unwrap()));
        assert_eq!((setup.log_format, setup.refusal()), (Format::Json, None));
        let refusal = |words: &[&str], environment: &[(OsString, OsString)]| {
            load(&parse(&os(words)).unwrap(), environment).refusal()
        };
        assert_eq!(refusal(&[], &[]), Some(exit_code::USAGE));
        assert_eq!(refusal(&["-r", "maybe", "x"], &[]), Some(exit_code::USAGE));
        assert_eq!(refusal(&["-u", "/no/such/file", "x"], &[]), Some(exit_code::CONFIG));
        assert_eq!(
            refusal(&["x"], &[("TINYSVC_UNIT".into(), "/no/such/file".into())]),
            Some(exit_code::CONFIG)
        );
        assert_eq!(refusal(&["x"], &[("TINYSVC_UNIT".into(), "".into())]), None);
    }

    #[test]
    fn the_help_names_every_option() {
        for option in OPTIONS.iter() {
            assert!(super::super::help::HELP.contains(&format!("--{}", option.long)), "--{}", option.long);
        }
    }
}
