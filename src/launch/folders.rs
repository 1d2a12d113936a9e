//! Makes the folders of a service and removes them, in the parent.
//!
//! It works as root in places that a service may write to, which could put a link where a folder was. So it goes down by
//! descriptors, one name at a time, follows a link only if it is root's or our own, and stays in one file system
//! below the folder itself. All of it is bounded, since PID 1 waits.
#![forbid(unsafe_code)]

use crate::plan::Folder;
use crate::plan::folder::UNCHANGED;
use crate::unit::spec::Status;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, geteuid, symlinkat, unlinkat};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many files may be given to another owner, or removed, in one go.
const FILES_MAX: u32 = 100_000;
/// How deep.
const DEPTH_MAX: u32 = 64;
/// Permissions of what is missing above a folder.
const ABOVE: Mode = Mode::from_bits_truncate(0o755);

/// Makes the folders in order.
///
/// # Errors
/// The status of the first that cannot be made, and why. `E2BIG` for too many files to change the owner of, `ELOOP` for a
/// link of somebody else's, `EEXIST` for a link's place that is taken.
pub fn make(folders: &[Folder]) -> Result<(), (Status, Errno)> {
    folders.iter().try_for_each(|folder| one(folder).map_err(|errno| (folder.status, errno)))
}

fn one(folder: &Folder) -> Result<(), Errno> {
    let (above, name) = split(&folder.path)?;
    let above = walk(above, true)?;
    let mode = Mode::from_bits_truncate(folder.mode);
    let is_new = match mkdirat(&above, name, mode) {
        Ok(()) => true,
        Err(Errno::EEXIST) => false,
        Err(errno) => return Err(errno),
    };
    let made = enter(above.as_fd(), name, OFlag::O_RDONLY)?;
    if is_new || !folder.keep {
        let stat = fstat(&made)?;
        let (uid, gid) = folder.owner;
        if !is_owner(&stat, folder.owner) {
            let mut left = FILES_MAX;
            give_below(made.try_clone().map_err(errno)?, &stat, folder.owner, &mut left, 0)?;
            // Last, so that what was interrupted begins again.
            fchown(&made, some(uid).map(Uid::from_raw), some(gid).map(Gid::from_raw))?;
        }
        // After the owner, whose change takes set-user-ID and set-group-ID away.
        if stat.st_mode & 0o7777 != folder.mode || !is_owner(&stat, folder.owner) {
            fchmod(&made, mode)?;
        }
    }
    folder.links.iter().try_for_each(|(path, target)| link(path, target))
}

fn link(path: &str, target: &str) -> Result<(), Errno> {
    let (above, name) = split(path)?;
    let above = walk(above, true)?;
    match symlinkat(target, &above, name) {
        Err(Errno::EEXIST) if readlinkat(&above, name).is_ok_and(|held| held == target) => Ok(()),
        other => other,
    }
}

/// Removes each path with all that is below it; what is not there is no failure, and an empty folder above stays.
/// Every path is tried.
///
/// # Errors
/// The first failure, and for which path. `E2BIG` for too many files, whose rest goes the next time.
pub fn remove(paths: &[String]) -> Result<(), (&str, Errno)> {
    let mut result = Ok(());
    for path in paths {
        let gone = split(path).and_then(|(above, name)| {
            let above = walk(above, false)?;
            let mut left = FILES_MAX;
            remove_at(above.as_fd(), name, &mut left, 0)
        });
        match gone {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => result = result.and(Err((path.as_str(), errno))),
        }
    }
    result
}

/// Folder and name of a path.
fn split(path: &str) -> Result<(&str, &str), Errno> {
    path.rsplit_once('/').filter(|(_, name)| !name.is_empty()).ok_or(Errno::EINVAL)
}

/// Goes down an absolute path to a folder; what is missing is made if wanted.
pub(super) fn walk(path: &str, make: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut at = nix::fcntl::open(c"/", flags, Mode::empty())?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = match enter(at.as_fd(), name, OFlag::O_PATH) {
            Err(Errno::ENOENT) if make => {
                match mkdirat(&at, name, ABOVE) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(errno),
                }
                let made = enter(at.as_fd(), name, OFlag::O_RDONLY)?;
                // Our own mask has had its say.
                fchmod(&made, ABOVE)?;
                made
            }
            other => other?,
        };
    }
    Ok(at)
}

