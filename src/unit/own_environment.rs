//! Reads and shows the directives that say which variables a service gets, besides `Environment=` itself, and where
//! its programs are looked for.
#![forbid(unsafe_code)]

use super::complaint::{Problem, Weight, shortened};
use super::directive::Reading;
use super::own::joined;
use super::spec::Spec;
use super::specifier;
use super::value::command::is_variable;
use super::words::{self, Rules, next};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// `EnvironmentFile=`: an absolute path, or a pattern of paths, with `-` before it if it may be missing. systemd
/// ignores a relative one.
pub(super) fn set_environment_file(
    spec: &mut Spec,
    text: &str,
    reading: &mut Reading<'_>,
) -> Result<(), Problem> {
    if text.is_empty() {
        spec.exec.environment_files.clear();
        return Ok(());
    }
    let (missing_ok, path) = text.strip_prefix('-').map_or((false, text), |path| (true, path));
    let path = specifier::expand(path.as_bytes(), reading.unit, &mut reading.problems).map_err(lighter)?;
    if path.first() != Some(&b'/') {
        return Err(Problem::value("no absolute path, ignored"));
    }
    spec.exec.environment_files.push((OsString::from_vec(path), missing_ok));
    Ok(())
}

pub(super) fn show_environment_file(spec: &Spec) -> Vec<String> {
    let one = |(path, missing_ok): &(OsString, bool)| {
        format!("{}{}", if *missing_ok { "-" } else { "" }, path.to_string_lossy().replace('%', "%%"))
    };
    spec.exec.environment_files.iter().map(one).collect()
}

/// `PassEnvironment=`: names.
pub(super) fn set_pass_environment(
    spec: &mut Spec,
    text: &str,
    reading: &mut Reading<'_>,
) -> Result<(), Problem> {
    if text.is_empty() {
        spec.exec.pass_environment.clear();
    }
    words_of(text, reading, |word, reading| match String::from_utf8(word) {
        Ok(name) if is_variable(&name) => {
            if !spec.exec.pass_environment.contains(&name) {
                spec.exec.pass_environment.push(name);
            }
        }
        Ok(name) => reading.problems.push(no_name(&name)),
        Err(e) => reading.problems.push(no_name(&String::from_utf8_lossy(e.as_bytes()))),
    });
    Ok(())
}

/// `UnsetEnvironment=`: names, or assignments.
pub(super) fn set_unset_environment(
    spec: &mut Spec,
    text: &str,
    reading: &mut Reading<'_>,
) -> Result<(), Problem> {
    if text.is_empty() {
        spec.exec.unset_environment.clear();
    }
    words_of(text, reading, |word, reading| {
        let shown = String::from_utf8_lossy(&word).into_owned();
        if is_variable(shown.split('=').next().unwrap_or_default()) {
            let word = OsString::from_vec(word);
            if !spec.exec.unset_environment.contains(&word) {
                spec.exec.unset_environment.push(word);
            }
        } else {
            reading.problems.push(no_name(&shown));
        }
    });
    Ok(())
}

pub(super) fn show_unset_environment(spec: &Spec) -> Vec<String> {
    let quoted = |word: &OsString| words::quote(word.as_bytes()).replace('%', "%%");
    joined(spec.exec.unset_environment.iter().map(quoted))
}

/// `ExecSearchPath=`: absolute folders with colons between.
pub(super) fn set_search_path(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    if text.is_empty() {
        spec.exec.exec_search_path.clear();
        return Ok(());
    }
    let mut rest = text.as_bytes();
    let mut list = Vec::new();
    // Quotes may stand around all of it, as around any value.
    while let Some(word) = next(&mut rest, Rules::STRICT).map_err(|bad| Problem::value(bad.text()))? {
        list.push(word);
    }
    let list = specifier::expand(&list.join(&b' '), reading.unit, &mut reading.problems).map_err(lighter)?;
    for folder in list.split(|b| *b == b':') {
        let shown = String::from_utf8_lossy(folder);
        if folder.first() != Some(&b'/') || folder.split(|b| *b == b'/').any(|part| part == b"..") {
            let problem = format!("\"{}\" is no absolute path and is ignored", shortened(&shown));
            reading.problems.push(Problem::value(problem));
            continue;
        }
        let folder = OsStr::from_bytes(folder).to_owned();
        if !spec.exec.exec_search_path.contains(&folder) {
            spec.exec.exec_search_path.push(folder);
        }
    }
    Ok(())
}

