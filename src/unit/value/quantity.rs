//! Booleans, numbers, time spans (systemd.time(7)), sizes and limits.
#![forbid(unsafe_code)]

use crate::unit::complaint::Problem;
use crate::unit::spec::{Limit, Span};
use std::num::IntErrorKind;

/// A boolean, in any case: systemd.syntax(7).
pub fn boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["1", "yes", "y", "true", "t", "on"]) {
        Some(true)
    } else if is(&["0", "no", "n", "false", "f", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// As [`boolean`] reads it.
pub const fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// A whole number from `min` to `max`.
///
/// # Errors
/// It is no number, or outside.
pub fn integer(text: &str, min: i64, max: i64) -> Result<i64, Problem> {
    let outside = || Problem::value(format!("not from {min} to {max}"));
    match text.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        Ok(_) => Err(outside()),
        Err(e) => match e.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Err(outside()),
            _ => Err(Problem::value("not a number")),
        },
    }
}

/// A file mode mask in octal, up to 7777.
///
/// # Errors
/// It is not octal, or larger.
pub fn octal(text: &str) -> Result<u32, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o7777);
    mode.ok_or(Problem::value("not an octal number up to 7777"))
}

/// The units of a time span in microseconds; of two that fit, the longer stands first.
const TIMES: &[(&str, u64)] = &[
    ("seconds", 1_000_000),
    ("second", 1_000_000),
    ("sec", 1_000_000),
    ("s", 1_000_000),
    ("minutes", 60_000_000),
    ("minute", 60_000_000),
    ("min", 60_000_000),
    ("months", MONTH),
    ("month", MONTH),
    ("msec", 1_000),
    ("ms", 1_000),
    ("M", MONTH),
    ("m", 60_000_000),
    ("hours", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("hr", 3_600_000_000),
    ("h", 3_600_000_000),
    ("days", 86_400_000_000),
    ("day", 86_400_000_000),
    ("d", 86_400_000_000),
    ("weeks", 604_800_000_000),
    ("week", 604_800_000_000),
    ("w", 604_800_000_000),
    ("years", YEAR),
    ("year", YEAR),
    ("y", YEAR),
    ("usec", 1),
    ("us", 1),
    ("µs", 1),
    ("μs", 1),
];
/// 30.44 days and 365.25 days, as systemd.time(7) defines them.
const MONTH: u64 = 2_629_800_000_000;
const YEAR: u64 = 31_557_600_000_000;

/// The units of a size. All are powers of 1024.
const SIZES: &[(&str, u64)] = &[
    ("E", 1 << 60),
    ("P", 1 << 50),
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
    ("B", 1),
];

/// A time span: `5min 20s`, `1.5s`, `infinity`; a bare number is seconds.
///
/// # Errors
/// It is no time span, or longer than 584,542 years.
pub fn span(text: &str) -> Result<Span, Problem> {
    time(text, 1_000_000)
}

fn time(text: &str, bare: u64) -> Result<Span, Problem> {
    if text == "infinity" {
        return Ok(Span::INFINITY);
    }
    match sum(text, TIMES, bare) {
        Ok(us) if us < u64::MAX => Ok(Span::from_micros(us)),
        Ok(_) | Err(Sum::TooLarge) => Err(Problem::value("a time span of more than 584,542 years")),
        Err(Sum::Malformed) => Err(Problem::value("not a time span")),
    }
}

/// A size in bytes: `1.5G`, `64K`, `1M 512K`.
///
/// # Errors
/// It is no size, or does not fit into 64 bits.
pub fn size(text: &str) -> Result<u64, Problem> {
    match sum(text, SIZES, 1) {
        Ok(bytes) => Ok(bytes),
        Err(Sum::TooLarge) => Err(Problem::value("a size of more than 16 EiB")),
        Err(Sum::Malformed) => Err(Problem::value("not a size")),
    }
}

enum Sum {
    Malformed,
    TooLarge,
}

/// The sum of terms, each a decimal number and a unit, in multiples of the smallest unit. The unit may be
/// left out before white space and at the end, and is `bare` then.
fn sum(text: &str, units: &[(&str, u64)], bare: u64) -> Result<u64, Sum> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(Sum::Malformed);
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(Sum::Malformed);
        }
        let spaced = after.trim_start();
        let unit = units.iter().find_map(|(name, size)| Some((*size, spaced.strip_prefix(name)?)));
        let (unit, after) = match unit {
            Some(found) => found,
            None if spaced.is_empty() || spaced.len() < after.len() => (bare, spaced),
            None => return Err(Sum::Malformed),
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Sum::TooLarge)? };
        let mut term = whole.checked_mul(unit).ok_or(Sum::TooLarge)?;
        // Eighteen digits are finer than any unit here, and their value fits.
        let fraction = fraction.get(..18).unwrap_or(fraction);
        if let Ok(parts) = fraction.parse::<u128>() {
            let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(18));
            let part = u64::try_from(u128::from(unit) * parts / scale).map_err(|_| Sum::TooLarge)?;
            term = term.checked_add(part).ok_or(Sum::TooLarge)?;
        }
        total = total.checked_add(term).ok_or(Sum::TooLarge)?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// The digits that `text` begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// `Limit*=`: `soft:hard`, or one for both; `infinity` is `u64::MAX`.
