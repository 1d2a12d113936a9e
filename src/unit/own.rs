//! Reads and shows the directives that have a syntax of their own: one function each way, for the table's rows.
#![forbid(unsafe_code)]

use super::complaint::Problem;
use super::directive::Reading;
use super::spec::{Architectures, CallFilter, Health, Signal, Span, Spec, Type, status};
use super::value::{command, names, quantity};
use std::collections::BTreeSet;
use std::net::SocketAddr;

fn some(given: bool, text: impl FnOnce() -> String) -> Vec<String> {
    if given { vec![text()] } else { Vec::new() }
}

/// All on one line; nothing if there are none.
pub(super) fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    let words: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    some(!words.is_empty(), || words.join(" "))
}

pub(super) fn set_type(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    spec.service.kind = match text {
        // Type=idle waits for other jobs at boot, and there are none.
        "simple" | "idle" => Type::Simple,
        "exec" => Type::Exec,
        "notify" => Type::Notify,
        "forking" | "oneshot" | "dbus" | "notify-reload" => {
            return Err(Problem::unit(format!("Type={text} is refused: it comes with support for units")));
        }
        _ => return Err(Problem::unknown("type", text, &mut ["simple", "exec", "notify"].into_iter())),
    };
    Ok(())
}

pub(super) fn show_type(spec: &Spec) -> Vec<String> {
    let word = match spec.service.kind {
        Type::Simple => "simple",
        Type::Exec => "exec",
        Type::Notify => "notify",
    };
    vec![word.to_owned()]
}

pub(super) fn set_timeouts(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    let span: Span = quantity::span(text)?;
    (spec.service.timeout_start, spec.service.timeout_stop) = (span, span);
    Ok(())
}

pub(super) fn reset_timeouts(spec: &mut Spec, default: &Spec) {
    spec.service.timeout_start = default.service.timeout_start;
    spec.service.timeout_stop = default.service.timeout_stop;
}

pub(super) fn set_environment(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    command::environment(&mut spec.exec.environment, text, reading.unit, &mut reading.problems);
    Ok(())
}

pub(super) fn set_working_directory(
    spec: &mut Spec,
    text: &str,
    reading: &mut Reading<'_>,
) -> Result<(), Problem> {
    let place = command::working_directory(text, reading.unit, &mut reading.problems)?;
    spec.exec.working_directory = Some(place);
    Ok(())
}

pub(super) fn show_working_directory(spec: &Spec) -> Vec<String> {
    spec.exec.working_directory.iter().map(command::show_working_directory).collect()
}

pub(super) fn set_umask(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    spec.exec.umask = Some(quantity::octal(text)?);
    Ok(())
}

pub(super) fn show_umask(spec: &Spec) -> Vec<String> {
    spec.exec.umask.map(|mask| format!("{mask:04o}")).into_iter().collect()
}

pub(super) fn set_groups(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    if text.is_empty() {
        spec.exec.supplementary_groups.clear();
    }
    for word in text.split_ascii_whitespace() {
        let group = command::user(word, reading.unit, &mut reading.problems)?;
        spec.exec.supplementary_groups.push(group);
    }
    Ok(())
}

pub(super) fn set_bounding(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    let so_far = spec.exec.capability_bounding_set.unwrap_or(u64::MAX);
    let mask = names::capabilities(so_far, u64::MAX, text, &mut reading.problems);
    spec.exec.capability_bounding_set = Some(mask);
    Ok(())
}

pub(super) fn show_bounding(spec: &Spec) -> Vec<String> {
    spec.exec.capability_bounding_set.map(names::show_capabilities).into_iter().collect()
}

pub(super) fn set_ambient(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    let mask = &mut spec.exec.ambient_capabilities;
    *mask = names::capabilities(*mask, 0, text, &mut reading.problems);
    Ok(())
}

pub(super) fn show_ambient(spec: &Spec) -> Vec<String> {
    let mask = spec.exec.ambient_capabilities;
    some(mask != 0, || names::show_capabilities(mask))
}

pub(super) fn set_secure_bits(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    names::secure_bits(&mut spec.exec.secure_bits, text, &mut reading.problems);
    Ok(())
}

pub(super) fn show_secure_bits(spec: &Spec) -> Vec<String> {
    let bits = spec.exec.secure_bits;
    some(bits != 0, || names::show_secure_bits(bits))
}

