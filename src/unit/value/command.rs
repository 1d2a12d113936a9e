//! What is executed, as whom, where and with which variables: `Exec*=`, `User=`, `WorkingDirectory=`,
//! `Environment=`.
#![forbid(unsafe_code)]

use crate::unit::complaint::{Problem, Weight};
use crate::unit::spec::{Command, Privilege, WorkingDirectory};
use crate::unit::specifier::{self, Unit};
use crate::unit::words::{self, Rules, WHITE, next, skip_white};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Reads one assignment of `Exec*=`: command lines, separated by a lone `;`. A line with `-` that cannot be
/// read is dropped, and so is what follows it in the assignment.
///
/// # Errors
/// Any other line that cannot be read: the unit is of no use then, since a step of it would be missing.
/// systemd.service(5), "Command lines".
pub fn commands(text: &str, unit: Unit<'_>, problems: &mut Vec<Problem>) -> Result<Vec<Command>, Problem> {
    let mut commands = Vec::new();
    let mut rest = skip_white(text.as_bytes());
    while !rest.is_empty() {
        // A lone `;` separates; one more does not matter.
        if let Some(after) = lone(rest, b";") {
            rest = after;
            continue;
        }
        let first =
            next(&mut rest, Rules::COMMAND).map_err(|bad| Problem::unit(bad.text()))?.unwrap_or_default();
        let (mut command, marks, program) = prefixes(&first);
        let read = if marks.shell {
            shell_line(&mut command, program, marks.argv0_apart, &mut rest, unit, problems)
        } else {
            line(&mut command, program, marks.argv0_apart, &mut rest, unit, problems)
        };
        match read {
            Ok(()) => commands.push(command),
            Err(problem) if command.ignore_failure => {
                problems.push(Problem { weight: Weight::Value, ..problem });
                break;
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(commands)
}

/// What `rest` goes on with after `token`, if that stands there alone.
fn lone<'a>(rest: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
    let after = rest.strip_prefix(token)?;
    after.first().is_none_or(|b| WHITE.contains(b)).then(|| skip_white(after))
}

/// What prefixes say that is no part of a command.
#[derive(Default)]
struct Marks {
    /// `@`: the word behind the program is `argv[0]`.
    argv0_apart: bool,
    /// `|`: a shell reads the line.
    shell: bool,
}

/// Takes the prefixes off the first word: an empty command with their meaning, what else they say, and the rest.
/// Each counts once; of `+`, `!` and `!!` one. A character that does not count any more begins the program.
fn prefixes(first: &[u8]) -> (Command, Marks, &[u8]) {
    let mut command = Command {
        program: OsString::new(),
        argv: Vec::new(),
        ignore_failure: false,
        expand: true,
        privilege: Privilege::Sandboxed,
        from_command_line: false,
    };
    let (mut marks, mut ambient) = (Marks::default(), false);
    let mut rest = first;
    while let [prefix, after @ ..] = rest {
        match prefix {
            b'-' if !command.ignore_failure => command.ignore_failure = true,
            b'@' if !marks.argv0_apart => marks.argv0_apart = true,
            b'|' if !marks.shell => marks.shell = true,
            b':' if command.expand => command.expand = false,
            b'+' if command.privilege == Privilege::Sandboxed && !ambient => {
                command.privilege = Privilege::Full
            }
            b'!' if command.privilege == Privilege::Sandboxed && !ambient => {
                command.privilege = Privilege::NoSetuid;
            }
            // `!!` means as `!` where the kernel lacks ambient capabilities; none that we run on does.
            b'!' if command.privilege == Privilege::NoSetuid && !ambient => {
                command.privilege = Privilege::Sandboxed;
                ambient = true;
            }
            _ => break,
        }
        rest = after;
    }
    (command, marks, rest)
}

/// Reads the rest of one command line, up to the end or a lone `;`.
fn line(
    command: &mut Command,
    program: &[u8],
    argv0_apart: bool,
    rest: &mut &[u8],
    unit: Unit<'_>,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let program = specifier::expand(program, unit, problems)?;
    check_program(&program)?;
    command.program = OsString::from_vec(program);
    if !argv0_apart {
        command.argv.push(command.program.clone());
    }
    arguments(&mut command.argv, rest, unit, problems)?;
    if command.argv.first().is_none_or(|argv0| argv0.is_empty()) {
        return Err(Problem::unit("no argv[0] after the '@'"));
    }
    Ok(())
}

/// Reads words up to the end or a lone `;`.
fn arguments(
    argv: &mut Vec<OsString>,
    rest: &mut &[u8],
    unit: Unit<'_>,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    while !rest.is_empty() {
        if let Some(after) = lone(rest, b";") {
            *rest = after;
            break;
        }
        if let Some(after) = lone(rest, b"\\;") {
            argv.push(";".into());
            *rest = after;
            continue;
        }
        let Some(word) = next(rest, Rules::COMMAND).map_err(|bad| Problem::unit(bad.text()))? else { break };
        argv.push(OsString::from_vec(specifier::expand(&word, unit, problems)?));
    }
    Ok(())
}

/// Reads a line that a shell is to execute: `|` of systemd 258. With `@` it is a login shell; with nothing behind
/// it, the shell alone. systemd takes the shell of `User=`; here it is `/bin/sh`.
fn shell_line(
    command: &mut Command,
    program: &[u8],
    login: bool,
    rest: &mut &[u8],
    unit: Unit<'_>,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let mut words = vec![OsString::from_vec(specifier::expand(program, unit, problems)?)];
    arguments(&mut words, rest, unit, problems)?;
    if words.first().is_some_and(|program| program.is_empty()) {
        words.remove(0);
    }
    command.program = "/bin/sh".into();
    command.argv.push(if login { "-sh" } else { "sh" }.into());
    if !words.is_empty() {
        let mut line = Vec::new();
        words.iter().for_each(|word| for_shell(&mut line, word.as_bytes(), command.expand));
        command.argv.push("-c".into());
        command.argv.push(OsString::from_vec(line));
    }
    // The shell puts in what the variables hold.
    command.expand = false;
    Ok(())
}

/// Adds a word as a shell has to be told it. Variables mean what they mean in a command line: `${X}` never splits, a
/// word that is one with a bare `$` does, and any other dollar is just that.
fn for_shell(line: &mut Vec<u8>, word: &[u8], expand: bool) {
    if !line.is_empty() {
        line.push(b' ');
    }
    let name = word.strip_prefix(b"$").map(|name| String::from_utf8_lossy(name));
    if expand && name.is_some_and(|name| is_variable(&name)) {
        return line.extend_from_slice(word);
    }
    line.push(b'"');
    let mut rest = word;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'$', [b'{', ..]) if expand => line.push(b'$'),
            (b'$', [b'$', after @ ..]) if expand => {
                line.extend_from_slice(b"\\$");
                rest = after;
            }
            (b'$' | b'"' | b'`' | b'\\', _) => line.extend_from_slice(&[b'\\', *byte]),
            _ => line.push(*byte),
        }
    }
    line.push(b'"');
}

