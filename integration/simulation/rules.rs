//! What must hold after every step, whatever happens.
//!
//! The rules know what the pretend kernel knows (who lives) and what the engine has said so far, and are written
//! without a look at how the engine does it. They are:
//!
//! 1.  A run's number is new, and larger than all before: a late word about one life cannot touch another.
//! 2.  A unit has one main process and one control process at most that it has not given up: a service never
//!     runs twice.
//! 3.  A signal goes only to a run that was asked for and of whose end nothing was heard, and to a whole unit only where
//!     `KillMode=` or a client says so: nobody else's process is hit.
//! 4.  An end that is told is believed at once, noted down, and news only to whom it concerns.
//! 5.  Who lives is counted on and who is counted on lives, unless it was given up: no process is forgotten.
//! 6.  The start limit holds, whoever starts.
//! 7.  A due tick leads on and another one leads nowhere: no busy loop, and no decision without a cause.
//! 8.  A state that waits for a process and has a time-out has a deadline: nothing hangs for want of one.
//! 9.  Where nothing is timed there is no deadline: idle means asleep.
//! 10. Failed means that something went wrong, and up means that nothing has: state and result agree.
//! 11. `NRestarts` grows by one or begins anew: each restart is counted once.
//! 12. A stop of the whole is never taken back, starts nothing, is moved by nobody, and ends within the sum of its
//!     time-outs; then, once and last, comes the exit, when nobody is left and nobody waits for an answer.
//! 13. READY=1 and STOPPING=1 are said once, in this order, and READY=1 only when it is true.
//! 14. A client gets one answer, and a good one only if it has what it asked for.
//! 15. Nothing of a manager starts without a job, nor before a unit that it comes after and that has one.
//! 16. Jobs do not wait for each other in a circle: where nothing moves, none waits.

use std::collections::{BTreeMap, BTreeSet};
use tinysvc::engine::{
    Action, ActiveState, Client, Engine, Event, Mono, Outcome, Phase, Role, Run, Seek, Service, Spawn, State,
    UnitId, Verb, Whom,
};
use tinysvc::unit::spec::{
    ExecKind, Exit, ExitType, FailureMode, KillMode, Relation, Signal, Span, Spec, Type,
};

/// How long the kernel may keep a process after SIGKILL, and the sweep may take to notice, in microseconds.
pub const KERNEL_MAX: u64 = 7_000_000;
/// Steps from the beginning of a stop to the end, with everything that this kernel can throw in between.
const STEPS_OF_A_STOP_MAX: u64 = 20_000;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The engine has asked for it.
    Asked,
    /// Its process lives.
    Alive,
    /// Its process has ended, and the engine has yet to hear.
    Ended(Exit),
    /// The engine has heard of its end, or that there never was a process.
    Told,
}

#[derive(Clone, Debug)]
struct Known {
    unit: UnitId,
    part: Part,
    life: Life,
    /// SIGKILL was sent to it.
    killed: bool,
    /// Another one has taken its place as the main process.
    replaced: bool,
    /// It is nobody's child of ours.
    alien: bool,
}

/// What a run is to its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Main,
    Control,
    /// The host is looking for it, or has found it.
    Found,
    /// No process at all, but the number of a question.
    Question,
}

/// What one service looked like before a step.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    state: State,
    since: Mono,
    result: Outcome,
    main: Option<Run>,
    control: Option<Run>,
    main_exit: Option<Exit>,
    restarts: u32,
    text: usize,
    job: Option<bool>,
}

/// What everything looked like before a step.
pub struct Before {
    looks: Vec<Look>,
    deadline: Option<Mono>,
    phase: Phase,
}

impl Before {
    /// Looks.
    pub fn of(engine: &Engine) -> Before {
        let looks = engine.services().map(|(unit, _, service)| Look {
            job: engine.job(unit),
            state: service.state(),
            since: service.since(),
            result: service.result(),
            main: service.main(),
            control: service.control(),
            main_exit: service.main_exit(),
            restarts: service.restarts(),
            text: service.status_text().len(),
        });
        Before { looks: looks.collect(), deadline: engine.next_deadline(), phase: engine.phase() }
    }
}

