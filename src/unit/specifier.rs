//! Replaces specifiers such as `%n` (systemd.unit(5), "Specifiers").
//!
//! `%` and a letter or digit is a specifier; `%` before anything else stays as it is. One that systemd does
//! not know makes the unit useless, as systemd has it. One that systemd knows and we do not stays as it is,
//! with a remark.
#![forbid(unsafe_code)]

use super::complaint::Problem;

/// What the specifiers speak of.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The unit's name with its suffix.
    pub name: &'a str,
    /// Where its file is; empty if it has none.
    pub path: &'a str,
}

/// Those of systemd 257 that need what is not known here.
const LATER: &[u8] = b"aAbBdDlmMoqsvwW";

/// Replaces the specifiers in `text`.
///
/// # Errors
/// A specifier that systemd does not know.
pub fn expand(text: &[u8], unit: Unit<'_>, problems: &mut Vec<Problem>) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let Some((letter, after)) = rest.split_first() else {
            out.push(b'%');
            break;
        };
        if *letter == b'%' {
            out.push(b'%');
        } else if !letter.is_ascii_alphanumeric() {
            out.extend_from_slice(&[b'%', *letter]);
        } else if let Some(value) = value(*letter, unit) {
            out.extend_from_slice(value.as_bytes());
        } else if LATER.contains(letter) || ENVIRONMENT.contains(letter) {
            let letter = char::from(*letter);
            problems.push(Problem::remark(format!(
                "the specifier %{letter} is not supported and stays as it is"
            )));
            out.extend_from_slice(&[b'%', letter as u8]);
        } else {
            return Err(Problem::unit(format!(
                "unknown specifier %{} (a percent sign itself is written %%)",
                char::from(*letter)
            )));
        }
        rest = after;
    }
    Ok(out)
}

/// Those that can be unknown to us at this moment: whose user database or host name cannot be read.
const ENVIRONMENT: &[u8] = b"ghGHuU";

fn value(letter: u8, unit: Unit<'_>) -> Option<String> {
    let stem = unit.name.rsplit_once('.').map_or(unit.name, |(stem, _)| stem);
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let last = |text: &str| text.rsplit('-').next().unwrap_or_default().to_owned();
    // What systemd says is said of the manager. Here that is root, or we do not know by which name.
    let root = |text: &str| nix::unistd::geteuid().is_root().then(|| text.to_owned());
    Some(match letter {
        b'n' => unit.name.to_owned(),
        b'N' => stem.to_owned(),
        b'p' => prefix.to_owned(),
        b'P' => unescape(prefix),
        b'i' => instance.to_owned(),
        b'I' => unescape(instance),
        b'j' => last(prefix),
        b'J' => unescape(&last(prefix)),
        b'f' => format!("/{}", unescape(if instance.is_empty() { prefix } else { instance })),
        b't' => "/run".to_owned(),
        b'S' => "/var/lib".to_owned(),
        b'C' => "/var/cache".to_owned(),
        b'L' => "/var/log".to_owned(),
        b'E' => "/etc".to_owned(),
        b'T' => "/tmp".to_owned(),
        b'V' => "/var/tmp".to_owned(),
        b'y' => unit.path.to_owned(),
        b'Y' => unit.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(),
        b'h' => root("/root")?,
        b'u' | b'g' => root("root")?,
        b'U' => nix::unistd::geteuid().to_string(),
        b'G' => nix::unistd::getegid().to_string(),
        b'H' => nix::unistd::gethostname().ok()?.into_string().ok()?,
        _ => return None,
    })
}

/// Undoes the escaping of unit names: `-` is `/`, `\xHH` is a byte (systemd.unit(5), "String escaping").
fn unescape(name: &str) -> String {
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
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_are_replaced_as_systemd_257_was_seen_to() {
        let plain = Unit { name: "t.service", path: "/etc/systemd/system/t.service" };
        let template = Unit { name: "usr-bin@my-games\\x2d1.service", path: "usr-bin@.service" };
        let table = [
            ("the name", plain, "n=%n N=%N p=%p P=%P", Some("n=t.service N=t p=t P=t")),
            ("no instance", plain, "i=%i I=%I j=%j J=%J f=%f", Some("i= I= j=t J=t f=/t")),
            (
                "folders",
                plain,
                "%t %S %C %L %E %T %V",
                Some("/run /var/lib /var/cache /var/log /etc /tmp /var/tmp"),
            ),
            ("the file", plain, "%y %Y", Some("/etc/systemd/system/t.service /etc/systemd/system")),
            ("a percent sign", plain, "%% 100% 5%-", Some("% 100% 5%-")),
            ("an instance", template, "%p %P %i %I", Some("usr-bin usr/bin my-games\\x2d1 my/games-1")),
            ("parts of one", template, "%j %J %f", Some("bin bin /my/games-1")),
            ("what is not supported stays", plain, "%b", Some("%b")),
            ("what systemd does not know is an error", plain, "%z", None),
            ("a digit is one too", plain, "50%5", None),
        ];
        for (why, unit, text, expected) in table {
            let read = expand(text.as_bytes(), unit, &mut Vec::new()).ok();
            assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{why}");
        }
        let mut problems = Vec::new();
        let _ = expand(b"%v", plain, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
