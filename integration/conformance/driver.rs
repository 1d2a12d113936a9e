//! How one supervisor is reached: a driver is a table of commands with placeholders, read from a JSON file.
//!
//! [`Driver`] is that table; README.md explains its keys. [`Scene`] is one running environment: the supervisor as
//! its PID 1, a shell held open inside, and the observer, which nobody inside looks after. Nothing here
//! knows one supervisor from another.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use crate::clock::{Deadline, pause};

/// The commands of one supervisor, before their placeholders are filled in.
pub struct Driver {
    pub name: String,
    up: Vec<String>,
    down: Vec<String>,
    shell: Vec<String>,
    spawn: Vec<String>,
    ready: Option<String>,
    version: String,
    /// Where the supervisor's own words are, for a report.
    log: Option<String>,
    pub unit_dir: String,
    pub installed: Option<String>,
    pub verbs: BTreeMap<String, String>,
    pub cleanup: String,
    pub gone: Option<String>,
    /// Is an environment used for one case only?
    pub fresh: bool,
    /// Which requirements of cases it cannot meet.
    pub lacks: Vec<String>,
    /// The classes of cases that make sense with it; empty means all.
    pub classes: Vec<String>,
    /// Succeeds where this machine can do it, else says why not; empty means always.
    pub possible: Vec<String>,
}

impl Driver {
    /// Reads a driver; or says which key is wrong.
    pub fn read(path: &Path) -> Result<Driver, String> {
        let wrong = |why: String| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let json: Value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let word = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let need = |key: &str| word(key).ok_or_else(|| wrong(format!("{key} is missing")));
        let words = |key: &str| -> Vec<String> {
            let list = json.get(key).and_then(Value::as_array);
            list.map(|l| l.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
        };
        let argv = |key: &str| match words(key) {
            list if list.is_empty() => Err(wrong(format!("{key} is no command"))),
            list => Ok(list),
        };
        let mut verbs = BTreeMap::new();
        for (verb, command) in json.get("verbs").and_then(Value::as_object).into_iter().flatten() {
            let command = command.as_str().ok_or_else(|| wrong(format!("{verb} is no command")))?;
            verbs.insert(verb.clone(), command.to_owned());
        }
        for verb in ["daemon-reload", "show", "kill"] {
            if !verbs.contains_key(verb) {
                return Err(wrong(format!("there is no verb {verb}")));
            }
        }
        Ok(Driver {
            name: need("name")?,
            up: argv("up")?,
            down: argv("down")?,
            shell: argv("shell")?,
            spawn: argv("spawn")?,
            ready: word("ready"),
            version: need("version")?,
            log: word("log"),
            unit_dir: need("unit_dir")?,
            installed: word("installed"),
            verbs,
            cleanup: need("cleanup")?,
            gone: word("gone"),
            fresh: json.get("fresh").and_then(Value::as_bool).unwrap_or_default(),
            lacks: words("lacks"),
            classes: words("classes"),
            possible: words("possible"),
        })
    }

    /// Is it our own binary that plays?
    pub fn is_for_tinysvc(&self) -> bool {
        self.up.iter().any(|word| word.contains("{tinysvc}"))
    }

    /// The command of a verb that [`Driver::read`] has seen to be there, or the empty one.
    pub fn verb(&self, verb: &str) -> &str {
        self.verbs.get(verb).map(String::as_str).unwrap_or_default()
    }
}

/// What all environments of a run share.
pub struct Props {
    /// The folder of this file, as `{here}`.
    pub here: PathBuf,
    /// The binary under test, as `{tinysvc}`.
    pub tinysvc: PathBuf,
    /// The helper, compiled statically.
    pub helper: PathBuf,
    /// Below it each environment has a folder.
    pub scratch: PathBuf,
    /// Are those folders left where they are?
    pub keep: bool,
}

/// Text in which `{name}` has become its value. What stands for a shell must have been quoted.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = text.to_owned();
    for (name, value) in values {
        out = out.replace(&format!("{{{name}}}"), value);
    }
    out
}

/// A word as a POSIX shell must see it to read that word.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\"'\"'"))
    }
}

/// One environment, until it is dropped.
pub struct Scene<'a> {
    pub driver: &'a Driver,
    props: &'a Props,
    name: String,
    /// Seen inside as /oracle.
    pub share: PathBuf,
    /// What PID 1 may beyond an ordinary container, as `{caps}`.
    pub caps: String,
    pub version: String,
    shell: Option<Shell>,
}

struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl<'a> Scene<'a> {
    /// Starts an environment and waits until the supervisor in it answers.
    pub fn start(driver: &'a Driver, props: &'a Props, caps: &str) -> Result<Scene<'a>, String> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("conformance-{}-{}-{number}", driver.name, std::process::id());
        let share = props.scratch.join(&name);
        let mut scene =
            Scene { driver, props, name, share, caps: caps.to_owned(), version: String::new(), shell: None };
        match scene.up() {
            Ok(()) => Ok(scene),
            Err(why) => Err(match scene.log() {
                log if log.is_empty() => why,
                log => format!("{why}; it said:\n{log}"),
            }),
        }
    }

    fn up(&mut self) -> Result<(), String> {
        self.folders().map_err(|e| format!("cannot make {}: {e}", self.share.display()))?;
        let output = self.command(&self.driver.up).output().map_err(|e| format!("cannot start: {e}"))?;
        if !output.status.success() {
            return Err(format!("cannot start: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        self.open_shell()?;
        if let Some(ready) = &self.driver.ready
            && self.run(ready, 40)?.0 != 0
        {
            return Err("the supervisor does not answer".to_owned());
        }
        self.version = self.run(&self.driver.version, 20)?.1.trim().to_owned();
        let mut observer = self.command(&self.driver.spawn);
        observer.args(["/oracle/bin/ot", "--collect", "/oracle/trace/log"]);
        observer.output().map_err(|e| format!("cannot start the observer: {e}"))?;
        let log = self.share.join("trace/log");
        let deadline = Deadline::after(10.0);
        while fs::metadata(&log).map_or(0, |m| m.len()) == 0 {
            if deadline.passed() {
                return Err("the observer did not start".to_owned());
            }
            pause(0.01);
        }
        Ok(())
    }

    fn folders(&self) -> std::io::Result<()> {
        for name in ["bin", "trace", "var", "case"] {
            fs::create_dir_all(self.share.join(name))?;
        }
        fs::set_permissions(&self.share, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(self.share.join("var"), fs::Permissions::from_mode(0o1777))?;
        fs::copy(&self.props.helper, self.share.join("bin/ot")).map(drop)
    }

    /// The shell may be refused until the environment is there.
    fn open_shell(&mut self) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..50 {
            let mut command = self.command(&self.driver.shell);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().map_err(|e| format!("cannot start a shell inside: {e}"))?;
            if let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) {
                self.shell = Some(Shell { child, stdin, stdout });
            }
            match self.run("true", 5) {
                Ok(_) => return Ok(()),
                Err(why) => last = why,
            }
            self.close_shell();
            pause(0.1);
        }
        Err(last)
    }

    fn close_shell(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            let _ = shell.child.kill();
            let _ = shell.child.wait();
        }
    }

    /// A command of the driver on this machine.
    fn command(&self, argv: &[String]) -> Command {
        let mut words = argv.iter().map(|word| self.fill(word, &[]));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Fills in what is the same for all commands of this environment, and `more`.
    pub fn fill(&self, text: &str, more: &[(&str, &str)]) -> String {
        let text = fill(text, more);
        let [share, here, tinysvc] =
            [&self.share, &self.props.here, &self.props.tinysvc].map(|path| path.to_string_lossy());
        let own = [
            ("name", self.name.as_str()),
            ("share", &share),
            ("here", &here),
            ("tinysvc", &tinysvc),
            ("caps", &self.caps),
        ];
        fill(&text, &own)
    }

    /// Runs a shell command inside: its exit status and what it printed. At most `seconds` long.
    pub fn run(&mut self, command: &str, seconds: u32) -> Result<(i32, String), String> {
        const MARK: &[u8] = b"@@RC ";
        let gone = || "the shell inside is gone".to_owned();
        let shell = self.shell.as_mut().ok_or_else(gone)?;
        let text = format!("{{ {command}\n}} 2>/dev/null </dev/null; echo \"@@RC $?\"\n");
        shell.stdin.write_all(text.as_bytes()).map_err(|_| gone())?;
        let deadline = Deadline::after(f64::from(seconds));
        let (mut seen, mut buffer) = (Vec::new(), [0; 65536]);
        loop {
            let left = PollTimeout::try_from(deadline.remaining()).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(shell.stdout.as_fd(), PollFlags::POLLIN)];
            if deadline.passed() {
                return Err(format!("took longer than {seconds} s: {command}"));
            }
            if !poll(&mut fds, left).is_ok_and(|ready| ready > 0) {
                continue;
            }
            let n = shell.stdout.read(&mut buffer).map_err(|_| gone())?;
            if n == 0 {
                return Err(gone());
            }
            seen.extend_from_slice(&buffer[..n]);
            if seen.ends_with(b"\n")
                && let Some(at) = seen.windows(MARK.len()).rposition(|w| w == MARK)
                && let Ok(code) = String::from_utf8_lossy(&seen[at + MARK.len()..]).trim().parse()
            {
                return Ok((code, String::from_utf8_lossy(&seen[..at]).into_owned()));
            }
        }
    }

    /// The last lines that the supervisor said, where the driver knows.
    pub fn log(&self) -> String {
        const LINES_MAX: usize = 30;
        let Some(path) = &self.driver.log else { return String::new() };
        let text = fs::read_to_string(self.fill(path, &[])).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        self.close_shell();
        if self.props.keep {
            // `down` removes what belongs to the harness.
            let _ = fs::write(self.share.join("supervisor.log"), self.log());
        }
        let _ = self.command(&self.driver.down).output();
        if !self.props.keep {
            let _ = fs::remove_dir_all(&self.share);
        }
    }
}
