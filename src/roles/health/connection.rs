//! One connection: bytes in until a head is complete, bytes out until the answer is gone.
//!
//! Nothing here blocks, and every state ends at a deadline, however slowly or often the client sends.
//! One request is under way at a time; what a client sends ahead waits in the kernel's buffer.
#![forbid(unsafe_code)]

use super::answer::{Question, Reply, question, render};
use super::head::{End, HEAD_LEN_MAX, Method, end, parse};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long a head may take from the first look at it, and a client to read an answer.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long PID 1 may take. A kubelet waits for a second.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(900);
/// How long the rest of a refused request is read, so that the refusal is not lost in a reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Answers that one connection gets before the others are looked at again.
const TURNS_MAX: u32 = 8;

/// A client.
pub struct Connection {
    /// Its socket.
    pub socket: TcpStream,
    /// Tells it from an earlier one in the same place.
    pub serial: u64,
    /// When its state ends.
    pub deadline: Instant,
    /// The poller knows the socket.
    pub polled: bool,
    state: State,
    /// What has come and is not used up.
    input: Vec<u8>,
}

enum State {
    /// A head is awaited.
    Reading,
    /// PID 1 is asked.
    Asking { question: Question, head_only: bool, close: Close },
    /// An answer is on its way, and so much of it is gone.
    Writing { bytes: Vec<u8>, sent: usize, close: Close },
    /// All is said, and what still comes is thrown away.
    Lingering,
}

/// What follows an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Close {
    /// The next request.
    No,
    /// The end.
    Yes,
    /// The end, but the client is still sending.
    Lingering,
}

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Something to read.
    Readable,
    /// Room to write.
    Writable,
    /// Its next turn, as soon as the others have had theirs.
    Turn,
    /// A snapshot.
    Snapshot,
    /// Nothing: it has ended.
    Over,
}

impl Connection {
    /// A new one.
    pub fn new(socket: TcpStream, serial: u64, now: Instant) -> Connection {
        let deadline = now + CLIENT_TIMEOUT;
        Connection { socket, serial, deadline, polled: false, state: State::Reading, input: Vec::new() }
    }

    /// No one is at work on an answer for it, so that it may be closed for someone else's sake.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Reading | State::Lingering)
    }

    /// Goes as far as it can. `scratch` is room to read into; what it holds before and after means nothing.
    pub fn advance(&mut self, scratch: &mut [u8], now: Instant) -> Wait {
        let mut turns = 0;
        loop {
            let wait = match &mut self.state {
                State::Reading => self.read(scratch, now),
                State::Asking { .. } => Some(Wait::Snapshot),
                State::Writing { .. } => {
                    turns += 1;
                    self.write(now)
                }
                State::Lingering => Some(self.linger(scratch)),
            };
            match wait {
                Some(wait) => return wait,
                None if turns >= TURNS_MAX => return Wait::Turn,
                None => {}
            }
        }
    }

    /// Its time is up.
    pub fn expire(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
        no_answer: impl FnOnce(&Question) -> Reply,
    ) -> Wait {
        match &self.state {
            State::Reading if !self.input.is_empty() => self.refuse(408, now),
            State::Asking { .. } => return self.answer(scratch, now, no_answer),
            State::Reading | State::Writing { .. } | State::Lingering => return Wait::Over,
        }
        self.advance(scratch, now)
    }

    /// Answers what was asked of PID 1, if anything was.
    pub fn answer(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
        reply: impl FnOnce(&Question) -> Reply,
    ) -> Wait {
        if let State::Asking { question, head_only, close } = &self.state {
            self.say(&reply(question), *head_only, *close, now);
        }
        self.advance(scratch, now)
    }

    /// Reads until there is a head, and acts on it.
    fn read(&mut self, scratch: &mut [u8], now: Instant) -> Option<Wait> {
        let len = match end(&self.input) {
            End::At(len) => len,
            End::TooLong => {
                self.refuse(431, now);
                return None;
            }
            End::Missing => {
                // No more than may stay, so that the client's next request waits in the kernel.
                let room = HEAD_LEN_MAX.saturating_sub(self.input.len()).min(scratch.len());
                return match recv(self.socket.as_raw_fd(), scratch.get_mut(..room)?, MsgFlags::MSG_DONTWAIT) {
                    Ok(0) => Some(Wait::Over),
                    Ok(n) => {
                        self.input.extend_from_slice(scratch.get(..n)?);
                        None
                    }
                    Err(Errno::EAGAIN) => Some(Wait::Readable),
                    Err(Errno::EINTR) => None,
                    Err(_) => Some(Wait::Over),
                };
            }
        };
        let head = match parse(self.input.get(..len).unwrap_or_default()) {
            Ok(head) => head,
            Err(status) => {
                self.refuse(status, now);
                return None;
            }
        };
        // Bodies are not read, so where the next request begins is not known either.
        let close = match (head.body, head.keep_alive) {
            (true, _) => Close::Lingering,
            (false, true) => Close::No,
            (false, false) => Close::Yes,
        };
        let head_only = head.method == Method::Head;
        let asked = question(&head);
        self.input.drain(..len);
        match asked {
            Ok(question) => {
                self.state = State::Asking { question, head_only, close };
                self.deadline = now + ANSWER_TIMEOUT;
            }
            Err(reply) => self.say(&reply, head_only, close, now),
        }
        None
    }

    fn refuse(&mut self, status: u16, now: Instant) {
        self.say(&Reply::refusal(status), false, Close::Lingering, now);
    }

    fn say(&mut self, reply: &Reply, head_only: bool, close: Close, now: Instant) {
        let bytes = render(reply, head_only, close != Close::No);
        self.state = State::Writing { bytes, sent: 0, close };
        self.deadline = now + CLIENT_TIMEOUT;
    }

    fn write(&mut self, now: Instant) -> Option<Wait> {
        let State::Writing { bytes, sent, close } = &mut self.state else { return None };
        let rest = bytes.get(*sent..).unwrap_or_default();
        match send(self.socket.as_raw_fd(), rest, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Ok(n) => *sent = sent.saturating_add(n),
            Err(Errno::EAGAIN) => return Some(Wait::Writable),
            Err(Errno::EINTR) => {}
            Err(_) => return Some(Wait::Over),
        }
        if *sent < bytes.len() {
            return None;
        }
        match close {
            Close::Yes => return Some(Wait::Over),
            Close::No => {
                self.state = State::Reading;
                self.deadline = now + CLIENT_TIMEOUT;
            }
            Close::Lingering => {
                // Closing with unread input would send a reset, which takes the answer away from the client.
                if self.socket.shutdown(Shutdown::Write).is_err() {
                    return Some(Wait::Over);
                }
                self.state = State::Lingering;
                self.deadline = now + LINGER_TIMEOUT;
            }
        }
        None
    }

    fn linger(&mut self, scratch: &mut [u8]) -> Wait {
        match recv(self.socket.as_raw_fd(), scratch, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => Wait::Readable,
            Ok(n) if n > 0 => Wait::Turn,
            _ => Wait::Over,
        }
    }
}