/// The rules and what they have to remember.
pub struct Rules {
    specs: Vec<(Role, Spec)>,
    runs: BTreeMap<Run, Known>,
    /// The window of the start limit of each unit: its beginning and the starts in it.
    windows: Vec<Option<(u64, u32)>>,
    /// WATCHDOG_USEC= was heard of this unit: whether it is watched is its own business.
    meddled: Vec<bool>,
    /// A main process was named in MAINPID=, and the host has yet to say whether it is there.
    heirs: BTreeMap<Run, UnitId>,
    /// Who waits for an answer, and what was asked.
    clients: BTreeMap<Client, (UnitId, Verb)>,
    answered: BTreeSet<Client>,
    /// When a stop of the whole began, and when it must be over, if ever.
    stop: Option<(u64, Option<u64>)>,
    steps_since_stop: u64,
    ready: u32,
    stopping: u32,
    exit: Option<u8>,
}

/// A rule that was broken, in words.
pub type Broken = String;

impl Rules {
    /// Rules over these units.
    pub fn new(specs: Vec<(Role, Spec)>) -> Rules {
        Rules {
            heirs: BTreeMap::new(),
            clients: BTreeMap::new(),
            answered: BTreeSet::new(),
            windows: vec![None; specs.len()],
            meddled: vec![false; specs.len()],
            specs,
            runs: BTreeMap::new(),
            stop: None,
            steps_since_stop: 0,
            ready: 0,
            stopping: 0,
            exit: None,
        }
    }

    /// The exit status, once it is given.
    pub fn exit(&self) -> Option<u8> {
        self.exit
    }

    /// Whether a stop of the whole has begun.
    pub fn stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether a stop has begun that must be over at some time.
    pub fn bounded(&self) -> bool {
        matches!(self.stop, Some((_, Some(_))))
    }

    /// Something happened to a run.
    pub fn lives(&mut self, run: Run, life: Life) {
        if let Some(known) = self.runs.get_mut(&run) {
            known.life = life;
        }
    }

    /// The host has found a main process.
    pub fn found(&mut self, run: Run, alien: bool) {
        if let Some(known) = self.runs.get_mut(&run) {
            (known.life, known.alien) = (Life::Alive, alien);
        }
    }

    /// Whether the end of a run may pass unnoticed.
    pub fn is_alien(&self, run: Run) -> bool {
        self.runs.get(&run).is_some_and(|known| known.alien)
    }

    /// Everybody is late by so much.
    pub fn late(&mut self, micros: u64) {
        if let Some((_, Some(until))) = &mut self.stop {
            *until = until.saturating_add(micros);
        }
    }

    fn spec(&self, unit: UnitId) -> Option<&(Role, Spec)> {
        self.specs.get(unit.0 as usize)
    }

