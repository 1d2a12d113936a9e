//! Who is compared, and how one of them becomes PID 1.
//!
//! `unshare(CLONE_NEWPID)` gives this process's next child a namespace of its own; `setns` to our own
//! takes that back, so that it can be done again. Making the namespace is outside of what is timed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns, unshare};
use nix::unistd::Pid;

use crate::report::Report;

/// How often the crash loop's program runs.
pub const RUNS: usize = 3_000;

/// One that can be PID 1 above a program.
#[derive(Clone)]
pub struct Init {
    /// As the tables call it.
    pub name: &'static str,
    pub path: PathBuf,
    /// What stands before the program.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
}

impl Init {
    fn new(name: &'static str, path: impl Into<PathBuf>) -> Init {
        Init { name, path: path.into(), args: vec![String::from("--")], env: Vec::new() }
    }

    /// The command line for a program under this init.
    pub fn command<A: AsRef<OsStr>>(&self, program: &Path, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args).arg(program).args(args);
        clean(&mut command);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The same with options before the `--`.
    pub fn with(&self, options: &[&str]) -> Init {
        let mut init = self.clone();
        init.args.splice(0..0, options.iter().map(|o| String::from(*o)));
        init
    }

    pub fn with_env(&self, name: &str, value: &str) -> Init {
        let mut init = self.clone();
        init.env.push((name.to_owned(), value.to_owned()));
        init
    }
}

/// No terminal, no output, the same small environment for everybody.
pub fn clean(command: &mut Command) {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
}

/// Everything that takes part.
pub struct Peers {
    pub tinysvc: Init,
    /// tinysvc without its health listener.
    pub bare_tinysvc: Init,
    /// tini-static, tini, dumb-init, catatonit: those that are installed.
    pub others: Vec<Init>,
    /// The demo application, static.
    pub demo: PathBuf,
    /// Does nothing.
    pub nothing: PathBuf,
    /// The bare loop, and the program that ends it after [`RUNS`]; `None` without a C compiler.
    pub loops: Option<(PathBuf, PathBuf)>,
    own_namespace: File,
    folder: PathBuf,
}

