//! `tinysvc boot`: PID 1 of services that come from unit files.
#![forbid(unsafe_code)]

use super::help::{print, refuse};
use super::run;
use crate::host::manager::{self, Loaded};
use crate::unit::library::{Library, LoadState};
use std::ffi::OsString;
use std::path::Path;

const HELP: &str = "\
tinysvc boot [--stay] [-v] [UNIT]...     be PID 1 of units, from systemd's folders for them

It starts the units that are named, and takes orders: tinysvc start, stop, restart, try-restart, reload,
reload-or-restart, kill, reset-failed, daemon-reload, is-active, is-failed, list, show. SIGTERM stops all.

  --stay      stay when nothing runs, which for now is what it always does
  -v          log what units do; -vv in detail
";

/// Runs it; `args` is what stands behind the word. Returns the exit status.
pub fn main(args: &[OsString]) -> u8 {
    let mut units = Vec::new();
    let mut options: Vec<OsString> = Vec::new();
    for arg in args {
        match arg.to_str() {
            Some("-h" | "--help") => return print(HELP),
            Some("--stay") => {}
            Some(option) if option.starts_with('-') => options.push(arg.clone()),
            Some(unit) => units.push(super::cat::full_name(unit)),
            None => return refuse("boot: the name of a unit is not UTF-8"),
        }
    }
    // The options of the log are those of a command.
    let request = match run::parse(&options) {
        Ok(request) if request.flags.is_empty() && request.unit.is_none() => request,
        Ok(_) => return refuse("boot takes no settings of a command; see tinysvc boot --help"),
        Err(usage) => return refuse(&usage.to_string()),
    };
    let environment: Vec<_> = std::env::vars_os().collect();
    crate::host::log::init(
        request.log_level.unwrap_or(crate::engine::Level::Info),
        request.log_format.unwrap_or_default(),
    );
    manager::run(Box::new(load), &units, environment)
}

/// A unit as its files are now.
fn load(name: &str) -> Loaded {
    let unit = Library::new(Path::new("/")).load(name);
    let problem = match unit.load_state {
        LoadState::Loaded => String::new(),
        LoadState::NotFound => "there is no such unit".to_owned(),
        LoadState::Masked => "the unit is masked".to_owned(),
        LoadState::BadSetting | LoadState::Error => {
            let fatal = unit.complaints.iter().find(|complaint| complaint.fatal());
            fatal.or(unit.complaints.first()).map_or("it cannot be used".to_owned(), ToString::to_string)
        }
    };
    for complaint in &unit.complaints {
        log::debug!("{complaint}");
    }
    Loaded { spec: unit.spec, load_state: unit.load_state.word(), problem, aliases: unit.aliases }
}
