//! What a process takes away from itself: seccomp programs and Landlock.

use crate::plan::Instruction;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// `struct sock_fprog` of linux/filter.h.
#[repr(C)]
struct Program {
    len: u16,
    filter: *const Instruction,
}

/// `SECCOMP_MODE_FILTER` of linux/seccomp.h, as wide as prctl(2) reads it.
const MODE_FILTER: libc::c_ulong = 2;

/// Installs a seccomp program for the calling thread. See PR_SET_SECCOMP(2const).
///
/// # Errors
/// `EACCES` without no_new_privs and CAP_SYS_ADMIN; `EINVAL` for a program that the kernel refuses, or without
/// seccomp; `ENOMEM` if all programs together are too long.
pub fn install(program: &[Instruction]) -> Result<(), Errno> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = Program { len, filter: program.as_ptr() };
    // SAFETY: `Program` and `Instruction` have the kernel's layout, and `filter` points to `len` instructions. The
    // kernel copies them and checks that they cannot jump out.
    let ret = unsafe { libc::prctl(libc::PR_SET_SECCOMP, MODE_FILTER, &raw const program) };
    Errno::result(ret).map(drop)
}

/// Whether the kernel has seccomp filters: it looks at no program, since there is none.
pub fn has_filters() -> bool {
    // SAFETY: a null program is refused with EFAULT by a kernel that has filters, and nothing else happens. One
    // without knows no such mode: EINVAL. See seccomp(2), "Determining support".
    let ret = unsafe { libc::prctl(libc::PR_SET_SECCOMP, MODE_FILTER, ptr::null::<Program>()) };
    ret == -1 && Errno::last() == Errno::EFAULT
}

/// `struct landlock_ruleset_attr` of linux/landlock.h, as its first version had it.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// `LANDLOCK_ACCESS_FS_*` of linux/landlock.h: execute, and read a file.
const EXECUTE_AND_READ: u64 = 1 << 0 | 1 << 2;

/// The version of Landlock's interface, from 1. See landlock_create_ruleset(2).
///
/// # Errors
/// `ENOSYS` and `EOPNOTSUPP`: there is none here.
pub fn landlock_version() -> Result<i64, Errno> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the pointer must be null and the size 0, and the call only answers a number.
    let ret =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<Ruleset>(), 0usize, VERSION) };
    Errno::result(ret)
}

/// Takes the file system away from the calling thread and its children, but for executing and reading `image`.
/// Open descriptors stay as they are.
///
/// # Errors
/// `ENOSYS` and `EOPNOTSUPP` without Landlock, `EPERM` without no_new_privs and CAP_SYS_ADMIN.
pub fn deny_file_system(image: Option<i32>) -> Result<(), Errno> {
    // Every right that this version knows: landlock(7). What a ruleset does not name it does not take.
    let rights = match landlock_version()? {
        1 => 0x1fff,
        2 => 0x3fff,
        3 | 4 => 0x7fff,
        _ => 0xffff,
    };
    let ruleset = new_ruleset(&Ruleset { handled_access_fs: rights })?;
    if let Some(image) = image {
        match allow(&ruleset, &Beneath { allowed_access: EXECUTE_AND_READ, parent_fd: image }) {
            // Of a file without a place in a file system, which Landlock does not look at.
            Ok(()) | Err(Errno::EBADFD) => {}
            Err(errno) => return Err(errno),
        }
    }
    restrict(&ruleset)
}

fn new_ruleset(ruleset: &Ruleset) -> Result<OwnedFd, Errno> {
    let len = size_of::<Ruleset>();
    // SAFETY: the kernel reads `len` bytes of the struct, whose layout is its own.
    let ret = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::from_ref(ruleset), len, 0u32) };
    let fd = Errno::result(ret)? as i32;
    // SAFETY: a descriptor that the kernel has just made, close-on-exec, and that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// See landlock_add_rule(2).
fn allow(ruleset: &OwnedFd, beneath: &Beneath) -> Result<(), Errno> {
    const PATH_BENEATH: u32 = 1;
    let (ruleset, beneath) = (ruleset.as_raw_fd(), ptr::from_ref(beneath));
    // SAFETY: the type says which struct the pointer is to, and its layout is the kernel's.
    let ret = unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, PATH_BENEATH, beneath, 0u32) };
    Errno::result(ret).map(drop)
}

/// See landlock_restrict_self(2).
fn restrict(ruleset: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: integers only.
    let ret = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    Errno::result(ret).map(drop)
}
