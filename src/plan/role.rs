//! What our own roles must be: tinysvc's sandbox for the parts of itself that read what strangers send.
#![forbid(unsafe_code)]

use super::compile::number;
use super::facility::{Capability, Facility, NamespaceFile};
use super::{Capabilities, Identity, Plan, Session, SignalState, filter};
use crate::unit::spec::Limit;
use std::ffi::CString;

/// `nobody`, as every distribution numbers it.
const NOBODY: u32 = 65_534;
/// Connections, and some more.
const OPEN_FILES_MAX: u64 = 600;
/// Bytes of memory that the role may allocate; its program and its threads' stacks are part of it.
const MEMORY_MAX: u64 = 128 << 20;

/// The plan of a role that serves a listener: our own binary from the descriptor `image`, with `descriptors` as its whole
/// world. It has no capability, no group, no file system and no environment, and can start no process.
///
/// Each restriction that is not possible here is left out: a probe that answers is worth more. The descriptors are those
/// of [`Plan::descriptors`].
pub fn role_plan(image: i32, argv: Vec<CString>, descriptors: Vec<(i32, i32)>, facility: &Facility) -> Plan {
    let may = |capability| facility.can(capability);
    // Without /proc nobody knows whether that user exists in this namespace.
    let become_nobody = facility.ids().uid == 0
        && facility.probe().namespace(NamespaceFile::UidMap).is_some()
        && may(Capability::SetUid)
        && may(Capability::SetGid)
        && facility.has_uid(NOBODY)
        && facility.has_gid(NOBODY)
        && !facility.forbids_groups();
    let have = facility.capabilities();
    let drop_bounding = if may(Capability::SetPcap) { have.bounding } else { 0 };
    let limit = |limit, most: u64| {
        let (number, hard) = (number(limit), facility.probe().limit(number(limit)).1);
        (number, most.min(hard), most.min(hard))
    };
    Plan {
        descriptors,
        image: Some(image),
        argv,
        session: Session::New,
        // Signals and their dispositions are the role's own business: it starts with none blocked or ignored, but for
        // SIGPIPE, which a write to a peer that went away would raise.
        signals: SignalState { mask: 0, default: !(bit(9) | bit(19) | bit(PIPE)), ignore: bit(PIPE) },
        limits: vec![
            limit(Limit::Nofile, OPEN_FILES_MAX),
            limit(Limit::Data, MEMORY_MAX),
            limit(Limit::Core, 0),
        ],
        umask: Some(0o077),
        bounding_drop: (0..64).filter(|bit| drop_bounding & (1 << bit) != 0).collect(),
        identity: become_nobody.then(|| Identity {
            groups: Some(Vec::new()),
            gid: Some(NOBODY),
            uid: Some(NOBODY),
        }),
        capabilities: Some(Capabilities { keep: 0, inheritable: 0, ambient: 0, secure_bits: None }),
        no_new_privileges: true,
        landlock: facility.probe().landlock() > 0,
        filters: if facility.filters() { filter::role().into_iter().collect() } else { Vec::new() },
        ..Plan::default()
    }
}

const PIPE: u8 = 13;

/// The bit of a signal in a mask.
const fn bit(signal: u8) -> u64 {
    1 << (signal - 1)
}
