//! Reads the files of `EnvironmentFile=` (systemd.exec(5)), which os-release(5) is written like too.
//!
//! It looks like shell and is none. Quotes count at the beginning of a value, or right behind another quoted
//! part; within single quotes nothing is an escape, within double quotes `\"`, `\\`, `\$`, `` \` `` and an
//! escaped line end are, and without quotes a backslash just takes the next character as it is. Nothing is
//! replaced. What is no assignment is skipped.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Where in the file the reader is.
#[derive(Clone, Copy)]
enum Place {
    /// Before a name.
    Between,
    Name,
    Comment,
    /// Behind the `=`, or behind a closed quote.
    Before,
    Plain,
    PlainEscape,
    Single,
    Double,
    DoubleEscape,
}

/// Reads the whole text: the variables in the order in which each was named first, with the value that it was
/// given last.
///
/// What is not UTF-8, or has a name that no variable can have (`export X`), is left out.
pub fn environment_file(text: &[u8]) -> Vec<(OsString, OsString)> {
    let mut found = Vec::new();
    let (mut name, mut value) = (Vec::new(), Vec::new());
    // How much of the value stays when the white space at its end goes. Only plain text loses it.
    let mut solid = 0;
    let mut place = Place::Between;
    for byte in text {
        let line_end = matches!(byte, b'\n' | b'\r');
        let white = line_end || matches!(byte, b' ' | b'\t');
        place = match place {
            Place::Between if white => Place::Between,
            Place::Between if matches!(byte, b'#' | b';') => Place::Comment,
            Place::Between => {
                name = vec![*byte];
                Place::Name
            }
            Place::Name if line_end => Place::Between,
            Place::Name if *byte == b'=' => {
                (value, solid) = (Vec::new(), 0);
                Place::Before
            }
            Place::Name => {
                name.push(*byte);
                Place::Name
            }
            Place::Comment => {
                if line_end {
                    Place::Between
                } else {
                    Place::Comment
                }
            }
            Place::Before | Place::Plain if line_end => {
                value.truncate(solid);
                keep(&mut found, &name, std::mem::take(&mut value));
                Place::Between
            }
            Place::Before if white => Place::Before,
            Place::Before if *byte == b'\'' => Place::Single,
            Place::Before if *byte == b'"' => Place::Double,
            Place::Before | Place::Plain if *byte == b'\\' => Place::PlainEscape,
            Place::Before | Place::Plain => {
                value.push(*byte);
                solid = if white { solid } else { value.len() };
                Place::Plain
            }
            Place::PlainEscape => {
                // An escaped line end joins the lines, and what stands before it counts.
                if !line_end {
                    value.push(*byte);
                }
                solid = value.len();
                Place::Plain
            }
            Place::Single | Place::Double
                if *byte == (if matches!(place, Place::Single) { b'\'' } else { b'"' }) =>
            {
                solid = value.len();
                Place::Before
            }
            Place::Double if *byte == b'\\' => Place::DoubleEscape,
            Place::DoubleEscape => {
                match byte {
                    b'"' | b'\\' | b'`' | b'$' => value.push(*byte),
                    b'\n' => {}
                    byte => value.extend_from_slice(&[b'\\', *byte]),
                }
                Place::Double
            }
            Place::Single | Place::Double => {
                value.push(*byte);
                place
            }
        };
    }
    match place {
        Place::Between | Place::Name | Place::Comment => {}
        Place::Before | Place::Plain => {
            value.truncate(solid);
            keep(&mut found, &name, value);
        }
        // What is open at the end of the file is closed by it.
        Place::PlainEscape | Place::Single | Place::Double | Place::DoubleEscape => {
            keep(&mut found, &name, value);
        }
    }
    found
}

