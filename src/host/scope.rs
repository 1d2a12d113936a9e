//! A scope: the process below which all processes of one service live.
//!
//! A fork of PID 1 that executes nothing. It is a subreaper (PR_SET_CHILD_SUBREAPER(2const)), so whatever
//! loses its parent below it falls to it and cannot leave: "all processes of the service" is its subtree.
//! It starts processes on PID 1's word, signals them, reaps them and says so, over a `SOCK_SEQPACKET` pair. It
//! decides nothing. It knows the spec of the activation that it was forked for and compiles the plans itself, so
//! a word from PID 1 is a few numbers.
//!
//! Both ends are one program, of one moment, and neither is reachable by a service: so the messages are bytes in the
//! order of the fields, and a message that cannot be read is a broken invariant.
#![forbid(unsafe_code)]

use super::brood::{Brood, Origin};
use super::reap::Ended;
use super::signals::Signals;
use super::sys::process::close_all_but;
use super::wait::{Source, Waiting};
use crate::engine::{Run, SpawnFailure, UnitId, Whom};
use crate::unit::spec::{ExecKind, Exit, Signal, Span, Spec};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The longest message of either direction, in bytes.
const MESSAGE_LEN_MAX: usize = 16 * 1024;

/// A word from PID 1 to a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Start this command of the unit, with these variables added.
    Spawn(Run, ExecKind, usize, Vec<(String, String)>),
    /// Send a signal.
    Signal(Whom, Signal),
    /// Find the main process that nobody started as one: the number that is said, the one in this file, or with neither
    /// the only child that is no run.
    Find(Run, Option<u32>, Option<String>),
    /// Say whether anything is left; said again when that becomes so.
    IsEmpty,
    /// The activation is over: remove what was made for it. `true` if another one follows.
    CleanUp(bool),
}

/// What a scope tells PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tale {
    /// A run is executing as this pid.
    Spawned(Run, i32),
    /// A run is not executing and nothing of it is left.
    Failed(Run, SpawnFailure),
    /// A run has ended.
    Exited(Run, Exit),
    /// The main process that was to be found is this pid.
    Found(Run, i32),
    /// There is none, and whether nobody is left at all.
    NotFound(Run, bool),
    /// No process is left below the scope.
    Empty,
}

/// A pair to talk over: PID 1's end, which never blocks, then the scope's.
///
/// # Errors
/// Those of socketpair(2).
pub fn channel() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Turns this copy of PID 1 into the scope of a unit's activation and returns when it is over; the caller then ends
/// the process and uses nothing of what it had before.
pub fn become_one(unit: UnitId, spec: Spec, origin: Origin, channel: &OwnedFd, signals: &Signals) {
    close_all_but(channel.as_fd());
    // Orphans fall to us, and nothing of the service outlives PID 1. Neither call fails with these arguments.
    let _subreaper = prctl::set_child_subreaper(true);
    let _death = prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    // As ps(1) shows it: `tinysvc-web`, cut to 15 bytes by the kernel.
    let stem = spec.name.strip_suffix(".service").unwrap_or(&spec.name);
    if let Ok(name) = CString::new(format!("tinysvc-{stem}")) {
        let _name = prctl::set_name(&name);
    }
    serve(Brood::new(unit, spec, origin), channel, signals);
}

/// Is the scope until PID 1 closes its end and nothing is left. The caller ends the process after it.
fn serve(mut brood: Brood, channel: &OwnedFd, signals: &Signals) {
    let mut waiting = Waiting::default();
    if waiting.watch(signals, channel, Source::Channel).is_err() {
        return;
    }
    let mut ended: Vec<Ended> = Vec::new();
    let (mut asked_empty, mut more) = (false, false);
    loop {
        let patience = if more { Span::ZERO } else { Span::INFINITY };
        let Ok(ready) = waiting.wait(signals, patience) else { return };
        if ready.has(Source::Channel) {
            match hear(channel) {
                Ok(Some(word)) => obey(&mut brood, channel, word, &mut asked_empty),
                Ok(None) => {}
                // PID 1 has no use for this scope any more.
                Err(_) => return,
            }
        }
        more = brood.collect(&mut ended);
        for end in ended.drain(..) {
            tell(channel, Tale::Exited(end.run, end.exit));
        }
        if asked_empty && !more && brood.is_empty() {
            asked_empty = false;
            tell(channel, Tale::Empty);
        }
    }
}

