//! Which folders a unit's drop-ins are looked for in, and in which order.
//!
//! For `foo-bar@x.service`: `foo-bar@x.service.d`, `foo-bar@.service.d`, `foo-.service.d`, `foo-@x.service.d`,
//! `foo-@.service.d`; the same for each alias; and at last `service.d`, which every service has. Each is looked
//! for along the search path before the next name. Of files with one name the first found counts; then all are
//! sorted by name, wherever they were found. (systemd.unit(5), and `unit_file_find_dropin_paths()`.)
#![forbid(unsafe_code)]

use super::name;

/// The folders of these names, most specific first, each once. `suffix` is `.d`, `.wants` or `.requires`.
pub fn folders(search: &[String], names: &[String], suffix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        for folder in search {
            add(&mut found, folder, name, suffix);
        }
    }
    let kind = names.first().map_or("", |name| name::split(name).1);
    for folder in search {
        push(&mut found, format!("{folder}/{kind}{suffix}"));
    }
    found
}

fn push(found: &mut Vec<String>, folder: String) {
    if !found.contains(&folder) {
        found.push(folder);
    }
}

fn add(found: &mut Vec<String>, folder: &str, name: &str, suffix: &str) {
    push(found, format!("{folder}/{name}{suffix}"));
    if let Some(template) = name::template(name) {
        add(found, folder, &template, suffix);
    }
    if let Some(shorter) = chopped(name) {
        add(found, folder, &shorter, suffix);
    }
}

/// The name with its prefix cut behind the last dash, or behind the one before if it ends with a dash already.
/// The instance stays: `foo-bar@x.service` gives `foo-@x.service`.
fn chopped(name: &str) -> Option<String> {
    let prefix = name::prefix(name);
    let cut = prefix.strip_suffix('-').unwrap_or(prefix);
    let at = cut.rfind('-').filter(|at| *at > 0)?;
    let shorter = prefix.get(..=at)?;
    let ending = name::split(name).1;
    Some(match name::instance(name).filter(|instance| !instance.is_empty()) {
        Some(instance) => format!("{shorter}@{instance}.{ending}"),
        None => format!("{shorter}.{ending}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_go_from_the_specific_to_the_general() {
        let table: [(&str, &[&str], &[&str]); 6] = [
            ("a plain unit", &["a.service"], &["/e/a.service.d", "/e/service.d"]),
            (
                "prefixes",
                &["a-b-c.service"],
                &["/e/a-b-c.service.d", "/e/a-b-.service.d", "/e/a-.service.d", "/e/service.d"],
            ),
            (
                "an instance",
                &["a-b@x.service"],
                &[
                    "/e/a-b@x.service.d",
                    "/e/a-b@.service.d",
                    "/e/a-.service.d",
                    "/e/a-@x.service.d",
                    "/e/a-@.service.d",
                    "/e/service.d",
                ],
            ),
            ("a dash at the beginning is no prefix", &["-a.service"], &["/e/-a.service.d", "/e/service.d"]),
            ("a dash at the end", &["a-.service"], &["/e/a-.service.d", "/e/service.d"]),
            (
                "an alias counts too, and the kind last",
                &["a.target", "b.target"],
                &["/e/a.target.d", "/e/b.target.d", "/e/target.d"],
            ),
        ];
        for (why, names, expected) in table {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            assert_eq!(folders(&["/e".into()], &names, ".d"), expected, "{why}");
        }
        let two = folders(&["/e".into(), "/u".into()], &["a.service".into()], ".d");
        assert_eq!(two, ["/e/a.service.d", "/u/a.service.d", "/e/service.d", "/u/service.d"]);
    }
}
