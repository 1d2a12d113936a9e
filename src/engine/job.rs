//! Jobs: what somebody has asked of a unit and has not got yet, and what has to come before what.
//!
//! systemd's `job.c` and `transaction.c`, for services and the relations `After=`, `Before=`, `Requires=`, `Wants=`,
//! `OnFailure=` and `OnSuccess=`. A unit has one job at most. A request brings the jobs of other units with it (a
//! *plan*), and is refused as a whole if they cannot be put in an order. A job that is in place either waits for the
//! jobs of others, or *runs*: its unit has been told and is on its way. Jobs never see a process: they know a unit by
//! its active state, and hear of each change of it.
//!
//! A request that contradicts an earlier one takes its place, and whoever waited for that is told that it was cancelled.
//! Requests for the same thing share one job.
#![forbid(unsafe_code)]

use super::by_unit::ByUnit;
use super::service::{Change, Orders};
use super::system::{Engine, Phase, Role};
use super::{Action, ActiveState, Level, Mono, Outcome, Service, State, UnitId};
use crate::unit::spec::{Relation, RestartMode, Signal};

/// Someone who has asked for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(pub u64);

/// Whose processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillWhom {
    /// The main process.
    Main,
    /// The control process.
    Control,
    /// Every process of the unit.
    All,
}

/// What may be asked of a unit: the verbs of systemctl(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "systemctl(1) defines each")]
pub enum Verb {
    Start,
    Stop,
    Restart,
    TryRestart,
    Reload,
    ReloadOrRestart,
    ResetFailed,
    Kill { whom: KillWhom, signal: Signal },
}

/// What a job is to bring about. Other verbs come down to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    Stop,
    /// A stop that becomes a start.
    Restart,
    Reload,
}

impl Kind {
    /// Whether it takes the unit down first, which goes before whatever brings others up.
    fn is_down(self) -> bool {
        matches!(self, Kind::Stop | Kind::Restart)
    }

    /// One job for two, if they do not contradict each other; `up` is whether the unit is.
    fn merge(self, other: Kind, up: bool) -> Option<Kind> {
        match (self, other) {
            (a, b) if a == b => Some(a),
            (Kind::Stop, _) | (_, Kind::Stop) => None,
            (Kind::Restart, _) | (_, Kind::Restart) => Some(Kind::Restart),
            // What is starting reads its settings anyway.
            _ => Some(if up { Kind::Reload } else { Kind::Start }),
        }
    }
}

/// How a job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    Cancelled,
    /// A unit that this one requires could not be started.
    Dependency,
    /// The unit is in no state for it.
    Invalid,
    /// `Assert*=`.
    Assert,
}

/// What is to be done with one unit.
#[derive(Clone, Debug)]
pub(super) struct Job {
    kind: Kind,
    running: bool,
    /// Who waits for its end.
    clients: Vec<Client>,
}

/// The jobs of all units, and what they go by.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    jobs: ByUnit<Job>,
    /// In the order of the names.
    names: Vec<(String, UnitId)>,
    /// The relations between units, as numbers; worked out when they are next needed.
    links: Option<Links>,
    /// The active state of each unit as it was last heard of.
    seen: ByUnit<ActiveState>,
    /// Units whose end starts others, and the lists of whom.
    ended: Vec<(UnitId, bool)>,
    /// Units that have failed in this step for want of what they require.
    wanting: ByUnit<()>,
    /// Units whose start was found to be impossible in this step.
    denied: ByUnit<()>,
}

/// Relations the other way round, by unit.
#[derive(Clone, Debug, Default)]
struct Links {
    /// Which units each comes after, and which come after it.
    after: ByUnit<Vec<UnitId>>,
    before: ByUnit<Vec<UnitId>>,
    required_by: ByUnit<Vec<UnitId>>,
    /// Whose OnFailure= and OnSuccess= name it.
    triggered_by: ByUnit<Vec<UnitId>>,
}

/// The jobs that a request needs, each with whether the request is in vain without it.
type Plan = ByUnit<(Kind, bool)>;

/// How often one step may go over the jobs. Each round gives a job its end or its beginning, so that this is only
/// reached by units that start each other in a circle.
const ROUNDS_MAX: usize = 10_000;

