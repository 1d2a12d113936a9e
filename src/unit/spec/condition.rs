//! `Condition*=` and `Assert*=` of systemd.unit(5), and what they come to in a given world.
//!
//! Pure: what must be asked of the system is asked of a [`World`], which the host implements and a test makes up.
//! Each condition is met, not met, or cannot be told; what cannot be told counts as not met, even behind a `!`.
//! Without `|` all must be met; of those with `|` one is enough.
#![forbid(unsafe_code)]

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What is asked.
    pub kind: ConditionKind,
    /// `|`: one of these is enough.
    pub trigger: bool,
    /// `!`: it must not be so.
    pub negate: bool,
    /// What it is asked of.
    pub argument: String,
    /// It is an `Assert*=`: the start fails, where after an unmet condition it does nothing.
    pub assert: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the directive Condition* of the same name in systemd.unit(5)")]
pub enum ConditionKind {
    Path(PathIs),
    Has(Thing),
    Is(Switch),
    Architecture,
    Virtualization,
    Host,
    KernelCommandLine,
    KernelVersion,
    Version,
    User,
    OsRelease,
    ControlGroupController,
    Memory,
    Cpus,
}

/// What a path is, each as the `ConditionPath…=` of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a directive of systemd.unit(5)")]
pub enum PathIs {
    There,
    /// The path is a pattern of glob(7), and something matches.
    ThereByGlob,
    Directory,
    SymbolicLink,
    MountPoint,
    ReadWrite,
    Encrypted,
    Socket,
    DirectoryNotEmpty,
    FileNotEmpty,
    FileIsExecutable,
}

/// Something that is there by name or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// In the bounding set, by its name with or without `CAP_`.
    Capability,
    /// A security technology in use: `selinux`, `apparmor`, ….
    Security,
    /// A variable of the manager: `NAME`, or `NAME=VALUE`.
    Variable,
    /// A credential of the manager.
    Credential,
    /// A group of the manager, by name or number.
    Group,
    /// A folder, `/etc` or `/var`, that is older than `/usr`.
    NeedsUpdate,
    /// A feature of the processor.
    CpuFeature,
    /// A module of the kernel, loaded or built in.
    KernelModule,
    /// A firmware: `uefi`, `device-tree`, ….
    Firmware,
    /// Pressure below a limit such as `10%/5min`.
    MemoryPressureBelow,
    /// As before, for the processor.
    CpuPressureBelow,
    /// As before, for input and output.
    IoPressureBelow,
}

/// Something that is so or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the directive Condition* of the same name in systemd.unit(5)")]
pub enum Switch {
    FirstBoot,
    AcPower,
}

/// A text that conditions are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// systemd's word for where we are: `docker`, `podman`, `kvm`, `none`.
    Virtualization,
    /// `yes` if there is a user namespace of its own.
    PrivateUsers,
    /// The host name.
    HostName,
    /// 32 digits.
    MachineId,
    /// The words that the kernel was booted with, or what a container was given in their place.
    KernelCommandLine,
    /// `uname -r`.
    KernelRelease,
    /// systemd's word for the processor.
    Architecture,
    /// The manager's user by name.
    UserName,
}

/// A number that conditions are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Bytes of memory that we may use.
    Memory,
    /// Processors that we may run on.
    Cpus,
    /// The manager's user.
    Uid,
}

/// What must be asked of the system. `None` is: it cannot be told.
pub trait World {
    /// Whether a path is that.
    fn path(&self, is: PathIs, path: &str) -> Option<bool>;
    /// Whether a thing is there.
    fn has(&self, thing: Thing, name: &str) -> Option<bool>;
    /// Whether it is so.
    fn is(&self, switch: Switch) -> Option<bool>;
    /// A text.
    fn text(&self, of: Text) -> Option<String>;
    /// A number.
    fn number(&self, of: Number) -> Option<u64>;
    /// A field of os-release(5), empty if it is not there.
    fn os_release(&self, field: &str) -> Option<String>;
    /// Whether a controller of the control groups can be used; `v1` and `v2` ask for the hierarchy.
    fn controller(&self, name: &str) -> Option<bool>;
}

/// What all conditions together come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Go on.
    Met,
    /// Do nothing, which is no failure: the condition that is not met, or the last one of those of which none is.
    Unmet(&'a Condition),
    /// Refuse: the same for an assertion. Assertions are not looked at where a condition is not met.
    AssertionFailed(&'a Condition),
}

/// Asks the world about all conditions, and then about all assertions.
pub fn evaluate<'a>(conditions: &'a [Condition], world: &dyn World) -> Verdict<'a> {
    if let Some(unmet) = first_unmet(conditions, false, world) {
        return Verdict::Unmet(unmet);
    }
    match first_unmet(conditions, true, world) {
        Some(unmet) => Verdict::AssertionFailed(unmet),
        None => Verdict::Met,
    }
}

