//! What is said to whom: paths and queries in, statuses and bodies out.
//!
//! The format is the Kubernetes API server's. The aggregate of a probe may be public, so it says which
//! check fails and withholds why; the path of the one check tells. JSON is for the operator and tells all.
//! Pure: the snapshot comes in, bytes go out.
#![forbid(unsafe_code)]

use super::head::{Head, Method, decode};
use super::{json, metrics};
use crate::wire::{Check, NO_ANSWER, Probe, Snapshot, checks, find, printable};
use std::borrow::Cow;
use std::collections::BTreeSet;
use tiny_http::{HTTPVersion, Header, Response, StatusCode};

/// The longest name of a component that is looked up, in bytes: as long as a file name may be.
const NAME_LEN_MAX: usize = 255;

/// A request that needs the state.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// About what.
    pub about: About,
    /// The one check, where one is named.
    pub name: Option<String>,
    /// Every check is told, not only the verdict.
    pub verbose: bool,
    /// As JSON.
    pub json: bool,
    /// As OpenMetrics rather than the older text.
    pub openmetrics: bool,
    /// Checks that do not count.
    pub exclude: BTreeSet<String>,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A probe, and the word that it was asked by.
    Probe(Probe, &'static str),
    /// Everything, as numbers.
    Metrics,
}

/// What is answered, before it is written for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`.
    pub content: &'static str,
    /// The body.
    pub body: Cow<'static, str>,
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Reply {
    /// A reply in plain text.
    pub fn text(status: u16, body: impl Into<Cow<'static, str>>) -> Reply {
        Reply { status, content: TEXT, body: body.into() }
    }

    /// For a request that cannot be read.
    pub fn refusal(status: u16) -> Reply {
        let phrase = StatusCode(status).default_reason_phrase();
        Reply::text(status, format!("{status} {}\n", phrase.to_ascii_lowercase()))
    }

    fn not_found() -> Reply {
        const BODY: &str = "404 page not found\nthere are:\n/livez\n/livez/NAME\n/readyz\n/readyz/NAME\n/startupz\n\
            /startupz/NAME\n/healthz\n/healthz/NAME\n/metrics\nwith ?verbose, ?exclude=NAME, ?format=json\n";
        Reply::text(404, BODY)
    }
}

/// What is asked; an error is the answer to what needs no state.
pub fn question(head: &Head<'_>) -> Result<Question, Reply> {
    if head.method == Method::Other {
        return Err(Reply::refusal(405));
    }
    let mut parts = head.path.strip_prefix('/').ok_or_else(Reply::not_found)?.splitn(2, '/');
    let about = match parts.next() {
        Some("livez") => About::Probe(Probe::Live, "livez"),
        Some("readyz") => About::Probe(Probe::Ready, "readyz"),
        Some("startupz") => About::Probe(Probe::Startup, "startupz"),
        Some("healthz") => About::Probe(Probe::Live, "healthz"),
        Some("metrics") => About::Metrics,
        _ => return Err(Reply::not_found()),
    };
    let name = match parts.next() {
        // One slash at the end is the same page.
        None | Some("") => None,
        Some(_) if about == About::Metrics => return Err(Reply::not_found()),
        Some(raw) => Some(decode(raw, false).ok_or_else(|| Reply::refusal(400))?),
    };
    if name.as_ref().is_some_and(|n| n.len() > NAME_LEN_MAX || n.contains('/')) {
        return Err(Reply::not_found());
    }
    let mut question = Question {
        about,
        name,
        verbose: false,
        json: head.accepts(JSON),
        openmetrics: head.accepts("application/openmetrics-text"),
        exclude: BTreeSet::new(),
    };
    for pair in head.query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| decode(text, true).ok_or_else(|| Reply::refusal(400));
        match decode(key)?.as_str() {
            "verbose" => question.verbose = true,
            "exclude" => drop(question.exclude.insert(decode(value)?)),
            "format" => question.json = decode(value)? == "json",
            _ => {}
        }
    }
    Ok(question)
}