impl Jobs {
    /// Knows a unit by a name.
    pub(super) fn name(&mut self, name: String, unit: UnitId) {
        let at = self.names.partition_point(|(other, _)| *other < name);
        match self.names.get_mut(at) {
            Some((other, known)) if *other == name => *known = unit,
            _ => self.names.insert(at, (name, unit)),
        }
        self.links = None;
    }

    /// Forgets what it has worked out about relations.
    pub(super) fn relate_anew(&mut self) {
        self.links = None;
    }

    /// The unit of that name.
    pub(super) fn find(&self, name: &str) -> Option<UnitId> {
        let at = self.names.partition_point(|(other, _)| other.as_str() < name);
        self.names.get(at).filter(|(other, _)| other == name).map(|(_, unit)| *unit)
    }

    /// Whether a unit has a job, and whether that is running.
    pub(super) fn of(&self, unit: UnitId) -> Option<bool> {
        self.jobs.get(unit).map(|job| job.running)
    }

    fn related(list: fn(&Links) -> &ByUnit<Vec<UnitId>>, links: &Option<Links>, unit: UnitId) -> &[UnitId] {
        links.as_ref().and_then(|links| list(links).get(unit)).map_or(&[], Vec::as_slice)
    }

    fn required_by(&self, unit: UnitId) -> &[UnitId] {
        Self::related(|links| &links.required_by, &self.links, unit)
    }

    fn after(&self, unit: UnitId) -> &[UnitId] {
        Self::related(|links| &links.after, &self.links, unit)
    }

    /// The units that a job of one could wait for, or be waited for by.
    fn neighbours(&self, unit: UnitId) -> impl Iterator<Item = UnitId> {
        let before = Self::related(|links| &links.before, &self.links, unit);
        self.after(unit).iter().chain(before).copied()
    }

    /// Whether a job of this kind waits for one of that kind: `job_compare()`. Whatever goes down goes first, the last
    /// to come up before the others; after that, up in order.
    fn waits(&self, unit: UnitId, kind: Kind, other: UnitId, others: Kind) -> bool {
        !kind.is_down() && self.after(unit).contains(&other)
            || others.is_down() && self.after(other).contains(&unit)
    }

    fn is_runnable(&self, unit: UnitId, kind: Kind) -> bool {
        let waits = |other| self.jobs.get(other).is_some_and(|job| self.waits(unit, kind, other, job.kind));
        !self.neighbours(unit).any(waits)
    }

    /// Those of these jobs that wait for themselves by way of others; none if there is an order.
    fn circle(&self, jobs: &ByUnit<Kind>) -> ByUnit<()> {
        // Whoever waits for nobody cannot be part of it, nor whom nobody waits for.
        let forward = |(unit, kind), (other, others)| self.waits(unit, kind, other, others);
        let backward = |(unit, kind), (other, others)| self.waits(other, others, unit, kind);
        let mut left = ByUnit::default();
        jobs.units().for_each(|unit| {
            left.insert(unit, ());
        });
        self.without_free(jobs, &mut left, &forward);
        self.without_free(jobs, &mut left, &backward);
        left
    }

    /// Takes out whoever waits for none of those that are left, until all do.
    fn without_free(
        &self,
        jobs: &ByUnit<Kind>,
        left: &mut ByUnit<()>,
        waits: &dyn Fn((UnitId, Kind), (UnitId, Kind)) -> bool,
    ) {
        let kind = |unit: UnitId| (unit, jobs.get(unit).copied().unwrap_or(Kind::Start));
        let is_free = |unit: UnitId, left: &ByUnit<()>| {
            !self.neighbours(unit).any(|other| left.has(other) && waits(kind(unit), kind(other)))
        };
        let mut free: Vec<UnitId> = left.units().filter(|unit| is_free(*unit, left)).collect();
        while let Some(unit) = free.pop() {
            if left.remove(unit).is_some() {
                let next = self.neighbours(unit).filter(|other| left.has(*other) && is_free(*other, left));
                free.extend(next.collect::<Vec<_>>());
            }
        }
    }
}

