//! `RuntimeDirectory=` and its four likes, and credentials: what is there for a service before it starts.
#![forbid(unsafe_code)]

use super::Status;
use std::ffi::OsString;

/// Which of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the directive *Directory of that name in systemd.exec(5)")]
pub enum Place {
    Runtime,
    State,
    Cache,
    Logs,
    Configuration,
}

impl Place {
    /// All, in the order in which they are made.
    pub const ALL: [Place; 5] =
        [Place::Runtime, Place::State, Place::Cache, Place::Logs, Place::Configuration];

    /// Below which folder, for the manager of the system.
    pub const fn root(self) -> &'static str {
        match self {
            Place::Runtime => "/run",
            Place::State => "/var/lib",
            Place::Cache => "/var/cache",
            Place::Logs => "/var/log",
            Place::Configuration => "/etc",
        }
    }

    /// The directive.
    pub const fn directive(self) -> &'static str {
        match self {
            Place::Runtime => "RuntimeDirectory",
            Place::State => "StateDirectory",
            Place::Cache => "CacheDirectory",
            Place::Logs => "LogsDirectory",
            Place::Configuration => "ConfigurationDirectory",
        }
    }

    /// The variable that tells the service.
    pub const fn variable(self) -> &'static str {
        match self {
            Place::Runtime => "RUNTIME_DIRECTORY",
            Place::State => "STATE_DIRECTORY",
            Place::Cache => "CACHE_DIRECTORY",
            Place::Logs => "LOGS_DIRECTORY",
            Place::Configuration => "CONFIGURATION_DIRECTORY",
        }
    }

    /// The exit status if it cannot be made.
    pub const fn status(self) -> Status {
        match self {
            Place::Runtime => 233,
            Place::State => 238,
            Place::Cache => 239,
            Place::Logs => 240,
            Place::Configuration => 241,
        }
    }
}

/// The folders of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// `*Directory=`.
    pub list: Vec<Folder>,
    /// `*DirectoryMode=`; unset is 0755.
    pub mode: Option<u32>,
}

/// One folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path below the place, such as `app/sub`.
    pub path: String,
    /// Links to it, as paths below the place.
    pub links: Vec<String>,
}

/// `RuntimeDirectoryPreserve=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preserve {
    /// Removed whenever the service has ended.
    #[default]
    No,
    /// Kept over a restart.
    Restart,
    /// Kept.
    Yes,
}

/// `LoadCredential=` or `SetCredential=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The name of its file.
    pub id: String,
    /// Where it comes from.
    pub source: CredentialSource,
}

/// Where a credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// `LoadCredential=`: a file, or a folder of them. What does not begin with `/` is looked for among the
    /// credentials that we have ourselves, and in `/etc/credstore` and its likes.
    Load(OsString),
    /// `SetCredential=`: counts where nothing of that name can be loaded.
    Set(Vec<u8>),
}
