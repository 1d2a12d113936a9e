//! A length of time, in microseconds as systemd counts.
#![forbid(unsafe_code)]

use std::fmt;

/// A length of time. `Span::INFINITY` never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// Never ends; systemd's `infinity`.
    pub const INFINITY: Span = Span(u64::MAX);

    /// `us` microseconds.
    pub const fn from_micros(us: u64) -> Span {
        Span(us)
    }

    /// `ms` milliseconds; more than 584,542 years is infinity.
    pub const fn from_millis(ms: u64) -> Span {
        Span(ms.saturating_mul(1_000))
    }

    /// `s` seconds; more than 584,542 years is infinity.
    pub const fn from_secs(s: u64) -> Span {
        Span(s.saturating_mul(1_000_000))
    }

    /// In microseconds; `u64::MAX` for infinity.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whether it never ends.
    pub const fn is_infinite(self) -> bool {
        self.0 == u64::MAX
    }

    /// For time-outs where systemd reads zero as "never".
    pub const fn zero_is_never(self) -> Span {
        if self.0 == 0 { Span::INFINITY } else { self }
    }
}

/// As systemd prints it: `1min 30s`, `100ms`, `0`, `infinity`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 8] = [
            ("y", 31_557_600_000_000),
            ("w", 604_800_000_000),
            ("d", 86_400_000_000),
            ("h", 3_600_000_000),
            ("min", 60_000_000),
            ("s", 1_000_000),
            ("ms", 1_000),
            ("us", 1),
        ];
        if self.is_infinite() {
            return f.write_str("infinity");
        }
        if self.0 == 0 {
            return f.write_str("0");
        }
        let (mut rest, mut space) = (self.0, "");
        for (name, size) in UNITS {
            if rest >= size {
                write!(f, "{space}{}{name}", rest / size)?;
                (rest, space) = (rest % size, " ");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_prints_as_systemd_prints_it() {
        let table = [
            (Span::ZERO, "0"),
            (Span::from_micros(1), "1us"),
            (Span::from_millis(100), "100ms"),
            (Span::from_secs(90), "1min 30s"),
            (Span::from_micros(1_500_000), "1s 500ms"),
            (Span::INFINITY, "infinity"),
        ];
        for (span, text) in table {
            assert_eq!(span.to_string(), text);
        }
    }
}
