//! Reads files below a folder that stands for the root, with every symbolic link resolved below it.
//!
//! So a library can be read from the tree of an image, or of a test, without a link leading out of it. Paths are
//! written as they are seen from within. Whatever is read has a bound, and what is no regular file is not read:
//! a device or a pipe in a unit's place could keep us for ever.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
pub const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// The most links on one way: the kernel's own MAXSYMLINKS.
const LINKS_MAX: usize = 40;

/// The most entries of one folder that are looked at.
pub const ENTRIES_MAX: usize = 65_536;

/// Where a path really is, that is `path` seen from within `root`.
pub fn outside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The path with each link in it resolved, but for the last part's unless `follow`. What does not exist stays as
/// it is. `None` if there are too many links.
pub fn resolve(root: &Path, path: &str, follow: bool) -> Option<String> {
    let mut done = String::new();
    let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.truncate(done.rfind('/').unwrap_or_default());
                continue;
            }
            _ => {}
        }
        let candidate = format!("{done}/{part}");
        let last = todo.iter().all(String::is_empty);
        let link = if last && !follow { None } else { fs::read_link(outside(root, &candidate)).ok() };
        let Some(target) = link else {
            done = candidate;
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return None;
        }
        let target = target.to_string_lossy();
        if target.starts_with('/') {
            done.clear();
        }
        todo.extend(target.rsplit('/').map(str::to_owned));
    }
    Some(if done.is_empty() { "/".to_owned() } else { done })
}

/// Reads a regular file whole.
///
/// # Errors
/// In words: it cannot be opened or read, is no file, or larger than [`FILE_LEN_MAX`].
pub fn read(path: &Path) -> Result<Vec<u8>, Cow<'static, str>> {
    // Without O_NONBLOCK a pipe that nobody writes to would be waited for.
    let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|e| plain(&e))?;
    let kind = file.metadata().map_err(|e| plain(&e))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "it is a folder" } else { "it is no regular file" };
        return Err(what.into());
    }
    whole(file).map_err(|e| plain(&e))?.ok_or(Cow::Borrowed("it is larger than 16 MiB"))
}

/// Reads a file of any kind up to [`FILE_LEN_MAX`]; `None` if there is more.
///
/// # Errors
/// As read(2).
pub fn whole(file: fs::File) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut text)?;
    Ok(Some(text).filter(|text| text.len() as u64 <= FILE_LEN_MAX))
}

/// The names in a folder, sorted, and whether each is a link. None if there is no such folder.
pub fn names(path: &Path) -> Vec<(String, bool)> {
    let mut names: Vec<(String, bool)> = Vec::new();
    let Ok(entries) = fs::read_dir(path) else { return names };
    for entry in entries.take(ENTRIES_MAX).flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let at = names.partition_point(|(other, _)| *other < name);
        names.insert(at, (name, link));
    }
    names
}

/// An I/O error without its number.
pub fn plain(error: &io::Error) -> Cow<'static, str> {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().into(),
        None => error.kind().to_string().into(),
    }
}
