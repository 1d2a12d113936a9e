//! What the three small inits have in common on their command lines: which of them is meant, and getopt(3).
//!
//! A personality is chosen by the name that the binary is called by and by nothing else. Each reads its arguments
//! into a [`Request`], which is plain data, so that a test can look at it; [`answer`] acts on it. The options are
//! read as glibc's getopt_long(3) does, since that is what the originals use, with its error messages.
#![forbid(unsafe_code)]

use super::{catatonit, dumb_init, tini};
use crate::engine::relay::{Relay, Stream};
use crate::host::relay::{self, Program};
use crate::plan::Plan;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The program that a name stands for, if its last component is `tini`, `docker-init`, `dumb-init` or `catatonit`.
///
/// What it returns takes the whole argument line, name included, and returns the exit status.
pub fn personality(argv0: &OsStr) -> Option<fn(Vec<OsString>) -> u8> {
    match base_name(argv0).as_bytes() {
        b"tini" | b"docker-init" => Some(|args| answer(tini::read(args, &env::var_os))),
        b"dumb-init" => Some(|args| answer(dumb_init::read(args, &env::var_os))),
        b"catatonit" => Some(|args| answer(catatonit::read(args, &env::var_os))),
        _ => None,
    }
}

/// How to look up a variable.
pub type Variables<'a> = &'a dyn Fn(&'static str) -> Option<OsString>;

/// What an argument line asks for.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// These lines, and this exit status.
    Say(Vec<(Stream, String)>, u8),
    /// To be this init. The command is empty only for one that needs none.
    Run(Relay, Vec<OsString>),
}

impl Request {
    /// One text, without its last line end.
    pub fn say(stream: Stream, text: impl Into<String>, status: u8) -> Request {
        Request::Say(vec![(stream, text.into())], status)
    }
}

fn answer(request: Request) -> u8 {
    match request {
        Request::Say(lines, status) => {
            for (stream, line) in lines {
                relay::say(stream, line);
            }
            status
        }
        Request::Run(relay, command) => relay::run(relay, program(command)),
    }
}

/// Lays a command out as execvp(3) would run it.
fn program(command: Vec<OsString>) -> Option<Program> {
    let name = command.first()?;
    let plan = Plan {
        programs: candidates(name, env::var_os("PATH").as_deref()),
        // An argument came from a C string, and has no NUL.
        argv: command.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect(),
        env: env::vars_os().filter_map(|(name, value)| assignment(name, &value)).collect(),
        shell_fallback: true,
        ..Plan::default()
    };
    Some(Program { name: name.to_string_lossy().into_owned(), plan })
}

fn assignment(name: OsString, value: &OsStr) -> Option<CString> {
    let mut text = name.into_vec();
    text.push(b'=');
    text.extend_from_slice(value.as_bytes());
    CString::new(text).ok()
}

/// The files that execvp(3) tries: the name itself if it has a slash, else one for each folder of `path`, where an
/// empty one is the working directory.
fn candidates(name: &OsStr, path: Option<&OsStr>) -> Vec<CString> {
    /// `_CS_PATH` of glibc, for an environment without the variable.
    const DEFAULT: &[u8] = b"/bin:/usr/bin";
    let name = name.as_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return CString::new(name).into_iter().collect();
    }
    let folders = path.map_or(DEFAULT, OsStr::as_bytes).split(|byte| *byte == b':');
    let join = |folder: &[u8]| match folder {
        b"" => CString::new(name),
        _ => CString::new([folder, b"/", name].concat()),
    };
    folders.filter_map(|folder| join(folder).ok()).collect()
}

/// What stands behind the last slash.
pub fn base_name(path: &OsStr) -> &OsStr {
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next();
    OsStr::from_bytes(name.unwrap_or_default())
}

/// The options a program knows.
pub struct Known {
    /// Letters, each with whether it wants a value.
    pub short: &'static [(u8, bool)],
    /// Names, each with whether it wants a value and the letter that it stands for. Empty: `--name` is read as letters.
    pub long: &'static [(&'static str, bool, u8)],
    /// Options count behind the first word that is none, unless `POSIXLY_CORRECT` is set.
    pub permute: bool,
}

/// One option, as it was met.
#[derive(Debug, PartialEq)]
pub enum Met {
    /// A letter without a value.
    Flag(u8),
    /// A letter and its value.
    Value(u8, OsString),
    /// getopt's own complaint.
    Wrong(String),
}

