//! The whole state as the probes need it.
//!
//! Times are microseconds of CLOCK_MONOTONIC, which every process of the machine reads alike; the
//! snapshot says what time it was when it was taken, so that a reader has no clock to read for an age.
//!
//! Words: a *component* is a unit that the probes know by its name. *Essential*: tinysvc has failed when
//! this one has failed for good. *Wanted*: it is meant to be up.
#![forbid(unsafe_code)]

use super::text::{Error, Reader, Writer};

/// The longest snapshot, in bytes: some six hundred components. A `SOCK_SEQPACKET` message of this size
/// fits into the kernel's default buffer (212,992 bytes, socket(7)).
pub const SNAPSHOT_LEN_MAX: usize = 64 * 1024;
/// The longest [`Ask`], in bytes.
pub const ASK_LEN_MAX: usize = 64;
/// Both ends are the same binary, so another number is a defect and no older release.
const VERSION: u64 = 1;

/// The state of everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Of the [`Ask`] that it answers.
    pub nonce: u64,
    /// Of tinysvc.
    pub version: String,
    /// How far the system is.
    pub phase: Phase,
    /// The first start of every wanted unit has finished. It never becomes false again.
    pub startup_done: bool,
    /// When it was taken, µs of CLOCK_MONOTONIC.
    pub now: u64,
    /// When tinysvc started, µs of CLOCK_MONOTONIC.
    pub started: u64,
    /// Orphans reaped so far; `None` where nobody counts.
    pub orphans_reaped: Option<u64>,
    /// In the order of loading.
    pub components: Vec<Component>,
}

/// How far the system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first starts run.
    Booting,
    /// All that was wanted has been started.
    Running,
    /// A stop has begun and `DrainSec=` runs.
    Draining,
    /// Services are being stopped.
    Stopping,
}

/// One unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// The unit's name.
    pub name: String,
    /// systemd's sub-state.
    pub state: String,
    /// systemd's result.
    pub result: String,
    /// It is up.
    pub active: bool,
    /// It serves: up, and has said so if it was to say so.
    pub ready: bool,
    /// It is meant to be up.
    pub wanted: bool,
    /// tinysvc has failed when this one has failed for good.
    pub essential: bool,
    /// It is down, should not be, and will not be started again.
    pub failed_for_good: bool,
    /// Its first start has finished, well or badly.
    pub started_once: bool,
    /// When it entered its state, µs of CLOCK_MONOTONIC.
    pub since: u64,
    /// When its main process last started, µs of CLOCK_MONOTONIC.
    pub started: Option<u64>,
    /// How long the last start took until it was ready, in µs.
    pub ready_after: Option<u64>,
    /// Automatic restarts so far, by the result that caused them.
    pub restarts: Vec<(String, u64)>,
    /// `STATUS=` of sd_notify(3). It comes from the service and may hold anything.
    pub status: String,
    /// How the main process last ended, as [`crate::unit::spec::Exit`] prints it; empty if it has not.
    pub last_exit: String,
}

/// What the health role sends to PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Comes back in the answer.
    pub nonce: u64,
}

impl Phase {
    /// Its word, on the wire and in the answers.
    pub const fn word(self) -> &'static str {
        match self {
            Phase::Booting => "booting",
            Phase::Running => "running",
            Phase::Draining => "draining",
            Phase::Stopping => "stopping",
        }
    }

    fn read(word: &str) -> Option<Phase> {
        [Phase::Booting, Phase::Running, Phase::Draining, Phase::Stopping]
            .into_iter()
            .find(|p| p.word() == word)
    }
}

impl Ask {
    /// At most [`ASK_LEN_MAX`] bytes.
    pub fn encode(self) -> Vec<u8> {
        let mut to = Writer::new(ASK_LEN_MAX);
        to.number("tinysvc-ask", VERSION);
        to.number("nonce", self.nonce);
        to.finish()
    }

    /// Reads what [`Ask::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Ask, Error> {
        let mut from = Reader::new(bytes, ASK_LEN_MAX)?;
        version(&mut from, "tinysvc-ask")?;
        let ask = Ask { nonce: from.number("nonce")? };
        from.finish()?;
        Ok(ask)
    }
}