impl Engine {
    /// Somebody wants something of a unit.
    pub(super) fn request(
        &mut self,
        now: Mono,
        (client, verb, unit, no_block): (Client, Verb, UnitId, bool),
        actions: &mut Vec<Action>,
    ) {
        let reply = |ok: bool, text: String| Action::Reply { client, ok, text };
        let Some((Role::Managed, service)) = self.services.get_mut(unit.0 as usize) else {
            return actions.push(reply(false, "there is no such unit".to_owned()));
        };
        let (name, state, can_reload) =
            (service.spec().name.clone(), service.active_state(), service.can_reload());
        let kind = match verb {
            Verb::ResetFailed => {
                service.reset_failed(now);
                return actions.push(reply(true, String::new()));
            }
            Verb::Kill { whom, signal } => {
                let mut out = Orders { actions, last_run: &mut self.last_run };
                let done = service.kill(whom, signal, &mut out);
                let text = done.err().map(|why| format!("cannot kill {name}: {why}")).unwrap_or_default();
                return actions.push(reply(done.is_ok(), text));
            }
            Verb::Start => Kind::Start,
            Verb::Stop => Kind::Stop,
            Verb::Restart => Kind::Restart,
            Verb::TryRestart if !state.is_up() => return actions.push(reply(true, String::new())),
            Verb::TryRestart => Kind::Restart,
            Verb::Reload if !can_reload => {
                return actions
                    .push(reply(false, format!("{name} cannot be reloaded: it has no ExecReload=")));
            }
            Verb::Reload => Kind::Reload,
            Verb::ReloadOrRestart if !can_reload => Kind::Restart,
            Verb::ReloadOrRestart if state.is_up() => Kind::Reload,
            Verb::ReloadOrRestart => Kind::Start,
        };
        if self.phase > Phase::Running && kind != Kind::Stop {
            return actions
                .push(reply(false, format!("cannot do that to {name}: everything is being stopped")));
        }
        match self.plan(unit, kind, false) {
            Err(why) => actions.push(reply(false, why)),
            Ok(plan) => {
                self.install(&plan, unit, actions);
                match self.jobs.jobs.get_mut(unit) {
                    Some(job) if !no_block => job.clients.push(client),
                    _ => actions.push(reply(true, String::new())),
                }
            }
        }
    }

    // ---- which jobs there are to be ----

    fn relate(&mut self) {
        if self.jobs.links.is_some() {
            return;
        }
        let mut links = Links::default();
        for (id, role, service) in self.services() {
            if role != Role::Managed {
                continue;
            }
            let unit = &service.latest_spec().unit;
            let find = |name: &str| self.jobs.find(name).filter(|other| *other != id);
            for other in unit.related(Relation::After).filter_map(find) {
                links.after.push(id, other);
                links.before.push(other, id);
            }
            for other in unit.related(Relation::Before).filter_map(find) {
                links.after.push(other, id);
                links.before.push(id, other);
            }
            for other in unit.related(Relation::Requires).filter_map(find) {
                links.required_by.push(other, id);
            }
            for other in
                unit.related(Relation::OnFailure).chain(unit.related(Relation::OnSuccess)).filter_map(find)
            {
                links.triggered_by.push(other, id);
            }
        }
        self.jobs.links = Some(links);
    }

    fn state_of(&self, unit: UnitId) -> ActiveState {
        self.service(unit).map_or(ActiveState::Inactive, Service::active_state)
    }

    fn name_of(&self, unit: UnitId) -> &str {
        self.service(unit).map_or("", |service| service.spec().name.as_str())
    }

    /// Which jobs a job needs: `transaction_add_job_and_dependencies()` and what makes an order of them.
    ///
    /// `restarts`: the unit starts again after its own end, so that whoever requires it does too.
    fn plan(&mut self, anchor: UnitId, kind: Kind, restarts: bool) -> Result<Plan, String> {
        self.relate();
        let mut plan = Plan::default();
        let mut left = vec![(anchor, kind, true)];
        while let Some((unit, kind, matters)) = left.pop() {
            let up = self.state_of(unit).is_up();
            let merged = match plan.get(unit) {
                None => (kind, matters),
                Some((planned, mattered)) => {
                    let merged = planned.merge(kind, up).ok_or_else(|| {
                        format!("cannot plan this: {} would have to start and to stop", self.name_of(unit))
                    })?;
                    if (merged, matters || *mattered) == (*planned, *mattered) {
                        continue;
                    }
                    (merged, matters || *mattered)
                }
            };
            plan.insert(unit, merged);
            let (kind, matters) = merged;
            if let Err(missing) = self.add_requirements(unit, kind, matters, &mut left) {
                if matters {
                    return Err(format!("cannot start {}: unit {missing} not found", self.name_of(unit)));
                }
                // It was only wanted, and cannot be had.
                plan.remove(unit);
            }
            let follows = kind.is_down() || restarts && unit == anchor;
            for other in self.jobs.required_by(unit).iter().filter(|_| follows) {
                let state = self.state_of(*other);
                match kind {
                    Kind::Stop if !state.is_down() => left.push((*other, Kind::Stop, matters)),
                    Kind::Stop => {}
                    // Nobody is started who was not there.
                    _ if state.is_up() => left.push((*other, Kind::Restart, matters)),
                    _ => {}
                }
            }
        }
        self.put_in_order(&mut plan, anchor)?;
        Ok(plan)
    }