/// Reads options one by one; what is left when they end is the command.
pub struct Options {
    known: &'static Known,
    name: String,
    permute: bool,
    rest: std::vec::IntoIter<OsString>,
    /// Letters of a word that are not read yet.
    cluster: Vec<u8>,
    words: Vec<OsString>,
    at_end: bool,
}

impl Options {
    /// Options of an argument line that begins with the program's name.
    pub fn new(args: Vec<OsString>, known: &'static Known, variables: Variables<'_>) -> Options {
        let mut rest = args.into_iter();
        let name = rest.next().unwrap_or_default();
        Options {
            known,
            name: name.to_string_lossy().into_owned(),
            permute: known.permute && variables("POSIXLY_CORRECT").is_none(),
            rest,
            cluster: Vec::new(),
            words: Vec::new(),
            at_end: false,
        }
    }

    /// The name that the program was called by, whole.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The words that are no options, once all options are read.
    pub fn into_command(self) -> Vec<OsString> {
        let mut words = self.words;
        words.extend(self.rest);
        words
    }

    fn letter(&mut self) -> Met {
        let letter = self.cluster.remove(0);
        let name = &self.name;
        match self.known.short.iter().find(|(known, _)| *known == letter) {
            None => {
                let shown = String::from_utf8_lossy(&[letter]).into_owned();
                Met::Wrong(format!("{name}: invalid option -- '{shown}'"))
            }
            Some((_, false)) => Met::Flag(letter),
            Some((_, true)) if !self.cluster.is_empty() => {
                Met::Value(letter, OsString::from_vec(std::mem::take(&mut self.cluster)))
            }
            Some((_, true)) => match self.rest.next() {
                Some(value) => Met::Value(letter, value),
                None => {
                    let shown = char::from(letter);
                    Met::Wrong(format!("{name}: option requires an argument -- '{shown}'"))
                }
            },
        }
    }

    /// A word without its `--`.
    fn long(&mut self, word: &[u8]) -> Met {
        let mut parts = word.splitn(2, |byte| *byte == b'=');
        let given = parts.next().unwrap_or_default();
        let value = parts.next();
        let name = &self.name;
        let shown = String::from_utf8_lossy(given);
        let begins: Vec<_> =
            self.known.long.iter().filter(|(known, ..)| known.as_bytes().starts_with(given)).collect();
        let exact = begins.iter().find(|(known, ..)| known.as_bytes() == given);
        let (long, wants, letter) = match (exact, begins.as_slice()) {
            (Some(known), _) | (None, [known]) => **known,
            (None, []) => return Met::Wrong(format!("{name}: unrecognized option '--{shown}'")),
            (None, several) => {
                let list: String = several.iter().map(|(known, ..)| format!(" '--{known}'")).collect();
                return Met::Wrong(format!("{name}: option '--{shown}' is ambiguous; possibilities:{list}"));
            }
        };
        match (wants, value) {
            (false, None) => Met::Flag(letter),
            (false, Some(_)) => Met::Wrong(format!("{name}: option '--{long}' doesn't allow an argument")),
            (true, Some(value)) => Met::Value(letter, OsString::from_vec(value.to_vec())),
            (true, None) => match self.rest.next() {
                Some(value) => Met::Value(letter, value),
                None => Met::Wrong(format!("{name}: option '--{long}' requires an argument")),
            },
        }
    }
}

impl Iterator for Options {
    type Item = Met;

    fn next(&mut self) -> Option<Met> {
        if !self.cluster.is_empty() {
            return Some(self.letter());
        }
        while !self.at_end {
            let word = self.rest.next()?;
            match word.as_bytes() {
                b"--" => self.at_end = true,
                [b'-', b'-', long @ ..] if !self.known.long.is_empty() => {
                    let long = long.to_vec();
                    return Some(self.long(&long));
                }
                [b'-', letters @ ..] if !letters.is_empty() => {
                    self.cluster = letters.to_vec();
                    return Some(self.letter());
                }
                _ => {
                    self.words.push(word);
                    self.at_end = !self.permute;
                }
            }
        }
        None
    }
}

/// strtol(3) with base 10 on a whole text: white space, a sign, digits. An empty text is 0, as its end is no junk.
pub fn number(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    match leading_number(text) {
        Some((number, "")) => Some(number),
        _ => None,
    }
}