    /// Judges one step. `nobody`: no process is left, and none has been asked for before this step.
    pub fn step(
        &mut self,
        now: u64,
        event: &Event,
        before: &Before,
        engine: &Engine,
        actions: &[Action],
        nobody: bool,
    ) -> Result<(), Broken> {
        let phase = engine.phase();
        if phase < before.phase {
            return Err(format!("the phase went back from {:?} to {phase:?}", before.phase));
        }
        if self.exit.is_some() && !actions.is_empty() {
            return Err("something was ordered after the end".into());
        }
        self.hear(event, before);
        self.begin(event, before, engine);
        for (at, action) in actions.iter().enumerate() {
            match action {
                Action::Spawn(spawn) => {
                    let asked = match event {
                        Event::Conditions { run, .. } => self.runs.get(run).map(|known| known.unit),
                        _ => None,
                    };
                    let counted = asked == Some(spawn.unit);
                    self.spawn(now, spawn, counted, (before.phase, phase))?;
                }
                Action::Signal { unit, whom, signal } => self.signal(event, *unit, *whom, *signal)?,
                Action::FindMain { unit, run, seek } => {
                    self.number(*run, *unit, Part::Found)?;
                    if let Seek::Pid(_) = seek {
                        self.heirs.insert(*run, *unit);
                    }
                }
                Action::CheckConditions { unit, run } => {
                    self.number(*run, *unit, Part::Question)?;
                    self.start_limit(now, *unit)?;
                }
                Action::Reply { client, ok, .. } => self.reply(*client, *ok, event, engine, actions)?,
                Action::Announce(text) => self.announce(text, engine)?,
                Action::Note(note) => {
                    if note.text.is_empty() || note.text.contains('\n') {
                        return Err(format!("a note that is no line: {:?}", note.text));
                    }
                }
                Action::Exit { status } => {
                    // Exit is given once, as the last action, and only when nobody is left.
                    let last = at + 1 == actions.len();
                    let spawns = actions.iter().any(|action| matches!(action, Action::Spawn(_)));
                    if !last || !nobody || spawns {
                        return Err(format!(
                            "an exit that is not the end: last {last}, nobody left {nobody}"
                        ));
                    }
                    self.exit = Some(*status);
                }
            }
        }
        if self.exit.is_some() && !self.clients.is_empty() {
            return Err(format!("the end came, and somebody waits for an answer: {:?}", self.clients));
        }
        if self.exit.is_some() && self.stopping == 0 {
            return Err("the end came, and STOPPING=1 was never said".into());
        }
        self.begun(event, before, engine, actions)?;
        self.agree(before, engine)?;
        self.exited(event, before, engine, actions)?;
        self.ticked(now, event, before, engine, actions)?;
        self.signalled(event, before, engine)?;
        self.bounded_stop(now, engine)
    }

    /// A message that changes deadlines.
    fn hear(&mut self, event: &Event, before: &Before) {
        let Event::Notify { unit, message, .. } = event else { return };
        let at = unit.0 as usize;
        if message.watchdog_interval.is_some()
            && let Some(meddled) = self.meddled.get_mut(at)
        {
            *meddled = true;
        }
        let going = message.stopping || before.looks.get(at).is_some_and(|look| !look.state.is_active());
        if let (Some(more), Some((_, Some(until)))) = (message.extend_timeout, &mut self.stop)
            && going
        {
            *until = until.saturating_add(more.as_micros());
        }
    }

    fn spawn(
        &mut self,
        now: u64,
        spawn: &Spawn,
        counted: bool,
        (before, phase): (Phase, Phase),
    ) -> Result<(), Broken> {
        let Spawn { unit, run, kind, index, .. } = *spawn;
        let Some((role, spec)) = self.spec(unit) else { return Err(format!("no such unit: {unit:?}")) };
        if spec.service.commands(kind).get(index).is_none() {
            return Err(format!("no line {index} of {}", kind.directive()));
        }
        // Nothing starts once a stop of the whole has begun, but for the roles, until the sweep. What starts in the very
        // step in which everything comes to its end by itself is swept away with it.
        let starts =
            matches!(kind, ExecKind::Condition | ExecKind::StartPre | ExecKind::Start | ExecKind::StartPost);
        let too_late = match role {
            Role::Essential | Role::Managed => {
                let asked = before >= Phase::Draining || matches!(phase, Phase::Draining | Phase::Stopping);
                asked && starts || before >= Phase::Sweeping
            }
            Role::OnDemand => before >= Phase::Sweeping && starts || phase == Phase::Ended,
        };
        if too_late {
            return Err(format!("{} is started while {phase:?}", kind.directive()));
        }
        // One live main process a unit at most, and one control process at most.
        let forking = spec.service.kind == Type::Forking;
        let part = if kind == ExecKind::Start && !forking { Part::Main } else { Part::Control };
        let first = Self::is_first(spec, kind, index);
        let twin = self.runs.iter().find(|(_, known)| {
            known.unit == unit
                && known.part == part
                && matches!(known.life, Life::Asked | Life::Alive)
                && !self.given_up(known)
        });
        if let Some((twin, _)) = twin {
            return Err(format!("{run:?} is started beside {twin:?}"));
        }
        if first && !counted {
            self.start_limit(now, unit)?;
        }
        self.number(run, unit, part)
    }

