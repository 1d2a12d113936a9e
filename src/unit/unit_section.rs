//! `[Unit]` and `[Install]`: reads the directives that land in [`UnitSpec`].
//!
//! They are many and of few kinds, so they stand in the table by name only and are read here, where a name says
//! the kind. An empty value empties lists, but not relations, which systemd has no way to take back.
#![forbid(unsafe_code)]

use super::complaint::{Problem, Weight, shortened};
use super::directive::Reading;
use super::name;
use super::spec::condition::{Condition, ConditionKind, PathIs, Switch, Thing};
use super::spec::{Relation, UnitSpec};
use super::specifier;
use super::value::quantity;
use super::words::{Rules, next};

/// Puts a value into the spec; `None` if the directive is not one of these.
///
/// The error in it is a value that means nothing; the spec is then as before.
pub fn set(
    spec: &mut UnitSpec,
    directive: &str,
    value: &str,
    reading: &mut Reading<'_>,
) -> Option<Result<(), Problem>> {
    let install = &mut spec.install;
    let list = match directive {
        "Documentation" => &mut spec.documentation,
        "WantedBy" => &mut install.wanted_by,
        "RequiredBy" => &mut install.required_by,
        "UpheldBy" => &mut install.upheld_by,
        "Alias" => &mut install.alias,
        "Also" => &mut install.also,
        "RequiresMountsFor" => &mut spec.requires_mounts_for,
        "WantsMountsFor" => &mut spec.wants_mounts_for,
        _ => return set_one(spec, directive, value, reading),
    };
    if value.is_empty() {
        list.clear();
    }
    let fits: fn(&str) -> bool = match directive {
        "Documentation" => |text| {
            ["http://", "https://", "file:/", "info:", "man:"].iter().any(|scheme| text.starts_with(scheme))
        },
        "RequiresMountsFor" | "WantsMountsFor" => |text| text.starts_with('/'),
        _ => |text| name::kind(text).is_some(),
    };
    each_word(value, reading, |word, reading| {
        if fits(&word) {
            list.push(word);
        } else {
            let word = shortened(&word);
            reading.problems.push(Problem::value(match directive {
                "Documentation" => format!("\"{word}\" is no URI of a documentation and is ignored"),
                "RequiresMountsFor" | "WantsMountsFor" => {
                    format!("\"{word}\" is no absolute path and is ignored")
                }
                _ => format!("\"{word}\" is no name of a unit and is ignored"),
            }));
        }
    });
    Some(Ok(()))
}

fn set_one(
    spec: &mut UnitSpec,
    directive: &str,
    value: &str,
    reading: &mut Reading<'_>,
) -> Option<Result<(), Problem>> {
    if let Some((_, relation)) = Relation::ALL.iter().find(|(name, _)| *name == directive) {
        relate(spec, *relation, value, reading);
        return Some(Ok(()));
    }
    let default = UnitSpec::default();
    let (flag, default) = match directive {
        "DefaultDependencies" => (&mut spec.default_dependencies, default.default_dependencies),
        "StopWhenUnneeded" => (&mut spec.stop_when_unneeded, false),
        "RefuseManualStart" => (&mut spec.refuse_manual_start, false),
        "RefuseManualStop" => (&mut spec.refuse_manual_stop, false),
        "AllowIsolate" => (&mut spec.allow_isolate, false),
        "IgnoreOnIsolate" => (&mut spec.ignore_on_isolate, false),
        "Description" => return Some(set_text(&mut spec.description, value, reading)),
        "DefaultInstance" => return Some(set_text(&mut spec.install.default_instance, value, reading)),
        _ => return set_condition(spec, directive, value, reading),
    };
    let read = if value.is_empty() { Some(default) } else { quantity::boolean(value) };
    Some(read.map(|read| *flag = read).ok_or(Problem::value("not a boolean")))
}

fn set_text(text: &mut Option<String>, value: &str, reading: &mut Reading<'_>) -> Result<(), Problem> {
    let expanded = specifier::expand_text(value, reading.unit, &mut reading.problems).map_err(lighter)?;
    *text = Some(expanded).filter(|text| !text.is_empty());
    Ok(())
}

/// Outside of `Exec*=` a specifier that does not exist costs one value, not the unit.
fn lighter(problem: Problem) -> Problem {
    Problem { weight: Weight::Value, ..problem }
}

/// Calls `each` with every word of the value that can be read.
pub fn each_word(value: &str, reading: &mut Reading<'_>, mut each: impl FnMut(String, &mut Reading<'_>)) {
    let mut rest = value.as_bytes();
    loop {
        // A backslash is part of a unit's name, so no escape is one here.
        let word = match next(&mut rest, Rules::NAME) {
            Ok(Some(word)) => word,
            Ok(None) => return,
            Err(bad) => return reading.problems.push(Problem::value(bad.text())),
        };
        let word = String::from_utf8_lossy(&word);
        match specifier::expand_text(&word, reading.unit, &mut reading.problems) {
            Ok(word) => each(word, reading),
            Err(problem) => reading.problems.push(lighter(problem)),
        }
    }
}

