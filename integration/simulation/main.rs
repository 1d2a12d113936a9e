//! The engine in a pretend world: thousands of stories, each of a seed, each judged step by step.
//!
//! `dice` throws, `wishes` makes up units, `world` is the kernel and the host's part, `rules` is what must hold. A
//! story is told twice and must be the same, and its facts are told once more to a fresh engine, which must give
//! the same orders. One that breaks a rule is printed with its seed, after a search for a shorter one that breaks
//! a rule too; it ends with the step that broke it.
//!
//! `TINYSVC_SEEDS=n` tells n stories, `TINYSVC_FIRST=n` begins with seed n, `TINYSVC_SEED=n` tells one and
//! prints it, and `TINYSVC_WITHOUT=a,b` leaves out what the search for a shorter one found to be of no account.
#![forbid(unsafe_code)]

mod dice;
mod rules;
mod wishes;
mod without;
mod world;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use without::Without;
use world::World;

/// Stories of one `make test`.
const SEEDS: u64 = 3000;
/// Lines of a failing story that are printed.
const LINES_MAX: usize = 120;

/// The seed that is being told, should the engine panic.
static SEED: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let without = Without::parse(&std::env::var("TINYSVC_WITHOUT").unwrap_or_default());
    let panicked = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        eprintln!("simulation: panic, TINYSVC_SEED={}", SEED.load(Ordering::Relaxed));
        panicked(info);
    }));
    if let Some(seed) = number("TINYSVC_SEED") {
        return one(seed, without);
    }
    let (first, seeds) = (number("TINYSVC_FIRST").unwrap_or(1), number("TINYSVC_SEEDS").unwrap_or(SEEDS));
    let begun = clock();
    let (mut steps, mut ends, mut failures) = (0, 0, 0);
    for seed in first..first.saturating_add(seeds) {
        match story(seed, without) {
            Ok((facts, ended)) => {
                steps += facts;
                ends += u64::from(ended);
            }
            Err(broken) => {
                failures += 1;
                println!("seed {seed}: {broken}");
                if failures == 1 {
                    shorten(seed, without);
                }
                if failures == 10 {
                    break;
                }
            }
        }
    }
    let seconds = clock().duration_since(begun).as_secs_f64();
    let pace = steps as f64 / seconds.max(0.001);
    println!(
        "simulation: {seeds} seeds from {first}, {steps} steps, {ends} ends, {pace:.0} steps/s, {seconds:.1} s"
    );
    if failures > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[allow(clippy::disallowed_methods, reason = "how fast the simulation is; nothing in it knows the time")]
fn clock() -> Instant {
    Instant::now()
}

/// Tells a story twice and its facts once more; how many steps it had and whether it came to an end.
fn story(seed: u64, without: Without) -> Result<(u64, bool), String> {
    SEED.store(seed, Ordering::Relaxed);
    let mut world = World::new(seed, without, false);
    let end = world.tell()?;
    let mut again = World::new(seed, without, false);
    again.tell()?;
    if world.facts != again.facts || world.actions != again.actions {
        return Err("the same seed told another story".into());
    }
    let mut engine = world.fresh_engine();
    let mut actions = Vec::new();
    for (now, event) in &world.facts {
        engine.step(*now, event.clone(), &mut actions);
    }
    // What was ordered in the last wake-up was performed as well, so nothing may be missing.
    if actions != world.actions {
        return Err("the same facts gave other orders".into());
    }
    Ok((world.facts.len() as u64, end.is_some()))
}

/// Prints one story.
fn one(seed: u64, without: Without) -> ExitCode {
    SEED.store(seed, Ordering::Relaxed);
    let mut world = World::new(seed, without, true);
    let end = world.tell();
    print(&world, usize::MAX);
    match end.and_then(|_| story(seed, without)) {
        Ok((steps, ended)) => {
            println!("simulation: seed {seed}: {steps} steps, ended: {ended}");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("simulation: seed {seed}: {broken}");
            ExitCode::FAILURE
        }
    }
}

/// Leaves out one thing after the other as long as some rule still breaks, and prints the shortest story found.
fn shorten(seed: u64, without: Without) {
    let told = |without: Without| {
        let mut world = World::new(seed, without, true);
        world.tell().err().map(|broken| (world, broken))
    };
    let Some((mut world, mut broken)) = told(without) else { return };
    let mut least = without;
    loop {
        let shorter =
            least.less().filter_map(|without| told(without).map(|(world, broken)| (without, world, broken)));
        match shorter.min_by_key(|(_, world, _)| world.facts.len()) {
            Some((without, shortest, why)) if shortest.facts.len() <= world.facts.len() => {
                (least, world, broken) = (without, shortest, why);
            }
            _ => break,
        }
    }
    print(&world, LINES_MAX);
    println!("{broken}");
    println!("again with: TINYSVC_SEED={seed} TINYSVC_WITHOUT={least} ({} steps)", world.facts.len());
}

fn print(world: &World, lines: usize) {
    for (role, spec) in world.specs() {
        let service = &spec.service;
        let lists =
            service.commands.iter().map(|(kind, list)| format!("{}×{}", kind.directive(), list.len()));
        println!("{role:?}: {}", lists.collect::<Vec<_>>().join(" "));
        let mut shown = service.clone();
        shown.commands.clear();
        println!("  {shown:?}\n  {:?}\n  {:?}", spec.kill, spec.ours);
    }
    let trace = world.trace.as_deref().unwrap_or_default();
    trace.iter().skip(trace.len().saturating_sub(lines)).for_each(|line| println!("{line}"));
}
