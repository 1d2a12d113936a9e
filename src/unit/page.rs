//! Writes what the directive table knows for people: one directive, the list, and docs/directives.md.
#![forbid(unsafe_code)]

use super::directive::{Directive, Verdict};
use super::spec::Spec;
use super::syntax::Section;
use super::table::{DIRECTIVES, Found, OLD_NAMES, OTHERS};

/// What becomes of a directive, in one line; empty if it does what the manual says.
fn verdict_text(verdict: Verdict) -> String {
    match verdict {
        Verdict::Enforced => String::new(),
        Verdict::Emulated(how) => format!("Here: {how}."),
        Verdict::Ignored(why) => format!("Accepted and ignored: {why}."),
        Verdict::Missing(why) => format!("A warning: {why}."),
        Verdict::Unprotected(why) => {
            format!("A warning, or with Sandbox=strict an error: {why}.")
        }
    }
}

fn default_of(row: &Directive) -> String {
    row.show(&Spec::for_command("")).join(" ")
}

/// Everything about one directive, for `tinysvc help NAME`.
pub fn explain(name: &str, found: Found) -> String {
    let Found::Row(row) = found else {
        return format!("[{}] {name}=\n{}\n", found.section().name(), verdict_text(found.verdict()));
    };
    let default = default_of(row);
    let mut lines = vec![
        format!("[{}] {}=", row.section.name(), row.name),
        row.doc.to_owned(),
        String::new(),
        format!("takes     {}", row.allowed),
        format!("default   {}", if default.is_empty() { "not set" } else { &default }),
        format!("flag      -p {}=…", row.name),
        format!("variable  {}=…", row.variable()),
    ];
    if row.verdict != Verdict::Enforced {
        lines.extend([String::new(), verdict_text(row.verdict)]);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// All directives with one line each, for `tinysvc help directives`.
pub fn list() -> String {
    let mut out = String::new();
    for section in Section::ALL {
        let mut rows = DIRECTIVES.iter().filter(|row| row.section == section).peekable();
        if rows.peek().is_some() {
            out.push_str(&format!("[{}]\n", section.name()));
        }
        for row in rows {
            out.push_str(&format!("  {:<25} {}\n", row.name, row.doc));
            if row.verdict != Verdict::Enforced {
                out.push_str(&format!("  {:<25} {}\n", "", verdict_text(row.verdict)));
            }
        }
    }
    for others in OTHERS {
        let sections: Vec<_> = others.sections.iter().map(|s| format!("[{}]", s.name())).collect();
        out.push_str(&format!("{} {}\n", sections.join(" "), verdict_text(others.verdict)));
        out.push_str(&wrapped(others.names(), "  "));
    }
    out
}

/// Names with a space between, in lines of at most 110 columns.
fn wrapped<'a>(names: impl Iterator<Item = &'a str>, indent: &str) -> String {
    let mut out = String::from(indent);
    let mut column = indent.len();
    for name in names {
        if column > indent.len() && column + name.len() > 109 {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        }
        out.push_str(name);
        out.push(' ');
        column += name.len() + 1;
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out.replace(" \n", "\n")
}

const HEAD: &str = "# Directives

<!-- Made by `tinysvc help directives --markdown`; a test compares. Change src/unit/table.rs instead. -->

Every setting of tinysvc is a systemd directive. Of the layers the first that says something wins:

| layer | form |
| --- | --- |
| flag | `-p NAME=VALUE` |
| environment | `TINYSVC_NAME=VALUE`, the name in capitals with `_` between its words |
| unit file | `--unit FILE`, in the section that the directive stands in below |
| default | as below |

Lists gather over the layers. An empty value empties a list and puts anything else back to its default.

A mistake in a flag or a variable is an error, and nothing starts. A mistake in a unit file is a warning and the
assignment is ignored, as systemd has it; it is an error where systemd refuses the unit too (an `Exec…=` line or a
`User=` that cannot be read, a `WorkingDirectory=` that is no absolute path).

systemd ignores the section `[X-Tinysvc]`, so that one file serves both.
";

/// docs/directives.md.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    for section in Section::ALL {
        let mut rows = DIRECTIVES.iter().filter(|row| row.section == section).peekable();
        if rows.peek().is_none() {
            continue;
        }
        out.push_str(&format!("\n## [{}]\n\n", section.name()));
        out.push_str(
            "| directive | what it does | takes | default | variable |\n| --- | --- | --- | --- | --- |\n",
        );
        for row in rows {
            let default = match default_of(row) {
                text if text.is_empty() => String::new(),
                text => format!("`{text}`"),
            };
            out.push_str(&format!(
                "| `{}` | {} {} | {} | {default} | `{}` |\n",
                row.name,
                row.doc,
                verdict_text(row.verdict),
                row.allowed,
                row.variable()
            ));
        }
    }
    out.push_str("\n## What is known and does nothing\n");
    for others in OTHERS {
        let sections: Vec<_> = others.sections.iter().map(|s| format!("[{}]", s.name())).collect();
        out.push_str(&format!("\n**{}** {}\n\n", sections.join(" "), verdict_text(others.verdict)));
        out.push_str(&wrapped(others.names(), ""));
    }
    out.push_str("\n## Old names that still count\n\n");
    for (old, new) in OLD_NAMES {
        out.push_str(&format!("`{old}` is `{new}`.\n"));
    }
    out.replace(".  |", ". |")
}
