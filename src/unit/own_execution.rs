//! As `own`, for the directives of the execution environment: streams, folders, credentials, scheduling.
#![forbid(unsafe_code)]

use super::complaint::Problem;
use super::directive::Reading;
use super::own::joined;
use super::spec::{
    Claim, Credential, CredentialSource, Folder, Input, Opening, Output, Place, Preserve, Schedule, Spec,
};
use super::specifier;
use super::value::{names, quantity};
use super::words::{Rules, next, quote};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

type Set = Result<(), Problem>;

/// Of `StandardInputText=` and `StandardInputData=` together, and of all `SetCredential=`, in bytes.
const DATA_MAX: usize = 1 << 20;
/// Processors that `CPUAffinity=` can name: `CONFIG_NR_CPUS` is at most that on x86-64.
const PROCESSORS_MAX: usize = 8192;

/// A value with its specifiers replaced, as text.
fn text(value: &[u8], reading: &mut Reading<'_>) -> Result<String, Problem> {
    let bytes = specifier::expand(value, reading.unit, &mut reading.problems)?;
    String::from_utf8(bytes).map_err(|_| Problem::value("not UTF-8"))
}

/// An absolute path that does not go up.
fn path(value: &str, reading: &mut Reading<'_>) -> Result<OsString, Problem> {
    let path = specifier::expand(value.as_bytes(), reading.unit, &mut reading.problems)?;
    if path.first() != Some(&b'/') {
        return Err(Problem::value("not an absolute path"));
    }
    if path.split(|b| *b == b'/').any(|part| part == b"..") {
        return Err(Problem::value("the path contains \"..\""));
    }
    Ok(OsString::from_vec(path))
}

/// A text as a value that [`text`] and [`path`] make it of again.
fn shown(text: &OsStr) -> String {
    text.to_string_lossy().replace('%', "%%")
}

/// The name behind `fd`, if it is one.
fn descriptor_name(value: &str, reading: &mut Reading<'_>) -> Result<Option<Option<String>>, Problem> {
    if value == "fd" {
        return Ok(Some(None));
    }
    let Some(name) = value.strip_prefix("fd:") else { return Ok(None) };
    let name = text(name.as_bytes(), reading)?;
    // sd_listen_fds_with_names(3).
    let good =
        !name.is_empty() && name.len() <= 255 && name.bytes().all(|b| b != b':' && (b' '..0x7f).contains(&b));
    if good { Ok(Some(Some(name))) } else { Err(Problem::value("not the name of a descriptor")) }
}