/// The answer. Without a snapshot PID 1 has not answered in time. `boot_us` is when CLOCK_MONOTONIC was
/// zero, in µs since 1970. `told` gets the checks that were made.
pub fn reply(
    question: &Question,
    snapshot: Option<&Snapshot>,
    boot_us: u64,
    told: impl FnOnce(Probe, &[Check<'_>]),
) -> Reply {
    let About::Probe(probe, word) = question.about else {
        return metrics_reply(question, snapshot, boot_us);
    };
    let checks = checks(probe, snapshot);
    told(probe, &checks);
    if let Some(name) = &question.name {
        return match (find(&checks, name), snapshot) {
            (Some(check), _) => one(question, check, snapshot, boot_us),
            // Whether there is such a check is not known, and that is no "no".
            (None, None) => broken(NO_ANSWER),
            (None, Some(_)) => Reply::not_found(),
        };
    }
    let mut unmatched = BTreeSet::new();
    unmatched.extend(question.exclude.iter().map(String::as_str));
    let excluded: Vec<bool> = checks.iter().map(|c| take(&mut unmatched, c.name)).collect();
    let failed = checks.iter().zip(&excluded).any(|(c, excluded)| c.failure.is_some() && !excluded);
    let status = if failed { 500 } else { 200 };
    if question.json {
        let body = json::probe(word, !failed, &checks, &excluded, snapshot, boot_us);
        return Reply { status, content: JSON, body: body.into() };
    }
    // A failure always tells which check it was.
    if !failed && !question.verbose {
        return Reply::text(status, "ok");
    }
    let mut body = String::new();
    for (check, excluded) in checks.iter().zip(&excluded) {
        let (sign, verdict) = match (excluded, &check.failure) {
            (true, _) => ("[+]", " excluded: ok\n"),
            (false, None) => ("[+]", " ok\n"),
            (false, Some(_)) => ("[-]", " failed: reason withheld\n"),
        };
        body.extend([sign, &printable(check.name), verdict]);
    }
    if !unmatched.is_empty() {
        let quoted: Vec<String> = unmatched.iter().map(|name| format!("{name:?}")).collect();
        let warning = "warn: some health checks cannot be excluded: no matches for ";
        body.extend([warning, &quoted.join(","), "\n"]);
    }
    body.extend([word, " check ", if failed { "failed" } else { "passed" }, "\n"]);
    Reply::text(status, body)
}

/// Whether `exclude` names this check, in full or without `.service`; each name counts once.
fn take(exclude: &mut BTreeSet<&str>, name: &str) -> bool {
    !exclude.is_empty()
        && (exclude.remove(name) | exclude.remove(name.strip_suffix(".service").unwrap_or(name)))
}

/// The one check that was named.
fn one(question: &Question, check: &Check<'_>, snapshot: Option<&Snapshot>, boot_us: u64) -> Reply {
    match &check.failure {
        failure if question.json => {
            let status = if failure.is_none() { 200 } else { 500 };
            Reply { status, content: JSON, body: json::one(check, snapshot, boot_us).into() }
        }
        None => Reply::text(200, "ok"),
        Some(reason) => broken(reason),
    }
}

fn broken(reason: &str) -> Reply {
    Reply::text(500, format!("internal server error: {reason}\n"))
}

fn metrics_reply(question: &Question, snapshot: Option<&Snapshot>, boot_us: u64) -> Reply {
    let Some(snapshot) = snapshot else { return broken(NO_ANSWER) };
    let content = if question.openmetrics { OPENMETRICS } else { METRICS };
    let body = metrics::write(snapshot, boot_us, question.openmetrics).into();
    Reply { status: 200, content, body }
}

/// Every check that fails, with its reason: for the log. Empty when none does.
pub fn failures(checks: &[Check<'_>]) -> String {
    let mut text = String::new();
    for check in checks {
        if let Some(reason) = &check.failure {
            let separator = if text.is_empty() { "" } else { "; " };
            text.extend([separator, &printable(check.name), ": ", reason]);
        }
    }
    text
}

/// Writes replies for the wire, and keeps the last one: the same answer to the next client, in the same
/// second, is ready-made. (A second, because every answer has its `Date`.)
#[derive(Default)]
pub struct Printer {
    last: Option<(Reply, Form, u64)>,
    bytes: Vec<u8>,
}

/// How a reply is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Without its body.
    pub head_only: bool,
    /// The connection ends with it.
    pub close: bool,
}

impl Printer {
    /// Head and body. `second` counts from 1970.
    pub fn print(&mut self, reply: Reply, form: Form, second: u64) -> &[u8] {
        let printed = Some((reply, form, second));
        if self.last != printed {
            self.bytes.clear();
            if let Some((reply, ..)) = &printed {
                render(reply, form, &mut self.bytes);
            }
            self.last = printed;
        }
        &self.bytes
    }
}

fn render(reply: &Reply, form: Form, bytes: &mut Vec<u8>) {
    let header = |name: &str, value: &str| Header::from_bytes(name, value).ok();
    // tiny_http puts its own name where there is none.
    let mut headers = vec![header("Server", "tinysvc"), header("Content-Type", reply.content)];
    if reply.content == TEXT {
        headers.push(header("X-Content-Type-Options", "nosniff"));
    }
    if reply.status == 405 {
        headers.push(header("Allow", "GET, HEAD"));
    }
    let headers = headers.into_iter().flatten().collect();
    let response =
        Response::new(StatusCode(reply.status), headers, reply.body.as_bytes(), Some(reply.body.len()), None)
            .with_chunked_threshold(usize::MAX);
    // Writing into memory cannot fail.
    let _ = response.raw_print(&mut *bytes, HTTPVersion(1, 1), &[], form.head_only, None);
    if form.close {
        // tiny_http takes this header away from whoever sets it, so it goes in front of the empty line.
        let body_len = if form.head_only { 0 } else { reply.body.len() };
        let at = bytes.len().saturating_sub(body_len).saturating_sub(2);
        bytes.splice(at..at, *b"Connection: close\r\n");
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
