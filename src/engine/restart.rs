//! Whether a service that has ended starts again, and when.
//!
//! The rules of `Restart=` and its exit-status lists, the back-off of `RestartSteps=`, and the start limit.
//! Sources: systemd.service(5), systemd.unit(5), and the recorded conformance cases.
#![forbid(unsafe_code)]

use super::{Mono, Outcome};
use crate::unit::spec::{Exit, Restart, ServiceSpec, Signal, Span, Type};

/// How a process's end counts, by the rules for a daemon's main process.
///
/// Clean are status 0, the signals HUP, INT, TERM and PIPE, and whatever `SuccessExitStatus=` adds.
pub fn classify_main(spec: &ServiceSpec, exit: Exit) -> Outcome {
    let clean = [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE];
    match exit {
        Exit::Exited(0) => Outcome::Success,
        Exit::Killed(signal) if clean.contains(&signal) => Outcome::Success,
        // A core dump is never a clean end, whatever list names its signal.
        Exit::Exited(_) | Exit::Killed(_) if spec.success_exit.contains(exit) => Outcome::Success,
        _ => unclean(exit),
    }
}

/// How the end of an Exec*= command other than `ExecStart=` counts.
///
/// Clean are status 0 and whatever `SuccessExitStatus=` adds, but no signal by itself: a command is not a daemon that
/// is ended by one (`EXIT_CLEAN_COMMAND` of systemd).
pub fn classify_control(spec: &ServiceSpec, exit: Exit) -> Outcome {
    match exit {
        Exit::Exited(0) => Outcome::Success,
        Exit::Exited(_) | Exit::Killed(_) if spec.success_exit.contains(exit) => Outcome::Success,
        _ => unclean(exit),
    }
}

fn unclean(exit: Exit) -> Outcome {
    match exit {
        Exit::Exited(_) => Outcome::ExitCode,
        Exit::Killed(_) => Outcome::Signal,
        Exit::Dumped(_) => Outcome::CoreDump,
    }
}

/// Why a service starts again or doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It starts again, by this rule.
    Again(&'static str),
    /// It stays down, by this rule.
    Rest(&'static str),
}

/// Applies the rules in systemd's order: prevent beats force beats `Restart=`. What a condition skipped is never
/// restarted, and what has done its one task is not made to do it again.
pub fn verdict(spec: &ServiceSpec, result: Outcome, main_exit: Option<Exit>) -> Verdict {
    if result == Outcome::ExecCondition {
        return Verdict::Rest("ExecCondition");
    }
    if main_exit.is_some_and(|exit| spec.restart_prevent_exit.contains(exit)) {
        return Verdict::Rest("RestartPreventExitStatus");
    }
    if main_exit.is_some_and(|exit| spec.restart_force_exit.contains(exit)) {
        if spec.kind() == Type::Oneshot && result == Outcome::Success {
            return Verdict::Rest("Type=oneshot");
        }
        return Verdict::Again("RestartForceExitStatus");
    }
    let (word, again) = match spec.restart {
        Restart::No => ("Restart=no", false),
        Restart::Always => ("Restart=always", true),
        Restart::OnSuccess => ("Restart=on-success", result == Outcome::Success),
        Restart::OnFailure => ("Restart=on-failure", result != Outcome::Success),
        Restart::OnAbnormal => {
            ("Restart=on-abnormal", !matches!(result, Outcome::Success | Outcome::ExitCode))
        }
        Restart::OnAbort => ("Restart=on-abort", matches!(result, Outcome::Signal | Outcome::CoreDump)),
        Restart::OnWatchdog => ("Restart=on-watchdog", result == Outcome::Watchdog),
    };
    if again { Verdict::Again(word) } else { Verdict::Rest(word) }
}

/// How long the `n`th automatic restart waits, n counted from 1.
///
/// `RestartSec × (RestartMaxDelaySec / RestartSec)^((n−1) / RestartSteps)`, and `RestartMaxDelaySec` after the last
/// step: `service_restart_usec_next()` of systemd 257. Without a `RestartSec` there is nothing to multiply, and no step
/// counts.
pub fn delay(spec: &ServiceSpec, n: u32) -> Span {
    let (base, max) = (spec.restart_delay, spec.restart_max_delay);
    if n <= 1 || spec.restart_steps == 0 || base == Span::ZERO || max.is_infinite() || base >= max {
        return base;
    }
    if n > spec.restart_steps {
        return max;
    }
    let from = base.as_micros() as f64;
    let factor = root(max.as_micros() as f64 / from, spec.restart_steps);
    Span::from_micros((from * power(factor, n - 1)).round() as u64)
}

/// The `n`th root of a number above 1, by halving. A logarithm would bring 12 kB of tables for one rare line.
fn root(number: f64, n: u32) -> f64 {
    let (mut low, mut high) = (1.0, number);
    for _ in 0..128 {
        let middle = low + (high - low) / 2.0;
        if power(middle, n) < number { low = middle } else { high = middle }
    }
    low
}

/// By squaring; beyond the largest number it is infinite, which compares as it should.
fn power(base: f64, exponent: u32) -> f64 {
    let (mut product, mut square, mut left) = (1.0, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            product *= square;
        }
        square *= square;
        left >>= 1;
    }
    product
}

