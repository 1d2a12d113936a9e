//! The folders that are to be there when a process starts, and those that go when its service has ended.
#![forbid(unsafe_code)]

use super::compile::{Draft, Enforcement, PlanError};
use super::{Credentials, Folder, Origin};
use crate::unit::spec::{CredentialSource, ExecSpec, Place, Preserve, Spec, status};
use std::ffi::OsString;

/// `chown(2)`'s "no change".
pub const UNCHANGED: u32 = u32::MAX;
/// Of folders whose mode is not given.
const MODE: u32 = 0o755;
/// The folder that dynamic users' folders are in. systemd keeps it at 0700 and mounts what is in it for the service;
/// here it must be passable.
const PRIVATE_MODE: u32 = 0o711;

/// Plans the five kinds of folders and the credentials. `owner` is the user and group that the service runs as.
pub(super) fn plan(draft: &mut Draft<'_>, owner: (u32, u32)) {
    let exec = draft.exec;
    for (place, folders) in Place::ALL.into_iter().zip(&exec.directories) {
        if folders.list.is_empty() {
            continue;
        }
        let (root, status) = (place.root(), place.status());
        let configuration = place == Place::Configuration;
        let private = is_private(exec, place);
        if private {
            draft.plan.folders.push(Folder {
                path: format!("{root}/private"),
                mode: PRIVATE_MODE,
                owner: (UNCHANGED, UNCHANGED),
                keep: false,
                links: Vec::new(),
                status,
            });
        }
        for folder in &folders.list {
            let (path, own_link) = if private {
                let link = (
                    format!("{root}/{}", folder.path),
                    relative(&folder.path, &format!("private/{}", folder.path)),
                );
                (format!("{root}/private/{}", folder.path), Some(link))
            } else {
                (format!("{root}/{}", folder.path), None)
            };
            let link = |link: &String| (format!("{root}/{link}"), relative(link, &folder.path));
            draft.plan.folders.push(Folder {
                path,
                mode: folders.mode.unwrap_or(MODE),
                owner: if configuration { (UNCHANGED, UNCHANGED) } else { owner },
                keep: configuration,
                links: own_link.into_iter().chain(folder.links.iter().map(link)).collect(),
                status,
            });
        }
        draft.held(place.directive(), Enforcement::Kernel);
    }
}

/// Plans the credentials: those of one name are tried in the order of the unit, files before what is written there.
pub(super) fn credentials(
    draft: &mut Draft<'_>,
    path: Option<&OsString>,
    owner: (u32, u32),
) -> Result<(), PlanError> {
    let exec = draft.exec;
    let Some(path) = path else { return Ok(()) };
    let mut files: Vec<(String, Vec<Origin>)> = Vec::new();
    let loads = |source: &CredentialSource| matches!(source, CredentialSource::Load(_));
    let (first, then): (Vec<_>, Vec<_>) = exec.credentials.iter().partition(|c| loads(&c.source));
    for credential in first.into_iter().chain(then) {
        let origin = match &credential.source {
            CredentialSource::Load(path) => Origin::File(path.clone()),
            CredentialSource::Set(text) => Origin::Text(text.clone()),
        };
        match files.iter_mut().find(|(id, _)| *id == credential.id) {
            Some((_, origins)) => origins.push(origin),
            None => files.push((credential.id.clone(), vec![origin])),
        }
    }
    let Some(path) = path.to_str() else {
        let message = "the folder of the credentials has no name that is text".to_owned();
        return Err(PlanError { status: status::CREDENTIALS, message });
    };
    draft.plan.credentials = Some(Credentials { path: path.to_owned(), owner, files });
    draft.held("LoadCredential", Enforcement::Kernel);
    Ok(())
}

/// `$CREDENTIALS_DIRECTORY`, or `None` if there are no credentials. `root` is where all units' are.
pub(super) fn credentials_path(spec: &Spec, root: &str) -> Option<OsString> {
    (!spec.exec.credentials.is_empty()).then(|| format!("{root}/{}", spec.name).into())
}

