//! PID 1 of many services: `tinysvc boot`.
//!
//! The same engine as for one command, fed from more places: the scopes below which the services live, the control
//! socket, readiness messages, signals. One wake-up is one batch, in the order that `host` explains; nothing is
//! done from inside a reaction, and nobody is waited for.
//!
//! A service's processes are never our children but its scope's; our children are the scopes alone.
#![forbid(unsafe_code)]

use super::brood::Origin;
use super::control::{self, CLIENTS_MAX, Client};
use super::notify::NotifySocket;
use super::scope::{self, Tale, Word};
use super::signals::Signals;
use super::sys::process::{exit_now, fork, kill, wait_any};
use super::world::Here;
use super::{calamity, cannot, facility, log, now, tree};
use crate::engine::notify::Message;
use crate::engine::{
    Action, Client as ClientId, Engine, Event, KillWhom, Note, Role, Run, Seek, Sender, Service, Spawn,
    SpawnFailure, State, UnitId, Verb, Whom, exit_code,
};
use crate::unit::spec::condition::{Verdict, evaluate};
use crate::unit::spec::{Exit, KillMode, NotifyAccess, Relation, Restart, Signal, Span, Spec};
use crate::wire::control::Request;
use ::log::{error, warn};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};

/// What a descriptor of the epoll set is, as its number there. Scopes and clients count up from [`FIRST`].
const SIGNALS: u64 = 0;
const NOTIFY: u64 = 1;
const CONTROL: u64 = 2;
const FIRST: u64 = 16;

/// How many events one wait returns.
const EVENTS_MAX: usize = 32;
/// How many tales of one scope are heard in a turn.
const TALES_A_TURN_MAX: usize = 64;

/// Where units come from. Returns the spec, or why there is none: systemd's LoadState and words for a person.
pub type Load = Box<dyn Fn(&str) -> Loaded>;

/// A unit as its files have it.
pub struct Loaded {
    /// What it should be; systemd's defaults where there is no file.
    pub spec: Spec,
    /// systemd's LoadState.
    pub load_state: &'static str,
    /// Why it cannot be used, if so.
    pub problem: String,
    /// Its other names.
    pub aliases: Vec<String>,
}

/// One scope: a process and the way to it.
struct Scope {
    unit: UnitId,
    pid: i32,
    channel: OwnedFd,
    /// Words that it had no room for yet.
    unsaid: VecDeque<Word>,
    /// It has been asked whether anything is left, and has not answered.
    asked: bool,
    /// The activation that it was made for is over.
    retired: bool,
    /// Nothing was made in it that has not been removed.
    clean: bool,
}

/// One client and what it waits for.
struct Conversation {
    client: Client,
    /// Jobs whose end is still to come; `None` until the request has come.
    pending: Option<usize>,
    failed: bool,
}

/// A unit's name and where its text stands.
struct Known {
    load_state: &'static str,
    problem: String,
}

struct Manager {
    engine: Engine,
    epoll: Epoll,
    signals: Signals,
    load: Load,
    names: BTreeMap<String, UnitId>,
    known: BTreeMap<UnitId, Known>,
    environment: Vec<(OsString, OsString)>,
    notify: NotifySocket,
    control: OwnedFd,
    scopes: BTreeMap<u64, Scope>,
    clients: BTreeMap<u64, Conversation>,
    /// The process of each run, and its scope.
    runs: BTreeMap<Run, (i32, u64)>,
    next_token: u64,
    owner: u32,
    yielded: Vec<Event>,
}

/// Is PID 1 of many services until a stop has ended, and returns our exit status.
pub fn run(load: Load, start: &[String], environment: Vec<(OsString, OsString)>) -> u8 {
    calamity::prepare();
    match Manager::new(load, environment) {
        Ok(mut manager) => manager.run(start),
        Err((what, status)) => {
            error!("{what}");
            status
        }
    }
}

