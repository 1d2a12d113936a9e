//! Splits a value into words: white space, quotes and C escapes, as systemd.syntax(7), "Quoting", has them.
//!
//! One reader for every place that has words, so that quotes mean the same in each. It works on bytes,
//! because an escape can spell any byte but NUL.
#![forbid(unsafe_code)]

/// What separates words.
pub const WHITE: &[u8] = b" \t\n\r";

/// How the words of one place are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether a backslash begins a C escape; otherwise it just takes the next character as it is.
    c_escapes: bool,
    /// An escape that C does not know is kept as it stands, where it would be an error.
    keep_unknown: bool,
    /// What is open at the end is closed by it, where it would be an error.
    lenient_end: bool,
    /// A backslash is a character as any other.
    backslash: bool,
}

impl Rules {
    /// `Environment=`: an unknown escape is an error.
    pub const STRICT: Rules =
        Rules { c_escapes: true, keep_unknown: false, lenient_end: false, backslash: false };
    /// `Exec*=`: an unknown escape is kept as it stands.
    pub const COMMAND: Rules =
        Rules { c_escapes: true, keep_unknown: true, lenient_end: false, backslash: false };
    /// Names of units, of whose own escaping a backslash is part.
    pub const NAME: Rules =
        Rules { c_escapes: true, keep_unknown: true, lenient_end: false, backslash: true };
    /// The value of a variable, which is no syntax and so never an error.
    pub const VALUE: Rules =
        Rules { c_escapes: false, keep_unknown: true, lenient_end: true, backslash: false };
}

/// Why there is no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// A quote is opened and not closed.
    OpenQuote,
    /// An escape that C does not know, or a backslash at the very end.
    Escape,
}

impl Bad {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Bad::OpenQuote => "a quote is opened and not closed",
            Bad::Escape => "unknown escape sequence",
        }
    }
}

/// Takes the next word off `rest` with the white space behind it; `None` at the end.
///
/// # Errors
/// See [`Bad`]; `rest` is then empty, since where the next word begins is anybody's guess.
pub fn next(rest: &mut &[u8], rules: Rules) -> Result<Option<Vec<u8>>, Bad> {
    let text = skip_white(rest);
    *rest = &[];
    if text.is_empty() {
        return Ok(None);
    }
    let mut word = Vec::new();
    let mut quote = None;
    let mut left = text;
    while let [byte, after @ ..] = left {
        left = after;
        match *byte {
            b'\\' if rules.backslash => word.push(b'\\'),
            b'\\' if rules.c_escapes => match escape(left) {
                Some((bytes, after)) => {
                    word.extend_from_slice(&bytes);
                    left = after;
                }
                None if rules.keep_unknown => {
                    word.push(b'\\');
                    // What follows is not looked at again: in `"\` + `q"` the quote still closes.
                    if let [next, after @ ..] = left {
                        word.push(*next);
                        left = after;
                    }
                }
                None => return Err(Bad::Escape),
            },
            b'\\' => {
                if let [next, after @ ..] = left {
                    word.push(*next);
                    left = after;
                }
            }
            byte if quote == Some(byte) => quote = None,
            b'\'' | b'"' if quote.is_none() => quote = Some(*byte),
            byte if quote.is_none() && WHITE.contains(&byte) => {
                *rest = skip_white(left);
                return Ok(Some(word));
            }
            byte => word.push(byte),
        }
    }
    if quote.is_some() && !rules.lenient_end { Err(Bad::OpenQuote) } else { Ok(Some(word)) }
}

/// `text` without the white space before it.
pub fn skip_white(text: &[u8]) -> &[u8] {
    let at = text.iter().position(|b| !WHITE.contains(b)).unwrap_or(text.len());
    text.get(at..).unwrap_or_default()
}

/// Reads what follows a backslash: what it stands for, and what comes after it.
pub(super) fn escape(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let [kind, after @ ..] = text else { return None };
    let one = |byte: u8| Some((vec![byte], after));
    match kind {
        b'a' => one(7),
        b'b' => one(8),
        b'f' => one(12),
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        b'v' => one(11),
        b's' => one(b' '),
        b'\\' | b'"' | b'\'' => one(*kind),
        b'x' => {
            let (value, after) = digits(after, 2, 16)?;
            Some((vec![u8::try_from(value).ok()?], after))
        }
        b'u' => unicode(after, 4),
        b'U' => unicode(after, 8),
        b'0'..=b'7' => {
            let (value, after) = digits(text, 3, 8)?;
            Some((vec![u8::try_from(value).ok()?], after))
        }
        _ => None,
    }
}

fn unicode(text: &[u8], count: usize) -> Option<(Vec<u8>, &[u8])> {
    let (value, after) = digits(text, count, 16)?;
    Some((char::from_u32(value)?.to_string().into_bytes(), after))
}

