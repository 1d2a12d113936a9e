//! Carries one case out with an original and with ours, and compares.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// One of the originals.
pub struct Peer {
    /// What it is called.
    pub name: &'static str,
    /// Where it is installed.
    pub original: &'static str,
}

/// Whose words count.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Words {
    /// Both must say the same.
    #[default]
    Same,
    /// The same lines, but two processes write them, so in whatever order and however often.
    SameLines,
    /// Both must say this; what else they say does not count.
    Having(&'static str),
    /// The wording is ours: something must come on the same stream.
    Ours,
}

/// Where it runs.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Place {
    /// As a child of the test, with pipes.
    #[default]
    Plain,
    /// As PID 1 of a namespace.
    First,
    /// As the leader of a session on a pseudo-terminal: what is said is one stream, and these are the answers: once the
    /// first text has come, the second is typed.
    Terminal(&'static [(&'static str, &'static str)]),
}

/// A command line and its surroundings.
#[derive(Clone, Copy, Default)]
pub struct Case<'a> {
    /// `NAME=value`.
    pub environment: &'a [&'a str],
    /// What a shell does before: it ends by executing `"$@"`. Empty: nothing.
    pub before: &'a str,
    /// The arguments. The script of `sh -c` may call [`QUIET`].
    pub args: &'a [&'a str],
    /// What is compared.
    pub words: Words,
    /// Where it runs.
    pub place: Place,
}

/// A function for the shell that returns when its init sleeps and has taken in every signal.
pub const QUIET: &str = "quiet() { while [ -e /proc/$PPID ]; do s=; while read -r k v _; do case $k in \
    State:) s=$v;; ShdPnd:) s=$s$v;; esac; done </proc/$PPID/status; case $s in Z*|S0000000000000000) return;; esac; done; }; ";

/// What can be seen of a run.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// Standard output, or all of a terminal.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// `exit N` or `signal N`.
    pub end: String,
}

impl Peer {
    /// Whether the original is here. Says so if not.
    pub fn installed(&self) -> bool {
        let installed = Path::new(self.original).exists();
        if !installed {
            println!("skipped: {} is not installed", self.original);
        }
        installed
    }
}

/// What is wrong with the rows of a table. All of them are tried before the test fails.
#[derive(Default)]
pub struct Table {
    wrong: Vec<String>,
}

impl Drop for Table {
    fn drop(&mut self) {
        let count = self.wrong.len();
        assert!(count == 0 || std::thread::panicking(), "{count} rows:\n{}", self.wrong.join("\n"));
    }
}

impl Table {
    /// Runs a case twice and compares. Says so if that cannot be done here.
    pub fn compare(&mut self, peer: &Peer, why: &str, case: &Case<'_>) {
        self.compare_with(peer, why, case, &|_| ());
    }

    /// [`Table::compare`], with something that is done to each init while it runs.
    pub fn compare_with(&mut self, peer: &Peer, why: &str, case: &Case<'_>, job: &dyn Fn(&Child)) {
        if !peer.installed() {
            return;
        }
        if case.place == Place::First && namespace().is_none() {
            println!("skipped: no PID namespace can be made here: {}: {why}", peer.name);
            return;
        }
        let ours = seen(case, &outcome(&Installed::ours(peer), case, job));
        let theirs = || seen(case, &outcome(&Installed::original(peer), case, job));
        // Parent and child of an original write side by side, now and then even into each other's lines.
        let mut last = theirs();
        for _ in 0..50 {
            if ours == last || last.end.ends_with(GIVEN_UP) {
                break;
            }
            last = theirs();
        }
        let theirs = last;
        if ours != theirs {
            self.wrong.push(format!(
                "{} {:?}: {why}\n  ours:   {ours:?}\n  theirs: {theirs:?}",
                peer.name, case.args
            ));
        }
    }
}

/// Ours alone.
pub fn ours(peer: &Peer, case: &Case<'_>) -> Outcome {
    outcome(&Installed::ours(peer), case, &|_| ())
}

fn seen(case: &Case<'_>, outcome: &Outcome) -> Outcome {
    let reduce = |text: &str| match case.words {
        Words::Same => without_race(text),
        Words::SameLines => {
            let mut lines: Vec<_> = text.lines().collect();
            lines.sort_unstable();
            lines.dedup();
            lines.join("\n")
        }
        Words::Having(words) => text.contains(words).to_string(),
        Words::Ours => if text.is_empty() { "nothing" } else { "something" }.to_owned(),
    };
    Outcome { out: reduce(&outcome.out), err: reduce(&outcome.err), end: outcome.end.clone() }
}