    /// Whether this is the first thing that an activation does.
    fn is_first(spec: &Spec, kind: ExecKind, index: usize) -> bool {
        let none = |kinds: &[ExecKind]| kinds.iter().all(|kind| spec.service.commands(*kind).is_empty());
        index == 0
            && match kind {
                ExecKind::Condition => true,
                ExecKind::StartPre => none(&[ExecKind::Condition]),
                ExecKind::Start => none(&[ExecKind::Condition, ExecKind::StartPre]),
                ExecKind::StartPost | ExecKind::Reload | ExecKind::Stop | ExecKind::StopPost => false,
            }
    }

    /// Run numbers never repeat; they even grow.
    fn number(&mut self, run: Run, unit: UnitId, part: Part) -> Result<(), Broken> {
        if self.runs.last_key_value().is_some_and(|(last, _)| *last >= run) {
            return Err(format!("{run:?} comes after a later one"));
        }
        let known = Known { unit, part, life: Life::Asked, killed: false, replaced: false, alien: false };
        self.runs.insert(run, known);
        Ok(())
    }

    /// What an event means to the rules before anything is made of it.
    fn begin(&mut self, event: &Event, before: &Before, engine: &Engine) {
        match event {
            // At the end there is nobody left to answer.
            Event::Request { .. } if before.phase == Phase::Ended => {}
            Event::Request { client, verb, unit, no_block } => {
                let managed = matches!(self.spec(*unit), Some((Role::Managed, _)));
                if let (Verb::ResetFailed, Some(window)) = (verb, self.windows.get_mut(unit.0 as usize))
                    && managed
                {
                    *window = None;
                }
                // Who does not wait is as good as told that it is done.
                let verb = if *no_block { Verb::ResetFailed } else { *verb };
                self.clients.insert(*client, (*unit, verb));
            }
            Event::MainFound { run, .. } => {
                self.heirs.remove(run);
                let unit = self.runs.get(run).map(|known| known.unit);
                for (at, look) in before.looks.iter().enumerate() {
                    let now = engine.service(UnitId(at as u32)).and_then(Service::main);
                    if let (Some(old), true) =
                        (look.main, unit == Some(UnitId(at as u32)) && now == Some(*run))
                    {
                        self.runs.entry(old).and_modify(|known| known.replaced = true);
                    }
                }
            }
            Event::MainNotFound { run, .. } => {
                self.heirs.remove(run);
                self.lives(*run, Life::Told);
            }
            Event::Conditions { run, .. } => self.lives(*run, Life::Told),
            _ => {}
        }
    }

    /// One answer for each, and a good one only to whom has what it asked for.
    fn reply(
        &mut self,
        client: Client,
        ok: bool,
        event: &Event,
        engine: &Engine,
        actions: &[Action],
    ) -> Result<(), Broken> {
        let Some((unit, verb)) = self.clients.remove(&client) else {
            return Err(format!("{client:?} is answered, and has asked nothing or was answered before"));
        };
        self.answered.insert(client);
        let Some(service) = engine.service(unit).filter(|_| ok) else { return Ok(()) };
        // What has just been reached may be left again in the same step.
        let left = matches!(
            event,
            Event::SpawnFailed { .. }
                | Event::MainNotFound { .. }
                | Event::Notify { .. }
                | Event::Conditions { met: false, .. }
        ) || actions.iter().any(|action| match action {
            Action::Spawn(spawn) => spawn.unit == unit,
            Action::CheckConditions { unit: other, .. } => *other == unit,
            Action::Note(note) => note.unit == Some(unit) && note.text.starts_with("not started"),
            _ => false,
        });
        let good = match verb {
            Verb::Start | Verb::Restart => service.active_state().is_up() || service.result().is_clean(),
            Verb::Stop => service.state().is_inactive(),
            _ => true,
        };
        if good || left {
            return Ok(());
        }
        Err(format!("{verb:?} of {unit:?} is said to be done: {} {}", service.state(), service.result()))
    }

