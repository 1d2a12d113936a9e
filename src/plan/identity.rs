//! Whom the child becomes: `User=`, `Group=`, `SupplementaryGroups=`.
//!
//! As systemd, with one difference. A number that the databases of the image do not know is an error there (217, 216); here
//! it is taken as it is, since images without `/etc/passwd` and arbitrary user ids are what containers are made of.
//! Such a user keeps our primary group, as it would have under `docker run --user`, and has `/` for a home.
#![forbid(unsafe_code)]

use super::Identity;
use super::compile::{Draft, Enforcement, PlanError};
use super::facility::{Capability, Facility};
use super::users::{self, User};
use crate::unit::spec::{ExecSpec, Privilege, status};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The account of `User=`.
pub(super) struct Account(User);

impl Account {
    /// `~`.
    pub(super) fn home(&self) -> Vec<u8> {
        users::home(&self.0).into_owned()
    }

    /// The variables that tell a program whose it is; without a value: it is not to have one.
    pub(super) fn variables(&self) -> Vec<(&'static str, Option<Vec<u8>>)> {
        let mut all = vec![
            ("HOME", Some(self.home())),
            ("SHELL", self.0.name.as_ref().and_then(|_| users::shell(&self.0)).map(<[u8]>::to_vec)),
        ];
        if let Some(name) = &self.0.name {
            all.extend([("LOGNAME", Some(name.clone())), ("USER", Some(name.clone()))]);
        }
        all
    }
}

/// Looks `User=` up.
pub(super) fn account(exec: &ExecSpec, facility: &Facility) -> Result<Option<Account>, PlanError> {
    let Some(name) = &exec.user else { return Ok(None) };
    let unknown = || {
        let uid = users::id(name.as_bytes())?;
        Some(User { name: None, uid, gid: facility.ids().gid, home: b"/".to_vec(), shell: Vec::new() })
    };
    let found = users::user(&facility.probe().passwd(), name).or_else(unknown);
    let missing = || PlanError {
        status: status::USER,
        message: format!("User={name}: there is no such user in /etc/passwd"),
    };
    found.map(Account).map(Some).ok_or_else(missing)
}

/// `~` without `User=`: our own home.
pub(super) fn own_home(facility: &Facility, home: Option<&OsStr>) -> Vec<u8> {
    let uid = facility.ids().uid.to_string();
    match users::user(&facility.probe().passwd(), &uid) {
        Some(user) => users::home(&user).into_owned(),
        None => home.map_or(&b"/"[..], OsStr::as_bytes).to_vec(),
    }
}

fn group(name: &str, directive: &str, facility: &Facility) -> Result<u32, PlanError> {
    let missing = || PlanError {
        status: status::GROUP,
        message: format!("{directive}={name}: there is no such group in /etc/group"),
    };
    let found = match users::id(name.as_bytes()) {
        Some(gid) => Some(gid),
        None => users::group(&facility.probe().group(), name),
    };
    found.ok_or_else(missing)
}

/// Plans the identity.
///
/// With `+` and `!` the ids stay ours but the groups of `User=` are taken on, which is what systemd does.
pub(super) fn plan(
    draft: &mut Draft<'_>,
    privilege: Privilege,
    account: Option<&Account>,
) -> Result<(), PlanError> {
    let (exec, facility) = (draft.exec, draft.facility);
    if account.is_none() && exec.group.is_none() && exec.supplementary_groups.is_empty() {
        return Ok(());
    }
    let ours = facility.ids();
    let uid = account.map(|account| account.0.uid).filter(|_| privilege == Privilege::Sandboxed);
    let gid = match &exec.group {
        Some(name) => Some(group(name, "Group", facility)?),
        None => account.map(|account| account.0.gid),
    };
    let groups = groups(draft, privilege, account, gid)?;
    let gid = gid.filter(|_| privilege == Privilege::Sandboxed);

    let identity = Identity {
        groups: groups.filter(|groups| *groups != ours.groups),
        gid: gid.filter(|gid| *gid != ours.gid),
        uid: uid.filter(|uid| *uid != ours.uid),
    };
    let identity = permitted(draft, identity)?;
    for (directive, given) in [
        ("User", exec.user.is_some()),
        ("Group", exec.group.is_some()),
        ("SupplementaryGroups", !exec.supplementary_groups.is_empty()),
    ] {
        if given {
            draft.held(directive, Enforcement::Credentials);
        }
    }
    let changes = identity.groups.is_some() || identity.gid.is_some() || identity.uid.is_some();
    draft.plan.identity = changes.then_some(identity);
    Ok(())
}

