//! A pretend kernel in virtual time, and the part of the host between it and the engine.
//!
//! It does what a kernel may do and no more: a process ends once and after it began, what was sent before an end
//! is heard before it, SIGKILL is obeyed sooner or later. Within that it does its worst.

use crate::dice::Dice;
use crate::rules::{Before, Broken, KERNEL_MAX, Life, Rules};
use crate::without::{self, Without};
use std::collections::{BTreeMap, BTreeSet};
use tinysvc::engine::notify::Message;
use tinysvc::engine::{
    Action, Client, Engine, Event, KillWhom, Mono, Phase, Role, Run, Seek, Sender, Spawn, SpawnFailure,
    UnitId, Verb, Whom,
};
use tinysvc::unit::spec::{ExecKind, Exit, Signal, Spec, Type};

/// Facts of one story. Crash loops without a limit are cut off by a stop at half of it.
const STEPS_MAX: u64 = 4000;
/// Processes at a time.
const PROCESSES_MAX: usize = 200;

type Pid = u64;

/// How a process takes a signal that asks it to end.
#[derive(Clone, Copy, Debug)]
enum Temper {
    /// It dies of it, after so many microseconds.
    Dies(u64),
    /// It returns a status, after so many microseconds.
    Returns(u8, u64),
    Ignores,
}

#[derive(Clone, Debug)]
struct Process {
    run: Option<Run>,
    unit: UnitId,
    group: Pid,
    temper: Temper,
    /// How long SIGKILL takes.
    kill_latency: u64,
    /// SIGKILL has reached it: it will not run another instruction of its own.
    doomed: bool,
    stopped: bool,
    /// What asks it to reload.
    reloads: Option<Signal>,
    /// What has come of it while it was stopped.
    held: Vec<Happening>,
}

#[derive(Clone, Debug)]
enum Happening {
    Ends(Pid, Exit),
    Killed(Pid),
    Forks(Pid),
    Says(Pid, Vec<u8>),
    Stops(Pid),
    Reaches(Pid, Signal),
    Asks(Signal),
    Knocks(UnitId),
    Wants(Verb, UnitId, bool),
    Wakes,
}

/// One fact and what came of it, for the eye.
pub type Line = String;

