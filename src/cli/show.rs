//! `tinysvc show`: the settings in effect and where each comes from, as a unit file that reads back.
#![forbid(unsafe_code)]

use super::help::{self, refuse};
use super::run;
use crate::unit::complaint::{Origin, Severity};
use crate::unit::layers::Loaded;
use crate::unit::syntax::Section;
use crate::unit::table::DIRECTIVES;
use std::ffi::OsString;
use std::io::Write;

/// Runs `tinysvc show`; `args` is what stands behind it. Returns the exit status: 0, or what a start would
/// refuse with.
pub fn main(args: &[OsString]) -> u8 {
    let request = match run::parse_for_show(args) {
        Ok(request) => request,
        Err(usage) => return refuse(&usage.to_string()),
    };
    if let Some(ask) = request.ask {
        return help::answer(ask);
    }
    let environment: Vec<_> = std::env::vars_os().collect();
    let setup = run::load(&request, &environment);
    let status = help::print(&page(&setup.loaded, request.all));
    for complaint in setup.loaded.complaints.iter().filter(|c| c.severity >= Severity::Warning) {
        // If standard error is gone, there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "tinysvc: {complaint}");
    }
    setup.refusal().unwrap_or(status)
}

/// The page: each setting below a comment that says where it comes from, unless that is the line before's
/// too.
pub fn page(loaded: &Loaded, all: bool) -> String {
    let mut out = format!("# {}\n", loaded.spec.name);
    for section in Section::ALL {
        let mut last = None;
        for row in DIRECTIVES.iter().filter(|row| row.section == section) {
            let given = loaded.origins.iter().find(|(name, _)| *name == row.name).map(|(_, origin)| origin);
            // What is short for others shows as these.
            if row.stands_for() != [row.name] || (given.is_none() && !all) {
                continue;
            }
            let origin = given.unwrap_or(&Origin::Default);
            let values = row.show(&loaded.spec);
            if last.is_none() {
                out.push_str(&format!("\n[{}]\n", section.name()));
            }
            if last != Some(origin) {
                out.push_str(&format!("# {}\n", origin.to_string().replace(char::is_control, "?")));
                last = Some(origin);
            }
            match (values.is_empty(), given) {
                // Emptied on purpose, which a reader of the page should see.
                (true, Some(_)) => out.push_str(&format!("{}=\n", row.name)),
                (true, None) => out.push_str(&format!("#{}=\n", row.name)),
                (false, _) => {
                    values.iter().for_each(|value| out.push_str(&format!("{}={value}\n", row.name)))
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::layers::{self, Layers};

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn setup(words: &[&str]) -> run::Setup {
        let environment = [("TINYSVC_TIMEOUT_SEC".into(), "5".into())];
        run::load(&run::parse_for_show(&os(words)).unwrap(), &environment)
    }

    #[test]
    fn the_page_says_where_each_setting_comes_from() {
        let words = [
            "-p",
            "Environment=\"A=b c\" D=%%",
            "-p",
            "Nice=5",
            "-p",
            "User=",
            "-g",
            "--",
            "/bin/app",
            "x y",
            "100%",
        ];
        let expected = "# app.service

[Service]
# command line
ExecStart=/bin/app \"x y\" 100%%
# TINYSVC_TIMEOUT_SEC=5
TimeoutStartSec=5s
TimeoutStopSec=5s
# -p Environment=\"A=b c\" D=%%
Environment=\"A=b c\"
Environment=D=%%
# -p User=
User=
# -p Nice=5
Nice=5

[X-Tinysvc]
# -g
SignalTarget=group
";
        assert_eq!(page(&setup(&words).loaded, false), expected);
    }

    #[test]
    fn the_page_reads_back_as_the_same_settings() {
        let words = [
            "--all",
            "-r",
            "on-failure",
            "-p",
            "CapabilityBoundingSet=",
            "-p",
            "RestrictAddressFamilies=none",
            "-p",
            "Health=off",
            "-p",
            "ExecStop=-/bin/x \\; '$A' ; !/bin/y",
            "/bin/app",
            "it's",
            "100%",
            "\u{e9}\n",
        ];
        let first = setup(&words).loaded;
        let path = std::env::temp_dir().join(format!("tinysvc-show-{}.service", std::process::id()));
        std::fs::write(&path, page(&first, true)).unwrap();
        let empty: &[OsString] = &[];
        let layers =
            Layers { name: "", unit_file: Some(&path), environment: &[], flags: &[], command: empty };
        let again = layers::load(&layers);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(again.complaints, []);
        let mut spec = again.spec;
        spec.name.clone_from(&first.spec.name);
        // A unit file has no way to say that a program came from the command line, or that nothing is to be
        // replaced where nothing can be.
        for command in spec.service.commands.entry(crate::unit::spec::ExecKind::Start).or_default() {
            (command.from_command_line, command.expand) = (true, false);
        }
        // Nor that a setting is only the default.
        spec.service.kind_given = first.spec.service.kind_given;
        assert_eq!(spec, first.spec);
    }
}
