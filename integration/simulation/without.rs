//! What a story is told without, so that a failing one can be made shorter.

/// A set of the constants below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without(pub u32);

/// No process has children.
pub const CHILDREN: u32 = 1;
/// Nobody sends readiness messages.
pub const NOTIFY: u32 = 2;
/// PID 1 gets no signal but the one that ends the story.
pub const SIGNALS: u32 = 4;
/// ExecStart= is the only command.
pub const COMMANDS: u32 = 8;
/// One essential unit.
pub const UNITS: u32 = 16;
/// Every spawn succeeds.
pub const FAILURES: u32 = 32;
/// Nobody is ever late.
pub const LAG: u32 = 64;
/// No process stops itself, and none hangs in the kernel.
pub const STOPS: u32 = 128;
/// Nothing restarts.
pub const RESTART: u32 = 256;
/// Nobody knocks, and nothing is told twice.
pub const EXTRAS: u32 = 512;

/// Nobody asks anything of a unit but to start it, once.
pub const REQUESTS: u32 = 1024;
/// No unit has to do with another.
pub const RELATIONS: u32 = 2048;

const NAMES: [(u32, &str); 12] = [
    (CHILDREN, "children"),
    (NOTIFY, "notify"),
    (SIGNALS, "signals"),
    (COMMANDS, "commands"),
    (UNITS, "units"),
    (FAILURES, "failures"),
    (LAG, "lag"),
    (STOPS, "stops"),
    (RESTART, "restart"),
    (EXTRAS, "extras"),
    (REQUESTS, "requests"),
    (RELATIONS, "relations"),
];

impl Without {
    /// Whether it is left out.
    pub fn has(self, what: u32) -> bool {
        self.0 & what != 0
    }

    /// Each of these with one thing more left out.
    pub fn less(self) -> impl Iterator<Item = Without> {
        NAMES.iter().filter(move |(bit, _)| !self.has(*bit)).map(move |(bit, _)| Without(self.0 | bit))
    }

    /// As `TINYSVC_WITHOUT` has it: names with commas.
    pub fn parse(text: &str) -> Without {
        let bit = |word| NAMES.iter().find(|(_, name)| *name == word).map_or(0, |(bit, _)| *bit);
        Without(text.split(',').fold(0, |set, word| set | bit(word)))
    }
}

impl std::fmt::Display for Without {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}