    /// Nothing of a manager starts without a job, nor before those with a job that it comes after.
    fn begun(
        &self,
        event: &Event,
        before: &Before,
        engine: &Engine,
        actions: &[Action],
    ) -> Result<(), Broken> {
        for action in actions {
            let Action::Spawn(spawn) = action else { continue };
            let Some((Role::Managed, spec)) = self.spec(spawn.unit) else { continue };
            let Some(service) = engine.service(spawn.unit) else { continue };
            if !Self::is_first(spec, spawn.kind, spawn.index) || matches!(event, Event::Conditions { .. }) {
                continue;
            }
            let had = before.looks.get(spawn.unit.0 as usize).and_then(|look| look.job);
            // A job may end as soon as it has begun: what it requires cannot be had, and the unit goes on all the same.
            let refused = actions
                .iter()
                .any(|a| matches!(a, Action::Note(note) if note.text.starts_with("not started")));
            if !refused
                && had.is_none()
                && engine.job(spawn.unit).is_none()
                && spec.service.kind != Type::Idle
            {
                return Err(format!("{:?} starts, and nobody wants that: {}", spawn.unit, service.state()));
            }
            for (other, _, neighbour) in engine.services() {
                let after = spec.unit.related(Relation::After).any(|name| name == neighbour.spec().name)
                    || neighbour.spec().unit.related(Relation::Before).any(|name| name == spec.name);
                // One that was there all the time, and not a new one in the place of one that was answered.
                let answered = actions.iter().any(|a| matches!(a, Action::Reply { .. }));
                let same = !answered
                    && before.looks.get(other.0 as usize).is_some_and(|look| {
                        let still = (look.state, look.since) == (neighbour.state(), neighbour.since());
                        look.job.is_some() && engine.job(other).is_some() && still
                    });
                // Two plans, each with an order of its own, may have none together.
                let ignored = actions.iter().any(
                    |a| matches!(a, Action::Note(note) if note.text.starts_with("its order was ignored")),
                );
                if after && other != spawn.unit && same && !ignored {
                    return Err(format!(
                        "{:?} starts, and {other:?}, which comes before, has a job",
                        spawn.unit
                    ));
                }
            }
        }
        Ok(())
    }

    /// State, result and count agree.
    fn agree(&self, before: &Before, engine: &Engine) -> Result<(), Broken> {
        for ((unit, _, service), look) in engine.services().zip(&before.looks) {
            let (state, result) = (service.state(), service.result());
            let clean = result.is_clean();
            // Where the last process counts, the first one may have failed already.
            let by_all = self.spec(unit).is_some_and(|(_, spec)| spec.service.exit_type == ExitType::Cgroup);
            let up = state.active_state() == ActiveState::Active && !by_all;
            if state == State::Failed && clean || up && !clean {
                return Err(format!("{unit:?} is {state} with result {result}"));
            }
            let restarts = service.restarts();
            if ![look.restarts, look.restarts.saturating_add(1), 0].contains(&restarts) {
                return Err(format!("{unit:?} counted {} restarts and now {restarts}", look.restarts));
            }
            if !self.may_hang(unit, service) && service.next_deadline().is_none() {
                return Err(format!("{unit:?} is {state}, has a time-out and no deadline"));
            }
        }
        Ok(())
    }

    /// Whether a unit may stay in its state for ever.
    fn may_hang(&self, unit: UnitId, service: &Service) -> bool {
        let Some((_, spec)) = self.spec(unit) else { return true };
        let (stop, start) = (spec.service.timeout_stop.zero_is_never(), spec.service.start_patience());
        match service.state() {
            State::Condition | State::StartPre | State::StartPost | State::Reload => start.is_infinite(),
            State::ReloadSignal | State::ReloadNotify => start.is_infinite(),
            State::Start => {
                let at_once = matches!(spec.service.kind, Type::Simple | Type::Dbus | Type::Idle);
                start.is_infinite() || at_once
            }
            State::StopWatchdog | State::FinalWatchdog => {
                spec.service.timeout_abort.unwrap_or(stop).is_infinite()
            }
            State::Stop
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalSigterm
            | State::FinalSigkill => stop.is_infinite(),
            State::AutoRestart => {
                let (base, most) = (spec.service.restart_delay, spec.service.restart_max_delay);
                base.is_infinite() || most.is_infinite()
            }
            State::Dead | State::Running | State::Exited | State::Failed | State::AutoRestartQueued => true,
        }
    }

