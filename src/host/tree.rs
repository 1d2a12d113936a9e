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
    let mut family = Family::below(root, except);
    family.look(|_| {})?;
    Ok(family.members)
}

/// The descendants of a process as they become known, by one look after the other.
///
/// A look reads nothing of whom an earlier one has placed. So it is short, and whoever forks and ends to be another one
/// each time is met alive.
#[derive(Debug)]
pub struct Family {
    root: i32,
    /// Those that were found so far.
    pub members: BTreeSet<i32>,
    /// Known to descend from somebody else, and whoever is not to be counted.
    strangers: BTreeSet<i32>,
}

impl Family {
    /// Of `root`, without those below any of `except` and without these themselves. Nobody is known yet.
    pub fn below(root: i32, except: &[i32]) -> Family {
        let strangers = except.iter().copied().chain([root]).collect();
        Family { root, members: BTreeSet::new(), strangers }
    }

    /// Looks who is new and calls `found` with each at once. Says whether there may be more: someone was new, or was gone
    /// before it could be placed and may have left a child behind.
    ///
    /// # Errors
    /// Where `/proc` cannot be listed, and why.
    pub fn look(&mut self, mut found: impl FnMut(i32)) -> Result<bool, &'static str> {
        let mut more = false;
        // Whose parent is not placed yet, by that parent.
        let mut unplaced: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        let mut todo = Vec::new();
        let mut buffer = String::new();
        // An image has an empty folder where nothing is mounted; and in the /proc of another namespace we have another number,
        // and so does everybody whom we would signal.
        let us = fs::read_link("/proc/self").map_err(|_| "/proc is not mounted")?;
        if us.to_str().and_then(|us| us.parse().ok()) != Some(std::process::id()) {
            return Err("/proc is that of another PID namespace");
        }
        for entry in fs::read_dir("/proc").map_err(|_| "/proc cannot be listed")? {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            if self.members.contains(&pid) || self.strangers.contains(&pid) {
                continue;
            }
            match parent_and_life(pid, &mut buffer) {
                None => more = true,
                Some(parent) if parent == self.root || self.members.contains(&parent) => {
                    self.members.insert(pid);
                    found(pid);
                    todo.push(pid);
                }
                Some(parent) => unplaced.entry(parent).or_default().push(pid),
            }
        }
        more |= !todo.is_empty();
        // Children that were listed before their parents.
        while let Some(pid) = todo.pop() {
            for child in unplaced.remove(&pid).unwrap_or_default() {
                self.members.insert(child);
                found(child);
                todo.push(child);
            }
        }
        // A parent that is neither may have ended since; then its children are looked at again.
        todo.extend(unplaced.keys().filter(|parent| **parent == 0 || self.strangers.contains(parent)));
        while let Some(pid) = todo.pop() {
            let children = unplaced.remove(&pid).unwrap_or_default();
            self.strangers.extend(&children);
            todo.extend(children);
        }
        Ok(more)
    }
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
