//! The log: one line a decision, on standard error, as text or as JSON.
//!
//! PID 1 must never wait for whoever reads its log. A line is written only when the descriptor takes it at once;
//! lines that it does not take are counted and the count is told with the next one that gets through.
//! env_logger is built at the first line, so that a quiet run pays nothing for it.
#![forbid(unsafe_code)]

use crate::engine::{Level, Note};
use log::{LevelFilter, Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use std::ffi::{CStr, OsString};
use std::fmt::{self, Write as _};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest line. A pipe that is writable takes PIPE_BUF (4096) bytes without waiting and in one piece, pipe(7).
const LINE_LEN_MAX: usize = 4096;
/// Lines with this target are complete already.
const NOTE: &str = "note";

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    /// `tinysvc: web.service: main process ended, …`
    Text,
    /// One JSON object a line.
    Json,
}

struct Logger {
    format: Format,
    level: LevelFilter,
    backend: OnceLock<env_logger::Logger>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Sets the log up for this process, once; later calls change nothing.
pub fn init(level: Level, format: Format) {
    let level = filter(level);
    let logger = LOGGER.get_or_init(|| Logger { format, level, backend: OnceLock::new() });
    // It fails when one is set already, which is then this one.
    if log::set_logger(logger).is_ok() {
        log::set_max_level(logger.level);
    }
}

/// The words by which a role is told how to log, read by [`init_role`].
pub fn words_for_role() -> [&'static CStr; 2] {
    let level = match log::max_level() {
        LevelFilter::Off | LevelFilter::Error => c"error",
        LevelFilter::Warn => c"warn",
        LevelFilter::Info => c"info",
        LevelFilter::Debug | LevelFilter::Trace => c"debug",
    };
    let json = LOGGER.get().is_some_and(|logger| logger.format == Format::Json);
    [level, if json { c"json" } else { c"text" }]
}

/// Sets the log of a role up as PID 1's is.
pub fn init_role(words: &[OsString]) {
    let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w == word);
    let levels = [("error", Level::Error), ("info", Level::Info), ("debug", Level::Debug)];
    let level = levels.into_iter().find(|(word, _)| is(0, word)).map_or(Level::Warn, |(_, level)| level);
    init(level, if is(1, "json") { Format::Json } else { Format::Text });
}

/// Writes what the engine decided. `unit` is the unit's name, `pid` that of the process spoken of.
pub fn note(note: &Note, unit: Option<&str>) {
    let level = match note.level {
        Level::Error => log::Level::Error,
        Level::Warn => log::Level::Warn,
        Level::Info => log::Level::Info,
        Level::Debug => log::Level::Debug,
    };
    if level > log::max_level() {
        return;
    }
    let format = LOGGER.get().map_or(Format::Text, |logger| logger.format);
    log::log!(target: NOTE, level, "{}", Line { format, level, unit, note });
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::Error,
        Level::Warn => LevelFilter::Warn,
        Level::Info => LevelFilter::Info,
        Level::Debug => LevelFilter::Debug,
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= self.level
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let format = self.format;
        let backend = self.backend.get_or_init(|| {
            env_logger::Builder::new()
                .filter_level(self.level)
                .target(env_logger::Target::Pipe(Box::new(Stderr)))
                .format(move |out, record| {
                    use io::Write;
                    if record.target() == NOTE {
                        return writeln!(out, "{}", record.args());
                    }
                    let text = record.args().to_string();
                    let (level, unit) = (record.level(), None);
                    let end = if format == Format::Json { "}" } else { "" };
                    writeln!(out, "{}{end}", Plain { format, level, unit, text: &text })
                })
                .build()
        });
        backend.log(record);
    }

    fn flush(&self) {}
}