fn relate(spec: &mut UnitSpec, relation: Relation, value: &str, reading: &mut Reading<'_>) {
    each_word(value, reading, |word, reading| {
        let own = reading.unit.name;
        // The template of another unit means its instance of the same name as ours.
        let other = if name::is_template(&word) {
            let instance = name::instance(own).filter(|instance| !instance.is_empty());
            name::instantiated(&word, instance.unwrap_or(name::prefix(own)))
        } else {
            word
        };
        if name::kind(&other).is_none() {
            let problem = format!("\"{}\" is no name of a unit and is ignored", shortened(&other));
            reading.problems.push(Problem::value(problem));
        } else if other != own {
            spec.relate(relation, other);
        }
    });
}

/// The kinds of conditions, by what stands behind `Condition` and `Assert`.
const CONDITIONS: [(&str, ConditionKind); 36] = [
    ("Architecture", ConditionKind::Architecture),
    ("Firmware", ConditionKind::Has(Thing::Firmware)),
    ("Virtualization", ConditionKind::Virtualization),
    ("Host", ConditionKind::Host),
    ("KernelCommandLine", ConditionKind::KernelCommandLine),
    ("KernelVersion", ConditionKind::KernelVersion),
    ("Version", ConditionKind::Version),
    ("Credential", ConditionKind::Has(Thing::Credential)),
    ("Environment", ConditionKind::Has(Thing::Variable)),
    ("Security", ConditionKind::Has(Thing::Security)),
    ("Capability", ConditionKind::Has(Thing::Capability)),
    ("ACPower", ConditionKind::Is(Switch::AcPower)),
    ("NeedsUpdate", ConditionKind::Has(Thing::NeedsUpdate)),
    ("FirstBoot", ConditionKind::Is(Switch::FirstBoot)),
    ("PathExists", ConditionKind::Path(PathIs::There)),
    ("PathExistsGlob", ConditionKind::Path(PathIs::ThereByGlob)),
    ("PathIsDirectory", ConditionKind::Path(PathIs::Directory)),
    ("PathIsSymbolicLink", ConditionKind::Path(PathIs::SymbolicLink)),
    ("PathIsMountPoint", ConditionKind::Path(PathIs::MountPoint)),
    ("PathIsReadWrite", ConditionKind::Path(PathIs::ReadWrite)),
    ("PathIsEncrypted", ConditionKind::Path(PathIs::Encrypted)),
    ("PathIsSocket", ConditionKind::Path(PathIs::Socket)),
    ("DirectoryNotEmpty", ConditionKind::Path(PathIs::DirectoryNotEmpty)),
    ("FileNotEmpty", ConditionKind::Path(PathIs::FileNotEmpty)),
    ("FileIsExecutable", ConditionKind::Path(PathIs::FileIsExecutable)),
    ("User", ConditionKind::User),
    ("Group", ConditionKind::Has(Thing::Group)),
    ("ControlGroupController", ConditionKind::ControlGroupController),
    ("Memory", ConditionKind::Memory),
    ("CPUs", ConditionKind::Cpus),
    ("CPUFeature", ConditionKind::Has(Thing::CpuFeature)),
    ("OSRelease", ConditionKind::OsRelease),
    ("MemoryPressure", ConditionKind::Has(Thing::MemoryPressureBelow)),
    ("CPUPressure", ConditionKind::Has(Thing::CpuPressureBelow)),
    ("IOPressure", ConditionKind::Has(Thing::IoPressureBelow)),
    ("KernelModuleLoaded", ConditionKind::Has(Thing::KernelModule)),
];

fn set_condition(
    spec: &mut UnitSpec,
    directive: &str,
    value: &str,
    reading: &mut Reading<'_>,
) -> Option<Result<(), Problem>> {
    let (assert, word) = match directive.strip_prefix("Condition") {
        Some(word) => (false, word),
        None => (true, directive.strip_prefix("Assert")?),
    };
    let (_, kind) = CONDITIONS.iter().find(|(name, _)| *name == word)?;
    if value.is_empty() {
        // One empty condition of any kind takes all of them back.
        spec.conditions.retain(|condition| condition.assert != assert);
        return Some(Ok(()));
    }
    Some(condition(*kind, assert, value, reading).map(|condition| spec.conditions.push(condition)))
}

fn condition(
    kind: ConditionKind,
    assert: bool,
    value: &str,
    reading: &mut Reading<'_>,
) -> Result<Condition, Problem> {
    let (trigger, value) = marked(value, '|');
    let (negate, value) = marked(value, '!');
    let argument = specifier::expand_text(value, reading.unit, &mut reading.problems).map_err(lighter)?;
    if matches!(kind, ConditionKind::Path(_)) && !argument.starts_with('/') {
        return Err(Problem::value("no absolute path, ignored"));
    }
    Ok(Condition { kind, trigger, negate, argument, assert })
}

