//! Reads and shows the directives of a service's life that have a syntax of their own: its type, its PID file, the
//! names of other units.
#![forbid(unsafe_code)]

use super::complaint::Problem;
use super::directive::Reading;
use super::spec::{Spec, Type};
use super::specifier;
use super::value::{names, quantity};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

const TYPES: [Type; 8] = [
    Type::Simple,
    Type::Exec,
    Type::Forking,
    Type::Oneshot,
    Type::Dbus,
    Type::Notify,
    Type::NotifyReload,
    Type::Idle,
];

pub(super) fn set_type(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    let Some(kind) = TYPES.into_iter().find(|kind| kind.word() == text) else {
        return Err(Problem::unknown("type", text, &mut TYPES.iter().map(|kind| kind.word())));
    };
    if kind == Type::Dbus {
        let why = "Type=dbus is treated as simple: there is no bus whose name could be waited for";
        reading.problems.push(Problem::remark(why));
    }
    (spec.service.kind, spec.service.kind_given) = (kind, true);
    Ok(())
}

pub(super) fn show_type(spec: &Spec) -> Vec<String> {
    vec![spec.service.kind.word().to_owned()]
}

pub(super) fn reset_type(spec: &mut Spec, default: &Spec) {
    (spec.service.kind, spec.service.kind_given) = (default.service.kind, false);
}

pub(super) fn set_timeout_start(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    spec.service.timeout_start = quantity::span(text)?;
    spec.service.timeout_start_given = true;
    Ok(())
}

pub(super) fn show_timeout_start(spec: &Spec) -> Vec<String> {
    vec![spec.service.timeout_start.to_string()]
}

pub(super) fn reset_timeout_start(spec: &mut Spec, default: &Spec) {
    spec.service.timeout_start = default.service.timeout_start;
    spec.service.timeout_start_given = false;
}

pub(super) fn set_restart_signal(spec: &mut Spec, text: &str, _: &mut Reading<'_>) -> Result<(), Problem> {
    spec.kill.restart_signal = Some(names::signal(text)?);
    Ok(())
}

pub(super) fn show_restart_signal(spec: &Spec) -> Vec<String> {
    spec.kill.restart_signal.iter().map(|signal| signal.to_string()).collect()
}

/// A path; one that is not absolute lies below `/run`.
pub(super) fn set_pid_file(spec: &mut Spec, text: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    let mut path = specifier::expand(text.as_bytes(), reading.unit, &mut reading.problems)?;
    if path.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return Err(Problem::value("the path contains \"..\""));
    }
    if path.iter().any(|byte| *byte == 0 || *byte == b'"' || byte.is_ascii_whitespace()) {
        return Err(Problem::value("not a path"));
    }
    if path.first() != Some(&b'/') {
        path.splice(0..0, *b"/run/");
    }
    spec.service.pid_file = Some(OsString::from_vec(path));
    Ok(())
}

pub(super) fn show_pid_file(spec: &Spec) -> Vec<String> {
    spec.service.pid_file.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}