///
/// # Errors
/// One of them is not what this resource counts in, or the soft one is above the hard one.
pub fn limit(resource: Limit, text: &str) -> Result<(u64, u64), Problem> {
    let one = |text: &str| if text == "infinity" { Ok(u64::MAX) } else { amount(resource, text) };
    let (soft, hard) = match text.split_once(':') {
        Some((soft, hard)) => (one(soft)?, one(hard)?),
        None => (one(text)?, one(text)?),
    };
    if soft > hard {
        return Err(Problem::value("the soft limit is above the hard one"));
    }
    Ok((soft, hard))
}

fn amount(resource: Limit, text: &str) -> Result<u64, Problem> {
    match resource {
        Limit::Fsize | Limit::Data | Limit::Stack | Limit::Core | Limit::Rss | Limit::As => size(text),
        Limit::Memlock | Limit::Msgqueue => size(text),
        // The kernel counts whole seconds, so that part of one becomes one.
        Limit::Cpu => time(text, 1_000_000).map(|span| span.as_micros().div_ceil(1_000_000)),
        Limit::Rttime => time(text, 1).map(Span::as_micros),
        Limit::Nice => nice(text),
        Limit::Nofile | Limit::Nproc | Limit::Locks | Limit::Sigpending | Limit::Rtprio => {
            integer(text, 0, i64::MAX).map(i64::unsigned_abs)
        }
    }
}

/// `LimitNICE=`: a nice level with its sign, or the kernel's 1 to 40 (and 0) that stand for 19 to −20.
fn nice(text: &str) -> Result<u64, Problem> {
    let level = match text.as_bytes() {
        [b'+', digits @ ..] if digits.first().is_some_and(u8::is_ascii_digit) => 20 - integer(text, 0, 19)?,
        [b'-', ..] => 20 - integer(text, -20, 0)?,
        _ => integer(text, 0, 40)?,
    };
    Ok(level.unsigned_abs())
}