fn marked(value: &str, mark: char) -> (bool, &str) {
    match value.strip_prefix(mark) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::machine::Machine;
    use crate::unit::specifier::Unit;
    use crate::unit::table::{Found, find};

    /// The spec after these assignments, and what was wrong.
    fn read(unit: &str, lines: &[&str]) -> (UnitSpec, Vec<String>) {
        let machine = Machine::UNKNOWN;
        let unit = Unit { name: unit, path: "", machine: &machine, one_command: false };
        let (mut spec, mut reading) = (UnitSpec::default(), Reading { unit, problems: Vec::new() });
        for line in lines {
            let (name, value) = line.split_once('=').unwrap();
            assert!(matches!(find(name), Some(Found::Other(_))), "{name} is not in the table");
            if let Err(problem) = set(&mut spec, name, value, &mut reading).unwrap() {
                reading.problems.push(problem);
            }
        }
        (spec, reading.problems.into_iter().map(|p| p.message.into_owned()).collect())
    }

    #[test]
    fn relations_are_names_in_the_order_of_reading() {
        let table: [(&str, &str, &[&str], &[&str], usize); 8] = [
            ("one", "a.service", &["After=b.service"], &["b.service"], 0),
            (
                "several",
                "a.service",
                &["After=b.service  c.target", "After=d.socket"],
                &["b.service", "c.target", "d.socket"],
                0,
            ),
            ("twice is once", "a.service", &["After=b.service b.service"], &["b.service"], 0),
            (
                "an empty one takes nothing back",
                "a.service",
                &["After=b.service", "After="],
                &["b.service"],
                0,
            ),
            ("specifiers", "a@x.service", &["After=b@%i.service %p.socket"], &["b@x.service", "a.socket"], 0),
            ("a template means its instance", "a@x.service", &["After=b@.service"], &["b@x.service"], 0),
            ("what is no unit is dropped", "a.service", &["After=b c.service /x"], &["c.service"], 2),
            ("itself is dropped", "a.service", &["After=a.service"], &[], 0),
        ];
        for (why, unit, lines, expected, wrong) in table {
            let (spec, problems) = read(unit, lines);
            let found: Vec<&str> = spec.related(Relation::After).collect();
            assert_eq!((found.as_slice(), problems.len()), (expected, wrong), "{why}");
        }
        let (spec, _) = read("a.service", &["Wants=dev-disk-by\\x2duuid-1.device"]);
        assert_eq!(spec.related(Relation::Wants).collect::<Vec<_>>(), ["dev-disk-by\\x2duuid-1.device"]);
    }

    #[test]
    fn conditions_have_marks_and_one_empty_takes_all_back() {
        let (spec, problems) = read(
            "a@x.service",
            &[
                "ConditionUser=root",
                "ConditionPathExists=",
                "ConditionPathExists=|!/etc/%i",
                "ConditionHost=| ! h",
                "AssertPathIsDirectory=!/etc",
                "ConditionFileNotEmpty=relative",
                "ConditionFileNotEmpty=/%z",
            ],
        );
        let said: Vec<String> = spec
            .conditions
            .iter()
            .map(|c| format!("{:?} {} {} {} {}", c.kind, c.trigger, c.negate, c.argument, c.assert))
            .collect();
        assert_eq!(
            said,
            [
                "Path(There) true true /etc/x false",
                "Host true true h false",
                "Path(Directory) false true /etc true"
            ]
        );
        assert_eq!(problems.len(), 2);
        let (spec, _) = read("a.service", &["AssertUser=x", "ConditionUser=y", "AssertHost="]);
        assert!(spec.conditions.iter().all(|c| !c.assert) && spec.conditions.len() == 1);
    }

    #[test]
    fn every_condition_of_the_manual_can_be_asserted_too() {
        for (word, _) in CONDITIONS {
            let value = if word.starts_with(['P', 'D', 'F']) { "/x" } else { "x" };
            let lines = [format!("Condition{word}={value}"), format!("Assert{word}={value}")];
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let (spec, problems) = read("a.service", &lines);
            assert_eq!((spec.conditions.len(), problems.len()), (2, 0), "{word}");
        }
    }

    #[test]
    fn the_rest_of_the_sections() {
        let (spec, problems) = read(
            "usr-bin@games.service",
            &[
                "Description=d %p %i %I %n",
                "Documentation=man:a(8) https://x nonsense",
                "DefaultDependencies=no",
                "StopWhenUnneeded=perhaps",
                "RequiresMountsFor=/var/%i relative",
                "WantedBy=multi-user.target",
                "WantedBy=",
                "WantedBy=a.target b.target",
                "Alias=b@.service",
                "DefaultInstance=main",
            ],
        );
        assert_eq!(spec.description.as_deref(), Some("d usr-bin games games usr-bin@games.service"));
        assert_eq!(spec.documentation, ["man:a(8)", "https://x"]);
        assert!(!spec.default_dependencies && !spec.stop_when_unneeded);
        assert_eq!(spec.requires_mounts_for, ["/var/games"]);
        assert_eq!(spec.install.wanted_by, ["a.target", "b.target"]);
        assert_eq!(spec.install.alias, ["b@.service"]);
        assert_eq!(spec.install.default_instance.as_deref(), Some("main"));
        assert_eq!(problems.len(), 3);
        let (spec, _) = read("a.service", &["Description=x", "Description="]);
        assert_eq!(spec.description, None);
    }
}