    /// Nothing will happen any more. Then no job waits, unless some unit is on its way for ever.
    pub fn stuck(&self, engine: &Engine) -> Result<(), Broken> {
        let still = engine.services().all(|(_, _, service)| {
            let state = service.active_state();
            state.is_up() || state.is_down() && !service.is_checking()
        });
        let waits = engine.services().find(|(unit, ..)| engine.job(*unit).is_some());
        match waits {
            Some((unit, _, service)) if still => {
                Err(format!("nothing moves, and {unit:?}, which is {}, has a job", service.state()))
            }
            _ if still && !self.clients.is_empty() => {
                Err(format!("nothing moves, and somebody waits for an answer: {:?}", self.clients))
            }
            _ => Ok(()),
        }
    }

    /// Whether a process may be left behind by its unit: it was spared on purpose, or SIGKILL did not help.
    fn given_up(&self, known: &Known) -> bool {
        let spared = self.spec(known.unit).is_some_and(|(_, spec)| {
            spec.kill.mode == KillMode::None
                || !spec.kill.send_sigkill
                || spec.kill.final_signal != Signal::KILL
        });
        spared || known.killed || known.replaced
    }

    /// Never more than StartLimitBurst starts within StartLimitIntervalSec from the start that opened the window.
    fn start_limit(&mut self, now: u64, unit: UnitId) -> Result<(), Broken> {
        let Some((_, spec)) = self.specs.get(unit.0 as usize) else { return Ok(()) };
        let (interval, burst) = (spec.service.start_limit_interval, spec.service.start_limit_burst);
        let Some(window) = self.windows.get_mut(unit.0 as usize) else { return Ok(()) };
        if interval == Span::ZERO || burst == 0 {
            return Ok(());
        }
        let starts = match *window {
            Some((begin, starts)) if now - begin <= interval.as_micros() => {
                *window = Some((begin, starts + 1));
                starts + 1
            }
            _ => {
                *window = Some((now, 1));
                1
            }
        };
        if starts > burst { Err(format!("start {starts} in a window of {burst}")) } else { Ok(()) }
    }

    fn signal(&mut self, event: &Event, unit: UnitId, whom: Whom, signal: Signal) -> Result<(), Broken> {
        let asked = matches!(event, Event::Request { verb: Verb::Kill { .. }, .. });
        match whom {
            Whom::Process(run) | Whom::Group(run) => {
                // A signal is only sent to a run that was asked for and of whose end nothing was heard yet.
                let Some(known) = self.runs.get_mut(&run) else {
                    return Err(format!("{signal} to {run:?}, which never was"));
                };
                if known.unit != unit || known.life == Life::Told {
                    return Err(format!(
                        "{signal} to {run:?}, which is no business of {unit:?}: {:?}",
                        known.life
                    ));
                }
                known.killed |= signal == Signal::KILL;
            }
            Whom::Rest { main, control } => {
                let mode = self.spec(unit).map(|(_, spec)| spec.kill.mode);
                if !asked && !matches!(mode, Some(KillMode::ControlGroup | KillMode::Mixed)) {
                    return Err(format!("{signal} to everybody in spite of {mode:?}"));
                }
                for (run, known) in &mut self.runs {
                    let spoken_of = Some(*run) == main || Some(*run) == control;
                    known.killed |= signal == Signal::KILL && known.unit == unit && !spoken_of;
                }
            }
            Whom::Everything => {
                self.runs.values_mut().for_each(|known| known.killed |= signal == Signal::KILL);
            }
        }
        Ok(())
    }

