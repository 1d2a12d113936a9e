//! Ids and capabilities of the calling thread.
//!
//! The C library's set*id() functions bring every thread of the process to the same ids, by signals and locks that
//! a child on its parent's memory must not touch. These go to the kernel and change the caller alone.

use nix::errno::Errno;

/// Replaces the supplementary groups. Needs CAP_SETGID; see setgroups(2).
///
/// # Errors
/// `EPERM`; `EINVAL` for more than 65,536 of them or a group that the user namespace does not map.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `len` 32-bit ids from the slice.
    let ret = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    Errno::result(ret).map(drop)
}

/// Sets the real, effective and saved group id. See setresgid(2).
///
/// # Errors
/// `EPERM` without CAP_SETGID, `EINVAL` if the user namespace does not map it.
pub fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: integers only.
    let ret = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    Errno::result(ret).map(drop)
}

/// Sets the real, effective and saved user id. See setresuid(2).
///
/// # Errors
/// `EPERM` without CAP_SETUID, `EINVAL` if the user namespace does not map it, `EAGAIN` on old kernels at `RLIMIT_NPROC`.
pub fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: integers only.
    let ret = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    Errno::result(ret).map(drop)
}

/// The three sets of capget(2), as masks by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What counts now.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What passes through execve(2) where the file's own set agrees.
    pub inheritable: u64,
}

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: two 32-bit words a set.
const VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`; pid 0 is the calling thread.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The capability sets of the calling thread.
///
/// # Errors
/// None that capget(2) documents for the calling thread.
pub fn capabilities() -> Result<Sets, Errno> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: the header says version 3, for which the kernel writes two `Data`, which is what is there.
    let ret = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    Errno::result(ret)?;
    let [low, high] = data;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

/// Replaces the capability sets of the calling thread.
///
/// # Errors
/// `EPERM` for a set beyond what capabilities(7) lets this thread have.
pub fn set_capabilities(sets: Sets) -> Result<(), Errno> {
    let mut header = Header { version: VERSION, pid: 0 };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: the header says version 3, for which the kernel reads two `Data`, which is what is there.
    let ret = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    Errno::result(ret).map(drop)
}

/// Whether a capability is in the bounding set. See PR_CAPBSET_READ(2const).
///
/// # Errors
/// `EINVAL` for a number that this kernel does not know.
pub fn in_bounding_set(capability: u8) -> Result<bool, Errno> {
    prctl(libc::PR_CAPBSET_READ, capability.into(), 0).map(|set| set == 1)
}

/// Takes a capability out of the bounding set for good.
///
/// # Errors
/// `EPERM` without CAP_SETPCAP, `EINVAL` for a number that this kernel does not know.
pub fn drop_from_bounding_set(capability: u8) -> Result<(), Errno> {
    prctl(libc::PR_CAPBSET_DROP, capability.into(), 0).map(drop)
}

/// Whether a capability is in the ambient set. See PR_CAP_AMBIENT(2const).
///
/// # Errors
/// `EINVAL` for a number that this kernel does not know.
pub fn in_ambient_set(capability: u8) -> Result<bool, Errno> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET as u64, capability.into()).map(|set| set == 1)
}

/// Adds a permitted and inheritable capability to the ambient set.
///
/// # Errors
/// `EPERM` if it is not both, or the securebits forbid it.
pub fn raise_ambient(capability: u8) -> Result<(), Errno> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, capability.into()).map(drop)
}

/// `SECBIT_*` of the calling thread. See PR_GET_SECUREBITS(2const).
///
/// # Errors
/// None that the kernel documents.
pub fn secure_bits() -> Result<u32, Errno> {
    prctl(libc::PR_GET_SECUREBITS, 0, 0).map(|bits| bits as u32)
}

/// Replaces the securebits.
///
/// # Errors
/// `EPERM` without CAP_SETPCAP, and to change what is locked.
pub fn set_secure_bits(bits: u32) -> Result<(), Errno> {
    prctl(libc::PR_SET_SECUREBITS, bits.into(), 0).map(drop)
}

/// prctl(2) with integer arguments.
fn prctl(option: i32, second: u64, third: u64) -> Result<i32, Errno> {
    // SAFETY: the options above take integers, of which there may be four; those that an option has no use for must be
    // 0, and are. None of them reads or writes our memory.
    let ret = unsafe { libc::prctl(option, second, third, 0u64, 0u64) };
    Errno::result(ret)
}
