//! Libraries made up in temporary folders: who wins, who is hidden, what a link means.

use super::*;
use crate::unit::spec::ExecKind;
use std::fs;
use std::os::unix::fs::symlink;

/// A root that is gone when the test is.
pub struct Tree(pub PathBuf);

impl Tree {
    /// Files as `path`, `text`, below `/etc/systemd/system` if the path is relative; `-> target` makes a link.
    pub fn new(files: &[(&str, &str)]) -> Tree {
        let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "");
        let root = std::env::temp_dir().join(format!("tinysvc-library-{}-{thread}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = match path.strip_prefix('/') {
                Some(path) => root.join(path),
                None => root.join("etc/systemd/system").join(path),
            };
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("-> ") {
                Some(target) => symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
        Tree(root)
    }

    /// The library of it, on a machine of which nothing is known.
    pub fn library(&self) -> Library {
        let mut library = Library::new(&self.0);
        library.machine = Machine::UNKNOWN;
        library
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn service(mark: &str) -> String {
    format!("[Service]\nExecStart=/bin/true\nEnvironment=M={mark}\n")
}

/// The variables, as one line.
fn variables(unit: &Unit) -> String {
    let one = |(name, value): &(std::ffi::OsString, std::ffi::OsString)| {
        format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
    };
    unit.spec.exec.environment.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn said(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().filter(|c| c.severity > Severity::Note).map(Complaint::to_string).collect()
}

const ETC: &str = "/etc/systemd/system/";
const RUN: &str = "/run/systemd/system/";
const LOCAL: &str = "/usr/local/lib/systemd/system/";
const USR: &str = "/usr/lib/systemd/system/";

#[test]
fn the_first_folder_that_has_a_name_wins() {
    let paths = [ETC, RUN, LOCAL, USR, "/lib/systemd/system/"].map(|folder| format!("{folder}a.service"));
    for first in 0..paths.len() {
        let texts: Vec<String> = paths.iter().map(|path| service(path)).collect();
        let files: Vec<(&str, &str)> =
            paths.iter().zip(&texts).skip(first).map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let tree = Tree::new(&files);
        let unit = tree.library().load("a.service");
        assert_eq!(unit.fragment.as_deref(), Some(paths[first].as_str()));
        assert_eq!(variables(&unit), format!("M={}", paths[first]));
    }
}

#[test]
fn what_a_name_stands_for() {
    let text = service("%n");
    let tree = Tree::new(&[
        ("real.service", &text),
        ("/usr/lib/systemd/system/masked.service", &text),
        ("masked.service", "-> /dev/null"),
        ("empty.service", ""),
        ("alias.service", "-> real.service"),
        ("/usr/lib/systemd/system/far.service", "-> /etc/systemd/system/alias.service"),
        ("dead.service", "-> gone.service"),
        ("ring.service", "-> gnir.service"),
        ("gnir.service", "-> ring.service"),
        ("/opt/elsewhere.service", &text),
        ("linked.service", "-> ../../../opt/elsewhere.service"),
        ("t@.service", &text),
        ("t@own.service", &service("own")),
        ("also@.service", "-> t@.service"),
        ("one@x.service", "-> t@.service"),
        ("wrong.target", "-> real.service"),
        ("odd.service", "-> t@.service"),
        ("folder.service/x", ""),
        ("bad.service", "[Service]\nExecStart=/bin/a \"open\n"),
        ("broken.service", "[Service\nExecStart=/bin/a\n"),
        ("nothing.service", "[Service]\nType=simple\n"),
        ("two.service", "[Service]\nExecStart=/a\nExecStart=/b\n"),
        ("a.target", "[Unit]\nDescription=x\n"),
        ("s.socket", "[Unit]\nDescription=x\n[Socket]\nListenStream=80\n"),
        ("self.service", "-> ./self.service"),
        ("/usr/lib/systemd/system/self.service", &text),
    ]);
    use LoadState as L;
    // The name, what becomes of it, what it is called, its variables and its other names.
    let table: [(&str, L, &str, &str, &str); 27] = [
        ("real.service", L::Loaded, "real.service", "M=real.service", "alias.service far.service"),
        ("alias.service", L::Loaded, "real.service", "M=real.service", "alias.service far.service"),
        ("far.service", L::Loaded, "real.service", "M=real.service", "far.service alias.service"),
        ("masked.service", L::Masked, "masked.service", "", ""),
        ("empty.service", L::Masked, "empty.service", "", ""),
        ("dead.service", L::NotFound, "dead.service", "", ""),
        ("ring.service", L::NotFound, "ring.service", "", ""),
        ("linked.service", L::Loaded, "linked.service", "M=linked.service", ""),
        ("t@a.service", L::Loaded, "t@a.service", "M=t@a.service", "also@a.service"),
        ("also@a.service", L::Loaded, "t@a.service", "M=t@a.service", "also@a.service"),
        ("one@x.service", L::Loaded, "t@x.service", "M=t@x.service", "one@x.service also@x.service"),
        ("one@y.service", L::NotFound, "one@y.service", "", ""),
        ("t@own.service", L::Loaded, "t@own.service", "M=own", ""),
        ("t@.service", L::Error, "t@.service", "", ""),
        ("none.service", L::NotFound, "none.service", "", ""),
        ("none@x.service", L::NotFound, "none@x.service", "", ""),
        ("no name", L::Error, "no name", "", ""),
        ("wrong.target", L::NotFound, "wrong.target", "", ""),
        ("odd.service", L::NotFound, "odd.service", "", ""),
        ("folder.service", L::Error, "folder.service", "", ""),
        ("bad.service", L::BadSetting, "bad.service", "", ""),
        ("broken.service", L::Error, "broken.service", "", ""),
        ("nothing.service", L::BadSetting, "nothing.service", "", ""),
        ("two.service", L::BadSetting, "two.service", "", ""),
        ("a.target", L::Loaded, "a.target", "", ""),
        ("some.slice", L::Loaded, "some.slice", "", ""),
        ("self.service", L::Loaded, "self.service", "M=self.service", ""),
    ];
    let library = tree.library();
    for (name, state, id, expected, aliases) in table {
        let unit = library.load(name);
        assert_eq!((unit.load_state, unit.id.as_str(), unit.spec.name.as_str()), (state, id, id), "{name}");
        assert_eq!(
            (variables(&unit).as_str(), unit.aliases.join(" ").as_str()),
            (expected, aliases),
            "{name}"
        );
        // Whatever cannot be used says why, unless it is plain that there is nothing, or is meant so.
        let why = unit.complaints.iter().any(Complaint::fatal);
        assert_eq!(why, matches!(state, L::Error | L::BadSetting), "{name}: {:?}", unit.complaints);
    }
    let socket = said(&library.load("s.socket").complaints);
    assert_eq!(socket.len(), 1);
    assert!(socket[0].ends_with("s.socket: nothing acts on units of this kind yet"));
    let links = said(&library.complaints);
    assert_eq!(links.len(), 2, "{links:?}");
    assert!(links[0].ends_with(
        "odd.service: it is a link to t@.service and is ignored: one is a template and the other is not"
    ));
    assert!(
        links[1]
            .ends_with("wrong.target: it is a link to real.service and is ignored: it is of another kind")
    );
}

#[test]
fn links_stay_below_the_root() {
    let tree = Tree::new(&[
        ("/usr/lib/systemd/system/a.service", &service("inside")),
        ("/lib", "-> usr/lib"),
        ("b.service", "-> /usr/lib/systemd/system/a.service"),
        ("c.service", "-> ../../../../../../../../../../usr/lib/systemd/system/a.service"),
        ("d.service", "-> /lib/systemd/system/a.service"),
    ]);
    let library = tree.library();
    assert_eq!(library.load("a.service").aliases, ["b.service", "c.service", "d.service"]);
    assert_eq!(library.search.len(), 4, "/lib is /usr/lib: {:?}", library.search);
}

#[test]
fn drop_ins_are_sorted_by_name_and_hide_one_another() {
    let conf = |mark: &str| format!("[Service]\nEnvironment={mark}\n");
    let t = service("0");
    // What there is besides the unit, the unit, and the variables that come of it.
    let table: [(&str, &[(&str, String)], &str, &str); 12] = [
        (
            "sorted by name, over all folders",
            &[
                ("a.service.d/20.conf", conf("M=2 B=2")),
                ("/usr/lib/systemd/system/a.service.d/10.conf", conf("M=1 A=1")),
                ("/run/systemd/system/a.service.d/30.conf", conf("C=3")),
            ],
            "a.service",
            "A=1 M=2 B=2 C=3",
        ),
        (
            "the same name in an earlier folder hides",
            &[
                ("a.service.d/10.conf", conf("A=etc")),
                ("/usr/lib/systemd/system/a.service.d/10.conf", conf("B=usr")),
            ],
            "a.service",
            "M=0 A=etc",
        ),
        (
            "an empty one hides and says nothing",
            &[
                ("a.service.d/10.conf", String::new()),
                ("/usr/lib/systemd/system/a.service.d/10.conf", conf("B=usr")),
            ],
            "a.service",
            "M=0",
        ),
        (
            "so does a link to /dev/null",
            &[
                ("a.service.d/10.conf", "-> /dev/null".into()),
                ("/usr/lib/systemd/system/a.service.d/10.conf", conf("B=usr")),
            ],
            "a.service",
            "M=0",
        ),
        (
            "only .conf, and nothing hidden",
            &[("a.service.d/99.txt", conf("A=txt")), ("a.service.d/.x.conf", conf("A=dot"))],
            "a.service",
            "M=0",
        ),
        (
            "the more specific folder hides the same name",
            &[
                ("/usr/lib/systemd/system/t-x@i.service.d/10.conf", conf("A=instance")),
                ("/usr/lib/systemd/system/t-x@.service.d/10.conf", conf("B=template")),
                ("/usr/lib/systemd/system/t-.service.d/10.conf", conf("C=prefix")),
                ("service.d/10.conf", conf("D=kind")),
            ],
            "t-x@i.service",
            "M=0 A=instance",
        ),
        (
            "with names of their own all count, by name",
            &[
                ("t-x@i.service.d/10.conf", conf("X=10 A=1")),
                ("t-x@.service.d/20.conf", conf("X=20 B=1")),
                ("t-.service.d/40.conf", conf("X=40 C=1")),
                ("service.d/30.conf", conf("X=30 D=1")),
            ],
            "t-x@i.service",
            "M=0 A=1 B=1 D=1 X=40 C=1",
        ),
        ("of another instance none", &[("t-x@j.service.d/1.conf", conf("A=1"))], "t-x@i.service", "M=0"),
        (
            "an alias has drop-ins too",
            &[("b.service", "-> a.service".into()), ("b.service.d/1.conf", conf("A=%n"))],
            "a.service",
            "M=0 A=a.service",
        ),
        (
            "what is wrong ends a drop-in and not the unit",
            &[(
                "a.service.d/1.conf",
                "[Service]\nEnvironment=A=1\nExecStart=/a \"open\nEnvironment=B=1\n".into(),
            )],
            "a.service",
            "M=0 A=1",
        ),
        (
            "an open header too",
            &[(
                "a.service.d/1.conf",
                "[Service]\nEnvironment=A=1\n[Unit\n[Service]\nEnvironment=B=1\n".into(),
            )],
            "a.service",
            "M=0 A=1",
        ),
        (
            "a folder in the place of one is said and skipped",
            &[("a.service.d/1.conf/x", String::new()), ("a.service.d/2.conf", conf("A=1"))],
            "a.service",
            "M=0 A=1",
        ),
    ];
    for (why, more, name, expected) in table {
        let mut files = vec![("a.service", t.as_str()), ("t-x@.service", t.as_str())];
        files.extend(more.iter().map(|(path, text)| (*path, text.as_str())));
        let tree = Tree::new(&files);
        let unit = tree.library().load(name);
        assert_eq!((unit.load_state, variables(&unit).as_str()), (LoadState::Loaded, expected), "{why}");
    }
}

/// env/dropins, whole.
#[test]
fn drop_ins_add_to_lists_and_empty_them() {
    let tree = Tree::new(&[
        ("t.service", "[Service]\nEnvironment=A=main B=main\nExecStart=/oracle/bin/ot main\n"),
        ("t.service.d/10-a.conf", "[Service]\nEnvironment=A=ten D=ten\nExecStartPre=/oracle/bin/ot pre10\n"),
        ("t.service.d/20-b.conf", "[Service]\nEnvironment=A=twenty C=twenty\n"),
        ("t.service.d/30-c.conf", "[Service]\nExecStart=\nExecStart=/oracle/bin/ot replaced\n"),
        ("t.service.d/99.txt", "[Service]\nEnvironment=A=txt\n"),
    ]);
    let unit = tree.library().load("t.service");
    assert_eq!(variables(&unit), "B=main D=ten A=twenty C=twenty");
    let start = unit.spec.service.commands(ExecKind::Start);
    assert_eq!((start.len(), start[0].argv[1].to_str()), (1, Some("replaced")));
    assert_eq!(unit.spec.service.commands(ExecKind::StartPre).len(), 1);
    let dropins = ["10-a", "20-b", "30-c"].map(|name| format!("{ETC}t.service.d/{name}.conf"));
    assert_eq!(unit.dropins, dropins);
}

#[test]
fn folders_of_links_add_relations() {
    let unit = "[Unit]\nWants=written.service\n";
    let tree = Tree::new(&[
        ("my.target", unit),
        ("my.target.wants/c.service", "-> ../c.service"),
        ("/usr/lib/systemd/system/my.target.wants/b.service", "-> ../b.service"),
        ("my.target.wants/file.service", "[Service]\n"),
        ("my.target.wants/off.service", "-> /dev/null"),
        ("/usr/lib/systemd/system/my.target.wants/off.service", "-> ../off.service"),
        ("my.target.wants/README", "-> ../c.service"),
        ("my.target.requires/r.service", "-> nowhere"),
        ("my.target.upholds/u.service", "-> nowhere"),
        ("t@.target", unit),
        ("t@.target.wants/x@.service", "-> ../x@.service"),
        ("t@i.target.wants/y.service", "-> ../y.service"),
    ]);
    let library = tree.library();
    let unit = library.load("my.target");
    let related = |unit: &Unit, relation| unit.spec.unit.related(relation).collect::<Vec<_>>().join(" ");
    assert_eq!(related(&unit, Relation::Wants), "written.service b.service c.service");
    assert_eq!(related(&unit, Relation::Requires), "r.service");
    assert_eq!(related(&unit, Relation::Upholds), "u.service");
    assert_eq!(said(&unit.complaints).len(), 2, "{:?}", unit.complaints);
    assert_eq!(
        related(&library.load("t@i.target"), Relation::Wants),
        "written.service x@i.service y.service"
    );
}

#[test]
fn a_unit_of_a_library_has_the_defaults_of_a_host() {
    let text = "[Service]\nExecStart=/a\nTimeoutStopSec=5\nTimeoutStopSec=\nKillMode=process\nKillMode=\n";
    let tree = Tree::new(&[("a.service", text)]);
    let unit = tree.library().load("a.service");
    let default = Spec::new("a.service");
    assert_eq!(unit.spec.service.timeout_stop, default.service.timeout_stop);
    assert_eq!((unit.spec.kill, unit.spec.ours), (default.kill, default.ours));
}

#[test]
fn every_complaint_has_its_file_line_and_key() {
    let tree = Tree::new(&[
        ("a.service", "[Service]\nExecStart=/a\nNice=nonsense\nRubbish=1\n"),
        ("a.service.d/x.conf", "\n[Service]\nUMask=999\n"),
    ]);
    let found = said(&tree.library().load("a.service").complaints);
    let root = tree.0.display();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with(&format!("{root}{ETC}a.service:3: Nice=nonsense: ")), "{}", found[0]);
    assert!(found[1].starts_with(&format!("{root}{ETC}a.service:4: Rubbish=1: ")), "{}", found[1]);
    assert!(found[2].starts_with(&format!("{root}{ETC}a.service.d/x.conf:3: UMask=999: ")), "{}", found[2]);
}

/// The recorded cases of quoting-bad, bad-values, bad-type, specifiers-unknown and working-directory: what the
/// whole unit comes to.
#[test]
fn which_mistakes_make_a_unit_useless() {
    let table = [
        ("an open quote", "ExecStart=/a ok\nExecStart=/b \"open", LoadState::BadSetting),
        ("an open quote in any command", "ExecStart=/a\nExecStopPost=/b 'open", LoadState::BadSetting),
        ("an unknown escape stays", "ExecStart=/a \\q x\\y", LoadState::Loaded),
        ("an unknown specifier in a command", "ExecStart=/a %z", LoadState::BadSetting),
        ("in Environment= it costs one item", "ExecStart=/a\nEnvironment=A=%z B=1", LoadState::Loaded),
        ("a percent sign at the end", "ExecStart=/a 100%", LoadState::Loaded),
        (
            "bad values",
            "ExecStart=/a\nNice=x\nUMask=999\nRestart=sometimes\nTimeoutStopSec=abc",
            LoadState::Loaded,
        ),
        ("a bad type", "ExecStart=/a\nType=magic", LoadState::Loaded),
        ("a relative folder", "ExecStart=/a\nWorkingDirectory=usr", LoadState::BadSetting),
        ("no user", "ExecStart=/a\nUser=a:b", LoadState::BadSetting),
        ("a failure that may be", "ExecStart=-/a \"open\nExecStart=/b", LoadState::Loaded),
    ];
    for (why, text, state) in table {
        let tree = Tree::new(&[("a.service", &format!("[Service]\n{text}\n"))]);
        let unit = tree.library().load("a.service");
        assert_eq!(unit.load_state, state, "{why}: {:?}", said(&unit.complaints));
    }
}

#[test]
fn a_pipe_and_a_device_are_not_waited_for() {
    let tree = Tree::new(&[("a.service", "-> /pipe"), ("/x", "")]);
    nix::unistd::mkfifo(&tree.0.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let unit = tree.library().load("a.service");
    assert_eq!(unit.load_state, LoadState::Error);
    assert!(said(&unit.complaints)[0].ends_with("cannot read the unit file: it is no regular file"));
}

/// Marsaglia's xorshift: rubbish that is the same each time.
struct Rubbish(u64);

impl Rubbish {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn any_bytes_in_any_file_are_read_without_a_panic() {
    let seed = b"[Unit]\nDescription=%n \\\n x\nAfter=a@%i.service \"b.target\" c@.service\n\
        ConditionPathExists=|!/a%I\nAssertHost=!%H\nWants=\n[Service]\nExecStart=-@/a b ; +/c $X\n\
        EnvironmentFile=-/a/%p.env\nPassEnvironment=A B\nUnsetEnvironment=A=1\nExecSearchPath=/a:/b\n\
        [Install]\nWantedBy=x.target\nAlias=b@.service\n";
    let pieces: [&[u8]; 10] = [b"\\", b"\"", b"%", b"=", b"\n", b"\0", b"[", b"\xff", b"@", b"|!"];
    let mut rubbish = Rubbish(0x9E37_79B9_7F4A_7C15);
    let tree = Tree::new(&[("a@.service", "x")]);
    let folder = tree.0.join("etc/systemd/system");
    fs::create_dir_all(folder.join("a@.service.d")).unwrap();
    for round in 0..400 {
        let mut text = seed.to_vec();
        for _ in 0..=rubbish.below(8) {
            let at = rubbish.below(text.len());
            match rubbish.below(3) {
                0 => text[at] = rubbish.below(256) as u8,
                1 => _ = text.splice(at..at, pieces[rubbish.below(pieces.len())].iter().copied()),
                _ => _ = text.drain(at..(at + rubbish.below(9)).min(text.len())),
            }
        }
        let half = rubbish.below(text.len().max(1));
        fs::write(folder.join("a@.service"), &text).unwrap();
        fs::write(folder.join("a@.service.d/x.conf"), &text[half..]).unwrap();
        let unit = tree.library().load("a@x-y.service");
        for complaint in &unit.complaints {
            assert!(!complaint.to_string().contains(char::is_control), "round {round}: {complaint:?}");
        }
        for (_, other) in &unit.spec.unit.relations {
            assert!(name::kind(other).is_some(), "round {round}: {other}");
        }
    }
}
