//! One connection: bytes in until a head is complete, bytes out until the answer is gone.
//!
//! Nothing here blocks, and every state ends at a deadline, however slowly or often the client sends.
//! One request is under way at a time; what a client sends ahead waits in the kernel's buffer.
#![forbid(unsafe_code)]

use super::answer::{Form, Printer, Question, Reply, question};
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
/// Steps of one connection before the others are looked at again.
const TURNS_MAX: u32 = 16;

/// What all connections use by turns.
pub struct Desk {
    /// The time now.
    pub now: Instant,
    /// Seconds since 1970.
    pub unix_second: u64,
    /// Room to read into. What it holds before and after means nothing.
    pub scratch: Box<[u8]>,
    /// Writes the answers.
    pub printer: Printer,
}

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
    /// The rest of an answer is on its way, and so much of it is gone.
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

    /// Goes as far as it can.
    pub fn advance(&mut self, desk: &mut Desk) -> Wait {
        for _ in 0..TURNS_MAX {
            let wait = match &mut self.state {
                State::Reading => self.read(desk),
                State::Asking { .. } => Some(Wait::Snapshot),
                State::Writing { .. } => self.write(desk),
                State::Lingering => Some(self.linger(desk)),
            };
            if let Some(wait) = wait {
                return wait;
            }
        }
        Wait::Turn
    }

    /// Its time is up.
    pub fn expire(&mut self, desk: &mut Desk, no_answer: impl FnOnce(&Question) -> Reply) -> Wait {
        match &self.state {
            State::Reading if !self.input.is_empty() => {
                self.refuse(408, desk).unwrap_or_else(|| self.advance(desk))
            }
            State::Asking { .. } => self.answer(desk, no_answer),
            State::Reading | State::Writing { .. } | State::Lingering => Wait::Over,
        }
    }

    /// Answers what was asked of PID 1, if anything was.
    pub fn answer(&mut self, desk: &mut Desk, reply: impl FnOnce(&Question) -> Reply) -> Wait {
        let said = match &self.state {
            State::Asking { question, head_only, close } => {
                let (reply, head_only, close) = (reply(question), *head_only, *close);
                self.say(reply, head_only, close, desk)
            }
            State::Reading | State::Writing { .. } | State::Lingering => None,
        };
        said.unwrap_or_else(|| self.advance(desk))
    }

    /// Reads until there is a head, and acts on it. `None`, here and below: go on.
    fn read(&mut self, desk: &mut Desk) -> Option<Wait> {
        let len = match end(&self.input) {
            End::At(len) => len,
            End::TooLong => return self.refuse(431, desk),
            End::Missing => return self.receive(&mut desk.scratch),
        };
        let head = match parse(self.input.get(..len).unwrap_or_default()) {
            Ok(head) => head,
            Err(status) => return self.refuse(status, desk),
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
                self.deadline = desk.now + ANSWER_TIMEOUT;
                Some(Wait::Snapshot)
            }
            Err(reply) => self.say(reply, head_only, close, desk),
        }
    }

    fn receive(&mut self, scratch: &mut [u8]) -> Option<Wait> {
        // No more than may stay, so that the client's next request waits in the kernel.
        let room = HEAD_LEN_MAX.saturating_sub(self.input.len()).min(scratch.len());
        match recv(self.socket.as_raw_fd(), scratch.get_mut(..room)?, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Some(Wait::Over),
            Ok(n) => {
                self.input.extend_from_slice(scratch.get(..n)?);
                None
            }
            Err(Errno::EAGAIN) => Some(Wait::Readable),
            Err(Errno::EINTR) => None,
            Err(_) => Some(Wait::Over),
        }
    }

    fn refuse(&mut self, status: u16, desk: &mut Desk) -> Option<Wait> {
        self.say(Reply::refusal(status), false, Close::Lingering, desk)
    }

    /// Sends a reply; what does not go out at once is kept.
    fn say(&mut self, reply: Reply, head_only: bool, close: Close, desk: &mut Desk) -> Option<Wait> {
        let form = Form { head_only, close: close != Close::No };
        let bytes = desk.printer.print(reply, form, desk.unix_second);
        self.deadline = desk.now + CLIENT_TIMEOUT;
        match self.send(bytes) {
            Ok(n) if n == bytes.len() => self.said(close, desk.now),
            Ok(n) => {
                let bytes = bytes.get(n..).unwrap_or_default().to_vec();
                self.state = State::Writing { bytes, sent: 0, close };
                None
            }
            Err(_) => Some(Wait::Over),
        }
    }

    fn write(&mut self, desk: &Desk) -> Option<Wait> {
        let State::Writing { bytes, sent, close } = &self.state else { return None };
        let (rest, close, sent_before) = (bytes.get(*sent..).unwrap_or_default(), *close, *sent);
        match self.send(rest) {
            Ok(n) if n == rest.len() => return self.said(close, desk.now),
            Ok(0) => return Some(Wait::Writable),
            Ok(n) => {
                if let State::Writing { sent, .. } = &mut self.state {
                    *sent = sent_before.saturating_add(n);
                }
            }
            Err(_) => return Some(Wait::Over),
        }
        None
    }

    /// How many bytes are gone; none where there is no room.
    fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
            result => result,
        }
    }

    /// An answer is gone as a whole.
    fn said(&mut self, close: Close, now: Instant) -> Option<Wait> {
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

    fn linger(&mut self, desk: &mut Desk) -> Wait {
        match recv(self.socket.as_raw_fd(), &mut desk.scratch, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => Wait::Readable,
            Ok(n) if n > 0 => Wait::Turn,
            _ => Wait::Over,
        }
    }
}
