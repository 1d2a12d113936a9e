//! Puts an init on the stage and watches it from outside.
//!
//! A [`Start`] says what runs and where: as PID 1 of a fresh PID namespace (as root, or as anybody through
//! a user namespace), in a container where Docker answers, or plainly, as a child that is not PID 1.
//! [`Start::start`] gives a [`Stage`]: its lines of output can be waited for, signals come from outside
//! as a container runtime sends them, and `/proc` is read from outside. Dropping it leaves nothing behind.
//!
//! Nothing here sleeps to synchronise: every wait is for an event and has a deadline, and what was seen until
//! then is printed when it passes. What a machine cannot do makes a test say so with [`skip!`].
//!
//! Tests include it with `#[cfg(test)] #[path = "stage/mod.rs"] mod stage;`.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(missing_docs, reason = "the names in small helpers say it")]

mod docker;
mod http;

#[allow(unused_imports, reason = "not every test has to do with a container, or with HTTP")]
pub use {
    docker::{Image, docker_answers},
    http::Response,
};

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// How long a test waits for what should come at once, in seconds. Generous, since machines are shared.
pub const PATIENCE: u64 = 30;

/// Says that a test cannot run here, and why, and returns from it.
///
/// Written past the harness, which keeps the output of a passing test to itself.
#[allow(unused_macros, reason = "not every test file has something to skip")]
macro_rules! skip {
    ($($why:tt)*) => {{
        $crate::stage::say_skipped(&format!($($why)*));
        return;
    }};
}
#[allow(unused_imports, reason = "not every test file has something to skip")]
pub(crate) use skip;

pub fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {why}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The binary under test: `STAGE_TINYSVC` if it is set, else the one that cargo built for the tests.
pub fn tinysvc() -> PathBuf {
    std::env::var_os("STAGE_TINYSVC").map_or_else(|| env!("CARGO_BIN_EXE_tinysvc").into(), PathBuf::from)
}

/// The demo application, built for the same profile as this test.
pub fn demo() -> PathBuf {
    static DEMO: OnceLock<PathBuf> = OnceLock::new();
    DEMO.get_or_init(|| {
        let own = std::env::current_exe().expect("the test's own path");
        let folder = own.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
        let demo = folder.join("examples/demo");
        // `cargo test` builds it, `cargo test --test NAME` does not.
        let source = root().join("docker/demo/main.rs");
        let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        if changed(&demo) < changed(&source)
            && let Some(cargo) = std::env::var_os("CARGO")
        {
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--example", "demo"]).current_dir(root());
            if folder.ends_with("release") {
                build.arg("--release");
            }
            let _ = build.status();
        }
        assert!(demo.exists(), "{} is missing: cargo build --example demo", demo.display());
        demo
    })
    .clone()
}

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Is there such a program in `PATH`?
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Why no PID namespace can be had here, if so.
pub fn no_namespace() -> Option<String> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    ANSWER
        .get_or_init(|| {
            let mut command = Command::new("unshare");
            command.args(namespace_options()).args(["--net", "true"]);
            match command.output() {
                Ok(output) if output.status.success() => None,
                Ok(output) => Some(format!(
                    "no PID namespace can be had: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                )),
                Err(e) => Some(format!("cannot run unshare: {e}")),
            }
        })
        .clone()
}

fn namespace_options() -> Vec<&'static str> {
    let mut options = vec!["--pid", "--fork", "--mount-proc", "--kill-child"];
    if !is_root() {
        options.extend(["--user", "--map-root-user"]);
    }
    options
}

/// A folder of a test's own below the temporary one, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        let path = std::env::temp_dir().join(unique("stage"));
        fs::create_dir(&path).expect("a temporary folder");
        // A service under another user must be able to enter it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&path, open).expect("permissions");
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file in a temporary folder");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A name that no other process and no other thread of this one uses.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("tinysvc-{stem}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Calls `probe` until it has something to say; after `secs` seconds the answer is `None`.
pub fn poll<T>(secs: u64, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + Duration::from_secs(secs);
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if now() > end {
            return None;
        }
        breathe();
    }
}

