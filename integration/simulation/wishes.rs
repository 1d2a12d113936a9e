//! Random specs: every directive that the engine reads, with its extremes more often than they deserve.

use crate::dice::Dice;
use crate::without::{self, Without};
use tinysvc::engine::Role;
use tinysvc::unit::spec::{
    Command, ExecKind, ExitSet, KillMode, NotifyAccess, Privilege, Restart, Signal, SignalTarget, Span, Spec,
    Type,
};

/// The units of one story: an essential one first, perhaps more, perhaps roles on demand.
pub fn units(dice: &mut Dice, without: Without) -> Vec<(Role, Spec)> {
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
    service.kind = dice.pick(Type::Simple, &[Type::Simple, Type::Exec, Type::Notify, Type::Notify]);
    service.commands.insert(ExecKind::Start, vec![command(dice.chance(10))]);
    for kind in
        [ExecKind::StartPre, ExecKind::StartPost, ExecKind::Reload, ExecKind::Stop, ExecKind::StopPost]
    {
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
    if without.has(without::RESTART) {
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
