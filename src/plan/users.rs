//! The account databases, as bytes: passwd(5) and group(5).
//!
//! A static binary has no NSS, so this reads the files alone. The bytes are whatever an image has: a line that is no
//! entry is passed over.
#![forbid(unsafe_code)]

use std::borrow::Cow;

/// More groups than this setgroups(2) refuses.
pub const GROUPS_MAX: usize = 65_536;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name; `None` for a number that no entry has.
    pub name: Option<Vec<u8>>,
    /// The user id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The home folder, as it is written.
    pub home: Vec<u8>,
    /// The login shell, as it is written.
    pub shell: Vec<u8>,
}

/// The account that a name or a number stands for. A number is never taken for a name.
///
/// `root` and `nobody` are there even if no entry says so, as with systemd: an empty image has no database.
pub fn user(passwd: &[u8], name: &str) -> Option<User> {
    let wanted = id(name.as_bytes());
    let entries = passwd.split(|b| *b == b'\n').filter_map(entry);
    let matches =
        |user: &User| wanted.map_or(user.name.as_deref() == Some(name.as_bytes()), |uid| uid == user.uid);
    let built_in = || {
        let root = (&b"root"[..], 0, &b"/root"[..], &b"/bin/sh"[..]);
        let nobody = (&b"nobody"[..], 65_534, &b"/"[..], &b"/sbin/nologin"[..]);
        [root, nobody].into_iter().map(|(name, id, home, shell)| User {
            name: Some(name.to_vec()),
            uid: id,
            gid: id,
            home: home.to_vec(),
            shell: shell.to_vec(),
        })
    };
    entries.chain(built_in()).find(matches)
}

fn entry(line: &[u8]) -> Option<User> {
    let mut fields = line.split(|b| *b == b':');
    let name = fields.next().filter(|name| is_name(name))?;
    let (_password, uid, gid, _comment) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(User {
        name: Some(name.to_vec()),
        uid: id(uid)?,
        gid: id(gid)?,
        home: fields.next()?.to_vec(),
        shell: fields.next().unwrap_or_default().to_vec(),
    })
}

/// The group that a name stands for.
pub fn group(group: &[u8], name: &str) -> Option<u32> {
    let find = |(found, gid, _): (&[u8], u32, &[u8])| (found == name.as_bytes()).then_some(gid);
    let built_in = match name {
        "root" => Some(0),
        "nobody" | "nogroup" => Some(65_534),
        _ => None,
    };
    groups(group).find_map(find).or(built_in)
}

/// Whether a group has that number.
pub fn has_group(group: &[u8], gid: u32) -> bool {
    matches!(gid, 0 | 65_534) || groups(group).any(|(_, known, _)| known == gid)
}

/// The groups that list a user as a member, and `primary`: initgroups(3). In order, each once.
pub fn memberships(group: &[u8], user: &[u8], primary: u32) -> Vec<u32> {
    let is_member = |members: &[u8]| members.split(|b| *b == b',').any(|member| member == user);
    let of = groups(group).filter(|(_, _, members)| is_member(members)).map(|(_, gid, _)| gid);
    let mut all: Vec<u32> = of.take(GROUPS_MAX - 1).chain([primary]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Name, number, members.
fn groups(group: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    group.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next().filter(|name| is_name(name))?;
        let (_password, gid) = (fields.next()?, fields.next()?);
        Some((name, id(gid)?, fields.next().unwrap_or_default()))
    })
}

/// Whether a line begins with a name: not a comment, and not `+` or `-`, which are directions to NIS.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !matches!(name, [b'#' | b'+' | b'-', ..])
}

/// A number that is an id. 65535 and 4294967295 mean "no change" to set*id(2) and are nobody's.
pub fn id(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 10 && text.iter().all(u8::is_ascii_digit);
    let number: u32 = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    (number != u32::from(u16::MAX) && number != u32::MAX).then_some(number)
}

/// The home folder for `$HOME` and `~`: `/` if the entry has none that is absolute.
pub fn home(user: &User) -> Cow<'_, [u8]> {
    match user.home.as_slice() {
        home @ [b'/', ..] if !home.contains(&0) => Cow::Borrowed(home),
        _ => Cow::Borrowed(b"/"),
    }
}