fn check_program(program: &[u8]) -> Result<(), Problem> {
    match program {
        [] => Err(Problem::unit("no program to execute")),
        [.., b'/'] => Err(Problem::unit("the program is a folder")),
        [b'/', ..] if folder_up(program) => Err(Problem::unit("the program's path contains \"..\"")),
        [b'/', ..] => Ok(()),
        _ if program.contains(&b'/') => {
            Err(Problem::unit("the program is neither an absolute path nor a name"))
        }
        b"." | b".." => Err(Problem::unit("the program is a folder")),
        _ => Ok(()),
    }
}

fn folder_up(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|part| part == b"..")
}

/// As [`commands`] reads it. What was given after `--` is shown as a unit file would have to say it.
pub fn show_command(command: &Command) -> String {
    let mut first = Vec::new();
    if command.ignore_failure {
        first.push(b'-');
    }
    if !command.expand && needs_colon(command) {
        first.push(b':');
    }
    match command.privilege {
        Privilege::Sandboxed => {}
        Privilege::NoSetuid => first.push(b'!'),
        Privilege::Full => first.push(b'+'),
    }
    let argv0_apart = command.argv.first() != Some(&command.program);
    if argv0_apart {
        first.push(b'@');
    }
    first.extend(percent(&command.program));
    let mut words = vec![words::quote(&first)];
    for arg in command.argv.iter().skip(usize::from(!argv0_apart)) {
        words.push(if arg == ";" { "\\;".to_owned() } else { words::quote(&percent(arg)) });
    }
    words.join(" ")
}