fn first_unmet<'a>(conditions: &'a [Condition], assert: bool, world: &dyn World) -> Option<&'a Condition> {
    let mut untriggered = None;
    let mut triggered = false;
    for condition in conditions.iter().filter(|c| c.assert == assert) {
        let met = holds(condition, world).is_some_and(|holds| holds != condition.negate);
        if condition.trigger {
            triggered |= met;
            untriggered = Some(condition);
        } else if !met {
            return Some(condition);
        }
    }
    untriggered.filter(|_| !triggered)
}

/// Whether it is so, `!` and `|` aside.
fn holds(condition: &Condition, world: &dyn World) -> Option<bool> {
    let argument = condition.argument.as_str();
    match condition.kind {
        ConditionKind::Path(is) => world.path(is, argument),
        ConditionKind::Has(thing) => world.has(thing, argument),
        ConditionKind::Is(switch) => Some(world.is(switch)? == boolean(argument)?),
        ConditionKind::Architecture => {
            Some(argument == "native" || world.text(Text::Architecture)? == argument)
        }
        ConditionKind::Virtualization => virtualization(argument, world),
        ConditionKind::Host => host(argument, world),
        ConditionKind::KernelCommandLine => {
            let line = world.text(Text::KernelCommandLine)?;
            Some(line.split_ascii_whitespace().any(|word| word_is(word, argument)))
        }
        ConditionKind::KernelVersion => versions(argument, &world.text(Text::KernelRelease)?),
        ConditionKind::Version => {
            let (of, versions_wanted) = argument.split_once([' ', '\t']).unwrap_or(("", argument));
            match of {
                // What we stand in for.
                "systemd" => versions(versions_wanted, "257"),
                "kernel" => versions(versions_wanted, &world.text(Text::KernelRelease)?),
                _ if of.starts_with(|c: char| c.is_ascii_alphabetic()) => None,
                _ => versions(argument, &world.text(Text::KernelRelease)?),
            }
        }
        ConditionKind::User => user(argument, world),
        ConditionKind::OsRelease => os_release(argument, world),
        ConditionKind::ControlGroupController => {
            let mut words = argument.split_ascii_whitespace();
            words.try_fold(true, |all, name| Some(all && world.controller(name)?))
        }
        ConditionKind::Memory => at_least(argument, world.number(Number::Memory)?),
        ConditionKind::Cpus => at_least(argument, world.number(Number::Cpus)?),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// `name` is there alone or with a value; `name=value` only so.
fn word_is(word: &str, wanted: &str) -> bool {
    word == wanted || (!wanted.contains('=') && word.split_once('=').is_some_and(|(name, _)| name == wanted))
}

/// systemd's words for containers; every other is a machine.
const CONTAINERS: [&str; 12] = [
    "container-other",
    "docker",
    "lxc",
    "lxc-libvirt",
    "openvz",
    "podman",
    "pouch",
    "proot",
    "rkt",
    "systemd-nspawn",
    "wsl",
    "kubernetes",
];

fn virtualization(argument: &str, world: &dyn World) -> Option<bool> {
    if argument == "private-users" {
        return world.text(Text::PrivateUsers).map(|text| text == "yes");
    }
    let found = world.text(Text::Virtualization)?;
    let (any, container) = (found != "none", CONTAINERS.contains(&found.as_str()));
    Some(match (boolean(argument), argument) {
        (Some(wanted), _) => wanted == any,
        (None, "container") => container,
        (None, "vm") => any && !container,
        (None, word) => any && word == found,
    })
}

fn host(argument: &str, world: &dyn World) -> Option<bool> {
    let id: String = argument.chars().filter(|c| *c != '-').collect();
    if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return world.text(Text::MachineId).map(|own| own.eq_ignore_ascii_case(&id));
    }
    let name = world.text(Text::HostName)?;
    Some(matches(&argument.to_ascii_lowercase(), &name.to_ascii_lowercase()))
}

fn user(argument: &str, world: &dyn World) -> Option<bool> {
    let own = world.number(Number::Uid)?;
    if let Ok(number) = argument.parse::<u64>() {
        return Some(number == own);
    }
    if argument == "@system" {
        // systemd's SYSTEM_UID_MAX, and nobody.
        return Some(own <= 999 || own == 65534);
    }
    world.text(Text::UserName).map(|name| name == argument)
}

/// Comparisons, longest first.
const OPERATORS: [&str; 11] = ["!$=", "$=", "<=", ">=", "!=", "==", "<>", "<", ">", "=", "*"];

/// The operator that the text begins with, and what follows it. `*` is no operator: it ends the list.
fn operator(text: &str) -> Option<(&'static str, &str)> {
    let found = OPERATORS.iter().find(|op| **op != "*" && text.starts_with(**op))?;
    Some((found, text.get(found.len()..)?.trim_start()))
}

fn compare(operator: &str, order: std::cmp::Ordering) -> bool {
    match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "!=" | "<>" => order.is_ne(),
        _ => order.is_eq(),
    }
}