/// The shell for `$SHELL`: `None` if the entry has one that lets nobody in.
pub fn shell(user: &User) -> Option<&[u8]> {
    let name = user.shell.rsplit(|b| *b == b'/').next().unwrap_or_default();
    (!matches!(name, b"" | b"nologin" | b"false" | b"true")).then_some(user.shell.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
        # comment:x:1:1::/:\n\
        +nis:x:2:2::/:\n\
        short:x:3\n\
        letters:x:a:4::/:\n\
        huge:x:4294967296:4::/:\n\
        nochange:x:65535:4::/:\n\
        games:x:5:60:games:/usr/games:/usr/sbin/nologin\n\
        app:x:1000:1000::/srv/app:/bin/sh\n\
        bare:x:1001:1001::\n\
        app:x:1002:1002:the second of a name never counts:/:/bin/sh\n\
        \xff\xfe:::::\n\
        last:x:7:7::/last:/bin/sh";
    const GROUP: &[u8] =
        b"root:x:0:\nmail:x:8:games,app\nbroken:x:y:app\nusers:x:100:app\napp:x:1000:app\nnew:x:9:apps";

    #[test]
    fn an_account_is_found_by_name_or_number() {
        let table = [
            ("by name", "games", Some((5, 60))),
            ("by number", "5", Some((5, 60))),
            ("the first of a name", "app", Some((1000, 1000))),
            ("the last line needs no line end", "last", Some((7, 7))),
            ("without a shell", "bare", Some((1001, 1001))),
            ("root is there", "root", Some((0, 0))),
            ("nobody is there though no line says so", "nobody", Some((65_534, 65_534))),
            ("nobody by number", "65534", Some((65_534, 65_534))),
            ("a comment is no entry", "# comment", None),
            ("nor is a direction to NIS", "+nis", None),
            ("nor a short line", "short", None),
            ("nor one whose number is none", "letters", None),
            ("nor one whose number is too large", "huge", None),
            ("nor one whose number means no change", "nochange", None),
            ("unknown", "nosuch", None),
            ("empty", "", None),
            ("unknown number", "54321", None),
        ];
        for (why, name, ids) in table {
            assert_eq!(user(PASSWD, name).map(|user| (user.uid, user.gid)), ids, "{why}");
        }
        assert_eq!(user(b"", "root").map(|user| (user.uid, user.home)), Some((0, b"/root".to_vec())));
    }

    #[test]
    fn home_and_shell_are_for_those_who_have_one() {
        let of = |name| user(PASSWD, name).unwrap();
        let table = [
            ("root", &b"/root"[..], Some(&b"/bin/bash"[..])),
            ("games", b"/usr/games", None),
            ("bare", b"/", None),
        ];
        for (name, expected, login) in table {
            let user = of(name);
            assert_eq!((home(&user).as_ref(), shell(&user)), (expected, login), "{name}");
        }
    }

    #[test]
    fn groups_by_name_and_by_member() {
        assert_eq!(group(GROUP, "mail"), Some(8));
        assert_eq!(group(GROUP, "broken"), None);
        assert_eq!(group(GROUP, "nogroup"), Some(65_534));
        assert!(has_group(GROUP, 100) && has_group(b"", 0) && !has_group(GROUP, 101));
        assert_eq!(memberships(GROUP, b"games", 60), [8, 60]);
        assert_eq!(memberships(GROUP, b"app", 1000), [8, 100, 1000]);
        assert_eq!(memberships(GROUP, b"nosuch", 1), [1]);
        let many: String = (0..70_000).map(|gid| format!("g{gid}:x:{}:app\n", gid + 100_000)).collect();
        assert_eq!(memberships(many.as_bytes(), b"app", 5).len(), GROUPS_MAX);
    }

    #[test]
    fn ids_at_the_edge() {
        let table = [
            (&b"0"[..], Some(0)),
            (b"65534", Some(65_534)),
            (b"65535", None),
            (b"65536", Some(65_536)),
            (b"4294967294", Some(u32::MAX - 1)),
            (b"4294967295", None),
            (b"4294967296", None),
            (b"+1", None),
            (b"-1", None),
            (b" 1", None),
            (b"", None),
            (b"00000000001", None),
        ];
        for (text, number) in table {
            assert_eq!(id(text), number, "{text:?}");
        }
    }
}
