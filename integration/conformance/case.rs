//! One case: its folder, and how it is played in a scene. README.md, section "case.json".

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::clock::{Deadline, pause};
use crate::driver::{Scene, quoted};
use crate::glob;
use crate::trace::{Shown, Step, Trace};
use crate::watch::Log;

/// Seconds that a time may be off where nobody says otherwise.
pub const TOLERANCE: f64 = 0.45;
/// Seconds that a verb may block. The longest that was recorded is two.
const VERB_MAX: u32 = 40;
/// Seconds that any other command may take.
const COMMAND_MAX: u32 = 40;

const UNIT_ENDINGS: [&str; 7] = [".service", ".target", ".socket", ".slice", ".timer", ".path", ".mount"];
const PROPERTIES: [&str; 13] = [
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "ExecMainCode",
    "ExecMainStatus",
    "MainPID",
    "ControlPID",
    "StatusText",
    "StatusErrno",
    "ConditionResult",
    "AssertResult",
];

/// What stands in `case.json`.
#[derive(Default)]
pub struct Case {
    /// `area/name`.
    pub name: String,
    pub title: String,
    pub class: String,
    pub requires: Vec<String>,
    folder: PathBuf,
    steps: Vec<String>,
    unit: String,
    /// Files and folders of the case that are installed as units.
    installed: Vec<String>,
    units: Vec<String>,
    show: Vec<String>,
    properties: Vec<String>,
    cleanup_units: Vec<String>,
    links: Vec<String>,
    setup: Vec<String>,
    teardown: Vec<String>,
    settle: f64,
    dirty: bool,
}