#[allow(clippy::disallowed_methods, reason = "the one clock of the tests")]
pub fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "between two looks at something that has no event to wait for")]
fn breathe() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Where the init runs.
#[derive(Clone, Debug)]
enum Where {
    /// PID 1 of a namespace, with a network of its own if asked for.
    Namespace { net: bool },
    /// A child of the test: not PID 1.
    Plain,
    /// A container of this image, with these options of `docker run`.
    Docker { image: String, options: Vec<OsString> },
}

/// What is to be started, and where.
pub struct Start {
    program: PathBuf,
    name: Option<String>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    at: Where,
    user: Option<u32>,
    before: Vec<OsString>,
    directory: Option<PathBuf>,
    stdin: bool,
    terminal: bool,
}

impl Start {
    /// tinysvc as PID 1 of a namespace, in the host's network.
    pub fn tinysvc<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Start {
        Start::program(tinysvc(), args)
    }

    /// Another init, to compare with.
    pub fn program<A: AsRef<OsStr>>(program: impl Into<PathBuf>, args: impl IntoIterator<Item = A>) -> Start {
        Start {
            program: program.into(),
            name: None,
            args: args.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            env: Vec::new(),
            at: Where::Namespace { net: false },
            user: None,
            before: Vec::new(),
            directory: None,
            stdin: false,
            terminal: false,
        }
    }

