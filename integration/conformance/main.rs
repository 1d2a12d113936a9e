//! What systemd does, and whether tinysvc does it: every recorded case is played and compared with its recording.
//!
//! `case` plays a case in a scene that `driver` sets, `watch` turns what the helper reported into a trace, `compare`
//! judges it. Which supervisor plays is a JSON file below `drivers`, so the same cases judge a real systemd, too.
//! README.md explains the cases, the drivers and the comparison; `make help` lists the targets.
//!
//! A case that differs only in times is played once more at the end, alone, since a machine under load is late: what
//! needed that is told. A case on the list of known differences that agrees fails the run.
#![forbid(unsafe_code)]
#![allow(clippy::indexing_slicing, reason = "a test ends where it is surprised")]

mod case;
mod clock;
mod compare;
mod driver;
mod glob;
mod known;
mod report;
mod trace;
mod watch;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

use case::Case;
use clock::Since;
use compare::{Kind, compare};
use driver::{Driver, Props, Scene, fill};
use known::Known;
use report::{Report, Verdict};
use trace::Trace;

const USAGE: &str = "\
usage: cargo test --test conformance -- [OPTION]... [CASE]...
CASE is area/name, an area or a shell pattern; CONFORMANCE='CASE...' says the same.
  --driver NAME     drivers/NAME.json, or a path (CONFORMANCE_DRIVER; tinysvc-namespace)
  --class CLASS     portable, privileged or all (CONFORMANCE_CLASS; portable)
  --expected FILE   which recording in a case's folder (expected.json)
  --jobs N          cases at a time (CONFORMANCE_JOBS; thrice the number of cores)
  --keep FOLDER     leave traces and scratch folders there (CONFORMANCE_KEEP)
  --once            no second look at cases that differ only in times
  --no-time         do not compare times
  --list            tell the cases, play none
  --diff RECORDING TRACE   compare two files";

/// What is asked for on the command line and in the environment.
struct Wish {
    patterns: Vec<String>,
    /// Must every pattern fit a case? Not when cargo handed one on that is meant for other tests.
    strict: bool,
    driver: String,
    class: String,
    expected: String,
    jobs: usize,
    keep: Option<PathBuf>,
    once: bool,
    no_time: bool,
    list: bool,
    diff: Option<(PathBuf, PathBuf)>,
}

impl Wish {
    fn read() -> Result<Wish, String> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let number = |text: &str| match text.parse::<usize>() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(format!("{text} is no number of cases")),
        };
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut wish = Wish {
            patterns: env("CONFORMANCE").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            strict: true,
            driver: env("CONFORMANCE_DRIVER").unwrap_or_else(|| "tinysvc-namespace".to_owned()),
            class: env("CONFORMANCE_CLASS").unwrap_or_else(|| "portable".to_owned()),
            expected: "expected.json".to_owned(),
            jobs: env("CONFORMANCE_JOBS").map_or(Ok(cores * 3), |text| number(&text))?,
            keep: env("CONFORMANCE_KEEP").map(PathBuf::from),
            once: false,
            no_time: false,
            list: false,
            diff: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--driver" => wish.driver = value()?,
                "--class" => wish.class = value()?,
                "--expected" => wish.expected = value()?,
                "--jobs" | "-j" => wish.jobs = number(&value()?)?,
                "--keep" => wish.keep = Some(value()?.into()),
                "--diff" => wish.diff = Some((value()?.into(), value()?.into())),
                "--once" => wish.once = true,
                "--no-time" => wish.no_time = true,
                "--list" => wish.list = true,
                "--help" | "-h" => return Err(USAGE.to_owned()),
                // What the other tests' harness understands.
                _ if arg.starts_with('-') => {}
                _ => {
                    wish.strict = false;
                    wish.patterns.push(arg);
                }
            }
        }
        Ok(wish)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(why) => {
            eprintln!("conformance: {why}");
            ExitCode::FAILURE
        }
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/conformance")
}

/// A whole run that cannot be: one line, and the tests go on.
fn skipped(why: &str) -> Result<ExitCode, String> {
    println!("conformance: skipped: {why}");
    Ok(ExitCode::SUCCESS)
}

