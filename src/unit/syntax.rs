//! Reads the text of a unit file into assignments, as systemd.syntax(7) has it.
//!
//! Lines end with LF or CR LF; a byte order mark before the first is skipped. A line that begins with `#` or
//! `;` is a comment, even within a continued line. A backslash at the very end of a line joins it with the
//! next and leaves a space. Sections that begin with `X-` are other people's and are skipped without a word,
//! except our own.
//!
//! This file knows the sections and no directive. Nothing that is wrong ends the reading.
#![forbid(unsafe_code)]

use super::complaint::Problem;
use super::nearest::nearest;

/// The longest line, and the longest line after joining: systemd's LONG_LINE_MAX.
pub const LINE_LEN_MAX: usize = 1024 * 1024;

/// A section that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `[Unit]`.
    Unit,
    /// `[Service]`.
    Service,
    /// `[Install]`.
    Install,
    /// `[X-Tinysvc]`.
    Ours,
}

impl Section {
    /// All, in the order of a file.
    pub const ALL: [Section; 4] = [Section::Unit, Section::Service, Section::Install, Section::Ours];

    /// As it stands between brackets.
    pub const fn name(self) -> &'static str {
        match self {
            Section::Unit => "Unit",
            Section::Service => "Service",
            Section::Install => "Install",
            Section::Ours => "X-Tinysvc",
        }
    }
}

/// One `Key=Value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The line that it begins on, counted from 1.
    pub line: usize,
    /// The section that it stands in.
    pub section: Section,
    /// The name, without white space around it.
    pub key: String,
    /// The value, without white space around it, continued lines joined.
    pub value: String,
}

/// What was understood, and what was not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// In the order of the file.
    pub assignments: Vec<Assignment>,
    /// Each with its line and that line's text.
    pub problems: Vec<(usize, String, Problem)>,
}

/// Where in the file the reader is.
enum Place {
    /// Before the first header.
    Outside,
    In(Section),
    /// In a section that is not read, and was said so if that is worth saying.
    Skipped,
}

/// Reads the whole file of a service.
pub fn parse(text: &[u8]) -> Parsed {
    parse_kind(text, Section::Service.name())
}

/// Reads the whole file of a unit whose kind has the section `own`: `Socket`, `Timer`. What stands in such a
/// section is skipped without a word, but for a service's.
pub fn parse_kind(text: &[u8], own: &str) -> Parsed {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut parsed = Parsed::default();
    let mut place = Place::Outside;
    // The joined line so far and the line that it began on.
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (at, line) in text.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let [b'#' | b';', ..] = super::words::skip_white(line) {
            continue;
        }
        let (begin, mut joined) = open.take().unwrap_or((at + 1, Vec::new()));
        joined.extend_from_slice(line);
        if continues(line) {
            joined.pop();
            joined.push(b' ');
            open = Some((begin, joined));
            continue;
        }
        finish(&mut parsed, &mut place, own, begin, &joined);
    }
    if let Some((begin, joined)) = open {
        finish(&mut parsed, &mut place, own, begin, &joined);
    }
    parsed
}