impl Case {
    /// Reads a case below the folder of all cases.
    pub fn read(cases: &Path, name: &str) -> Result<Case, String> {
        let folder = cases.join(name);
        let json = read_json(&folder.join("case.json"))?;
        let word = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let words = |key: &str| -> Vec<String> {
            let list = json.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?.flatten() {
            files.push(entry.file_name().to_string_lossy().into_owned());
        }
        files.sort();
        let is_unit = |file: &String| UNIT_ENDINGS.iter().any(|ending| file.ends_with(ending));
        let mut units: Vec<String> = files.iter().filter(|file| is_unit(file)).cloned().collect();
        units.extend(words("extra_units"));
        units.retain(|unit| !unit.contains("@."));
        let unit = word("unit").unwrap_or_else(|| "t.service".to_owned());
        let show = match json.get("show") {
            Some(_) => words("show"),
            None if units.len() > 1 => units.clone(),
            None => vec![unit.clone()],
        };
        let mut properties: Vec<String> = PROPERTIES.map(str::to_owned).to_vec();
        properties.extend(words("props"));
        let installed = files.into_iter().filter(|file| is_unit(file) || is_folder_of_units(file)).collect();
        Ok(Case {
            name: name.to_owned(),
            title: word("title").unwrap_or_default(),
            class: word("class").unwrap_or_default(),
            requires: words("requires"),
            steps: words("steps"),
            cleanup_units: words("cleanup_units"),
            links: words("links"),
            setup: words("setup"),
            teardown: words("teardown"),
            settle: json.get("settle").and_then(Value::as_f64).unwrap_or(0.15),
            dirty: json.get("dirty").and_then(Value::as_bool).unwrap_or_default(),
            folder,
            unit,
            installed,
            units,
            show,
            properties,
        })
    }

    /// What the recording says.
    pub fn expected(&self, file: &str) -> Result<Trace, String> {
        Trace::from_json(&read_json(&self.folder.join(file))?)
    }

    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    /// Everything the supervisor may be asked to know, as words of a shell.
    fn all_units(&self) -> String {
        let all = self.units.iter().chain(&self.cleanup_units);
        all.map(|unit| quoted(unit)).collect::<Vec<_>>().join(" ")
    }
}

pub fn read_json(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn is_folder_of_units(file: &str) -> bool {
    let ending = [".d", ".wants", ".requires"].iter().find_map(|ending| file.strip_suffix(ending));
    let of = [".service", ".target", ".socket", ".slice"];
    ending.is_some_and(|stem| of.iter().any(|of| stem.ends_with(of))) || file == "service.d"
}

/// All cases that a list of patterns names: `area/name`, an area, or a shell pattern; all if it is empty.
/// A pattern that names none is an error.
pub fn find(cases: &Path, patterns: &[String]) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for area in fs::read_dir(cases).map_err(|e| format!("{}: {e}", cases.display()))?.flatten() {
        for case in fs::read_dir(area.path()).into_iter().flatten().flatten() {
            if case.path().join("case.json").exists() {
                let [area, case] = [area.file_name(), case.file_name()];
                all.push(format!("{}/{}", area.to_string_lossy(), case.to_string_lossy()));
            }
        }
    }
    all.sort();
    if patterns.is_empty() {
        return Ok(all);
    }
    let mut found = Vec::new();
    for pattern in patterns {
        let pattern = pattern.trim_end_matches('/');
        let fits = |case: &&String| {
            *case == pattern || case.split('/').next() == Some(pattern) || glob::fits(pattern, case)
        };
        let hits: Vec<&String> = all.iter().filter(fits).collect();
        if hits.is_empty() {
            return Err(format!("no case fits {pattern}"));
        }
        for hit in hits {
            if !found.contains(hit) {
                found.push(hit.clone());
            }
        }
    }
    Ok(found)
}

/// A case being played.
struct Play<'a, 'b> {
    scene: &'a mut Scene<'b>,
    case: &'a Case,
    steps: Vec<Step>,
    show: BTreeMap<String, Shown>,
    /// Where the observer's log stood when the case began.
    position: usize,
    /// What is in the unit folder and goes away with the case.
    installed: Vec<String>,
}

/// Plays a case. Also says whether another one may be played in the same scene.
pub fn play(scene: &mut Scene, case: &Case) -> Result<(Trace, bool), String> {
    let mut play =
        Play { scene, case, steps: Vec::new(), show: BTreeMap::new(), position: 0, installed: Vec::new() };
    play.install()?;
    for (number, step) in case.steps.iter().enumerate() {
        play.step(number, step)?;
    }
    pause(case.settle);
    for unit in &case.show {
        play.show("final", unit)?;
    }
    let alive = play.alive()?;
    pause(0.05);
    let log = play.log();
    let mut trace = log.trace(std::mem::take(&mut play.steps)).ok_or("the first step left no mark")?;
    trace.case.clone_from(&case.name);
    trace.supervisor.clone_from(&play.scene.version);
    trace.show = std::mem::take(&mut play.show);
    for props in trace.show.values_mut().flat_map(BTreeMap::values_mut) {
        for key in ["MainPID", "ControlPID", "ExecMainPID"] {
            if let Some(pid) = props.get_mut(key).filter(|pid| *pid != "0" && !pid.is_empty()) {
                *pid = log.placeholder(pid);
            }
        }
    }
    let mut survivors: Vec<String> = alive.iter().map(|(name, _)| name.clone()).collect();
    survivors.sort();
    trace.survivors = Some(survivors);
    let clean = !play.scene.driver.fresh && play.clean(&alive).unwrap_or(false) && !case.dirty;
    Ok((trace, clean))
}

impl Play<'_, '_> {
    fn run(&mut self, command: &str) -> Result<(i32, String), String> {
        self.scene.run(command, COMMAND_MAX)
    }

    fn log(&self) -> Log {
        let bytes = fs::read(self.scene.share.join("trace/log")).unwrap_or_default();
        Log::read(&String::from_utf8_lossy(bytes.get(self.position..).unwrap_or_default()))
    }

