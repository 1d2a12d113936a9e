//! `[Unit]` and `[Install]`: what a unit is to people and to other units.
//!
//! Relations are kept as they were written, one name each, in the order of reading. What follows from them, and
//! which ones every unit has by default, is the business of whoever orders the jobs.
#![forbid(unsafe_code)]

use super::condition::Condition;

/// systemd.unit(5), but for the start limits, which are a service's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the directive of the same name")]
pub struct UnitSpec {
    pub description: Option<String>,
    pub documentation: Vec<String>,
    /// `After=` and the others, and what the folders `NAME.wants/` and `NAME.requires/` add.
    pub relations: Vec<(Relation, String)>,
    /// `RequiresMountsFor=`: absolute paths.
    pub requires_mounts_for: Vec<String>,
    /// `WantsMountsFor=`: absolute paths.
    pub wants_mounts_for: Vec<String>,
    /// `Condition*=` and `Assert*=`, in the order of reading.
    pub conditions: Vec<Condition>,
    pub default_dependencies: bool,
    pub stop_when_unneeded: bool,
    pub refuse_manual_start: bool,
    pub refuse_manual_stop: bool,
    pub allow_isolate: bool,
    pub ignore_on_isolate: bool,
    /// `[Install]`.
    pub install: Install,
}

impl Default for UnitSpec {
    fn default() -> Self {
        UnitSpec {
            description: None,
            documentation: Vec::new(),
            relations: Vec::new(),
            requires_mounts_for: Vec::new(),
            wants_mounts_for: Vec::new(),
            conditions: Vec::new(),
            default_dependencies: true,
            stop_when_unneeded: false,
            refuse_manual_start: false,
            refuse_manual_stop: false,
            allow_isolate: false,
            ignore_on_isolate: false,
            install: Install::default(),
        }
    }
}

impl UnitSpec {
    /// The names that stand in this relation to the unit, in the order of reading.
    pub fn related(&self, relation: Relation) -> impl Iterator<Item = &str> {
        self.relations.iter().filter(move |(r, _)| *r == relation).map(|(_, name)| name.as_str())
    }

    /// Adds one, unless it is there.
    pub fn relate(&mut self, relation: Relation, name: String) {
        if !self.relations.iter().any(|(r, n)| *r == relation && *n == name) {
            self.relations.push((relation, name));
        }
    }
}

/// What another unit is to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the directive of the same name in systemd.unit(5)")]
pub enum Relation {
    After,
    Before,
    Requires,
    Requisite,
    Wants,
    BindsTo,
    PartOf,
    Upholds,
    Conflicts,
    OnFailure,
    OnSuccess,
    PropagatesReloadTo,
    ReloadPropagatedFrom,
    PropagatesStopTo,
    StopPropagatedFrom,
    JoinsNamespaceOf,
}

impl Relation {
    /// All, by the directive's name.
    pub const ALL: [(&'static str, Relation); 16] = [
        ("After", Relation::After),
        ("Before", Relation::Before),
        ("Requires", Relation::Requires),
        ("Requisite", Relation::Requisite),
        ("Wants", Relation::Wants),
        ("BindsTo", Relation::BindsTo),
        ("PartOf", Relation::PartOf),
        ("Upholds", Relation::Upholds),
        ("Conflicts", Relation::Conflicts),
        ("OnFailure", Relation::OnFailure),
        ("OnSuccess", Relation::OnSuccess),
        ("PropagatesReloadTo", Relation::PropagatesReloadTo),
        ("ReloadPropagatedFrom", Relation::ReloadPropagatedFrom),
        ("PropagatesStopTo", Relation::PropagatesStopTo),
        ("StopPropagatedFrom", Relation::StopPropagatedFrom),
        ("JoinsNamespaceOf", Relation::JoinsNamespaceOf),
    ];

    /// The directive's name.
    pub fn directive(self) -> &'static str {
        Relation::ALL.iter().find(|(_, r)| *r == self).map_or("", |(name, _)| name)
    }
}

/// `[Install]`: what `systemctl enable` would do.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field is the directive of the same name")]
pub struct Install {
    pub wanted_by: Vec<String>,
    pub required_by: Vec<String>,
    pub upheld_by: Vec<String>,
    pub alias: Vec<String>,
    pub also: Vec<String>,
    pub default_instance: Option<String>,
}