fn keep(found: &mut Vec<(OsString, OsString)>, name: &[u8], value: Vec<u8>) {
    let name = name.trim_ascii_end();
    let valid = super::value::command::is_variable(&String::from_utf8_lossy(name));
    if !valid || std::str::from_utf8(&value).is_err() || value.contains(&0) {
        return;
    }
    let (name, value) = (OsString::from_vec(name.to_vec()), OsString::from_vec(value));
    match found.iter_mut().find(|(n, _)| *n == name) {
        Some((_, old)) => *old = value,
        None => found.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<String> {
        let one = |(name, value): (OsString, OsString)| {
            format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
        };
        environment_file(text).into_iter().map(one).collect()
    }

    #[test]
    fn the_file_reads_as_it_was_recorded() {
        // The file of env/environment-file, line by line.
        let table: [(&str, &[u8], &[&str]); 40] = [
            ("a comment", b"# comment\n; also\n", &[]),
            ("plain", b"PLAIN=value\n", &["PLAIN=value"]),
            ("white space within stays, at the end goes", b"SPACES=a b  c   \n", &["SPACES=a b  c"]),
            ("white space before the name", b"  LEADING=x\n", &["LEADING=x"]),
            ("double quotes", b"DQ=\"double quoted # no comment\"\n", &["DQ=double quoted # no comment"]),
            ("nothing is replaced", b"SQ='single $PLAIN'\n", &["SQ=single $PLAIN"]),
            ("a quote within plain text is none", b"MIX=a\"b c\"d'e f'g\n", &["MIX=a\"b c\"d'e f'g"]),
            ("a backslash in plain text goes", b"ESC=back\\slash\n", &["ESC=backslash"]),
            (
                "the five escapes of double quotes",
                b"ESCQ=\"a\\\"b\\\\c\\$d\\`e\\nf\"\n",
                &["ESCQ=a\"b\\c$d`e\\nf"],
            ),
            ("a continued line", b"CONT=one \\\ntwo\n", &["CONT=one two"]),
            ("a line end within quotes", b"CONTQ=\"line one\nline two\"\n", &["CONTQ=line one\nline two"]),
            ("empty", b"EMPTY=\nQEMPTY=\"\"\n", &["EMPTY=", "QEMPTY="]),
            ("export is no syntax", b"export EXPORTED=1\n", &[]),
            ("a hash within a value", b"HASH=a#b\nHASH2=a #b\n", &["HASH=a#b", "HASH2=a #b"]),
            ("no equals sign", b"NOEQ\nA=1\n", &["A=1"]),
            ("names that no variable has", b"1BAD=x\nBAD-NAME=x\n=x\n", &[]),
            ("white space before the equals sign", b"SPACE =x\n", &["SPACE=x"]),
            ("and after it", b"AFTER= lead\n", &["AFTER=lead"]),
            ("no escapes in single quotes", b"SQESC='a\\nb\\'c\n", &["SQESC=a\\nb\\c"]),
            ("a dollar", b"DOLLAR=$PLAIN ${PLAIN}\n", &["DOLLAR=$PLAIN ${PLAIN}"]),
            ("UTF-8 and a tab", "UTF=h\u{e9}llo\nTAB=a\tb\n".as_bytes(), &["UTF=h\u{e9}llo", "TAB=a\tb"]),
            ("no line end at the end", b"LAST=end", &["LAST=end"]),
            ("CR LF", b"A=1\r\nB=\"two\"\r\nC=3", &["A=1", "B=two", "C=3"]),
            // Beyond the recorded file.
            ("the later counts", b"A=1\nB=2\nA=3\n", &["A=3", "B=2"]),
            ("quoted parts in a row", b"A='a'\"b\"c\n", &["A=abc"]),
            ("white space between quoted parts goes", b"A=\"a \"  'b'\n", &["A=a b"]),
            ("white space in quotes stays", b"A=\" a \"  \n", &["A= a "]),
            ("white space behind quotes and text goes", b"A=\"a\"b  \n", &["A=ab"]),
            ("an escaped space stays", b"A=a\\ \n", &["A=a "]),
            ("an escaped quote begins plain text", b"A=\\\"a b\"\n", &["A=\"a b\""]),
            ("an escaped line end in quotes", b"A=\"a\\\nb\"\n", &["A=ab"]),
            ("a comment does not go on", b"# x \\\nA=1\n", &["A=1"]),
            ("an open quote ends with the file", b"A=\"a b ", &["A=a b "]),
            ("an open single quote too", b"A='a\nB=1", &["A=a\nB=1"]),
            ("a backslash at the end", b"A=a\\", &["A=a"]),
            ("a name at the end", b"A=1\nB", &["A=1"]),
            ("what is not UTF-8", b"A=\xff\nB=1\n", &["B=1"]),
            ("a NUL", b"A=a\0b\nB=1\n", &["B=1"]),
            ("an equals sign in the value", b"A=b=c\n", &["A=b=c"]),
            ("nothing", b"", &[]),
        ];
        for (why, text, expected) in table {
            assert_eq!(read(text), expected, "{why}");
        }
    }

    #[test]
    fn any_bytes_are_read() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let alphabet = b"A=b\"'\\\n\r #;$`\t\0\xff\xc3\xa9_";
        for _ in 0..3_000 {
            let mut text = Vec::new();
            for _ in 0..40 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                text.push(alphabet[state as usize % alphabet.len()]);
            }
            for (name, value) in environment_file(&text) {
                assert!(!name.is_empty() && name.to_str().is_some() && value.to_str().is_some());
            }
        }
    }
}
