//! Replaces specifiers such as `%n` (systemd.unit(5), "Specifiers").
//!
//! `%` and a letter or digit is a specifier; `%` before anything else stays as it is. One that systemd does
//! not know makes the unit useless, as systemd has it. One that stands for what cannot be known here, such as
//! the machine id of a container that has none, stays as it is, with a remark.
#![forbid(unsafe_code)]

use super::complaint::Problem;
use super::machine::Machine;
use super::name;

/// What the specifiers speak of, and which defaults an empty assignment goes back to.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The unit's name with its suffix.
    pub name: &'a str,
    /// Where its file is; empty if it has none.
    pub path: &'a str,
    /// The machine that it runs on.
    pub machine: &'a Machine,
    /// It is the one supervised command: the defaults are those of
    /// [`Spec::for_command`](super::spec::Spec::for_command).
    pub one_command: bool,
}

impl<'a> Unit<'a> {
    /// The one supervised command.
    pub fn one_command(name: &'a str, path: &'a str, machine: &'a Machine) -> Unit<'a> {
        Unit { name, path, machine, one_command: true }
    }
}

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
        } else if !KNOWN.contains(letter) {
            return Err(Problem::unit(format!(
                "unknown specifier %{} (a percent sign itself is written %%)",
                char::from(*letter)
            )));
        } else if let Some(value) = value(*letter, unit) {
            out.extend_from_slice(value.as_bytes());
        } else {
            let letter = char::from(*letter);
            problems.push(Problem::remark(format!(
                "the specifier %{letter} stands for something that is not known here and stays as it is"
            )));
            out.extend_from_slice(&[b'%', letter as u8]);
        }
        rest = after;
    }
    Ok(out)
}

/// As [`expand`], for text.
///
/// # Errors
/// As there, or the result is not UTF-8.
pub fn expand_text(text: &str, unit: Unit<'_>, problems: &mut Vec<Problem>) -> Result<String, Problem> {
    String::from_utf8(expand(text.as_bytes(), unit, problems)?)
        .map_err(|_| Problem::value("what the specifiers stand for is not UTF-8"))
}

/// Those of systemd 257.
const KNOWN: &[u8] = b"aAbBCdDEfgGhHiIjJlLmMnNopPqsStTuUvVwWyY";

