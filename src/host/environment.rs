//! Reads the files of `EnvironmentFile=`, anew for each command: systemd.exec(5).
//!
//! A path may be a pattern of glob(7). Whatever is there is read without waiting and up to a bound, since PID 1 reads it.
#![forbid(unsafe_code)]

use crate::unit::environment_file::environment_file;
use nix::fcntl::OFlag;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// More of a file than this is an error, in bytes.
const FILE_MAX: u64 = 4 << 20;
/// More files than this one pattern does not stand for.
const FILES_MAX: usize = 1000;

/// The variables of all files in order, of which a later one counts. Each file comes with whether it may be missing.
///
/// # Errors
/// The first that is missing and may not be, or that cannot be read, and why.
pub fn read_all(files: &[(OsString, bool)]) -> Result<Vec<(OsString, OsString)>, (PathBuf, io::Error)> {
    let mut variables = Vec::new();
    for (path, missing_ok) in files {
        let found = if is_pattern(path.as_bytes()) { matches(path) } else { vec![PathBuf::from(path)] };
        if found.is_empty() && !missing_ok {
            return Err((path.into(), io::ErrorKind::NotFound.into()));
        }
        for path in found {
            match read(&path) {
                Ok(text) => variables.extend(environment_file(&text)),
                Err(_) if *missing_ok => {}
                Err(error) => return Err((path, error)),
            }
        }
    }
    Ok(variables)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let mut text = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|b| b"*?[".contains(b))
}

/// The files that a pattern stands for, sorted.
fn matches(pattern: &OsStr) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.as_bytes().split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        let name = OsStr::from_bytes(part);
        if !is_pattern(part) {
            found.iter_mut().for_each(|path| path.push(name));
            continue;
        }
        let mut next: Vec<PathBuf> = Vec::new();
        for folder in &found {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let hidden = part.first() == Some(&b'.');
            let fits = |name: &[u8]| fits(part, name) && (hidden || name.first() != Some(&b'.'));
            for name in entries.map(|entry| entry.file_name()).filter(|name| fits(name.as_bytes())) {
                let path = folder.join(name);
                // Put where it belongs at once: a sort of its own is a lot of code for a few names.
                let at = next.partition_point(|other| *other < path);
                if next.len() < FILES_MAX {
                    next.insert(at, path);
                }
            }
        }
        found = next;
    }
    found.retain(|path| path.exists());
    found
}

/// Whether a name fits a pattern of glob(7): `*`, `?`, `[a-z]`, `[!a]`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // After the last `*`: what is to come of the pattern, and where in the name it was tried.
    let mut back: Option<(&[u8], &[u8])> = None;
    let (mut pattern, mut name) = (pattern, name);
    loop {
        let one = match (pattern, name) {
            ([b'*', after @ ..], _) => {
                back = Some((after, name));
                pattern = after;
                continue;
            }
            ([], []) => return true,
            (_, []) => None,
            ([b'?', after @ ..], _) => Some(after),
            ([b'[', class @ ..], [byte, ..]) => in_class(class, *byte),
            ([plain, after @ ..], [byte, ..]) => (plain == byte).then_some(after),
            ([], _) => None,
        };
        match (one, back) {
            (Some(after), _) => {
                pattern = after;
                name = name.get(1..).unwrap_or_default();
            }
            (None, Some((after, [_, rest @ ..]))) => {
                (pattern, name) = (after, rest);
                back = Some((after, rest));
            }
            (None, _) => return false,
        }
    }
}

/// What follows a class that has the byte.
fn in_class(class: &[u8], byte: u8) -> Option<&[u8]> {
    let (not, class) = match class {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    // A `]` that stands first is one of the class.
    let end = class.iter().skip(1).position(|b| *b == b']')? + 1;
    let (mut members, after) = (class.get(..end)?, class.get(end + 1..)?);
    let mut has = false;
    while let [first, rest @ ..] = members {
        (has, members) = match rest {
            [b'-', last, rest @ ..] => (has || (*first..=*last).contains(&byte), rest),
            rest => (has || *first == byte, rest),
        };
    }
    (has != not).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns_as_in_glob_7() {
        let table = [
            ("*.env", "a.env", true),
            ("*.env", ".env", true),
            ("*.env", "a.env.bak", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbY", false),
            ("?", "a", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[]x]", "]", true),
            ("[a", "[a", false),
            ("**", "", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