/// As [`limit`] reads it for any resource.
pub fn show_limit((soft, hard): (u64, u64)) -> String {
    let one = |n: u64| if n == u64::MAX { "infinity".to_owned() } else { n.to_string() };
    if soft == hard { one(soft) } else { format!("{}:{}", one(soft), one(hard)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_have_twelve_words() {
        for word in ["1", "yes", "y", "true", "t", "on", "YES", "True", "oN"] {
            assert_eq!(boolean(word), Some(true), "{word}");
        }
        for word in ["0", "no", "n", "false", "f", "off", "NO", "False", "oFF"] {
            assert_eq!(boolean(word), Some(false), "{word}");
        }
        for word in ["", "2", "yeah", "00", "enabled", "y "] {
            assert_eq!(boolean(word), None, "{word}");
        }
    }

    #[test]
    fn time_spans_read_as_in_the_manual() {
        let table = [
            ("a bare number is seconds", "90", Some(90_000_000)),
            ("nothing at all", "0", Some(0)),
            ("several terms", "5min 20s", Some(320_000_000)),
            ("without space between", "5min20s", Some(320_000_000)),
            ("with space before the unit", "5 min", Some(300_000_000)),
            ("a fraction", "1.5s", Some(1_500_000)),
            ("a fraction without a whole", ".5", Some(500_000)),
            ("a fraction finer than the unit is cut", "0.0000009s", Some(0)),
            ("every unit", "1us 1ms 1s 1m 1h 1d 1w 1M 1y", Some(34_882_261_001_001)),
            ("m is minutes and M is months", "1m", Some(60_000_000)),
            ("long names", "2 hours 1 minute 1 second", Some(7_261_000_000)),
            ("more long names", "1 week 1 days 1 hr", Some(694_800_000_000)),
            ("the micro sign and the letter mu", "1µs 1μs", Some(2)),
            ("bare numbers add up", "1 2", Some(3_000_000)),
            ("for ever", "infinity", Some(u64::MAX)),
            ("the last that fits", "18446744073709551614us", Some(u64::MAX - 1)),
            ("the first that does not", "18446744073709551615us", None),
            ("far too long", "600000y", None),
            ("a number of many digits", "99999999999999999999999", None),
            ("nothing", "", None),
            ("a sign", "-1", None),
            ("an unknown unit", "5 parsecs", None),
            ("rubbish behind", "5minx", None),
            ("two points", "1.5.5", None),
            ("a unit alone", "s", None),
            ("a point alone", ".", None),
            ("for ever and a day", "infinity 1d", None),
        ];
        for (why, text, us) in table {
            assert_eq!(span(text).ok().map(Span::as_micros), us, "{why}");
        }
        for us in [0, 1, 999, 1_000, 61_000_000, 90_061_001_001, YEAR + 1, u64::MAX - 1, u64::MAX] {
            assert_eq!(span(&Span::from_micros(us).to_string()), Ok(Span::from_micros(us)), "{us}");
        }
    }

    #[test]
    fn sizes_count_by_1024() {
        let table = [
            ("bytes", "512", Some(512)),
            ("bytes by name", "512B", Some(512)),
            ("kibibytes", "64K", Some(65_536)),
            ("a fraction", "1.5G", Some(1_610_612_736)),
            ("several terms", "1M 512K", Some(1_572_864)),
            ("the largest", "18446744073709551615", Some(u64::MAX)),
            ("one more", "18446744073709551616", None),
            ("too large a unit", "16E", None),
            ("a small letter", "1k", None),
            ("rubbish behind", "1Kx", None),
            ("nothing", "", None),
        ];
        for (why, text, bytes) in table {
            assert_eq!(size(text).ok(), bytes, "{why}");
        }
    }

    #[test]
    fn limits_count_in_what_their_resource_counts_in() {
        use Limit::*;
        let both = |n| Some((n, n));
        let table = [
            ("one for both", Nofile, "1024", both(1024)),
            ("soft and hard", Nofile, "32768:524288", Some((32_768, 524_288))),
            ("soft above hard", Nofile, "2:1", None),
            ("for ever", Nofile, "infinity", both(u64::MAX)),
            ("hard for ever", Core, "0:infinity", Some((0, u64::MAX))),
            ("files have no unit", Nofile, "1K", None),
            ("many is no number", Nofile, "many", None),
            ("memory has", Memlock, "64K", both(65_536)),
            ("processor time in seconds", Cpu, "1min 30s", both(90)),
            ("bare too", Cpu, "5:10", Some((5, 10))),
            ("part of a second is one", Cpu, "1ms", both(1)),
            ("real time in microseconds", Rttime, "500", both(500)),
            ("or with a unit", Rttime, "1ms", both(1000)),
            ("nice as a level", Nice, "+5", both(15)),
            ("nice as a level below", Nice, "-20", both(40)),
            ("one lower", Nice, "-21", None),
            ("the highest level", Nice, "+19", both(1)),
            ("one higher", Nice, "+20", None),
            ("nice as the kernel counts", Nice, "40", both(40)),
            ("one more", Nice, "41", None),
            ("the kernel's own default", Nice, "0", both(0)),
            ("nothing", Nofile, "", None),
            ("half of it", Nofile, "1:", None),
            ("below zero", Nproc, "-1", None),
        ];
        for (why, resource, text, expected) in table {
            let read = limit(resource, text).ok();
            assert_eq!(read, expected, "{why}");
            if let Some(pair) = read {
                assert_eq!(limit(resource, &show_limit(pair)).ok(), read, "{why}, read back");
            }
        }
    }

    #[test]
    fn numbers_and_modes_have_bounds() {
        assert_eq!(integer("-20", -20, 19), Ok(-20));
        assert_eq!(integer("19", -20, 19), Ok(19));
        for text in ["-21", "20", "99999999999999999999", "-99999999999999999999"] {
            assert_eq!(integer(text, -20, 19), Err(Problem::value("not from -20 to 19")), "{text}");
        }
        for text in ["", "nonsense", "1.5", "0x10", "1 2"] {
            assert_eq!(integer(text, -20, 19), Err(Problem::value("not a number")), "{text}");
        }
        assert_eq!((octal("0027"), octal("7"), octal("7777")), (Ok(0o27), Ok(7), Ok(0o7777)));
        for text in ["", "8", "999", "10000", "-1", "+7", "0o7"] {
            assert!(octal(text).is_err(), "{text}");
        }
    }
}
