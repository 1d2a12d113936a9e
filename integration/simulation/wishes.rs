//! Random specs: every directive that the engine reads, with its extremes more often than they deserve.

use crate::dice::Dice;
use crate::without::{self, Without};
use tinysvc::engine::Role;
use tinysvc::unit::spec::condition::{Condition, ConditionKind, PathIs};
use tinysvc::unit::spec::{
    Command, ExecKind, ExitSet, ExitType, FailureMode, KillMode, NotifyAccess, Privilege, Relation, Restart,
    RestartMode, Signal, SignalTarget, Span, Spec, Type,
};

/// What a story is about.
pub struct Wish {
    /// A manager, and not one command.
    pub manager: bool,
    /// Its units.
    pub units: Vec<(Role, Spec)>,
}

/// One command and what it brings along, or the units of a manager.
pub fn wish(dice: &mut Dice, without: Without) -> Wish {
    let manager = dice.chance(60);
    let units = if manager { managed(dice, without) } else { units(dice, without) };
    Wish { manager, units }
}

/// Units that have to do with each other in every way, circles and strangers among them.
fn managed(dice: &mut Dice, without: Without) -> Vec<(Role, Spec)> {
    let count = if without.has(without::UNITS) { 1 } else { 1 + dice.below(5) };
    let mut units = Vec::new();
    for n in 0..count {
        let mut spec = spec(dice, without);
        spec.name = format!("u{n}.service");
        let relations = &mut spec.unit;
        for relation in [
            Relation::After,
            Relation::Before,
            Relation::Requires,
            Relation::Wants,
            Relation::OnFailure,
            Relation::OnSuccess,
        ] {
            // One more than there are, who is nobody.
            while dice.chance(20) && !without.has(without::RELATIONS) {
                let other = if dice.chance(95) { dice.below(count) } else { count };
                relations.relate(relation, format!("u{other}.service"));
            }
        }
        if dice.chance(20) {
            let (kind, argument) = (ConditionKind::Path(PathIs::There), "/x".to_owned());
            spec.unit.conditions =
                vec![Condition { assert: false, kind, trigger: false, negate: false, argument }];
        }
        units.push((Role::Managed, spec));
    }
    if dice.chance(20) && !without.has(without::UNITS) {
        units.push((Role::OnDemand, spec(dice, without)));
    }
    units
}

/// The units of one command: an essential one first, perhaps more, perhaps roles on demand.
fn units(dice: &mut Dice, without: Without) -> Vec<(Role, Spec)> {
    let essential = if dice.chance(20) && !without.has(without::UNITS) { 1 + dice.below(3) } else { 1 };
    let roles = if dice.chance(30) && !without.has(without::UNITS) { 1 + dice.below(2) } else { 0 };
    let mut units = Vec::new();
    for _ in 0..essential {
        units.push((Role::Essential, spec(dice, without)));
    }
    for _ in 0..roles {
        units.push((Role::OnDemand, spec(dice, without)));
    }
    // The first one is what the whole speaks of, and that may be a role.
    if dice.chance(20) {
        units.rotate_right(1);
    }
    units
}