/// Whether a folder of a dynamic user is kept apart from others, who could have had the same number before.
fn is_private(exec: &ExecSpec, place: Place) -> bool {
    let lasting = place != Place::Runtime || exec.runtime_directory_preserve != Preserve::No;
    exec.dynamic_user && place != Place::Configuration && lasting
}

/// What a link at `link` must hold to lead to `path`, both below one folder.
fn relative(link: &str, path: &str) -> String {
    let up = link.matches('/').count();
    format!("{}{path}", "../".repeat(up))
}

/// What is removed when a service has ended, before it may start again: paths, each with all that is below. `restart`
/// says that it will, `credentials` is where all units' credentials are ([`super::facility::Probe::credentials`]).
///
/// [`crate::launch::folders::remove`] removes them.
pub fn leftovers(spec: &Spec, restart: bool, credentials: &str) -> Vec<String> {
    let exec = &spec.exec;
    let mut all = Vec::new();
    let removed = match exec.runtime_directory_preserve {
        Preserve::No => true,
        Preserve::Restart => !restart,
        Preserve::Yes => false,
    };
    let root = Place::Runtime.root();
    let runtime = exec.directories.first().map(|folders| folders.list.as_slice()).unwrap_or_default();
    for folder in runtime.iter().filter(|_| removed) {
        if is_private(exec, Place::Runtime) {
            all.push(format!("{root}/private/{}", folder.path));
        }
        all.push(format!("{root}/{}", folder.path));
        all.extend(folder.links.iter().map(|link| format!("{root}/{link}")));
    }
    if !exec.credentials.is_empty() {
        all.push(format!("{credentials}/{}", spec.name));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::spec::{Credential, Folder};

    #[test]
    fn what_goes_at_the_end_is_what_was_made_for_the_run() {
        let table: [(&str, Preserve, bool, bool, &[&str]); 7] = [
            ("a stop", Preserve::No, false, false, &["/run/a/b", "/run/l", "/c/t.service"]),
            ("a restart", Preserve::No, false, true, &["/run/a/b", "/run/l", "/c/t.service"]),
            ("a restart that keeps them", Preserve::Restart, false, true, &["/c/t.service"]),
            ("a stop then", Preserve::Restart, false, false, &["/run/a/b", "/run/l", "/c/t.service"]),
            ("kept for ever", Preserve::Yes, false, false, &["/c/t.service"]),
            ("a dynamic user's", Preserve::No, true, false, &["/run/a/b", "/run/l", "/c/t.service"]),
            (
                "a dynamic user's that outlived a restart",
                Preserve::Restart,
                true,
                false,
                &["/run/private/a/b", "/run/a/b", "/run/l", "/c/t.service"],
            ),
        ];
        for (why, preserve, dynamic, restart, expected) in table {
            let mut spec = Spec::new("t.service");
            spec.exec.runtime_directory_preserve = preserve;
            spec.exec.dynamic_user = dynamic;
            spec.exec.directories[0].list = vec![Folder { path: "a/b".into(), links: vec!["l".into()] }];
            spec.exec.directories[1].list = vec![Folder { path: "state".into(), links: vec![] }];
            spec.exec.credentials =
                vec![Credential { id: "x".into(), source: CredentialSource::Set(b"y".to_vec()) }];
            assert_eq!(leftovers(&spec, restart, "/c"), expected, "{why}");
        }
        assert!(leftovers(&Spec::new("t.service"), false, "/c").is_empty());
    }

    #[test]
    fn a_link_leads_there_from_where_it_is() {
        let table = [("link", "a", "a"), ("x/link", "a/b", "../a/b"), ("x/y/link", "a", "../../a")];
        for (link, path, expected) in table {
            assert_eq!(relative(link, path), expected);
        }
    }
}
