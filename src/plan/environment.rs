//! Which variables a process gets: systemd.exec(5), "Environment Variables in Spawned Processes".
//!
//! In layers, of which a later one wins: what everybody gets, what is said of this start, who the service is,
//! `ExecSearchPath=`, `PassEnvironment=`, `Environment=`, the files of `EnvironmentFile=`. At last
//! `UnsetEnvironment=` takes away.
//!
//! What everybody gets is where one supervised command and a unit differ. The command inherits all that tinysvc was
//! started with, as it would without tinysvc. A unit gets systemd's clean environment (`PATH`, `LANG`) and
//! what the container's author has set, but not what speaks of whoever started tinysvc.
#![forbid(unsafe_code)]

use super::compile::{Manner, Surroundings};
use super::identity::Account;
use crate::unit::spec::{ExecSpec, Input, Output, Place};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A value that becomes the pid of the process that gets it, which nobody knows yet. No real value can hold it.
pub const OWN_PID: &str = "\0";

/// Name and value.
pub type Variable = (OsString, OsString);

/// systemd's `DEFAULT_PATH` where `/usr` is merged.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
/// What speaks of the session and the user that tinysvc was started in, and what was meant for it alone.
const OF_WHOEVER_STARTED_US: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "MAIL",
    "TERM",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "INVOCATION_ID",
    "SYSTEMD_EXEC_PID",
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
];

/// The whole environment of a command, each name once, in the order of the assignments that count.
///
/// `account` is that of `User=`, or without it that of our own user if it is to be told. `credentials` is
/// `$CREDENTIALS_DIRECTORY`, if there is one.
pub fn compose(
    exec: &ExecSpec,
    surroundings: &Surroundings<'_>,
    account: Option<&Account>,
    credentials: Option<&OsStr>,
) -> Vec<Variable> {
    let unit = surroundings.manner == Manner::Unit;
    let mut all: Vec<Variable> = Vec::with_capacity(surroundings.container.len() + 16);
    let mut set = |name: &str, value: OsString| all.push((name.into(), value));
    if unit {
        set("PATH", PATH.into());
        set("LANG", "C.UTF-8".into());
    }
    let foreign = |name: &OsStr| unit && OF_WHOEVER_STARTED_US.iter().any(|other| name == *other);
    all.extend(surroundings.container.iter().filter(|(name, _)| !foreign(name)).cloned());
    all.extend(surroundings.said.iter().cloned());

    let mut absent: Vec<&str> = Vec::new();
    let mut set = |name: &str, value: OsString| all.push((name.into(), value));
    if unit {
        set("SYSTEMD_EXEC_PID", OWN_PID.into());
        if uses_terminal(exec) {
            set("TERM", term(exec, surroundings.container));
        }
    }
    if let Some(account) = account {
        let full = exec.set_login_environment.unwrap_or(exec.user.is_some() || exec.dynamic_user);
        for (name, value) in account.variables() {
            match value {
                Some(value) if full || name == "USER" => set(name, OsString::from_vec(value)),
                None if full => absent.push(name),
                _ => {}
            }
        }
    }
    for (place, folders) in Place::ALL.iter().zip(&exec.directories) {
        let paths: Vec<String> =
            folders.list.iter().map(|folder| format!("{}/{}", place.root(), folder.path)).collect();
        if !paths.is_empty() {
            set(place.variable(), paths.join(":").into());
        }
    }
    if let Some(path) = credentials {
        set("CREDENTIALS_DIRECTORY", path.to_owned());
    }
    // What the account has not: an inherited one would be another's.
    all.retain(|(name, _)| !absent.iter().any(|gone| name == *gone));

    if !exec.exec_search_path.is_empty() {
        all.push(("PATH".into(), exec.exec_search_path.join(OsStr::new(":"))));
    }
    let passed = |(name, _): &&Variable| exec.pass_environment.iter().any(|wanted| name == wanted.as_str());
    if unit {
        all.extend(surroundings.container.iter().filter(passed).cloned());
    }
    all.extend(exec.environment.iter().cloned());
    all.extend(surroundings.files.iter().cloned());
    let mut all = last_of_each(all);
    if !exec.unset_environment.is_empty() {
        all.retain(|variable| !exec.unset_environment.iter().any(|unset| is_meant(unset, variable)));
    }
    all
}