pub(super) fn show_search_path(spec: &Spec) -> Vec<String> {
    let path = spec.exec.exec_search_path.join(OsStr::new(":"));
    if path.is_empty() { Vec::new() } else { vec![words::quote(path.as_bytes()).replace('%', "%%")] }
}

fn no_name(word: &str) -> Problem {
    Problem::value(format!("\"{}\" does not begin with a variable's name", shortened(word)))
}

/// Here a specifier that does not exist costs one value, not the unit.
fn lighter(problem: Problem) -> Problem {
    Problem { weight: Weight::Value, ..problem }
}

fn words_of(text: &str, reading: &mut Reading<'_>, mut each: impl FnMut(Vec<u8>, &mut Reading<'_>)) {
    let mut rest = text.as_bytes();
    loop {
        let word = match next(&mut rest, Rules::STRICT) {
            Ok(Some(word)) => word,
            Ok(None) => return,
            Err(bad) => return reading.problems.push(Problem::value(bad.text())),
        };
        match specifier::expand(&word, reading.unit, &mut reading.problems) {
            Ok(word) => each(word, reading),
            Err(problem) => reading.problems.push(lighter(problem)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::machine::Machine;
    use crate::unit::specifier::Unit;
    use crate::unit::table::{Found, find};

    #[test]
    fn lists_gather_and_an_empty_value_empties_them() {
        let table: [(&str, &[&str], &[&str], usize); 17] = [
            ("EnvironmentFile", &["/a", "-/b %n*.env"], &["/a", "-/b t.service*.env"], 0),
            ("EnvironmentFile", &["/a", ""], &[], 0),
            ("EnvironmentFile", &["relative"], &[], 1),
            ("EnvironmentFile", &["-relative"], &[], 1),
            ("EnvironmentFile", &["/a%z", "/b%%"], &["/b%%"], 1),
            ("PassEnvironment", &["A B", "B C"], &["A B C"], 0),
            ("PassEnvironment", &["A=1 2B é C"], &["C"], 3),
            ("PassEnvironment", &["A", ""], &[], 0),
            ("UnsetEnvironment", &["A B=other 'C=a b'", "D"], &["A B=other \"C=a b\" D"], 0),
            ("UnsetEnvironment", &["=x 1A A-B=2"], &[], 3),
            ("UnsetEnvironment", &["A%z B=%n"], &["B=t.service"], 1),
            ("UnsetEnvironment", &["A", ""], &[], 0),
            ("ExecSearchPath", &["/a:/b", "/c:/a"], &["/a:/b:/c"], 0),
            ("ExecSearchPath", &["/a:b::/c/../d"], &["/a"], 3),
            ("ExecSearchPath", &["/a", ""], &[], 0),
            ("SetLoginEnvironment", &["yes"], &["yes"], 0),
            ("SetLoginEnvironment", &["yes", ""], &[], 0),
        ];
        for (name, values, expected, wrong) in table {
            let Some(Found::Row(row)) = find(name) else { panic!("no {name}") };
            let unit = Unit::one_command("t.service", "", &Machine::UNKNOWN);
            let (mut spec, mut reading) = (Spec::new("t.service"), Reading { unit, problems: Vec::new() });
            let errors =
                values.iter().filter(|value| row.set(&mut spec, value, &mut reading).is_err()).count();
            let found = (row.show(&spec), errors + reading.problems.len());
            let expected: Vec<String> = expected.iter().map(|s| (*s).to_owned()).collect();
            assert_eq!(found, (expected, wrong), "{name} {values:?}");
        }
    }
}