/// Puts last what the parent says of its new child: the child speaks before it or after it.
fn without_race(text: &str) -> String {
    let races =
        |line: &&str| line.contains("] Child spawned with PID") || line.contains(": pid1 (N) spawned: ");
    let (racing, other): (Vec<_>, Vec<_>) = text.split_inclusive('\n').partition(races);
    other.concat() + &racing.concat()
}

/// A binary under the name of a peer.
pub struct Installed {
    path: PathBuf,
}

impl Installed {
    /// The one that was built, or the one in `TINYSVC_BIN`.
    pub fn ours(peer: &Peer) -> Installed {
        let built = std::env::var_os("TINYSVC_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tinysvc").into());
        Installed::link("ours", peer, Path::new(&built))
    }

    /// The original.
    pub fn original(peer: &Peer) -> Installed {
        Installed::link("theirs", peer, Path::new(peer.original))
    }

    /// Both are called through a link, so that what they make of `argv[0]` is the same.
    fn link(whose: &str, peer: &Peer, target: &Path) -> Installed {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers").join(whose);
        fs::create_dir_all(&folder).expect("a folder for links");
        let path = folder.join(peer.name);
        let target = fs::canonicalize(target).expect("the binary exists");
        if fs::read_link(&path).ok().as_deref() != Some(&target) {
            // Tests run side by side: the link is made under another name and put in place at once.
            let other = folder.join(format!("{}.{:?}", peer.name, std::thread::current().id()));
            std::os::unix::fs::symlink(&target, &other).expect("a link");
            fs::rename(&other, &path).expect("a link in its place");
        }
        Installed { path }
    }

    /// The command of a case.
    pub fn command(&self, case: &Case<'_>) -> Command {
        let mut words: Vec<String> = Vec::new();
        match case.place {
            Place::First => words.extend(namespace().into_iter().flatten().map(|word| (*word).to_owned())),
            Place::Terminal(_) => words.extend(["setsid", "-c"].map(str::to_owned)),
            Place::Plain => {}
        }
        if !case.before.is_empty() {
            words.extend(["sh", "-c", case.before, "sh"].map(str::to_owned));
        }
        words.push(self.path.display().to_string());
        for (at, arg) in case.args.iter().enumerate() {
            let script = at > 1 && case.args[at - 2..at] == ["sh", "-c"];
            words.push(if script { format!("{QUIET}{arg}") } else { (*arg).to_owned() });
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        for name in ["TINI_SUBREAPER", "TINI_VERBOSITY", "TINI_KILL_PROCESS_GROUP", "DUMB_INIT_DEBUG"] {
            command.env_remove(name);
        }
        for name in ["DUMB_INIT_SETSID", "CATATONIT_DEBUG", "CATATONIT_LOG", "POSIXLY_CORRECT", "LISTEN_PID"]
        {
            command.env_remove(name);
        }
        command.envs(case.environment.iter().filter_map(|assignment| assignment.split_once('=')));
        if words[0] == self.path.display().to_string() {
            command.arg0(self.path.file_name().expect("a name"));
        }
        command
    }
}

