//! The health role: answers probes, so that PID 1 need not read a byte from the network.
//!
//! One thread and one epoll: the listener, the channel to PID 1, SIGTERM, the clients. A request that
//! needs the state waits for a round trip to PID 1 that began after the request was read, so an answer
//! proves that PID 1's loop turns. One round trip is under way at a time and serves everyone who was
//! waiting when it began: a hundred clients cost PID 1 two wake-ups. When PID 1 has not answered
//! within 900 ms the probes fail and say so.
//!
//! tiny_http writes the answers. Its `Server` is not used: it has no limit on connections, threads, heads
//! and time, and release 0.12 panics on what any client can send (a reset that follows the request, a
//! `Content-Length` of 10^15, a descriptor too many), which ends a process that aborts on panic.
//!
//! Limits: [`CONNECTIONS_MAX`] clients, [`head::HEAD_LEN_MAX`] bytes of head, two seconds for a head and
//! for reading an answer. A client that is silent when the limit is reached makes way for the next one.
#![forbid(unsafe_code)]

mod answer;
mod connection;
mod head;
mod json;
mod metrics;

use crate::wire::{Ask, Check, Probe, SNAPSHOT_LEN_MAX, Snapshot};
use answer::{Printer, failures, reply};
use connection::{ANSWER_TIMEOUT, Connection, Desk, Wait};
use log::{debug, error, info, warn};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{MsgFlags, recv, send};
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Clients at a time; fewer where `RLIMIT_NOFILE` allows fewer.
pub const CONNECTIONS_MAX: usize = 256;
/// Descriptors that are not clients', with room to spare.
const DESCRIPTORS_OWN: u64 = 16;
/// Connections accepted before the others are looked at again.
const ACCEPTS_MAX: usize = 64;
/// How long nobody is accepted when the kernel has no descriptor or memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Room for what one client sends at once, and for one event each.
const SCRATCH_LEN: usize = 8192;
const EVENTS_MAX: usize = 64;

// What an event is about. A client's has its serial number above the place.
const LISTENER: u64 = u64::MAX;
const CHANNEL: u64 = u64::MAX - 1;
const SIGNAL: u64 = u64::MAX - 2;
const PLACE_BITS: u32 = 16;

/// Serves until PID 1 closes its end of `channel`, or SIGTERM comes: then the status is 0.
///
/// `listener` is a listening TCP socket, `channel` a connected `SOCK_SEQPACKET` socket; both become
/// non-blocking. Status 1 says that the role cannot work at all; the log says why.
pub fn main(listener: OwnedFd, channel: OwnedFd) -> u8 {
    match Role::new(listener.into(), channel).and_then(|mut role| role.run()) {
        Ok(()) => 0,
        Err(e) => {
            error!("health: cannot serve: {e}");
            1
        }
    }
}

/// [`main`] with the listener as descriptor 0 and the channel as descriptor 1, as PID 1 starts it.
pub fn main_on_stdio() -> u8 {
    let owned = io::stdin().as_fd().try_clone_to_owned();
    match owned.and_then(|listener| Ok((listener, io::stdout().as_fd().try_clone_to_owned()?))) {
        Ok((listener, channel)) => main(listener, channel),
        Err(e) => {
            error!("health: cannot use descriptors 0 and 1: {e}");
            1
        }
    }
}

struct Role {
    epoll: Epoll,
    listener: TcpListener,
    channel: OwnedFd,
    /// SIGTERM writes to its other end. Held, not read: that it is readable says it all.
    _signal: UnixStream,
    clients: Clients,
    /// Who waits for a round trip that has not begun.
    waiting: Vec<Token>,
    /// The round trip under way.
    trip: Option<Trip>,
    nonce: u64,
    /// The listener is not polled; `Some` says until when at most.
    paused: Option<Option<Instant>>,
    /// The earliest deadline, or one before it.
    sweep_at: Option<Instant>,
    desk: Desk,
    /// When CLOCK_MONOTONIC was zero, µs since 1970. Read once, so that times do not jitter.
    boot_us: Option<u64>,
    /// What failed when each probe was last answered, so that the log tells changes only.
    told: Told,
    /// Room for PID 1's answer.
    message: Box<[u8]>,
}