pub(super) fn set_families(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    names::families(&mut spec.exec.restrict_address_families, text, &mut reading.problems);
    Ok(())
}

pub(super) fn show_families(spec: &Spec) -> Vec<String> {
    spec.exec.restrict_address_families.iter().map(names::show_families).collect()
}

pub(super) fn set_call_filter(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    names::call_filter(&mut spec.exec.system_call_filter, text, &mut reading.problems);
    Ok(())
}

pub(super) fn show_call_filter(spec: &Spec) -> Vec<String> {
    spec.exec.system_call_filter.iter().map(names::show_call_filter).collect()
}

pub(super) fn show_call_errno(spec: &Spec) -> Vec<String> {
    spec.exec.system_call_errno.map(names::show_error_number).into_iter().collect()
}

pub(super) fn show_architectures(spec: &Spec) -> Vec<String> {
    some(spec.exec.system_call_architectures.is_some(), || "native".to_owned())
}

pub(super) fn set_call_errno(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    let number = names::error_number(text)
        .filter(|number| *number != 0)
        .ok_or_else(|| Problem::unknown("error number", text, &mut names::error_names()))?;
    spec.exec.system_call_errno = Some(number).filter(|number| *number != CallFilter::KILL);
    Ok(())
}

pub(super) fn set_architectures(
    spec: &mut Spec,
    text: &str,
    reading: &mut Reading<'_>,
) -> Result<(), Problem> {
    for word in text.split_ascii_whitespace() {
        let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86-64" };
        if word == "native" || word == own {
            spec.exec.system_call_architectures = Some(Architectures::Native);
        } else {
            let message = format!("\"{word}\" is dropped: only native system calls can be allowed");
            reading.problems.push(Problem::value(message));
        }
    }
    Ok(())
}

pub(super) fn set_health(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    let Some(health) = health(text) else {
        let mut problem = Problem::value("not an address to listen on");
        if text.starts_with("localhost:") {
            problem.message = "an address must be numeric".into();
            problem.suggestion = Some(text.replacen("localhost", "127.0.0.1", 1));
        }
        return Err(problem);
    };
    spec.ours.health = health;
    Ok(())
}

/// The value of `Health=`: a boolean, a port with or without `:` before it, or an address and a port.
pub fn health(text: &str) -> Option<Health> {
    let port = text.strip_prefix(':').unwrap_or(text);
    match (quantity::boolean(text), port.bytes().all(|b| b.is_ascii_digit())) {
        (Some(true), _) => Some(Health::On(Health::DEFAULT)),
        (Some(false), _) => Some(Health::Off),
        (None, true) => Some(Health::On(SocketAddr::new(Health::DEFAULT.ip(), port.parse().ok()?))),
        (None, false) => text.parse().ok().map(Health::On),
    }
}

pub(super) fn show_health(spec: &Spec) -> Vec<String> {
    match &spec.ours.health {
        Health::Default => Vec::new(),
        Health::Off => vec!["off".to_owned()],
        Health::On(address) => vec![address.to_string()],
    }
}

pub(super) fn set_stop_signals(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    let mut signals = BTreeSet::new();
    for word in text.split_ascii_whitespace() {
        signals.insert(names::signal(word)?);
    }
    spec.ours.stop_signals = signals;
    Ok(())
}

pub(super) fn reset_stop_signals(spec: &mut Spec, default: &Spec) {
    spec.ours.stop_signals.clone_from(&default.ours.stop_signals);
}

pub(super) fn set_exit_map(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    let mut map = spec.ours.exit_status_map.clone();
    for word in text.split_ascii_whitespace() {
        let (from, to) = word.split_once(':').ok_or(Problem::value(format!("\"{word}\" is not FROM:TO")))?;
        // A signal is at most 64, so that the sum is at most 192.
        let killed = |name: &str| Signal::parse(name).map(|signal| 128 + signal.number() as u8);
        match (names::exit_status(from).or_else(|| killed(from)), names::exit_status(to)) {
            (Some(from), Some(to)) => map.insert(from, to),
            (None, _) => {
                return Err(Problem::unknown("exit status", from, &mut status::names()));
            }
            (_, None) => return Err(Problem::unknown("exit status", to, &mut status::names())),
        };
    }
    spec.ours.exit_status_map = map;
    Ok(())
}

pub(super) fn show_exit_map(spec: &Spec) -> Vec<String> {
    joined(spec.ours.exit_status_map.iter().map(|(from, to)| format!("{from}:{to}")))
}