/// A story: a world, an engine in it, and the rules over both.
pub struct World {
    dice: Dice,
    without: Without,
    manager: bool,
    specs: Vec<(Role, Spec)>,
    engine: Engine,
    rules: Rules,
    now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    queued: u64,
    processes: BTreeMap<Pid, Process>,
    last_pid: Pid,
    last_client: u64,
    /// What the last actions yielded; told first.
    yielded: Vec<Event>,
    empty: Vec<Option<UnitId>>,
    knocking: BTreeSet<UnitId>,
    ended: Vec<(Run, Exit)>,
    /// Every fact with its time, and every action, in order: two tellings of a story are compared by these.
    pub facts: Vec<(Mono, Event)>,
    /// Every action that was ordered.
    pub actions: Vec<Action>,
    /// What happened, in words, if it is to be read.
    pub trace: Option<Vec<Line>>,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64, without: Without, trace: bool) -> World {
        let mut dice = Dice::new(seed);
        let crate::wishes::Wish { manager, units: specs } = crate::wishes::wish(&mut dice, without);
        let engine = engine(manager, &specs);
        let mut world = World {
            dice,
            without,
            engine,
            manager,
            rules: Rules::new(specs.clone()),
            specs,
            now: 1_000_000,
            queue: BTreeMap::new(),
            queued: 0,
            processes: BTreeMap::new(),
            last_pid: 1,
            last_client: 0,
            yielded: vec![Event::Boot],
            empty: Vec::new(),
            knocking: BTreeSet::new(),
            ended: Vec::new(),
            facts: Vec::new(),
            actions: Vec::new(),
            trace: trace.then(Vec::new),
        };
        world.foresee();
        world
    }

    /// The units of the story.
    pub fn specs(&self) -> &[(Role, Spec)] {
        &self.specs
    }

    /// The engine as it was at the beginning.
    pub fn fresh_engine(&self) -> Engine {
        engine(self.manager, &self.specs)
    }

    /// What is sent to PID 1, who knocks, and who wants what, from the beginning.
    fn foresee(&mut self) {
        let signals = [
            Signal::TERM,
            Signal::INT,
            Signal::QUIT,
            Signal::HUP,
            Signal::HUP,
            Signal::USR1,
            Signal::USR2,
            Signal::CONT,
            Signal::TSTP,
            Signal::PIPE,
            Signal::realtime(3),
            Signal::realtime(30),
        ];
        let stop_at = if self.dice.chance(60) { self.dice.below(120_000_000) } else { self.moment() };
        self.later(stop_at, Happening::Asks(Signal::TERM));
        self.later(0, Happening::Wakes);
        if !self.without.has(without::SIGNALS) {
            for _ in 0..self.dice.below(8) {
                let at = self.moment();
                let signal = self.dice.pick(Signal::HUP, &signals);
                self.later(at, Happening::Asks(signal));
            }
            if self.dice.chance(2) {
                self.yielded.insert(0, Event::Signal { signal: Signal::TERM });
            }
            if self.dice.chance(5) {
                let at = self.moment();
                for _ in 0..self.dice.below(100) {
                    let signal = self.dice.pick(Signal::USR1, &signals);
                    let spread = self.dice.below(200);
                    self.later(at + spread, Happening::Asks(signal));
                }
            }
        }
        if self.manager {
            self.foresee_requests();
        }
        let roles = self.specs.iter().zip(0..).filter(|((role, _), _)| *role == Role::OnDemand);
        for unit in roles.map(|(_, at)| UnitId(at)).collect::<Vec<_>>() {
            for _ in 0..self.dice.below(8) {
                let at = self.moment();
                if !self.without.has(without::EXTRAS) {
                    self.later(at, Happening::Knocks(unit));
                }
            }
        }
    }

    fn foresee_requests(&mut self) {
        let units = self.specs.len() as u64;
        let first = UnitId(self.dice.below(units) as u32);
        self.later(1, Happening::Wants(Verb::Start, first, false));
        let count = if self.without.has(without::REQUESTS) { 0 } else { self.dice.below(40) };
        for _ in 0..count {
            // Now and then of one that is not there, or that is nobody's to ask for.
            let stranger = u64::from(self.dice.chance(5));
            let unit = UnitId(self.dice.below(units + stranger) as u32);
            let signal =
                self.dice.pick(Signal::TERM, &[Signal::HUP, Signal::KILL, Signal::USR1, Signal::STOP]);
            let whom = self.dice.pick(KillWhom::All, &[KillWhom::Main, KillWhom::Control]);
            let verb = self.dice.pick(
                Verb::Start,
                &[
                    Verb::Start,
                    Verb::Start,
                    Verb::Stop,
                    Verb::Stop,
                    Verb::Restart,
                    Verb::TryRestart,
                    Verb::Reload,
                    Verb::ReloadOrRestart,
                    Verb::ResetFailed,
                    Verb::Kill { whom, signal },
                ],
            );
            let at = self.moment();
            let no_block = self.dice.chance(10);
            self.later(at, Happening::Wants(verb, unit, no_block));
        }
    }

    /// A length of time, short as often as long, in microseconds.
    fn moment(&mut self) -> u64 {
        match self.dice.below(6) {
            0 => 0,
            1 => self.dice.below(1_000),
            2 => self.dice.below(100_000),
            3 | 4 => self.dice.below(2_000_000),
            _ => self.dice.below(30_000_000),
        }
    }

    fn later(&mut self, after: u64, what: Happening) {
        self.queued += 1;
        self.queue.insert((self.now.saturating_add(after), self.queued), what);
    }

    /// Tells the story to its end. Returns the exit status, if there was one to be had.
    pub fn tell(&mut self) -> Result<Option<u8>, Broken> {
        while self.rules.exit().is_none() {
            if !self.turn()? {
                return Ok(None);
            }
        }
        Ok(self.rules.exit())
    }

    /// One wake-up: time passes, facts are collected and told, and the actions are performed.
    fn turn(&mut self) -> Result<bool, Broken> {
        if !self.advance()? {
            return Ok(false);
        }
        let mut orders = Vec::new();
        for event in self.collect() {
            self.feed(event, &mut orders)?;
        }
        for action in orders {
            self.perform(&action);
            self.actions.push(action);
        }
        self.rules.rest(&self.engine, self.now)?;
        let empty = self.engine.waiting_for_empty().filter(|asked| {
            let theirs = |process: &Process| asked.is_none_or(|unit| process.unit == unit);
            !self.processes.values().any(theirs)
        });
        self.empty = empty.collect();
        let mut knocking = self.knocking.iter();
        let heard = knocking.any(|unit| self.engine.wants_connections(Mono(self.now), *unit));
        if !self.empty.is_empty() || !self.yielded.is_empty() || heard {
            self.later(0, Happening::Wakes);
        }
        Ok(true)
    }

    /// Passes the time to the next wake-up, or says that the story is over without an end.
    fn advance(&mut self) -> Result<bool, Broken> {
        let due = self.engine.next_deadline().map(|at| at.0);
        let happens = self.queue.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = [due, happens].into_iter().flatten().min() else { return self.standstill() };
        // Every wake-up takes some time, some are late, and some come for nothing.
        let mut lag = 1 + self.dice.below(3);
        if !self.without.has(without::LAG) {
            match self.dice.below(40) {
                0 => lag += self.dice.below(50_000),
                1..6 => lag += self.dice.below(100),
                _ => {}
            }
        }
        self.rules.late(lag);
        let early = self.dice.chance(5) && !self.without.has(without::LAG);
        let at = if early { self.now + self.dice.below(next.saturating_sub(self.now)) } else { next };
        self.now = at.max(self.now.saturating_add(lag));
        // A crash loop that nothing limits would go on for ever.
        let steps = self.facts.len() as u64;
        if steps > STEPS_MAX / 2 && !self.rules.stopping() {
            self.later(0, Happening::Asks(Signal::TERM));
        }
        // Nor does whoever runs the container wait for ever for a stop without a deadline.
        if steps > STEPS_MAX && steps.is_multiple_of(100) {
            self.kill_everybody();
        }
        Ok(true)
    }

    fn kill_everybody(&mut self) {
        for pid in self.processes.keys().copied().collect::<Vec<_>>() {
            self.later(0, Happening::Killed(pid));
        }
    }

    /// Nothing will happen any more. That may be, but not before a stop, nor when a stop must come to an end, nor when
    /// nobody is left.
    fn standstill(&mut self) -> Result<bool, Broken> {
        let waiting = self.knocking.iter().find(|unit| {
            let infinite = self.specs.get(unit.0 as usize).is_none_or(|(_, spec)| {
                spec.service.start_limit_interval.is_infinite() || spec.service.restart_delay.is_infinite()
            });
            let asleep = self.engine.service(**unit).is_some_and(|service| service.state().is_inactive());
            self.engine.phase() < Phase::Sweeping && asleep && !infinite
        });
        if let Some(unit) = waiting {
            return Err(format!("somebody knocks at {unit:?} and is never let in"));
        }
        if !self.rules.stopping() {
            self.rules.stuck(&self.engine)?;
            self.later(0, Happening::Asks(Signal::TERM));
            return Ok(true);
        }
        if self.rules.bounded() {
            return Err("the stop stands still".into());
        }
        if self.processes.is_empty() {
            return Err("nobody is left, nothing is due, and the end does not come".into());
        }
        // Time-outs of infinity leave it to whoever runs the container.
        self.kill_everybody();
        Ok(true)
    }

    /// The facts of this wake-up in their order: what was yielded, who is empty, readiness, ends, deadlines, requests.
    fn collect(&mut self) -> Vec<Event> {
        let (mut said, mut ends, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut facts = std::mem::take(&mut self.yielded);
        facts.extend(self.empty.drain(..).map(|unit| Event::Emptied { unit }));
        while let Some(entry) = self.queue.first_entry() {
            let (at, _) = *entry.key();
            if at > self.now {
                break;
            }
            match entry.remove() {
                Happening::Asks(signal) => asked.push(Event::Signal { signal }),
                Happening::Wants(verb, unit, no_block) => {
                    self.last_client += 1;
                    let client = Client(self.last_client);
                    asked.push(Event::Request { client, verb, unit, no_block });
                }
                Happening::Knocks(unit) => {
                    self.knocking.insert(unit);
                }
                Happening::Wakes => {}
                happening => self.happens(happening, &mut said, &mut ends),
            }
        }
        facts.extend(said);
        facts.extend(ends);
        if !self.without.has(without::EXTRAS)
            && self.dice.chance(2)
            && let Some((run, exit)) = self.ended.get(self.dice.below(self.ended.len() as u64) as usize)
        {
            facts.push(Event::Exited { run: *run, exit: *exit });
        }
        let due = self.engine.next_deadline().is_some_and(|at| at.0 <= self.now);
        if due || self.dice.chance(10) {
            facts.push(Event::Tick);
        }
        facts.extend(asked);
        let knocking = &self.knocking;
        let heard = knocking.iter().filter(|unit| self.engine.wants_connections(Mono(self.now), **unit));
        facts.extend(heard.map(|unit| Event::Connection { unit: *unit }));
        facts
    }

    /// Something happens to a process.
    fn happens(&mut self, happening: Happening, said: &mut Vec<Event>, ends: &mut Vec<Event>) {
        let (Happening::Ends(pid, _)
        | Happening::Killed(pid)
        | Happening::Forks(pid)
        | Happening::Says(pid, _)
        | Happening::Stops(pid)
        | Happening::Reaches(pid, _)) = happening
        else {
            return;
        };
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.doomed && !matches!(happening, Happening::Killed(_)) {
            return;
        }
        if process.stopped
            && !matches!(happening, Happening::Killed(_) | Happening::Reaches(_, Signal::CONT | Signal::KILL))
        {
            process.held.push(happening);
            return;
        }
        match happening {
            Happening::Ends(_, exit) => ends.extend(self.dies(pid, exit)),
            Happening::Killed(_) => ends.extend(self.dies(pid, Exit::Killed(Signal::KILL))),
            Happening::Forks(_) => {
                let (unit, group) = (process.unit, process.group);
                self.birth(unit, None, None, group);
            }
            Happening::Says(_, bytes) => {
                let (unit, run) = (process.unit, process.run);
                let from = run.map_or(Sender::Other, Sender::Run);
                if let Some(message) = Message::parse(&bytes) {
                    said.push(Event::Notify { unit, from, message });
                }
            }
            Happening::Stops(_) => process.stopped = true,
            Happening::Reaches(_, signal) => self.reaches(pid, signal),
            Happening::Asks(_) | Happening::Knocks(_) | Happening::Wants(..) | Happening::Wakes => {}
        }
    }

    fn dies(&mut self, pid: Pid, exit: Exit) -> Option<Event> {
        // Of an orphan's end nobody but its reaper hears.
        let run = self.processes.remove(&pid)?.run?;
        if self.rules.is_alien(run) && self.dice.chance(50) {
            // Its end has passed unnoticed.
            return None;
        }
        self.rules.lives(run, Life::Ended(exit));
        self.ended.push((run, exit));
        Some(Event::Exited { run, exit })
    }

    /// A signal is delivered.
    fn reaches(&mut self, pid: Pid, signal: Signal) {
        let bold = self.dice.chance(50);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        match signal {
            Signal::KILL => {
                process.doomed = true;
                let latency = process.kill_latency;
                self.later(latency, Happening::Killed(pid));
            }
            Signal::CONT => {
                process.stopped = false;
                for held in std::mem::take(&mut process.held) {
                    self.later(0, held);
                }
            }
            Signal::STOP => process.stopped = true,
            Signal::TSTP | Signal::TTIN | Signal::TTOU => {
                process.stopped = bold && !self.without.has(without::STOPS)
            }
            Signal::CHLD => {}
            _ if process.reloads == Some(signal) && self.dice.chance(70) => {
                let begun = if bold { self.now } else { self.now.saturating_sub(1_000_000) };
                let reloading = format!("RELOADING=1\nMONOTONIC_USEC={begun}").into_bytes();
                let (at, after) = (self.dice.below(1_000), self.dice.below(1_000_000));
                self.later(at, Happening::Says(pid, reloading));
                if self.dice.chance(80) {
                    self.later(at + after, Happening::Says(pid, b"READY=1".to_vec()));
                }
            }
            Signal::USR1 | Signal::USR2 | Signal::HUP if bold => {}
            _ => {
                let exit =
                    if signal == Signal::ABRT && bold { Exit::Dumped(signal) } else { Exit::Killed(signal) };
                match process.temper {
                    Temper::Dies(after) => self.later(after, Happening::Ends(pid, exit)),
                    Temper::Returns(status, after) => {
                        self.later(after, Happening::Ends(pid, Exit::Exited(status)));
                    }
                    Temper::Ignores => {}
                }
            }
        }
    }

    /// Tells the engine one fact and judges what comes of it.
    fn feed(&mut self, event: Event, orders: &mut Vec<Action>) -> Result<(), Broken> {
        let before = Before::of(&self.engine);
        let nobody =
            self.processes.is_empty() && !orders.iter().any(|action| matches!(action, Action::Spawn(_)));
        let mut actions = Vec::new();
        self.engine.step(Mono(self.now), event.clone(), &mut actions);
        if let Event::SpawnFailed { run, .. } = event {
            self.rules.lives(run, Life::Told);
        }
        if let Event::Connection { unit } = event {
            self.knocking.remove(&unit);
        }
        if let Some(trace) = &mut self.trace {
            trace.push(line(self.now, &event, &self.engine, &actions));
        }
        let verdict = self.rules.step(self.now, &event, &before, &self.engine, &actions, nobody);
        self.facts.push((Mono(self.now), event));
        orders.append(&mut actions);
        verdict
    }

    /// Does what the engine asked for.
    fn perform(&mut self, action: &Action) {
        match action {
            Action::Spawn(spawn) => self.spawn(spawn),
            Action::Signal { unit, whom, signal } => {
                let reached = self.processes.iter().filter(|(_, process)| match whom {
                    Whom::Process(run) => process.run == Some(*run),
                    Whom::Group(run) => {
                        let leader = self.processes.iter().find(|(_, leader)| leader.run == Some(*run));
                        leader.is_some_and(|(pid, _)| process.group == *pid)
                    }
                    Whom::Rest { main, control } => {
                        let spoken_of =
                            process.run.is_some() && (process.run == *main || process.run == *control);
                        process.unit == *unit && !spoken_of
                    }
                    Whom::Everything => true,
                });
                for pid in reached.map(|(pid, _)| *pid).collect::<Vec<_>>() {
                    self.later(0, Happening::Reaches(pid, *signal));
                }
            }
            Action::FindMain { unit, run, seek } => self.find_main(*unit, *run, *seek),
            Action::CheckConditions { run, .. } => {
                let (met, assert_failed) = (self.dice.chance(80), self.dice.chance(10));
                self.yielded.push(Event::Conditions { run: *run, met, assert_failed });
            }
            Action::Reply { .. } => {}
            Action::Announce(_) | Action::Note(_) | Action::Exit { .. } => {}
        }
    }

    /// Looks for a main process as a host would: it must be one of the unit's, and not be known already.
    fn find_main(&mut self, unit: UnitId, run: Run, seek: Seek) {
        let unknown = |process: &Process| process.unit == unit && process.run.is_none();
        let of_unit: Vec<Pid> =
            self.processes.iter().filter(|(_, process)| unknown(process)).map(|(pid, _)| *pid).collect();
        let found = match seek {
            Seek::Guess => match of_unit[..] {
                [one] => Some(one),
                _ => None,
            },
            Seek::PidFile if self.dice.chance(30) => None,
            Seek::PidFile => of_unit.first().copied(),
            Seek::Pid(number) => of_unit.into_iter().find(|pid| *pid == u64::from(number)),
        };
        let Some(process) = found.and_then(|pid| self.processes.get_mut(&pid)) else {
            let empty = !self.processes.values().any(|process| process.unit == unit);
            return self.yielded.push(Event::MainNotFound { run, reason: "it is not there".into(), empty });
        };
        process.run = Some(run);
        let alien = self.dice.chance(15);
        self.rules.found(run, alien);
        self.yielded.push(Event::MainFound { run, alien });
    }

    fn spawn(&mut self, spawn: &Spawn) {
        let run = spawn.run;
        let fate = if self.without.has(without::FAILURES) { 99 } else { self.dice.below(100) };
        let failure = match fate {
            0..3 => Some(SpawnFailure::Resources { errno: 11 }),
            3..6 => Some(SpawnFailure::Setup { status: self.dice.pick(203, &[200, 217]), errno: 2 }),
            _ => None,
        };
        self.yielded.push(match failure {
            Some(failure) => Event::SpawnFailed { run, failure },
            None => Event::Spawned { run },
        });
        if failure.is_none() {
            self.rules.lives(run, Life::Alive);
            self.birth(spawn.unit, Some(run), Some(spawn.kind), 0);
        }
    }

    /// A process begins, and its whole life is thrown, but for what others do to it.
    fn birth(&mut self, unit: UnitId, run: Option<Run>, kind: Option<ExecKind>, group: Pid) {
        if run.is_none() && self.processes.len() > PROCESSES_MAX {
            return;
        }
        self.last_pid += 1;
        let pid = self.last_pid;
        let own_group = group == 0 || self.dice.chance(30);
        let after = if self.dice.chance(60) { self.dice.below(1_000) } else { self.dice.below(5_000_000) };
        let temper = match self.dice.below(10) {
            0..6 => Temper::Dies(after),
            6 | 7 => Temper::Returns(self.dice.pick(0, &[0, 1, 7, 143]), after),
            _ => Temper::Ignores,
        };
        let hangs = self.dice.chance(2) && !self.without.has(without::STOPS);
        let kill_latency = if hangs { self.dice.below(KERNEL_MAX) } else { self.dice.below(100) };
        let group = if own_group { pid } else { group };
        let held = Vec::new();
        self.processes.insert(
            pid,
            Process {
                run,
                unit,
                group,
                temper,
                kill_latency,
                doomed: false,
                stopped: false,
                reloads: None,
                held,
            },
        );
        let (service, reload) = match self.specs.get(unit.0 as usize) {
            Some((_, spec)) => (spec.service.kind, spec.service.reload_signal),
            None => (Type::Simple, Signal::HUP),
        };
        let starts = kind == Some(ExecKind::Start);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.reloads = (service == Type::NotifyReload && starts).then_some(reload);
        }
        if service == Type::Forking && starts {
            for _ in 0..self.dice.pick(1, &[0, 1, 1, 2]) {
                let at = self.dice.below(1_000);
                self.later(at, Happening::Forks(pid));
            }
        }
        // Commands end soon, as a rule; daemons may.
        let command = matches!(service, Type::Forking | Type::Oneshot);
        let daemon = kind.is_none() || starts && !command;
        if self.dice.chance(if daemon { 60 } else { 85 }) {
            let at = match daemon {
                true if self.dice.chance(50) => self.dice.below(40_000_000),
                true => self.moment(),
                false => self.dice.below(200_000),
            };
            let exit = self.exit();
            self.later(at, Happening::Ends(pid, exit));
        }
        if self.dice.chance(20) && !self.without.has(without::CHILDREN) {
            for _ in 0..1 + self.dice.below(3) {
                let at = self.moment();
                self.later(at, Happening::Forks(pid));
            }
        }
        if self.dice.chance(3) && !self.without.has(without::STOPS) {
            let at = self.moment();
            self.later(at, Happening::Stops(pid));
        }
        if !self.without.has(without::NOTIFY) {
            self.speech(pid, unit, kind);
        }
    }

    fn exit(&mut self) -> Exit {
        match self.dice.below(10) {
            0..5 => Exit::Exited(0),
            5 => Exit::Exited(1),
            6 => Exit::Exited(self.dice.pick(2, &[7, 203, 255])),
            7 => Exit::Killed(self.dice.pick(Signal::KILL, &[Signal::SEGV, Signal::ABRT])),
            8 => Exit::Killed(self.dice.pick(Signal::TERM, &[Signal::HUP, Signal::PIPE])),
            _ => Exit::Dumped(Signal::SEGV),
        }
    }

    /// What a process will say on the notify socket.
    fn speech(&mut self, pid: Pid, unit: UnitId, kind: Option<ExecKind>) {
        let notify = self.specs.get(unit.0 as usize).is_some_and(|(_, spec)| spec.service.kind.notifies());
        if notify && kind == Some(ExecKind::Start) && self.dice.chance(75) {
            let at = if self.dice.chance(50) { self.dice.below(2_000) } else { self.moment() };
            self.later(at, Happening::Says(pid, b"READY=1".to_vec()));
        }
        if self.dice.chance(30) {
            for _ in 0..1 + self.dice.below(5) {
                let at = self.moment();
                let words = self.words();
                self.later(at, Happening::Says(pid, words));
            }
        }
        if self.dice.chance(20) {
            let pace = 1 + self.dice.below(500_000);
            for n in 1..20 {
                self.later(n * pace, Happening::Says(pid, b"WATCHDOG=1".to_vec()));
            }
        }
    }

    fn words(&mut self) -> Vec<u8> {
        let mut words = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let number = match self.dice.below(8) {
                0 => 0,
                1 => u64::MAX,
                2 => self.dice.any(),
                _ => self.moment(),
            };
            let word = match self.dice.below(16) {
                12 | 13 => format!("MAINPID={}", 1 + self.dice.below(self.last_pid + 1)),
                14 => format!("RELOADING=1\nMONOTONIC_USEC={}", self.now),
                15 => "NOTIFYACCESS=all".to_owned(),
                0 | 1 => "READY=1".to_owned(),
                2 => "STOPPING=1".to_owned(),
                3 | 4 => "RELOADING=1".to_owned(),
                5 => "WATCHDOG=1".to_owned(),
                6 => "WATCHDOG=trigger".to_owned(),
                7 => format!("WATCHDOG_USEC={number}"),
                8 | 9 => format!("EXTEND_TIMEOUT_USEC={number}"),
                10 => format!("STATUS={number}\nERRNO={number}"),
                _ => "nonsense\u{7}=".to_owned(),
            };
            words.extend(word.bytes());
            words.push(if self.dice.chance(97) { b'\n' } else { self.dice.any() as u8 });
        }
        words
    }
}

fn engine(manager: bool, specs: &[(Role, Spec)]) -> Engine {
    if !manager {
        return Engine::new(specs.to_vec());
    }
    let mut engine = Engine::manager();
    for (role, spec) in specs {
        engine.add(*role, spec.clone());
    }
    engine
}

/// One fact and what came of it in one line.
fn line(now: u64, event: &Event, engine: &Engine, actions: &[Action]) -> Line {
    let states = engine.services().map(|(_, _, service)| format!("{}/{}", service.state(), service.result()));
    let states = states.collect::<Vec<_>>().join(" ");
    let mut text = format!("{:>12.6} {event:?}\n", now as f64 / 1e6);
    for action in actions {
        text += &match action {
            Action::Note(note) => format!("{:>14} {}\n", "#", note.text),
            action => format!("{:>14} {action:?}\n", "->"),
        };
    }
    let due = engine.next_deadline().map_or("never".to_owned(), |at| format!("{:.6}", at.0 as f64 / 1e6));
    text += &format!("{:>14} {:?}: {states}; due {due}", "=", engine.phase());
    text
}
