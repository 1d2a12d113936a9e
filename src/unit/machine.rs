//! What the specifiers and conditions say of the machine: a plain record, and one reader that fills it.
//!
//! Whatever expands a specifier is handed the record, so that it is the same for a whole load and a test can
//! make one up. What cannot be read stays unknown; nothing here is an error.
#![forbid(unsafe_code)]

use super::environment_file::environment_file;
use std::io::Read as _;
use std::path::Path;

/// The longest of the small files that are read, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// One machine, as this container sees it. `None` is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Machine {
    /// The kernel's host name.
    pub host_name: Option<String>,
    /// `PRETTY_HOSTNAME` of machine-info(5).
    pub pretty_host_name: Option<String>,
    /// machine-id(5).
    pub machine_id: Option<String>,
    /// Of this boot of the kernel.
    pub boot_id: Option<String>,
    /// `uname -r`.
    pub kernel_release: Option<String>,
    /// The pairs of os-release(5).
    pub os_release: Option<Vec<(String, String)>>,
    /// Who runs tinysvc.
    pub user: Option<User>,
}

/// The user that tinysvc itself runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// By name.
    pub name: String,
    /// By number.
    pub uid: u32,
    /// The group by name.
    pub group: String,
    /// The group by number.
    pub gid: u32,
    /// The home.
    pub home: String,
    /// The shell.
    pub shell: String,
}

impl Machine {
    /// Nothing is known.
    pub const UNKNOWN: Machine = Machine {
        host_name: None,
        pretty_host_name: None,
        machine_id: None,
        boot_id: None,
        kernel_release: None,
        os_release: None,
        user: None,
    };

    /// systemd's word for what this binary is built for.
    pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86-64" };

    /// Reads what there is. The files of the distribution are looked for below `root`; what is the kernel's is
    /// that of this very kernel.
    pub fn read(root: &Path) -> Machine {
        let os = file(root, "etc/os-release").or_else(|| file(root, "usr/lib/os-release"));
        let info = file(root, "etc/machine-info").map(|text| pairs(&text));
        let kernel = |path| file(Path::new("/proc/sys/kernel"), path).map(|text| line(&text));
        Machine {
            host_name: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()),
            pretty_host_name: info.and_then(|info| value(&info, "PRETTY_HOSTNAME").map(str::to_owned)),
            machine_id: file(root, "etc/machine-id").map(|text| line(&text)).filter(|id| id.len() == 32),
            boot_id: kernel("random/boot_id").map(|id| id.replace('-', "")),
            kernel_release: kernel("osrelease"),
            os_release: os.map(|text| pairs(&text)),
            user: user(root),
        }
    }

    /// One field of os-release(5): empty if it is not there, `None` if nothing is known of the system.
    pub fn os_release(&self, field: &str) -> Option<&str> {
        self.os_release.as_deref().map(|os| value(os, field).unwrap_or_default())
    }
}

fn value<'a>(pairs: &'a [(String, String)], field: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
}

fn file(root: &Path, path: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(root.join(path)).ok()?.take(FILE_LEN_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}

fn line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().to_owned()
}

/// os-release(5) and machine-info(5) are written as the files of `EnvironmentFile=` are.
fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in environment_file(text) {
        pairs.push((name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    }
    pairs
}

/// Root is known without a user database, as systemd has it; anybody else is looked up.
fn user(root: &Path) -> Option<User> {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    if uid == 0 {
        let bash = root.join("bin/bash").exists();
        return Some(User {
            name: "root".into(),
            uid,
            group: "root".into(),
            gid,
            home: "/root".into(),
            shell: if bash { "/bin/bash" } else { "/bin/sh" }.into(),
        });
    }
    let (users, groups) = (file(root, "etc/passwd")?, file(root, "etc/group").unwrap_or_default());
    let user = entry(&users, 2, uid)?;
    let group = entry(&groups, 2, gid).and_then(|fields| fields.into_iter().next());
    let mut fields = user.into_iter();
    Some(User {
        name: fields.next()?,
        uid,
        group: group.unwrap_or_else(|| gid.to_string()),
        gid,
        home: fields.nth(4)?,
        shell: fields.next()?,
    })
}

/// The fields of the line whose field `at` is that number.
fn entry(text: &[u8], at: usize, number: u32) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(text);
    let number = number.to_string();
    let line = text.lines().find(|line| line.split(':').nth(at) == Some(number.as_str()))?;
    Some(line.split(':').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:An App:/srv/app:/bin/false\n";
        let fields = entry(passwd, 2, 1000).unwrap();
        assert_eq!((fields[0].as_str(), fields[5].as_str()), ("app", "/srv/app"));
        assert_eq!(entry(passwd, 2, 1), None);
    }

    #[test]
    fn a_release_file_has_quotes_and_a_missing_field_is_empty() {
        let machine = Machine {
            os_release: Some(pairs(b"ID=debian\nVERSION_ID=\"13\"\n# x\nNAME='A b'\n")),
            ..Machine::UNKNOWN
        };
        assert_eq!(machine.os_release("VERSION_ID"), Some("13"));
        assert_eq!(machine.os_release("NAME"), Some("A b"));
        assert_eq!(machine.os_release("IMAGE_ID"), Some(""));
        assert_eq!(Machine::UNKNOWN.os_release("ID"), None);
    }
}