    fn add_requirements(
        &self,
        unit: UnitId,
        kind: Kind,
        matters: bool,
        left: &mut Vec<(UnitId, Kind, bool)>,
    ) -> Result<(), String> {
        let Some(service) = self.service(unit).filter(|_| matches!(kind, Kind::Start | Kind::Restart)) else {
            return Ok(());
        };
        let relations = &service.latest_spec().unit;
        if let Some(missing) =
            relations.related(Relation::Requires).find(|name| self.jobs.find(name).is_none())
        {
            return Err(missing.to_owned());
        }
        let find = |name: &str| self.jobs.find(name).filter(|other| *other != unit);
        left.extend(
            relations.related(Relation::Wants).filter_map(find).map(|other| (other, Kind::Start, false)),
        );
        left.extend(
            relations.related(Relation::Requires).filter_map(find).map(|other| (other, Kind::Start, matters)),
        );
        Ok(())
    }

    /// Takes jobs out that are only wanted until none waits for itself.
    fn put_in_order(&self, plan: &mut Plan, anchor: UnitId) -> Result<(), String> {
        loop {
            let mut kinds = ByUnit::default();
            for (unit, (kind, _)) in plan.iter() {
                kinds.insert(unit, *kind);
            }
            let circle = self.jobs.circle(&kinds);
            if circle.units().next().is_none() {
                return Ok(());
            }
            let spare =
                |unit: &UnitId| *unit != anchor && plan.get(*unit).is_some_and(|(_, matters)| !matters);
            let Some(spare) = circle.units().find(spare) else {
                let names: Vec<&str> = circle.units().map(|unit| self.name_of(unit)).collect();
                return Err(format!("cannot order {}: each comes after another", names.join(", ")));
            };
            self.take_out(plan, spare);
        }
    }

    /// Takes a job out, and those that are in vain without it.
    fn take_out(&self, plan: &mut Plan, unit: UnitId) {
        let mut left = vec![unit];
        while let Some(unit) = left.pop() {
            if plan.remove(unit).is_some() {
                let starts =
                    |other: &&UnitId| plan.get(**other).is_some_and(|(kind, _)| *kind == Kind::Start);
                left.extend(self.jobs.required_by(unit).iter().filter(starts));
            }
        }
    }

    fn install(&mut self, plan: &Plan, anchor: UnitId, actions: &mut Vec<Action>) {
        for (unit, (kind, _)) in plan.iter() {
            let (kind, state) = (*kind, self.state_of(unit));
            let redundant = match kind {
                Kind::Start => state.is_up(),
                Kind::Stop => state.is_down(),
                Kind::Reload => state == ActiveState::Reloading,
                Kind::Restart => false,
            };
            let merged = match self.jobs.jobs.get(unit) {
                None => Some(kind),
                Some(job) => job.kind.merge(kind, state.is_up()),
            };
            if redundant && unit != anchor && merged.is_some() {
                continue;
            }
            if merged.is_none() {
                self.finish(unit, End::Cancelled, actions);
            }
            let merged = merged.unwrap_or(kind);
            match self.jobs.jobs.get_mut(unit) {
                None => {
                    self.jobs.jobs.insert(unit, Job { kind: merged, running: false, clients: Vec::new() });
                }
                Some(job) => {
                    // A reload that is under way may have read what was there before.
                    job.running &= merged == job.kind && merged != Kind::Reload;
                    job.kind = merged;
                }
            }
            if merged == Kind::Stop
                && let Some((_, service)) = self.services.get_mut(unit.0 as usize)
            {
                // While the stop waits, nothing is to come back by itself.
                service.hold();
            }
        }
    }