fn value(letter: u8, unit: Unit<'_>) -> Option<String> {
    let (stem, _) = name::split(unit.name);
    let prefix = name::prefix(unit.name);
    let instance = name::instance(unit.name).unwrap_or_default();
    let last = prefix.rsplit('-').next().unwrap_or_default();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let machine = unit.machine;
    let os = |field: &str| machine.os_release(field).map(str::to_owned);
    // What systemd says is said of the manager, whatever User= says.
    let user = machine.user.as_ref();
    Some(match letter {
        b'n' => unit.name.to_owned(),
        b'N' => stem.to_owned(),
        b'p' => prefix.to_owned(),
        b'P' => text(name::unescape(prefix)),
        b'i' => instance.to_owned(),
        b'I' => text(name::unescape(instance)),
        b'j' => last.to_owned(),
        b'J' => text(name::unescape(last)),
        b'f' => text(name::unescape_path(if instance.is_empty() { prefix } else { instance })),
        b'd' => format!("/run/credentials/{}", unit.name),
        b'D' => "/usr/share".to_owned(),
        b't' => "/run".to_owned(),
        b'S' => "/var/lib".to_owned(),
        b'C' => "/var/cache".to_owned(),
        b'L' => "/var/log".to_owned(),
        b'E' => "/etc".to_owned(),
        b'T' => "/tmp".to_owned(),
        b'V' => "/var/tmp".to_owned(),
        b'y' => unit.path.to_owned(),
        b'Y' => unit.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(),
        b'h' => user?.home.clone(),
        b's' => user?.shell.clone(),
        b'u' => user?.name.clone(),
        b'U' => user?.uid.to_string(),
        b'g' => user?.group.clone(),
        b'G' => user?.gid.to_string(),
        b'H' => machine.host_name.clone()?,
        b'l' => machine.host_name.as_ref()?.split('.').next().unwrap_or_default().to_owned(),
        b'q' => machine.pretty_host_name.clone().or_else(|| machine.host_name.clone())?,
        b'm' => machine.machine_id.clone()?,
        b'b' => machine.boot_id.clone()?,
        b'v' => machine.kernel_release.clone()?,
        b'a' => Machine::ARCHITECTURE.to_owned(),
        b'o' => os("ID")?,
        b'w' => os("VERSION_ID")?,
        b'W' => os("VARIANT_ID")?,
        b'B' => os("BUILD_ID")?,
        b'M' => os("IMAGE_ID")?,
        b'A' => os("IMAGE_VERSION")?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::machine::User;

    /// The machine of the recordings.
    fn machine() -> Machine {
        Machine {
            host_name: Some("oracle-host.example".into()),
            machine_id: Some("84f53f61c6084ce0b92223d6e03d59ea".into()),
            boot_id: Some("923741ba05cd4439b0b0708d92ad0c2d".into()),
            kernel_release: Some("6.18.44".into()),
            os_release: Some(vec![("ID".into(), "debian".into()), ("VERSION_ID".into(), "13".into())]),
            user: Some(User {
                name: "root".into(),
                uid: 0,
                group: "root".into(),
                gid: 0,
                home: "/root".into(),
                shell: "/bin/bash".into(),
            }),
            ..Machine::UNKNOWN
        }
    }

    #[test]
    fn specifiers_are_replaced_as_systemd_257_was_seen_to() {
        let machine = machine();
        let unit = |name, path| Unit { name, path, machine: &machine, one_command: false };
        let plain = unit("t.service", "/etc/systemd/system/t.service");
        let template = unit("usr-bin@my-games\\x2d1.service", "usr-bin@.service");
        let nothing = Unit { machine: &Machine::UNKNOWN, ..plain };
        let table = [
            ("the name", plain, "n=%n N=%N p=%p P=%P", Some("n=t.service N=t p=t P=t")),
            ("no instance", plain, "i=%i I=%I j=%j J=%J f=%f", Some("i= I= j=t J=t f=/t")),
            (
                "folders",
                plain,
                "%t %S %C %L %E %T %V %D",
                Some("/run /var/lib /var/cache /var/log /etc /tmp /var/tmp /usr/share"),
            ),
            ("credentials", plain, "%d", Some("/run/credentials/t.service")),
            ("the manager's user", plain, "%h %u %U %g %G %s", Some("/root root 0 root 0 /bin/bash")),
            ("the file", plain, "%y %Y", Some("/etc/systemd/system/t.service /etc/systemd/system")),
            ("the host", plain, "%H %l %q", Some("oracle-host.example oracle-host oracle-host.example")),
            (
                "the machine",
                plain,
                "%m %b %v",
                Some("84f53f61c6084ce0b92223d6e03d59ea 923741ba05cd4439b0b0708d92ad0c2d 6.18.44"),
            ),
            ("the system", plain, "%o %w A=%A B=%B M=%M W=%W", Some("debian 13 A= B= M= W=")),
            ("the architecture", plain, "%a", Some(Machine::ARCHITECTURE)),
            ("a percent sign", plain, "%% 100% 5%-", Some("% 100% 5%-")),
            ("an instance", template, "%p %P %i %I", Some("usr-bin usr/bin my-games\\x2d1 my/games-1")),
            ("parts of one", template, "%j %J %f", Some("bin bin /my/games-1")),
            ("the root", unit("a@-.service", ""), "%f", Some("/")),
            ("what is not known stays", nothing, "%b %o %u %H", Some("%b %o %u %H")),
            ("what systemd does not know is an error", plain, "%z", None),
            ("nor what it knew once", plain, "%c", None),
            ("a digit is one too", plain, "50%5", None),
        ];
        for (why, unit, text, expected) in table {
            let read = expand(text.as_bytes(), unit, &mut Vec::new()).ok();
            assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{why}");
        }
        let mut problems = Vec::new();
        let _ = expand(b"%v", nothing, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
