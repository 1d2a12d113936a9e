//! Whom the child becomes: `User=`, `Group=`, `SupplementaryGroups=`.
//!
//! As systemd, with one difference. A number that the databases of the image do not know is an error there (217, 216) and for
//! a unit. For one command it is taken as it is, since images without `/etc/passwd` and arbitrary user ids are what containers are made of.
//! Such a user keeps our primary group, as it would have under `docker run --user`, and has `/` for a home.
#![forbid(unsafe_code)]

use super::Identity;
use super::compile::{Draft, Enforcement, Manner, PlanError};
use super::facility::{Capability, Facility};
use super::folder::UNCHANGED;
use super::users::{self, User};
use crate::unit::spec::{Privilege, Spec, status};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The account of `User=` or `DynamicUser=`, or our own.
pub struct Account {
    user: User,
    /// It was made for the service, and has no home.
    dynamic: bool,
}

impl Account {
    /// One of the databases.
    pub(super) fn of(user: User) -> Account {
        Account { user, dynamic: false }
    }

    /// The user and the primary group.
    pub(super) fn ids(&self) -> (u32, u32) {
        (self.user.uid, self.user.gid)
    }

    /// `~`.
    pub(super) fn home(&self) -> Vec<u8> {
        users::home(&self.user).into_owned()
    }

    /// The variables that tell a program whose it is; without a value: it is not to have one.
    pub(super) fn variables(&self) -> Vec<(&'static str, Option<Vec<u8>>)> {
        let shell = self.user.name.as_ref().and_then(|_| users::shell(&self.user));
        let mut all =
            vec![("HOME", (!self.dynamic).then(|| self.home())), ("SHELL", shell.map(<[u8]>::to_vec))];
        if let Some(name) = &self.user.name {
            all.extend([("LOGNAME", Some(name.clone())), ("USER", Some(name.clone()))]);
        }
        all
    }
}

/// Looks `User=` up, and makes one up for `DynamicUser=` if we could become it.
pub(super) fn account(
    spec: &Spec,
    manner: Manner,
    facility: &Facility,
) -> Result<Option<Account>, PlanError> {
    let exec = &spec.exec;
    if exec.dynamic_user {
        return Ok(dynamic(spec, facility));
    }
    let Some(name) = &exec.user else { return Ok(None) };
    let unknown = || {
        let uid = users::id(name.as_bytes()).filter(|_| manner == Manner::Command)?;
        Some(User { name: None, uid, gid: facility.ids().gid, home: b"/".to_vec(), shell: Vec::new() })
    };
    let found = users::user(&facility.probe().passwd(), name).or_else(unknown);
    let missing = || PlanError {
        status: status::USER,
        message: format!("User={name}: there is no such user in /etc/passwd"),
    };
    found.map(Account::of).map(Some).ok_or_else(missing)
}

/// The numbers of dynamic users: systemd's `DYNAMIC_UID_MIN` and `DYNAMIC_UID_MAX`.
const DYNAMIC: std::ops::RangeInclusive<u32> = 61_184..=65_519;

/// The user that `DynamicUser=` makes up. An account that has the name already is taken, as systemd does.
fn dynamic(spec: &Spec, facility: &Facility) -> Option<Account> {
    let stem = spec.name.rsplit_once('.').map_or(spec.name.as_str(), |(stem, _)| stem);
    let wanted = spec.exec.user.as_deref().unwrap_or(stem);
    let hash = fnv(wanted.as_bytes());
    let first = wanted.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let name = if first && wanted.len() <= 31 && wanted.bytes().all(good) {
        wanted.to_owned()
    } else {
        format!("_du{hash:08x}")
    };
    let passwd = facility.probe().passwd();
    if let Some(user) = users::user(&passwd, &name) {
        return Some(Account::of(user));
    }
    let count = DYNAMIC.end() - DYNAMIC.start() + 1;
    let mut numbers = (0..count).map(|step| DYNAMIC.start() + (hash + step) % count);
    let uid = numbers.find(|uid| users::user(&passwd, &uid.to_string()).is_none())?;
    let can = facility.can(Capability::SetUid) && facility.can(Capability::SetGid);
    if !can || !facility.has_uid(uid) || !facility.has_gid(uid) || facility.forbids_groups() {
        return None;
    }
    let user = User { name: Some(name.into_bytes()), uid, gid: uid, home: b"/".to_vec(), shell: Vec::new() };
    Some(Account { user, dynamic: true })
}

/// FNV-1a, which scatters names well enough over four thousand numbers. Less than 2^31, so that sums fit.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)) >> 1
}

/// Our own account, for a service that is to know whose it is.
pub(super) fn own(facility: &Facility) -> Option<Account> {
    let uid = facility.ids().uid.to_string();
    users::user(&facility.probe().passwd(), &uid).map(Account::of)
}

/// `~` without `User=`: our own home.
pub(super) fn own_home(facility: &Facility, home: Option<&OsStr>) -> Vec<u8> {
    let uid = facility.ids().uid.to_string();
    match users::user(&facility.probe().passwd(), &uid) {
        Some(user) => users::home(&user).into_owned(),
        None => home.map_or(&b"/"[..], OsStr::as_bytes).to_vec(),
    }
}

fn group(name: &str, directive: &str, draft: &Draft<'_>) -> Result<u32, PlanError> {
    let database = || draft.facility.probe().group();
    let missing = || PlanError {
        status: status::GROUP,
        message: format!("{directive}={name}: there is no such group in /etc/group"),
    };
    let found = match users::id(name.as_bytes()) {
        Some(gid) if draft.surroundings.manner == Manner::Command => Some(gid),
        // As with systemd, somebody must have heard of it.
        Some(gid) => users::has_group(&database(), gid).then_some(gid),
        None => users::group(&database(), name),
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
    if exec.dynamic_user {
        let how = match account {
            None => "it runs as we do, since we cannot become another user",
            Some(_) => "the user is its own, but no part of the file system is taken away from it",
        };
        draft.degraded("DynamicUser", status::USER, how.to_owned())?;
    }
    if account.is_none() && exec.group.is_none() && exec.supplementary_groups.is_empty() {
        return Ok(());
    }
    let ours = facility.ids();
    let uid = account.map(|account| account.user.uid).filter(|_| privilege == Privilege::Sandboxed);
    let gid = match &exec.group {
        Some(name) => Some(group(name, "Group", draft)?),
        None => account.map(|account| account.user.gid),
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
    let mut all = match (account.map(|account| &account.user), gid) {
        (Some(User { name: Some(name), .. }), Some(gid)) if gid != 0 => {
            Some(users::memberships(&facility.probe().group(), name, gid))
        }
        // Nobody has made an unknown user a member of anything, and root's groups are not for it.
        (Some(User { name: None, uid, .. }), Some(gid)) if *uid != facility.ids().uid => Some(vec![gid]),
        _ => None,
    };
    if privilege == Privilege::Sandboxed && !exec.supplementary_groups.is_empty() {
        let listed = all.get_or_insert_default();
        for name in &exec.supplementary_groups {
            listed.push(group(name, "SupplementaryGroups", draft)?);
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

/// The user and group that the folders of a service belong to; [`UNCHANGED`] where it does not say.
pub(super) fn owner(draft: &Draft<'_>, account: Option<&Account>) -> Result<(u32, u32), PlanError> {
    let (uid, gid) = account.map_or((UNCHANGED, UNCHANGED), Account::ids);
    match &draft.exec.group {
        Some(name) => Ok((uid, group(name, "Group", draft)?)),
        None => Ok((uid, gid)),
    }
}
