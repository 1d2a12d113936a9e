//! `tinysvc verify`: everything that is wrong with a unit, as far as its files and the root below them can tell.
//!
//! Besides what the reading says it looks for programs that are not there and users that do not exist. It prints
//! a line for each on standard output. What is right and merely not enforced here is said too, but it is no mistake
//! of the unit.
#![forbid(unsafe_code)]

use super::cat::{Asked, asked, full_name};
use super::help::{self, refuse};
use crate::unit::complaint::{Complaint, Severity};
use crate::unit::directive::Verdict;
use crate::unit::library::{Library, LoadState, Unit};
use crate::unit::{name, table};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where a program without a slash is looked for: systemd's DEFAULT_PATH, and the two folders that some images have
/// apart from `/usr`.
const SEARCH_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Runs `tinysvc verify`; `args` is what stands behind it. Returns the exit status: 1 if there is a mistake.
pub fn main(args: &[OsString]) -> u8 {
    match asked(args) {
        Err(usage) => refuse(&usage),
        Ok(Asked::Help) => help::print(help::HELP),
        Ok(Asked::Units(root, units)) => {
            let report = report(&root, &units);
            let status = help::print(&report.page);
            if report.mistakes > 0 { 1 } else { status }
        }
    }
}

/// What was found.
#[derive(Default)]
struct Report {
    page: String,
    mistakes: usize,
}

impl Report {
    fn say(&mut self, line: &str, mistake: bool) {
        self.page.push_str(line);
        self.page.push('\n');
        self.mistakes += usize::from(mistake);
    }
}

fn report(root: &Path, units: &[String]) -> Report {
    let mut report = Report::default();
    let library = Library::new(root);
    for asked in units {
        if asked.contains('/') {
            match beside(root, asked) {
                Ok((library, unit)) => one(&library, &unit, &mut report),
                Err(why) => report.say(&format!("{asked}: {why}"), true),
            }
        } else {
            one(&library, &full_name(asked), &mut report);
        }
    }
    report
}

/// The library with the folder of a file before all others, and the file's name.
fn beside(root: &Path, path: &str) -> Result<(Library, String), String> {
    let io = |path: &Path, e: std::io::Error| format!("cannot open {}: {}", path.display(), e.kind());
    let path = Path::new(path);
    let unit = path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    if name::kind(&unit).is_none() {
        return Err("the file's name is not the name of a unit, such as web.service".to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|e| io(folder, e))?;
    let real = root.canonicalize().map_err(|e| io(root, e))?;
    let within =
        folder.strip_prefix(&real).map_err(|_| format!("it is not below the root {}", root.display()))?;
    Ok((Library::with_folder(root, Some(&format!("/{}", within.display()))), unit))
}

fn one(library: &Library, unit: &str, report: &mut Report) {
    // A template is no unit; what is made of it shows what is wrong.
    let made =
        if name::is_template(unit) { name::instantiated(unit, "test-instance") } else { unit.to_owned() };
    let unit = library.load(&made);
    for complaint in &library.complaints {
        if complaint.origin.to_string().rsplit('/').next() == Some(unit.name.as_str()) {
            report.say(&complaint.to_string(), true);
        }
    }
    for complaint in unit.complaints.iter().filter(|c| c.severity > Severity::Note) {
        report.say(&complaint.to_string(), !is_verdict(complaint));
    }
    match unit.load_state {
        LoadState::NotFound => report.say(&format!("{made}: there is no such unit"), true),
        LoadState::Masked => report.say(&format!("{made}: it is masked"), false),
        LoadState::BadSetting | LoadState::Error => {}
        LoadState::Loaded => {
            programs(library, &unit, report);
            users(library, &unit, report);
        }
    }
}

/// Whether it says what becomes of a directive here, and not that something was written wrongly.
fn is_verdict(complaint: &Complaint) -> bool {
    match table::find(&complaint.key).map(table::Found::verdict) {
        Some(Verdict::Missing(reason) | Verdict::Unprotected(reason)) => complaint.message == reason,
        _ => false,
    }
}

fn programs(library: &Library, unit: &Unit, report: &mut Report) {
    for (kind, commands) in &unit.spec.service.commands {
        for command in commands.iter().filter(|command| !command.ignore_failure) {
            let program = command.program.to_string_lossy();
            if let Some(why) = missing(library, unit, &program) {
                let shown = program.replace(char::is_control, "?");
                report.say(&format!("{}: {}=: {shown}: {why}", unit.id, kind.directive()), true);
            }
        }
    }
}

/// Why it cannot be executed, if so.
fn missing(library: &Library, unit: &Unit, program: &str) -> Option<&'static str> {
    if program.contains('/') {
        return executable(library, program);
    }
    let there = |folder: &str| executable(library, &format!("{folder}/{program}")).is_none();
    let search = &unit.spec.exec.exec_search_path;
    let found = search.iter().any(|folder| there(&folder.to_string_lossy()))
        || (search.is_empty() && SEARCH_PATH.iter().any(|folder| there(folder)));
    if found { None } else { Some("there is no such program in the search path") }
}

