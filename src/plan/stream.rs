//! Where standard input, output and error lead.
#![forbid(unsafe_code)]

use super::compile::{Draft, Enforcement, Manner, PlanError, c_string};
use super::{Session, Stream};
use crate::unit::spec::{Claim, Input, Opening, Output, Status, status};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// `TTYPath=` where it is not given.
const CONSOLE: &str = "/dev/console";

/// Plans the three streams, and the session if one of them asks for the terminal.
pub(super) fn plan(draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let exec = draft.exec;
    let unit = draft.surroundings.manner == Manner::Unit;
    if !unit
        && exec.standard_input_data.is_empty()
        && (&exec.standard_input, &exec.standard_output, &exec.standard_error) == (&None, &None, &None)
    {
        return Ok(());
    }
    let terminal = || c_string(exec.tty_path.as_deref().unwrap_or(OsStr::new(CONSOLE)).as_bytes());
    let data = || Stream::Data(exec.standard_input_data.clone());

    // A file that is read and written is opened once, for both.
    let read_and_written = match (&exec.standard_input, &exec.standard_output, &exec.standard_error) {
        (Some(Input::File(file)), output, error) => {
            let is_it =
                |output: &Option<Output>| matches!(output, Some(Output::File(path, _)) if path == file);
            is_it(output) || is_it(error)
        }
        _ => false,
    };
    let mut shared = false;
    let input = match &exec.standard_input {
        None if !exec.standard_input_data.is_empty() => data(),
        None if unit => Stream::Null,
        None => Stream::Keep,
        Some(Input::Null) => Stream::Null,
        Some(Input::Data) => data(),
        Some(Input::File(path)) => {
            let path = c_string(path.as_bytes())?;
            let write = read_and_written.then_some(Opening::Overwrite);
            Stream::File { path, read: true, write }
        }
        Some(Input::Named(name)) => {
            shared = true;
            draft.named(name, "stdin", status::STDIN)?
        }
        Some(Input::Terminal(claim)) => {
            shared = true;
            draft.plan.session = match claim {
                Claim::Ask => Session::NewWithTerminal,
                Claim::Force => Session::NewTakingTerminal,
                Claim::Demand => Session::NewOnlyWithTerminal,
            };
            Stream::File { path: terminal()?, read: true, write: Some(Opening::Overwrite) }
        }
    };
    let file = |path: &OsString, how: Opening| -> Result<Stream, PlanError> {
        if read_and_written && matches!(&exec.standard_input, Some(Input::File(input)) if input == path) {
            return Ok(Stream::Copy(0));
        }
        Ok(Stream::File { path: c_string(path.as_bytes())?, read: false, write: Some(how) })
    };
    let to_terminal = || -> Result<Stream, PlanError> {
        match exec.standard_input {
            Some(Input::Terminal(_)) => Ok(Stream::Copy(0)),
            _ => Ok(Stream::File { path: terminal()?, read: true, write: Some(Opening::Overwrite) }),
        }
    };
    let output = match &exec.standard_output {
        Some(Output::Inherit) if shared => Stream::Copy(0),
        None | Some(Output::Inherit | Output::Container) => Stream::Keep,
        Some(Output::Null) => Stream::Null,
        Some(Output::Terminal) => to_terminal()?,
        Some(Output::File(path, how)) => file(path, *how)?,
        Some(Output::Named(name)) => draft.named(name, "stdout", status::STDOUT)?,
    };
    let error = match (&exec.standard_error, &exec.standard_output) {
        (None | Some(Output::Inherit), _) if output == Stream::Keep => Stream::Keep,
        (None | Some(Output::Inherit), _) => Stream::Copy(1),
        (Some(Output::Container), _) => Stream::Keep,
        (Some(Output::Null), _) => Stream::Null,
        (Some(Output::Terminal), _) => to_terminal()?,
        // One file, one place in it.
        (Some(error @ Output::File(..)), Some(output)) if error == output => Stream::Copy(1),
        (Some(Output::File(path, how)), _) => file(path, *how)?,
        (Some(Output::Named(name)), _) => draft.named(name, "stderr", status::STDERR)?,
    };
    draft.plan.streams = [input, output, error];
    for (directive, given) in [
        ("StandardInput", exec.standard_input.is_some()),
        ("StandardOutput", exec.standard_output.is_some()),
        ("StandardError", exec.standard_error.is_some()),
    ] {
        if given {
            draft.held(directive, Enforcement::Kernel);
        }
    }
    Ok(())
}

impl Draft<'_> {
    /// The descriptor of `fd:NAME`.
    fn named(&self, name: &Option<String>, default: &str, status: Status) -> Result<Stream, PlanError> {
        let name = name.as_deref().unwrap_or(default);
        let found = self.surroundings.named.iter().find(|(known, _)| known == name);
        let missing =
            || PlanError { status, message: format!("fd:{name}: no descriptor of that name was passed") };
        found.map(|(_, number)| Stream::Copy(*number)).ok_or_else(missing)
    }
}
