//! Variables in command lines, as systemd.service(5), "Command lines", replaces them just before the start.
//!
//! There is no shell. `${X}` is replaced wherever it stands and never splits; a word that begins with `$` and
//! goes on otherwise is a variable as a whole and splits at white space, honouring quotes in the value; `$$`
//! is a dollar. In the middle of a word `$X` means nothing. What is not set is empty, or no word at all.
#![forbid(unsafe_code)]

use super::environment::OWN_PID;
use crate::unit::words::{Rules, next};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Replaces the variables in `argv`. Of two assignments to one name in `env` the later counts.
pub fn expand(argv: &[OsString], env: &[(OsString, OsString)]) -> Vec<OsString> {
    let mut words = Vec::with_capacity(argv.len());
    for arg in argv {
        match arg.as_bytes() {
            bytes if !bytes.contains(&b'$') => words.push(arg.clone()),
            [b'$', b'{' | b'$', ..] => words.push(inside(arg.as_bytes(), env)),
            [b'$', name @ ..] => {
                let mut rest = value(name, env);
                // A value is data, not syntax: these rules refuse nothing.
                while let Ok(Some(word)) = next(&mut rest, Rules::VALUE) {
                    words.push(OsString::from_vec(word));
                }
            }
            bytes => words.push(inside(bytes, env)),
        }
    }
    words
}

/// One word with each `${X}` replaced and each `$$` halved.
fn inside(word: &[u8], env: &[(OsString, OsString)]) -> OsString {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.iter().position(|b| *b == b'$') {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        match from {
            [b'$', b'$', after @ ..] => {
                out.push(b'$');
                rest = after;
            }
            [b'$', b'{', after @ ..] if after.contains(&b'}') => {
                let mut halves = after.splitn(2, |b| *b == b'}');
                out.extend_from_slice(value(halves.next().unwrap_or_default(), env));
                rest = halves.next().unwrap_or_default();
            }
            // A lone dollar, or a brace that nothing closes: as it is.
            [dollar, after @ ..] => {
                out.push(*dollar);
                rest = after;
            }
            [] => break,
        }
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

/// The value of a variable; empty if it is not set.
fn value<'a>(name: &[u8], env: &'a [(OsString, OsString)]) -> &'a [u8] {
    let found = env.iter().rev().find(|(n, _)| n.as_bytes() == name);
    // The pid of a process that is not there yet.
    found.filter(|(_, value)| value != OWN_PID).map_or(&[], |(_, value)| value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn variables_are_replaced_as_systemd_257_was_seen_to() {
        let env: Vec<(OsString, OsString)> = [
            ("ONE", "0"),
            ("ONE", "1"),
            ("TWO", "a  b"),
            ("EMPTY", ""),
            ("Q", "'x y' z"),
            ("OPEN", "'x y"),
            ("BACK", "a\\ b\\"),
            ("DOLLAR", "$ONE ${ONE}"),
        ]
        .map(|(n, v)| (n.into(), v.into()))
        .into();
        let table: [(&str, &str, &[&str]); 26] = [
            ("a plain word stays", "x", &["x"]),
            ("the later assignment counts", "$ONE", &["1"]),
            ("with braces too", "${ONE}", &["1"]),
            ("a bare variable splits", "$TWO", &["a", "b"]),
            ("braces do not split", "${TWO}", &["a  b"]),
            ("in the middle a bare one means nothing", "pre$ONE", &["pre$ONE"]),
            ("in the middle braces count", "pre${ONE}post", &["pre1post"]),
            ("unset and bare is no word", "$UNSET", &[]),
            ("unset in braces is an empty word", "${UNSET}", &[""]),
            ("unset within a word is nothing", "x${UNSET}y", &["xy"]),
            ("two dollars are one", "$$ONE", &["$ONE"]),
            ("two dollars in the middle as well", "a$$ONE", &["a$ONE"]),
            ("three dollars and a brace", "$$${ONE}", &["$1"]),
            ("empty and bare is no word", "$EMPTY", &[]),
            ("empty in braces is an empty word", "${EMPTY}", &[""]),
            ("quotes in a value group", "$Q", &["x y", "z"]),
            ("but not with braces", "${Q}", &["'x y' z"]),
            ("an open quote in a value ends with it", "$OPEN", &["x y"]),
            ("a backslash in a value escapes", "$BACK", &["a b"]),
            ("a number is a name nobody set", "$1", &[]),
            ("no name at all", "${}", &[""]),
            ("a lone dollar", "$", &[]),
            ("a dollar at the end", "5$", &["5$"]),
            ("a brace that nothing closes", "a${ONE", &["a${ONE"]),
            ("a value is not looked into again", "${DOLLAR}", &["$ONE ${ONE}"]),
            ("two in one word", "${ONE}-${ONE}", &["1-1"]),
        ];
        for (why, word, expected) in table {
            assert_eq!(expand(&os(&[word]), &env), os(expected), "{why}");
        }
        assert_eq!(expand(&os(&["p", "$TWO", "q"]), &env), os(&["p", "a", "b", "q"]));
    }
}