/// The number that a text begins with, as strtol(3) and `%d` of sscanf(3) read it, and what follows.
pub fn leading_number(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some((if text.starts_with('-') { -size } else { size }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known {
        short: &[(b'v', false), (b'e', true)],
        long: &[("version", false, b'V'), ("verbose", false, b'v'), ("rewrite", true, b'e')],
        permute: true,
    };
    const LETTERS: Known = Known { short: KNOWN.short, long: &[], permute: false };

    fn show(known: &'static Known, posix: bool, line: &str) -> String {
        let args = line.split(' ').map(OsString::from).collect();
        let variables = |_| posix.then(|| OsString::from("1"));
        let mut options = Options::new(args, known, &variables);
        let mut shown = Vec::new();
        for met in options.by_ref() {
            shown.push(match met {
                Met::Flag(letter) => char::from(letter).to_string(),
                Met::Value(letter, value) => format!("{}={}", char::from(letter), value.display()),
                Met::Wrong(text) => text,
            });
        }
        let command = options.into_command();
        let command: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        format!("{} | {}", shown.join(" "), command.join(" "))
    }

    #[test]
    fn options_are_read_as_glibc_reads_them() {
        let table = [
            ("letters stand together", &KNOWN, false, "x -vv ls", "v v | ls"),
            ("a value follows its letter", &KNOWN, false, "x -ve3 ls", "v e=3 | ls"),
            ("or is the next word", &KNOWN, false, "x -e 3 ls", "e=3 | ls"),
            ("whatever that looks like", &KNOWN, false, "x -e -- ls", "e=-- | ls"),
            ("an option may come late", &KNOWN, false, "x ls -v -l", "v x: invalid option -- 'l' | ls"),
            ("but not behind two dashes", &KNOWN, false, "x ls -- -v", " | ls -v"),
            ("nor when POSIX is to be kept", &KNOWN, true, "x -v ls -v", "v | ls -v"),
            ("two dashes end options once", &KNOWN, true, "x -v -- -- ls", "v | -- ls"),
            ("a dash alone is a word", &KNOWN, false, "x - -v", "v | -"),
            ("a beginning is enough", &KNOWN, false, "x --rew=1 --vers ls", "e=1 V | ls"),
            (
                "unless there are two",
                &KNOWN,
                false,
                "x --ver",
                "x: option '--ver' is ambiguous; possibilities: '--version' '--verbose' | ",
            ),
            ("an unknown name", &KNOWN, false, "x --foo=1", "x: unrecognized option '--foo' | "),
            ("too much", &KNOWN, false, "x --vers=1", "x: option '--version' doesn't allow an argument | "),
            ("too little", &KNOWN, false, "x --rewrite", "x: option '--rewrite' requires an argument | "),
            ("a letter with too little", &KNOWN, false, "x -e", "x: option requires an argument -- 'e' | "),
            ("without long names a dash is a letter", &LETTERS, false, "x --", " | "),
            ("and wrong", &LETTERS, false, "x --v", "x: invalid option -- '-' v | "),
        ];
        for (why, known, posix, line, then) in table {
            assert_eq!(show(known, posix, line), then, "{why}");
        }
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let table = [
            ("42", Some(42)),
            (" +7", Some(7)),
            ("-1", Some(-1)),
            ("", Some(0)),
            (" ", None),
            ("1x", None),
            ("x", None),
            ("99999999999999999999", Some(i64::MAX)),
        ];
        for (text, value) in table {
            assert_eq!(number(text), value, "{text:?}");
        }
    }

    #[test]
    fn a_program_is_looked_for_as_execvp_does() {
        let table = [
            ("a slash says where it is", "./x", Some("/bin"), "./x"),
            ("every folder in order", "x", Some("/a:/b"), "/a/x /b/x"),
            ("an empty one is here", "x", Some(":/b"), "x /b/x"),
            ("no PATH is the system's", "x", None, "/bin/x /usr/bin/x"),
            ("no name is no file", "", Some("/a"), ""),
        ];
        for (why, name, path, then) in table {
            let found = candidates(OsStr::new(name), path.map(OsStr::new));
            let found: Vec<_> = found.iter().map(|path| path.to_string_lossy()).collect();
            assert_eq!(found.join(" "), then, "{why}");
        }
    }

    #[test]
    fn a_name_makes_the_program() {
        let table = [
            ("tini", true),
            ("/sbin/docker-init", true),
            ("/usr/bin/dumb-init", true),
            ("./catatonit", true),
            ("tinysvc", false),
            ("tini/", false),
            ("", false),
        ];
        for (name, then) in table {
            assert_eq!(personality(OsStr::new(name)).is_some(), then, "{name}");
        }
    }
}