    // ---- how they go on ----

    /// Follows up on whatever has happened until nothing moves: changes of units end jobs, ends of jobs begin others.
    pub(super) fn settle(&mut self, now: Mono, actions: &mut Vec<Action>) {
        self.jobs.wanting.clear();
        self.jobs.denied.clear();
        for _ in 0..ROUNDS_MAX {
            let mut moved = self.hear(actions);
            moved |= self.trigger(actions);
            moved |= self.restart(now, actions);
            moved |= self.run(now, actions);
            if !moved {
                return;
            }
        }
    }

    /// Tells the jobs what has become of their units.
    fn hear(&mut self, actions: &mut Vec<Action>) -> bool {
        let mut moved = false;
        for at in 0..self.services.len() {
            let Some((_, service)) = self.services.get_mut(at) else { continue };
            let unit = UnitId(u32::try_from(at).unwrap_or(u32::MAX));
            for change in service.take_changes() {
                moved = true;
                let end = self.jobs.jobs.get(unit).and_then(|job| end_by(job, change));
                if let Some(end) = end {
                    self.finish(unit, end, actions);
                }
                let Change::State(state, _) = change else { continue };
                let before = self.jobs.seen.insert(unit, state).unwrap_or(ActiveState::Inactive);
                match state {
                    ActiveState::Failed if before != state => self.jobs.ended.push((unit, false)),
                    ActiveState::Inactive if !before.is_down() => self.jobs.ended.push((unit, true)),
                    _ => {}
                }
            }
        }
        moved
    }

    /// Ends a job, and those that are in vain without it.
    fn finish(&mut self, unit: UnitId, end: End, actions: &mut Vec<Action>) {
        let mut left = vec![(unit, end)];
        while let Some((unit, end)) = left.pop() {
            let Some(job) = self.jobs.jobs.get_mut(unit) else { continue };
            if job.kind == Kind::Restart && end == End::Done {
                (job.kind, job.running) = (Kind::Start, false);
                continue;
            }
            let Some(job) = self.jobs.jobs.remove(unit) else { continue };
            if let Some((_, service)) = self.services.get_mut(unit.0 as usize)
                && job.kind == Kind::Stop
                && !service.state().is_inactive()
            {
                service.release();
            }
            if job.kind == Kind::Start && !matches!(end, End::Done | End::Cancelled) {
                self.jobs.denied.insert(unit, ());
            }
            if end != End::Done && job.kind == Kind::Start {
                self.relate();
                let starts =
                    |other: &&UnitId| self.jobs.jobs.get(**other).is_some_and(|job| job.kind == Kind::Start);
                let required_by = self.jobs.required_by(unit).iter().filter(starts);
                left.extend(required_by.map(|other| (*other, End::Dependency)));
            }
            // Others may wait for news of it, though it never was tried. Once a step is enough: those others may bring it
            // back, and in vain again.
            if end == End::Dependency && self.jobs.wanting.insert(unit, ()).is_none() {
                self.jobs.ended.push((unit, false));
            }
            let text = self.words(unit, end);
            for client in job.clients {
                actions.push(Action::Reply { client, ok: end == End::Done, text: text.clone() });
            }
        }
    }

    /// The end of a job in words, after systemctl's.
    fn words(&self, unit: UnitId, end: End) -> String {
        let name = self.name_of(unit);
        let result = self.service(unit).map_or(Outcome::Success, Service::result);
        match end {
            End::Done => String::new(),
            End::Cancelled => format!("job for {name} cancelled"),
            End::Dependency => format!("job for {name} failed: a unit that it requires could not be started"),
            End::Invalid => format!("job for {name} is invalid: the unit is not active"),
            End::Assert => format!("job for {name} failed: an assertion is not met"),
            End::Failed => {
                let why = match result {
                    Outcome::Resources => "there was no process to be had",
                    Outcome::Protocol => "the service did not take the steps that its type requires",
                    Outcome::Timeout => "a time-out was exceeded",
                    Outcome::ExitCode => "a process ended with an error code",
                    Outcome::Signal => "a process was killed by a signal",
                    Outcome::CoreDump => "a process was killed by a signal and dumped core",
                    Outcome::Watchdog => "the service failed to say WATCHDOG=1",
                    Outcome::StartLimitHit => "the service was started too often",
                    // The unit itself is well.
                    Outcome::Success | Outcome::ExecCondition => "what was asked of the service failed",
                };
                format!("job for {name} failed: {why}")
            }
        }
    }