impl Snapshot {
    /// At most [`SNAPSHOT_LEN_MAX`] bytes. Where it would be more, the services' own status texts are left
    /// out; `None` if even that does not fit.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let fits = |bytes: &Vec<u8>| bytes.len() <= SNAPSHOT_LEN_MAX;
        Some(self.write(true)).filter(fits).or_else(|| Some(self.write(false)).filter(fits))
    }

    fn write(&self, with_status: bool) -> Vec<u8> {
        // About right, so that it grows seldom.
        let mut to = Writer::new(256 + 320 * self.components.len());
        to.number("tinysvc-state", VERSION);
        to.number("nonce", self.nonce);
        to.text("version", &self.version);
        to.text("phase", self.phase.word());
        to.flag("startup-done", self.startup_done);
        to.number("now", self.now);
        to.number("started", self.started);
        to.maybe("orphans-reaped", self.orphans_reaped);
        to.number("components", self.components.len() as u64);
        for component in &self.components {
            component.write(&mut to, with_status);
        }
        to.finish()
    }

    /// Reads what [`Snapshot::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, Error> {
        let mut from = Reader::new(bytes, SNAPSHOT_LEN_MAX)?;
        version(&mut from, "tinysvc-state")?;
        let mut snapshot = Snapshot {
            nonce: from.number("nonce")?,
            version: from.string("version")?,
            phase: Phase::read(&from.text("phase")?).ok_or(Error::Expected("phase"))?,
            startup_done: from.flag("startup-done")?,
            now: from.number("now")?,
            started: from.number("started")?,
            orphans_reaped: from.maybe("orphans-reaped")?,
            components: Vec::new(),
        };
        // Nothing is reserved for the number that is promised: it may be a lie.
        for _ in 0..from.number("components")? {
            snapshot.components.push(Component::read(&mut from)?);
        }
        from.finish()?;
        Ok(snapshot)
    }
}

impl Component {
    fn write(&self, to: &mut Writer, with_status: bool) {
        to.text("unit", &self.name);
        to.text("state", &self.state);
        to.text("result", &self.result);
        to.flag("active", self.active);
        to.flag("ready", self.ready);
        to.flag("wanted", self.wanted);
        to.flag("essential", self.essential);
        to.flag("failed-for-good", self.failed_for_good);
        to.flag("started-once", self.started_once);
        to.number("since", self.since);
        to.maybe("started", self.started);
        to.maybe("ready-after", self.ready_after);
        to.number("restarts", self.restarts.len() as u64);
        for (reason, count) in &self.restarts {
            to.text("reason", reason);
            to.number("count", *count);
        }
        to.text("status", if with_status { &self.status } else { "" });
        to.text("last-exit", &self.last_exit);
    }

    fn read(from: &mut Reader<'_>) -> Result<Component, Error> {
        let mut component = Component {
            name: from.string("unit")?,
            state: from.string("state")?,
            result: from.string("result")?,
            active: from.flag("active")?,
            ready: from.flag("ready")?,
            wanted: from.flag("wanted")?,
            essential: from.flag("essential")?,
            failed_for_good: from.flag("failed-for-good")?,
            started_once: from.flag("started-once")?,
            since: from.number("since")?,
            started: from.maybe("started")?,
            ready_after: from.maybe("ready-after")?,
            ..Component::default()
        };
        for _ in 0..from.number("restarts")? {
            component.restarts.push((from.string("reason")?, from.number("count")?));
        }
        component.status = from.string("status")?;
        component.last_exit = from.string("last-exit")?;
        Ok(component)
    }
}