impl Manager {
    fn new(load: Load, environment: Vec<(OsString, OsString)>) -> Result<Manager, (String, u8)> {
        let signals = Signals::take_over().map_err(cannot("block signals"))?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(cannot("wait for events (epoll)"))?;
        let readable = |number| EpollEvent::new(EpollFlags::EPOLLIN, number);
        let pending = signals.descriptor().map_err(cannot("wait for signals (signalfd)"))?;
        epoll.add(&pending, readable(SIGNALS)).map_err(cannot("wait for signals (epoll)"))?;
        // Kept open as long as the process lives.
        std::mem::forget(pending);
        if std::process::id() != 1
            && let Err(e) = nix::sys::prctl::set_child_subreaper(true)
        {
            warn!("orphans will not be reaped: cannot become a subreaper: {e}");
        }
        // Where services start that say nothing else.
        if let Err(e) = nix::unistd::chdir("/") {
            warn!("cannot change to /: {e}");
        }
        let notify = NotifySocket::open().map_err(cannot("offer NOTIFY_SOCKET"))?;
        epoll.add(&notify, readable(NOTIFY)).map_err(cannot("wait for readiness messages (epoll)"))?;
        let control = control::open().map_err(cannot("listen for control commands"))?;
        epoll.add(&control, readable(CONTROL)).map_err(cannot("wait for control commands (epoll)"))?;
        Ok(Manager {
            engine: Engine::manager(),
            epoll,
            signals,
            load,
            names: BTreeMap::new(),
            known: BTreeMap::new(),
            // `container` tells its manager who runs the container, and is not for services (systemd's Container Interface).
            environment: environment.into_iter().filter(|(name, _)| name != "container").collect(),
            notify,
            control,
            scopes: BTreeMap::new(),
            clients: BTreeMap::new(),
            runs: BTreeMap::new(),
            next_token: FIRST,
            owner: nix::unistd::geteuid().as_raw(),
            yielded: Vec::new(),
        })
    }

    fn run(&mut self, start: &[String]) -> u8 {
        let mut actions = Vec::new();
        let mut facts = vec![Event::Boot];
        for name in start {
            match self.unit(name) {
                Ok(unit) => facts.push(request(ClientId(0), Verb::Start, unit)),
                Err(problem) => error!("{name}: {problem}"),
            }
        }
        loop {
            let now = now();
            for fact in facts.drain(..) {
                self.engine.step(now, fact, &mut actions);
            }
            self.clean_up();
            for action in actions.drain(..) {
                if let Some(status) = self.perform(action) {
                    return status;
                }
            }
            self.ask_who_is_empty();
            let mut events = [EpollEvent::empty(); EVENTS_MAX];
            let found = match self.epoll.wait(&mut events, self.patience()) {
                Ok(n) => n,
                Err(Errno::EINTR) => 0,
                Err(e) => {
                    // Nothing is known to cause this; going on blindly would be a busy loop.
                    error!("cannot wait for events: {e}");
                    return exit_code::OSERR;
                }
            };
            self.collect(events.get(..found).unwrap_or_default(), &mut facts);
        }
    }

    fn patience(&self) -> EpollTimeout {
        if !self.yielded.is_empty() {
            return EpollTimeout::ZERO;
        }
        let patience = self.engine.next_deadline().map_or(Span::INFINITY, |at| at.since(now()));
        super::wait::timeout(patience)
    }

    /// The facts of one wake-up, in their order.
    fn collect(&mut self, events: &[EpollEvent], facts: &mut Vec<Event>) {
        facts.append(&mut self.yielded);
        let is_ready = |number| events.iter().any(|event| event.data() == number);
        let signal = if is_ready(SIGNALS) { self.signals.next(Span::ZERO) } else { None };
        let (mut ends, mut tales) = (Vec::new(), Vec::new());
        for token in events.iter().map(EpollEvent::data).filter(|token| *token >= FIRST) {
            self.hear(token, &mut tales);
        }
        if signal == Some(Signal::CHLD) {
            self.reap(&mut ends);
        }
        for tale in tales {
            match tale {
                Event::Exited { .. } => ends.push(tale),
                tale => facts.push(tale),
            }
        }
        // After the ends were heard of, so that whatever an ended process has said is there; told before them.
        if is_ready(NOTIFY) || !ends.is_empty() {
            self.read_notify(facts);
        }
        for end in &ends {
            if let Event::Exited { run, .. } = end {
                self.runs.remove(run);
            }
        }
        facts.append(&mut ends);
        if self.engine.next_deadline().is_some_and(|at| now() >= at) {
            facts.push(Event::Tick);
        }
        if let Some(signal) = signal.filter(|signal| *signal != Signal::CHLD) {
            facts.push(Event::Signal { signal });
        }
        let ready: Vec<u64> = events.iter().map(EpollEvent::data).filter(|token| *token >= FIRST).collect();
        for token in ready {
            if self.clients.contains_key(&token) {
                self.converse(token, facts);
            }
        }
        if is_ready(CONTROL) {
            self.welcome();
        }
    }