    /// Starts what OnFailure= and OnSuccess= name.
    fn trigger(&mut self, actions: &mut Vec<Action>) -> bool {
        let ended = std::mem::take(&mut self.jobs.ended);
        // Nothing begins while everything ends.
        if self.phase > Phase::Running {
            return false;
        }
        let mut moved = false;
        for (unit, well) in ended {
            let Some(service) = self.service(unit) else { continue };
            let relations = &service.latest_spec().unit;
            let relation = if well { Relation::OnSuccess } else { Relation::OnFailure };
            let word = relation.directive();
            let names: Vec<String> = relations.related(relation).map(str::to_owned).collect();
            for name in names {
                let planned = match self.jobs.find(&name) {
                    Some(other) => self.plan(other, Kind::Start, false).map(|plan| (other, plan)),
                    None => Err(format!("unit {name} not found")),
                };
                match planned {
                    Ok((other, plan)) => {
                        moved = true;
                        self.install(&plan, other, actions);
                    }
                    Err(why) => self.note_on(unit, Level::Warn, format!("{word}={name}: {why}"), actions),
                }
            }
        }
        moved
    }

    /// Makes jobs of automatic restarts.
    fn restart(&mut self, now: Mono, actions: &mut Vec<Action>) -> bool {
        if self.phase > Phase::Running {
            return false;
        }
        let due = |(at, (_, service)): (usize, &(Role, Service))| {
            let unit = UnitId(u32::try_from(at).unwrap_or(u32::MAX));
            let job = self.jobs.jobs.get(unit);
            // A job that waits will see to it, whichever way.
            let queued = service.state() == State::AutoRestartQueued && job.is_none_or(|job| job.running);
            queued.then_some(unit)
        };
        let due: Vec<UnitId> = self.services.iter().enumerate().filter_map(due).collect();
        for unit in &due {
            if self.jobs.denied.remove(*unit).is_some() {
                self.give_up(now, *unit, Outcome::Success, "its start is impossible".to_owned(), actions);
                continue;
            }
            let direct =
                self.service(*unit).is_some_and(|s| s.spec().service.restart_mode == RestartMode::Direct);
            match self.plan(*unit, Kind::Start, !direct) {
                Ok(plan) => {
                    self.install(&plan, *unit, actions);
                    if let Some(job) = self.jobs.jobs.get_mut(*unit) {
                        job.running = false;
                    }
                }
                Err(why) => self.give_up(now, *unit, Outcome::Resources, why, actions),
            }
        }
        !due.is_empty()
    }

    fn give_up(&mut self, now: Mono, unit: UnitId, f: Outcome, why: String, actions: &mut Vec<Action>) {
        self.note_on(unit, Level::Error, format!("not restarted: {why}"), actions);
        let mut out = Orders { actions, last_run: &mut self.last_run };
        if let Some((_, service)) = self.services.get_mut(unit.0 as usize) {
            service.give_up(now, f, &mut out);
        }
    }

    /// Begins the jobs that wait for nobody any more.
    fn run(&mut self, now: Mono, actions: &mut Vec<Action>) -> bool {
        if self.jobs.jobs.iter().all(|(_, job)| job.running) {
            return false;
        }
        self.relate();
        let mut moved = false;
        let mut waiting = ByUnit::default();
        for (unit, job) in self.jobs.jobs.iter().filter(|(_, job)| !job.running) {
            waiting.insert(unit, job.kind);
        }
        for unit in waiting.units() {
            let Some(kind) = self.jobs.jobs.get(unit).filter(|job| !job.running).map(|job| job.kind) else {
                continue;
            };
            if self.jobs.is_runnable(unit, kind) {
                moved |= self.begin(now, unit, kind, actions);
            }
        }
        // Plans have an order, each in itself; what came together from several need not have one.
        if !moved {
            for unit in self.jobs.circle(&waiting).units() {
                let kind = waiting.get(unit).copied().unwrap_or(Kind::Start);
                if self.begin(now, unit, kind, actions) {
                    let why = "its order was ignored: it comes after itself";
                    self.note_on(unit, Level::Warn, why.into(), actions);
                    return true;
                }
            }
        }
        moved
    }