fn version(from: &mut Reader<'_>, key: &'static str) -> Result<(), Error> {
    if from.number(key)? == VERSION { Ok(()) } else { Err(Error::Expected(key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Snapshot {
        Snapshot {
            nonce: u64::MAX,
            version: "0.1.0".into(),
            phase: Phase::Draining,
            startup_done: true,
            now: 5_000_000,
            started: 1,
            orphans_reaped: Some(3),
            components: vec![
                Component {
                    name: "web.service".into(),
                    state: "auto-restart".into(),
                    result: "exit-code".into(),
                    wanted: true,
                    essential: true,
                    since: 4_000_000,
                    started: Some(2),
                    restarts: vec![("exit-code".into(), 2), ("watchdog".into(), 1)],
                    status: "line\nend=\\n \u{1f980}\r\0".into(),
                    last_exit: "code=exited, status=1/FAILURE".into(),
                    ..Component::default()
                },
                Component { name: String::new(), active: true, ready: true, ..Component::default() },
            ],
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let empty = Snapshot { components: vec![], orphans_reaped: None, ..full() };
        for snapshot in [full(), empty] {
            let bytes = snapshot.encode().unwrap();
            assert_eq!(Snapshot::decode(&bytes), Ok(snapshot));
        }
        for nonce in [0, u64::MAX] {
            let bytes = Ask { nonce }.encode();
            assert!(bytes.len() <= ASK_LEN_MAX);
            assert_eq!(Ask::decode(&bytes), Ok(Ask { nonce }));
        }
    }

    #[test]
    fn what_is_no_ask_is_refused() {
        let table: [(&str, &[u8], Error); 8] = [
            ("nothing", b"", Error::Expected("tinysvc-ask")),
            ("another version", b"tinysvc-ask=2\nnonce=1\n", Error::Expected("tinysvc-ask")),
            ("no number", b"tinysvc-ask=1\nnonce=x\n", Error::Expected("nonce")),
            ("cut short", b"tinysvc-ask=1\n", Error::Expected("nonce")),
            ("its newline cut off", b"tinysvc-ask=1\nnonce=1", Error::Trailing),
            ("one line too many", b"tinysvc-ask=1\nnonce=1\n\n", Error::Trailing),
            ("no text", b"tinysvc-ask=1\nnonce=\xff\n", Error::NotText),
            ("one byte past the limit", &[b'1'; ASK_LEN_MAX + 1], Error::TooLong(ASK_LEN_MAX)),
        ];
        for (why, bytes, error) in table {
            assert_eq!(Ask::decode(bytes), Err(error), "{why}");
        }
    }

    /// Cut anywhere, or with any one byte changed, a snapshot is refused, or it reads as just what it says.
    #[test]
    fn damage_is_seen_or_is_what_it_says() {
        let good = full().encode().unwrap();
        for end in 0..good.len() {
            assert!(Snapshot::decode(&good[..end]).is_err(), "cut at {end}");
        }
        for at in 0..good.len() {
            for byte in [0, b'\n', b'\\', b'=', b'0', b'9', 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                if let Ok(snapshot) = Snapshot::decode(&bad) {
                    assert_eq!(snapshot.encode().unwrap(), bad, "byte {at} as {byte}");
                }
            }
        }
    }

    #[test]
    fn a_promise_of_endless_components_costs_nothing() {
        let lie = String::from_utf8(full().encode().unwrap()).unwrap();
        let lie = lie.replace("components=2", "components=18446744073709551615");
        assert_eq!(Snapshot::decode(lie.as_bytes()), Err(Error::Expected("unit")));
        let lie = lie.replace("restarts=2", "restarts=18446744073709551615");
        assert_eq!(Snapshot::decode(lie.as_bytes()), Err(Error::Expected("reason")));
    }

    #[test]
    fn the_limit_takes_the_status_texts_first() {
        let mut snapshot = full();
        let base = snapshot.encode().unwrap().len();
        snapshot.components[1].status = "x".repeat(SNAPSHOT_LEN_MAX - base);
        assert_eq!(snapshot.encode().unwrap().len(), SNAPSHOT_LEN_MAX);
        snapshot.components[1].status.push('x');
        let read = Snapshot::decode(&snapshot.encode().unwrap()).unwrap();
        assert_eq!((read.components[0].status.as_str(), read.components[1].status.as_str()), ("", ""));
        snapshot.components[1].name = "x".repeat(SNAPSHOT_LEN_MAX);
        assert_eq!(snapshot.encode(), None);
    }
}