    // ---- scopes ----

    fn hear(&mut self, token: u64, facts: &mut Vec<Event>) {
        for _ in 0..TALES_A_TURN_MAX {
            let Some(scope) = self.scopes.get_mut(&token) else { return };
            let tale = match scope::listen(scope.channel.as_fd()) {
                Ok(Some(tale)) => tale,
                Ok(None) => break,
                // Its process has ended or is about to; that is told by SIGCHLD.
                Err(_) => {
                    let _gone = self.epoll.delete(&scope.channel);
                    return;
                }
            };
            let unit = scope.unit;
            match tale {
                Tale::Spawned(run, pid) => {
                    self.runs.insert(run, (pid, token));
                    facts.push(Event::Spawned { run });
                }
                Tale::Failed(run, failure) => facts.push(Event::SpawnFailed { run, failure }),
                Tale::Exited(run, exit) => facts.push(Event::Exited { run, exit }),
                Tale::Found(run, pid) => {
                    // It may have been another run until now.
                    self.runs.retain(|_, (p, _)| *p != pid);
                    self.runs.insert(run, (pid, token));
                    facts.push(Event::MainFound { run, alien: false });
                }
                Tale::NotFound(run, empty) => {
                    let reason = "no process of the unit could be it".to_owned();
                    facts.push(Event::MainNotFound { run, reason, empty });
                }
                Tale::Empty => {
                    scope.asked = false;
                    if scope.retired {
                        // Closing our end ends it.
                        self.scopes.remove(&token);
                    } else {
                        facts.push(Event::Emptied { unit: Some(unit) });
                    }
                    return;
                }
            }
        }
        self.speak(token);
    }

