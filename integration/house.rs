//! The house rules that no compiler knows: who may enter which room, where `unsafe` lives, how a file begins.
//!
//! It reads the sources as text. What it enforces is drawn in ARCHITECTURE.md.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, and what of ours its files may name. A longer path allows that part of a room alone.
const MAY_ENTER: &[(&str, &[&str])] = &[
    ("wire", &["wire"]),
    ("engine", &["engine", "unit::spec"]),
    ("unit", &["unit"]),
    ("plan", &["plan", "unit::spec", "unit::calls", "unit::words"]),
    ("launch", &["launch", "plan", "engine::SpawnFailure", "unit::spec", "host::sys"]),
    ("host", &["host", "engine", "plan", "launch", "unit::environment_file", "unit::spec", "wire"]),
    ("roles", &["roles", "wire"]),
    ("cli", &["cli", "engine", "host", "launch", "plan", "roles", "unit", "wire"]),
];

/// What the pure rooms must not reach for: a clock, a thread, a file, a socket, another process, chance.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os::unix::net",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "std::env",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    "nix::",
    "libc::",
    "rand",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    assert!(found.len() > 30, "the sources are not where they were: {} files below src", found.len());
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The code of a file: without comments, and without what only its tests see.
fn code(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line.trim() == "#[cfg(test)]" && !code.is_empty() {
            break;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// Every path below `crate::` that the code names, groups taken apart one level deep.
fn named(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches("::").to_owned();
        match rest[end..].strip_prefix('{').and_then(|group| group.split_once('}')) {
            Some((group, _)) => paths.extend(group.split(',').map(|item| {
                let item = item.trim().split([' ', ':', '{']).next().unwrap_or_default();
                if path.is_empty() { item.to_owned() } else { format!("{path}::{item}") }
            })),
            None => {
                paths.insert(path);
            }
        }
    }
    paths
}

#[test]
fn a_room_enters_only_the_rooms_it_may() {
    let mut wrong = Vec::new();
    for (name, text) in files() {
        let Some((room, _)) = name.split_once('/') else { continue };
        let allowed = MAY_ENTER.iter().find(|(r, _)| *r == room);
        let Some((_, allowed)) = allowed else { panic!("src/{name}: {room} is no room of the house") };
        for path in named(&code(&text)) {
            let fits = |a: &str| path == a || path.starts_with(&format!("{a}::"));
            if !path.is_empty() && !allowed.iter().any(|a| fits(a)) {
                wrong.push(format!("src/{name} names crate::{path}, which {room} may not enter"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_what_there_is() {
    let table: [(&str, &[&str]); 6] = [
        ("use crate::host::sys;", &["host::sys"]),
        ("use crate::engine::{Mono, notify::Message};", &["engine::Mono", "engine::notify"]),
        ("use crate::{host, plan::Plan};", &["host", "plan"]),
        ("let x = crate::cli::main(a);", &["cli::main"]),
        ("// use crate::host;", &[]),
        ("use std::fs;", &[]),
    ];
    for (text, paths) in table {
        assert_eq!(named(&code(text)), paths.iter().map(|p| (*p).to_owned()).collect(), "{text}");
    }
}

#[test]
fn the_pure_rooms_reach_for_nothing_outside() {
    for (name, text) in files() {
        let code = code(&text);
        if name.starts_with("engine/") || name.starts_with("wire/") {
            for word in IMPURE {
                assert!(!code.contains(word), "src/{name} is pure and names {word}");
            }
        }
    }
}

#[test]
fn unsafe_lives_in_one_room() {
    for (name, text) in files() {
        assert!(text.starts_with("//!"), "src/{name} does not say what it is for");
        if name.starts_with("host/sys/") {
            continue;
        }
        let code = code(&text);
        for form in ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "#[unsafe("] {
            assert!(!code.contains(form), "src/{name} holds {form:?}");
        }
        // The crate's roots and `host`, whose one room is below them, deny what all others forbid.
        let attribute = match name.as_str() {
            "lib.rs" | "main.rs" | "host/mod.rs" => "#![deny(unsafe_code)]",
            _ => "#![forbid(unsafe_code)]",
        };
        // Its module's attribute counts for a file of tests beside it.
        let inherits = name.ends_with("tests.rs");
        assert!(inherits || text.contains(attribute), "src/{name} lacks {attribute}");
    }
}