/// The descriptors that were passed to us, `pid`, by name, and their numbers, which the child knows them by as well:
/// sd_listen_fds_with_names(3).
pub fn passed_descriptors(container: &[Variable], pid: u32) -> Vec<(String, i32)> {
    let value = |wanted: &str| {
        let found = container.iter().rev().find(|(name, _)| name == wanted)?;
        found.1.to_str()
    };
    let number = |name| value(name).and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(pid) {
        return Vec::new();
    }
    let names = value("LISTEN_FDNAMES").unwrap_or_default().split(':').map(str::to_owned);
    // `SD_LISTEN_FDS_START` of sd-daemon.h.
    names.zip(3..).take(number("LISTEN_FDS").unwrap_or(0) as usize).collect()
}

/// Each name once, with its last value, in the order of these.
fn last_of_each(all: Vec<Variable>) -> Vec<Variable> {
    let mut seen = BTreeSet::new();
    let count: Vec<bool> = all.iter().rev().map(|(name, _)| seen.insert(name.as_bytes())).collect();
    let count: Vec<bool> = count.into_iter().rev().collect();
    all.into_iter().zip(count).filter(|(_, counts)| *counts).map(|(variable, _)| variable).collect()
}

/// Whether a word of `UnsetEnvironment=` means this variable: by its name, or by name and value.
fn is_meant(unset: &OsStr, (name, value): &Variable) -> bool {
    match unset.as_bytes().strip_prefix(name.as_bytes()) {
        Some([]) => true,
        Some([b'=', rest @ ..]) => rest == value.as_bytes(),
        _ => false,
    }
}

fn uses_terminal(exec: &ExecSpec) -> bool {
    matches!(exec.standard_input, Some(Input::Terminal(_)))
        || [&exec.standard_output, &exec.standard_error].contains(&&Some(Output::Terminal))
}

