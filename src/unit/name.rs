//! The names of units: what may be one, what its parts are, and how a path is written as one.
//!
//! `getty@tty1.service` is the *instance* `tty1` of the *template* `getty@.service`; `getty` is its *prefix*.
//! The rules are those of systemd.unit(5), "String Escaping for Inclusion in Unit Names".
#![forbid(unsafe_code)]

/// The longest name, in bytes: systemd's UNIT_NAME_MAX less its NUL.
pub const NAME_LEN_MAX: usize = 255;

/// What a unit can be, as the ending of its name says it.
pub const KINDS: [&str; 11] = [
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
];

/// The kind that the name ends with, if it is a valid name: `service`.
pub fn kind(name: &str) -> Option<&'static str> {
    let (stem, ending) = name.rsplit_once('.')?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    let whole = !stem.is_empty()
        && !stem.starts_with('@')
        && name.len() <= NAME_LEN_MAX
        && stem.bytes().all(fits)
        && stem.matches('@').count() <= 1;
    KINDS.into_iter().find(|kind| whole && *kind == ending)
}

/// The name without its ending, and the ending without its dot.
pub fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}

/// What stands before the `@` or the ending.
pub fn prefix(name: &str) -> &str {
    let stem = split(name).0;
    stem.split_once('@').map_or(stem, |(prefix, _)| prefix)
}

/// What stands between the `@` and the ending: none in a plain name, empty in a template.
pub fn instance(name: &str) -> Option<&str> {
    split(name).0.split_once('@').map(|(_, instance)| instance)
}

/// Whether units can be made of it: `getty@.service`.
pub fn is_template(name: &str) -> bool {
    instance(name) == Some("")
}

/// Whether it is made of a template: `getty@tty1.service`.
pub fn is_instance(name: &str) -> bool {
    instance(name).is_some_and(|instance| !instance.is_empty())
}

/// The template of an instance.
pub fn template(name: &str) -> Option<String> {
    is_instance(name).then(|| format!("{}@.{}", prefix(name), split(name).1))
}

/// The unit that a template makes of an instance.
pub fn instantiated(template: &str, instance: &str) -> String {
    format!("{}@{instance}.{}", prefix(template), split(template).1)
}

/// Writes any text so that it can stand in a name: `/` becomes `-`, what may not stand there becomes `\xHH`.
pub fn escape(text: &[u8]) -> String {
    let mut out = String::new();
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if at == 0 => hex(&mut out, *byte),
            b':' | b'_' | b'.' => out.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(*byte)),
            byte => hex(&mut out, *byte),
        }
    }
    out
}

fn hex(out: &mut String, byte: u8) {
    out.push_str("\\x");
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
    }
}

/// Writes a path so: without the slashes around it and without doubled ones; the root is `-`.
pub fn escape_path(path: &[u8]) -> String {
    let mut short = Vec::new();
    for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        if !short.is_empty() {
            short.push(b'/');
        }
        short.extend_from_slice(part);
    }
    if short.is_empty() { "-".to_owned() } else { escape(&short) }
}

/// Undoes [`escape`]. What is no escape stays as it is.
pub fn unescape(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'-', _) => out.push(b'/'),
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digit = |b: &u8| char::from(*b).to_digit(16);
                match (digit(high), digit(low)) {
                    (Some(high), Some(low)) => {
                        out.push((high * 16 + low) as u8);
                        rest = tail;
                    }
                    _ => out.push(b'\\'),
                }
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// Undoes [`escape_path`].
pub fn unescape_path(name: &str) -> Vec<u8> {
    let mut path = vec![b'/'];
    if name != "-" {
        path.extend(unescape(name));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_systemd_lets_be_one() {
        let long = format!("{}.service", "a".repeat(NAME_LEN_MAX - 8));
        let table = [
            ("plain", "web.service", Some("service")),
            ("with a dot", "org.example.web.socket", Some("socket")),
            ("a template", "getty@.service", Some("service")),
            ("an instance", "getty@tty1.target", Some("target")),
            ("escapes", "usr-bin@my-games\\x2d1.service", Some("service")),
            ("the longest", &long, Some("service")),
            ("one longer", &format!("a{long}"), None),
            ("no ending", "web", None),
            ("an ending that is none", "web.conf", None),
            ("nothing before the ending", ".service", None),
            ("no prefix", "@a.service", None),
            ("two instances", "a@b@c.service", None),
            ("a slash", "a/b.service", None),
            ("white space", "a b.service", None),
        ];
        for (why, name, expected) in table {
            assert_eq!(kind(name), expected, "{why}");
        }
        assert_eq!((prefix("a-b@c.service"), instance("a-b@c.service")), ("a-b", Some("c")));
        assert_eq!((prefix("a.b.service"), instance("a.service")), ("a.b", None));
        assert_eq!(template("a@b.service").as_deref(), Some("a@.service"));
        assert_eq!((template("a@.service"), template("a.service")), (None, None));
        assert_eq!(instantiated("a@.service", "b"), "a@b.service");
    }

    #[test]
    fn what_is_escaped_reads_back() {
        let table: [(&[u8], &str); 6] = [
            (b"foo", "foo"),
            (b"a/b-c", "a-b\\x2dc"),
            (b".hidden.x", "\\x2ehidden.x"),
            (b"a b\\", "a\\x20b\\x5c"),
            ("\u{e9}".as_bytes(), "\\xc3\\xa9"),
            (b"a:b_c@d", "a:b_c\\x40d"),
        ];
        for (text, escaped) in table {
            assert_eq!(escape(text), escaped);
            assert_eq!(unescape(escaped), text);
        }
        let table: [(&[u8], &str, &[u8]); 4] = [
            (b"/", "-", b"/"),
            (b"//var//lib/", "var-lib", b"/var/lib"),
            (b"/./a", "a", b"/a"),
            (b"/a-b", "a\\x2db", b"/a-b"),
        ];
        for (path, escaped, back) in table {
            assert_eq!(escape_path(path), escaped);
            assert_eq!(unescape_path(escaped), back);
        }
        assert_eq!(unescape("a\\x2"), b"a\\x2");
        assert_eq!(unescape("a\\xzz"), b"a\\xzz");
    }
}