impl Peers {
    pub fn find(report: &mut Report) -> Result<Peers, String> {
        let out = PathBuf::from(std::env::var_os("OUT").unwrap_or_else(|| "target".into()));
        let out = out.canonicalize().map_err(|e| format!("cannot find {}: {e}", out.display()))?;
        let tinysvc = Init::new("tinysvc", out.join("tinysvc"));
        let demo = out.join("demo");
        for path in [&tinysvc.path, &demo] {
            if !path.exists() {
                return Err(format!("{} is missing: make build demo", path.display()));
            }
        }
        // A file that was just written counts as dirty memory of who maps it.
        nix::unistd::sync();
        report.title("peers", "what is compared");
        let mut others = Vec::new();
        for name in ["tini-static", "tini", "dumb-init", "catatonit"] {
            match which(name) {
                Some(path) => others.push(Init::new(name, path)),
                None => report.left_out(format!("{name}: not installed")),
            }
        }
        let names: Vec<&str> = others.iter().map(|init| init.name).collect();
        report.note(&format!("{} beside {}", tinysvc.path.display(), names.join(", ")));

        let folder = std::env::temp_dir().join(format!("tinysvc-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        let nothing = compile(&folder, "nothing", "nothing", &["-nostdlib", "-static"]);
        let runs = format!("-DRUNS={RUNS}");
        let until = compile(&folder, "nothing", "until", &["-nostdlib", "-static", &runs]);
        let loops = compile(&folder, "loop", "loop", &["-static"]).zip(until);
        if nothing.is_none() || loops.is_none() {
            report.left_out("the yardsticks in C: no C compiler (cc)");
        }
        let own_namespace =
            File::open("/proc/self/ns/pid").map_err(|e| format!("cannot open /proc/self/ns/pid: {e}"))?;
        Ok(Peers {
            bare_tinysvc: tinysvc.with_env("TINYSVC_HEALTH", "off"),
            tinysvc,
            others,
            nothing: nothing.unwrap_or_else(|| "/bin/true".into()),
            demo,
            loops,
            own_namespace,
            folder,
        })
    }

    /// tinysvc and all others.
    pub fn all(&self) -> Vec<Init> {
        let mut all = vec![self.tinysvc.clone()];
        all.extend(self.others.iter().cloned());
        all
    }

    /// tinysvc without health and all others: what is alike in both.
    pub fn alike(&self) -> Vec<Init> {
        let mut all = vec![self.bare_tinysvc.clone()];
        all.extend(self.others.iter().cloned());
        all
    }

    /// Runs `command` as PID 1 of a new namespace until it ends: how long from before the fork, in µs.
    pub fn time_as_pid_1(&self, command: &mut Command) -> f64 {
        unshare(CloneFlags::CLONE_NEWPID).expect("a PID namespace");
        let begin = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        child.wait().expect("an end");
        let taken = begin.elapsed();
        self.back();
        micros(taken)
    }

    /// Starts `command` as PID 1 of a new namespace. The pid of the answer is the one that we see.
    pub fn start_as_pid_1(&self, command: &mut Command) -> Running {
        unshare(CloneFlags::CLONE_NEWPID).expect("a PID namespace");
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        self.back();
        Running(child)
    }

    fn back(&self) {
        setns(&self.own_namespace, CloneFlags::CLONE_NEWPID).expect("our own PID namespace");
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Keeps this process and all that it starts on one CPU until it is dropped. Two processes that wake each other in turns
/// then cost what they do, and not what it takes to wake a CPU that sleeps.
pub struct OneCpu(CpuSet);

impl OneCpu {
    pub fn begin() -> OneCpu {
        let own = Pid::from_raw(0);
        let all = sched_getaffinity(own).expect("the CPUs of this process");
        let mut one = CpuSet::new();
        let last = (0..CpuSet::count()).rev().find(|cpu| all.is_set(*cpu).unwrap_or(false)).unwrap_or(0);
        one.set(last).expect("a CPU");
        sched_setaffinity(own, &one).expect("one CPU");
        OneCpu(all)
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}

/// A PID 1 that ends, with all below it, when it is dropped.
pub struct Running(pub Child);

impl Running {
    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Waits until the init has a child and that has executed its program; the child's pid.
    pub fn child(&self) -> i32 {
        wait_for("a child", || {
            let child = *children(self.pid()).first()?;
            let exe = |pid| fs::read_link(format!("/proc/{pid}/exe")).ok();
            (exe(child)? != exe(self.pid())?).then_some(child)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The direct children of a process whose main thread made them all.
pub fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// A process and all below it.
pub fn family(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        all.extend(children(parent));
        next += 1;
    }
    all
}

/// Time on a CPU in µs and the number of times it was put on one, all threads: `/proc/PID/task/*/schedstat`.
pub fn ran(pid: i32) -> (f64, f64) {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return (0.0, 0.0) };
    let mut sum = (0.0, 0.0);
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        if let [nanos, _waited, times] = numbers[..] {
            sum = (sum.0 + nanos / 1e3, sum.1 + times);
        }
    }
    sum
}

/// A figure of `/proc/PID/smaps_rollup`, in kB.
pub fn memory(pid: i32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// Polls until there is an answer; ten seconds are the end of patience.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "waited for {what} in vain");
        std::thread::sleep(Duration::from_micros(200));
    }
}

pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn compile(folder: &Path, source: &str, name: &str, options: &[&str]) -> Option<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/bench/yardstick");
    let source = sources.join(format!("{source}.c"));
    let binary = folder.join(name);
    let status = Command::new("cc").arg("-O2").args(options).arg("-o").arg(&binary).arg(source).status();
    status.is_ok_and(|s| s.success()).then_some(binary)
}
