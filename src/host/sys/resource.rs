//! Limits and priority.

use nix::errno::Errno;
use std::ptr;

/// `RLIMIT_*` as soft and hard; `u64::MAX` is no limit. See prlimit(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The limit that counts.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// The limit of this process.
///
/// # Errors
/// `EINVAL` for a number that is no resource.
pub fn limit(resource: u32) -> Result<Limit, Errno> {
    let mut limit = Limit { soft: 0, hard: 0 };
    // SAFETY: pid 0 is this process; no new limit is given, which the null pointer says; the old one goes to
    // `limit`, which has the layout of `struct rlimit64`.
    let ret =
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, ptr::null::<Limit>(), &raw mut limit) };
    Errno::result(ret).map(|_| limit)
}

/// Sets a limit of this process.
///
/// # Errors
/// `EPERM` to raise a hard limit without CAP_SYS_RESOURCE, `EINVAL` for a soft one above it.
pub fn set_limit(resource: u32, limit: Limit) -> Result<(), Errno> {
    // SAFETY: pid 0 is this process; `limit` has the layout of `struct rlimit64` and is only read; the old one is
    // not asked for.
    let ret = unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, ptr::null_mut::<Limit>())
    };
    Errno::result(ret).map(drop)
}

/// Sets the nice value of this process, −20 to 19. See setpriority(2).
///
/// # Errors
/// `EACCES` or `EPERM` to lower it without CAP_SYS_NICE.
pub fn set_nice(nice: i32) -> Result<(), Errno> {
    // Past the C library, which walks its threads.
    //
    // SAFETY: integers only; 0 is this process.
    let ret = unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) };
    Errno::result(ret).map(drop)
}

/// The nice value of this process, −20 to 19.
///
/// # Errors
/// None for one's own process.
pub fn nice() -> Result<i32, Errno> {
    // SAFETY: integers only; 0 is this process.
    let ret = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    // The kernel answers 20 − nice, so that no answer is negative; the C library would turn it.
    Errno::result(ret).map(|turned| 20 - turned as i32)
}
