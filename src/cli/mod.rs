//! What did the person ask?
//!
//! The one binary answers to several names and words. Which one is meant is decided here, and nowhere else;
//! each has a file of its own. The way of one supervised command is kept short: it is what containers start with.
#![forbid(unsafe_code)]

mod catatonit;
mod dropin;
mod dumb_init;
pub mod health;
mod help;
mod run;
mod show;
mod tini;

use crate::engine::exit_code;
use crate::host;
use crate::roles;
use crate::unit::complaint::Severity;
use crate::unit::spec::ExecKind;
use log::{debug, error, warn};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Runs what the argument line asks for and returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    if let Some(run) = args.first().and_then(|name| dropin::personality(name)) {
        return run(args);
    }
    let Some((called, rest)) = args.split_first() else { return exit_code::USAGE };
    let name = called.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
    if name == host::HEALTH_ROLE.as_bytes() {
        host::hold_standard_descriptors();
        host::log::init_role(rest);
        return roles::health::main_on_stdio();
    }
    match rest.first().map(|word| word.as_bytes()) {
        Some(b"help") => help::main(rest.get(1..).unwrap_or_default()),
        Some(b"show") => show::main(rest.get(1..).unwrap_or_default()),
        Some(b"health") => health::main(rest.get(1..).unwrap_or_default().to_vec()),
        _ => supervise(called, rest),
    }
}

/// `tinysvc [OPTIONS] [--] PROGRAM [ARG]...`
fn supervise(called: &OsStr, args: &[OsString]) -> u8 {
    let request = match run::parse(args) {
        Ok(request) => request,
        Err(usage) => return help::refuse(&usage.to_string()),
    };
    if let Some(ask) = request.ask {
        return help::answer(ask);
    }
    let environment: Vec<_> = std::env::vars_os().collect();
    let setup = run::load(&request, &environment);
    host::log::init(setup.log_level, setup.log_format);
    for complaint in &setup.loaded.complaints {
        match complaint.severity {
            Severity::Error => error!("{complaint}"),
            Severity::Warning => warn!("{complaint}"),
            Severity::Note => debug!("{complaint}"),
        }
    }
    if let Some(status) = setup.refusal() {
        return status;
    }
    if setup.loaded.spec.service.commands(ExecKind::Start).is_empty() {
        return help::refuse("no program to run: tinysvc [OPTIONS] -- PROGRAM [ARG]...; see tinysvc --help");
    }
    host::run(setup.loaded.spec, environment, called)
}