    /// Gives a scope the words that it had no room for.
    fn speak(&mut self, token: u64) {
        let Some(scope) = self.scopes.get_mut(&token) else { return };
        while let Some(word) = scope.unsaid.front() {
            match scope::say(scope.channel.as_fd(), word) {
                Ok(()) => drop(scope.unsaid.pop_front()),
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) => return,
                Err(e) => {
                    // It is gone, which is told by SIGCHLD, or the word is too long to be said.
                    let run = match scope.unsaid.pop_front() {
                        Some(Word::Spawn(run, ..)) => run,
                        _ => continue,
                    };
                    let failure = SpawnFailure::Resources { errno: e as i32 };
                    self.yielded.push(Event::SpawnFailed { run, failure });
                }
            }
        }
    }

    fn tell(&mut self, token: u64, word: Word) {
        if let Some(scope) = self.scopes.get_mut(&token) {
            scope.unsaid.push_back(word);
        }
        self.speak(token);
    }

    /// The scope of a unit's activation, made if there is none.
    fn scope(&mut self, unit: UnitId) -> Result<u64, Errno> {
        if let Some((token, _)) = self.scopes.iter().find(|(_, scope)| scope.unit == unit && !scope.retired) {
            return Ok(*token);
        }
        let spec = self.engine.service(unit).map(|service| service.spec().clone()).ok_or(Errno::ENOENT)?;
        let (ours, theirs) = scope::channel()?;
        let token = self.next_token;
        self.epoll.add(&ours, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        match fork()? {
            None => {
                let origin = Origin {
                    environment: std::mem::take(&mut self.environment),
                    notify: Some(self.notify.address().to_owned()),
                    facility: facility::facility(),
                    signals: self.signals.original(),
                };
                scope::become_one(unit, spec, origin, &theirs, &self.signals);
                exit_now(0)
            }
            Some(pid) => {
                self.next_token += 1;
                let (unsaid, asked, retired, clean) = (VecDeque::new(), false, false, true);
                self.scopes.insert(token, Scope { unit, pid, channel: ours, unsaid, asked, retired, clean });
                Ok(token)
            }
        }
    }

    /// Our children are scopes; one that has ended takes its runs with it.
    fn reap(&mut self, ends: &mut Vec<Event>) {
        while let Ok(Some((pid, _))) = wait_any(false) {
            let Some((token, _)) = self.scopes.iter().find(|(_, scope)| scope.pid == pid) else { continue };
            let token = *token;
            let lost: Vec<(Run, i32)> = self
                .runs
                .iter()
                .filter(|(_, (_, t))| *t == token)
                .map(|(run, (pid, _))| (*run, *pid))
                .collect();
            if let Some(scope) = self.scopes.remove(&token)
                && !lost.is_empty()
                && let Some(service) = self.engine.service(scope.unit)
            {
                error!("{}: its scope was killed, and its processes with it", service.spec().name);
            }
            for (run, pid) in lost {
                // They have fallen to us and belong to nobody any more.
                let _ended = kill(pid, Signal::KILL.number());
                ends.push(Event::Exited { run, exit: Exit::Killed(Signal::KILL) });
            }
        }
    }

    fn ask_who_is_empty(&mut self) {
        let waiting: Vec<Option<UnitId>> = self.engine.waiting_for_empty().collect();
        for unit in waiting {
            match unit {
                Some(unit) => {
                    let of = |scope: &&mut Scope| scope.unit == unit && !scope.retired;
                    match self.scopes.iter_mut().map(|(token, scope)| (*token, scope)).find(|(_, s)| of(s)) {
                        Some((token, scope)) if !scope.asked => {
                            scope.asked = true;
                            self.tell(token, Word::IsEmpty);
                        }
                        Some(_) => {}
                        None => self.yielded.push(Event::Emptied { unit: Some(unit) }),
                    }
                }
                None => {
                    self.retire_all();
                    if !super::sys::process::has_child().unwrap_or(true) {
                        self.yielded.push(Event::Emptied { unit: None });
                    }
                }
            }
        }
        self.retire();
    }

    /// What was made for an activation goes with its end, before another one begins.
    fn clean_up(&mut self) {
        let mut over = Vec::new();
        for (token, scope) in self.scopes.iter_mut().filter(|(_, scope)| !scope.clean) {
            let state = self.engine.service(scope.unit).map(|service| service.state());
            let restart = state == Some(State::AutoRestart);
            if restart || state.is_none_or(State::is_inactive) {
                scope.clean = true;
                over.push((*token, restart));
            }
        }
        over.into_iter().for_each(|(token, restart)| self.tell(token, Word::CleanUp(restart)));
    }

    /// A scope whose activation is over goes as soon as nothing is left in it.
    fn retire(&mut self) {
        let mut over = Vec::new();
        for (token, scope) in &mut self.scopes {
            let done = self.engine.service(scope.unit).is_none_or(|s| s.state().is_inactive());
            if done && !scope.retired {
                scope.retired = true;
                over.push(*token);
            }
        }
        over.into_iter().for_each(|token| self.tell(token, Word::IsEmpty));
    }

    fn retire_all(&mut self) {
        let tokens: Vec<u64> =
            self.scopes.iter().filter(|(_, s)| !s.retired).map(|(token, _)| *token).collect();
        for token in tokens {
            if let Some(scope) = self.scopes.get_mut(&token) {
                scope.retired = true;
            }
            self.tell(token, Word::IsEmpty);
        }
    }

    // ---- actions ----

    fn perform(&mut self, action: Action) -> Option<u8> {
        match action {
            Action::Spawn(spawn) => self.spawn(spawn),
            Action::Signal { unit, whom, signal } => self.signal(unit, whom, signal),
            Action::Note(note) => self.note(&note),
            Action::Reply { client, ok, text } => self.reply(client, ok, &text),
            Action::FindMain { unit, run, seek } => self.find_main(unit, run, seek),
            Action::CheckConditions { unit, run } => self.check(unit, run),
            // Nobody above is told of single units.
            Action::Announce(_) => {}
            Action::Exit { status } => return Some(status),
        }
        None
    }

    fn spawn(&mut self, spawn: Spawn) {
        let Spawn { unit, run, kind, index, main, environment, monitor: _ } = spawn;
        let token = match self.scope(unit) {
            Ok(token) => token,
            Err(e) => {
                let failure = SpawnFailure::Resources { errno: e as i32 };
                return self.yielded.push(Event::SpawnFailed { run, failure });
            }
        };
        let mut variables = Vec::new();
        if let Some((pid, _)) = main.and_then(|main| self.runs.get(&main)) {
            variables.push(("MAINPID".to_owned(), pid.to_string()));
        }
        variables.extend(environment.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if let Some(scope) = self.scopes.get_mut(&token) {
            scope.clean = false;
        }
        self.tell(token, Word::Spawn(run, kind, index, variables));
    }

    fn find_main(&mut self, unit: UnitId, run: Run, seek: Seek) {
        let file = self.engine.service(unit).and_then(|service| service.spec().service.pid_file.clone());
        let file = file.and_then(|file| file.into_string().ok());
        let word = match seek {
            Seek::Guess => Word::Find(run, None, None),
            Seek::PidFile => Word::Find(run, None, file),
            Seek::Pid(pid) => Word::Find(run, Some(pid), None),
        };
        match self.scopes.iter().find(|(_, scope)| scope.unit == unit && !scope.retired) {
            Some((token, _)) => self.tell(*token, word),
            None => {
                let reason = "nothing runs".to_owned();
                self.yielded.push(Event::MainNotFound { run, reason, empty: true });
            }
        }
    }

    fn check(&mut self, unit: UnitId, run: Run) {
        let verdict = self.engine.service(unit).map(|s| evaluate(&s.latest_spec().unit.conditions, &Here));
        let (met, assert_failed) = match verdict {
            Some(Verdict::Unmet(_)) => (false, false),
            Some(Verdict::AssertionFailed(_)) => (true, true),
            Some(Verdict::Met) | None => (true, false),
        };
        self.yielded.push(Event::Conditions { run, met, assert_failed });
    }

    fn signal(&mut self, unit: UnitId, whom: Whom, signal: Signal) {
        if whom == Whom::Everything {
            // As PID 1 this is everything in the namespace, at once; ESRCH: nobody is there.
            if std::process::id() == 1 {
                let _none = kill(-1, signal.number());
            } else {
                for pid in tree::descendants(std::process::id() as i32, &[]).unwrap_or_default() {
                    // It may have ended meanwhile.
                    let _ended = kill(pid, signal.number());
                }
            }
            return;
        }
        let of_unit = |scope: &&Scope| scope.unit == unit && !scope.retired;
        if let Some((token, _)) = self.scopes.iter().find(|(_, scope)| of_unit(scope)) {
            self.tell(*token, Word::Signal(whom, signal));
        }
    }

    // ---- readiness messages ----

    fn read_notify(&mut self, facts: &mut Vec<Event>) {
        let (runs, scopes) = (&self.runs, &self.scopes);
        self.notify.drain(|pid, bytes| {
            let Some(message) = Message::parse(bytes) else { return };
            let known = runs.iter().find(|(_, (p, _))| *p == pid);
            let (unit, from) = match known {
                Some((run, (_, token))) => match scopes.get(token) {
                    Some(scope) => (scope.unit, Sender::Run(*run)),
                    None => return,
                },
                None => {
                    let is_scope = |p: i32| scopes.values().find(|scope| scope.pid == p);
                    match tree::ancestors(pid).into_iter().find_map(is_scope) {
                        Some(scope) => (scope.unit, Sender::Other),
                        None => return,
                    }
                }
            };
            facts.push(Event::Notify { unit, from, message });
        });
    }

    fn note(&self, note: &Note) {
        let unit = note.unit.and_then(|unit| self.engine.service(unit)).map(|s| s.spec().name.as_str());
        log::note(note, unit);
    }

    // ---- clients ----

    fn welcome(&mut self) {
        while let Some(client) = Client::accept(self.control.as_fd()) {
            if self.clients.len() >= CLIENTS_MAX {
                client.say(true, "tinysvc: too many control commands at once\n");
                client.end(1);
                continue;
            }
            let token = self.next_token;
            self.next_token += 1;
            if self.epoll.add(&client, EpollEvent::new(EpollFlags::EPOLLIN, token)).is_ok() {
                self.clients.insert(token, Conversation { client, pending: None, failed: false });
            }
        }
    }

    fn converse(&mut self, token: u64, facts: &mut Vec<Event>) {
        let Some(conversation) = self.clients.get(&token) else { return };
        match conversation.client.request() {
            None => {}
            // One request is all there is; a client that says more or goes away has no use for the answer.
            Some(_) if conversation.pending.is_some() => self.hang_up(token),
            Some(Err(problem)) if problem.is_empty() => self.hang_up(token),
            Some(Err(problem)) => self.finish(token, true, &format!("tinysvc: {problem}\n"), 1),
            Some(Ok(request)) => {
                let uid = conversation.client.uid;
                self.serve(token, uid, &request, facts);
            }
        }
    }

    fn hang_up(&mut self, token: u64) {
        if let Some(conversation) = self.clients.remove(&token) {
            let _closed = self.epoll.delete(&conversation.client);
        }
    }

    fn finish(&mut self, token: u64, error: bool, text: &str, status: u8) {
        if let Some(conversation) = self.clients.remove(&token) {
            let _closed = self.epoll.delete(&conversation.client);
            conversation.client.say(error, text);
            conversation.client.end(status);
        }
    }

    fn serve(&mut self, token: u64, uid: u32, asked: &Request, facts: &mut Vec<Event>) {
        match asked.verb.as_str() {
            "show" => return self.show(token, asked),
            "is-active" | "is-failed" => return self.is_state(token, asked),
            "list" | "status" => return self.list(token, asked),
            _ => {}
        }
        if uid != 0 && uid != self.owner {
            return self.finish(token, true, "tinysvc: only root and the owner of PID 1 may do this\n", 4);
        }
        if asked.verb == "daemon-reload" {
            self.reload_units();
            return self.finish(token, false, "", 0);
        }
        let verb = match verb(asked) {
            Some(verb) => verb,
            None => return self.finish(token, true, &format!("tinysvc: unknown verb {}\n", asked.verb), 1),
        };
        let mut units = Vec::new();
        for name in &asked.units {
            match self.unit(name) {
                Ok(unit) => units.push(unit),
                Err(problem) => {
                    return self.finish(
                        token,
                        true,
                        &format!("tinysvc: {}: {name}: {problem}\n", asked.verb),
                        5,
                    );
                }
            }
        }
        if asked.units.is_empty() {
            units.extend(self.names.values().copied());
        }
        if units.is_empty() {
            return self.finish(token, false, "", 0);
        }
        if let Some(conversation) = self.clients.get_mut(&token) {
            conversation.pending = Some(units.len());
        }
        for unit in units {
            let (client, no_block) = (ClientId(token), asked.no_block);
            facts.push(Event::Request { client, verb, unit, no_block });
        }
    }

    fn reply(&mut self, client: ClientId, ok: bool, text: &str) {
        let token = client.0;
        let Some(conversation) = self.clients.get_mut(&token) else { return };
        conversation.failed |= !ok;
        if !text.is_empty() {
            conversation.client.say(!ok, &format!("tinysvc: {text}\n"));
        }
        let left = conversation.pending.unwrap_or(1).saturating_sub(1);
        conversation.pending = Some(left);
        if left == 0 {
            let status = conversation.failed.into();
            self.finish(token, false, "", status);
        }
    }

    // ---- units ----

    /// The unit of a name, loaded if it is not yet, with all that it names.
    fn unit(&mut self, name: &str) -> Result<UnitId, String> {
        let unit = match self.names.get(name) {
            Some(unit) => *unit,
            None => self.load_unit(name),
        };
        match self.known.get(&unit).filter(|known| known.load_state != "loaded") {
            Some(known) => Err(known.problem.clone()),
            None => Ok(unit),
        }
    }

    fn load_unit(&mut self, name: &str) -> UnitId {
        let loaded = (self.load)(name);
        let own = loaded.spec.name.clone();
        if let Some(unit) = self.names.get(&own).copied() {
            // The name is another one's alias.
            self.engine.alias(name, unit);
            self.names.insert(name.to_owned(), unit);
            return unit;
        }
        let unit = self.engine.add(Role::Managed, loaded.spec);
        for alias in loaded.aliases.iter().map(String::as_str).chain([name]).filter(|alias| *alias != own) {
            self.engine.alias(alias, unit);
            self.names.insert(alias.to_owned(), unit);
        }
        self.names.insert(own, unit);
        self.known.insert(unit, Known { load_state: loaded.load_state, problem: loaded.problem });
        self.load_related(unit);
        unit
    }

    /// Whatever a unit's jobs may need must be known before they are planned.
    fn load_related(&mut self, unit: UnitId) {
        const FOLLOWED: [Relation; 5] =
            [Relation::Requires, Relation::Wants, Relation::OnFailure, Relation::OnSuccess, Relation::After];
        let Some(service) = self.engine.service(unit) else { return };
        let relations = &service.latest_spec().unit;
        let names: Vec<String> =
            FOLLOWED.iter().flat_map(|r| relations.related(*r)).map(str::to_owned).collect();
        for name in names {
            // Only services are anything yet; one that is not there is missed when it is needed.
            if name.ends_with(".service")
                && !self.names.contains_key(&name)
                && (self.load)(&name).load_state == "loaded"
            {
                self.load_unit(&name);
            }
        }
    }

    fn reload_units(&mut self) {
        let names: Vec<(String, UnitId)> =
            self.names.iter().map(|(name, unit)| (name.clone(), *unit)).collect();
        for (name, unit) in names {
            if self.engine.service(unit).is_none_or(|service| service.spec().name != name) {
                continue;
            }
            let loaded = (self.load)(&name);
            self.engine.replace(unit, loaded.spec);
            self.known.insert(unit, Known { load_state: loaded.load_state, problem: loaded.problem });
            self.load_related(unit);
        }
    }

    // ---- questions ----

    fn service(&mut self, name: &str) -> Option<(UnitId, &Service)> {
        // One that cannot be loaded is asked about all the same.
        let _problem = self.unit(name);
        let unit = *self.names.get(name)?;
        Some((unit, self.engine.service(unit)?))
    }

    fn is_state(&mut self, token: u64, asked: &Request) {
        let (mut text, mut any) = (String::new(), false);
        for name in &asked.units {
            let state = self.service(name).map_or("inactive", |(_, service)| service.active_state().word());
            any |= if asked.verb == "is-failed" { state == "failed" } else { state == "active" };
            // Writing into memory cannot fail.
            let _ = writeln!(text, "{state}");
        }
        let status = match (any, asked.verb.as_str()) {
            (true, _) => 0,
            (false, "is-failed") => 1,
            (false, _) => 3,
        };
        self.finish(token, false, &text, status);
    }

    fn list(&mut self, token: u64, asked: &Request) {
        let names: Vec<String> =
            if asked.units.is_empty() { self.names.keys().cloned().collect() } else { asked.units.clone() };
        let mut text = String::new();
        for name in names {
            let Some((unit, service)) = self.service(&name) else { continue };
            let (state, main) = (service.state(), service.main());
            let (result, service_state) = (service.result(), service.active_state().word());
            let load_state = self.known.get(&unit).map_or("loaded", |known| known.load_state);
            let pid = main
                .and_then(|run| self.runs.get(&run))
                .map_or(String::new(), |(pid, _)| format!(" pid {pid}"));
            let active = service_state;
            let _ = writeln!(text, "{name}\t{load_state}\t{active}\t{state}\t{result}{pid}");
        }
        self.finish(token, false, &text, 0);
    }

    fn show(&mut self, token: u64, asked: &Request) {
        let mut text = String::new();
        for (i, name) in asked.units.iter().enumerate() {
            if i > 0 {
                text.push('\n');
            }
            let Some((unit, service)) = self.service(name) else { continue };
            let (main, control) = (service.main(), service.control());
            let load_state = self.known.get(&unit).map_or("loaded", |known| known.load_state);
            let pid = |run: Option<Run>| run.and_then(|run| self.runs.get(&run)).map_or(0, |(pid, _)| *pid);
            let service = self.engine.service(unit);
            let all = ["Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MainPID"];
            let names: Vec<&str> = match asked.properties.is_empty() {
                true => all.to_vec(),
                false => asked.properties.iter().map(String::as_str).collect(),
            };
            for asked_for in names {
                let value = match asked_for {
                    "Id" => Some(name.clone()),
                    "LoadState" => Some(load_state.to_owned()),
                    "MainPID" => Some(pid(main).to_string()),
                    "ControlPID" => Some(pid(control).to_string()),
                    name => service.and_then(|service| property(service, name)),
                };
                if let Some(value) = value {
                    let _ = if asked.value {
                        writeln!(text, "{value}")
                    } else {
                        writeln!(text, "{asked_for}={value}")
                    };
                }
            }
        }
        self.finish(token, false, &text, 0);
    }
}

/// A property as `systemctl show` prints it; `None` for one that is not known.
fn property(service: &Service, name: &str) -> Option<String> {
    let exit = service.main_exit();
    Some(match name {
        "ActiveState" => service.active_state().word().to_owned(),
        "SubState" => service.state().word().to_owned(),
        "Result" => service.result().word().to_owned(),
        "NRestarts" => service.restarts().to_string(),
        // CLD_EXITED, CLD_KILLED and CLD_DUMPED of waitid(2); 0 where it has not run or still does.
        "ExecMainCode" => match exit {
            None => "0",
            Some(Exit::Exited(_)) => "1",
            Some(Exit::Killed(_)) => "2",
            Some(Exit::Dumped(_)) => "3",
        }
        .to_owned(),
        "ExecMainStatus" => match exit {
            None => 0,
            Some(Exit::Exited(status)) => status.into(),
            Some(Exit::Killed(signal) | Exit::Dumped(signal)) => signal.number(),
        }
        .to_string(),
        "StatusText" => service.status_text().to_owned(),
        "StatusErrno" => service.status_errno().to_string(),
        // What the last start found; before the first there is nothing to be found.
        "ConditionResult" | "AssertResult" => {
            if service.activated().is_some() { "yes" } else { "no" }.to_owned()
        }
        name => return setting(service.spec(), name),
    })
}

/// A setting as `systemctl show` prints it.
fn setting(spec: &Spec, name: &str) -> Option<String> {
    let (service, kill) = (&spec.service, &spec.kill);
    Some(match name {
        "TimeoutStartUSec" => service.start_patience().to_string(),
        "TimeoutStopUSec" => service.timeout_stop.zero_is_never().to_string(),
        "TimeoutAbortUSec" => {
            service.timeout_abort.unwrap_or(service.timeout_stop).zero_is_never().to_string()
        }
        "RuntimeMaxUSec" => service.runtime_max.to_string(),
        "RestartUSec" => service.restart_delay.to_string(),
        "WatchdogUSec" => service.watchdog.to_string(),
        "Type" => service.kind().word().to_owned(),
        "KillMode" => match kill.mode {
            KillMode::ControlGroup => "control-group",
            KillMode::Mixed => "mixed",
            KillMode::Process => "process",
            KillMode::None => "none",
        }
        .to_owned(),
        "NotifyAccess" => match service.notify_access() {
            NotifyAccess::None => "none",
            NotifyAccess::Main => "main",
            NotifyAccess::Exec => "exec",
            NotifyAccess::All => "all",
        }
        .to_owned(),
        "Restart" => match service.restart {
            Restart::No => "no",
            Restart::Always => "always",
            Restart::OnSuccess => "on-success",
            Restart::OnFailure => "on-failure",
            Restart::OnAbnormal => "on-abnormal",
            Restart::OnAbort => "on-abort",
            Restart::OnWatchdog => "on-watchdog",
        }
        .to_owned(),
        _ => return None,
    })
}

fn request(client: ClientId, verb: Verb, unit: UnitId) -> Event {
    Event::Request { client, verb, unit, no_block: false }
}

fn verb(asked: &Request) -> Option<Verb> {
    Some(match asked.verb.as_str() {
        "start" => Verb::Start,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        "try-restart" => Verb::TryRestart,
        "reload" => Verb::Reload,
        "reload-or-restart" => Verb::ReloadOrRestart,
        "reset-failed" => Verb::ResetFailed,
        "kill" => {
            let [whom, signal] = asked.properties.as_slice() else { return None };
            let whom = match whom.as_str() {
                "main" => KillWhom::Main,
                "control" => KillWhom::Control,
                _ => KillWhom::All,
            };
            Verb::Kill { whom, signal: Signal::new(signal.parse().ok()?)? }
        }
        _ => return None,
    })
}