/// The words that make the next command PID 1, as whoever we are.
fn namespace() -> Option<&'static [&'static str]> {
    const ROOT: &[&str] = &["unshare", "--pid", "--fork", "--mount-proc"];
    const USER: &[&str] = &["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let works = |words: &[&str]| {
        let done = Command::new(words[0]).args(&words[1..]).arg("true").stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    static FOUND: std::sync::OnceLock<Option<&[&str]>> = std::sync::OnceLock::new();
    *FOUND.get_or_init(|| [ROOT, USER].into_iter().find(|words| works(words)))
}

fn outcome(installed: &Installed, case: &Case<'_>, job: &dyn Fn(&Child)) -> Outcome {
    let mut command = installed.command(case);
    if let Place::Terminal(answers) = case.place {
        return on_terminal(installed, command, answers);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    job(&child);
    let out = child.stdout.take().expect("a pipe").into();
    let err = child.stderr.take().expect("a pipe").into();
    let [out, err] = match read_all([out, err]) {
        Ok(texts) => texts,
        Err(text) => return give_up(child, installed, &text),
    };
    let end = end(child.wait().expect("it can be waited for"));
    Outcome { out: normal(installed, &out), err: normal(installed, &err), end }
}

fn on_terminal(installed: &Installed, mut command: Command, answers: &[(&str, &str)]) -> Outcome {
    let terminal = openpty(None, None).expect("a pseudo-terminal");
    let copy = || Stdio::from(terminal.slave.try_clone().expect("a descriptor"));
    let mut child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("it can be started");
    drop(command);
    drop(terminal.slave);
    let mut master = fs::File::from(terminal.master);
    let mut text = Vec::new();
    let mut answers = answers.iter();
    let mut next = answers.next();
    let mut from = 0;
    loop {
        while let Some((cue, typed)) = next {
            let seen = String::from_utf8_lossy(&text[from..]).into_owned();
            let Some(at) = seen.find(cue) else { break };
            from += at + cue.len();
            master.write_all(typed.as_bytes()).expect("the terminal takes it");
            next = answers.next();
        }
        if !readable(&[master.as_fd()])[0] {
            return give_up(child, installed, &text);
        }
        let mut part = [0; 4096];
        // EIO: nobody has the other side any more.
        match master.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(len) => text.extend_from_slice(&part[..len]),
        }
    }
    let end = end(child.wait().expect("it can be waited for"));
    Outcome { out: normal(installed, &text).replace('\r', ""), err: String::new(), end }
}

/// Reads both to their ends, or what came so far if they have none.
fn read_all(pipes: [OwnedFd; 2]) -> Result<[Vec<u8>; 2], Vec<u8>> {
    let mut pipes = pipes.map(|pipe| Some(fs::File::from(pipe)));
    let mut texts = [Vec::new(), Vec::new()];
    for pipe in pipes.iter().flatten() {
        fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe can be told not to wait");
    }
    while pipes.iter().any(Option::is_some) {
        let open: Vec<_> = pipes.iter().flatten().map(AsFd::as_fd).collect();
        if !readable(&open).contains(&true) {
            return Err(texts.concat());
        }
        for (pipe, text) in pipes.iter_mut().zip(&mut texts) {
            let done = pipe.as_mut().map(|pipe| pipe.read_to_end(text));
            if matches!(done, Some(Ok(_))) {
                *pipe = None;
            }
        }
    }
    Ok(texts)
}

/// Which can be read without waiting; none, if ten seconds bring nothing.
fn readable(descriptors: &[std::os::fd::BorrowedFd<'_>]) -> Vec<bool> {
    let mut polled: Vec<_> = descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    poll(&mut polled, PollTimeout::from(10_000u16)).expect("poll");
    polled.iter().map(|fd| fd.any().unwrap_or(false)).collect()
}

const GIVEN_UP: &str = " does not end";

/// An init that does not end, made an outcome that equals nothing else.
fn give_up(mut child: Child, installed: &Installed, text: &[u8]) -> Outcome {
    for pid in children(child.id()).into_iter().chain([child.id()]) {
        let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
    }
    let _ = child.wait();
    let end = format!("{}{GIVEN_UP}", installed.path.display());
    Outcome { out: normal(installed, text), err: String::new(), end }
}

fn end(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "nothing".to_owned(),
    }
}

/// Pids become `N`, and the path of the link becomes its name.
fn normal(installed: &Installed, text: &[u8]) -> String {
    const BEFORE: [&str; 8] =
        ["tini (", "catatonit:", "pid '", "pid: '", "pid=", "PID ", "pid1 (", "child process "];
    let name = installed.path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut text = String::from_utf8_lossy(text).replace(&installed.path.display().to_string(), &name);
    for mark in BEFORE {
        let mut parts = text.split(mark);
        let mut new = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            new.push_str(mark);
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
            if rest.len() < part.len() {
                new.push('N');
            }
            new.push_str(rest);
        }
        text = new;
    }
    text
}

/// Sends a signal to a process.
pub fn send(pid: u32, signal: i32) {
    let sent = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
    assert!(sent.expect("kill(1)").success());
}

/// Waits until the init waits for a signal, and none is there; or until it has ended.
pub fn await_quiet(child: &Child) {
    // Some wait with the one call and some with the other, on a signalfd.
    let waiting = [nix::libc::SYS_rt_sigtimedwait, nix::libc::SYS_read].map(|call| format!("{call} "));
    let pid = child.id();
    await_status(pid, "waiting for a signal", |status| {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let sleeps = field(status, "State:").starts_with('S') && mask(status, "ShdPnd:") == 0;
        field(status, "State:").starts_with('Z')
            || sleeps && waiting.iter().any(|name| call.starts_with(name))
    });
}

/// Waits until `/proc/PID/status` is as it should be.
pub fn await_status(pid: u32, what: &str, is: impl Fn(&str) -> bool) {
    // 10,000 times a millisecond.
    for _ in 0..10_000 {
        if fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| is(&status)) {
            return;
        }
        poll(&mut [], PollTimeout::from(1u8)).expect("poll");
    }
    panic!("process {pid} is not {what} after 10 s");
}

/// The value of a line of `/proc/PID/status`.
pub fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

/// A mask of `/proc/PID/status`.
pub fn mask(status: &str, name: &str) -> u64 {
    u64::from_str_radix(field(status, name), 16).unwrap_or(0)
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The one child of a process, once it has one.
pub fn only_child(pid: u32) -> u32 {
    await_status(pid, "a parent", |_| !children(pid).is_empty());
    children(pid)[0]
}