/// `$TERM`: our own on the console, which is what the container runtime gave us; else a kind that most are like.
fn term(exec: &ExecSpec, container: &[Variable]) -> OsString {
    let console = exec.tty_path.as_ref().is_none_or(|path| path == "/dev/console");
    let ours = container.iter().rev().find(|(name, _)| name == "TERM").filter(|_| console);
    ours.map_or_else(|| "vt220".into(), |(_, value)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::users::User;

    fn games(shell: &str) -> Account {
        let (home, shell) = (b"/usr/games".to_vec(), shell.as_bytes().to_vec());
        Account::of(User { name: Some(b"games".to_vec()), uid: 5, gid: 60, home, shell })
    }

    fn variables(text: &str) -> Vec<Variable> {
        text.split(' ').filter_map(|w| w.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect()
    }

    #[test]
    fn descriptors_that_were_passed_to_us_have_names() {
        let table: [(&str, &str, &[(&str, i32)]); 4] = [
            ("two", "LISTEN_PID=7 LISTEN_FDS=2 LISTEN_FDNAMES=a:b", &[("a", 3), ("b", 4)]),
            ("more names than descriptors", "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=a:b", &[("a", 3)]),
            ("for another", "LISTEN_PID=8 LISTEN_FDS=2 LISTEN_FDNAMES=a:b", &[]),
            ("none", "A=1", &[]),
        ];
        for (why, text, expected) in table {
            let expected: Vec<_> =
                expected.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
            assert_eq!(passed_descriptors(&variables(text), 7), expected, "{why}");
        }
    }

    #[test]
    fn a_unit_gets_what_systemd_257_was_seen_to_give_it_and_a_command_all_there_is() {
        type Edit = fn(&mut ExecSpec);
        let clean = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin LANG=C.UTF-8";
        let container = "HOME=/root PATH=/c APP=1 TERM=xterm";
        let nothing: Edit = |_| {};
        let user: Edit = |exec| exec.user = Some("games".into());
        let table: [(&str, &str, Manner, Edit, Option<Account>, String); 15] = [
            (
                "a command inherits all",
                container,
                Manner::Command,
                nothing,
                None,
                format!("{container} SAID=1"),
            ),
            (
                "a command as another user has nothing of ours that speaks of us",
                "SHELL=/s HOME=/root A=1",
                Manner::Command,
                user,
                Some(games("/sbin/nologin")),
                "A=1 SAID=1 HOME=/usr/games LOGNAME=games USER=games".to_owned(),
            ),
            (
                "a unit begins clean",
                "",
                Manner::Unit,
                nothing,
                None,
                format!("{clean} SAID=1 SYSTEMD_EXEC_PID=\0"),
            ),
            (
                "with what the container's author says",
                container,
                Manner::Unit,
                nothing,
                None,
                "LANG=C.UTF-8 PATH=/c APP=1 SAID=1 SYSTEMD_EXEC_PID=\0".to_owned(),
            ),
            (
                "without User= only USER is said",
                "",
                Manner::Unit,
                nothing,
                Some(games("/bin/sh")),
                format!("{clean} SAID=1 SYSTEMD_EXEC_PID=\0 USER=games"),
            ),
            (
                "with it all is",
                "",
                Manner::Unit,
                user,
                Some(games("/bin/sh")),
                format!(
                    "{clean} SAID=1 SYSTEMD_EXEC_PID=\0 HOME=/usr/games SHELL=/bin/sh LOGNAME=games USER=games"
                ),
            ),
            (
                "unless SetLoginEnvironment= says no",
                "",
                Manner::Unit,
                |exec| (exec.user, exec.set_login_environment) = (Some("games".into()), Some(false)),
                Some(games("/bin/sh")),
                format!("{clean} SAID=1 SYSTEMD_EXEC_PID=\0 USER=games"),
            ),
            (
                "or yes without User=",
                "",
                Manner::Unit,
                |exec| exec.set_login_environment = Some(true),
                Some(games("/bin/false")),
                format!("{clean} SAID=1 SYSTEMD_EXEC_PID=\0 HOME=/usr/games LOGNAME=games USER=games"),
            ),
            (
                "Environment= wins over what we say, and a file over it",
                "",
                Manner::Unit,
                |exec| exec.environment = variables("SAID=x PATH=/x SYSTEMD_EXEC_PID=1x FILE=no"),
                None,
                "LANG=C.UTF-8 SAID=x PATH=/x SYSTEMD_EXEC_PID=1x FILE=yes".to_owned(),
            ),
            (
                "variables are taken away by name and by assignment, none by another assignment",
                "",
                Manner::Unit,
                |exec| {
                    exec.environment = variables("A=1 B=2 C=3");
                    exec.unset_environment =
                        ["A", "B=other", "C=3", "PATH", "LAN"].map(OsString::from).into();
                },
                None,
                "LANG=C.UTF-8 SAID=1 SYSTEMD_EXEC_PID=\0 B=2".to_owned(),
            ),
            (
                "a variable that is kept back is passed on if asked for",
                container,
                Manner::Unit,
                |exec| exec.pass_environment = vec!["HOME".into(), "NOT_THERE".into()],
                None,
                "LANG=C.UTF-8 PATH=/c APP=1 SAID=1 SYSTEMD_EXEC_PID=\0 HOME=/root".to_owned(),
            ),
            (
                "a search path is told",
                "PATH=/c",
                Manner::Command,
                |exec| exec.exec_search_path = vec!["/a".into(), "/b".into()],
                None,
                "SAID=1 PATH=/a:/b".to_owned(),
            ),
            (
                "folders are told",
                "",
                Manner::Command,
                |exec| {
                    let folder = |path: &str| crate::unit::spec::Folder { path: path.into(), links: vec![] };
                    exec.directories[1].list = vec![folder("a"), folder("b/c")];
                },
                None,
                "SAID=1 STATE_DIRECTORY=/var/lib/a:/var/lib/b/c CREDENTIALS_DIRECTORY=/cred".to_owned(),
            ),
            (
                "a terminal has a kind",
                container,
                Manner::Unit,
                |exec| exec.standard_output = Some(Output::Terminal),
                None,
                "LANG=C.UTF-8 PATH=/c APP=1 SAID=1 SYSTEMD_EXEC_PID=\0 TERM=xterm".to_owned(),
            ),
            (
                "and another one another",
                container,
                Manner::Unit,
                |exec| {
                    exec.standard_output = Some(Output::Terminal);
                    exec.tty_path = Some("/dev/ttyS0".into());
                },
                None,
                "LANG=C.UTF-8 PATH=/c APP=1 SAID=1 SYSTEMD_EXEC_PID=\0 TERM=vt220".to_owned(),
            ),
        ];
        for (why, container, manner, edit, account, expected) in table {
            let mut exec = ExecSpec::default();
            edit(&mut exec);
            let (container, said) = (variables(container), variables("SAID=1"));
            let files = if why.contains("file") { variables("FILE=yes") } else { Vec::new() };
            let credentials = why.starts_with("folders").then_some(OsStr::new("/cred"));
            let surroundings = Surroundings {
                manner,
                container: &container,
                said: &said,
                files: &files,
                ..Surroundings::default()
            };
            let words: Vec<String> = compose(&exec, &surroundings, account.as_ref(), credentials)
                .iter()
                .map(|(name, value)| format!("{}={}", name.display(), value.display()))
                .collect();
            assert_eq!(words.join(" "), expected, "{why}");
        }
    }
}
