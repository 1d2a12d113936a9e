//! The state of everything as the probes need it.
#![forbid(unsafe_code)]

use super::reap::Reaper;
use crate::engine::{Engine, Mono, Phase, Role, Service, State};
use crate::wire;

/// Takes one, in answer to the ask with this nonce.
pub fn take(nonce: u64, now: Mono, started: Mono, engine: &Engine, reaper: &Reaper) -> wire::Snapshot {
    let components: Vec<_> = engine
        .services()
        .filter(|(_, role, _)| *role == Role::Essential)
        .map(|(_, _, service)| component(service))
        .collect();
    wire::Snapshot {
        nonce,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        phase: match engine.phase() {
            Phase::Booting => wire::Phase::Booting,
            Phase::Running => wire::Phase::Running,
            Phase::Draining => wire::Phase::Draining,
            Phase::Stopping | Phase::Sweeping | Phase::Ended => wire::Phase::Stopping,
        },
        startup_done: components.iter().all(|c| c.started_once),
        now: now.0,
        started: started.0,
        orphans_reaped: reaper.orphans(),
        components,
    }
}

fn component(service: &Service) -> wire::Component {
    let state = service.state();
    wire::Component {
        name: service.spec().name.clone(),
        state: state.word().to_owned(),
        result: service.result().word().to_owned(),
        active: state.is_active(),
        ready: state.is_active(),
        wanted: true,
        essential: true,
        failed_for_good: state == State::Failed,
        started_once: service.started_once(),
        since: service.since().0,
        started: service.activated().map(|at| at.0),
        ready_after: service.ready_after().map(|span| span.as_micros()),
        restarts: service.restarts_by_result().map(|(result, n)| (result.word().to_owned(), n)).collect(),
        status: service.status_text().to_owned(),
        last_exit: service.main_exit().map(|exit| exit.to_string()).unwrap_or_default(),
    }
}