/// A size or a count, with an operator before it; without one it is the least.
fn at_least(argument: &str, found: u64) -> Option<bool> {
    let (op, text) = operator(argument).unwrap_or((">=", argument));
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit.trim() {
        "" | "B" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        _ => return None,
    };
    let wanted = number.parse::<u64>().ok()?.checked_mul(1 << (10 * unit))?;
    Some(compare(op, found.cmp(&wanted)))
}

/// Words such as `>=5.4` or `6.1.*`, all of which must fit. White space may follow an operator.
fn versions(argument: &str, found: &str) -> Option<bool> {
    let mut words = argument.split_ascii_whitespace();
    let mut all = None;
    while let Some(word) = words.next() {
        let fits = match operator(word) {
            Some((op, rest)) => {
                let wanted = if rest.is_empty() { words.next()? } else { rest };
                version_fits(op, found, wanted)
            }
            None => matches(word, found),
        };
        all = Some(all.unwrap_or(true) && fits);
    }
    all
}

fn version_fits(op: &str, found: &str, wanted: &str) -> bool {
    match op {
        "$=" => matches(wanted, found),
        "!$=" => !matches(wanted, found),
        op => compare(op, version_order(found, wanted)),
    }
}

/// Words such as `ID=debian` or `VERSION_ID>=12`, all of which must fit. `=` and `!=` compare text.
fn os_release(argument: &str, world: &dyn World) -> Option<bool> {
    let mut all = None;
    for word in argument.split_ascii_whitespace() {
        let at = word.find(['!', '$', '<', '>', '='])?;
        let (field, rest) = word.split_at_checked(at)?;
        let (op, wanted) = operator(rest)?;
        let found = world.os_release(field)?;
        let fits = match op {
            "=" => found == wanted,
            "!=" => found != wanted,
            op => version_fits(op, &found, wanted),
        };
        all = Some(all.unwrap_or(true) && fits);
    }
    all
}

/// The order of versions: runs of digits by number, runs of letters by their bytes; what goes on is more, but
/// after `~`, and of what goes on `-` is less than `^`, that than `.`, and that than letters and digits. (The
/// version format of the UAPI group, which systemd compares by.)
fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let skip = |text: &'_ [u8]| {
        text.iter().position(|c| c.is_ascii_alphanumeric() || b"~-^.".contains(c)).unwrap_or(text.len())
    };
    loop {
        a = a.get(skip(a)..).unwrap_or_default();
        b = b.get(skip(b)..).unwrap_or_default();
        for mark in b"~-^." {
            // All that goes on after a tilde is more than what ends.
            if *mark == b'-' && (a.is_empty() || b.is_empty()) {
                return a.len().cmp(&b.len());
            }
            match (a.first() == Some(mark), b.first() == Some(mark)) {
                (true, true) => {
                    a = a.get(1..).unwrap_or_default();
                    b = b.get(1..).unwrap_or_default();
                }
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                (false, false) => {}
            }
        }
        let digits = [a, b].iter().any(|t| t.first().is_some_and(u8::is_ascii_digit));
        let run = |text: &[u8]| {
            let same = |c: &u8| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
            text.iter().position(|c| !same(c)).unwrap_or(text.len())
        };
        let ((x, a_rest), (y, b_rest)) = (a.split_at(run(a)), b.split_at(run(b)));
        let order = if digits {
            // A number is more than none; among numbers the longer one is, zeros before it aside.
            let bare = |text: &[u8]| text.iter().skip_while(|c| **c == b'0').copied().collect::<Vec<u8>>();
            let (x_bare, y_bare) = (bare(x), bare(y));
            (!x.is_empty())
                .cmp(&!y.is_empty())
                .then(x_bare.len().cmp(&y_bare.len()))
                .then(x_bare.cmp(&y_bare))
        } else {
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
}

/// Whether the text matches a pattern of glob(7): `*`, `?`, `[a-z]`, `[!a]`, and a backslash before any of these.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and how much of the text it has eaten.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p..).unwrap_or_default() {
            [b'*', ..] => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            [b'?', ..] => Some(1),
            [b'[', class @ ..] => bracket(class, text.get(t).copied().unwrap_or_default()).map(|n| n + 1),
            [b'\\', c, ..] if Some(c) == text.get(t) => Some(2),
            [c, ..] if *c != b'\\' && Some(c) == text.get(t) => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => (p, t) = (p + step, t + 1),
            (None, Some((after, eaten))) => {
                star = Some((after, eaten + 1));
                (p, t) = (after, eaten + 1);
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == b'*')
}

