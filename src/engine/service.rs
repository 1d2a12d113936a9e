//! Decides what happens to one service when something happens to it.
//!
//! This is systemd's service machine (`src/core/service.c`, systemd.service(5), systemd.kill(5)) with the same states,
//! results and order of steps. It knows one service: who waits for whom is `job`, and when tinysvc itself ends,
//! is `system`. It never sees a pid.
//!
//! Here is what a service is and what may be asked of it. What happens to it is `facts`, the passing of time is `late`,
//! what the end of a process has to say is `ends`, and what follows from all that is `course`.
//!
//! Words: a *run* is one life of one process, numbered. The *main* run is the service; a *control* run is
//! one of the other Exec*= commands, and there is one at a time. Every change of state goes through
//! `enter`, which sets the one deadline that holds in the new state, so that no deadline is ever stale.
//!
//! What cannot be known here is whether other processes of the service are left. Where that matters the
//! machine waits in its state and says so ([`Service::waits_for_empty`]); the host answers with `Emptied`.
//!
//! It differs from systemd on purpose where a deadline is at stake: `WATCHDOG=1` before the end of the start or
//! after the beginning of the stop arms nothing, and a stop asked for while a watchdog's victim is being
//! ended does not begin anew, so that nobody can postpone SIGKILL but by EXTEND_TIMEOUT_USEC. And a oneshot that is
//! being stopped does not go on to its next line, however well the last one took it.
#![forbid(unsafe_code)]

mod course;
mod ends;
mod facts;
mod late;
mod show;

pub(super) use show::exit_status;

use super::job::KillWhom;
use super::restart::StartLimit;
use super::{
    Action, ActiveState, Level, Mono, Outcome, Run, Seek, SpawnFailure, State, UnitId, Whom, earlier,
};
use crate::unit::spec::{ExecKind, Exit, ExitType, NotifyAccess, Signal, SignalTarget, Span, Spec, Type};
use std::collections::BTreeMap;

/// Where the orders of one step are collected, and where run numbers come from.
pub(super) struct Orders<'a> {
    pub actions: &'a mut Vec<Action>,
    pub last_run: &'a mut u64,
}

/// How long SIGKILL is given before whoever is left gets it again: without a cgroup a process that forks faster than it is
/// found can outrun the first.
const KILL_AGAIN: Span = Span::from_secs(1);

/// The control command that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control {
    run: Run,
    kind: ExecKind,
    index: usize,
}

/// What a main process is being looked for, and what comes when it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    run: Run,
    seek: Seek,
    /// ExecStartPost= has run, so that what follows is the end of the start.
    posted: bool,
    /// It was not there at first.
    late: bool,
    /// When it is looked for again; `None` until there is an answer.
    again: Option<Mono>,
}

/// The service has named a successor to its main process, and the host has yet to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heir {
    run: Run,
    /// The main process has ended meanwhile: that is only the service's end if there is no heir.
    ended: Option<Exit>,
}

/// What others are to know of: the state that is entered, or why none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A state, and whether the last reload has worked.
    State(ActiveState, bool),
    /// `Condition*=` is not met: nothing was started, and that is in order.
    Skipped,
    /// `Assert*=` is not met.
    AssertFailed,
}

/// What the service said last about itself, `service_notify_message_process_state()` of systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Ready,
    Reloading,
    Stopping,
}

