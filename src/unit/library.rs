//! The library of units: every unit file that there is, found by name as systemd.unit(5) has it.
//!
//! The folders are looked at once, when the library is made, and again by making a new one. A name is a file of
//! the first folder that has it; a link to another name is an *alias*, a link to `/dev/null` or an empty file a
//! *mask*, a link out of the folders a file as any other. An instance without a file of its own takes its
//! template's. Drop-ins of all kinds follow, and then the links in `NAME.wants/` and `NAME.requires/`.
//!
//! Nothing that is wrong ends anything: a unit that cannot be used says so in its [`LoadState`], with complaints.
//! This file reads below the root that it is given and writes nothing.
#![forbid(unsafe_code)]

use super::complaint::{Complaint, Origin, Problem, Severity};
use super::layers::Loaded;
use super::machine::Machine;
use super::spec::{Relation, Spec};
use super::specifier;
use super::{dropin, name, rooted};
use std::path::{Path, PathBuf};

/// Where units are looked for, first come first.
pub const SEARCH: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// How many aliases may follow one another: systemd's FOLLOW_MAX.
const ALIASES_MAX: usize = 8;

/// The most drop-ins of one unit, and the most links in its folders.
const DROPINS_MAX: usize = 4096;

/// systemd's `LoadState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadState {
    /// It can be used.
    Loaded,
    /// There is no file.
    NotFound,
    /// A setting is so wrong that the whole unit is of no use.
    BadSetting,
    /// Somebody forbade it.
    Masked,
    /// The file cannot be read, or its syntax is broken.
    Error,
}

impl LoadState {
    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            LoadState::Loaded => "loaded",
            LoadState::NotFound => "not-found",
            LoadState::BadSetting => "bad-setting",
            LoadState::Masked => "masked",
            LoadState::Error => "error",
        }
    }
}

/// One unit, as its files have it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// As it was asked for.
    pub name: String,
    /// What it is really called.
    pub id: String,
    /// Whether it can be used.
    pub load_state: LoadState,
    /// What it should be, as far as it was understood. Relations, conditions and `[Install]` are in
    /// [`Spec::unit`].
    pub spec: Spec,
    /// Its file, as seen from within the root.
    pub fragment: Option<String>,
    /// The files that were read after it, in order.
    pub dropins: Vec<String>,
    /// Its other names.
    pub aliases: Vec<String>,
    /// What is wrong or should be known, in the order of reading.
    pub complaints: Vec<Complaint>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// This file.
    File(String),
    /// Another name.
    Alias(String),
}

/// Every unit file there is.
pub struct Library {
    root: PathBuf,
    /// As seen from within the root.
    search: Vec<String>,
    /// Sorted by name.
    entries: Vec<(String, Entry)>,
    /// What specifiers say of the machine.
    pub machine: Machine,
    /// Links that are of no use.
    pub complaints: Vec<Complaint>,
}

impl Library {
    /// Looks at the folders of [`SEARCH`] below `root`.
    pub fn new(root: &Path) -> Library {
        Library::with_folder(root, None)
    }

    /// As [`Library::new`], with one more folder before the others, as seen from within the root.
    pub fn with_folder(root: &Path, first: Option<&str>) -> Library {
        let mut library = Library {
            root: root.to_owned(),
            search: first.map(str::to_owned).into_iter().collect(),
            entries: Vec::new(),
            machine: Machine::read(root),
            complaints: Vec::new(),
        };
        for folder in SEARCH {
            // Where /lib is a link it is /usr/lib, which was there already.
            let real = rooted::resolve(root, folder, true).unwrap_or_else(|| folder.to_owned());
            let twice = library.search.iter().any(|other| *other == real || *other == folder);
            if !twice {
                library.search.push(folder.to_owned());
            }
        }
        for folder in library.search.clone() {
            library.index(&folder);
        }
        library
    }

    /// The names of all unit files, templates and aliases, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Where a path that is seen from within the root really is.
    pub fn outside(&self, path: &str) -> PathBuf {
        rooted::outside(&self.root, path)
    }