fn run() -> Result<ExitCode, String> {
    let wish = Wish::read()?;
    let folder = here().join("cases");
    if let Some((expected, seen)) = &wish.diff {
        return diff(expected, seen);
    }
    let names = match case::find(&folder, &wish.patterns) {
        Err(why) if !wish.strict => return skipped(&why),
        names => names?,
    };
    let mut cases = Vec::new();
    for name in &names {
        let case = Case::read(&folder, name)?;
        if wish.class == "all" || case.class == wish.class {
            cases.push(case);
        }
    }
    if wish.list {
        for case in &cases {
            println!("{:<48} {:<10} {}", case.name, case.class, case.title);
        }
        return Ok(ExitCode::SUCCESS);
    }

    let driver = match wish.driver.contains('/') {
        true => PathBuf::from(&wish.driver),
        false => here().join(format!("drivers/{}.json", wish.driver)),
    };
    let driver = Driver::read(&driver)?;
    // The binary that `make build` left is as good as the one that cargo built for the tests, and a test may say.
    let tinysvc = std::env::var_os("STAGE_TINYSVC");
    let tinysvc = tinysvc.map_or_else(|| env!("CARGO_BIN_EXE_tinysvc").into(), PathBuf::from);
    if driver.is_for_tinysvc() && !answers(Command::new(&tinysvc).args(["boot", "--help"])) {
        return skipped("this tinysvc cannot boot units: `tinysvc boot --help` fails");
    }
    let scratch = match &wish.keep {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("conformance-{}", std::process::id())),
    };
    fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let scratch = scratch.canonicalize().map_err(|e| format!("{}: {e}", scratch.display()))?;
    let _tidy = wish.keep.is_none().then(|| Tidy(scratch.clone()));
    let helper = match helper() {
        Ok(helper) => helper,
        Err(why) => return skipped(&why),
    };
    let props = Props { here: here(), tinysvc, helper, scratch, keep: wish.keep.is_some() };
    if let Err(why) = possible(&driver, &props) {
        return skipped(&why);
    }

    let known = match driver.is_for_tinysvc() && wish.expected == "expected.json" {
        true => fs::read_to_string(here().join("known-differences.txt")).map_err(|e| e.to_string())?,
        false => String::new(),
    };
    let known = Known::read(&known)?;
    for name in known.cases() {
        Case::read(&folder, name).map_err(|why| format!("a known difference is no case: {why}"))?;
    }
    let whole = wish.patterns.is_empty() && driver.is_for_tinysvc() && !wish.no_time;
    let stage = Stage { driver: &driver, props: &props, wish: &wish, report: Report::new(known, whole) };
    stage.play_all(cases);
    Ok(stage.report.finish())
}

