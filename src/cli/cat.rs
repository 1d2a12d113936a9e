//! `tinysvc cat`: the files that a unit is made of, each below a comment with its path, as `systemctl cat` prints
//! them.
#![forbid(unsafe_code)]

use super::help::{self, refuse};
use crate::unit::library::Library;
use crate::unit::name;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// What `cat` and `verify` are asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing but the help.
    Help,
    /// These units, below this root.
    Units(PathBuf, Vec<String>),
}

/// Reads `[--root DIR] UNIT...`.
///
/// # Errors
/// In words: an option that does not exist, one without its value, no unit.
pub(super) fn asked(args: &[OsString]) -> Result<Asked, String> {
    let mut root = PathBuf::from("/");
    let mut units = Vec::new();
    let mut options = true;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        match text.as_ref() {
            "--" if options => options = false,
            "-h" | "--help" if options => return Ok(Asked::Help),
            "--root" if options => root = args.next().ok_or("--root takes a folder")?.into(),
            option if options && option.starts_with("--root=") => {
                root = option.trim_start_matches("--root=").into();
            }
            option if options && option.starts_with('-') => {
                return Err(format!("unknown option {option}; there is only --root DIR"));
            }
            unit => units.push(unit.to_owned()),
        }
    }
    if units.is_empty() {
        return Err("no unit was named".to_owned());
    }
    Ok(Asked::Units(root, units))
}

/// What a person calls a unit: a service, if nothing else is said.
pub(super) fn full_name(unit: &str) -> String {
    if name::kind(unit).is_some() { unit.to_owned() } else { format!("{unit}.service") }
}

/// Runs `tinysvc cat`; `args` is what stands behind it. Returns the exit status: 1 if there are no files of a unit.
pub fn main(args: &[OsString]) -> u8 {
    match asked(args) {
        Err(usage) => refuse(&usage),
        Ok(Asked::Help) => help::print(help::HELP),
        Ok(Asked::Units(root, units)) => {
            let (page, problems) = page(&Library::new(&root), &units);
            let status = help::print(&page);
            for problem in &problems {
                // If standard error is gone, there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "tinysvc: {problem}");
            }
            if problems.is_empty() { status } else { 1 }
        }
    }
}

/// The files, and what is wrong.
fn page(library: &Library, units: &[String]) -> (String, Vec<String>) {
    let (mut page, mut problems) = (String::new(), Vec::new());
    for unit in units {
        let unit = full_name(unit);
        let files = library.files(&unit);
        if files.is_empty() {
            problems.push(format!("no files found for {unit}"));
        }
        for file in files {
            if !page.is_empty() {
                page.push('\n');
            }
            let shown = library.outside(&file);
            page.push_str(&format!("# {}\n", shown.display()));
            match library.read(&file) {
                Ok(text) if text.is_empty() => page.push_str(&format!("# {unit} is masked\n")),
                Ok(text) => {
                    page.push_str(&String::from_utf8_lossy(&text));
                    if !page.ends_with('\n') {
                        page.push('\n');
                    }
                }
                Err(why) => problems.push(format!("cannot read {}: {why}", shown.display())),
            }
        }
    }
    (page, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::library::tests::Tree;

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_files_stand_below_their_paths() {
        let tree = Tree::new(&[
            ("/usr/lib/systemd/system/a.service", "[Service]\nExecStart=/a"),
            ("a.service.d/1.conf", "[Service]\nNice=1\n"),
            ("a.service.d/2.conf", ""),
            ("t@.service", "[Service]\nExecStart=/t\n"),
            ("t@.service.d/x.conf", "# x\n"),
            ("m.service", "-> /dev/null"),
        ]);
        let root = tree.0.display();
        let (etc, usr) = (format!("{root}/etc/systemd/system"), format!("{root}/usr/lib/systemd/system"));
        let table: [(&str, &[&str], String, usize); 6] = [
            (
                "a unit and a drop-in",
                &["a"],
                format!(
                    "# {usr}/a.service\n[Service]\nExecStart=/a\n\n# {etc}/a.service.d/1.conf\n[Service]\nNice=1\n"
                ),
                0,
            ),
            (
                "a template",
                &["t@.service"],
                format!("# {etc}/t@.service\n[Service]\nExecStart=/t\n\n# {etc}/t@.service.d/x.conf\n# x\n"),
                0,
            ),
            (
                "an instance",
                &["t@1"],
                format!("# {etc}/t@.service\n[Service]\nExecStart=/t\n\n# {etc}/t@.service.d/x.conf\n# x\n"),
                0,
            ),
            ("a mask", &["m"], format!("# {etc}/m.service\n# m.service is masked\n"), 0),
            ("none", &["none"], String::new(), 1),
            (
                "two",
                &["m", "m"],
                format!(
                    "# {etc}/m.service\n# m.service is masked\n\n# {etc}/m.service\n# m.service is masked\n"
                ),
                0,
            ),
        ];
        for (why, units, expected, wrong) in table {
            let units: Vec<String> = units.iter().map(|unit| (*unit).to_owned()).collect();
            let (found, problems) = page(&tree.library(), &units);
            assert_eq!((found, problems.len()), (expected, wrong), "{why}");
        }
    }

    #[test]
    fn the_argument_line_is_read() {
        let units = |root: &str, units: &[&str]| {
            Ok(Asked::Units(root.into(), units.iter().map(|unit| (*unit).to_owned()).collect()))
        };
        let table = [
            ("a unit", os(&["a"]), units("/", &["a"])),
            ("a root", os(&["--root", "/x", "a", "b"]), units("/x", &["a", "b"])),
            ("a root, joined", os(&["a", "--root=/x"]), units("/x", &["a"])),
            ("after two dashes all are units", os(&["--", "--root"]), units("/", &["--root"])),
            ("help", os(&["-h"]), Ok(Asked::Help)),
            ("nothing", os(&[]), Err("no unit was named".to_owned())),
            ("no value", os(&["--root"]), Err("--root takes a folder".to_owned())),
            ("an unknown option", os(&["-x"]), Err("unknown option -x; there is only --root DIR".to_owned())),
        ];
        for (why, args, expected) in table {
            assert_eq!(asked(&args), expected, "{why}");
        }
    }
}