/// Whether leaving the `:` out would change the arguments.
fn needs_colon(command: &Command) -> bool {
    !command.from_command_line || command.argv.iter().any(|arg| arg.as_bytes().contains(&b'$'))
}

/// Each `%` twice.
fn percent(text: &OsStr) -> Vec<u8> {
    let double = |b: &u8| std::iter::repeat_n(*b, if *b == b'%' { 2 } else { 1 });
    text.as_bytes().iter().flat_map(double).collect()
}

/// Adds one assignment of `Environment=`; an empty value clears what there is. What is no assignment is
/// dropped.
pub fn environment(
    variables: &mut Vec<(OsString, OsString)>,
    text: &str,
    unit: Unit<'_>,
    problems: &mut Vec<Problem>,
) {
    if text.is_empty() {
        variables.clear();
    }
    let mut rest = text.as_bytes();
    loop {
        let word = match next(&mut rest, Rules::STRICT) {
            Ok(Some(word)) => word,
            Ok(None) => return,
            Err(bad) => return problems.push(Problem::value(bad.text())),
        };
        let word = match specifier::expand(&word, unit, problems) {
            Ok(word) => word,
            Err(problem) => {
                problems.push(Problem { weight: Weight::Value, ..problem });
                continue;
            }
        };
        let text = String::from_utf8_lossy(&word);
        match text.split_once('=') {
            Some((name, value)) if is_variable(name) && std::str::from_utf8(&word).is_ok() => {
                variables.retain(|(n, _)| n != name);
                variables.push((name.into(), value.into()));
            }
            Some(_) => {
                problems.push(Problem::value(format!("\"{text}\" does not begin with a variable's name")))
            }
            None => problems.push(Problem::value(format!("\"{text}\" is not NAME=VALUE"))),
        }
    }
}

/// Letters, digits and `_`, not beginning with a digit: environ(7), and what systemd lets through.
pub(in crate::unit) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// As [`environment`] reads it, one for each variable.
pub fn show_variable((name, value): &(OsString, OsString)) -> String {
    words::quote(&percent(
        &[name.as_os_str(), OsStr::new("="), value.as_os_str()].into_iter().collect::<OsString>(),
    ))
}

/// `User=`, `Group=`: a name or a number.
///
/// # Errors
/// It can be neither. The unit is of no use then, since it would run as somebody else.
pub fn user(text: &str, unit: Unit<'_>, problems: &mut Vec<Problem>) -> Result<String, Problem> {
    let name = specifier::expand(text.as_bytes(), unit, problems)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    // systemd's relaxed rule: whatever can stand in passwd(5) and is no path.
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '/' | ',' | '"');
    let dots = name.trim_matches('.').is_empty();
    if dots || name.len() > 256 || name.starts_with('-') || name.contains(bad) {
        return Err(Problem::unit("neither a name nor a number"));
    }
    Ok(name)
}

