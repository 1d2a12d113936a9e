//! The documents say what the code has: every command in them is understood, every link leads somewhere, and every
//! list that the code has too is the same one.
//!
//! `docs/directives.md` is compared beside the table that it is made from.
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    use tinysvc::engine::exit_code;
    use tinysvc::plan::Step;
    use tinysvc::unit::spec::status;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn read(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Every page, by its path from the root.
    fn pages() -> Vec<(String, String)> {
        let mut pages = Vec::new();
        for folder in ["", "docs"] {
            for entry in fs::read_dir(root().join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".md") {
                    let path = Path::new(folder).join(name).to_string_lossy().into_owned();
                    pages.push((path.clone(), read(&path)));
                }
            }
        }
        pages.sort();
        assert!(pages.iter().any(|(path, _)| path == "README.md"));
        pages
    }

    /// A fenced block: its language and its lines.
    fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
        let mut blocks = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let inside = lines.by_ref().take_while(|line| !line.starts_with("```"));
                blocks.push((language.to_owned(), inside.map(str::to_owned).collect()));
            }
        }
        blocks
    }

    /// A page without its fenced blocks.
    fn prose(text: &str) -> String {
        let mut fenced = false;
        let outside = |line: &&str| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fence && !fenced
        };
        text.lines().filter(outside).collect::<Vec<_>>().join("\n")
    }

    /// The cells of each row of the tables of a page, code marks taken off.
    fn rows(text: &str) -> Vec<Vec<String>> {
        let table = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
        let cells = |line: &str| {
            let inside = line.trim_end().trim_start_matches('|').trim_end_matches('|').to_owned();
            inside.split('|').map(|cell| cell.trim().replace('`', "")).collect()
        };
        table.map(cells).collect()
    }

    /// What stands below a heading, up to the next one of the same depth.
    fn section<'a>(text: &'a str, heading: &str) -> &'a str {
        let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
        let depth = heading.split(' ').next().unwrap();
        rest.split_once(&format!("\n{depth} ")).map_or(rest, |(inside, _)| inside)
    }

    /// Splits a line as a shell does, as far as the pages need it: white space, quotes, a comment at the end.
    fn shell(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in line.chars() {
            match (c, quote) {
                (c, Some(q)) if c == q => quote = None,
                ('"' | '\'', None) => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
                ('#', None) if word.is_none() => break,
                (' ', None) => words.extend(word.take()),
                (c, _) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    /// The strings of a JSON array in a line of a Dockerfile or a manifest.
    fn array(line: &str) -> Vec<String> {
        let inside = line.split_once('[').and_then(|(_, rest)| rest.rsplit_once(']'));
        let inside = inside.map_or("", |(inside, _)| inside);
        inside.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
    }

    fn is_tinysvc(word: &str) -> bool {
        word.rsplit('/').next() == Some("tinysvc")
    }

    /// The arguments of every tinysvc that a page calls, and the variables before it.
    fn calls(text: &str) -> Vec<(Vec<String>, Vec<String>)> {
        let mut calls = Vec::new();
        for (language, lines) in blocks(text) {
            for line in lines {
                let words = match language.as_str() {
                    "sh" => shell(&line),
                    "console" => line.strip_prefix("$ ").map(shell).unwrap_or_default(),
                    "dockerfile" | "yaml" => array(&line),
                    _ => continue,
                };
                let assigned = words.iter().take_while(|word| language != "yaml" && word.contains('='));
                let mut variables: Vec<String> = assigned.cloned().collect();
                let mut rest = words.into_iter().skip(variables.len()).peekable();
                // In a health check of Compose.
                rest.next_if(|word| word == "CMD");
                if rest.next().is_some_and(|word| is_tinysvc(&word)) {
                    calls.push((std::mem::take(&mut variables), rest.collect()));
                }
            }
        }
        calls
    }

    fn tinysvc(variables: &[String], arguments: &[String]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinysvc"));
        for variable in std::env::vars_os().map(|(name, _)| name) {
            if variable.to_string_lossy().starts_with("TINYSVC_") {
                command.env_remove(variable);
            }
        }
        command.envs(variables.iter().filter_map(|variable| variable.split_once('=')));
        command.args(arguments).output().expect("the binary runs")
    }

    /// What a start, or whatever else was asked for, complains about. Nothing is started.
    fn complaint(variables: &[String], arguments: &[String], unit: &Path) -> String {
        let mut arguments = arguments.to_vec();
        match arguments.first().map(String::as_str) {
            // A placeholder of a synopsis.
            _ if arguments.iter().any(|word| word.starts_with('[') || word == "PROGRAM") => {
                return String::new();
            }
            Some("help") => {}
            Some("health") => {
                // Whoever answers, a wrong argument shows the usage.
                arguments.extend(["--timeout", "0.001"].map(str::to_owned));
                let said = String::from_utf8(tinysvc(variables, &arguments).stderr).unwrap();
                return if said.contains("usage:") { said } else { String::new() };
            }
            Some("show") => {}
            _ => arguments.insert(0, "show".to_owned()),
        }
        let options = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
        if let Some(at) = arguments.iter().take(options).position(|word| word == "--unit" || word == "-u") {
            arguments[at + 1] = unit.to_string_lossy().into_owned();
        }
        let output = tinysvc(variables, &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        if output.status.success() { said } else { format!("{}: {said}", output.status) }
    }

    #[test]
    fn every_command_in_the_pages_is_understood() {
        let unit: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents.service");
        let example = blocks(&read("README.md")).into_iter().find(|(language, _)| language == "ini");
        fs::write(&unit, example.expect("a unit file as an example").1.join("\n")).unwrap();
        let mut seen = 0;
        for (page, text) in pages() {
            for (variables, arguments) in calls(&text) {
                let said = complaint(&variables, &arguments, &unit);
                assert!(said.is_empty(), "{page}: tinysvc {}: {said}", arguments.join(" "));
                seen += 1;
            }
        }
        assert!(seen > 20, "{seen} commands are few");

        // It would notice.
        let table = [
            ("an option", "--restrat always -- /app"),
            ("a value", "--restart sometimes -- /app"),
            ("a directive", "-p Restrt=always -- /app"),
            ("an option of health", "health --nonsense"),
            ("a directive to be explained", "help Restrt"),
        ];
        for (why, line) in table {
            assert!(!complaint(&[], &shell(line), &unit).is_empty(), "{why}");
        }
    }

    #[test]
    fn what_the_readme_says_is_printed_is_printed() {
        let mut seen = 0;
        for (language, lines) in blocks(&read("README.md")) {
            let Some(command) = lines.first().and_then(|line| line.strip_prefix("$ ")) else { continue };
            assert_eq!(language, "console");
            let words = shell(command);
            let at = words.iter().position(|word| is_tinysvc(word)).expect("a call of tinysvc");
            let output = tinysvc(&words[..at], &words[at + 1..]);
            let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(printed.trim_end(), lines[1..].join("\n").trim_end(), "{command}");
            seen += 1;
        }
        assert_eq!(seen, 2, "show, and a log");
    }

    #[test]
    fn every_variable_in_the_pages_is_a_setting() {
        // A placeholder.
        let others = ["TINYSVC_NAME"];
        for (page, text) in pages() {
            let mut found = BTreeSet::new();
            for (at, _) in text.match_indices("TINYSVC_") {
                let rest = &text[at..];
                let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_')).unwrap_or(rest.len());
                found.insert(&rest[..end]);
            }
            for name in found.into_iter().filter(|name| *name != "TINYSVC_" && !others.contains(name)) {
                let said = tinysvc(&[format!("{name}=")], &shell("show -- /app")).stderr;
                let said = String::from_utf8(said).unwrap();
                assert!(!said.contains("no setting has this variable"), "{page}: {said}");
            }
        }
    }

    /// The anchor that a heading gets.
    fn anchor(heading: &str) -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    }

    #[test]
    fn every_link_leads_somewhere() {
        let mut seen = 0;
        for (page, text) in pages() {
            let folder = root().join(&page).parent().unwrap().to_owned();
            for (at, _) in prose(&text).match_indices("](") {
                let prose = prose(&text);
                let target = prose[at + 2..].split(')').next().unwrap();
                if target.contains("://") {
                    continue;
                }
                let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
                let file = if path.is_empty() { root().join(&page) } else { folder.join(path) };
                assert!(file.exists(), "{page}: {target} is not there");
                if !fragment.is_empty() {
                    let there = fs::read_to_string(&file).unwrap();
                    let has = there.lines().any(|line| line.starts_with('#') && anchor(line) == fragment);
                    assert!(has, "{page}: {target} has no such heading");
                }
                seen += 1;
            }
        }
        assert!(seen > 15, "{seen} links are few");
    }

    #[test]
    fn every_file_and_target_that_is_named_exists() {
        let makefile = read("Makefile");
        let targets: BTreeSet<&str> = makefile
            .lines()
            .filter_map(|line| line.split_once(':').map(|(name, _)| name))
            .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
            .collect();
        assert!(targets.contains("test") && read("README.md").contains("`make test`"));
        for (page, text) in pages() {
            for code in text.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n')) {
                let named = ["src/", "integration/", "docs/", "docker/", ".cargo/", ".ci/"];
                if named.iter().any(|folder| code.starts_with(folder)) && !code.contains(' ') {
                    assert!(root().join(code).exists(), "{page}: {code} is not there");
                }
            }
            let lines: Vec<String> = blocks(&text).into_iter().flat_map(|(_, lines)| lines).collect();
            let inline = text.split('`').skip(1).step_by(2).map(str::to_owned);
            for code in lines.into_iter().chain(inline) {
                if let Some(target) = code.strip_prefix("make ").and_then(|rest| rest.split(' ').next()) {
                    assert!(targets.contains(target), "{page}: make {target} is no target");
                }
            }
        }
    }

    #[test]
    fn the_table_of_statuses_is_the_codes() {
        let readme = read("README.md");
        let rows = rows(section(&readme, "## Exit statuses"));
        let mut seen = BTreeSet::new();
        for row in &rows {
            let (Ok(number), name) = (row[0].parse::<u8>(), &row[1]) else { continue };
            seen.insert(number);
            if number == 126 || number == 127 {
                assert_eq!(name, "", "{number}");
            } else {
                assert_eq!(status::name(number), Some(name.as_str()), "{number}");
            }
        }
        let ours = [exit_code::USAGE, exit_code::SOFTWARE, exit_code::OSERR, exit_code::CONFIG];
        // EXEC is told as 126 or 127.
        let steps = [
            status::CHDIR,
            status::NICE,
            status::FDS,
            status::LIMITS,
            status::OOM_ADJUST,
            status::SIGNAL_MASK,
            status::SECUREBITS,
            status::GROUP,
            status::USER,
            status::CAPABILITIES,
            status::SETSID,
            status::NO_NEW_PRIVILEGES,
            status::SECCOMP,
            status::ADDRESS_FAMILIES,
        ];
        let all: BTreeSet<u8> = [1, 126, 127].into_iter().chain(ours).chain(steps).collect();
        assert_eq!(seen, all);

        let table = [
            (1, "-p Health=off -p Type=notify -- true"),
            (64, "--restart sometimes -- true"),
            (78, "--unit /no/such.service"),
            (126, "-p Health=off -- /etc/passwd"),
            (127, "-p Health=off -- /no/such/program"),
            (200, "-p Health=off -p WorkingDirectory=/no/such/folder -- true"),
            (217, "-p Health=off --user no-such-user -- true"),
            (137, "-p Health=off -- sh -c 'kill -9 $$'"),
            (0, "-p Health=off -e 143 -- sh -c 'kill $$'"),
        ];
        for (status, line) in table {
            assert_eq!(tinysvc(&[], &shell(line)).status.code(), Some(status), "{line}");
        }
    }

    #[test]
    fn the_manual_page_has_the_options_of_the_help() {
        let options = |text: &str| -> BTreeSet<String> {
            let marks = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
            let words = text.split(marks).filter(|word| word.starts_with("--") && word.len() > 3);
            words.map(str::to_owned).collect()
        };
        let help = String::from_utf8(tinysvc(&[], &shell("help")).stdout).unwrap();
        let health = String::from_utf8(tinysvc(&[], &shell("health --help")).stdout).unwrap();
        let page = read("docs/tinysvc.md");
        let listed = options(section(&page, "## OPTIONS"));
        assert_eq!(listed, options(&(help + &health)));
    }

    #[test]
    fn the_rooms_and_steps_of_the_architecture_are_the_codes() {
        let page = read("ARCHITECTURE.md");
        let house = read("integration/house.rs");
        let (_, rules) = house.split_once("MAY_ENTER").unwrap();
        let (rules, _) = rules.split_once("];").unwrap();
        let quoted =
            |line: &str| -> Vec<String> { line.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
        let rules: Vec<Vec<String>> = rules.lines().map(quoted).filter(|words| !words.is_empty()).collect();
        let drawn: Vec<Vec<String>> = rows(section(&page, "## Rooms"))
            .into_iter()
            .skip(1)
            .map(|row| std::iter::once(row[0].clone()).chain(row[1].split(", ").map(str::to_owned)).collect())
            .collect();
        assert_eq!(drawn, rules);

        let steps: Vec<String> = rows(section(&page, "## Plan, then launch"))
            .into_iter()
            .skip(1)
            .map(|row| row[0].clone())
            .collect();
        let order: Vec<String> = Step::ORDER.iter().map(|step| format!("{step:?}")).collect();
        assert_eq!(steps, order);
    }

    #[test]
    fn every_dependency_has_a_reason() {
        let manifest = read("Cargo.toml");
        let page = read("ARCHITECTURE.md");
        let reasons = section(&page, "## Dependencies");
        let names: Vec<&str> = section(&manifest, "[dependencies]")
            .split("\n[")
            .next()
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
            .collect();
        assert!(names.contains(&"nix"), "{names:?}");
        for name in names {
            assert!(reasons.contains(&format!("`{name}`")), "{name} has no reason in ARCHITECTURE.md");
        }
    }

    #[test]
    fn the_metrics_on_the_page_are_those_that_are_written() {
        let code = read("src/roles/health/metrics.rs");
        let (code, _) = code.split_once("#[cfg(test)]").unwrap_or((&code, ""));
        let samples = code.match_indices("to.sample(").map(|(at, _)| code[at..].split('"').nth(1).unwrap());
        let written: BTreeSet<&str> = samples.collect();
        let page = read("docs/probes.md");
        let listed: BTreeSet<String> =
            rows(section(&page, "## Metrics")).into_iter().skip(1).map(|row| row[0].clone()).collect();
        assert_eq!(listed, written.into_iter().map(str::to_owned).collect());
    }
}