fn spec(dice: &mut Dice, without: Without) -> Spec {
    let mut spec = if dice.chance(50) { Spec::for_command("t.service") } else { Spec::new("t.service") };
    if dice.chance(10) {
        // As people have it who set nothing.
        spec.service.commands.insert(ExecKind::Start, vec![command(false)]);
        return spec;
    }
    let service = &mut spec.service;
    service.kind = dice.pick(
        Type::Simple,
        &[
            Type::Simple,
            Type::Exec,
            Type::Notify,
            Type::Notify,
            Type::NotifyReload,
            Type::Forking,
            Type::Forking,
            Type::Oneshot,
            Type::Oneshot,
            Type::Idle,
            Type::Dbus,
        ],
    );
    let starts = if service.kind == Type::Oneshot { 1 + dice.below(3) } else { 1 };
    let starts = (0..starts).map(|_| command(dice.chance(10))).collect();
    service.commands.insert(ExecKind::Start, starts);
    service.remain_after_exit = dice.chance(20);
    if dice.chance(15) && service.kind != Type::Oneshot {
        service.exit_type = ExitType::Cgroup;
    }
    service.guess_main_pid = !dice.chance(20);
    service.pid_file = if dice.chance(30) { Some("/run/t.pid".into()) } else { None };
    service.restart_mode =
        dice.pick(RestartMode::Normal, &[RestartMode::Normal, RestartMode::Direct, RestartMode::Debug]);
    let modes = [FailureMode::Terminate, FailureMode::Abort, FailureMode::Kill];
    service.timeout_start_failure = dice.pick(FailureMode::Terminate, &modes);
    service.timeout_stop_failure = dice.pick(FailureMode::Terminate, &modes);
    service.timeout_start_given = dice.chance(70);
    for kind in [
        ExecKind::Condition,
        ExecKind::StartPre,
        ExecKind::StartPost,
        ExecKind::Reload,
        ExecKind::Stop,
        ExecKind::StopPost,
    ] {
        let lines = if dice.chance(30) { 1 + dice.below(3) } else { 0 };
        let lines = (0..lines).map(|_| command(dice.chance(20))).collect::<Vec<_>>();
        if !without.has(without::COMMANDS) {
            service.commands.insert(kind, lines);
        }
    }
    service.restart = dice.pick(
        Restart::No,
        &[
            Restart::Always,
            Restart::Always,
            Restart::OnSuccess,
            Restart::OnFailure,
            Restart::OnAbnormal,
            Restart::OnAbort,
            Restart::OnWatchdog,
        ],
    );
    let forever = matches!(service.restart, Restart::Always | Restart::OnSuccess);
    if without.has(without::RESTART) || forever && service.kind == Type::Oneshot {
        service.restart = Restart::No;
    }
    service.restart_delay = span(dice);
    service.restart_steps = dice.below(5) as u32;
    service.restart_max_delay = span(dice);
    service.success_exit = exits(dice);
    service.restart_prevent_exit = exits(dice);
    service.restart_force_exit = if without.has(without::RESTART) { ExitSet::default() } else { exits(dice) };
    service.start_limit_interval = span(dice);
    service.start_limit_burst = dice.below(7) as u32;
    service.timeout_start = span(dice);
    service.timeout_stop = span(dice);
    service.timeout_abort = if dice.chance(50) { Some(span(dice)) } else { None };
    service.runtime_max = if dice.chance(30) { span(dice) } else { Span::INFINITY };
    service.watchdog = if dice.chance(30) { span(dice) } else { Span::ZERO };
    service.notify_access = dice.pick(
        None,
        &[
            Some(NotifyAccess::None),
            Some(NotifyAccess::Main),
            Some(NotifyAccess::Exec),
            Some(NotifyAccess::All),
            Some(NotifyAccess::All),
        ],
    );
    let kill = &mut spec.kill;
    kill.mode = dice.pick(
        KillMode::ControlGroup,
        &[KillMode::ControlGroup, KillMode::Mixed, KillMode::Mixed, KillMode::Process, KillMode::None],
    );
    if dice.chance(30) {
        kill.signal =
            dice.pick(Signal::TERM, &[Signal::INT, Signal::QUIT, Signal::HUP, Signal::USR1, Signal::KILL]);
    }
    kill.final_signal = if dice.chance(10) { Signal::USR1 } else { Signal::KILL };
    kill.watchdog_signal = dice.pick(Signal::ABRT, &[Signal::ABRT, Signal::TERM, Signal::KILL]);
    kill.restart_signal = if dice.chance(20) { Some(Signal::INT) } else { None };
    kill.send_sighup = dice.chance(20);
    kill.send_sigkill = !dice.chance(15);
    let ours = &mut spec.ours;
    if dice.chance(50) {
        ours.linger = span(dice);
    }
    ours.drain = if dice.chance(20) { span(dice) } else { Span::ZERO };
    ours.signal_target = dice.pick(SignalTarget::Main, &[SignalTarget::Main, SignalTarget::Group]);
    if dice.chance(20) {
        ours.stop_signals.insert(dice.pick(Signal::HUP, &[Signal::USR1, Signal::PIPE]));
        ours.stop_signals.remove(&dice.pick(Signal::INT, &[Signal::QUIT, Signal::realtime(3)]));
    }
    for _ in 0..dice.below(3) {
        ours.exit_status_map.insert(dice.pick(0, &[1, 143, 137]), dice.below(256) as u8);
    }
    spec
}

fn command(ignore_failure: bool) -> Command {
    Command {
        program: "/bin/true".into(),
        argv: Vec::new(),
        ignore_failure,
        expand: true,
        privilege: Privilege::Sandboxed,
        from_command_line: false,
    }
}

fn span(dice: &mut Dice) -> Span {
    match dice.below(10) {
        0 => Span::ZERO,
        1 => Span::INFINITY,
        2 => Span::from_micros(1),
        3 => Span::from_millis(1 + dice.below(9)),
        4 | 5 => Span::from_millis(10 + dice.below(300)),
        _ => Span::from_millis(300 + dice.below(10_000)),
    }
}

fn exits(dice: &mut Dice) -> ExitSet {
    let mut set = ExitSet::default();
    if dice.chance(20) {
        set.statuses.insert(dice.pick(0, &[1, 2, 203]));
    }
    if dice.chance(20) {
        set.signals.insert(dice.pick(Signal::KILL, &[Signal::TERM, Signal::ABRT, Signal::SEGV]));
    }
    set
}