/// The start limit: `StartLimitBurst=` starts within `StartLimitIntervalSec=`, as systemd's rate limit counts.
///
/// The window opens with the first start and a new one opens with the first start after its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartLimit {
    window: Option<(Mono, u32)>,
}

impl StartLimit {
    /// Counts one start and says whether it is allowed.
    pub fn allows(&mut self, now: Mono, interval: Span, burst: u32) -> bool {
        if interval == Span::ZERO || burst == 0 {
            return true;
        }
        match &mut self.window {
            Some((begin, count)) if now.since(*begin) <= interval => {
                let allowed = *count < burst;
                *count = count.saturating_add(1);
                allowed
            }
            window => {
                *window = Some((now, 1));
                true
            }
        }
    }

    /// When the window that is open now has passed.
    pub fn reopens(&self, interval: Span) -> Option<Mono> {
        // One microsecond more, since the last moment of a window still belongs to it.
        self.window.and_then(|(begin, _)| begin.after(interval)).map(|end| Mono(end.0.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Exit = Exit::Killed(Signal::TERM);
    const K: Exit = Exit::Killed(Signal::KILL);
    const D: Exit = Exit::Dumped(Signal::TERM);

    #[test]
    fn what_counts_as_clean() {
        let mut spec = ServiceSpec::default();
        let table = [
            ("status 0", Exit::Exited(0), Outcome::Success),
            ("status 1", Exit::Exited(1), Outcome::ExitCode),
            ("SIGTERM", T, Outcome::Success),
            ("SIGPIPE", Exit::Killed(Signal::PIPE), Outcome::Success),
            ("SIGQUIT", Exit::Killed(Signal::QUIT), Outcome::Signal),
            ("SIGKILL", K, Outcome::Signal),
            ("a core, even of SIGTERM", D, Outcome::CoreDump),
        ];
        for (why, exit, outcome) in table {
            assert_eq!(classify_main(&spec, exit), outcome, "{why}");
        }
        spec.success_exit.statuses.insert(1);
        spec.success_exit.signals.extend([Signal::KILL, Signal::TERM]);
        assert_eq!(classify_main(&spec, Exit::Exited(1)), Outcome::Success);
        assert_eq!(classify_main(&spec, K), Outcome::Success);
        assert_eq!(classify_main(&spec, D), Outcome::CoreDump);
    }

    #[test]
    fn a_command_is_no_daemon() {
        let mut spec = ServiceSpec::default();
        let table = [
            ("status 0", Exit::Exited(0), Outcome::Success, Outcome::Success),
            ("status 1", Exit::Exited(1), Outcome::ExitCode, Outcome::Success),
            ("status 2", Exit::Exited(2), Outcome::ExitCode, Outcome::ExitCode),
            ("SIGTERM", T, Outcome::Signal, Outcome::Signal),
            ("SIGKILL", K, Outcome::Signal, Outcome::Success),
            ("a core", D, Outcome::CoreDump, Outcome::CoreDump),
        ];
        for (why, exit, plain, _) in table {
            assert_eq!(classify_control(&spec, exit), plain, "{why}");
        }
        spec.success_exit.statuses.insert(1);
        spec.success_exit.signals.insert(Signal::KILL);
        for (why, exit, _, listed) in table {
            assert_eq!(classify_control(&spec, exit), listed, "{why}, with SuccessExitStatus=1 KILL");
        }
    }

    /// The table of Restart= in systemd.service(5).
    #[test]
    fn the_table_of_restart() {
        use Outcome as O;
        let results = [O::Success, O::ExitCode, O::Signal, O::CoreDump, O::Timeout, O::Watchdog];
        let table = [
            (Restart::No, [false, false, false, false, false, false]),
            (Restart::Always, [true, true, true, true, true, true]),
            (Restart::OnSuccess, [true, false, false, false, false, false]),
            (Restart::OnFailure, [false, true, true, true, true, true]),
            (Restart::OnAbnormal, [false, false, true, true, true, true]),
            (Restart::OnAbort, [false, false, true, true, false, false]),
            (Restart::OnWatchdog, [false, false, false, false, false, true]),
        ];
        for (restart, row) in table {
            let spec = ServiceSpec { restart, ..ServiceSpec::default() };
            for (result, again) in results.into_iter().zip(row) {
                let got = matches!(verdict(&spec, result, None), Verdict::Again(_));
                assert_eq!(got, again, "{restart:?} after {result}");
            }
        }
    }

    #[test]
    fn prevent_beats_force_beats_restart() {
        let mut spec = ServiceSpec { restart: Restart::Always, ..ServiceSpec::default() };
        let exit = Some(Exit::Exited(3));
        spec.restart_prevent_exit.statuses.insert(3);
        spec.restart_force_exit.statuses.insert(3);
        assert_eq!(verdict(&spec, Outcome::ExitCode, exit), Verdict::Rest("RestartPreventExitStatus"));
        spec.restart_prevent_exit.statuses.clear();
        spec.restart = Restart::No;
        assert_eq!(verdict(&spec, Outcome::ExitCode, exit), Verdict::Again("RestartForceExitStatus"));
        assert_eq!(verdict(&spec, Outcome::ExitCode, None), Verdict::Rest("Restart=no"));
        spec.kind = Type::Oneshot;
        assert_eq!(verdict(&spec, Outcome::Success, exit), Verdict::Rest("Type=oneshot"));
        assert_eq!(verdict(&spec, Outcome::ExitCode, exit), Verdict::Again("RestartForceExitStatus"));
        spec.restart = Restart::Always;
        assert_eq!(verdict(&spec, Outcome::ExecCondition, None), Verdict::Rest("ExecCondition"));
    }

    #[test]
    fn the_delay_grows_by_steps() {
        let ms = Span::from_millis;
        let spec = |steps, max| ServiceSpec {
            restart_delay: ms(100),
            restart_steps: steps,
            restart_max_delay: max,
            ..ServiceSpec::default()
        };
        let table = [
            ("no steps", spec(0, ms(1600)), [100, 100, 100, 100, 100]),
            ("no maximum", spec(4, Span::INFINITY), [100, 100, 100, 100, 100]),
            ("a maximum below the base", spec(4, ms(50)), [100, 100, 100, 100, 100]),
            ("four doublings", spec(4, ms(1600)), [100, 200, 400, 800, 1600]),
            ("one step is the maximum at once", spec(1, ms(1600)), [100, 1600, 1600, 1600, 1600]),
        ];
        for (why, spec, delays) in table {
            for (n, expected) in (1..).zip(delays) {
                let got = delay(&spec, n).as_micros() / 1000;
                assert!(got.abs_diff(expected) <= 1, "{why}: restart {n} waits {got}, not {expected}");
            }
        }
        let zero = ServiceSpec { restart_delay: Span::ZERO, ..spec(4, ms(1600)) };
        assert!((1..9).all(|n| delay(&zero, n) == Span::ZERO), "no RestartSec, no steps");
    }

    #[test]
    fn the_start_limit_counts_within_its_window() {
        let mut limit = StartLimit::default();
        let interval = Span::from_micros(100);
        let table =
            [(0, true), (50, true), (100, false), (100, false), (101, true), (102, true), (103, false)];
        for (now, allowed) in table {
            assert_eq!(limit.allows(Mono(now), interval, 2), allowed, "at {now}");
        }
        assert_eq!(limit.reopens(interval), Some(Mono(202)));
        assert!(limit.allows(Mono(202), interval, 2));
        let mut off = StartLimit::default();
        assert!((0..100).all(|_| off.allows(Mono(0), Span::ZERO, 2) && off.allows(Mono(0), interval, 0)));
    }
}
