//! The examples in `docker/` are what they say: valid for Kubernetes and Compose, and valid for tinysvc.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "stage/mod.rs"]
mod stage;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    use super::stage::{self, Folder, skip};

    /// Puts kubernetes-validate, which ships the schemas, into a virtual environment; or says why not.
    fn validator(folder: &Folder) -> Result<PathBuf, String> {
        let venv = folder.path("venv");
        let run = |program: PathBuf, words: &[&str]| {
            let output = Command::new(&program).args(words).output();
            match output.map_err(|e| format!("cannot run {}: {e}", program.display()))? {
                output if output.status.success() => Ok(()),
                output => {
                    Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("?").to_owned())
                }
            }
        };
        run("python3".into(), &["-m", "venv", &venv.to_string_lossy()])?;
        run(venv.join("bin/pip"), &["install", "-q", "--disable-pip-version-check", "kubernetes-validate"])?;
        Ok(venv.join("bin/kubernetes-validate"))
    }

    #[test]
    fn kubernetes_accepts_the_manifests() {
        let folder = Folder::new();
        let validate = match validator(&folder) {
            Ok(program) => program,
            Err(why) => skip!("no kubernetes-validate: {why}"),
        };
        let accepts = |path: &PathBuf| {
            let output =
                Command::new(&validate).arg("--strict").arg(path).output().expect("the validator runs");
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&said).into_owned())
        };
        let mut seen = 0;
        for entry in fs::read_dir(stage::root().join("docker/kubernetes")).expect("the manifests") {
            let path = entry.expect("an entry").path();
            let (ok, said) = accepts(&path);
            assert!(ok, "{}: {said}", path.display());
            seen += 1;
        }
        assert_eq!(seen, 2, "a deployment and a service");

        // It would notice.
        let text =
            fs::read_to_string(stage::root().join("docker/kubernetes/deployment.yaml")).expect("a file");
        let wrong = folder.file("wrong.yaml", &text.replace("livenessProbe:", "livenesProbe:"));
        assert!(!accepts(&wrong).0, "a misspelt key was accepted");
    }

    #[test]
    fn compose_accepts_the_file() {
        let compose: &[&str] =
            if stage::has("docker-compose") { &["docker-compose"] } else { &["docker", "compose"] };
        if !Command::new(compose[0])
            .args(&compose[1..])
            .arg("version")
            .output()
            .is_ok_and(|o| o.status.success())
        {
            skip!("there is no Compose");
        }
        let file = stage::root().join("docker/compose.yaml");
        let output = Command::new(compose[0])
            .args(&compose[1..])
            .args(["-f", &file.to_string_lossy(), "config"])
            .output()
            .expect("compose runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("TINYSVC_RESTART"));
    }

    /// The settings that the examples make by environment are settings that tinysvc knows.
    #[test]
    fn tinysvc_accepts_the_settings_of_the_examples() {
        let table = [
            ("compose", "docker/compose.yaml", compose_variables as fn(&str) -> Vec<(String, String)>),
            ("kubernetes", "docker/kubernetes/deployment.yaml", kubernetes_variables),
        ];
        for (why, file, variables) in table {
            let text = fs::read_to_string(stage::root().join(file)).expect("an example");
            let variables = variables(&text);
            assert!(variables.len() >= 4, "{why}: {variables:?}");
            let output = Command::new(stage::tinysvc())
                .args(["show", "--", "/app"])
                .env_clear()
                .envs(variables.iter().cloned())
                .output()
                .expect("tinysvc runs");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{why}: {errors}");
            assert!(!errors.contains("TINYSVC_"), "{why}: {errors}");
            let shown = String::from_utf8_lossy(&output.stdout);
            for (name, _) in variables {
                assert!(shown.contains(&name), "{why}: {name} is not among\n{shown}");
            }
        }
    }

    /// `  TINYSVC_NAME: value`
    fn compose_variables(text: &str) -> Vec<(String, String)> {
        let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
        lines
            .filter(|(name, _)| name.starts_with("TINYSVC_"))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect()
    }

    /// `- name: TINYSVC_NAME`, then `  value: VALUE`
    fn kubernetes_variables(text: &str) -> Vec<(String, String)> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let pairs = lines.windows(2).filter_map(|pair| {
            let name = pair[0].strip_prefix("- name: ").filter(|name| name.starts_with("TINYSVC_"))?;
            Some((name.to_owned(), pair[1].strip_prefix("value: ")?.trim_matches('"').to_owned()))
        });
        pairs.collect()
    }
}
