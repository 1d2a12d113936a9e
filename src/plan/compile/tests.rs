//! What containers of several kinds make of the same directives.

use super::*;
use crate::plan::facility::{CapabilitySets, Ids, NamespaceFile, Probe};
use crate::plan::{Capabilities, Identity};
use crate::unit::spec::{AddressFamilies, Architectures, CallFilter, WorkingDirectory};
use std::cell::Cell;
use std::rc::Rc;

/// A container that is only described.
#[derive(Clone)]
struct Container {
    ids: Ids,
    capabilities: u64,
    bounding: u64,
    /// `uid_map` and `gid_map`, and `setgroups`.
    namespace: (&'static str, &'static str),
    no_new_privileges: bool,
    filters: bool,
    hard: u64,
    open_files_max: Option<u64>,
    oom_score_adjust: Option<i32>,
    questions: Rc<Cell<u32>>,
}

/// What Docker gives root unless told otherwise.
const DOCKER: u64 = 0xa804_25fb;

fn root(capabilities: u64) -> Container {
    Container {
        ids: Ids { uid: 0, gid: 0, groups: vec![0] },
        capabilities,
        bounding: capabilities,
        namespace: ("0 0 4294967295", "allow"),
        no_new_privileges: false,
        filters: true,
        hard: 1000,
        open_files_max: Some(5000),
        oom_score_adjust: Some(0),
        questions: Rc::default(),
    }
}

fn user(uid: u32) -> Container {
    Container { ids: Ids { uid, gid: uid, groups: vec![] }, bounding: DOCKER, ..root(0) }
}

impl Container {
    fn asked<T>(&self, answer: T) -> T {
        self.questions.set(self.questions.get() + 1);
        answer
    }
}

impl Probe for Container {
    fn ids(&self) -> Ids {
        self.asked(self.ids.clone())
    }
    fn capabilities(&self) -> CapabilitySets {
        let (permitted, effective) = (self.capabilities, self.capabilities);
        self.asked(CapabilitySets {
            permitted,
            effective,
            inheritable: 0,
            bounding: self.bounding,
            ambient: 0,
        })
    }
    fn namespace(&self, file: NamespaceFile) -> Option<String> {
        let (map, setgroups) = self.namespace;
        let text = if file == NamespaceFile::Setgroups { setgroups } else { map };
        // A container without /proc has none of them.
        self.asked((!text.is_empty()).then(|| text.to_owned()))
    }
    fn no_new_privileges(&self) -> bool {
        self.asked(self.no_new_privileges)
    }
    fn filters(&self) -> bool {
        self.asked(self.filters)
    }
    fn landlock(&self) -> u32 {
        self.asked(0)
    }
    fn limit(&self, _: u32) -> (u64, u64) {
        self.asked((0, self.hard))
    }
    fn open_files_max(&self) -> Option<u64> {
        self.asked(self.open_files_max)
    }
    fn nice(&self) -> i32 {
        self.asked(0)
    }
    fn oom_score_adjust(&self) -> Option<i32> {
        self.asked(self.oom_score_adjust)
    }
    fn passwd(&self) -> Vec<u8> {
        self.asked(b"root:x:0:0::/root:/bin/bash\ngames:x:5:60::/usr/games:/usr/sbin/nologin\n".to_vec())
    }
    fn group(&self) -> Vec<u8> {
        self.asked(b"root:x:0:\nmail:x:8:games\n".to_vec())
    }
}

fn command(words: &[&str]) -> Command {
    Command {
        program: words[0].into(),
        argv: words.iter().map(OsString::from).collect(),
        ignore_failure: false,
        expand: true,
        privilege: Privilege::Sandboxed,
        from_command_line: false,
    }
}