fn executable(library: &Library, path: &str) -> Option<&'static str> {
    match library.metadata(path) {
        None => Some("there is no such file"),
        Some(of) if !of.is_file() => Some("it is no file that could be executed"),
        Some(of) if of.permissions().mode() & 0o111 == 0 => Some("the file is not executable"),
        Some(_) => None,
    }
}

fn users(library: &Library, unit: &Unit, report: &mut Report) {
    let exec = &unit.spec.exec;
    exec.user.iter().for_each(|name| entry(library, unit, "User", name, report));
    exec.group.iter().for_each(|name| entry(library, unit, "Group", name, report));
    exec.supplementary_groups
        .iter()
        .for_each(|name| entry(library, unit, "SupplementaryGroups", name, report));
}

/// A user or group by name. A number needs no entry.
fn entry(library: &Library, unit: &Unit, key: &str, name: &str, report: &mut Report) {
    if name == "root" || name.bytes().all(|b| b.is_ascii_digit()) {
        return;
    }
    let (what, database) = if key == "User" { ("user", "/etc/passwd") } else { ("group", "/etc/group") };
    let text = library.read(database).unwrap_or_default();
    let is_it =
        |line: &[u8]| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'));
    if !text.split(|b| *b == b'\n').any(is_it) {
        report.say(&format!("{}: {key}={name}: there is no such {what}", unit.id), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::library::tests::Tree;
    use std::fs;

    fn run(tree: &Tree, units: &[&str]) -> (Vec<String>, usize) {
        let units: Vec<String> = units.iter().map(|unit| (*unit).to_owned()).collect();
        let found = report(&tree.0, &units);
        let root = format!("{}", tree.0.display());
        (found.page.replace(&root, "").lines().map(str::to_owned).collect(), found.mistakes)
    }

    #[test]
    fn what_is_wrong_is_said_and_what_is_right_is_not() {
        let tree = Tree::new(&[
            ("/bin/app", "#!"),
            ("/bin/data", ""),
            ("/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1:1::/:/bin/sh\n"),
            ("/etc/group", "app:x:1:\n"),
            ("good.service", "[Service]\nExecStart=app x\nExecStop=-/no/such\nUser=app\nGroup=1\n"),
            ("gone.service", "[Service]\nExecStart=/no/such\nExecStop=nowhere\nExecReload=/bin/data\n"),
            ("users.service", "[Service]\nExecStart=/bin/app\nUser=nobody-here\nSupplementaryGroups=app x\n"),
            ("bad.service", "[Service]\nExecStart=/bin/app\nNice=99\n"),
            ("held.service", "[Service]\nExecStart=/bin/app\nPrivateTmp=yes\n"),
            ("t@.service", "[Service]\nExecStart=/bin/%i\n"),
            ("m.service", "-> /dev/null"),
            ("odd.target", "-> good.service"),
            ("/opt/my/x.service", "[Service]\nExecStart=/bin/app\n"),
            ("/opt/my/x.service.d/y.conf", "[Service]\nNice=no\n"),
            ("/opt/my/x.conf", ""),
        ]);
        fs::set_permissions(tree.0.join("bin/app"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(tree.0.join("bin/data"), fs::Permissions::from_mode(0o644)).unwrap();
        let etc = "/etc/systemd/system";
        let file = tree.0.join("opt/my/x.service").display().to_string();
        let no_unit = tree.0.join("opt/my/x.conf").display().to_string();
        let table: [(&str, &str, &[&str], usize); 11] = [
            ("a good one", "good", &[], 0),
            (
                "programs that are not there",
                "gone",
                &[
                    "gone.service: ExecStart=: /no/such: there is no such file",
                    "gone.service: ExecReload=: /bin/data: the file is not executable",
                    "gone.service: ExecStop=: nowhere: there is no such program in the search path",
                ],
                3,
            ),
            (
                "users who are not there",
                "users",
                &[
                    "users.service: User=nobody-here: there is no such user",
                    "users.service: SupplementaryGroups=x: there is no such group",
                ],
                2,
            ),
            ("a mistake", "bad", &["/etc/systemd/system/bad.service:3: Nice=99: "], 1),
            (
                "what is not enforced is no mistake",
                "held",
                &["/etc/systemd/system/held.service:3: PrivateTmp=yes: "],
                0,
            ),
            (
                "a template",
                "t@",
                &["t@test-instance.service: ExecStart=: /bin/test-instance: there is no such file"],
                1,
            ),
            ("a mask", "m", &["m.service: it is masked"], 0),
            ("nothing", "none", &["none.service: there is no such unit"], 1),
            (
                "a link that is of no use",
                "odd.target",
                &["/etc/systemd/system/odd.target: it is a link to", "odd.target: there is no such unit"],
                2,
            ),
            ("a file, with what stands beside it", &file, &["/opt/my/x.service.d/y.conf:2: Nice=no: "], 1),
            ("a file that is no unit", &no_unit, &["/opt/my/x.conf: the file's name is not"], 1),
        ];
        for (why, unit, expected, mistakes) in table {
            let (lines, found) = run(&tree, &[unit]);
            let same = lines.len() == expected.len()
                && lines.iter().zip(expected).all(|(line, start)| line.starts_with(start));
            assert!(same && found == mistakes, "{why}: {lines:?}, {found} mistakes ({etc})");
        }
        assert_eq!(run(&tree, &["good", "bad"]).1, 1);
    }
}
