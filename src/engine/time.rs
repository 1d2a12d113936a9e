//! The engine's own idea of time: a point of CLOCK_MONOTONIC that somebody else read.
#![forbid(unsafe_code)]

use crate::unit::spec::Span;

/// A point in time: microseconds of CLOCK_MONOTONIC. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub u64);

impl Mono {
    /// The moment `span` later, or `None` for a span that never ends.
    pub fn after(self, span: Span) -> Option<Mono> {
        if span.is_infinite() { None } else { Some(Mono(self.0.saturating_add(span.as_micros()))) }
    }

    /// The time from `earlier` to here; none if that lies ahead.
    pub fn since(self, earlier: Mono) -> Span {
        Span::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The earlier of two deadlines, where `None` is never.
pub fn earlier(a: Option<Mono>, b: Option<Mono>) -> Option<Mono> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
