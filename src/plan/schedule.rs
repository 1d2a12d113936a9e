//! How the kernel is to schedule the child, as far as this container may say so.
#![forbid(unsafe_code)]

use super::Scheduling;
use super::compile::{Draft, Enforcement, PlanError, number};
use super::facility::Capability;
use crate::unit::spec::{Limit, status};

/// `SCHED_FIFO` and `SCHED_RR` of linux/sched.h.
const REALTIME: [i32; 2] = [1, 2];
/// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` and `IOPRIO_CLASS_SHIFT` of linux/ioprio.h, and the priority in the middle.
const IO_REALTIME: i32 = 1;
const IO_BEST_EFFORT: i32 = 2;
const IO_SHIFT: u32 = 13;
const IO_MIDDLE: i32 = 4;

/// Plans what systemd.exec(5) says under "Scheduling", and `Personality=`.
pub(super) fn plan(draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let exec = draft.exec;
    let wanted = &exec.schedule;
    if *wanted == Default::default() {
        return Ok(());
    }
    let mut scheduling = Scheduling {
        timer_slack: wanted.timer_slack,
        personality: wanted.personality,
        affinity: wanted.affinity.clone(),
        ..Scheduling::default()
    };
    if wanted.policy.is_some() || wanted.reset_on_fork == Some(true) {
        let policy = wanted.policy.unwrap_or(0);
        let realtime = REALTIME.contains(&policy);
        let priority = if realtime { wanted.priority.unwrap_or(1).max(1) } else { 0 };
        let allowed = !realtime
            || draft.facility.can_globally(Capability::SysNice)
            || draft.facility.probe().limit(number(Limit::Rtprio)).0 >= u64::from(priority.unsigned_abs());
        if allowed {
            scheduling.policy = Some((policy, priority, wanted.reset_on_fork == Some(true)));
            draft.held("CPUSchedulingPolicy", Enforcement::Kernel);
        } else {
            let how = "the policy stays as it is, since there is no CAP_SYS_NICE for this machine".to_owned();
            draft.degraded("CPUSchedulingPolicy", status::SETSCHEDULER, how)?;
        }
    }
    if wanted.io_class.is_some() || wanted.io_priority.is_some() {
        let class = wanted.io_class.unwrap_or(IO_BEST_EFFORT);
        let within = if class == 0 { 0 } else { wanted.io_priority.unwrap_or(IO_MIDDLE) };
        // ioprio_set(2), EPERM.
        let (admin, nice) = (Capability::SysAdmin, Capability::SysNice);
        let allowed =
            class != IO_REALTIME || draft.facility.can_globally(admin) || draft.facility.can_globally(nice);
        if allowed {
            scheduling.io = Some(class << IO_SHIFT | within);
            draft.held("IOSchedulingClass", Enforcement::Kernel);
        } else {
            let how = "the class stays as it is, since there is no CAP_SYS_NICE for this machine".to_owned();
            draft.degraded("IOSchedulingClass", status::IOPRIO, how)?;
        }
    }
    draft.plan.scheduling = Some(scheduling);
    Ok(())
}