    /// Reads a file below the root, links and all.
    ///
    /// # Errors
    /// In words, as [`rooted::read`] has them.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, std::borrow::Cow<'static, str>> {
        let real = rooted::resolve(&self.root, path, true).ok_or("too many levels of symbolic links")?;
        if real == "/dev/null" {
            return Ok(Vec::new());
        }
        rooted::read(&self.outside(&real))
    }

    /// What kind of file it is, links and all.
    pub fn metadata(&self, path: &str) -> Option<std::fs::Metadata> {
        let real = rooted::resolve(&self.root, path, true)?;
        std::fs::metadata(self.outside(&real)).ok()
    }

    /// The files that a unit or a template is made of, in the order in which they are read: its own, and the
    /// drop-ins that are no masks.
    pub fn files(&self, name: &str) -> Vec<String> {
        let Some((path, id)) = self.fragment(name) else { return Vec::new() };
        let mut names = self.aliases(name, &id, &path);
        names.insert(0, id);
        let masked = self.read(&path).is_ok_and(|text| text.is_empty());
        let mut files = vec![path];
        if !masked {
            let dropins = self.gather(&names, ".d", &mut Vec::new());
            let counts = |path: &String| !self.read(path).is_ok_and(|text| text.is_empty());
            files.extend(dropins.into_iter().map(|(_, path, _)| path).filter(counts));
        }
        files
    }

    fn index(&mut self, folder: &str) {
        for (file, link) in rooted::names(&self.outside(folder)) {
            if name::kind(&file).is_none() {
                continue;
            }
            let Err(at) = self.entries.binary_search_by(|(name, _)| name.as_str().cmp(&file)) else {
                continue;
            };
            let path = format!("{folder}/{file}");
            let entry = if link { self.linked(&path, &file) } else { Some(Entry::File(path)) };
            if let Some(entry) = entry {
                self.entries.insert(at, (file, entry));
            }
        }
    }

    /// What a link stands for; nothing if it is of no use, and then a later folder may have the name.
    fn linked(&mut self, path: &str, file: &str) -> Option<Entry> {
        let target = std::fs::read_link(self.outside(path)).ok()?;
        let target = target.to_string_lossy();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let target = if target.starts_with('/') { target.into_owned() } else { format!("{folder}/{target}") };
        let Some(target) = rooted::resolve(&self.root, &target, false) else {
            self.complain(path, "it has too many levels of symbolic links");
            return None;
        };
        let (folder, other) = target.rsplit_once('/').unwrap_or(("", &target));
        let real = |f: &String| rooted::resolve(&self.root, f, true).is_some_and(|real| real == folder);
        if !self.search.iter().any(|f| f == folder || real(f)) {
            return Some(Entry::File(path.to_owned()));
        }
        if other == file {
            return None;
        }
        match alias_problem(file, other) {
            Some(problem) => {
                self.complain(path, &format!("it is a link to {other} and is ignored: {problem}"));
                None
            }
            None => Some(Entry::Alias(other.to_owned())),
        }
    }

    fn complain(&mut self, path: &str, message: &str) {
        let origin = Origin::File { path: self.outside(path).to_string_lossy().into_owned(), line: 0 };
        self.complaints.push(complaint(origin, message, Severity::Warning));
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        self.entries.get(at).map(|(_, entry)| entry)
    }

    /// The file of a name, over all its aliases. An alias that leads to an instance without a file leads to the
    /// template.
    fn file(&self, name: &str) -> Option<&str> {
        let mut entry = self.entry(name)?;
        for _ in 0..ALIASES_MAX {
            let other = match entry {
                Entry::File(path) => return Some(path),
                Entry::Alias(other) => other,
            };
            entry = match self.entry(other) {
                Some(entry) => entry,
                None => self.entry(&name::template(other)?)?,
            };
        }
        None
    }

    /// The file of a unit and what the unit is really called.
    fn fragment(&self, name: &str) -> Option<(String, String)> {
        let path = self.file(name).or_else(|| self.file(&name::template(name)?))?;
        let file = path.rsplit('/').next().unwrap_or_default();
        let id = match name::instance(name) {
            Some(instance) if name::is_template(file) => name::instantiated(file, instance),
            _ => file.to_owned(),
        };
        Some((path.to_owned(), id))
    }

    /// The other names of the unit `id`, whose file is `fragment`.
    fn aliases(&self, name: &str, id: &str, fragment: &str) -> Vec<String> {
        let mut aliases = Vec::new();
        if name != id {
            aliases.push(name.to_owned());
        }
        let instance = name::instance(id).filter(|instance| !instance.is_empty());
        let of_template = name::is_template(fragment.rsplit('/').next().unwrap_or_default());
        for (alias, entry) in &self.entries {
            if matches!(entry, Entry::File(_)) || self.file(alias) != Some(fragment) {
                continue;
            }
            let alias = match instance {
                // Another template of the same file: its instance, unless that has a file of its own.
                Some(instance) if name::is_template(alias) => {
                    let alias = name::instantiated(alias, instance);
                    if self.file(&alias).is_some_and(|file| file != fragment) {
                        continue;
                    }
                    alias
                }
                Some(instance) if of_template && name::instance(alias) != Some(instance) => continue,
                _ => alias.clone(),
            };
            if alias != id && !aliases.contains(&alias) {
                aliases.push(alias);
            }
        }
        aliases
    }

    /// Loads the unit of this name with all its drop-ins. It never fails: see [`Unit::load_state`].
    pub fn load(&self, name: &str) -> Unit {
        let found = self.fragment(name);
        let id = found.as_ref().map_or(name, |(_, id)| id).to_owned();
        let mut unit = Unit {
            name: name.to_owned(),
            load_state: LoadState::NotFound,
            spec: Spec::new(id.as_str()),
            id,
            fragment: None,
            dropins: Vec::new(),
            aliases: Vec::new(),
            complaints: Vec::new(),
        };
        let Some(kind) = name::kind(name).filter(|_| !name::is_template(name)) else {
            let what =
                if name::is_template(name) { "a template, which is no unit" } else { "no name of a unit" };
            let origin = Origin::File { path: name.to_owned(), line: 0 };
            unit.complaints.push(complaint(origin, &format!("it is {what}"), Severity::Error));
            unit.load_state = LoadState::Error;
            return unit;
        };
        let mut loaded = Loaded::new(unit.spec);
        unit.load_state = match found {
            Some((path, _)) => {
                unit.aliases = self.aliases(name, &unit.id, &path);
                let state = self.read_fragment(&mut loaded, &unit.id, &path, kind);
                unit.fragment = Some(path);
                state
            }
            // A slice needs no file.
            None if kind == "slice" => LoadState::Loaded,
            None => LoadState::NotFound,
        };
        if unit.load_state == LoadState::Loaded {
            let mut names = vec![unit.id.clone()];
            names.extend(unit.aliases.iter().cloned());
            let fragment = unit.fragment.as_deref().unwrap_or_default();
            unit.dropins = self.read_dropins(&mut loaded, &names, fragment, kind);
            self.read_links(&mut loaded, &names);
            if !matches!(kind, "service" | "target" | "slice") {
                let why = "nothing acts on units of this kind yet";
                loaded.complaints.push(complaint(self.origin(fragment), why, Severity::Warning));
            }
            let why = if kind == "service" { loaded.spec.validate().err() } else { None };
            if let Some(why) = why {
                loaded.fatal(self.origin(fragment), why);
                unit.load_state = LoadState::BadSetting;
            }
        }
        unit.spec = loaded.spec;
        unit.complaints = loaded.complaints;
        unit
    }

    fn origin(&self, path: &str) -> Origin {
        Origin::File { path: self.outside(path).to_string_lossy().into_owned(), line: 0 }
    }

    fn context<'a>(&'a self, id: &'a str, fragment: &'a str) -> specifier::Unit<'a> {
        specifier::Unit { name: id, path: fragment, machine: &self.machine, one_command: false }
    }

    fn read_fragment(&self, loaded: &mut Loaded, id: &str, path: &str, kind: &str) -> LoadState {
        let text = match self.read(path) {
            Ok(text) => text,
            Err(why) => {
                loaded.fatal(self.origin(path), format!("cannot read the unit file: {why}"));
                return LoadState::Error;
            }
        };
        if text.is_empty() {
            return LoadState::Masked;
        }
        let shown = self.outside(path);
        let sound = loaded.text(&text, &shown.to_string_lossy(), &section(kind), self.context(id, path));
        if !sound {
            LoadState::Error
        } else if loaded.complaints.iter().any(Complaint::fatal) {
            LoadState::BadSetting
        } else {
            LoadState::Loaded
        }
    }

    /// The files in the folders of these names with the suffix, by file name, each with whether it is a link.
    /// One that is hidden by another of the same name is left out.
    fn gather(
        &self,
        names: &[String],
        suffix: &str,
        complaints: &mut Vec<Complaint>,
    ) -> Vec<(String, String, bool)> {
        let mut found: Vec<(String, String, bool)> = Vec::new();
        for folder in dropin::folders(&self.search, names, suffix) {
            let Some(real) = rooted::resolve(&self.root, &folder, true) else { continue };
            for (file, link) in rooted::names(&self.outside(&real)) {
                if file.starts_with('.') || (suffix == ".d" && !file.ends_with(".conf")) {
                    continue;
                }
                let Err(at) = found.binary_search_by(|(other, ..)| other.cmp(&file)) else { continue };
                if found.len() == DROPINS_MAX {
                    let why = format!("more than {DROPINS_MAX} files; the rest is ignored");
                    complaints.push(complaint(self.origin(&folder), &why, Severity::Warning));
                    return found;
                }
                let path = format!("{folder}/{file}");
                found.insert(at, (file, path, link));
            }
        }
        found
    }

    fn read_dropins(&self, loaded: &mut Loaded, names: &[String], fragment: &str, kind: &str) -> Vec<String> {
        let mut read = Vec::new();
        let id = names.first().map_or("", String::as_str);
        for (_, path, _) in self.gather(names, ".d", &mut loaded.complaints) {
            match self.read(&path) {
                // A mask: what it hid is hidden, and that is all.
                Ok(text) if text.is_empty() => {}
                Ok(text) => {
                    let shown = self.outside(&path);
                    let context = self.context(id, fragment);
                    loaded.dropin(&text, &shown.to_string_lossy(), &section(kind), context);
                    read.push(path);
                }
                Err(why) => {
                    let why = format!("cannot read the drop-in: {why}");
                    loaded.complaints.push(complaint(self.origin(&path), &why, Severity::Warning));
                }
            }
        }
        read
    }

    /// What `NAME.wants/`, `NAME.requires/` and `NAME.upholds/` add. Only links count, and by their own names.
    fn read_links(&self, loaded: &mut Loaded, names: &[String]) {
        let id = names.first().map_or("", String::as_str);
        let suffixes =
            [(".wants", Relation::Wants), (".requires", Relation::Requires), (".upholds", Relation::Upholds)];
        for (suffix, relation) in suffixes {
            for (file, path, link) in self.gather(names, suffix, &mut loaded.complaints) {
                let masked = self.read(&path).is_ok_and(|text| text.is_empty());
                let problem = if masked {
                    continue;
                } else if !link {
                    "it is no symbolic link and is ignored"
                } else if name::kind(&file).is_none() {
                    "it is no name of a unit and is ignored"
                } else {
                    let instance = name::instance(id).unwrap_or(name::prefix(id));
                    let template = name::is_template(&file);
                    let other = if template { name::instantiated(&file, instance) } else { file };
                    loaded.spec.unit.relate(relation, other);
                    continue;
                };
                loaded.complaints.push(complaint(self.origin(&path), problem, Severity::Warning));
            }
        }
    }
}

