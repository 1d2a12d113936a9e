//! Makes the folder of a service's credentials, in the parent: systemd.exec(5), "Credentials".
//!
//! Only the service's user can read it. The files are read anew at each start, and each is put in its place as a whole, so
//! that a process that reads meanwhile sees the old content or the new one.
#![forbid(unsafe_code)]

use super::folders::walk;
use crate::plan::folder::UNCHANGED;
use crate::plan::{Credentials, Origin};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat, write};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// All credentials of a unit together, in bytes: systemd's `CREDENTIALS_TOTAL_SIZE_MAX`.
const TOTAL_MAX: usize = 1 << 20;
/// Where a credential without a path is looked for, after our own `$CREDENTIALS_DIRECTORY`.
const STORES: [&str; 4] =
    ["/etc/credstore", "/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore"];
/// What a file is called until it is whole. No credential can be: its name has a colon.
const UNFINISHED: &str = ":";

/// Makes the folder with its files.
///
/// # Errors
/// `ENOENT` for a credential that is nowhere, `E2BIG` for too many bytes, `EPERM` for a folder that is another's.
pub fn make(credentials: &Credentials) -> Result<(), Errno> {
    let (above, name) = credentials.path.rsplit_once('/').ok_or(Errno::EINVAL)?;
    let above = walk(above, true)?;
    // In a place where everybody may make folders this one must not be somebody else's.
    let stat = fstat(&above)?;
    let ours = geteuid().as_raw();
    if stat.st_uid != ours && stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
        return Err(Errno::EPERM);
    }
    match mkdirat(&above, name, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = openat(&above, name, flags, Mode::empty())?;
    fchmod(&folder, Mode::S_IRWXU)?;
    let mut left = TOTAL_MAX;
    for (id, origins) in &credentials.files {
        for (name, content) in content(id, origins)? {
            left = left.checked_sub(content.len()).ok_or(Errno::E2BIG)?;
            put(folder.as_fd(), &name, &content, credentials.owner)?;
        }
    }
    own(folder.as_fd(), credentials.owner)?;
    fchmod(&folder, Mode::S_IRUSR | Mode::S_IXUSR)
}

fn own(file: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> Result<(), Errno> {
    if (uid, gid) == (UNCHANGED, UNCHANGED) {
        return Ok(());
    }
    let uid = (uid != UNCHANGED).then_some(Uid::from_raw(uid));
    fchown(file, uid, (gid != UNCHANGED).then_some(Gid::from_raw(gid)))
}

fn put(folder: BorrowedFd<'_>, name: &str, content: &[u8], owner: (u32, u32)) -> Result<(), Errno> {
    // One that an earlier start did not finish.
    let _absent = unlinkat(folder, UNFINISHED, UnlinkatFlags::NoRemoveDir);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(folder, UNFINISHED, flags, Mode::S_IRUSR)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    fchmod(&file, Mode::S_IRUSR)?;
    own(file.as_fd(), owner)?;
    renameat(folder, UNFINISHED, folder, name)
}

/// The files that a credential is: one, or one for each file of a folder.
fn content(id: &str, origins: &[Origin]) -> Result<Vec<(String, Vec<u8>)>, Errno> {
    let mut last = Errno::ENOENT;
    for origin in origins {
        let read = match origin {
            Origin::Text(text) => return Ok(vec![(id.to_owned(), text.clone())]),
            Origin::File(path) if path.as_bytes().first() == Some(&b'/') => load(id, Path::new(path)),
            Origin::File(name) => search(id, name),
        };
        match read {
            Err(errno) => last = errno,
            found => return found,
        }
    }
    Err(last)
}

fn search(id: &str, name: &OsStr) -> Result<Vec<(String, Vec<u8>)>, Errno> {
    // Those that whoever started us has for us.
    let ours = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    for store in ours.into_iter().chain(STORES.map(PathBuf::from)) {
        match load(id, &store.join(name)) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            found => return found,
        }
    }
    Err(Errno::ENOENT)
}

fn load(id: &str, path: &Path) -> Result<Vec<(String, Vec<u8>)>, Errno> {
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
    if !fs::metadata(path).map_err(errno)?.is_dir() {
        return Ok(vec![(id.to_owned(), read(path).map_err(errno)?)]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(errno)? {
        let entry = entry.map_err(errno)?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(errno)?);
        if let Some(name) = name.to_str().filter(|name| kind.is_file() && !name.contains(':')) {
            files.push((format!("{id}_{name}"), read(&entry.path()).map_err(errno)?));
        }
        if files.iter().fold(0, |sum, (_, content)| sum + content.len() + 1) > TOTAL_MAX {
            return Err(Errno::E2BIG);
        }
    }
    Ok(files)
}

/// A file, without waiting for anybody who is to write it, and not more than there may be.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let mut content = Vec::new();
    file.take(TOTAL_MAX as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}