/// A line without facts beside it; as JSON still open for them.
struct Plain<'a> {
    format: Format,
    level: log::Level,
    unit: Option<&'a str>,
    text: &'a str,
}

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Format::Text => {
                f.write_str("tinysvc: ")?;
                if self.level == log::Level::Error {
                    f.write_str("error: ")?;
                }
                if let Some(unit) = self.unit {
                    write!(f, "{}: ", OneLine(unit))?;
                }
                write!(f, "{}", OneLine(self.text))
            }
            Format::Json => {
                f.write_str("{\"level\":\"")?;
                self.level.as_str().bytes().try_for_each(|b| f.write_char(b.to_ascii_lowercase().into()))?;
                f.write_char('"')?;
                if let Some(unit) = self.unit {
                    write!(f, ",\"unit\":{}", Json(unit))?;
                }
                write!(f, ",\"message\":{}", Json(self.text))
            }
        }
    }
}

/// A decision of the engine.
struct Line<'a> {
    format: Format,
    level: log::Level,
    unit: Option<&'a str>,
    note: &'a Note,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (format, level, unit, note) = (self.format, self.level, self.unit, self.note);
        write!(f, "{}", Plain { format, level, unit, text: &note.text })?;
        if format == Format::Text {
            return Ok(());
        }
        if let Some(state) = note.state {
            write!(f, ",\"state\":\"{state}\"")?;
        }
        if let Some(result) = note.result {
            write!(f, ",\"result\":\"{result}\"")?;
        }
        if let Some(exit) = note.exit {
            write!(f, ",\"exit_code\":\"{}\",\"exit_status\":\"{}\"", exit.code(), exit.status_word())?;
        }
        f.write_char('}')
    }
}

/// Text with its control characters made visible: one decision is one line, whoever wrote the words in it.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

/// A string of RFC 8259.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Standard error as it is to be used by PID 1: never waited for.
struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let dropped = DROPPED.load(Ordering::Relaxed);
        if dropped > 0
            && put(format!("tinysvc: {dropped} log lines were dropped: nobody read them\n").as_bytes())
        {
            DROPPED.fetch_sub(dropped, Ordering::Relaxed);
        }
        if !put(line) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes one line if that takes no waiting, cut to what a pipe takes in one piece.
fn put(line: &[u8]) -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&stderr), PollFlags::POLLOUT)];
    let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0);
    let writable = ready && fds.iter().any(|fd| fd.revents().is_some_and(|r| r.contains(PollFlags::POLLOUT)));
    if !writable {
        return false;
    }
    match line.split_at_checked(LINE_LEN_MAX - 1) {
        Some((head, rest)) if !rest.is_empty() => {
            let mut cut = head.to_vec();
            cut.push(b'\n');
            write(&stderr, &cut).is_ok()
        }
        _ => write(&stderr, line).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Outcome, State, UnitId};
    use crate::unit::spec::{Exit, Signal};

    #[test]
    fn one_decision_is_one_line() {
        let note = Note {
            level: Level::Warn,
            unit: Some(UnitId(0)),
            text: "it said \"a\nb\"\u{7}".into(),
            state: Some(State::Failed),
            result: Some(Outcome::Signal),
            exit: Some(Exit::Killed(Signal::SEGV)),
        };
        let show = |format, unit| Line { format, level: log::Level::Warn, unit, note: &note }.to_string();
        let table = [
            (Format::Text, Some("a.service"), r#"tinysvc: a.service: it said "a\nb"\u{7}"#),
            (Format::Text, None, r#"tinysvc: it said "a\nb"\u{7}"#),
            (
                Format::Json,
                Some("a.service"),
                "{\"level\":\"warn\",\"unit\":\"a.service\",\"message\":\"it said \\\"a\\nb\\\"\\u0007\",\
                 \"state\":\"failed\",\"result\":\"signal\",\"exit_code\":\"killed\",\"exit_status\":\"SEGV\"}",
            ),
        ];
        for (format, unit, line) in table {
            assert_eq!(show(format, unit), line);
        }
    }
}