fn obey(brood: &mut Brood, channel: &OwnedFd, word: Word, asked_empty: &mut bool) {
    match word {
        Word::Spawn(run, kind, index, variables) => {
            tell(
                channel,
                match brood.spawn(run, kind, index, &variables) {
                    Ok(pid) => Tale::Spawned(run, pid),
                    Err(failure) => Tale::Failed(run, failure),
                },
            );
        }
        Word::Signal(whom, signal) => brood.signal(whom, signal),
        Word::Find(run, pid, file) => {
            tell(
                channel,
                match brood.find_main(run, pid, file.as_deref()) {
                    Some(pid) => Tale::Found(run, pid),
                    None => Tale::NotFound(run, brood.is_empty()),
                },
            );
        }
        Word::IsEmpty => *asked_empty = true,
        Word::CleanUp(restart) => brood.clean_up(restart),
    }
}

/// Tells PID 1. This end blocks, since PID 1 reads whenever it turns and a tale must not be lost.
fn tell(channel: &OwnedFd, tale: Tale) {
    // If PID 1 is gone so is the namespace, or soon this scope.
    let _gone = send(channel.as_raw_fd(), &tale.encode(), MsgFlags::MSG_NOSIGNAL);
}

fn hear(channel: &OwnedFd) -> Result<Option<Word>, Errno> {
    let mut bytes = vec![0; MESSAGE_LEN_MAX];
    match recv(channel.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(0) => Err(Errno::EPIPE),
        Ok(n) => Ok(Word::decode(bytes.get(..n).unwrap_or_default())),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Gives a scope a word, without waiting for it.
///
/// # Errors
/// `EAGAIN` if it has not read the ones before, `EPIPE` if it is gone, `E2BIG` for a word that is too long.
pub fn say(channel: BorrowedFd<'_>, word: &Word) -> Result<(), Errno> {
    let bytes = word.encode();
    if bytes.len() > MESSAGE_LEN_MAX {
        return Err(Errno::E2BIG);
    }
    send(channel.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).map(drop)
}

/// Reads what a scope has to tell; `None` for nothing now.
///
/// # Errors
/// `EPIPE` when it is gone.
pub fn listen(channel: BorrowedFd<'_>) -> Result<Option<Tale>, Errno> {
    let mut bytes = [0; 64];
    match recv(channel.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(0) | Err(Errno::ECONNRESET) => Err(Errno::EPIPE),
        Ok(n) => Ok(Tale::decode(bytes.get(..n).unwrap_or_default())),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Takes fields from the front of a message.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn run(&mut self) -> Option<Run> {
        self.number().map(Run)
    }

    /// 0 is no run: they are counted from 1.
    fn maybe_run(&mut self) -> Option<Option<Run>> {
        self.number().map(|n| (n != 0).then_some(Run(n)))
    }

    fn signed(&mut self) -> Option<i32> {
        self.number().and_then(|n| i32::try_from(n.cast_signed()).ok())
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

fn put(bytes: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
}

const fn signed(n: i32) -> u64 {
    (n as i64).cast_unsigned()
}

impl Word {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        let maybe = |run: Option<Run>| run.map_or(0, |run| run.0);
        match self {
            Word::Spawn(run, kind, index, variables) => {
                bytes.push(b's');
                put(&mut bytes, &[run.0, *kind as u64, *index as u64, variables.len() as u64]);
                for text in variables.iter().flat_map(|(name, value)| [name, value]) {
                    put(&mut bytes, &[text.len() as u64]);
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
            Word::Signal(whom, signal) => {
                bytes.push(b'k');
                let (which, a, b) = match *whom {
                    Whom::Process(run) => (0, run.0, 0),
                    Whom::Group(run) => (1, run.0, 0),
                    Whom::Rest { main, control } => (2, maybe(main), maybe(control)),
                    Whom::Everything => (3, 0, 0),
                };
                put(&mut bytes, &[which, a, b, signed(signal.number())]);
            }
            Word::Find(run, pid, file) => {
                bytes.push(b'f');
                let file = file.as_deref().unwrap_or_default();
                put(&mut bytes, &[run.0, pid.map_or(0, u64::from), file.len() as u64]);
                bytes.extend_from_slice(file.as_bytes());
            }
            Word::IsEmpty => bytes.push(b'e'),
            Word::CleanUp(restart) => bytes.extend([b'c', u8::from(*restart)]),
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Word> {
        let mut fields = Fields(bytes);
        let word = match fields.byte()? {
            b's' => {
                let (run, kind, index) = (fields.run()?, fields.number()?, fields.number()?);
                let kind = ExecKind::ALL.into_iter().find(|k| *k as u64 == kind)?;
                let mut variables = Vec::new();
                for _ in 0..fields.number()? {
                    variables.push((fields.text()?, fields.text()?));
                }
                Word::Spawn(run, kind, usize::try_from(index).ok()?, variables)
            }
            b'k' => {
                let which = fields.number()?;
                let whom = match which {
                    0 | 1 => {
                        let (run, _) = (fields.run()?, fields.number()?);
                        if which == 0 { Whom::Process(run) } else { Whom::Group(run) }
                    }
                    2 => Whom::Rest { main: fields.maybe_run()?, control: fields.maybe_run()? },
                    3 => {
                        fields.number()?;
                        fields.number()?;
                        Whom::Everything
                    }
                    _ => return None,
                };
                Word::Signal(whom, Signal::new(fields.signed()?)?)
            }
            b'f' => {
                let (run, pid, file) = (fields.run()?, u32::try_from(fields.number()?).ok()?, fields.text()?);
                Word::Find(run, (pid != 0).then_some(pid), (!file.is_empty()).then_some(file))
            }
            b'e' => Word::IsEmpty,
            b'c' => Word::CleanUp(fields.byte()? != 0),
            _ => return None,
        };
        fields.0.is_empty().then_some(word)
    }
}

impl Tale {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        match self {
            Tale::Spawned(run, pid) => {
                bytes.push(b's');
                put(&mut bytes, &[run.0, signed(pid)]);
            }
            Tale::Failed(run, failure) => {
                bytes.push(b'f');
                let (status, errno) = match failure {
                    SpawnFailure::Resources { errno } => (0, errno),
                    SpawnFailure::Setup { status, errno } => (status, errno),
                };
                put(&mut bytes, &[run.0, status.into(), signed(errno)]);
            }
            Tale::Exited(run, exit) => {
                bytes.push(b'x');
                let (how, n) = match exit {
                    Exit::Exited(status) => (0, status.into()),
                    Exit::Killed(signal) => (1, signal.number()),
                    Exit::Dumped(signal) => (2, signal.number()),
                };
                put(&mut bytes, &[run.0, how, signed(n)]);
            }
            Tale::Found(run, pid) => {
                bytes.push(b'm');
                put(&mut bytes, &[run.0, signed(pid)]);
            }
            Tale::NotFound(run, empty) => {
                bytes.push(b'n');
                put(&mut bytes, &[run.0, empty.into()]);
            }
            Tale::Empty => bytes.push(b'e'),
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Tale> {
        let mut fields = Fields(bytes);
        let tale = match fields.byte()? {
            b's' => Tale::Spawned(fields.run()?, fields.signed()?),
            b'f' => {
                let (run, status) = (fields.run()?, fields.number()?);
                let errno = fields.signed()?;
                Tale::Failed(
                    run,
                    match u8::try_from(status).ok()? {
                        0 => SpawnFailure::Resources { errno },
                        status => SpawnFailure::Setup { status, errno },
                    },
                )
            }
            b'x' => {
                let (run, how, n) = (fields.run()?, fields.number()?, fields.signed()?);
                let exit = match how {
                    0 => Exit::Exited(u8::try_from(n).ok()?),
                    1 => Exit::Killed(Signal::new(n)?),
                    2 => Exit::Dumped(Signal::new(n)?),
                    _ => return None,
                };
                Tale::Exited(run, exit)
            }
            b'm' => Tale::Found(fields.run()?, fields.signed()?),
            b'n' => Tale::NotFound(fields.run()?, fields.number()? != 0),
            b'e' => Tale::Empty,
            _ => return None,
        };
        fields.0.is_empty().then_some(tale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_tales_read_back() {
        let (run, signal) = (Run(7), Signal::TERM);
        let rest = Whom::Rest { main: Some(run), control: None };
        let variables = vec![("A".to_owned(), "b c".to_owned()), ("N".to_owned(), String::new())];
        let words = [
            Word::Spawn(run, ExecKind::StopPost, 3, variables),
            Word::Signal(Whom::Process(run), signal),
            Word::Signal(Whom::Group(run), signal),
            Word::Signal(rest, signal),
            Word::Signal(Whom::Everything, signal),
            Word::Find(run, Some(4_194_304), None),
            Word::Find(run, None, Some("/run/a b.pid".to_owned())),
            Word::IsEmpty,
            Word::CleanUp(true),
        ];
        for word in words {
            let bytes = word.encode();
            assert_eq!(Word::decode(&bytes).as_ref(), Some(&word));
            assert_eq!(Word::decode(&bytes[..bytes.len() - 1]), None, "cut short");
            assert_eq!(Word::decode(&[bytes, vec![0]].concat()), None, "something follows");
        }
        let tales = [
            Tale::Spawned(run, 1),
            Tale::Failed(run, SpawnFailure::Resources { errno: 11 }),
            Tale::Failed(run, SpawnFailure::Setup { status: 203, errno: 2 }),
            Tale::Exited(run, Exit::Exited(255)),
            Tale::Exited(run, Exit::Killed(signal)),
            Tale::Exited(run, Exit::Dumped(signal)),
            Tale::Found(run, 4_194_304),
            Tale::NotFound(run, true),
            Tale::Empty,
        ];
        for tale in tales {
            assert_eq!(Tale::decode(&tale.encode()), Some(tale));
        }
    }
}
