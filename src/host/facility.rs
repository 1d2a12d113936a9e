//! Asks the kernel what this container can do, for `plan::Facility`.
//!
//! Nothing here decides. What cannot be found out is answered as if it were not there.
#![forbid(unsafe_code)]

use super::sys::{credentials, resource, seccomp};
use crate::plan::facility::{CapabilitySets, Facility, Ids, NamespaceFile, Probe};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{AccessFlags, access, getegid, geteuid, getgroups};
use std::fs::File;
use std::io::Read;

/// What this container can do. Nothing is asked yet.
pub fn facility() -> Facility {
    Facility::new(Box::new(Kernel))
}

/// More of an account database than this is not read, in bytes. 100,000 accounts are in it.
const DATABASE_MAX: u64 = 16 << 20;
/// Capabilities are numbered from 0; a mask holds this many.
const CAPABILITIES_MAX: u8 = 64;

struct Kernel;

impl Probe for Kernel {
    fn ids(&self) -> Ids {
        let mut groups: Vec<u32> =
            getgroups().unwrap_or_default().into_iter().map(|gid| gid.as_raw()).collect();
        groups.sort_unstable();
        groups.dedup();
        Ids { uid: geteuid().as_raw(), gid: getegid().as_raw(), groups }
    }

    fn capabilities(&self) -> CapabilitySets {
        let sets = credentials::capabilities().unwrap_or_default();
        CapabilitySets {
            permitted: sets.permitted,
            effective: sets.effective,
            inheritable: sets.inheritable,
            bounding: mask(credentials::in_bounding_set),
            ambient: mask(credentials::in_ambient_set),
        }
    }

    fn namespace(&self, file: NamespaceFile) -> Option<String> {
        text(match file {
            NamespaceFile::UidMap => "/proc/self/uid_map",
            NamespaceFile::GidMap => "/proc/self/gid_map",
            NamespaceFile::Setgroups => "/proc/self/setgroups",
        })
    }

    fn no_new_privileges(&self) -> bool {
        prctl::get_no_new_privs().unwrap_or(false)
    }

    fn filters(&self) -> bool {
        seccomp::has_filters()
    }

    fn landlock(&self) -> u32 {
        seccomp::landlock_version().ok().and_then(|version| u32::try_from(version).ok()).unwrap_or(0)
    }

    fn limit(&self, number: u32) -> (u64, u64) {
        resource::limit(number).map_or((0, 0), |limit| (limit.soft, limit.hard))
    }

    fn open_files_max(&self) -> Option<u64> {
        text("/proc/sys/fs/nr_open")?.trim_end().parse().ok()
    }

    fn nice(&self) -> i32 {
        resource::nice().unwrap_or(0)
    }

    fn oom_score_adjust(&self) -> Option<i32> {
        text("/proc/self/oom_score_adj")?.trim_end().parse().ok()
    }

    fn passwd(&self) -> Vec<u8> {
        read("/etc/passwd").unwrap_or_default()
    }

    fn group(&self) -> Vec<u8> {
        read("/etc/group").unwrap_or_default()
    }

    fn credentials(&self) -> String {
        let can_write = |path: &str| access(path, AccessFlags::W_OK | AccessFlags::X_OK);
        let run = "/run/credentials";
        match can_write(run) {
            Ok(()) => return run.to_owned(),
            Err(Errno::ENOENT) if can_write("/run").is_ok() => return run.to_owned(),
            Err(_) => {}
        }
        // Memory, and then whatever there is. Others may write there too, so the folder must be our own, which its maker
        // makes sure of.
        let base = ["/dev/shm", "/tmp"].into_iter().find(|base| can_write(base).is_ok()).unwrap_or("/run");
        format!("{base}/tinysvc-credentials-{}", geteuid())
    }
}

/// The capabilities of a set that is read one by one, up to the last that this kernel has.
fn mask(is_set: fn(u8) -> Result<bool, Errno>) -> u64 {
    let known = (0..CAPABILITIES_MAX).map_while(|capability| Some((capability, is_set(capability).ok()?)));
    known.fold(0, |mask, (capability, set)| mask | u64::from(set) << capability)
}

fn read(path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(DATABASE_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn text(path: &str) -> Option<String> {
    String::from_utf8(read(path)?).ok()
}