/// The supplementary groups, sorted; `None` leaves them.
fn groups(
    draft: &Draft<'_>,
    privilege: Privilege,
    account: Option<&Account>,
    gid: Option<u32>,
) -> Result<Option<Vec<u32>>, PlanError> {
    let (exec, facility) = (draft.exec, draft.facility);
    // Of group 0 systemd takes no memberships over.
    let mut all = match (account, gid) {
        (Some(Account(User { name: Some(name), .. })), Some(gid)) if gid != 0 => {
            Some(users::memberships(&facility.probe().group(), name, gid))
        }
        // Nobody has made an unknown user a member of anything, and root's groups are not for it.
        (Some(Account(User { name: None, uid, .. })), Some(gid)) if *uid != facility.ids().uid => {
            Some(vec![gid])
        }
        _ => None,
    };
    if privilege == Privilege::Sandboxed && !exec.supplementary_groups.is_empty() {
        let listed = all.get_or_insert_default();
        for name in &exec.supplementary_groups {
            listed.push(group(name, "SupplementaryGroups", facility)?);
        }
        listed.sort_unstable();
        listed.dedup();
        if listed.len() > users::GROUPS_MAX {
            let message = format!("SupplementaryGroups=: more than {} groups", users::GROUPS_MAX);
            return Err(PlanError { status: status::GROUP, message });
        }
    }
    Ok(all)
}

/// Refuses a change that we have no right to: a service must never run as somebody else than its file says.
fn permitted(draft: &Draft<'_>, wanted: Identity) -> Result<Identity, PlanError> {
    let (exec, facility) = (draft.exec, draft.facility);
    // What to blame: the directive that asks for the group or groups that cannot be had.
    let user = || ("User", exec.user.clone().unwrap_or_default());
    let group = || exec.group.clone().map_or_else(user, |name| ("Group", name));
    let groups = || match exec.supplementary_groups.join(" ") {
        none if none.is_empty() => user(),
        names => ("SupplementaryGroups", names),
    };
    let refuse = |status, (directive, name): (&str, String), why: String| {
        Err(PlanError { status, message: format!("{directive}={name}: {why}") })
    };
    let lacking = |capability| {
        let uid = facility.ids().uid;
        format!("tinysvc runs as user {uid} and has no {capability}, so it cannot change this")
    };
    if let Some(uid) = wanted.uid {
        if !facility.can(Capability::SetUid) {
            return refuse(status::USER, user(), lacking("CAP_SETUID"));
        }
        if !facility.has_uid(uid) {
            let why = format!("user {uid} does not exist in this user namespace: /proc/self/uid_map");
            return refuse(status::USER, user(), why);
        }
    }
    if wanted.uid.is_none() && exec.group.is_none() && exec.supplementary_groups.is_empty() {
        // We are that user already. The groups that the runtime gave us are as good as those in the image's files.
        if !facility.can(Capability::SetGid) || facility.forbids_groups() {
            return Ok(Identity { groups: None, gid: None, uid: None });
        }
    }
    if let Some(gid) = wanted.gid {
        if !facility.can(Capability::SetGid) {
            return refuse(status::GROUP, group(), lacking("CAP_SETGID"));
        }
        if !facility.has_gid(gid) {
            let why = format!("group {gid} does not exist in this user namespace: /proc/self/gid_map");
            return refuse(status::GROUP, group(), why);
        }
    }
    if let Some(listed) = &wanted.groups {
        if !facility.can(Capability::SetGid) {
            return refuse(status::GROUP, groups(), lacking("CAP_SETGID"));
        }
        if facility.forbids_groups() {
            let why = "this user namespace forbids it: /proc/self/setgroups".to_owned();
            return refuse(status::GROUP, groups(), why);
        }
        if let Some(gid) = listed.iter().find(|gid| !facility.has_gid(**gid)) {
            let why = format!("group {gid} does not exist in this user namespace: /proc/self/gid_map");
            return refuse(status::GROUP, groups(), why);
        }
    }
    Ok(wanted)
}