    /// Ready is said once, when everybody essential is up, and never after STOPPING=1, which is said once too.
    fn announce(&mut self, text: &str, engine: &Engine) -> Result<(), Broken> {
        let down = |role, state: State| role == Role::Essential && !state.is_active();
        if text == "READY=1" && engine.services().any(|(_, role, service)| down(role, service.state())) {
            return Err("ready is said while somebody is not up".into());
        }
        match text {
            "READY=1" => self.ready += 1,
            "STOPPING=1" => self.stopping += 1,
            _ => {}
        }
        if self.ready > 1 || self.stopping > 1 || text == "READY=1" && self.stopping > 0 {
            return Err(format!("{text} is said again or too late"));
        }
        Ok(())
    }

    /// Every exit is accounted for once: a run that is known is no longer known, and one that is not is no news.
    fn exited(
        &mut self,
        event: &Event,
        before: &Before,
        engine: &Engine,
        actions: &[Action],
    ) -> Result<(), Broken> {
        let Event::Exited { run, exit } = event else { return Ok(()) };
        let was_main = before.looks.iter().position(|look| look.main == Some(*run));
        let was_control = before.looks.iter().any(|look| look.control == Some(*run));
        if was_main.is_none() && !was_control {
            let after = Before::of(engine);
            if !actions.is_empty() || after.looks != before.looks {
                return Err(format!("the end of {run:?} was news, though nobody knew it"));
            }
        }
        if engine.services().any(|(_, _, s)| s.main() == Some(*run) || s.control() == Some(*run)) {
            return Err(format!("{run:?} has ended and is still counted on"));
        }
        // Of an end that may not be the service's, and of one before a new beginning, nothing need be left.
        let anew = actions.iter().any(|action| match action {
            Action::Spawn(spawn) => Some(spawn.unit.0 as usize) == was_main,
            _ => false,
        });
        let heir = self.heirs.values().any(|unit| Some(unit.0 as usize) == was_main);
        if let Some(at) = was_main.filter(|_| !anew && !heir)
            && engine.service(UnitId(at as u32)).and_then(|s| s.main_exit()) != Some(*exit)
        {
            return Err(format!("the end of {run:?} was not noted down"));
        }
        self.lives(*run, Life::Told);
        Ok(())
    }

    /// A tick that is due leads on, and one that is not leads nowhere.
    fn ticked(
        &mut self,
        now: u64,
        event: &Event,
        before: &Before,
        engine: &Engine,
        actions: &[Action],
    ) -> Result<(), Broken> {
        if *event != Event::Tick {
            return Ok(());
        }
        let after = Before::of(engine);
        let changed = !actions.is_empty() || after.looks != before.looks || after.phase != before.phase;
        let due = before.deadline.is_some_and(|at| at.0 <= now);
        if !due && (changed || after.deadline != before.deadline) {
            return Err("a tick before its time did something".into());
        }
        if due && !changed && after.deadline.is_some_and(|at| at.0 <= now) {
            return Err(format!("a deadline stays in the past: {:?}", after.deadline));
        }
        Ok(())
    }

    /// Once everything is being stopped a signal is passed on at most: it neither shortens nor lengthens anything.
    fn signalled(&self, event: &Event, before: &Before, engine: &Engine) -> Result<(), Broken> {
        if !matches!(event, Event::Signal { .. }) || before.phase < Phase::Stopping {
            return Ok(());
        }
        let after = Before::of(engine);
        if after.looks != before.looks || after.deadline != before.deadline || after.phase != before.phase {
            return Err(format!(
                "a signal during the stop moved it: {:?} to {:?}",
                before.deadline, after.deadline
            ));
        }
        Ok(())
    }

    /// A stop ends within the sum of its deadlines.
    fn bounded_stop(&mut self, now: u64, engine: &Engine) -> Result<(), Broken> {
        if engine.phase() < Phase::Draining {
            return Ok(());
        }
        let Some((since, until)) = self.stop else {
            // Who is on its way down already may have asked for more time.
            let going = engine.services().filter(|(_, _, service)| !service.state().is_active());
            let asked = going.filter_map(|(_, _, service)| service.next_deadline()).map(|at| at.0).max();
            let until = self.patience().map(|patience| now.max(asked.unwrap_or(0)).saturating_add(patience));
            self.stop = Some((now, until));
            return Ok(());
        };
        self.steps_since_stop += 1;
        if self.exit.is_none() && self.steps_since_stop > STEPS_OF_A_STOP_MAX {
            return Err(format!("a stop of more than {STEPS_OF_A_STOP_MAX} steps"));
        }
        match until {
            Some(until) if now > until && self.exit.is_none() => Err(format!(
                "the stop has taken {} and may have taken {}",
                Span::from_micros(now - since),
                Span::from_micros(until - since)
            )),
            _ => Ok(()),
        }
    }