type Told = [(Probe, String); 3];

/// A client's place and serial number.
type Token = u64;

struct Trip {
    nonce: u64,
    deadline: Instant,
    clients: Vec<Token>,
}

/// Clients by place.
struct Clients {
    places: Vec<Option<Connection>>,
    free: Vec<usize>,
    serial: u64,
    max: usize,
}

impl Role {
    fn new(listener: TcpListener, channel: OwnedFd) -> io::Result<Role> {
        // Two clients may be after one connection, so accept(2) must not block.
        listener.set_nonblocking(true)?;
        let (signal, writer) = UnixStream::pair()?;
        pipe::register(SIGTERM, writer)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(&channel, EpollEvent::new(EpollFlags::EPOLLIN, CHANNEL))?;
        epoll.add(&signal, EpollEvent::new(EpollFlags::EPOLLIN, SIGNAL))?;
        Ok(Role {
            epoll,
            listener,
            channel,
            _signal: signal,
            clients: Clients::new(connections_max()),
            waiting: Vec::new(),
            trip: None,
            nonce: 0,
            paused: None,
            sweep_at: None,
            desk: Desk {
                now: now(),
                unix_second: 0,
                scratch: vec![0; SCRATCH_LEN].into(),
                printer: Printer::default(),
            },
            boot_us: None,
            told: Probe::ALL.map(|probe| (probe, String::new())),
            // One byte more than the longest, so that a longer one is seen to be longer.
            message: vec![0; SNAPSHOT_LEN_MAX.saturating_add(1)].into(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(e) => return Err(e.into()),
            };
            self.desk.now = now();
            self.desk.unix_second = unix_us() / 1_000_000;
            let mut accept = false;
            for event in events.iter().take(count) {
                match event.data() {
                    LISTENER => accept = true,
                    CHANNEL if self.hear()? == Heard::End => return Ok(()),
                    CHANNEL => {}
                    SIGNAL => {
                        debug!("health: SIGTERM, ending");
                        return Ok(());
                    }
                    token => self.advance(token),
                }
            }
            // After the clients' events: what they free can be used at once.
            if accept {
                self.accept();
            }
            self.sweep();
            if self.ask()? == Heard::End {
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        // Without clients no deadline matters to anyone before the next one comes.
        let at = self.sweep_at.filter(|_| !self.clients.is_empty() || self.paused.is_some());
        let Some(at) = at else { return EpollTimeout::NONE };
        // Rounded up: a wake-up just before the deadline would be followed by another.
        let ms = at.saturating_duration_since(now()).as_millis().saturating_add(1);
        EpollTimeout::try_from(ms).unwrap_or(EpollTimeout::MAX)
    }

    /// Takes in new clients.
    fn accept(&mut self) {
        for _ in 0..ACCEPTS_MAX {
            if self.clients.is_full() && !self.make_way() {
                self.pause(None);
                return;
            }
            match self.listener.accept() {
                Ok((socket, _)) => {
                    let token = self.clients.insert(socket, self.desk.now);
                    self.due(self.desk.now + connection::CLIENT_TIMEOUT);
                    self.advance(token);
                }
                Err(e) => match e.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAGAIN) => return,
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS) => {
                        warn!("health: cannot accept a connection: {e}");
                        if !self.make_way() {
                            self.pause(Some(self.desk.now + ACCEPT_PAUSE));
                            return;
                        }
                    }
                    // One that ended while it waited, or an error of the network that belongs to it: accept(2).
                    _ => debug!("health: a connection is lost: {e}"),
                },
            }
        }
    }

