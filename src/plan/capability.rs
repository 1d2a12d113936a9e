//! `CapabilityBoundingSet=`, `AmbientCapabilities=`, `SecureBits=`.
//!
//! What decides is execve(2), which computes a program's capabilities anew (capabilities(7)): for root everything in
//! the bounding set, for others what is ambient. So what this plans to keep in the child is an upper bound that lasts
//! until then. That is also how a filter is installed without no_new_privs by a process that has become an ordinary
//! user: it keeps CAP_SYS_ADMIN, permitted and effective but neither inheritable nor ambient, and the execution that
//! follows takes it away. Nothing has to be allowed by the filter for that.
#![forbid(unsafe_code)]

use super::Capabilities;
use super::compile::{Draft, Enforcement, PlanError};
use super::facility::{Capability, names};
use crate::unit::spec::status;

/// Plans the capabilities. The identity, the filters and no_new_privs stand already.
pub(super) fn plan(draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let exec = draft.exec;
    let identity = draft.plan.identity.as_ref().and_then(|identity| identity.uid);
    let filtering = !draft.plan.filters.is_empty() && !draft.plan.no_new_privileges;
    let asked =
        exec.capability_bounding_set.is_some() || exec.ambient_capabilities != 0 || exec.secure_bits != 0;
    let loses_admin = filtering && identity.is_some() && !draft.facility.probe().no_new_privileges();
    if !asked && !loses_admin {
        return Ok(());
    }
    let have = draft.facility.capabilities();
    let allowed = exec.capability_bounding_set.unwrap_or(u64::MAX);
    bounding_set(draft, allowed)?;
    let ambient = ambient(draft, have.permitted, allowed)?;
    let secure_bits = secure_bits(draft)?;

    let admin = if filtering { Capability::SysAdmin.bit() & have.effective } else { 0 };
    let stays_root = identity.is_none();
    let keep = if stays_root { have.permitted & allowed } else { ambient } | ambient | admin;
    // What was inheritable is no more than what is ambient, where that is asked for: both decide at execution.
    let inheritable = if exec.ambient_capabilities != 0 { ambient } else { have.inheritable & allowed };
    draft.plan.capabilities = Some(Capabilities { keep, inheritable, ambient, secure_bits });
    Ok(())
}

fn bounding_set(draft: &mut Draft<'_>, allowed: u64) -> Result<(), PlanError> {
    if draft.exec.capability_bounding_set.is_none() {
        return Ok(());
    }
    const DIRECTIVE: &str = "CapabilityBoundingSet";
    let excess = draft.facility.capabilities().bounding & !allowed;
    if excess == 0 || draft.facility.can(Capability::SetPcap) {
        draft.plan.bounding_drop = (0..64).filter(|bit| excess & (1 << bit) != 0).collect();
        draft.held(DIRECTIVE, Enforcement::Capability);
    } else if draft.plan.no_new_privileges || draft.facility.probe().no_new_privileges() {
        // The set stays too large, but execution can give nothing that the process does not have.
        draft.held(DIRECTIVE, Enforcement::Kernel);
    } else {
        let how = format!(
            "{} may be regained, since there is no CAP_SETPCAP; NoNewPrivileges=yes helps",
            names(excess)
        );
        draft.degraded(DIRECTIVE, status::CAPABILITIES, how)?;
    }
    Ok(())
}

/// The ambient set that is possible. What is outside of the bounding set that was asked for is cut without a word, as
/// in systemd; what the container itself lacks is told.
fn ambient(draft: &mut Draft<'_>, permitted: u64, allowed: u64) -> Result<u64, PlanError> {
    let wanted = draft.exec.ambient_capabilities & allowed;
    if draft.exec.ambient_capabilities == 0 {
        return Ok(0);
    }
    // `~` makes a mask with bits that no kernel has a capability for.
    let known = draft.facility.capabilities().bounding | permitted;
    let inverted = draft.exec.ambient_capabilities & (1 << 63) != 0;
    let lacking = wanted & !permitted & if inverted { known } else { u64::MAX };
    if lacking == 0 {
        draft.held("AmbientCapabilities", Enforcement::Capability);
    } else {
        let how = format!("without {}, which this container does not have", names(lacking));
        draft.degraded("AmbientCapabilities", status::CAPABILITIES, how)?;
    }
    Ok(wanted & permitted)
}

fn secure_bits(draft: &mut Draft<'_>) -> Result<Option<u32>, PlanError> {
    let bits = draft.exec.secure_bits;
    if bits == 0 {
        return Ok(None);
    }
    if draft.facility.can(Capability::SetPcap) {
        draft.held("SecureBits", Enforcement::Kernel);
        return Ok(Some(bits));
    }
    draft.degraded("SecureBits", status::SECUREBITS, "not set, since there is no CAP_SETPCAP".to_owned())?;
    Ok(None)
}