fn variables(text: &[&str]) -> Vec<(OsString, OsString)> {
    text.iter()
        .filter_map(|text| text.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn plan_in(
    container: &Container,
    command: &Command,
    edit: impl FnOnce(&mut Spec),
) -> Result<Compiled, PlanError> {
    let mut spec = Spec::new("t.service");
    edit(&mut spec);
    let facility = Facility::new(Box::new(container.clone()));
    compile(&spec, command, &variables(&["PATH=/p", "HOME=/h"]), &facility, SignalState::default(), false)
}

fn texts(words: &[CString]) -> Vec<&str> {
    words.iter().map(|word| word.to_str().unwrap()).collect()
}

/// What holds a directive.
fn by(compiled: &Compiled, directive: &str) -> String {
    let holding = compiled.holdings.iter().find(|holding| holding.directive == directive);
    holding.map_or_else(|| "not mentioned".to_owned(), |holding| holding.by.to_string())
}

#[test]
fn a_command_without_directives_asks_nothing() {
    let container = root(DOCKER);
    let command = Command { from_command_line: true, expand: false, ..command(&["app", "$HOME"]) };
    let compiled = plan_in(&container, &command, |_| {}).unwrap();
    assert_eq!(container.questions.get(), 0);
    let expected = Plan {
        programs: vec![c"/p/app".to_owned()],
        argv: vec![c"app".to_owned(), c"$HOME".to_owned()],
        env: vec![c"PATH=/p".to_owned(), c"HOME=/h".to_owned()],
        shell_fallback: true,
        session: Session::Group,
        ..Plan::default()
    };
    assert_eq!(compiled, Compiled { plan: expected, holdings: vec![] });
}

#[test]
fn a_program_is_looked_for_where_it_should_be() {
    let unit = |program: &str| command(&[program]);
    let line = |program: &str| Command { from_command_line: true, ..command(&[program]) };
    let fixed = ["/usr/local/sbin/x", "/usr/local/bin/x", "/usr/sbin/x", "/usr/bin/x", "/sbin/x", "/bin/x"];
    let table: [(&str, Command, &[&str], &[&str]); 8] = [
        ("a path is a path", unit("/bin/x"), &["PATH=/a"], &["/bin/x"]),
        ("so is a relative one", line("./x"), &["PATH=/a"], &["./x"]),
        ("a unit has a fixed search path", unit("x"), &["PATH=/a"], &fixed),
        ("a command line has PATH", line("x"), &["PATH=/a:/b"], &["/a/x", "/b/x"]),
        ("the last PATH", line("x"), &["PATH=/a", "PATH=/b"], &["/b/x"]),
        ("an empty folder is here", line("x"), &["PATH=/a::"], &["/a/x", "x", "x"]),
        ("without PATH there is a usual one", line("x"), &[], &fixed),
        ("nothing is nowhere", line(""), &["PATH=/a"], &[]),
    ];
    for (why, command, env, expected) in table {
        let programs = programs(&command, &variables(env)).unwrap();
        assert_eq!(texts(&programs), expected, "{why}");
    }
}

#[test]
fn words_and_variables_arrive_as_c_strings() {
    let container = root(DOCKER);
    let compiled = plan_in(&container, &command(&["/bin/x", "${HOME}/y", "$NOTHING"]), |_| {}).unwrap();
    assert_eq!(texts(&compiled.plan.argv), ["/bin/x", "/h/y"]);
    assert_eq!(compiled.plan.session, Session::New);
    assert_eq!(texts(&assignments(&variables(&["A=1", "B=2", "A=3"])).unwrap()), ["B=2", "A=3"]);
    let error = plan_in(&container, &command(&["/bin/x", "a\0b"]), |_| {}).unwrap_err();
    assert_eq!(
        (error.status, error.to_string().as_str()),
        (203, "\"a\\0b\" has a null byte at 1, which no argument can hold")
    );
}

#[test]
fn an_identity_is_planned_or_refused() {
    let games = |spec: &mut Spec| spec.exec.user = Some("games".into());
    let as_games = |groups| Some(Identity { groups: Some(groups), gid: Some(60), uid: Some(5) });
    let (docker, plain, dropped) = (root(DOCKER), user(1000), root(0));
    let mut same = user(5);
    same.ids.gid = 60;
    type Edit = fn(&mut Spec);
    let table: [(&str, &Container, Edit, Result<Option<Identity>, (u8, &str)>); 9] = [
        ("root becomes a user", &docker, games, Ok(as_games(vec![8, 60]))),
        ("who we are already is nothing to do", &same, games, Ok(None)),
        ("root is root", &docker, |s| s.exec.user = Some("root".into()), Ok(None)),
        (
            "a number without an entry keeps our group",
            &docker,
            |s| s.exec.user = Some("777".into()),
            Ok(Some(Identity { groups: None, gid: None, uid: Some(777) })),
        ),
        ("our own number", &plain, |s| s.exec.user = Some("1000".into()), Ok(None)),
        (
            "no user can become another",
            &plain,
            games,
            Err((
                217,
                "User=games: tinysvc runs as user 1000 and has no CAP_SETUID, so it cannot change this",
            )),
        ),
        (
            "nor can a root without capabilities",
            &dropped,
            games,
            Err((217, "User=games: tinysvc runs as user 0 and has no CAP_SETUID, so it cannot change this")),
        ),
        (
            "nor take a group",
            &plain,
            |s| s.exec.group = Some("mail".into()),
            Err((
                216,
                "Group=mail: tinysvc runs as user 1000 and has no CAP_SETGID, so it cannot change this",
            )),
        ),
        (
            "nor supplementary ones",
            &plain,
            |s| s.exec.supplementary_groups = vec!["mail".into()],
            Err((
                216,
                "SupplementaryGroups=mail: tinysvc runs as user 1000 and has no CAP_SETGID, so it cannot change this",
            )),
        ),
    ];
    for (why, container, edit, expected) in table {
        let planned = plan_in(container, &command(&["/bin/x"]), edit);
        let planned =
            planned.map(|compiled| compiled.plan.identity).map_err(|error| (error.status, error.message));
        assert_eq!(planned, expected.map_err(|(status, message)| (status, message.to_owned())), "{why}");
    }
}

#[test]
fn the_login_variables_yield_to_environment() {
    let docker = root(DOCKER);
    let env = |edit: fn(&mut Spec)| {
        let compiled = plan_in(&docker, &command(&["/bin/x", "${HOME}"]), edit).unwrap();
        (compiled.plan.env, compiled.plan.argv)
    };
    let (games, argv) = env(|spec| spec.exec.user = Some("games".into()));
    assert_eq!(texts(&games), ["PATH=/p", "HOME=/usr/games", "LOGNAME=games", "USER=games"]);
    assert_eq!(texts(&argv), ["/bin/x", "/usr/games"]);
    let (root, _) = env(|spec| spec.exec.user = Some("root".into()));
    assert_eq!(texts(&root), ["PATH=/p", "HOME=/root", "SHELL=/bin/bash", "LOGNAME=root", "USER=root"]);
    let (asked, _) = env(|spec| {
        spec.exec.user = Some("games".into());
        spec.exec.environment = variables(&["HOME=/h", "USER=u"]);
    });
    assert_eq!(
        texts(&asked),
        ["PATH=/p", "HOME=/h", "LOGNAME=games"],
        "the caller's environment has USER already"
    );
    let (unknown, _) = env(|spec| spec.exec.user = Some("777".into()));
    assert_eq!(texts(&unknown), ["PATH=/p", "HOME=/"]);
}

#[test]
fn prefixes_take_the_sandbox_away_in_parts() {
    let docker = root(DOCKER | Capability::SysAdmin.bit());
    let with = |privilege| {
        let command = Command { privilege, ..command(&["/bin/x"]) };
        let edit = |spec: &mut Spec| {
            spec.exec.user = Some("games".into());
            spec.exec.umask = Some(0o27);
            spec.exec.ambient_capabilities = 1 << 5;
            spec.exec.capability_bounding_set = Some(1 << 5);
            spec.exec.no_new_privileges = Some(true);
            spec.exec.system_call_architectures = Some(Architectures::Native);
        };
        plan_in(&docker, &command, edit).unwrap().plan
    };
    let groups = Some(Identity { groups: Some(vec![8, 60]), gid: None, uid: None });
    let full = with(Privilege::Full);
    let bare = (full.capabilities, full.filters.len(), full.no_new_privileges, full.bounding_drop.len());
    assert_eq!((bare, full.umask, full.identity), ((None, 0, false, 0), Some(0o27), groups.clone()), "+");
    let ours = with(Privilege::NoSetuid);
    assert_eq!((ours.filters.len(), ours.no_new_privileges, ours.identity), (1, true, groups), "!");
    assert_eq!(ours.capabilities.map(|c| c.ambient), Some(1 << 5), "! keeps ambient capabilities");
}

#[test]
fn no_new_privs_is_implied_where_a_filter_needs_it() {
    let admin = Capability::SysAdmin.bit();
    let all = DOCKER | admin;
    let already = Container { no_new_privileges: true, ..root(DOCKER) };
    let old = Container { filters: false, ..root(all) };
    let keep = |keep| Some(Capabilities { keep, inheritable: 0, ambient: 0, secure_bits: None });
    let table = [
        // why, container, User=, no_new_privs, capabilities, RestrictAddressFamilies=
        ("root with CAP_SYS_ADMIN", root(all), false, false, None, "seccomp"),
        ("a user keeps it until its program runs", root(all), true, false, keep(admin), "seccomp"),
        ("Docker's root", root(DOCKER), false, true, None, "seccomp"),
        ("a user below Docker's root", root(DOCKER), true, true, None, "seccomp"),
        ("on already", already, true, false, None, "seccomp"),
        ("an ordinary user", user(1000), false, true, None, "seccomp"),
        ("a kernel without filters", old, false, false, None, "degraded: this kernel has no seccomp filters"),
    ];
    for (why, container, other, no_new_privileges, capabilities, held) in table {
        let edit = |spec: &mut Spec| {
            spec.exec.user = other.then(|| "games".into());
            let families = [1].into();
            spec.exec.restrict_address_families = Some(AddressFamilies { deny: false, families });
        };
        let compiled = plan_in(&container, &command(&["/bin/x"]), edit).unwrap();
        assert_eq!(compiled.plan.no_new_privileges, no_new_privileges, "{why}");
        assert_eq!(compiled.plan.capabilities, capabilities, "{why}");
        assert_eq!(by(&compiled, "RestrictAddressFamilies"), held, "{why}");
    }
    let refused = |spec: &mut Spec| {
        spec.exec.no_new_privileges = Some(false);
        spec.exec.system_call_filter =
            Some(CallFilter { deny: true, calls: [("mount".to_owned(), None)].into() });
    };
    let compiled = plan_in(&root(DOCKER), &command(&["/bin/x"]), refused).unwrap();
    let how = "degraded: on, since a system call filter needs it where there is no CAP_SYS_ADMIN";
    assert_eq!(by(&compiled, "NoNewPrivileges"), how);
}

#[test]
fn a_bounding_set_holds_by_what_there_is() {
    let setpcap = Capability::SetPcap.bit();
    let without = root(DOCKER & !setpcap);
    let small = Container { bounding: 1, ..without.clone() };
    let already = Container { no_new_privileges: true, ..user(1000) };
    let regained =
        "degraded: CAP_CHOWN may be regained, since there is no CAP_SETPCAP; NoNewPrivileges=yes helps";
    let table = [
        // why, container, NoNewPrivileges=, held by, numbers dropped
        ("Docker's root drops", Container { bounding: 0b101, ..root(DOCKER) }, false, "capability", vec![2]),
        ("nothing to drop", small, false, "capability", vec![]),
        ("no right to", Container { bounding: 0b11, ..without.clone() }, false, regained, vec![]),
        ("but nothing to gain", Container { bounding: 0b11, ..without }, true, "kernel", vec![]),
        ("a user below no_new_privs", already, false, "kernel", vec![]),
    ];
    for (why, container, no_new_privileges, held, dropped) in table {
        let allowed = if held == regained || held == "kernel" { 0b10 } else { 1 };
        let edit = |spec: &mut Spec| {
            spec.exec.no_new_privileges = no_new_privileges.then_some(true);
            spec.exec.capability_bounding_set = Some(allowed);
        };
        let compiled = plan_in(&container, &command(&["/bin/x"]), edit).unwrap();
        assert_eq!(by(&compiled, "CapabilityBoundingSet"), held, "{why}");
        assert_eq!(compiled.plan.bounding_drop, dropped, "{why}");
        let keep = compiled.plan.capabilities.map(|capabilities| capabilities.keep);
        assert_eq!(keep, Some(container.capabilities & allowed), "{why}: gone from the process in any case");
    }
}

#[test]
fn ambient_capabilities_that_the_container_lacks_are_told() {
    let module = 1 << 16;
    let ambient = |mask| {
        let edit = move |spec: &mut Spec| spec.exec.ambient_capabilities = mask;
        let compiled = plan_in(&root(DOCKER), &command(&["/bin/x"]), edit).unwrap();
        (compiled.plan.capabilities.map(|c| c.ambient), by(&compiled, "AmbientCapabilities"))
    };
    assert_eq!(ambient(1), (Some(1), "capability".into()));
    let how = "degraded: without CAP_SYS_MODULE, which this container does not have";
    assert_eq!(ambient(module | 1), (Some(1), how.into()));
    assert_eq!(ambient(!1), (Some(DOCKER & !1), "capability".into()), "all but one asks for what there is");
}

#[test]
fn limits_and_priorities_are_cut_to_what_is_allowed() {
    let resource = Capability::SysResource.bit();
    let nice = Capability::SysNice.bit();
    let able = root(DOCKER | resource | nice);
    let no_proc = Container { oom_score_adjust: None, ..root(DOCKER) };
    type Edit = fn(&mut Spec);
    let low: Edit = |s| _ = s.exec.limits.insert(Limit::Core, (10, 1000));
    let high: Edit = |s| _ = s.exec.limits.insert(Limit::Core, (2000, u64::MAX));
    let files: Edit = |s| _ = s.exec.limits.insert(Limit::Nofile, (9000, u64::MAX));
    let table = [
        ("at the hard limit", root(DOCKER), low, "LimitCORE", "rlimit", vec![(4, 10, 1000)]),
        (
            "above it",
            root(DOCKER),
            high,
            "LimitCORE",
            "degraded: 1000 in place of infinity, the hard limit that this container has, since there is no CAP_SYS_RESOURCE for this machine",
            vec![(4, 1000, 1000)],
        ),
        ("above it with the right to", able.clone(), high, "LimitCORE", "rlimit", vec![(4, 2000, u64::MAX)]),
        (
            "more files than the kernel has",
            able.clone(),
            files,
            "LimitNOFILE",
            "degraded: 5000 in place of infinity, which is what /proc/sys/fs/nr_open allows",
            vec![(7, 5000, 5000)],
        ),
        ("nicer", root(DOCKER), |s| s.exec.nice = Some(5), "Nice", "kernel", vec![]),
        ("less nice with the right to", able.clone(), |s| s.exec.nice = Some(-5), "Nice", "kernel", vec![]),
        (
            "less nice without",
            root(DOCKER),
            |s| s.exec.nice = Some(-5),
            "Nice",
            "degraded: 0 in place of -5, since there is no CAP_SYS_NICE for this machine",
            vec![],
        ),
        (
            "a likelier victim",
            root(DOCKER),
            |s| s.exec.oom_score_adjust = Some(9),
            "OOMScoreAdjust",
            "kernel",
            vec![],
        ),
        (
            "a less likely one",
            root(DOCKER),
            |s| s.exec.oom_score_adjust = Some(-9),
            "OOMScoreAdjust",
            "degraded: 0 in place of -9, since there is no CAP_SYS_RESOURCE for this machine",
            vec![],
        ),
        (
            "no /proc",
            no_proc,
            |s| s.exec.oom_score_adjust = Some(9),
            "OOMScoreAdjust",
            "degraded: there is no /proc/self/oom_score_adj to write to",
            vec![],
        ),
    ];
    for (why, container, edit, directive, held, limits) in table {
        let compiled = plan_in(&container, &command(&["/bin/x"]), edit).unwrap();
        assert_eq!(by(&compiled, directive), held, "{why}");
        assert_eq!(compiled.plan.limits, limits, "{why}");
        let strict = plan_in(&container, &command(&["/bin/x"]), |spec| {
            edit(spec);
            spec.ours.sandbox = SandboxMode::Strict;
        });
        assert_eq!(strict.is_err(), held.starts_with("degraded"), "{why}, strict");
    }
}

#[test]
fn a_working_directory_is_a_path_or_a_home() {
    let home = || Some(WorkingDirectory { path: None, missing_ok: true });
    let folder = |container: &Container, user: Option<&str>, wanted| {
        let edit = |spec: &mut Spec| {
            spec.exec.user = user.map(Into::into);
            spec.exec.working_directory = wanted;
        };
        plan_in(container, &command(&["/bin/x"]), edit).unwrap().plan.working_directory
    };
    let path = Some(WorkingDirectory { path: Some("/srv".into()), missing_ok: false });
    let docker = root(DOCKER);
    assert_eq!(folder(&docker, None, path), Some((c"/srv".to_owned(), false)));
    assert_eq!(folder(&docker, Some("games"), home()), Some((c"/usr/games".to_owned(), true)));
    assert_eq!(folder(&docker, None, home()), Some((c"/root".to_owned(), true)));
    assert_eq!(folder(&user(4711), None, home()), Some((c"/h".to_owned(), true)), "no entry: $HOME");
    assert_eq!(folder(&docker, None, None), None);
}

#[test]
fn a_user_namespace_has_its_own_users_and_none_of_the_machines_rights() {
    let all = u64::MAX >> 23;
    let rootless = Container { namespace: ("0 1000 1\n1 100000 65536", "allow"), ..root(all) };
    let alone = Container { namespace: ("0 1000 1", "deny"), ..root(all) };
    let edit = |spec: &mut Spec| {
        spec.exec.nice = Some(-5);
        spec.exec.oom_score_adjust = Some(-9);
        spec.exec.limits.insert(Limit::Core, (2000, 2000));
    };
    let compiled = plan_in(&rootless, &command(&["/bin/x"]), edit).unwrap();
    for directive in ["Nice", "OOMScoreAdjust", "LimitCORE"] {
        assert!(by(&compiled, directive).starts_with("degraded"), "{directive}");
    }
    let becomes = |container: &Container, name: &str| {
        let edit = |spec: &mut Spec| spec.exec.user = Some(name.to_owned());
        let planned = plan_in(container, &command(&["/bin/x"]), edit);
        planned.map(|compiled| compiled.plan.identity.and_then(|i| i.uid)).map_err(|e| (e.status, e.message))
    };
    assert_eq!(becomes(&rootless, "games"), Ok(Some(5)));
    assert_eq!(becomes(&alone, "root"), Ok(None));
    let message = "User=games: user 5 does not exist in this user namespace: /proc/self/uid_map";
    assert_eq!(becomes(&alone, "games"), Err((217, message.to_owned())));
    let message = "User=70000: user 70000 does not exist in this user namespace: /proc/self/uid_map";
    assert_eq!(becomes(&rootless, "70000"), Err((217, message.to_owned())));
    let groups = |spec: &mut Spec| spec.exec.supplementary_groups = vec!["root".into(), "mail".into()];
    let error = plan_in(&alone, &command(&["/bin/x"]), groups).unwrap_err();
    let message = "SupplementaryGroups=root mail: this user namespace forbids it: /proc/self/setgroups";
    assert_eq!((error.status, error.message.as_str()), (216, message));

    // Our own role stays who it is rather than not run.
    let identity = |container: &Container| {
        crate::plan::role_plan(3, vec![], vec![], &Facility::new(Box::new(container.clone()))).identity
    };
    assert_eq!(identity(&alone), None);
    assert_eq!(identity(&rootless).and_then(|i| i.uid), Some(65_534));
    let unknown = Container { namespace: ("", ""), ..root(all) };
    assert_eq!(identity(&unknown), None, "without /proc nobody knows who exists");
}