    /// Calls the program by another name (its `argv[0]`, through a link of that name).
    pub fn named(mut self, name: &str) -> Start {
        self.name = Some(name.to_owned());
        self
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Start {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Start {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Supervises the demo application with these actions, without probes.
    pub fn app<A: AsRef<OsStr>>(self, actions: impl IntoIterator<Item = A>) -> Start {
        self.env("TINYSVC_HEALTH", "off").arg("--").arg(demo()).args(actions)
    }

    /// The environment is empty but for `PATH` and what is set here.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Start {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With a network of its own: only a loopback interface, every port free.
    pub fn own_network(mut self) -> Start {
        self.at = Where::Namespace { net: true };
        self
    }

    /// As an ordinary child of the test, not as PID 1.
    pub fn plain(mut self) -> Start {
        self.at = Where::Plain;
        self
    }

    /// In a container, where the image decides what the program is; `args` follow the image's name.
    pub fn docker<A: AsRef<OsStr>>(mut self, image: &Image, options: impl IntoIterator<Item = A>) -> Start {
        let options = options.into_iter().map(|o| o.as_ref().to_owned()).collect();
        self.at = Where::Docker { image: image.name().to_owned(), options };
        self
    }

    /// As another user and group id, without supplementary groups. Needs root.
    pub fn user(mut self, id: u32) -> Start {
        self.user = Some(id);
        self
    }

    /// Runs the init by this command line, which must execute it in the same process (`setpriv`, `prlimit`, …).
    pub fn before<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Start {
        self.before.extend(words.into_iter().map(|w| w.as_ref().to_owned()));
        self
    }

    pub fn directory(mut self, path: impl Into<PathBuf>) -> Start {
        self.directory = Some(path.into());
        self
    }

    /// Keeps standard input open for [`Stage::send`]; otherwise it is `/dev/null`.
    pub fn stdin(mut self) -> Start {
        self.stdin = true;
        self
    }

    /// Standard input, output and error are a terminal, the controlling one; [`Stage::send`] types. The init leads
    /// the session, as in a container with a terminal.
    pub fn terminal(mut self) -> Start {
        self.terminal = true;
        self
    }

    /// Starts it and waits until it is PID 1.
    pub fn start(self) -> Stage {
        let links = Folder::new();
        let program = match &self.name {
            Some(name) => {
                let link = links.path(name);
                std::os::unix::fs::symlink(&self.program, &link).expect("a link");
                link
            }
            None => self.program.clone(),
        };

        let container = matches!(self.at, Where::Docker { .. }).then(|| unique("run"));
        let mut words: Vec<OsString> = Vec::new();
        match &self.at {
            Where::Docker { image, options } => {
                let name = container.clone().unwrap_or_default();
                words.extend(["docker", "run", "--sig-proxy=false", "--name", &name].map(OsString::from));
                if self.stdin {
                    words.push("-i".into());
                }
                if let Some(user) = self.user {
                    words.extend(["--user".into(), user.to_string().into()]);
                }
                for (name, value) in &self.env {
                    let mut pair = name.clone();
                    pair.push("=");
                    pair.push(value);
                    words.extend(["--env".into(), pair]);
                }
                words.extend(options.iter().cloned());
                words.push(image.into());
            }
            Where::Namespace { net } => {
                words.push("unshare".into());
                words.extend(namespace_options().into_iter().map(OsString::from));
                if self.terminal {
                    words.extend(["setsid", "--ctty"].map(OsString::from));
                }
                if *net {
                    // The shell executes the init in its own place; what it adds to the environment goes again.
                    const UP: &str =
                        r#"ip link set lo up && exec env -u PWD -u OLDPWD -u SHLVL -u _ -- "$@""#;
                    words.extend(["--net", "--", "sh", "-c", UP, "sh"].map(OsString::from));
                }
                words.extend(self.as_user());
                words.extend(self.before.iter().cloned());
                words.push(program.clone().into());
            }
            Where::Plain => {
                if self.terminal {
                    words.extend(["setsid", "--ctty"].map(OsString::from));
                }
                words.extend(self.as_user());
                words.extend(self.before.iter().cloned());
                words.push(program.clone().into());
            }
        }
        words.extend(self.args.iter().cloned());

        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if container.is_none() {
            command.env_clear();
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command.envs(self.env.iter().cloned());
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // Out of the test's process group: a test of Ctrl-C must not reach the harness. A leader of a group could not become
        // that of a session in the same process, which then is an ordinary child's.
        if !(self.terminal && matches!(self.at, Where::Plain)) {
            command.process_group(0);
        }
        let mut terminal = None;
        if self.terminal {
            let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
            command.stdin(pty.slave.try_clone().expect("a descriptor"));
            command.stdout(pty.slave.try_clone().expect("a descriptor")).stderr(pty.slave);
            terminal = Some(File::from(pty.master));
        } else {
            command.stdin(if self.stdin { Stdio::piped() } else { Stdio::null() });
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {words:?}: {e}"));
        drop(command);

        let seen = Arc::new(Seen::default());
        let input: Option<Box<dyn Write + Send>> = match terminal {
            Some(master) => {
                seen.read(Stream::Out, master.try_clone().expect("a descriptor"));
                Some(Box::new(master))
            }
            None => {
                seen.read(Stream::Out, child.stdout.take().expect("a pipe"));
                seen.read(Stream::Err, child.stderr.take().expect("a pipe"));
                child.stdin.take().map(|pipe| Box::new(pipe) as Box<dyn Write + Send>)
            }
        };
        let comm = program_name(&program);
        let mut stage =
            Stage { child, pid: 0, at: self.at, comm, container, seen, input, status: None, _links: links };
        stage.pid = stage.find_pid();
        stage
    }

    fn as_user(&self) -> Vec<OsString> {
        let Some(user) = self.user else { return Vec::new() };
        let id = user.to_string();
        ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--"].map(OsString::from).to_vec()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// Every line so far, in the order in which they came.
#[derive(Default)]
struct Seen {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    all: Vec<(Stream, String)>,
    open: usize,
}

impl Seen {
    fn read(self: &Arc<Self>, stream: Stream, from: impl Read + Send + 'static) {
        self.lines.lock().expect("no reader panics").open += 1;
        let seen = Arc::clone(self);
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            // A terminal whose last user has gone answers EIO, which is its end.
            while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                line.clear();
                seen.lines.lock().expect("no reader panics").all.push((stream, text));
                seen.news.notify_all();
            }
            seen.lines.lock().expect("no reader panics").open -= 1;
            seen.news.notify_all();
        });
    }

    /// Waits until `probe` finds something in what was seen.
    fn wait<T>(&self, secs: u64, mut probe: impl FnMut(&Lines) -> Option<T>) -> Option<T> {
        let end = now() + Duration::from_secs(secs);
        let mut lines = self.lines.lock().expect("no reader panics");
        loop {
            if let Some(found) = probe(&lines) {
                return Some(found);
            }
            let left = end.checked_duration_since(now())?;
            lines = self.news.wait_timeout(lines, left).expect("no reader panics").0;
        }
    }
}

/// One process of a stage, as `/proc` shows it from outside.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub name: String,
    /// `R`, `S`, `Z`, … of proc(5).
    pub state: char,
}

/// An init that runs.
pub struct Stage {
    child: Child,
    pid: i32,
    at: Where,
    /// What the kernel calls the init: its file's name, cut to 15 bytes as in proc(5).
    comm: String,
    container: Option<String>,
    seen: Arc<Seen>,
    input: Option<Box<dyn Write + Send>>,
    status: Option<i32>,
    _links: Folder,
}

impl Stage {
    /// The init's pid as seen from outside; 0 if it had ended before it could be seen.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn find_pid(&mut self) -> i32 {
        let own = self.child.id().cast_signed();
        match self.at.clone() {
            Where::Plain => own,
            // Between the fork and the execution of the init the child bears another name.
            Where::Namespace { .. } => poll(PATIENCE, || {
                if self.ended() {
                    return Some(0);
                }
                let all = processes();
                let init = all.iter().find(|p| p.parent == own)?;
                let between =
                    ["unshare", "setsid", "sh", "bash", "env", "setpriv", "ip", "prlimit", "chroot"];
                (init.name == self.comm || !between.contains(&init.name.as_str())).then_some(init.pid)
            })
            .unwrap_or_else(|| panic!("no PID 1 came up\n{}", self.output())),
            Where::Docker { .. } => poll(PATIENCE, || {
                if self.ended() {
                    return Some(0);
                }
                let name = self.container.as_deref()?;
                let pid = docker::docker(&["inspect", "-f", "{{.State.Pid}}", name]).ok()?;
                pid.trim().parse().ok().filter(|pid| *pid > 0)
            })
            .unwrap_or_else(|| panic!("no container came up\n{}", self.output())),
        }
    }

    fn ended(&mut self) -> bool {
        if self.status.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.status = Some(status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)));
        }
        self.status.is_some()
    }

    /// Waits for a line of either stream that contains `text`, and returns it.
    pub fn wait_for(&self, text: &str, secs: u64) -> String {
        self.wait_for_nth(text, 1, secs)
    }

    /// Waits for the n-th line that contains `text`, counted from 1.
    pub fn wait_for_nth(&self, text: &str, n: usize, secs: u64) -> String {
        let found = self.seen.wait(secs, |lines| {
            let mut matching = lines.all.iter().filter(|(_, line)| line.contains(text));
            let nth = matching.nth(n.saturating_sub(1)).map(|(_, line)| line.clone());
            // When both ends are closed no line will come any more.
            nth.map(Some).or((lines.open == 0).then_some(None))
        });
        match found {
            Some(Some(line)) => line,
            Some(None) => panic!("it ended without line {n} of '{text}'\n{}", self.output()),
            None => panic!("no line {n} of '{text}' within {secs} s\n{}", self.output()),
        }
    }

    /// How many lines so far contain `text`.
    pub fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|(_, line)| line.contains(text)).count()
    }

    /// Everything seen so far.
    pub fn lines(&self) -> Vec<(Stream, String)> {
        self.seen.lines.lock().expect("no reader panics").all.clone()
    }

    /// The lines of one stream so far.
    pub fn stream(&self, stream: Stream) -> Vec<String> {
        self.lines().into_iter().filter(|(from, _)| *from == stream).map(|(_, line)| line).collect()
    }

    /// Both streams, for a message.
    pub fn output(&self) -> String {
        self.lines().iter().map(|(stream, line)| format!("  {stream:?}| {line}\n")).collect()
    }

    /// Sends a signal to the init, by name without SIG or by number, as a runtime does from outside.
    pub fn signal(&self, signal: impl std::fmt::Display) {
        match &self.container {
            Some(name) => {
                docker::docker(&["kill", "--signal", &signal.to_string(), name]).expect("docker kill");
            }
            None => signal_pid(self.pid, signal),
        }
    }

    /// Waits for the end: the exit status, or −N if a signal N killed it.
    ///
    /// Of a PID 1 that was killed unshare(1) cannot be trusted to tell: it ends with −N or with 1.
    pub fn exit(&mut self, secs: u64) -> i32 {
        let ended = poll(secs, || self.ended().then_some(()));
        if ended.is_none() {
            panic!("it did not end within {secs} s; running: {:?}\n{}", self.processes(), self.output());
        }
        // What was written last is in the pipe already.
        self.seen.wait(2, |lines| (lines.open == 0).then_some(()));
        self.status.unwrap_or_default()
    }

    /// Has it not ended yet?
    pub fn runs(&mut self) -> bool {
        !self.ended()
    }

    /// Writes to standard input, or types at the terminal.
    pub fn send(&mut self, text: &str) {
        let input = self.input.as_mut().expect("Start::stdin or Start::terminal");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("standard input");
    }

    /// Closes standard input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Every process below the init, zombies too, without the init.
    pub fn processes(&self) -> Vec<Process> {
        let all = processes();
        let mut family = vec![self.pid];
        let mut below: Vec<Process> = Vec::new();
        while let Some(parent) = family.pop() {
            for process in all.iter().filter(|p| p.parent == parent) {
                family.push(process.pid);
                below.push(process.clone());
            }
        }
        below
    }

    pub fn zombies(&self) -> Vec<Process> {
        self.processes().into_iter().filter(|p| p.state == 'Z').collect()
    }

    /// Waits until a process below the init satisfies `wanted`.
    pub fn wait_for_process(&self, secs: u64, wanted: impl Fn(&Process) -> bool) -> Process {
        poll(secs, || self.processes().into_iter().find(|p| wanted(p)))
            .unwrap_or_else(|| panic!("no such process; there are {:?}\n{}", self.processes(), self.output()))
    }

    /// A file of the init's folder in `/proc`, such as `status`.
    pub fn proc(&self, file: &str) -> String {
        proc_file(self.pid, file)
    }

    /// A command that runs inside: in the same namespaces, or in the same container.
    pub fn inside<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Command {
        let mut command;
        match &self.at {
            Where::Docker { .. } => {
                command = Command::new("docker");
                command.args(["exec", "-i", self.container.as_deref().unwrap_or_default()]);
            }
            Where::Namespace { .. } => {
                command = Command::new("nsenter");
                command.args(["--target", &self.pid.to_string(), "--pid", "--mount", "--net"]);
                if !is_root() {
                    command.args(["--user", "--preserve-credentials"]);
                }
                command.arg("--");
            }
            Where::Plain => {
                command = Command::new("env");
                command.arg("--");
            }
        }
        command.args(words);
        command
    }

    /// Runs a command inside and waits for it.
    pub fn run<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Output {
        self.inside(words).stdin(Stdio::null()).output().expect("a command inside")
    }

    /// The demo application's path as seen from inside.
    pub fn demo_inside(&self) -> PathBuf {
        match self.at {
            Where::Docker { .. } => "/app".into(),
            Where::Namespace { .. } | Where::Plain => demo(),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(name) = &self.container {
            let _ = docker::docker(&["rm", "-f", name]);
        }
        if self.ended() {
            return;
        }
        // PID 1's end is the end of its namespace. Without one, the children are sought by hand.
        let below = if matches!(self.at, Where::Plain) { self.processes() } else { Vec::new() };
        for pid in [self.pid].into_iter().chain(below.iter().map(|p| p.pid)).filter(|pid| *pid > 1) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name or number; real-time ones too, which is why it goes through a shell.
pub fn signal_pid(pid: i32, signal: impl std::fmt::Display) {
    assert!(pid > 1, "no process to send {signal} to");
    let status = Command::new("bash")
        .args(["-c", r#"kill -s "$1" "$2""#, "kill", &signal.to_string(), &pid.to_string()])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "cannot send {signal} to {pid}");
}

fn program_name(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    name.chars().take(15).collect()
}

/// A file of a process's folder in `/proc`; empty if the process has gone.
pub fn proc_file(pid: i32, file: &str) -> String {
    fs::read(format!("/proc/{pid}/{file}"))
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default()
}

/// One line of `/proc/PID/status`, such as `CapBnd`, without its name.
pub fn status_of(pid: i32, name: &str) -> String {
    let status = proc_file(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// Every process that can be seen.
pub fn processes() -> Vec<Process> {
    let folder = fs::read_dir("/proc").expect("/proc");
    folder
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = proc_file(pid, "stat");
            let (start, rest) = stat.rsplit_once(')')?;
            let name = start.split_once('(')?.1.to_owned();
            let mut fields = rest.split_whitespace();
            let state = fields.next()?.chars().next()?;
            Some(Process { pid, parent: fields.next()?.parse().ok()?, name, state })
        })
        .collect()
}