    /// The longest that a stop may take in microseconds, were nobody late: DrainSec=, then each unit's time-outs (they
    /// run side by side) with one for each line of ExecStop= and ExecStopPost=, then the sweep.
    fn patience(&self) -> Option<u64> {
        let essential =
            || self.specs.iter().filter(|(role, _)| *role != Role::OnDemand).map(|(_, spec)| spec);
        let mut longest = 0;
        for spec in essential() {
            let stop = spec.service.timeout_stop.zero_is_never();
            let abort = spec.service.timeout_abort.unwrap_or(stop);
            if stop.is_infinite() || abort.is_infinite() || spec.ours.drain.is_infinite() {
                return None;
            }
            let lines = |kind| spec.service.commands(kind).len() as u64;
            let times = lines(ExecKind::Stop) + lines(ExecKind::StopPost) + 4;
            let aborts = if spec.service.timeout_stop_failure == FailureMode::Abort { 2 } else { 1 };
            let abort = abort.as_micros().saturating_mul(aborts);
            longest = longest.max(times.saturating_mul(stop.as_micros()).saturating_add(abort));
        }
        let drain = essential().map(|spec| spec.ours.drain.as_micros()).max().unwrap_or(0);
        let linger = essential().map(|spec| spec.ours.linger).filter(|linger| !linger.is_infinite()).max();
        let linger = linger.unwrap_or(Span::from_secs(5)).as_micros();
        Some(drain.saturating_add(longest).saturating_add(linger).saturating_add(KERNEL_MAX + 1_000_000))
    }

    /// Judges what holds between two wake-ups, when everything that has happened was told.
    pub fn rest(&self, engine: &Engine, now: u64) -> Result<(), Broken> {
        if self.exit.is_some() {
            return Ok(());
        }
        for (_, _, service) in engine.services() {
            // Whom the engine counts on is there.
            for run in [service.main(), service.control()].into_iter().flatten() {
                let known = self.runs.get(&run);
                let (life, alien) = (known.map(|known| known.life), known.is_some_and(|known| known.alien));
                if !alien && !matches!(life, Some(Life::Asked | Life::Alive)) {
                    return Err(format!("{run:?} is counted on and is {life:?}"));
                }
            }
            if service.since().0 > now {
                return Err("a state that was entered in the future".into());
            }
        }
        // Whoever is there is counted on, unless it was given up.
        let ours = |known: &Known| known.life == Life::Alive && known.part != Part::Found && !known.replaced;
        for (run, known) in self.runs.iter().filter(|(_, known)| ours(known)) {
            let counted = engine
                .service(known.unit)
                .is_some_and(|service| service.main() == Some(*run) || service.control() == Some(*run));
            if !counted && !self.given_up(known) {
                return Err(format!("{run:?} lives and is forgotten"));
            }
        }
        self.idle(engine)
    }

    /// Idle means asleep: where nothing is timed there is no deadline.
    fn idle(&self, engine: &Engine) -> Result<(), Broken> {
        let still = engine.services().all(|(unit, _, service)| {
            let timed = self.spec(unit).is_none_or(|(_, spec)| {
                !spec.service.runtime_max.is_infinite() || spec.service.watchdog != Span::ZERO
            });
            let meddled = self.meddled.get(unit.0 as usize).copied().unwrap_or(true);
            match service.state() {
                State::Running => !timed && !meddled,
                State::Exited => true,
                State::Dead | State::Failed => !service.limit_hit(),
                _ => false,
            }
        });
        match engine.next_deadline() {
            Some(at) if still && engine.phase() <= Phase::Running => {
                Err(format!("idle, and yet there is a deadline at {}", at.0))
            }
            _ => Ok(()),
        }
    }
}
