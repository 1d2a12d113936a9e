//! The processes below us, as `/proc` has them at the moment of looking.
//!
//! A walk is a snapshot that may be stale as soon as it is made, so whoever acts on one looks again until
//! nothing new appears. Without a `/proc` of our own PID namespace there is no walk, and the caller must do without.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;

/// Every process that descends from `root`, without those below any of `except` and without these themselves.
///
/// # Errors
/// Where `/proc` cannot be listed, and why.
pub fn descendants(root: i32, except: &[i32]) -> Result<BTreeSet<i32>, &'static str> {
    // An image has an empty folder where nothing is mounted; and in the /proc of another namespace we have another number,
    // and so does everybody whom we would signal.
    let us = fs::read_link("/proc/self").map_err(|_| "/proc is not mounted")?;
    if us.to_str().and_then(|us| us.parse().ok()) != Some(std::process::id()) {
        return Err("/proc is that of another PID namespace");
    }
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let mut buffer = String::new();
    for entry in fs::read_dir("/proc").map_err(|_| "/proc cannot be listed")? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // A process that is gone by now is none.
        if let Some(parent) = parent_and_life(pid, &mut buffer) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut todo = vec![root];
    while let Some(pid) = todo.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            if !except.contains(&child) {
                found.insert(child);
                todo.push(child);
            }
        }
    }
    Ok(found)
}

/// The parent of a process that lives; a zombie has nothing left to be signalled.
fn parent_and_life(pid: i32, buffer: &mut String) -> Option<i32> {
    buffer.clear();
    fs::File::open(format!("/proc/{pid}/stat")).ok()?.take(1024).read_to_string(buffer).ok()?;
    parse_stat(buffer)
}

/// The fourth field of proc_pid_stat(5), unless the third says that it is dead. The second is a name in parentheses and may hold
/// anything, parentheses too.
fn parse_stat(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // A zombie that leads threads which still run counts as alive: they hold its children.
    if matches!(state, "X" | "x") { None } else { Some(parent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let table = [
            ("1 (init) S 0 1 1", Some(0)),
            ("77 (a) b) (R) S 5 6) Z 42 1", Some(42)),
            ("77 (x) X 42 1", None),
            ("77 (x", None),
            ("", None),
            ("77 (x) S", None),
            ("77 (x) S no", None),
        ];
        for (stat, parent) in table {
            assert_eq!(parse_stat(stat), parent, "{stat}");
        }
    }
}
