//! What this container can do.
//!
//! A record that fills itself: each question is asked of the kernel when a directive first needs the answer, so a
//! command without directives asks none. `host::facility` answers; here is only what may be asked.
#![forbid(unsafe_code)]

use std::cell::OnceCell;

/// Who we are: credentials(7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The effective user id.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// The supplementary groups, sorted.
    pub groups: Vec<u32>,
}

/// The sets of capabilities(7) that PID 1 has, as masks by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "capabilities(7) defines each set")]
pub struct CapabilitySets {
    pub permitted: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub bounding: u64,
    pub ambient: u64,
}

/// What `/proc/self` tells of our user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the file of that name in user_namespaces(7)")]
pub enum NamespaceFile {
    UidMap,
    GidMap,
    Setgroups,
}

/// Asks the kernel, or whatever stands for it.
pub trait Probe {
    /// Who we are.
    fn ids(&self) -> Ids;
    /// What we may do.
    fn capabilities(&self) -> CapabilitySets;
    /// A file of our user namespace in `/proc/self`, or `None` where there is no `/proc`: user_namespaces(7).
    fn namespace(&self, file: NamespaceFile) -> Option<String>;
    /// Whether no_new_privs is on already.
    fn no_new_privileges(&self) -> bool;
    /// Whether seccomp filters can be installed.
    fn filters(&self) -> bool;
    /// The version of Landlock's interface; 0 is none.
    fn landlock(&self) -> u32;
    /// A limit of getrlimit(2) by number: soft and hard.
    fn limit(&self, number: u32) -> (u64, u64);
    /// The most that `RLIMIT_NOFILE` can be: `/proc/sys/fs/nr_open`.
    fn open_files_max(&self) -> Option<u64>;
    /// Our nice value.
    fn nice(&self) -> i32;
    /// Our `oom_score_adj`, or `None` where there is no `/proc`.
    fn oom_score_adjust(&self) -> Option<i32>;
    /// `/etc/passwd`, or nothing.
    fn passwd(&self) -> Vec<u8>;
    /// `/etc/group`, or nothing.
    fn group(&self) -> Vec<u8>;
    /// The folder that the units' folders of credentials are in: `/run/credentials`, or what can be written.
    fn credentials(&self) -> String;
}

/// What is known so far.
pub struct Facility {
    probe: Box<dyn Probe>,
    ids: OnceCell<Ids>,
    capabilities: OnceCell<CapabilitySets>,
    filters: OnceCell<bool>,
}

impl Facility {
    /// Knows nothing yet, and does not ask either.
    pub fn new(probe: Box<dyn Probe>) -> Facility {
        Facility { probe, ids: OnceCell::new(), capabilities: OnceCell::new(), filters: OnceCell::new() }
    }

    /// Who we are.
    pub fn ids(&self) -> &Ids {
        self.ids.get_or_init(|| self.probe.ids())
    }

    /// What we may do.
    pub fn capabilities(&self) -> CapabilitySets {
        *self.capabilities.get_or_init(|| self.probe.capabilities())
    }

    /// Whether a capability counts for us, in our user namespace at least.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities().effective & capability.bit() != 0
    }

    /// Whether a capability counts for what belongs to the machine: limits, priorities, the OOM score. In a user
    /// namespace, as rootless containers have one, it does not. Where this cannot be found out it is taken not to.
    pub fn can_globally(&self, capability: Capability) -> bool {
        let everything = |map: String| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
        self.can(capability) && self.probe.namespace(NamespaceFile::UidMap).is_some_and(everything)
    }

    /// Whether our user namespace has a user of this id.
    pub fn has_uid(&self, uid: u32) -> bool {
        self.probe.namespace(NamespaceFile::UidMap).is_none_or(|map| maps(&map, uid))
    }

    /// Whether our user namespace has a group of this id.
    pub fn has_gid(&self, gid: u32) -> bool {
        self.probe.namespace(NamespaceFile::GidMap).is_none_or(|map| maps(&map, gid))
    }

    /// Whether our user namespace forbids setgroups(2), as one does that an unprivileged user made.
    pub fn forbids_groups(&self) -> bool {
        self.probe.namespace(NamespaceFile::Setgroups).is_some_and(|word| word.trim_end() == "deny")
    }

    /// Whether seccomp filters can be installed.
    pub fn filters(&self) -> bool {
        *self.filters.get_or_init(|| self.probe.filters())
    }

    /// What is asked too rarely to be kept, or may change.
    pub fn probe(&self) -> &dyn Probe {
        &*self.probe
    }
}

/// Whether a map of user_namespaces(7) has an id: lines of first id inside, first id outside, and how many.
fn maps(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|word| word.parse::<u32>().ok());
        let (Some(Some(first)), Some(Some(_)), Some(Some(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        id.checked_sub(first).is_some_and(|at| at < count)
    })
}

/// The capabilities that plans turn on, by their numbers in linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "capabilities(7) defines each")]
pub enum Capability {
    SetGid = 6,
    SetUid = 7,
    SetPcap = 8,
    SysAdmin = 21,
    SysNice = 23,
    SysResource = 24,
}

impl Capability {
    /// Its bit in a mask.
    pub const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// The names of the capabilities in a mask, such as `CAP_CHOWN CAP_KILL`; a number for what has no name yet.
pub fn names(mask: u64) -> String {
    let name = |bit: u8| {
        caps::all().into_iter().find(|c| c.index() == bit).map_or(format!("{bit}"), |c| c.to_string())
    };
    let all: Vec<String> = (0..64).filter(|bit| mask & (1 << bit) != 0).map(name).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_the_ids_of_its_lines() {
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        let table = [
            ("the machine's own", "0 0 4294967295", u32::MAX - 1, true),
            ("nobody is 4294967295", "0 0 4294967295", u32::MAX, false),
            ("one id", "0 1000 1", 0, true),
            ("and no other", "0 1000 1", 1, false),
            ("the last of a second line", rootless, 65_536, true),
            ("and one past it", rootless, 65_537, false),
            ("nothing is mapped yet", "", 0, false),
            ("rubbish", "0 x 5", 0, false),
        ];
        for (why, map, id, has) in table {
            assert_eq!(maps(map, id), has, "{why}");
        }
    }

    #[test]
    fn a_mask_reads_as_names() {
        let table = [
            (0, ""),
            (Capability::SysAdmin.bit(), "CAP_SYS_ADMIN"),
            (Capability::SetGid.bit() | Capability::SysNice.bit(), "CAP_SETGID CAP_SYS_NICE"),
            (Capability::SysResource.bit() | 1 << 63, "CAP_SYS_RESOURCE 63"),
            (Capability::SetUid.bit() | Capability::SetPcap.bit(), "CAP_SETUID CAP_SETPCAP"),
        ];
        for (mask, text) in table {
            assert_eq!(names(mask), text);
        }
    }
}