/// One service and where it stands.
#[derive(Clone, Debug)]
pub struct Service {
    id: UnitId,
    spec: Spec,
    state: State,
    /// When the state was entered.
    since: Mono,
    /// When the activation at hand was completed.
    active_since: Mono,
    /// When patience with the state ends; set by [`Service::enter`] and, later only, by EXTEND_TIMEOUT_USEC.
    deadline: Option<Mono>,
    /// When SIGKILL is sent again to whoever has outrun it.
    kill_again: Option<Mono>,
    main: Option<Run>,
    /// There is or was a main process in this activation, so that the service is up no longer than it.
    main_known: bool,
    /// The main process is not our child: its end may pass unnoticed, so nobody waits for it.
    alien: bool,
    /// Which line of ExecStart= the main process is.
    main_line: usize,
    control: Option<Control>,
    search: Option<Search>,
    heir: Option<Heir>,
    /// The conditions are being checked, under this number.
    checking: Option<Run>,
    condition_met: bool,
    assert_met: bool,
    /// Nobody was left of it when the host last looked, and nothing has been spawned since.
    empty: bool,
    /// When the watchdog bites; armed from the end of the start to the beginning of the stop.
    watchdog: Option<Mono>,
    /// WATCHDOG_USEC= as the service said it.
    watchdog_override: Option<Span>,
    limit: StartLimit,
    /// The start limit has refused a start and not yet let another one through.
    limit_hit: bool,
    /// How the activation at hand has fared so far.
    result: Outcome,
    main_exit: Option<Exit>,
    /// The first failure of a control command: the cause when the main process has none.
    control_exit: Option<Exit>,
    /// The failure to start a process that the activation failed of.
    spawn_failure: Option<SpawnFailure>,
    /// A stop was asked for: no restart.
    stop_asked: bool,
    /// The signal that asked for it, where that is to be passed on as it is.
    stop_signal: Option<Signal>,
    /// However this activation ends, none follows.
    last_start: bool,
    /// SIGHUP came while a start or a reload was under way: another reload follows.
    reload_wanted: bool,
    /// The last reload has failed, and when it began.
    reload_failed: bool,
    reload_begun: Mono,
    /// A start follows the stop that is under way.
    restarting: bool,
    /// RestartMode=debug has restarted it.
    debug: bool,
    /// NOTIFYACCESS= as the service said it.
    access_override: Option<NotifyAccess>,
    /// `daemon-reload` has brought it, for the next start.
    next_spec: Option<Spec>,
    /// The unit whose end has made this one start, and what there is to say of that.
    monitor: Option<(UnitId, Vec<(&'static str, String)>)>,
    /// Jobs bring it up and down, and hear of its changes.
    managed: bool,
    changes: Vec<Change>,
    said: Option<Said>,
    restarts: u32,
    status_text: String,
    status_errno: i32,
    started_once: bool,
    /// When the last activation began, and how long it took to be up.
    activated: Option<Mono>,
    ready_after: Option<Span>,
    restarts_by: BTreeMap<Outcome, u64>,
}

impl Service {
    /// A service that has never been started.
    pub fn new(id: UnitId, spec: Spec) -> Service {
        Service {
            id,
            spec,
            state: State::Dead,
            since: Mono(0),
            active_since: Mono(0),
            deadline: None,
            kill_again: None,
            main: None,
            main_known: false,
            alien: false,
            main_line: 0,
            control: None,
            search: None,
            heir: None,
            checking: None,
            condition_met: false,
            assert_met: false,
            empty: false,
            watchdog: None,
            watchdog_override: None,
            limit: StartLimit::default(),
            limit_hit: false,
            result: Outcome::Success,
            main_exit: None,
            control_exit: None,
            spawn_failure: None,
            stop_asked: false,
            stop_signal: None,
            last_start: false,
            reload_wanted: false,
            reload_failed: false,
            reload_begun: Mono(0),
            restarting: false,
            debug: false,
            access_override: None,
            next_spec: None,
            monitor: None,
            managed: false,
            changes: Vec::new(),
            said: None,
            restarts: 0,
            status_text: String::new(),
            status_errno: 0,
            started_once: false,
            activated: None,
            ready_after: None,
            restarts_by: BTreeMap::new(),
        }
    }

    /// A service that jobs bring up and down.
    pub(super) fn managed(id: UnitId, spec: Spec) -> Service {
        Service { managed: true, ..Service::new(id, spec) }
    }

    /// What it should be.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// systemd's SubState.
    pub fn state(&self) -> State {
        self.state
    }

    /// systemd's ActiveState.
    pub fn active_state(&self) -> ActiveState {
        match (self.state.active_state(), self.spec.service.kind()) {
            // Nobody is made to wait for a service that itself waits for everybody.
            (ActiveState::Activating, Type::Idle)
                if !matches!(self.state, State::AutoRestart | State::AutoRestartQueued) =>
            {
                ActiveState::Active
            }
            (state, _) => state,
        }
    }

    /// When the state was entered.
    pub fn since(&self) -> Mono {
        self.since
    }

    /// systemd's Result.
    pub fn result(&self) -> Outcome {
        self.result
    }

    /// The main run, while it lives.
    pub fn main(&self) -> Option<Run> {
        self.main
    }

    /// The control run, while it lives.
    pub fn control(&self) -> Option<Run> {
        self.control.map(|c| c.run)
    }

    /// How the last main process ended.
    pub fn main_exit(&self) -> Option<Exit> {
        self.main_exit
    }

    /// How the failed control command ended, if one failed in this activation.
    pub fn control_exit(&self) -> Option<Exit> {
        self.control_exit
    }

    /// Why a program could not be executed, if that is what the activation failed of.
    pub fn spawn_failure(&self) -> Option<SpawnFailure> {
        self.spawn_failure
    }

    /// systemd's NRestarts.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The text of STATUS=.
    pub fn status_text(&self) -> &str {
        &self.status_text
    }

    /// The number of ERRNO=.
    pub fn status_errno(&self) -> i32 {
        self.status_errno
    }

    /// Whether a start has ever been completed.
    pub fn started_once(&self) -> bool {
        self.started_once
    }

    /// When the last activation began.
    pub fn activated(&self) -> Option<Mono> {
        self.activated
    }

    /// How long the last activation took to be up.
    pub fn ready_after(&self) -> Option<Span> {
        self.ready_after
    }

    /// Automatic restarts since the beginning, by the result that made them necessary.
    pub fn restarts_by_result(&self) -> impl Iterator<Item = (Outcome, u64)> {
        self.restarts_by.iter().map(|(result, n)| (*result, *n))
    }

    /// When it wants a tick.
    pub fn next_deadline(&self) -> Option<Mono> {
        let again = self.search.and_then(|search| search.again);
        earlier(earlier(earlier(self.deadline, self.watchdog), self.kill_again), again)
    }

    /// Whether it waits until no process of it is left: to go on with its end, or since it is up as long as anybody of it
    /// is there.
    pub fn waits_for_empty(&self) -> bool {
        // Of the end of one that is not our child nobody may hear.
        let alone = (self.main.is_none() || self.alien) && self.control.is_none() && self.heir.is_none();
        alone
            && match self.state {
                State::StopWatchdog
                | State::StopSigterm
                | State::StopSigkill
                | State::FinalWatchdog
                | State::FinalSigterm
                | State::FinalSigkill
                // Without a main process it is its processes.
                | State::Running => true,
                // Nobody is left who could say that it is up. That a PID file will never come is not noticed, as
                // with systemd.
                State::Start => self.main_known,
                // Where the last process counts, no other end has said anything.
                State::StopPost | State::ReloadSignal | State::ReloadNotify => {
                    self.lives_by_all() || !self.main_known
                }
                State::Dead
                | State::Condition
                | State::StartPre
                | State::StartPost
                | State::Exited
                | State::Reload
                | State::Stop
                | State::Failed
                | State::AutoRestart
                | State::AutoRestartQueued => false,
            }
    }

    /// Whether there is a process of whose end it will hear.
    pub(super) fn counts_on_somebody(&self) -> bool {
        self.main.is_some() && !self.alien || self.control.is_some()
    }

    /// Whether its conditions are being checked, so that a start may follow.
    pub fn is_checking(&self) -> bool {
        self.checking.is_some()
    }

    /// Whether the start limit has refused a start and would refuse another one.
    pub fn limit_hit(&self) -> bool {
        self.limit_hit
    }

    /// When a start limit that was hit lets another start through; `None` for never and for one that was not hit.
    pub fn limit_reopens(&self) -> Option<Mono> {
        if self.limit_hit { self.limit.reopens(self.spec.service.start_limit_interval) } else { None }
    }

    // ---- what may be asked of it ----

    /// Starts it, unless it is up or on its way.
    pub(super) fn start(&mut self, now: Mono, out: &mut Orders) {
        match self.state {
            State::Dead | State::Failed if self.checking.is_none() => self.activate(now, false, out),
            State::AutoRestart => {
                self.restarts = self.restarts.saturating_add(1);
                self.activate(now, true, out);
            }
            State::AutoRestartQueued => self.activate(now, true, out),
            State::Dead
            | State::Failed
            | State::Condition
            | State::StartPre
            | State::Start
            | State::StartPost
            | State::Running
            | State::Exited
            | State::Reload
            | State::ReloadSignal
            | State::ReloadNotify
            | State::Stop
            | State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalWatchdog
            | State::FinalSigterm
            | State::FinalSigkill => {}
        }
    }

    /// Stops it for good. Asking twice changes nothing, but for the signal, which is passed on again.
    ///
    /// `signal` replaces `KillSignal=` where the signal that asked for the stop is itself to be passed on.
    pub(super) fn stop(&mut self, now: Mono, signal: Option<Signal>, out: &mut Orders) {
        let again = self.stop_asked;
        self.stop_asked = true;
        if !again {
            self.stop_signal = signal;
        }
        match self.state {
            State::Dead | State::Failed => self.checking = None,
            State::AutoRestart | State::AutoRestartQueued => {
                self.note(out, Level::Info, "restart cancelled: a stop was asked for".into());
                // The result stays that of what had made the restart necessary.
                self.enter(now, State::Dead, None);
            }
            State::Running | State::Exited => {
                self.note(out, Level::Info, "stopping".into());
                self.enter_stop(now, Outcome::Success, out);
            }
            State::Condition
            | State::StartPre
            | State::Start
            | State::StartPost
            | State::Reload
            | State::ReloadSignal
            | State::ReloadNotify => {
                self.note(out, Level::Info, "stopping".into());
                self.enter_signal(now, State::StopSigterm, Outcome::Success, out);
            }
            // On its way down: no deadline moves, or a client could postpone SIGKILL for ever.
            State::Stop
            | State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalWatchdog
            | State::FinalSigterm
            | State::FinalSigkill => {
                // A client says "stop", and that has been heard; who signals PID 1 says more.
                if !self.managed && (again || signal.is_some()) {
                    self.forward(signal.unwrap_or(self.spec.kill.signal), out);
                }
            }
        }
    }

    /// Passes a signal on to the main process, and says whether there was one.
    pub(super) fn forward(&mut self, signal: Signal, out: &mut Orders) -> bool {
        let Some(main) = self.main else { return false };
        let whom = match self.spec.ours.signal_target {
            SignalTarget::Main => Whom::Process(main),
            SignalTarget::Group => Whom::Group(main),
        };
        out.actions.push(Action::Signal { unit: self.id, whom, signal });
        true
    }

    /// Lets it go on, but for the last time: however it ends, no start follows.
    pub(super) fn hold(&mut self) {
        self.last_start = true;
    }

    /// Takes that back.
    pub(super) fn release(&mut self) {
        self.last_start = false;
    }

    /// Says whether a start follows the stop that is under way or ahead: `RestartKillSignal=`.
    pub(super) fn set_restarting(&mut self, restarting: bool) {
        self.restarting = restarting;
    }

    /// The unit whose end makes this one start.
    pub(super) fn set_monitor(&mut self, monitor: Option<(UnitId, Vec<(&'static str, String)>)>) {
        self.monitor = monitor;
    }

    /// Takes another spec for the next start; a service that is down has it at once.
    pub(super) fn replace(&mut self, spec: Spec) {
        if self.state.is_inactive() && self.checking.is_none() {
            self.spec = spec;
        } else {
            self.next_spec = Some(spec);
        }
    }

    /// What it will be at the next start.
    pub fn latest_spec(&self) -> &Spec {
        self.next_spec.as_ref().unwrap_or(&self.spec)
    }

    /// What has changed since this was last asked.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether there is a way to make it reload.
    pub(super) fn can_reload(&self) -> bool {
        !self.spec.service.commands(ExecKind::Reload).is_empty()
            || self.spec.service.kind() == Type::NotifyReload
    }

    /// Reloads it, at once or when what is under way is over, and says whether it will.
    pub(super) fn reload(&mut self, now: Mono, out: &mut Orders) -> bool {
        if !self.can_reload() {
            return false;
        }
        match self.state {
            State::Running | State::Exited => {
                self.enter_reload(now, out);
                true
            }
            // What it has read so far may be older than what the signal is about.
            State::Start | State::StartPost | State::Reload | State::ReloadSignal | State::ReloadNotify => {
                self.reload_wanted = true;
                true
            }
            // It has yet to read anything, or has no use for it any more.
            State::Condition
            | State::StartPre
            | State::AutoRestart
            | State::AutoRestartQueued
            | State::Dead
            | State::Failed
            | State::Stop
            | State::StopWatchdog
            | State::StopSigterm
            | State::StopSigkill
            | State::StopPost
            | State::FinalWatchdog
            | State::FinalSigterm
            | State::FinalSigkill => false,
        }
    }

    /// Forgets that it has failed, its restarts and the start limit's count: `service_reset_failed()`.
    pub(super) fn reset_failed(&mut self, now: Mono) {
        if self.state == State::Failed {
            self.enter(now, State::Dead, None);
        }
        (self.result, self.reload_failed, self.restarts) = (Outcome::Success, false, 0);
        (self.limit, self.limit_hit) = (StartLimit::default(), false);
    }

    /// Sends a signal to some or all of its processes. That is no stop, whatever comes of it.
    ///
    /// # Errors
    /// The one process that is asked for is not there.
    pub(super) fn kill(&self, whom: KillWhom, signal: Signal, out: &mut Orders) -> Result<(), &'static str> {
        let (main, control) = (self.main, self.control());
        let one = |run: Option<Run>| run.map(Whom::Process);
        match whom {
            KillWhom::Main => self.signal(one(main).ok_or("no main process to kill")?, signal, out),
            KillWhom::Control => self.signal(one(control).ok_or("no control process to kill")?, signal, out),
            KillWhom::All => {
                let rest = Some(Whom::Rest { main, control });
                for whom in [one(main), one(control), rest].into_iter().flatten() {
                    self.signal(whom, signal, out);
                }
            }
        }
        Ok(())
    }

    /// Whether anybody is there whose life is the service's: `service_good()`.
    fn is_good(&self) -> bool {
        let by_others = !self.main_known || self.spec.service.exit_type == ExitType::Cgroup;
        // Whoever is left without being known is found missing by `emptied`.
        self.main.is_some() || self.heir.is_some() || by_others && !self.empty
    }

    /// Who is heard: as the service said, or as its spec has it.
    fn notify_access(&self) -> NotifyAccess {
        self.access_override.unwrap_or_else(|| self.spec.service.notify_access())
    }
}