    /// Closes the idle client that is nearest its deadline, and says whether there was one.
    fn make_way(&mut self) -> bool {
        let idle = self.clients.places.iter().enumerate().filter_map(|(at, c)| Some((at, c.as_ref()?)));
        let idle = idle.filter(|(_, c)| c.is_idle()).min_by_key(|(_, c)| c.deadline);
        let Some(at) = idle.map(|(at, _)| at) else { return false };
        self.clients.remove(at);
        true
    }

    fn pause(&mut self, until: Option<Instant>) {
        if self.paused.is_none() && self.epoll.delete(&self.listener).is_ok() {
            self.paused = Some(until);
        }
        if let Some(until) = until {
            self.due(until);
        }
    }

    fn resume(&mut self) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
        if self.epoll.add(&self.listener, event).is_ok() {
            self.paused = None;
        }
    }

    /// Lets a client go on as far as it can.
    fn advance(&mut self, token: Token) {
        let Some(client) = self.clients.get(token) else { return };
        let wait = client.advance(&mut self.desk);
        self.settle(token, wait);
    }

    /// Does what a client has to wait for.
    fn settle(&mut self, token: Token, wait: Wait) {
        let Some(client) = self.clients.get(token) else { return };
        let flags = match wait {
            Wait::Readable => EpollFlags::EPOLLIN,
            Wait::Writable => EpollFlags::EPOLLOUT,
            // A socket with room to write is reported at once.
            Wait::Turn => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
            Wait::Snapshot => {
                let deadline = client.deadline;
                self.waiting.push(token);
                self.due(deadline);
                return;
            }
            Wait::Over => {
                self.clients.remove(place(token));
                if self.paused == Some(None) {
                    self.resume();
                }
                return;
            }
        };
        // Once: a client that is being answered must not be reported for what it sends meanwhile.
        let mut event = EpollEvent::new(flags | EpollFlags::EPOLLONESHOT, token);
        let polled = std::mem::replace(&mut client.polled, true);
        let deadline = client.deadline;
        let result = if polled {
            self.epoll.modify(&client.socket, &mut event)
        } else {
            self.epoll.add(&client.socket, event)
        };
        match result {
            Ok(()) => self.due(deadline),
            Err(e) => {
                warn!("health: cannot wait for a client: {e}");
                self.clients.remove(place(token));
            }
        }
    }

    fn due(&mut self, deadline: Instant) {
        self.sweep_at = Some(self.sweep_at.map_or(deadline, |at| at.min(deadline)));
    }

    /// Ends what has had its time.
    fn sweep(&mut self) {
        let now = self.desk.now;
        if self.sweep_at.is_none_or(|at| now < at) {
            return;
        }
        self.sweep_at = None;
        self.trip = self.trip.take().filter(|trip| now < trip.deadline);
        for at in 0..self.clients.places.len() {
            let Some(Some(client)) = self.clients.places.get_mut(at) else { continue };
            if now < client.deadline {
                let deadline = client.deadline;
                self.due(deadline);
                continue;
            }
            let token = token(at, client.serial);
            // Its next request must not be answered by the round trip of this one.
            self.waiting.retain(|t| *t != token);
            if let Some(trip) = &mut self.trip {
                trip.clients.retain(|t| *t != token);
            }
            let told = &mut self.told;
            let wait =
                client.expire(&mut self.desk, |question| reply(question, None, 0, |p, c| tell(told, p, c)));
            self.settle(token, wait);
        }
        match self.paused {
            Some(Some(until)) if now >= until => self.resume(),
            Some(Some(until)) => self.due(until),
            Some(None) | None => {}
        }
    }

    /// Begins a round trip for everyone who waits, unless one is under way.
    fn ask(&mut self) -> io::Result<Heard> {
        if self.trip.is_some() || self.waiting.is_empty() {
            return Ok(Heard::Something);
        }
        self.nonce = self.nonce.wrapping_add(1);
        let deadline = self.desk.now + ANSWER_TIMEOUT;
        let clients = std::mem::take(&mut self.waiting);
        self.trip = Some(Trip { nonce: self.nonce, deadline, clients });
        self.due(deadline);
        let ask = Ask { nonce: self.nonce }.encode();
        match send(self.channel.as_raw_fd(), &ask, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            // Where PID 1 does not even read, there is no answer, and the deadline says so.
            Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(Heard::Something),
            Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(Heard::End),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes an answer of PID 1, and passes it on.
    fn hear(&mut self) -> io::Result<Heard> {
        let len = match recv(self.channel.as_raw_fd(), &mut self.message, MsgFlags::MSG_DONTWAIT) {
            Ok(0) | Err(Errno::ECONNRESET) => return Ok(Heard::End),
            Ok(len) => len,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Heard::Something),
            Err(e) => return Err(e.into()),
        };
        let snapshot = match Snapshot::decode(self.message.get(..len).unwrap_or_default()) {
            Ok(snapshot) => snapshot,
            Err(e) => {
                error!("health: cannot read PID 1's answer: {e}");
                return Ok(Heard::Something);
            }
        };
        // A late answer to an earlier question proves nothing about now.
        let Some(trip) = self.trip.take_if(|trip| trip.nonce == snapshot.nonce) else {
            return Ok(Heard::Something);
        };
        let boot_us = *self.boot_us.get_or_insert_with(|| unix_us().saturating_sub(snapshot.now));
        for token in &trip.clients {
            let told = &mut self.told;
            let Some(client) = self.clients.get(*token) else { continue };
            let wait = client.answer(&mut self.desk, |question| {
                reply(question, Some(&snapshot), boot_us, |probe, checks| tell(told, probe, checks))
            });
            self.settle(*token, wait);
        }
        Ok(Heard::Something)
    }
}