    /// Begins a job, or ends it where there is nothing to do, and says whether one of these came about.
    fn begin(&mut self, now: Mono, unit: UnitId, kind: Kind, actions: &mut Vec<Action>) -> bool {
        let state = self.state_of(unit);
        let checking = self.service(unit).is_some_and(Service::is_checking);
        let end = match kind {
            Kind::Start if state.is_up() => Some(End::Done),
            // It comes back when the unit is down.
            Kind::Start if state == ActiveState::Deactivating => return false,
            Kind::Stop | Kind::Restart if state.is_down() && !checking => Some(End::Done),
            Kind::Reload if matches!(state, ActiveState::Reloading | ActiveState::Activating) => {
                return false;
            }
            Kind::Reload if state != ActiveState::Active => Some(End::Invalid),
            Kind::Start | Kind::Stop | Kind::Restart | Kind::Reload => None,
        };
        if let Some(end) = end {
            self.finish(unit, end, actions);
            return true;
        }
        let monitor = if kind == Kind::Start { self.monitor(unit) } else { None };
        if let Some(job) = self.jobs.jobs.get_mut(unit) {
            job.running = true;
        }
        let mut out = Orders { actions, last_run: &mut self.last_run };
        let Some((_, service)) = self.services.get_mut(unit.0 as usize) else { return true };
        match kind {
            Kind::Start => {
                service.set_monitor(monitor);
                service.start(now, &mut out);
            }
            Kind::Stop | Kind::Restart => {
                service.set_restarting(kind == Kind::Restart);
                service.stop(now, None, &mut out);
            }
            Kind::Reload => {
                service.reload(now, &mut out);
            }
        }
        let still = self.state_of(unit);
        // There was only a start to be called off, or nobody to be told of a reload.
        if kind.is_down() && still.is_down() && checking
            || kind == Kind::Reload && still == ActiveState::Active
        {
            self.finish(unit, End::Done, actions);
        }
        true
    }

    /// The one unit whose end starts this one, and the variables that tell of it (systemd.exec(5), `$MONITOR_*`).
    fn monitor(&mut self, unit: UnitId) -> Option<(UnitId, Vec<(&'static str, String)>)> {
        self.relate();
        let [one] = Jobs::related(|links| &links.triggered_by, &self.jobs.links, unit) else { return None };
        let service = self.service(*one)?;
        let mut variables = vec![("MONITOR_SERVICE_RESULT", service.result().word().to_owned())];
        if let Some(exit) = service.main_exit() {
            variables.push(("MONITOR_EXIT_CODE", exit.code().to_owned()));
            variables.push(("MONITOR_EXIT_STATUS", exit.status_word()));
        }
        variables.push(("MONITOR_UNIT", service.spec().name.clone()));
        Some((*one, variables))
    }

    /// Everything is being stopped: whatever was to come up does not.
    pub(super) fn cancel_jobs(&mut self, actions: &mut Vec<Action>) {
        let others = self.jobs.jobs.iter().filter(|(_, job)| job.kind != Kind::Stop).map(|(unit, _)| unit);
        for unit in others.collect::<Vec<_>>() {
            self.finish(unit, End::Cancelled, actions);
        }
        self.jobs.ended.clear();
    }
}

/// Whether a change of its unit is the end of a job: `unit_process_job()`.
fn end_by(job: &Job, change: Change) -> Option<End> {
    let Change::State(state, reloaded) = change else {
        let skipped = change == Change::Skipped;
        return (job.kind == Kind::Start).then_some(if skipped { End::Done } else { End::Assert });
    };
    let down = match state {
        ActiveState::Failed => Some(End::Failed),
        ActiveState::Inactive => Some(End::Done),
        _ => None,
    };
    match job.kind {
        Kind::Start if state.is_up() => Some(End::Done),
        Kind::Start => down.filter(|_| job.running),
        Kind::Reload if !job.running => None,
        Kind::Reload if state == ActiveState::Active => Some(if reloaded { End::Done } else { End::Failed }),
        Kind::Reload => down,
        Kind::Stop | Kind::Restart if state.is_down() => Some(End::Done),
        Kind::Stop | Kind::Restart => {
            (job.running && state != ActiveState::Deactivating).then_some(End::Failed)
        }
    }
}