    fn install(&mut self) -> Result<(), String> {
        let folder = self.scene.driver.unit_dir.clone();
        let copy = self.scene.share.join("case");
        let _ = fs::remove_dir_all(&copy);
        copy_folder(&self.case.folder, &copy).map_err(|e| format!("cannot copy the case: {e}"))?;
        self.installed.clone_from(&self.case.installed);
        for file in &self.case.installed {
            self.run(&format!("cp -rL /oracle/case/{} {folder}/", quoted(file)))?;
        }
        self.run("rm -rf /oracle/var/* /oracle/var/.[a-z]*")?;
        for link in &self.case.links {
            let (alias, target) = link.split_once(' ').ok_or_else(|| format!("{link} is no link"))?;
            let (path, target) = (quoted(&format!("{folder}/{alias}")), quoted(target));
            self.run(&format!("mkdir -p $(dirname {path}); ln -sfn {target} {path}"))?;
            self.installed.push(alias.to_owned());
        }
        for command in &self.case.setup {
            self.run(command)?;
        }
        let load = self.scene.driver.installed.clone();
        let load = load.unwrap_or_else(|| self.scene.driver.verb("daemon-reload").to_owned());
        let load = self.scene.fill(&load, &[("units", &self.case.all_units())]);
        self.run(&load)?;
        self.position = fs::metadata(self.scene.share.join("trace/log"))
            .map_or(0, |m| usize::try_from(m.len()).unwrap_or(0));
        Ok(())
    }

    fn step(&mut self, number: usize, text: &str) -> Result<(), String> {
        self.steps.push(Step { text: text.to_owned(), ..Step::default() });
        self.run(&format!("/oracle/bin/ot --mark step-{number}"))?;
        let mut step = Step::default();
        self.act(number, text, &mut step)?;
        if let Some(kept) = self.steps.last_mut() {
            (kept.ok, kept.out) = (step.ok, step.out);
        }
        self.run(&format!("/oracle/bin/ot --mark end-{number}")).map(drop)
    }

    fn act(&mut self, number: usize, text: &str, step: &mut Step) -> Result<(), String> {
        let (line, background) = match text.strip_suffix(" &") {
            Some(line) => (line, true),
            None => (text, false),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(&verb), args) = (words.first(), words.get(1..).unwrap_or_default()) else {
            return Err("an empty step".to_owned());
        };
        let rest = line.get(verb.len() + 1..).unwrap_or_default();
        let arg = |i: usize| args.get(i).copied().ok_or_else(|| format!("{text}: too few words"));
        let seconds = |word: &str| word.parse::<f64>().map_err(|_| format!("{text}: {word} is no time"));
        let unit = self.case.unit.clone();
        match verb {
            "wait" => pause(seconds(arg(0)?)?),
            "await" => {
                let (proc, begins) = (arg(0)?, arg(1)?.replace('_', " "));
                let deadline = Deadline::after(seconds(arg(2)?)?);
                let mut found = false;
                while !found && !deadline.passed() {
                    found = self.log().has(proc, &begins);
                    pause(0.03);
                }
                step.ok = Some(Some(found));
            }
            "signal" => {
                let pid = self.log().pid(arg(0)?).ok_or_else(|| format!("{text}: no such process"))?;
                self.run(&format!("kill -{} {pid}", arg(1)?))?;
            }
            "kill" => {
                let unit = args.get(2).copied().unwrap_or(&unit);
                let values = [("whom", arg(0)?), ("signal", arg(1)?), ("units", unit)];
                let command = self.scene.fill(self.scene.driver.verb(verb), &values);
                step.ok = Some(Some(self.run(&command)?.0 == 0));
            }
            "show" => self.show(arg(0).unwrap_or("mid"), args.get(1).copied().unwrap_or(&unit))?,
            "sh" => step.out = Some(self.run(rest)?.1.trim().to_owned()),
            "do" => self.run(rest).map(drop)?,
            "unit-sed" => {
                let file = args.last().copied().unwrap_or_default();
                let script = rest.strip_suffix(file).unwrap_or_default().trim();
                let folder = &self.scene.driver.unit_dir;
                let command = format!("sed -i {} {folder}/{}", quoted(script), quoted(file));
                self.run(&command)?;
            }
            _ => {
                let command =
                    self.scene.driver.verbs.get(verb).ok_or_else(|| format!("{verb} is no verb"))?;
                let units = match args {
                    [] => unit,
                    args => args.iter().map(|unit| quoted(unit)).collect::<Vec<_>>().join(" "),
                };
                let command = self.scene.fill(command, &[("units", &units)]);
                if matches!(verb, "is-active" | "is-failed") {
                    step.out = Some(self.run(&command)?.1.trim().to_owned());
                } else if background {
                    self.run(&format!(
                        "( {command} >/dev/null 2>&1; r=$?; /oracle/bin/ot --mark async-{number}-$r ) \
                         >/dev/null 2>&1 </dev/null &"
                    ))?;
                } else {
                    step.ok = Some(Some(self.scene.run(&command, VERB_MAX)?.0 == 0));
                }
            }
        }
        Ok(())
    }

