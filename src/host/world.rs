//! Answers what `Condition*=` and `Assert*=` ask of the system. What cannot be told counts as not met.
#![forbid(unsafe_code)]

use crate::unit::spec::condition::{Number, PathIs, Switch, Text, Thing, World};
use nix::sys::utsname::uname;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// This container.
pub struct Here;

impl World for Here {
    fn path(&self, is: PathIs, path: &str) -> Option<bool> {
        let found = fs::metadata(path);
        let any = |check: fn(&fs::Metadata) -> bool| Some(found.as_ref().is_ok_and(check));
        match is {
            PathIs::There => Some(found.is_ok()),
            PathIs::Directory => any(fs::Metadata::is_dir),
            PathIs::SymbolicLink => Some(fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink())),
            PathIs::MountPoint => {
                let above = fs::metadata(std::path::Path::new(path).join(".."));
                let apart =
                    |m: &fs::Metadata, above: &fs::Metadata| m.dev() != above.dev() || m.ino() == above.ino();
                Some(matches!((&found, &above), (Ok(m), Ok(above)) if apart(m, above)))
            }
            PathIs::ReadWrite => {
                Some(found.is_ok() && access(path, AccessFlags::W_OK) != Err(nix::errno::Errno::EROFS))
            }
            PathIs::DirectoryNotEmpty => Some(fs::read_dir(path).is_ok_and(|mut d| d.next().is_some())),
            PathIs::FileNotEmpty => any(|m| m.is_file() && m.len() > 0),
            PathIs::FileIsExecutable => any(|m| m.is_file() && m.permissions().mode() & 0o111 != 0),
            _ => None,
        }
    }

    fn has(&self, thing: Thing, name: &str) -> Option<bool> {
        match thing {
            Thing::Variable => Some(match name.split_once('=') {
                Some((name, value)) => std::env::var(name).is_ok_and(|v| v == value),
                None => std::env::var_os(name).is_some(),
            }),
            _ => None,
        }
    }

    fn is(&self, _: Switch) -> Option<bool> {
        None
    }

    fn text(&self, of: Text) -> Option<String> {
        let name = uname().ok()?;
        let text = |text: &std::ffi::OsStr| text.to_str().map(str::to_owned);
        match of {
            Text::Virtualization => {
                let there = |path: &str| fs::exists(path).unwrap_or(false);
                let said = std::env::var("container").ok();
                Some(match said {
                    Some(said) => said,
                    None if there("/.dockerenv") => "docker".to_owned(),
                    None if there("/run/.containerenv") => "podman".to_owned(),
                    None => "container-other".to_owned(),
                })
            }
            Text::HostName => text(name.nodename()),
            Text::KernelRelease => text(name.release()),
            Text::Architecture => Some(match name.machine().to_str()? {
                "x86_64" => "x86-64".to_owned(),
                "aarch64" => "arm64".to_owned(),
                other => other.to_owned(),
            }),
            Text::MachineId => fs::read_to_string("/etc/machine-id").ok().map(|id| id.trim().to_owned()),
            Text::UserName => nix::unistd::geteuid().is_root().then(|| "root".to_owned()),
            _ => None,
        }
    }

    fn number(&self, of: Number) -> Option<u64> {
        match of {
            Number::Uid => Some(nix::unistd::geteuid().as_raw().into()),
            Number::Cpus => std::thread::available_parallelism().ok().map(|n| n.get() as u64),
            Number::Memory => None,
        }
    }

    fn os_release(&self, field: &str) -> Option<String> {
        let text = fs::read_to_string("/etc/os-release")
            .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
            .ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix('='));
        Some(value.unwrap_or_default().trim_matches('"').to_owned())
    }

    fn controller(&self, _: &str) -> Option<bool> {
        None
    }
}
