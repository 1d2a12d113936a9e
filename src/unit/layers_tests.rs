//! The layers together: precedence, what is a warning and what an error, and rubbish of every kind.

use super::*;
use crate::unit::spec::Restart;
use std::path::PathBuf;

/// A file that is gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &[u8]) -> Scratch {
        let path = std::env::temp_dir().join(format!("tinysvc-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn os(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn flags(pairs: &[(&str, &str)]) -> Vec<Flag> {
    let flag = |(name, value): &(&str, &str)| Flag {
        typed: format!("-p {name}={value}"),
        name: (*name).into(),
        value: (*value).into(),
    };
    pairs.iter().map(flag).collect()
}

fn load_all(
    file: Option<&str>,
    environment: &[(&str, &str)],
    given: &[(&str, &str)],
    command: &[&str],
) -> Loaded {
    // One file a thread, so that tests can run side by side.
    let name = format!("{:?}.service", std::thread::current().id()).replace(['(', ')'], "");
    let file = file.map(|text| Scratch::new(&name, text.as_bytes()));
    let command: Vec<OsString> = command.iter().map(OsString::from).collect();
    load(&Layers {
        name: "app.service",
        unit_file: file.as_ref().map(|file| file.0.as_path()),
        environment: &os(environment),
        flags: &flags(given),
        command: &command,
    })
}

/// `severity line message`, the severity as E, W or N; no line for what is not in the file.
fn said(loaded: &Loaded) -> Vec<String> {
    let letter = |severity| match severity {
        Severity::Error => 'E',
        Severity::Warning => 'W',
        Severity::Note => 'N',
    };
    let one = |c: &Complaint| match c.origin {
        Origin::File { line, .. } => format!("{} {line} {}: {}", letter(c.severity), c.key, c.message),
        _ => format!("{} {}", letter(c.severity), c),
    };
    loaded.complaints.iter().map(one).collect()
}

#[test]
fn with_no_layer_there_is_the_default_and_the_command() {
    let loaded = load_all(None, &[("PATH", "/bin"), ("TINY", "1")], &[], &["/app", "$X"]);
    let mut expected = Spec::for_command("app.service");
    let command = Command {
        program: "/app".into(),
        argv: vec!["/app".into(), "$X".into()],
        ignore_failure: false,
        expand: false,
        privilege: Privilege::Sandboxed,
        from_command_line: true,
    };
    expected.service.commands.insert(ExecKind::Start, vec![command]);
    assert_eq!(loaded.spec, expected);
    assert_eq!(said(&loaded), [""; 0]);
    assert_eq!(loaded.origins, [("ExecStart", Origin::Command)]);
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let file = "[Service]\nExecStart=/file\nRestart=always\n";
    let (f, e, c) = ("Restart", "TINYSVC_RESTART", "on-abort");
    let table: [(&str, Option<&str>, &[(&str, &str)], &[(&str, &str)], Restart); 6] = [
        ("the default", None, &[], &[], Restart::No),
        ("the file", Some(file), &[], &[], Restart::Always),
        ("a variable", Some(file), &[(e, "on-failure")], &[], Restart::OnFailure),
        ("a flag", Some(file), &[(e, "on-failure")], &[(f, c)], Restart::OnAbort),
        ("of two flags the last", None, &[], &[(f, c), (f, "no")], Restart::No),
        ("an empty variable is the default again", Some(file), &[(e, "")], &[], Restart::No),
    ];
    for (why, file, environment, given, expected) in table {
        let loaded = load_all(file, environment, given, &["/app"]);
        assert_eq!((loaded.spec.service.restart, said(&loaded)), (expected, vec![]), "{why}");
        // The program on the command line takes the place of the file's.
        assert_eq!(loaded.spec.service.commands(ExecKind::Start)[0].program, "/app", "{why}");
    }
    let loaded = load_all(Some(file), &[(e, "on-failure")], &[], &[]);
    assert_eq!(loaded.spec.service.commands(ExecKind::Start)[0].program, "/file");
    let origin = |name| loaded.origins.iter().find(|(n, _)| *n == name).map(|(_, origin)| origin.to_string());
    assert_eq!(origin("Restart").as_deref(), Some("TINYSVC_RESTART=on-failure"));
    assert!(origin("ExecStart").is_some_and(|text| text.ends_with(".service:2")));
}

#[test]
fn lists_gather_over_the_layers() {
    let file = "[Service]\nEnvironment=A=1 B=1\nSuccessExitStatus=3\nTimeoutSec=5\n";
    let given = [("Environment", "B=3"), ("SuccessExitStatus", ""), ("SuccessExitStatus", "5")];
    let loaded = load_all(Some(file), &[("TINYSVC_ENVIRONMENT", "C=2")], &given, &["/app"]);
    assert_eq!(loaded.spec.exec.environment, os(&[("A", "1"), ("C", "2"), ("B", "3")]));
    assert_eq!(loaded.spec.service.success_exit.statuses, [5].into());
    let names: Vec<_> = loaded.origins.iter().map(|(name, _)| *name).collect();
    assert!(
        names.contains(&"TimeoutStartSec")
            && names.contains(&"TimeoutStopSec")
            && !names.contains(&"TimeoutSec")
    );
}

#[test]
fn a_mistake_in_a_file_is_a_warning_and_the_rest_counts() {
    let file = "[Unit]\nDescription=x\nRestart=always\nConditionPathExists=/x\n[Service]\nExecStart=/app\nNice=nonsense\n\
        UMask=999\nRestart=sometimes\nTimeoutStopSec=abc\nKillMode=gently\nLimitNOFILE=many\nType=magic\n\
        CapabilityBoundingSet=CAP_KILL CAP_MAGIC\nRestartSecs=1\nPrivateTmp=yes\nPrivateTmp=true\n\
        ProtectHome=no\nX-Other=1\nNUMAMask=1\n[X-Tinysvc]\nHealth=off\n[Install]\nWantedBy=multi-user.target\n";
    let loaded = load_all(Some(file), &[], &[], &[]);
    let expected = [
        "N 2 Description: it describes the unit and changes nothing",
        "W 3 Restart: it stands in [Unit] and belongs in [Service], ignored",
        "W 4 ConditionPathExists: conditions are not checked yet: the service starts whatever they say",
        "W 7 Nice: not a number",
        "W 8 UMask: not an octal number up to 7777",
        "W 9 Restart: unknown word \"sometimes\"",
        "W 10 TimeoutStopSec: not a time span",
        "W 11 KillMode: unknown word \"gently\"",
        "W 12 LimitNOFILE: not a number",
        "W 13 Type: unknown type \"magic\"",
        "W 14 CapabilityBoundingSet: unknown capability \"CAP_MAGIC\"",
        "W 15 RestartSecs: no such directive in [Service], ignored",
        "W 16 PrivateTmp: not enforced yet",
        "N 17 PrivateTmp: not enforced yet",
        "N 18 ProtectHome: not enforced yet",
        "W 20 NUMAMask: nothing acts on it yet",
        "N 24 WantedBy: it is for systemctl enable; this unit was named",
    ];
    assert_eq!(said(&loaded), expected);
    let mut spec = Spec::for_command(loaded.spec.name.clone());
    spec.service.commands = loaded.spec.service.commands.clone();
    // What it says of itself and of others is for those who ask.
    spec.unit = loaded.spec.unit.clone();
    spec.exec.capability_bounding_set = Some(1 << 5);
    spec.ours.health = crate::unit::spec::Health::Off;
    assert_eq!(loaded.spec, spec);
}

#[test]
fn what_makes_a_unit_useless_to_systemd_is_an_error() {
    let table = [
        ("an open quote", "ExecStart=/a \"open", "E 2 ExecStart: a quote is opened and not closed"),
        ("in any command", "ExecStart=/a\nExecStop=/b 'x", "E 3 ExecStop: a quote is opened and not closed"),
        (
            "an unknown specifier",
            "ExecStart=/a %z",
            "E 2 ExecStart: unknown specifier %z (a percent sign itself is written %%)",
        ),
        (
            "a working directory",
            "ExecStart=/a\nWorkingDirectory=usr",
            "E 3 WorkingDirectory: neither an absolute path nor \"~\"",
        ),
        ("a user", "ExecStart=/a\nUser=a b", "E 3 User: neither a name nor a number"),
        (
            "a oneshot for ever",
            "ExecStart=/a\nType=oneshot\nRestart=always",
            "E 2 : Type=oneshot cannot have Restart=always or Restart=on-success",
        ),
        (
            "two commands",
            "ExecStart=/a\nExecStart=/b",
            "E 3 : more than one ExecStart=, which only Type=oneshot may have",
        ),
    ];
    for (why, lines, expected) in table {
        let complaints = said(&load_all(Some(&format!("[Service]\n{lines}\n")), &[], &[], &[]));
        assert_eq!(complaints.first().map(String::as_str), Some(expected), "{why}: {complaints:?}");
    }
}

#[test]
fn a_mistake_in_a_flag_or_a_variable_is_an_error_with_advice() {
    let words = "allowed: no, always, on-success, on-failure, on-abnormal, on-abort, on-watchdog";
    let table: [(&str, (&str, &str), String); 6] = [
        ("a bad word", ("Restart", "on-failur"), format!(
            "E -p Restart=on-failur: unknown word \"on-failur\"; {words}; did you mean on-failure?"
        )),
        ("a bad name", ("Restrat", "no"), "E -p Restrat=no: no such directive; did you mean Restart?".into()),
        ("a bad word of several", ("CapabilityBoundingSet", "CAP_KILL CAP_NETRAW"),
            "E -p CapabilityBoundingSet=CAP_KILL CAP_NETRAW: unknown capability \"CAP_NETRAW\"; did you mean CAP_NET_RAW?".into()),
        ("a group of system calls", ("SystemCallFilter", "@system-service"),
            "E -p SystemCallFilter=@system-service: groups of system calls such as @system-service come later; until then the list is not enforced".into()),
        ("what is not enforced is a warning", ("PrivateTmp", "yes"),
            "W -p PrivateTmp=yes: not enforced yet".into()),
        ("other people's keys are none here", ("X-Foo", "1"), "E -p X-Foo=1: no such directive".into()),
    ];
    for (why, flag, expected) in table {
        assert_eq!(said(&load_all(None, &[], &[flag], &["/app"])), [expected], "{why}");
    }
    let loaded = load_all(None, &[("TINYSVC_RESTART", "maybe")], &[], &["/app"]);
    assert_eq!(said(&loaded), [format!("E TINYSVC_RESTART=maybe: unknown word \"maybe\"; {words}")]);
}

#[test]
fn an_unknown_variable_is_never_an_error_and_one_of_kubernetes_no_news() {
    let table = [
        (
            "a slip",
            "TINYSVC_RESTRAT",
            "W TINYSVC_RESTRAT=x: no setting has this variable, which is ignored; did you mean TINYSVC_RESTART?",
        ),
        (
            "a stranger",
            "TINYSVC_HELLO_WORLD",
            "W TINYSVC_HELLO_WORLD=x: no setting has this variable, which is ignored",
        ),
        (
            "a service's port",
            "TINYSVC_PORT",
            "N TINYSVC_PORT=x: a Kubernetes service variable, not a setting",
        ),
        (
            "its host",
            "TINYSVC_SERVICE_HOST",
            "N TINYSVC_SERVICE_HOST=x: a Kubernetes service variable, not a setting",
        ),
        (
            "its named port",
            "TINYSVC_SERVICE_PORT_HTTP",
            "N TINYSVC_SERVICE_PORT_HTTP=x: a Kubernetes service variable, not a setting",
        ),
        (
            "its address",
            "TINYSVC_PORT_80_TCP_ADDR",
            "N TINYSVC_PORT_80_TCP_ADDR=x: a Kubernetes service variable, not a setting",
        ),
        (
            "another service's",
            "TINYSVC_WEB_PORT_80_TCP",
            "N TINYSVC_WEB_PORT_80_TCP=x: a Kubernetes service variable, not a setting",
        ),
    ];
    for (why, name, expected) in table {
        assert_eq!(said(&load_all(None, &[(name, "x")], &[], &["/app"])), [expected], "{why}");
    }
    let loaded = load_all(None, &[("TINYSVC_LOG_LEVEL", "info"), ("TINYSVC_UNIT", "x")], &[], &["/app"]);
    assert_eq!((said(&loaded).len(), loaded.options.len()), (0, 2));
}

#[test]
fn nothing_to_start_and_no_file_are_errors() {
    let loaded = load_all(None, &[], &[], &[]);
    assert_eq!(
        said(&loaded),
        ["E command line: no program: give one after --, or ExecStart= in a unit file"]
    );
    let path = Path::new("/no/such/web.service");
    let layers =
        Layers { name: "x", unit_file: Some(path), environment: &[], flags: &[], command: &["/app".into()] };
    let loaded = load(&layers);
    assert_eq!(loaded.spec.name, "web.service");
    assert_eq!(
        loaded.complaints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["/no/such/web.service: cannot read the unit file: No such file or directory"]
    );
    // An endless file ends at its limit.
    let layers = Layers { unit_file: Some(Path::new("/dev/zero")), ..layers };
    assert!(load(&layers).complaints.iter().any(|c| c.message == "the unit file is larger than 16 MiB"));
}

#[test]
fn a_strict_sandbox_refuses_what_is_not_enforced() {
    let file = "[Service]\nExecStart=/app\nPrivateTmp=yes\nProtectHome=no\nNUMAMask=1\n\
        SystemCallFilter=~@clock\n[X-Tinysvc]\nSandbox=strict\n";
    let expected = [
        "E 3 PrivateTmp: not enforced yet",
        "N 4 ProtectHome: not enforced yet",
        "W 5 NUMAMask: nothing acts on it yet",
        "E 6 SystemCallFilter: groups of system calls such as @clock come later; until then it refuses nothing",
    ];
    assert_eq!(said(&load_all(Some(file), &[], &[], &[])), expected);
}

/// Marsaglia's xorshift: rubbish that is the same each time.
struct Rubbish(u64);

impl Rubbish {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

const SEEDS: &[&str] = &[
    "[Service]\nExecStart=-@/bin/a \"b c\" 'd' \\x20 %n $X ${Y} ; +/b \\; c\n",
    "[Unit]\nStartLimitInterval=5min 20s\n[Service]\nRestart=on-failure\nRestartSec=1.5s\n",
    "[Service]\nEnvironment=\"A=b c\" D=\\u00e9 E=%%\nLimitNOFILE=1:2\nLimitCPU=1min\nLimitNICE=+5\n",
    "[Service]\nCapabilityBoundingSet=~CAP_KILL CAP_CHOWN\nSystemCallFilter=~@clock read:EPERM\nUMask=0027\n",
    "[X-Tinysvc]\nHealth=[::1]:80\nExitStatusMap=1:2 SIGTERM:0\nStopSignals=RTMIN+3\n# c\\\n;d\nX=\\\n",
    "\u{feff}[Service]\r\nRestrictAddressFamilies=none\r\nWorkingDirectory=-~\r\nSecureBits=noroot\r\n",
];

#[test]
fn rubbish_is_read_without_a_panic_and_every_complaint_has_its_line() {
    const PIECES: &[&str] = &[
        "\\",
        "\"",
        "'",
        "%",
        "=",
        "\n",
        "\0",
        "[",
        "]",
        ";",
        "~",
        ":",
        "$",
        "é",
        "99999999999999999999",
        "\\x",
        "\\u",
        "-",
        " ",
    ];
    let mut rubbish = Rubbish(0x9E37_79B9_7F4A_7C15);
    for round in 0..2_000 {
        let mut text = SEEDS[rubbish.below(SEEDS.len())].as_bytes().to_vec();
        for _ in 0..=rubbish.below(6) {
            let at = rubbish.below(text.len() + 1);
            match rubbish.below(4) {
                0 => text.insert(at, rubbish.next() as u8),
                1 => text.truncate(at),
                2 => {
                    let piece = PIECES[rubbish.below(PIECES.len())];
                    text.splice(at..at, piece.bytes());
                }
                _ => {
                    let other = SEEDS[rubbish.below(SEEDS.len())].as_bytes();
                    text.extend_from_slice(&other[rubbish.below(other.len())..]);
                }
            }
        }
        let lines = text.split(|b| *b == b'\n').count();
        let parsed = syntax::parse(&text);
        for (line, _, problem) in &parsed.problems {
            assert!((1..=lines).contains(line), "round {round}: {problem:?}");
        }
        let mut loaded = Loaded {
            spec: Spec::for_command("t.service"),
            complaints: Vec::new(),
            origins: Vec::new(),
            options: Vec::new(),
        };
        let unit = Unit::one_command("t.service", "", &Machine::UNKNOWN);
        for a in parsed.assignments {
            assert!((1..=lines).contains(&a.line), "round {round}");
            let origin = Origin::File { path: "t.service".into(), line: a.line };
            loaded.assign(origin, Some(a.section), &a.key, &a.value, unit);
        }
        for complaint in &loaded.complaints {
            let line = matches!(complaint.origin, Origin::File { line, .. } if (1..=lines).contains(&line));
            assert!(line, "round {round}: {complaint}");
            assert!(!complaint.to_string().contains(char::is_control), "round {round}: {complaint:?}");
        }
        // Whatever was understood can be shown, and what is shown is understood the same.
        let given = |row: &&Directive| loaded.origins.iter().any(|(name, _)| *name == row.name);
        for row in DIRECTIVES.iter().filter(given) {
            let shown = row.show(&loaded.spec);
            let mut again = Reading { unit, problems: Vec::new() };
            let mut spec = Spec::for_command("t.service");
            for value in &shown {
                assert_eq!(
                    row.set(&mut spec, value, &mut again),
                    Ok(()),
                    "round {round}: {}={value}",
                    row.name
                );
            }
            assert_eq!(row.show(&spec), shown, "round {round}: {}", row.name);
        }
    }
}