/// How long the class is, if it is closed and the character is in it. `class` is what follows the `[`.
fn bracket(class: &[u8], c: u8) -> Option<usize> {
    let negated = matches!(class.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let mut at = start;
    let mut found = false;
    loop {
        match class.get(at..)? {
            [b']', ..] if at > start => return (found != negated).then_some(at + 1),
            [low, b'-', high, ..] if *high != b']' => {
                found |= (*low..=*high).contains(&c);
                at += 3;
            }
            [one, ..] => {
                found |= *one == c;
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The container of the recordings.
    struct Pretend;

    impl World for Pretend {
        fn path(&self, is: PathIs, path: &str) -> Option<bool> {
            Some(match is {
                PathIs::There | PathIs::FileNotEmpty => path == "/etc/passwd",
                PathIs::ThereByGlob => matches(path, "/etc/passwd"),
                PathIs::Directory | PathIs::DirectoryNotEmpty => path == "/etc",
                PathIs::FileIsExecutable => path == "/bin/sh",
                _ => false,
            })
        }

        fn has(&self, thing: Thing, name: &str) -> Option<bool> {
            match thing {
                Thing::Capability => Some(name == "CAP_CHOWN"),
                Thing::Group => Some(name == "root" || name == "0"),
                Thing::Security => None,
                _ => Some(false),
            }
        }

        fn is(&self, switch: Switch) -> Option<bool> {
            Some(switch == Switch::AcPower)
        }

        fn text(&self, of: Text) -> Option<String> {
            let text = match of {
                Text::Virtualization => "docker",
                Text::PrivateUsers => "no",
                Text::HostName => "Oracle-Host",
                Text::MachineId => "84f53f61c6084ce0b92223d6e03d59ea",
                Text::KernelCommandLine => "quiet root=/dev/vda audit=0",
                Text::KernelRelease => "6.18.44-fc",
                Text::Architecture => "x86-64",
                Text::UserName => "root",
            };
            Some(text.to_owned())
        }

        fn number(&self, of: Number) -> Option<u64> {
            Some(match of {
                Number::Memory => 2 << 30,
                Number::Cpus => 2,
                Number::Uid => 0,
            })
        }

        fn os_release(&self, field: &str) -> Option<String> {
            Some(match field {
                "ID" => "debian".into(),
                "VERSION_ID" => "13".into(),
                _ => String::new(),
            })
        }

        fn controller(&self, name: &str) -> Option<bool> {
            Some(name == "memory")
        }
    }

    fn condition(kind: ConditionKind, argument: &str) -> Condition {
        Condition { kind, trigger: false, negate: false, argument: argument.into(), assert: false }
    }

    #[test]
    fn each_condition_is_met_where_it_was_recorded_to_be() {
        use ConditionKind as K;
        let table: [(K, &[&str], &[&str]); 20] = [
            (K::Path(PathIs::There), &["/etc/passwd"], &["/no/such"]),
            (K::Path(PathIs::ThereByGlob), &["/etc/pass*"], &["/etc/x*"]),
            (K::Path(PathIs::Directory), &["/etc"], &["/etc/passwd"]),
            (K::Path(PathIs::FileIsExecutable), &["/bin/sh"], &["/etc/passwd"]),
            (K::Has(Thing::Capability), &["CAP_CHOWN"], &["CAP_SYS_MODULE"]),
            (K::Has(Thing::Group), &["root", "0"], &["mail"]),
            (K::Is(Switch::AcPower), &["yes", "true"], &["no", "perhaps"]),
            (K::Is(Switch::FirstBoot), &["no"], &["yes"]),
            (
                K::Virtualization,
                &["container", "docker", "yes", "1"],
                &["vm", "podman", "no", "private-users", "kvm"],
            ),
            (K::Architecture, &["x86-64", "native"], &["arm64", "garbage"]),
            (
                K::Host,
                &["oracle-host", "ORACLE-*", "84f53f61-c608-4ce0-b922-23d6e03d59ea"],
                &["no-such-host", "84f53f61c6084ce0b92223d6e03d59eb"],
            ),
            (K::KernelCommandLine, &["quiet", "root", "audit=0"], &["audit=1", "roo", "no-such-word"]),
            (
                K::KernelVersion,
                &[">=3.0", ">= 6.2", "6.18*", ">5 <7", "!=6", "$=6.18.*", "<6.100"],
                &["<6", "<=6.9", "7*", ">5 <6", "!$=6.*", ">="],
            ),
            (K::Version, &["systemd >=250", "kernel >=5", ">=5"], &["systemd >=258", "glibc >=2"]),
            (K::User, &["root", "0", "@system"], &["daemon", "1"]),
            (
                K::OsRelease,
                &["ID=debian", "ID=debian VERSION_ID>=12", "ID$=deb*", "VARIANT="],
                &["ID!=debian", "ID=debian VERSION_ID<13", "ID", "ID=Debian"],
            ),
            (K::ControlGroupController, &["memory", "memory memory"], &["cpu", "memory cpu"]),
            (K::Memory, &[">=1", "1G", "=2G", "<3G"], &[">2G", "4G", "lots", "99999999999999999999"]),
            (K::Cpus, &[">=1", "2", "<=2"], &[">2", "3", "=1", ""]),
            (K::Has(Thing::Security), &[], &["apparmor"]),
        ];
        for (kind, met, unmet) in table {
            for (arguments, expected) in [(met, true), (unmet, false)] {
                for argument in arguments {
                    let list = [condition(kind, argument)];
                    let found = evaluate(&list, &Pretend) == Verdict::Met;
                    assert_eq!(found, expected, "{kind:?} {argument}");
                }
            }
        }
    }

    #[test]
    fn all_must_be_met_and_one_of_those_with_a_bar() {
        // Each letter is one condition: y is met, n is not, ? cannot be told; ! and | before it.
        let table = [
            ("none at all", "", true),
            ("one", "y", true),
            ("not one", "n", false),
            ("two, one not", "y n", false),
            ("turned round", "!n", true),
            ("turned round, and not", "!y", false),
            ("what cannot be told is not met", "?", false),
            ("not even turned round", "!?", false),
            ("one of two", "|n |y", true),
            ("none of two", "|n |n", false),
            ("one of two turned round", "|!n", true),
            ("one of two does not help another", "|y n", false),
            ("another does not help two", "y |n |n", false),
        ];
        for (why, text, expected) in table {
            for assert in [false, true] {
                let one = |word: &str| {
                    let kind = match word.chars().last() {
                        Some('y') => (ConditionKind::Cpus, "1"),
                        Some('n') => (ConditionKind::Cpus, "9"),
                        _ => (ConditionKind::Cpus, "rubbish"),
                    };
                    Condition {
                        trigger: word.contains('|'),
                        negate: word.contains('!'),
                        assert,
                        ..condition(kind.0, kind.1)
                    }
                };
                let list: Vec<Condition> = text.split_ascii_whitespace().map(one).collect();
                let verdict = evaluate(&list, &Pretend);
                assert_eq!(verdict == Verdict::Met, expected, "{why}");
                assert_eq!(matches!(verdict, Verdict::AssertionFailed(_)), assert && !expected, "{why}");
            }
        }
    }

    #[test]
    fn patterns_match_as_glob_does() {
        let table = [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*.x*y", "a.b.xcy", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "a", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn versions_have_an_order() {
        let rising = [
            "~rc1",
            "",
            "122.1~rc1",
            "122.1",
            "122.1-1",
            "122.1.0",
            "122.2",
            "122.10",
            "123-3",
            "123.1",
            "123a",
        ];
        for (at, low) in rising.iter().enumerate() {
            assert!(version_order(low, low).is_eq(), "{low}");
            for high in rising.iter().skip(at + 1) {
                assert!(version_order(low, high).is_lt(), "{low} {high}");
                assert!(version_order(high, low).is_gt(), "{high} {low}");
            }
        }
        assert!(version_order("6.010", "6.10").is_eq());
        assert!(version_order("6.1+x", "6.1").is_gt());
    }
}