pub(super) fn set_input(spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Set {
    let input = match value {
        "null" => Input::Null,
        "data" => Input::Data,
        "tty" => Input::Terminal(Claim::Ask),
        "tty-force" => Input::Terminal(Claim::Force),
        "tty-fail" => Input::Terminal(Claim::Demand),
        _ => match (value.strip_prefix("file:"), descriptor_name(value, reading)?) {
            (Some(file), _) => Input::File(path(file, reading)?),
            (None, Some(name)) => Input::Named(name),
            (None, None) => {
                let known = ["null", "tty", "tty-force", "tty-fail", "data", "file:", "fd:"];
                return Err(Problem::unknown("input", value, &mut known.into_iter()));
            }
        },
    };
    spec.exec.standard_input = Some(input);
    Ok(())
}

pub(super) fn show_input(spec: &Spec) -> Vec<String> {
    let word = |input: &Input| match input {
        Input::Null => "null".to_owned(),
        Input::Data => "data".to_owned(),
        Input::Terminal(Claim::Ask) => "tty".to_owned(),
        Input::Terminal(Claim::Force) => "tty-force".to_owned(),
        Input::Terminal(Claim::Demand) => "tty-fail".to_owned(),
        Input::File(path) => format!("file:{}", shown(path)),
        Input::Named(name) => show_descriptor(name),
    };
    spec.exec.standard_input.iter().map(word).collect()
}

fn show_descriptor(name: &Option<String>) -> String {
    name.as_ref().map_or("fd".to_owned(), |name| format!("fd:{}", name.replace('%', "%%")))
}

fn output(value: &str, reading: &mut Reading<'_>) -> Result<Output, Problem> {
    Ok(match value {
        "null" => Output::Null,
        "inherit" => Output::Inherit,
        "tty" => Output::Terminal,
        "journal" | "kmsg" | "syslog" | "journal+console" | "kmsg+console" | "syslog+console" => {
            Output::Container
        }
        _ => {
            let files = [
                ("file:", Opening::Overwrite),
                ("append:", Opening::Append),
                ("truncate:", Opening::Truncate),
            ];
            let file = files.iter().find_map(|(prefix, how)| Some((value.strip_prefix(prefix)?, *how)));
            match (file, descriptor_name(value, reading)?) {
                (Some((file, how)), _) => Output::File(path(file, reading)?, how),
                (None, Some(name)) => Output::Named(name),
                (None, None) => {
                    let known =
                        ["null", "inherit", "journal", "kmsg", "tty", "file:", "append:", "truncate:", "fd:"];
                    return Err(Problem::unknown("output", value, &mut known.into_iter()));
                }
            }
        }
    })
}

fn show_output(output: &Option<Output>) -> Vec<String> {
    let word = |output: &Output| match output {
        Output::Null => "null".to_owned(),
        Output::Inherit => "inherit".to_owned(),
        Output::Container => "journal".to_owned(),
        Output::Terminal => "tty".to_owned(),
        Output::File(path, how) => {
            let prefix = match how {
                Opening::Overwrite => "file",
                Opening::Append => "append",
                Opening::Truncate => "truncate",
            };
            format!("{prefix}:{}", shown(path))
        }
        Output::Named(name) => show_descriptor(name),
    };
    output.iter().map(word).collect()
}

pub(super) fn set_output(spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Set {
    spec.exec.standard_output = Some(output(value, reading)?);
    Ok(())
}

pub(super) fn show_standard_output(spec: &Spec) -> Vec<String> {
    show_output(&spec.exec.standard_output)
}

pub(super) fn set_error(spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Set {
    spec.exec.standard_error = Some(output(value, reading)?);
    Ok(())
}

pub(super) fn show_standard_error(spec: &Spec) -> Vec<String> {
    show_output(&spec.exec.standard_error)
}

pub(super) fn set_input_text(spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Set {
    if value.is_empty() {
        spec.exec.standard_input_data.clear();
        return Ok(());
    }
    // The whole value is one word with C escapes, quotes and white space being just themselves.
    let escaped = names::unescape(value.as_bytes()).ok_or(Problem::value("unknown escape sequence"))?;
    let mut data = specifier::expand(&escaped, reading.unit, &mut reading.problems)?;
    data.push(b'\n');
    add_data(spec, data)
}

pub(super) fn set_input_data(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    if value.is_empty() {
        spec.exec.standard_input_data.clear();
        return Ok(());
    }
    let data = names::base64(value.as_bytes()).ok_or(Problem::value("not Base64"))?;
    add_data(spec, data)
}

fn add_data(spec: &mut Spec, data: Vec<u8>) -> Set {
    let so_far = &mut spec.exec.standard_input_data;
    if so_far.len() + data.len() > DATA_MAX {
        return Err(Problem::value("more than 1 MiB of input"));
    }
    so_far.extend(data);
    Ok(())
}

pub(super) fn show_input_data(spec: &Spec) -> Vec<String> {
    let data = &spec.exec.standard_input_data;
    if data.is_empty() { Vec::new() } else { vec![names::show_base64(data)] }
}

pub(super) fn set_tty_path(spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Set {
    spec.exec.tty_path = Some(path(value, reading)?);
    Ok(())
}

pub(super) fn show_tty_path(spec: &Spec) -> Vec<String> {
    spec.exec.tty_path.iter().map(|path| shown(path)).collect()
}

/// A path below one of the five places.
fn below(value: &str) -> Result<String, Problem> {
    let mut parts = Vec::new();
    for part in value.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(Problem::value(format!("\"{value}\" contains \"..\"")));
        }
        parts.push(part);
    }
    match parts.first() {
        _ if value.starts_with('/') => Err(Problem::value(format!("\"{value}\" is not a relative path"))),
        None => Err(Problem::value(format!("\"{value}\" names no folder"))),
        // What belongs to DynamicUser= is there.
        Some(&"private") => Err(Problem::value(format!("\"{value}\" is systemd's own"))),
        Some(_) => Ok(parts.join("/")),
    }
}

/// Adds one assignment of a `*Directory=`; an empty value clears what there is.
pub(super) fn set_folders(spec: &mut Spec, place: Place, value: &str, reading: &mut Reading<'_>) -> Set {
    let Some(folders) = spec.exec.directories.get_mut(place as usize) else { return Ok(()) };
    if value.is_empty() {
        folders.list.clear();
    }
    let mut rest = value.as_bytes();
    while let Some(word) = next(&mut rest, Rules::STRICT).map_err(|bad| Problem::value(bad.text()))? {
        let read = text(&word, reading).and_then(|word| {
            let (source, link) = word.split_once(':').unwrap_or((&word, ""));
            // Behind the link there may be flags, which are about mounts.
            let link = link.split(':').next().unwrap_or_default();
            let link = if link.is_empty() { None } else { Some(below(link)?) };
            Ok((below(source)?, link))
        });
        let (path, link) = match read {
            Ok(read) => read,
            Err(problem) => {
                reading.problems.push(problem);
                continue;
            }
        };
        let at = folders.list.iter().position(|folder| folder.path == path).unwrap_or_else(|| {
            folders.list.push(Folder { path, links: Vec::new() });
            folders.list.len() - 1
        });
        match folders.list.get_mut(at) {
            Some(folder) if place != Place::Configuration => folder.links.extend(link),
            _ if link.is_some() => {
                let message = "a link to a folder of the configuration is not made";
                reading.problems.push(Problem::value(message));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn show_folders(spec: &Spec, place: Place) -> Vec<String> {
    let Some(folders) = spec.exec.directories.get(place as usize) else { return Vec::new() };
    let mut words = Vec::new();
    for folder in &folders.list {
        let word = |text: &str| quote(text.replace('%', "%%").as_bytes());
        if folder.links.is_empty() {
            words.push(word(&folder.path));
        }
        words.extend(folder.links.iter().map(|link| word(&format!("{}:{link}", folder.path))));
    }
    joined(words)
}

pub(super) fn set_folder_mode(spec: &mut Spec, place: Place, value: &str) -> Set {
    let mode = quantity::octal(value)?;
    if let Some(folders) = spec.exec.directories.get_mut(place as usize) {
        folders.mode = Some(mode);
    }
    Ok(())
}

pub(super) fn show_folder_mode(spec: &Spec, place: Place) -> Vec<String> {
    let mode = spec.exec.directories.get(place as usize).and_then(|folders| folders.mode);
    mode.map(|mode| format!("{mode:04o}")).into_iter().collect()
}

pub(super) fn reset_folder_mode(spec: &mut Spec, place: Place) {
    if let Some(folders) = spec.exec.directories.get_mut(place as usize) {
        folders.mode = None;
    }
}

pub(super) fn set_preserve(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    spec.exec.runtime_directory_preserve = match (value, quantity::boolean(value)) {
        ("restart", _) => Preserve::Restart,
        (_, Some(true)) => Preserve::Yes,
        (_, Some(false)) => Preserve::No,
        (_, None) => {
            return Err(Problem::unknown("word", value, &mut ["no", "restart", "yes"].into_iter()));
        }
    };
    Ok(())
}

pub(super) fn show_preserve(spec: &Spec) -> Vec<String> {
    let word = match spec.exec.runtime_directory_preserve {
        Preserve::No => "no",
        Preserve::Restart => "restart",
        Preserve::Yes => "yes",
    };
    vec![word.to_owned()]
}

/// A credential's name is that of a file.
fn credential_id(word: &str, reading: &mut Reading<'_>) -> Result<String, Problem> {
    let id = text(word.as_bytes(), reading)?;
    let good = id.len() <= 255 && !id.contains(['/', ':', '"']) && !id.contains(|c: char| c.is_control());
    if good && !matches!(id.as_str(), "" | "." | "..") {
        Ok(id)
    } else {
        Err(Problem::value("not the name of a credential"))
    }
}

pub(super) fn set_load_credential(spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Set {
    if value.is_empty() {
        spec.exec.credentials.retain(|c| !matches!(c.source, CredentialSource::Load(_)));
        return Ok(());
    }
    let (id, place) = value.split_once(':').unwrap_or((value, value));
    let id = credential_id(id, reading)?;
    let place =
        if place.starts_with('/') { path(place, reading)? } else { credential_id(place, reading)?.into() };
    spec.exec.credentials.retain(|c| c.id != id || !matches!(c.source, CredentialSource::Load(_)));
    spec.exec.credentials.push(Credential { id, source: CredentialSource::Load(place) });
    Ok(())
}

pub(super) fn show_load_credential(spec: &Spec) -> Vec<String> {
    let show = |credential: &Credential| match &credential.source {
        CredentialSource::Load(path) => Some(format!("{}:{}", shown(credential.id.as_ref()), shown(path))),
        CredentialSource::Set(_) => None,
    };
    spec.exec.credentials.iter().filter_map(show).collect()
}

pub(super) fn set_credential(spec: &mut Spec, value: &str, reading: &mut Reading<'_>) -> Set {
    if value.is_empty() {
        spec.exec.credentials.retain(|c| !matches!(c.source, CredentialSource::Set(_)));
        return Ok(());
    }
    let (id, secret) = value.split_once(':').ok_or(Problem::value("not ID:VALUE"))?;
    let id = credential_id(id, reading)?;
    let escaped = names::unescape(secret.as_bytes()).ok_or(Problem::value("unknown escape sequence"))?;
    let secret = specifier::expand(&escaped, reading.unit, &mut reading.problems)?;
    if secret.len() > DATA_MAX {
        return Err(Problem::value("more than 1 MiB"));
    }
    spec.exec.credentials.retain(|c| c.id != id || !matches!(c.source, CredentialSource::Set(_)));
    spec.exec.credentials.push(Credential { id, source: CredentialSource::Set(secret) });
    Ok(())
}

pub(super) fn show_credential(spec: &Spec) -> Vec<String> {
    let show = |credential: &Credential| match &credential.source {
        CredentialSource::Set(secret) => {
            Some(format!("{}:{}", shown(credential.id.as_ref()), names::show_escaped(secret)))
        }
        CredentialSource::Load(_) => None,
    };
    spec.exec.credentials.iter().filter_map(show).collect()
}

/// A word of a list, or its number.
fn named(value: &str, list: &[(&'static str, i32)], what: &str) -> Result<i32, Problem> {
    let number = value.parse::<i32>().ok();
    let found = list.iter().find(|(name, n)| *name == value || Some(*n) == number);
    found.map(|(_, n)| *n).ok_or_else(|| Problem::unknown(what, value, &mut list.iter().map(|(n, _)| *n)))
}

fn show_named(value: Option<i32>, list: &[(&'static str, i32)]) -> Vec<String> {
    let name = value.and_then(|value| list.iter().find(|(_, n)| *n == value));
    name.map(|(name, _)| (*name).to_owned()).into_iter().collect()
}

pub(super) fn set_policy(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    spec.exec.schedule.policy = Some(named(value, &Schedule::POLICIES, "policy")?);
    Ok(())
}

pub(super) fn show_policy(spec: &Spec) -> Vec<String> {
    show_named(spec.exec.schedule.policy, &Schedule::POLICIES)
}

pub(super) fn set_io_class(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    spec.exec.schedule.io_class = Some(named(value, &Schedule::IO_CLASSES, "class")?);
    Ok(())
}

pub(super) fn show_io_class(spec: &Spec) -> Vec<String> {
    show_named(spec.exec.schedule.io_class, &Schedule::IO_CLASSES)
}

pub(super) fn set_affinity(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    if value.is_empty() {
        spec.exec.schedule.affinity.clear();
        return Ok(());
    }
    let mut mask = spec.exec.schedule.affinity.clone();
    let most = PROCESSORS_MAX as i64 - 1;
    for word in value.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (quantity::integer(first, 0, most)?, quantity::integer(last, 0, most)?);
        for processor in first..=last {
            // From 0 to `PROCESSORS_MAX`.
            let processor = processor as usize;
            if mask.len() <= processor / 64 {
                mask.resize(processor / 64 + 1, 0);
            }
            if let Some(word) = mask.get_mut(processor / 64) {
                *word |= 1 << (processor % 64);
            }
        }
    }
    spec.exec.schedule.affinity = mask;
    Ok(())
}

pub(super) fn show_affinity(spec: &Spec) -> Vec<String> {
    let mask = &spec.exec.schedule.affinity;
    let has = |n: usize| mask.get(n / 64).is_some_and(|word| word & (1 << (n % 64)) != 0);
    let mut words = Vec::new();
    let mut at = 0;
    while at < mask.len() * 64 {
        let end = (at..).find(|n| !has(*n)).unwrap_or(at);
        match end - at {
            0 => {}
            1 => words.push(at.to_string()),
            _ => words.push(format!("{at}-{}", end - 1)),
        }
        at = end + 1;
    }
    joined(words)
}

pub(super) fn set_timer_slack(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    let bare = value.strip_suffix("nsec").or(value.strip_suffix("ns")).unwrap_or(value).trim_end();
    let slack = match bare.parse() {
        Ok(nanoseconds) => nanoseconds,
        Err(_) => quantity::span(value)?.as_micros().saturating_mul(1000),
    };
    spec.exec.schedule.timer_slack = Some(slack);
    Ok(())
}

pub(super) fn show_timer_slack(spec: &Spec) -> Vec<String> {
    spec.exec.schedule.timer_slack.map(|slack| slack.to_string()).into_iter().collect()
}

/// The personalities that this machine has, as systemd's words and `PER_*` of personality(2).
const PERSONALITIES: [(&str, i32); 2] =
    if cfg!(target_arch = "aarch64") { [("arm64", 0), ("arm", 8)] } else { [("x86-64", 0), ("x86", 8)] };

pub(super) fn set_personality(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    let found = PERSONALITIES.iter().find(|(name, _)| *name == value);
    let Some((_, number)) = found else {
        let known = &mut PERSONALITIES.iter().map(|(name, _)| *name);
        return Err(Problem::unknown("personality of this machine", value, known));
    };
    spec.exec.schedule.personality = Some(number.unsigned_abs());
    Ok(())
}

pub(super) fn show_personality(spec: &Spec) -> Vec<String> {
    let number = spec.exec.schedule.personality.and_then(|number| i32::try_from(number).ok());
    show_named(number, &PERSONALITIES)
}

/// The kinds of memory of core(5), "Controlling which mappings are written", in the order of their bits.
const CORE_KINDS: [&str; 9] = [
    "private-anonymous",
    "shared-anonymous",
    "private-file-backed",
    "shared-file-backed",
    "elf-headers",
    "private-huge",
    "shared-huge",
    "private-dax",
    "shared-dax",
];

pub(super) fn set_core_filter(spec: &mut Spec, value: &str, _: &mut Reading<'_>) -> Set {
    let mut mask = spec.exec.coredump_filter.unwrap_or(0);
    for word in value.split_ascii_whitespace() {
        mask |= match word {
            "all" => 0x1ff,
            // The kernel's own: core(5).
            "default" => 0x33,
            _ => match CORE_KINDS.iter().position(|kind| *kind == word) {
                Some(at) => 1 << at,
                None => u32::from_str_radix(word.trim_start_matches("0x"), 16)
                    .map_err(|_| Problem::unknown("kind of memory", word, &mut CORE_KINDS.into_iter()))?,
            },
        };
    }
    spec.exec.coredump_filter = Some(mask);
    Ok(())
}

pub(super) fn show_core_filter(spec: &Spec) -> Vec<String> {
    spec.exec.coredump_filter.map(|mask| format!("0x{mask:x}")).into_iter().collect()
}

/// What `path` and `shown` make of bytes that are no text is seen by nobody: units are UTF-8.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::machine::Machine;
    use crate::unit::specifier::Unit;

    #[test]
    fn what_a_folder_may_be_called() {
        let table = [
            ("plain", "app", Some("app")),
            ("with parts", "app/sub", Some("app/sub")),
            ("put in order", "app//./sub/", Some("app/sub")),
            ("absolute", "/app", None),
            ("upwards", "app/../x", None),
            ("nothing", "./", None),
            ("systemd's own", "private/x", None),
            ("nearly so", "privates/x", Some("privates/x")),
        ];
        for (why, text, expected) in table {
            assert_eq!(below(text).ok().as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn values_are_read_and_shown() {
        type Row = (fn(&mut Spec, &str, &mut Reading<'_>) -> Set, fn(&Spec) -> Vec<String>);
        let input: Row = (set_input, show_input);
        let output: Row = (set_output, show_standard_output);
        let affinity: Row = (set_affinity, show_affinity);
        let slack: Row = (set_timer_slack, show_timer_slack);
        let runtime: Row =
            (|s, v, r| set_folders(s, Place::Runtime, v, r), |s| show_folders(s, Place::Runtime));
        let text: Row = (set_input_text, show_input_data);
        let data: Row = (set_input_data, show_input_data);
        let load: Row = (set_load_credential, show_load_credential);
        let secret: Row = (set_credential, show_credential);
        let table: [(&str, Row, &[&str], &str); 30] = [
            ("nothing", input, &["null"], "null"),
            ("a file", input, &["file:/a/%n"], "file:/a/t.service"),
            ("a relative file", input, &["file:a"], ""),
            ("a descriptor", input, &["fd:web"], "fd:web"),
            ("one without a name", input, &["fd"], "fd"),
            ("one with an empty name", input, &["fd:"], ""),
            ("a socket comes later", input, &["socket"], ""),
            ("other words", output, &["append:/x"], "append:/x"),
            ("other words", output, &["truncate:/x"], "truncate:/x"),
            ("a file cannot be above", output, &["file:/../x"], ""),
            ("the journal is the container", output, &["syslog+console"], "journal"),
            ("processors", affinity, &["0-2 5,7"], "0-2 5 7"),
            ("they add up", affinity, &["0", "64"], "0 64"),
            ("and are reset", affinity, &["0", "", "3"], "3"),
            ("the last", affinity, &["8191"], "8191"),
            ("one past it", affinity, &["8192"], ""),
            ("nanoseconds", slack, &["5"], "5"),
            ("by name", slack, &["7 ns"], "7"),
            ("microseconds", slack, &["100us"], "100000"),
            ("folders add up", runtime, &["a b/c", "d"], "a b/c d"),
            ("and are reset", runtime, &["a", "", "d"], "d"),
            ("a link", runtime, &["a:l", "a:m:ro"], "a:l a:m"),
            ("a bad one is dropped", runtime, &["a /b c"], "a c"),
            ("text has its line end", text, &["hello %%n", r"world\x21"], "aGVsbG8gJW4Kd29ybGQhCg=="),
            ("data has not", data, &["Zm9v", "Zm8="], "Zm9vZm8="),
            ("what is no Base64 is dropped", data, &["Zm9v!"], ""),
            ("a credential", load, &["a:/b", "c"], "a:/b|c:c"),
            ("the later of one name", load, &["a:/b", "a:/c"], "a:/c"),
            ("a name is no path", load, &["a/b:/c"], ""),
            ("a secret", secret, &[r"a:x\n%%y:z"], r"a:x\n%%y:z"),
        ];
        for (why, (set, show), values, expected) in table {
            let mut spec = Spec::new("t.service");
            let mut reading =
                Reading { unit: Unit::one_command("t.service", "", &Machine::UNKNOWN), problems: Vec::new() };
            for value in values {
                let _refused = set(&mut spec, value, &mut reading);
            }
            assert_eq!(show(&spec).join("|"), expected, "{why}: {values:?}");
        }
    }
}