    fn show(&mut self, label: &str, unit: &str) -> Result<(), String> {
        let wanted = self.case.properties.join(",");
        let values = [("props", wanted.as_str()), ("unit", &quoted(unit))];
        let command = self.scene.fill(self.scene.driver.verb("show"), &values);
        let printed = self.run(&command)?.1;
        let mut props = BTreeMap::new();
        for line in printed.lines() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            if self.case.properties.iter().any(|wanted| wanted == key) {
                props.insert(key.to_owned(), value.to_owned());
            }
        }
        self.show.entry(label.to_owned()).or_default().insert(unit.to_owned(), props);
        Ok(())
    }

    /// Which helpers live, and not as zombies.
    fn alive(&mut self) -> Result<Vec<(String, u32)>, String> {
        let mut undead = self.log().undead();
        let pids: Vec<String> = undead.iter().map(|(_, pid)| pid.to_string()).collect();
        let command = format!(
            "for p in {}; do case $(sed -n 's/^State:.\\(.\\).*/\\1/p' /proc/$p/status) in ''|Z) ;; *) echo $p;; esac; done",
            pids.join(" ")
        );
        let living = if pids.is_empty() { String::new() } else { self.run(&command)?.1 };
        undead.retain(|(_, pid)| living.lines().any(|line| line == pid.to_string()));
        Ok(undead)
    }

    /// Makes the scene fit for the next case; says whether it is.
    fn clean(&mut self, alive: &[(String, u32)]) -> Result<bool, String> {
        let units = self.case.all_units();
        for (_, pid) in alive {
            self.run(&format!("kill -9 {pid}"))?;
        }
        let command = self.scene.fill(&self.scene.driver.cleanup, &[("units", &units)]);
        self.run(&command)?;
        for (_, pid) in alive {
            self.run(&format!("kill -9 {pid}"))?;
        }
        let folder = self.scene.driver.unit_dir.clone();
        for file in std::mem::take(&mut self.installed) {
            self.run(&format!("rm -rf {folder}/{}", quoted(&file)))?;
        }
        for command in &self.case.teardown {
            self.run(command)?;
        }
        let reload = self.scene.driver.verb("daemon-reload").to_owned();
        self.run(&reload)?;
        let Some(gone) = &self.scene.driver.gone else { return Ok(true) };
        let command = self.scene.fill(gone, &[("units", &units)]);
        let said = self.run(&command)?.1;
        let is_gone = |l: &str| l.contains("LoadState=not-found") && l.contains("ActiveState=inactive");
        Ok(said.lines().all(is_gone))
    }
}

/// Copies a case but for what only the runner reads. Scripts may be executed, everything may be read.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "case.json" || (name.starts_with("expected") && name.ends_with(".json")) {
            continue;
        }
        let target = to.join(&name);
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            let mode = if name.ends_with(".sh") { 0o755 } else { 0o644 };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}