/// `WorkingDirectory=`.
///
/// # Errors
/// Neither an absolute path nor `~`. The unit is of no use then.
pub fn working_directory(
    text: &str,
    unit: Unit<'_>,
    problems: &mut Vec<Problem>,
) -> Result<WorkingDirectory, Problem> {
    let (missing_ok, place) = match text.strip_prefix('-') {
        Some(place) => (true, place),
        None => (false, text),
    };
    if place == "~" {
        return Ok(WorkingDirectory { path: None, missing_ok });
    }
    let path = specifier::expand(place.as_bytes(), unit, problems)?;
    if path.first() != Some(&b'/') {
        return Err(Problem::unit("neither an absolute path nor \"~\""));
    }
    if folder_up(&path) {
        return Err(Problem::unit("the path contains \"..\""));
    }
    Ok(WorkingDirectory { path: Some(OsString::from_vec(path)), missing_ok })
}

/// As [`working_directory`] reads it.
pub fn show_working_directory(place: &WorkingDirectory) -> String {
    let path = match &place.path {
        Some(path) => String::from_utf8_lossy(&percent(path)).into_owned(),
        None => "~".to_owned(),
    };
    format!("{}{path}", if place.missing_ok { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::machine::Machine;

    const UNIT: Unit<'_> =
        Unit { name: "t.service", path: "", machine: &Machine::UNKNOWN, one_command: true };

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let mut problems = Vec::new();
        let read = commands(text, UNIT, &mut problems).map_err(|p| p.message.into_owned())?;
        let lines: Vec<_> = read.iter().map(show_command).collect();
        let again = commands(&lines.join(" ; "), UNIT, &mut Vec::new());
        assert_eq!(again, Ok(read), "{text}, read back");
        Ok(lines.into_iter().chain(problems.iter().map(|p| format!("! {}", p.message))).collect())
    }

    #[test]
    fn command_lines_read_as_systemd_reads_them() {
        let open = "a quote is opened and not closed";
        let table: [(&str, &str, Result<&[&str], &str>); 34] = [
            ("a path and arguments", "/bin/a  b c", Ok(&["/bin/a b c"])),
            ("a name", "app -x", Ok(&["app -x"])),
            ("quotes and escapes", r#"/a "x y" 'z' a\x20b \u00e9"#, Ok(&[r#"/a "x y" z "a b" "é""#])),
            ("an unknown escape stays", r"/a \q", Ok(&[r#"/a "\\q""#])),
            ("ignore its failure", "-/a", Ok(&["-/a"])),
            ("all prefixes in any order", "+:@-/a zero one", Ok(&["-:+@/a zero one"])),
            ("argv[0] of its own", "@/a zero", Ok(&["@/a zero"])),
            ("no variables", ":/a $X", Ok(&[":/a $X"])),
            ("as root", "+/a", Ok(&["+/a"])),
            ("without changing user", "!/a", Ok(&["!/a"])),
            ("the ambient hack", "!!/a", Ok(&["/a"])),
            ("a prefix twice is part of the name", "--a", Ok(&["-\"-a\""])),
            ("a shell", "-|app 'x y' ''", Ok(&[r#"-:@/bin/sh sh -c "\"app\" \"x y\" \"\"""#])),
            (
                "a shell and its variables",
                "|a $X ${Y}z p$X $$",
                Ok(&[r#":@/bin/sh sh -c "\"a\" $X \"${Y}z\" \"p\\$X\" \"\\$\"""#]),
            ),
            ("a login shell alone", "@|", Ok(&[":@/bin/sh -sh"])),
            ("a shell and what follows", "|a ; /b", Ok(&[r#":@/bin/sh sh -c "\"a\"""#, "/b"])),
            ("two commands", "/a x ; /b y", Ok(&["/a x", "/b y"])),
            ("a separator too many", "/a ; ; /b ;", Ok(&["/a", "/b"])),
            ("an escaped separator", r"/a b \; c", Ok(&[r"/a b \; c"])),
            ("a quoted separator", r#"/a ";" c"#, Ok(&[r"/a \; c"])),
            ("a separator within a word", "/a b;c", Ok(&["/a b;c"])),
            ("specifiers", "/a %n %% 100%", Ok(&["/a t.service %% 100%%"])),
            ("an open quote", r#"/a "open"#, Err(open)),
            ("an open quote in the program", r#""/a"#, Err(open)),
            ("an open quote, but it may fail", r#"-/a "open"#, Ok(&["! a quote is opened and not closed"])),
            (
                "an unknown specifier",
                "/a %z",
                Err("unknown specifier %z (a percent sign itself is written %%)"),
            ),
            ("prefixes and no program", "+", Err("no program to execute")),
            ("no program, but it may fail", "-", Ok(&["! no program to execute"])),
            ("no argv[0]", "@/a", Err("no argv[0] after the '@'")),
            ("a relative path", "bin/a", Err("the program is neither an absolute path nor a name")),
            ("a folder", "/bin/", Err("the program is a folder")),
            ("a way up", "/bin/../a", Err("the program's path contains \"..\"")),
            ("nothing", "", Ok(&[])),
            ("an empty argument", r#"/a "" b"#, Ok(&[r#"/a "" b"#])),
        ];
        for (why, text, expected) in table {
            let expected =
                expected.map(|l| l.iter().map(|s| (*s).to_owned()).collect()).map_err(str::to_owned);
            // `--a` cannot be shown so that it reads back with the prefix in quotes; nothing executes such a
            // name.
            if text == "--a" {
                let read = commands(text, UNIT, &mut Vec::new()).unwrap();
                assert_eq!((read[0].ignore_failure, read[0].program.to_str()), (true, Some("-a")));
                continue;
            }
            assert_eq!(shown(text), expected, "{why}");
        }
    }

    #[test]
    fn variables_are_taken_as_they_were_recorded() {
        let lines = [
            r#"A=1 "B=two words" 'C=single q' D=x\x20y E="#,
            r#"A=2 F="inner" G='in ner' "H=a\"b" "I=tab\there""#,
            r#""J=$A ${B}" K=%n L=%% M=a=b=c"#,
            "1BAD=x BAD-NAME=y NOEQ _OK=z",
            r#""N=line\nbreak""#,
            "BADSPEC=%z O=1",
            r"P=\q Q=lost",
            "R=1 \"S=open",
        ];
        let (mut variables, mut problems) = (Vec::new(), Vec::new());
        for line in lines {
            environment(&mut variables, line, UNIT, &mut problems);
        }
        let shown: Vec<_> = variables.iter().map(show_variable).collect();
        let expected = [
            r#""B=two words""#,
            r#""C=single q""#,
            r#""D=x y""#,
            "E=",
            "A=2",
            "F=inner",
            r#""G=in ner""#,
            r#""H=a\"b""#,
            r#""I=tab\there""#,
            r#""J=$A ${B}""#,
            "K=t.service",
            "L=%%",
            "M=a=b=c",
            "_OK=z",
            r#""N=line\nbreak""#,
            "O=1",
            "R=1",
        ];
        assert_eq!(shown, expected);
        assert_eq!(problems.len(), 6);
        let mut again = Vec::new();
        environment(&mut again, &shown.join(" "), UNIT, &mut problems);
        assert_eq!(again, variables);
        environment(&mut again, "", UNIT, &mut problems);
        assert_eq!((again.len(), problems.len()), (0, 6));
    }

    #[test]
    fn users_and_places() {
        for good in ["app", "1000", "_apt", "systemd-network", "Domain\\user", "a.b", "user@host"] {
            assert_eq!(user(good, UNIT, &mut Vec::new()).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "a b", "a:b", "a/b", "-x", "a\nb"] {
            assert!(user(bad, UNIT, &mut Vec::new()).is_err(), "{bad:?}");
        }
        for good in ["/usr/bin", "-/no/such", "~", "-~", "/a%%b", "/"] {
            let read = working_directory(good, UNIT, &mut Vec::new()).unwrap();
            assert_eq!(show_working_directory(&read), good);
        }
        for bad in ["usr/bin", "", "-", "/a/../b", "~/x", "/%z"] {
            let weight = working_directory(bad, UNIT, &mut Vec::new()).map_err(|p| p.weight);
            assert_eq!(weight, Err(Weight::Unit), "{bad:?}");
        }
    }
}
