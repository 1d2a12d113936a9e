//! Containers, where Docker answers. Images come from nothing but this project: no registry is asked.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{Folder, root, unique};

/// Runs the client; what it printed, or why it failed.
pub fn docker(words: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run docker: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("docker {}: {}", words.join(" "), text(&output.stderr)))
    }
}

/// Does a Docker daemon answer? Asked once.
pub fn docker_answers() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| docker(&["version", "--format", "{{.Server.Version}}"]).is_ok())
}

/// An image of this run, removed at the end.
pub struct Image {
    name: String,
    _context: Folder,
}

impl Image {
    /// `docker/Dockerfile.demo`: tinysvc with the demo application; or why it cannot be had.
    pub fn demo() -> Result<Image, String> {
        Image::build("docker/Dockerfile.demo", &["tinysvc", "demo"])
    }

    /// `docker/Dockerfile.scratch`: tinysvc alone; or why it cannot be had.
    pub fn alone() -> Result<Image, String> {
        Image::build("docker/Dockerfile.scratch", &["tinysvc"])
    }

    /// Builds from a file of the project; `files` are static binaries that `make build demo` left in `target`.
    pub fn build(file: &str, files: &[&str]) -> Result<Image, String> {
        if !docker_answers() {
            return Err(String::from("no Docker daemon answers"));
        }
        let context = Folder::new();
        for name in files {
            let from = fresh(name)?;
            fs::copy(&from, context.path(name))
                .map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
        }
        let name = unique("image");
        let file = root().join(file);
        docker(&["build", "-q", "-t", &name, "-f", &file.to_string_lossy(), &context.0.to_string_lossy()])?;
        Ok(Image { name, _context: context })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "-f", &self.name]);
    }
}

/// A static binary in the target folder that is not older than its sources.
fn fresh(name: &str) -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let binary = target.join(name);
    let built = fs::metadata(&binary).and_then(|m| m.modified());
    let Ok(built) = built else {
        return Err(format!("{} is missing: make build demo", binary.display()));
    };
    let sources = if name == "demo" { root().join("docker/demo") } else { root().join("src") };
    match newest(&sources) {
        Some(changed) if changed > built => {
            Err(format!("{} is older than its sources: make build demo", binary.display()))
        }
        _ => Ok(binary),
    }
}

fn newest(folder: &Path) -> Option<std::time::SystemTime> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    entries
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() { newest(&entry.path()) } else { entry.metadata().ok()?.modified().ok() }
        })
        .max()
}
