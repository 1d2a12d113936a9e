//! What did the person ask?
#![forbid(unsafe_code)]

use crate::unit::spec::{Command, ExecKind, Privilege, Spec};
use std::ffi::OsString;

pub mod health;

/// Runs what the argument line asks for and returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    let argv: Vec<OsString> = args.into_iter().skip(1).skip_while(|a| a == "--").collect();
    let Some(program) = argv.first().cloned() else { return 64 };
    let mut spec = Spec::for_command("main.service");
    spec.service.commands.insert(
        ExecKind::Start,
        vec![Command {
            program,
            argv,
            ignore_failure: false,
            expand: false,
            privilege: Privilege::Sandboxed,
            from_command_line: true,
        }],
    );
    crate::host::log::init(crate::engine::Level::Warn, crate::host::log::Format::Text);
    crate::host::run(spec)
}