/// Compares two files, as `oracle.py diff` does.
fn diff(expected: &Path, seen: &Path) -> Result<ExitCode, String> {
    let read = |path: &Path| Trace::from_json(&case::read_json(path)?);
    let found = compare(&read(expected)?, &read(seen)?);
    for difference in &found {
        println!("{}", difference.text);
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Asks the driver whether this machine can play at all.
fn possible(driver: &Driver, props: &Props) -> Result<(), String> {
    let [here, tinysvc] = [&props.here, &props.tinysvc].map(|path| path.to_string_lossy());
    let mut words = driver.possible.iter().map(|word| fill(word, &[("here", &here), ("tinysvc", &tinysvc)]));
    let Some(program) = words.next() else { return Ok(()) };
    let output =
        Command::new(program).args(words).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Compiles the helper, once for each state of its source.
fn helper() -> Result<PathBuf, String> {
    let source = here().join("helper/ot.c");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (binary, new) = (folder.join("ot"), folder.join(format!("ot.{}", std::process::id())));
    let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    if changed(&binary) > changed(&source) {
        return Ok(binary);
    }
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-w", "-static", "-o"]).arg(&new).arg(&source).stdin(Stdio::null());
    let output = compiler.output().map_err(|e| format!("there is no C compiler for the helper: cc: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
        return Err(format!("cc cannot link the helper statically: {last}"));
    }
    fs::rename(&new, &binary).map_err(|e| format!("{}: {e}", binary.display()))?;
    Ok(binary)
}

/// Removes the scratch folder at the end.
struct Tidy(PathBuf);

impl Drop for Tidy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where all cases are played.
struct Stage<'a> {
    driver: &'a Driver,
    props: &'a Props,
    wish: &'a Wish,
    report: Report,
}

impl Stage<'_> {
    fn play_all(&self, mut cases: Vec<Case>) {
        let length = |case: &Case| {
            let trace = case.expected(&self.wish.expected).unwrap_or_default();
            let last = trace.steps.last().cloned().unwrap_or_default();
            (1000.0 * (last.t.unwrap_or(0.0) + last.dur.unwrap_or(0.0))) as u64
        };
        // The long ones first, or the run ends with one of them alone.
        cases.sort_by_cached_key(|case| std::cmp::Reverse(length(case)));
        let again = Mutex::new(VecDeque::new());
        self.in_parallel(self.wish.jobs, cases.into(), |case, verdict, seconds| match verdict {
            Verdict::Differs(found)
                if !self.wish.once && found.iter().all(|difference| difference.kind == Kind::Time) =>
            {
                locked(&again).push_back(case);
            }
            verdict => self.report.tell(&case, verdict, seconds),
        });
        let again = again.into_inner().unwrap_or_default();
        self.in_parallel(1, again, |case, verdict, seconds| {
            self.report.second_look(&case);
            self.report.tell(&case, verdict, seconds);
        });
    }

    fn in_parallel(&self, jobs: usize, cases: VecDeque<Case>, tell: impl Fn(Case, Verdict, f64) + Sync) {
        let cases = Mutex::new(cases);
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    let mut scene = None;
                    while let Some(case) = { locked(&cases).pop_front() } {
                        let since = Since::now();
                        let verdict = self.judge(&mut scene, &case);
                        tell(case, verdict, since.seconds());
                    }
                });
            }
        });
    }

    fn judge<'s>(&'s self, scene: &mut Option<Scene<'s>>, case: &Case) -> Verdict {
        if let Some(why) = self.cannot(case) {
            return Verdict::Skipped(why);
        }
        let expected = match case.expected(&self.wish.expected) {
            Ok(expected) => expected,
            Err(why) => return Verdict::Failed(why),
        };
        // The harness itself may stumble, for instance over a machine that is out of memory for a moment.
        let played = self.play(scene, case).or_else(|_| self.play(scene, case));
        let trace = match played {
            Ok(trace) => trace,
            Err(why) => return Verdict::Failed(why),
        };
        if let Some(folder) = &self.wish.keep {
            let path = folder.join(format!("{}.json", case.name.replace('/', "__")));
            let _ = fs::write(path, format!("{:#}\n", trace.to_json()));
        }
        let mut found = compare(&expected, &trace);
        found.retain(|difference| !(self.wish.no_time && difference.kind == Kind::Time));
        if found.is_empty() { Verdict::Agrees } else { Verdict::Differs(found) }
    }

    fn play<'s>(&'s self, kept: &mut Option<Scene<'s>>, case: &Case) -> Result<Trace, String> {
        let mut caps = String::new();
        if case.class == "privileged" {
            caps.push_str("sys_admin");
        }
        if case.requires.iter().any(|requires| requires == "cap-sys-nice") {
            caps.push_str(if caps.is_empty() { "sys_nice" } else { ",sys_nice" });
        }
        let mut scene = match kept.take().filter(|scene| scene.caps == caps) {
            Some(scene) => scene,
            None => Scene::start(self.driver, self.props, &caps)?,
        };
        let (trace, clean) = case::play(&mut scene, case).map_err(|why| match scene.log() {
            log if log.is_empty() => why,
            log => format!("{why}; the supervisor said:\n{log}"),
        })?;
        if clean {
            *kept = Some(scene);
        }
        Ok(trace)
    }

    /// Why a case cannot be played here, if so.
    fn cannot(&self, case: &Case) -> Option<String> {
        if !self.driver.classes.is_empty() && !self.driver.classes.contains(&case.class) {
            return Some(format!("{} is not for {} cases", self.driver.name, case.class));
        }
        if !case.has(&self.wish.expected) {
            return Some(format!("there is no {}", self.wish.expected));
        }
        case.requires.iter().find_map(|requires| {
            let met = match requires.as_str() {
                "x86-64" => cfg!(target_arch = "x86_64"),
                // Only a kernel with 32-bit emulation has it.
                "ia32-emulation" => Path::new("/proc/sys/abi/vsyscall32").exists(),
                _ => !self.driver.lacks.contains(requires),
            };
            (!met).then(|| format!("needs {requires}"))
        })
    }
}

/// A lock whose holder panicked is as good as any: nothing is half done in there.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