/// Whether the line ends with a backslash that no other backslash takes the meaning from.
fn continues(line: &[u8]) -> bool {
    line.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

/// Reads one line after joining.
fn finish(parsed: &mut Parsed, place: &mut Place, own: &str, number: usize, line: &[u8]) {
    let mut complain = |problem: Problem| {
        let start = line.get(..200).unwrap_or(line);
        parsed.problems.push((number, String::from_utf8_lossy(start).trim().to_owned(), problem));
    };
    if line.len() > LINE_LEN_MAX {
        return complain(Problem::unit("the line is longer than 1 MiB"));
    }
    if line.contains(&0) {
        return complain(Problem::value("a NUL byte in the line, which is ignored"));
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return complain(Problem::value("the line is not UTF-8 and is ignored"));
    };
    let text = text.trim_matches([' ', '\t', '\r']);
    if text.is_empty() {
        return;
    }
    if let Some(header) = text.strip_prefix('[') {
        let Some(name) = header.strip_suffix(']') else {
            *place = Place::Skipped;
            return complain(Problem::unit("a section header without its closing bracket"));
        };
        let read = |section: &Section| {
            section.name() == name && (*section != Section::Service || own == Section::Service.name())
        };
        *place = match Section::ALL.into_iter().find(read) {
            Some(section) => Place::In(section),
            None => Place::Skipped,
        };
        if matches!(place, Place::Skipped) && !name.starts_with("X-") && name != own {
            let mut problem = Problem::value("unknown section, ignored with all that stands in it");
            problem.suggestion =
                nearest(name, &mut Section::ALL.iter().map(|s| s.name())).map(|name| format!("[{name}]"));
            complain(problem);
        }
        return;
    }
    let section = match place {
        Place::In(section) => *section,
        Place::Outside => return complain(Problem::value("an assignment before the first section header")),
        Place::Skipped => return,
    };
    match text.split_once('=') {
        None => complain(Problem::value("no '=' in the line, which is ignored")),
        Some((key, _)) if key.trim().is_empty() => complain(Problem::value("no name before the '='")),
        Some((key, value)) => parsed.assignments.push(Assignment {
            line: number,
            section,
            key: key.trim_matches([' ', '\t']).to_owned(),
            value: value.trim_matches([' ', '\t', '\r']).to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `line:key=value` of what was understood and `line!message` of what was not.
    fn said(text: &[u8]) -> Vec<String> {
        let parsed = parse(text);
        let mut said: Vec<String> = parsed
            .assignments
            .iter()
            .map(|a| format!("{}:{}.{}={}", a.line, a.section.name(), a.key, a.value))
            .collect();
        said.extend(parsed.problems.iter().map(|(line, _, problem)| format!("{line}!{}", problem.message)));
        said
    }

    #[test]
    fn the_text_reads_as_systemd_reads_it() {
        let table: [(&str, &[u8], &[&str]); 22] = [
            ("an empty file", b"", &[]),
            ("an assignment", b"[Service]\nA=b\n", &["2:Service.A=b"]),
            ("no line end at the end", b"[Service]\nA=b", &["2:Service.A=b"]),
            ("white space goes", b" [Service] \n\t A = b  c \n", &["2:Service.A=b  c"]),
            ("CR LF", b"[Service]\r\nA=b\r\nC=d\r\n", &["2:Service.A=b", "3:Service.C=d"]),
            ("a byte order mark", b"\xef\xbb\xbf[Unit]\nA=b", &["2:Unit.A=b"]),
            ("comments of both kinds", b"#x\n[Service]\n ; A=1\n  #B=2\nC=3", &["5:Service.C=3"]),
            ("a hash within a value is no comment", b"[Service]\nA=b # c", &["2:Service.A=b # c"]),
            ("an empty value", b"[Service]\nA=\n", &["2:Service.A="]),
            ("an equals sign in the value", b"[Service]\nA=b=c", &["2:Service.A=b=c"]),
            (
                "a continued line counts from its first",
                b"[Service]\nA=b \\\n  c\nD=e",
                &["2:Service.A=b    c", "4:Service.D=e"],
            ),
            (
                "a comment within a continued line",
                b"[Service]\nA=b\\\n# not this\\\n; nor this\nc",
                &["2:Service.A=b c"],
            ),
            ("CR LF within a continued line", b"[Service]\r\nA=b\\\r\nc\r\n", &["2:Service.A=b c"]),
            (
                "two backslashes are one, not a joint",
                b"[Service]\nA=b\\\\\nC=d",
                &["2:Service.A=b\\\\", "3:Service.C=d"],
            ),
            ("a joint at the end of the file", b"[Service]\nA=b\\", &["2:Service.A=b"]),
            ("our own section", b"[X-Tinysvc]\nHealth=off", &["2:X-Tinysvc.Health=off"]),
            ("another X- section is none of ours", b"[X-Other]\nA=b\n???\n[Unit]\nC=d", &["5:Unit.C=d"]),
            (
                "an unknown section",
                b"[Socket]\nA=b\n",
                &["1!unknown section, ignored with all that stands in it"],
            ),
            ("outside of sections", b"A=b\n", &["1!an assignment before the first section header"]),
            (
                "no equals sign, no name",
                b"[Service]\nrubbish\n=x\nA=b",
                &["4:Service.A=b", "2!no '=' in the line, which is ignored", "3!no name before the '='"],
            ),
            ("an open header", b"[Service\nA=b\n", &["1!a section header without its closing bracket"]),
            (
                "NUL and what is not UTF-8",
                b"[Service]\nA=\0\nB=\xff\nC=d",
                &[
                    "4:Service.C=d",
                    "2!a NUL byte in the line, which is ignored",
                    "3!the line is not UTF-8 and is ignored",
                ],
            ),
        ];
        for (why, text, expected) in table {
            assert_eq!(said(text), expected, "{why}");
        }
    }

    #[test]
    fn a_line_of_a_mebibyte_is_read_and_a_longer_one_is_not() {
        let file = |len: usize| [b"[Service]\nA=".to_vec(), vec![b'x'; len - 2], b"\nB=c".to_vec()].concat();
        assert_eq!(parse(&file(LINE_LEN_MAX)).assignments.len(), 2);
        assert_eq!(said(&file(LINE_LEN_MAX + 1)), ["3:Service.B=c", "2!the line is longer than 1 MiB"]);
        let joined =
            [b"[Service]\nA=".to_vec(), b"xxxxxxx\\\n".repeat(LINE_LEN_MAX / 8), b"\nB=c".to_vec()].concat();
        let joined = parse(&joined);
        assert_eq!((joined.assignments.len(), joined.problems.len()), (1, 1));
    }

    #[test]
    fn a_misspelt_section_is_recognised() {
        let problems = parse(b"[service]\n[Instal]\n").problems;
        let meant: Vec<_> = problems.iter().map(|(_, _, p)| p.suggestion.as_deref()).collect();
        assert_eq!(meant, [Some("[Service]"), Some("[Install]")]);
    }
}