/// The section of a kind: `Service` for `service`.
fn section(kind: &str) -> String {
    let (first, rest) = kind.split_at(1.min(kind.len()));
    format!("{}{rest}", first.to_ascii_uppercase())
}

fn complaint(origin: Origin, message: &str, severity: Severity) -> Complaint {
    let Problem { message, suggestion, .. } = Problem::value(message.to_owned());
    Complaint { origin, key: String::new(), value: String::new(), message, allowed: "", suggestion, severity }
}

/// Why `file` may not be an alias of `other`, if so (systemd's `unit_validate_alias_symlink_or_warn()`).
fn alias_problem(file: &str, other: &str) -> Option<&'static str> {
    let (a, b) = (name::kind(file), name::kind(other));
    if b.is_none() {
        return Some("that is no name of a unit");
    }
    if a != b {
        return Some("it is of another kind");
    }
    if matches!(a, Some("mount" | "automount" | "swap" | "slice" | "scope")) {
        return Some("a unit of this kind has no alias");
    }
    match (name::instance(file), name::instance(other)) {
        (None, None) | (Some(_), Some("")) => None,
        (Some(x), Some(y)) if x == y => None,
        (Some(""), Some(_)) | (None, Some(_)) | (Some(_), None) => {
            Some("one is a template and the other is not")
        }
        (Some(_), Some(_)) => Some("it is another instance"),
    }
}

#[cfg(test)]
#[path = "library_tests.rs"]
pub mod tests;
