//! The text form that every message has: lines of `key=value` in a fixed order.
//!
//! Both ends are the same binary, so nothing is optional and nothing is skipped: a line that is not the
//! expected one is an error. A value may hold anything; `\` and the newline are escaped. What is read can
//! be written again, byte for byte.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::str::Split;

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is longer than this many bytes.
    TooLong(usize),
    /// It is no UTF-8.
    NotText,
    /// This key was expected next, with a value that it can have.
    Expected(&'static str),
    /// The message is whole, and something follows.
    Trailing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLong(max) => write!(f, "longer than {max} bytes"),
            Error::NotText => f.write_str("not UTF-8"),
            Error::Expected(key) => write!(f, "no usable `{key}` where it belongs"),
            Error::Trailing => f.write_str("something follows the end"),
        }
    }
}

impl std::error::Error for Error {}

/// Writes lines.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(capacity: usize) -> Writer {
        Writer(Vec::with_capacity(capacity))
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'=');
        for byte in value.bytes() {
            match byte {
                b'\\' => self.0.extend_from_slice(b"\\\\"),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                _ => self.0.push(byte),
            }
        }
        self.0.push(b'\n');
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.0.extend_from_slice(key.as_bytes());
        // Writing into memory cannot fail.
        let _ = writeln!(self.0, "={value}");
    }

    /// Nothing is an empty value.
    pub(super) fn maybe(&mut self, key: &str, value: Option<u64>) {
        match value {
            Some(value) => self.number(key, value),
            None => self.text(key, ""),
        }
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.text(key, if value { "yes" } else { "no" });
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads them.
pub(super) struct Reader<'a>(Split<'a, char>);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], len_max: usize) -> Result<Reader<'a>, Error> {
        if bytes.len() > len_max {
            return Err(Error::TooLong(len_max));
        }
        Ok(Reader(std::str::from_utf8(bytes).map_err(|_| Error::NotText)?.split('\n')))
    }

    fn raw(&mut self, key: &'static str) -> Result<&'a str, Error> {
        let line = self.0.next().and_then(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.ok_or(Error::Expected(key))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Cow<'a, str>, Error> {
        let raw = self.raw(key)?;
        if !raw.contains('\\') {
            return Ok(Cow::Borrowed(raw));
        }
        let (mut value, mut chars) = (String::with_capacity(raw.len()), raw.chars());
        while let Some(c) = chars.next() {
            let c = match c {
                '\\' => match chars.next() {
                    Some('\\') => '\\',
                    Some('n') => '\n',
                    _ => return Err(Error::Expected(key)),
                },
                c => c,
            };
            value.push(c);
        }
        Ok(Cow::Owned(value))
    }

    pub(super) fn string(&mut self, key: &'static str) -> Result<String, Error> {
        self.text(key).map(Cow::into_owned)
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<u64, Error> {
        decimal(self.raw(key)?).ok_or(Error::Expected(key))
    }

    pub(super) fn maybe(&mut self, key: &'static str) -> Result<Option<u64>, Error> {
        match self.raw(key)? {
            "" => Ok(None),
            raw => decimal(raw).map(Some).ok_or(Error::Expected(key)),
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<bool, Error> {
        match self.raw(key)? {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(Error::Expected(key)),
        }
    }

    /// The last line has its newline, and nothing follows.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        match (self.0.next(), self.0.next()) {
            (Some(""), None) => Ok(()),
            _ => Err(Error::Trailing),
        }
    }
}

/// A number as [`Writer::number`] writes it: no sign, no zero in front.
fn decimal(text: &str) -> Option<u64> {
    let plain = text == "0" || !(text.starts_with('0') || text.starts_with('+'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        let table = [
            ("zero", "0", Some(0)),
            ("the largest", "18446744073709551615", Some(u64::MAX)),
            ("one past it", "18446744073709551616", None),
            ("a sign", "+1", None),
            ("a minus", "-1", None),
            ("a zero in front", "01", None),
            ("two zeros", "00", None),
            ("nothing", "", None),
            ("a space", " 1", None),
        ];
        for (why, text, number) in table {
            assert_eq!(decimal(text), number, "{why}");
        }
    }
}