/// Exactly `count` digits. Zero is refused: no argument and no variable can hold a NUL.
fn digits(text: &[u8], count: usize, base: u32) -> Option<(u32, &[u8])> {
    let (digits, after) = text.split_at_checked(count)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let value = u32::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()?;
    (value != 0).then_some((value, after))
}

/// Writes a word so that [`next`] reads it back, with quotes only where they are needed.
pub fn quote(word: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_graphic() && !b"'\"\\".contains(b);
    if !word.is_empty() && word.iter().all(plain) {
        return String::from_utf8_lossy(word).into_owned();
    }
    let mut out = String::from("\"");
    for chunk in word.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if c.is_ascii_control() => hex(&mut out, c as u8),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            hex(&mut out, *byte);
        }
    }
    out.push('"');
    out
}

/// Writes a byte as `\xHH`.
pub(super) fn hex(out: &mut String, byte: u8) {
    out.push_str("\\x");
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, rules: Rules) -> Result<Vec<Vec<u8>>, Bad> {
        let mut rest = text.as_bytes();
        let mut words = Vec::new();
        while let Some(word) = next(&mut rest, rules)? {
            words.push(word);
        }
        Ok(words)
    }

    #[test]
    fn words_split_as_systemd_splits_them() {
        let table: [(&str, &str, &[&[u8]]); 27] = [
            ("nothing", "", &[]),
            ("white space alone", " \t ", &[]),
            ("two words", " a  b ", &[b"a", b"b"]),
            ("double quotes", r#""double quoted""#, &[b"double quoted"]),
            ("single quotes", "'single quoted'", &[b"single quoted"]),
            ("one within the other", r#""a'b" 'a"b'"#, &[b"a'b", b"a\"b"]),
            ("a hexadecimal escape", r"a\x20b", &[b"a b"]),
            ("a byte that is no text", r"\xff", &[b"\xff"]),
            ("a tab", r#""tab\there""#, &[b"tab\there"]),
            ("escapes count in single quotes", r"'nl\nx'", &[b"nl\nx"]),
            ("an octal escape", r"\101", &[b"A"]),
            ("unicode, four digits", r"\u00e9", &["é".as_bytes()]),
            ("unicode, eight digits", r"\U0001F600", &["😀".as_bytes()]),
            ("empty words", r#""" ''"#, &[b"", b""]),
            ("quotes in the middle", r#"plain"mid quote"end"#, &[b"plainmid quoteend"]),
            ("an escaped quote", r#""esc \"q\" \\""#, &[b"esc \"q\" \\"]),
            ("\\s is a space", r"a\sb", &[b"a b"]),
            ("an unknown escape stays", r"\q x\y", &[b"\\q", b"x\\y"]),
            ("an octal escape past a byte stays", r"\400", &[b"\\400"]),
            ("the last octal byte", r"\377", &[b"\xff"]),
            ("NUL cannot be spelled", r"\x00", &[b"\\x00"]),
            ("nor in octal", r"\000", &[b"\\000"]),
            ("too few digits", r"\x4", &[b"\\x4"]),
            ("a surrogate is no character", r"\ud800", &[b"\\ud800"]),
            ("a backslash at the end stays", "a\\", &[b"a\\"]),
            ("a sign is no digit", r"\x+1", &[b"\\x+1"]),
            ("an unknown escape hides the quote after it", r#""\%" b"#, &[b"\\%", b"b"]),
        ];
        for (why, text, expected) in table {
            let expected: Vec<Vec<u8>> = expected.iter().map(|w| w.to_vec()).collect();
            assert_eq!(all(text, Rules::COMMAND), Ok(expected), "{why}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            ("an open quote", r#"a "b"#, Rules::COMMAND, Err(Bad::OpenQuote)),
            ("an open single quote", "a 'b", Rules::STRICT, Err(Bad::OpenQuote)),
            ("an unknown escape where it counts", r"\q", Rules::STRICT, Err(Bad::Escape)),
            ("a backslash at the end where it counts", "a\\", Rules::STRICT, Err(Bad::Escape)),
            ("a value forgives both", "'a b\\", Rules::VALUE, Ok(vec![b"a b".to_vec()])),
            ("a value knows no escapes", r"a\nb", Rules::VALUE, Ok(vec![b"anb".to_vec()])),
        ];
        for (why, text, rules, expected) in table {
            assert_eq!(all(text, rules), expected, "{why}");
        }
    }

    #[test]
    fn what_is_quoted_reads_back() {
        let every: Vec<u8> = (1..=255).collect();
        for word in
            [&b""[..], b"plain", b"two words", b"it's", b"\"", b"\\", b"\xff\xfe", "é\n\t".as_bytes(), &every]
        {
            assert_eq!(all(&quote(word), Rules::STRICT), Ok(vec![word.to_vec()]), "{word:?}");
        }
        assert_eq!(quote(b"/bin/app"), "/bin/app");
    }
}