/// Whether PID 1 is still there.
#[derive(PartialEq, Eq)]
enum Heard {
    Something,
    End,
}

/// Logs what has changed since the probe was last answered.
fn tell(told: &mut Told, probe: Probe, checks: &[Check<'_>]) {
    for (_, last) in told.iter_mut().filter(|(asked, _)| *asked == probe) {
        let failures = failures(checks);
        match failures.as_str() {
            text if text == last => continue,
            "" => info!("health: {} check passes", probe.word()),
            text => warn!("health: {} check fails: {text}", probe.word()),
        }
        *last = failures;
    }
}

impl Clients {
    fn new(max: usize) -> Clients {
        Clients { places: Vec::new(), free: Vec::new(), serial: 0, max }
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() >= self.max
    }

    fn insert(&mut self, socket: std::net::TcpStream, now: Instant) -> Token {
        self.serial = self.serial.wrapping_add(1) & (u64::MAX >> (PLACE_BITS + 1));
        let client = Connection::new(socket, self.serial, now);
        let at = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(at) {
            Some(place) => *place = Some(client),
            None => self.places.push(Some(client)),
        }
        token(at, self.serial)
    }

    /// Closes its socket, which takes it out of the poller.
    fn remove(&mut self, at: usize) {
        if self.places.get_mut(at).and_then(Option::take).is_some() {
            self.free.push(at);
        }
    }

    /// `None` for one that has gone, even if another has its place.
    fn get(&mut self, token: Token) -> Option<&mut Connection> {
        self.places.get_mut(place(token))?.as_mut().filter(|client| client.serial == token >> PLACE_BITS)
    }
}

fn token(at: usize, serial: u64) -> Token {
    serial << PLACE_BITS | at as u64
}

fn place(token: Token) -> usize {
    // The mask leaves 16 bits.
    (token & ((1 << PLACE_BITS) - 1)) as usize
}

fn connections_max() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(soft.saturating_sub(DESCRIPTORS_OWN)).unwrap_or(CONNECTIONS_MAX).clamp(4, CONNECTIONS_MAX)
}

#[allow(clippy::disallowed_methods, reason = "the role's one clock; the engine's is another process's")]
fn now() -> Instant {
    Instant::now()
}

fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