/// Opens a folder in a folder. A link there is followed if it is root's or ours.
fn enter(at: BorrowedFd<'_>, name: &str, access: OFlag) -> Result<OwnedFd, Errno> {
    let flags = access | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match openat(at, name, flags | OFlag::O_NOFOLLOW, Mode::empty()) {
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            let link = openat(at, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
            let stat = fstat(&link)?;
            if kind(&stat) != SFlag::S_IFLNK {
                return Err(Errno::ENOTDIR);
            }
            if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
                return Err(Errno::ELOOP);
            }
            // Of the link that was looked at, not of what may have its name by now.
            let target = readlinkat(&link, c"")?;
            openat(at, target.as_os_str(), flags, Mode::empty())
        }
        other => other,
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

const fn some(id: u32) -> Option<u32> {
    if id == UNCHANGED { None } else { Some(id) }
}

fn is_owner(stat: &FileStat, (uid, gid): (u32, u32)) -> bool {
    (uid == UNCHANGED || stat.st_uid == uid) && (gid == UNCHANGED || stat.st_gid == gid)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// Counts one more file.
fn count(left: &mut u32) -> Result<(), Errno> {
    *left = left.checked_sub(1).ok_or(Errno::E2BIG)?;
    Ok(())
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Gives all that is in a folder to an owner. `top` is the folder that it began with.
fn give_below(
    folder: OwnedFd,
    top: &FileStat,
    owner: (u32, u32),
    left: &mut u32,
    depth: u32,
) -> Result<(), Errno> {
    if depth > DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    let mut folder = Dir::from_fd(folder)?;
    let at = folder.as_fd().try_clone_to_owned().map_err(errno)?;
    for entry in folder.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if is_dots(name) {
            continue;
        }
        count(left)?;
        let stat = fstatat(&at, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let is_folder = kind(&stat) == SFlag::S_IFDIR;
        if stat.st_dev != top.st_dev {
            continue;
        }
        if is_folder {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            give_below(openat(&at, name, flags, Mode::empty())?, top, owner, left, depth + 1)?;
        } else if stat.st_nlink > 1 && stat.st_uid != top.st_uid {
            // Another name of a file that was never the service's.
            continue;
        }
        if !is_owner(&stat, owner) {
            let (uid, gid) = (some(owner.0).map(Uid::from_raw), some(owner.1).map(Gid::from_raw));
            fchownat(&at, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}

/// Removes a name with all that is below it.
fn remove_at<P: nix::NixPath + ?Sized>(
    at: BorrowedFd<'_>,
    name: &P,
    left: &mut u32,
    depth: u32,
) -> Result<(), Errno> {
    count(left)?;
    match unlinkat(at, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR | Errno::EPERM) => {}
        other => return other,
    }
    if depth > DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = openat(at, name, flags, Mode::empty())?;
    if fstat(&folder)?.st_dev != fstat(at)?.st_dev {
        // Somebody's mount, and not ours to empty.
        return Err(Errno::EBUSY);
    }
    let mut folder = Dir::from_fd(folder)?;
    let inside = folder.as_fd().try_clone_to_owned().map_err(errno)?;
    for entry in folder.iter() {
        let entry = entry?;
        if !is_dots(entry.file_name()) {
            match remove_at(inside.as_fd(), entry.file_name(), left, depth + 1) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    unlinkat(at, name, UnlinkatFlags::RemoveDir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A folder of the test's own, gone at the end.
    struct Own(PathBuf);

    impl Own {
        fn new(name: &str) -> Own {
            let path = std::env::temp_dir().join(format!("tinysvc-folders-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Own(path)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).to_string_lossy().into_owned()
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            let _there = fs::remove_dir_all(&self.0);
        }
    }

    fn folder(path: String, links: Vec<(String, String)>) -> Folder {
        Folder { path, mode: 0o750, owner: (UNCHANGED, UNCHANGED), keep: false, links, status: 233 }
    }

    #[test]
    fn a_link_is_made_once_and_takes_nobodys_place() {
        let own = Own::new("links");
        let link = |target: &str| vec![(own.path("link"), target.to_owned())];
        assert_eq!(make(&[folder(own.path("a/b"), link("a/b"))]), Ok(()));
        assert_eq!(make(&[folder(own.path("a/b"), link("a/b"))]), Ok(()), "again");
        assert_eq!(make(&[folder(own.path("a/b"), link("a"))]), Err((233, Errno::EEXIST)));
        assert_eq!(fs::read_link(own.path("link")).unwrap().to_str(), Some("a/b"));
    }

    #[test]
    fn what_is_removed_is_the_folder_and_not_what_it_links_to() {
        let own = Own::new("remove");
        fs::create_dir_all(own.path("run/a/b")).unwrap();
        fs::write(own.path("run/a/b/file"), "x").unwrap();
        fs::create_dir(own.path("other")).unwrap();
        fs::write(own.path("other/file"), "x").unwrap();
        std::os::unix::fs::symlink(own.path("other"), own.path("run/a/link")).unwrap();
        std::os::unix::fs::symlink("run", own.path("link")).unwrap();
        assert_eq!(remove(&[own.path("run/a"), own.path("missing/x"), own.path("link")]), Ok(()));
        assert!(!fs::exists(own.path("run/a")).unwrap() && fs::exists(own.path("run")).unwrap());
        assert!(fs::exists(own.path("other/file")).unwrap() && fs::read_link(own.path("link")).is_err());
    }

    #[test]
    fn there_is_a_depth_at_which_it_ends() {
        let own = Own::new("deep");
        let deep = |depth: u32| (0..depth).map(|_| "d").collect::<Vec<_>>().join("/");
        fs::create_dir_all(own.path(&deep(DEPTH_MAX + 1))).unwrap();
        assert_eq!(remove(&[own.path("d")]), Ok(()), "the last that goes");
        fs::create_dir_all(own.path(&deep(DEPTH_MAX + 2))).unwrap();
        let path = own.path("d");
        assert_eq!(remove(std::slice::from_ref(&path)), Err((path.as_str(), Errno::ELOOP)), "one more");
    }

    #[test]
    fn there_is_a_number_of_files_at_which_it_ends() {
        let own = Own::new("many");
        for name in 0..9 {
            fs::write(own.path(&name.to_string()), "x").unwrap();
        }
        let at = walk(&own.0.to_string_lossy(), false).unwrap();
        let folder = || enter(at.as_fd(), ".", OFlag::O_RDONLY).unwrap();
        let top = fstat(&at).unwrap();
        let owner = (top.st_uid, top.st_gid);
        assert_eq!(give_below(folder(), &top, owner, &mut 9, 0), Ok(()), "as many as may be");
        assert_eq!(give_below(folder(), &top, owner, &mut 8, 0), Err(Errno::E2BIG), "one more");
    }
}
