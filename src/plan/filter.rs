//! Seccomp programs for `RestrictAddressFamilies=`, `SystemCallFilter=` and `SystemCallArchitectures=`.
//!
//! One exact program a directive. Each begins with the table that a call was made by, since a filter that looks at the
//! number alone has side doors: an x86-64 kernel serves three tables (64-bit, x32 and i386), and numbers mean other
//! things in each. What stands behind the doors:
//!
//! - x32 numbers (bit 30) are refused wherever anything is restricted; they would be a second name of every call.
//! - i386 `socketcall` hides its arguments behind a pointer, which a filter cannot follow, so it is refused; the
//!   direct i386 `socket` is judged as ours is. systemd leaves `socketcall` open.
//! - io_uring makes sockets without a system call, so it goes when address families are restricted.
//! - `socket(2)` takes an `int`: the upper half of the register is not looked at, by the kernel nor here.
//!
//! The rules about arguments are compiled by seccompiler. Its programs begin with a check of the table that kills
//! whatever is foreign; that is cut off here, and ours put before.
//!
//! Sources: linux/seccomp.h, linux/audit.h, seccomp(2), socketcall(2).
#![forbid(unsafe_code)]

use super::{Filter, Instruction};
use crate::unit::calls;
use crate::unit::spec::{AddressFamilies, CallFilter, status};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// `SECCOMP_RET_*` of linux/seccomp.h.
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const ALLOW: u32 = 0x7fff_0000;

/// What a kernel without the call would say, which is what software is prepared for.
const NO_SUCH_CALL: u32 = ERRNO | libc::ENOSYS as u32;

/// `AUDIT_ARCH_*` of linux/audit.h: our table of calls, and the one of our 32-bit relatives.
#[cfg(target_arch = "x86_64")]
mod machine {
    use seccompiler::TargetArch;
    pub const NATIVE: u32 = 0xc000_003e;
    pub const COMPAT: u32 = 0x4000_0003;
    pub const TARGET: TargetArch = TargetArch::x86_64;
    /// arch/x86/entry/syscalls/syscall_32.tbl.
    pub const COMPAT_SOCKET: i64 = 359;
    pub const COMPAT_SOCKETCALL: Option<u32> = Some(102);
    /// `__X32_SYSCALL_BIT` of asm/unistd.h.
    pub const X32: Option<u32> = Some(0x4000_0000);
}
#[cfg(target_arch = "aarch64")]
mod machine {
    use seccompiler::TargetArch;
    pub const NATIVE: u32 = 0xc000_00b7;
    pub const COMPAT: u32 = 0x4000_0028;
    pub const TARGET: TargetArch = TargetArch::aarch64;
    /// arch/arm/tools/syscall.tbl; its `socketcall` is not served on arm64.
    pub const COMPAT_SOCKET: i64 = 281;
    pub const COMPAT_SOCKETCALL: Option<u32> = None;
    pub const X32: Option<u32> = None;
}

/// `RestrictAddressFamilies=`. `None` if that refuses nothing.
pub fn address_families(wanted: &AddressFamilies) -> Option<Filter> {
    if wanted.deny && wanted.families.is_empty() {
        return None;
    }
    let refused = SeccompAction::Errno(libc::EAFNOSUPPORT as u32);
    let socket = |number: i64| {
        let rules = BTreeMap::from([(number, family_rules(wanted)?)]);
        body(rules, SeccompAction::Allow, refused.clone())
    };
    let mut compat = vec![jump(EQUAL, machine::COMPAT, 1, 0), ret(KILL_PROCESS)];
    compat.push(load(NUMBER));
    compat.extend(no_io_uring());
    if let Some(socketcall) = machine::COMPAT_SOCKETCALL {
        compat.extend([jump(EQUAL, socketcall, 0, 1), ret(NO_SUCH_CALL)]);
    }
    compat.extend(socket(machine::COMPAT_SOCKET)?);

    let mut native = no_io_uring().to_vec();
    native.extend(socket(libc::SYS_socket)?);
    Some(Filter { status: status::ADDRESS_FAMILIES, program: program(compat, NO_SUCH_CALL, native) })
}

/// When a call of `socket(2)` is to be refused: one rule whose conditions all hold, or one of several. No rule at all
/// refuses every call.
fn family_rules(wanted: &AddressFamilies) -> Option<Vec<SeccompRule>> {
    let condition = |op: SeccompCmpOp, family: &i32| {
        let value = u64::from(family.unsigned_abs());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, op, value).ok()
    };
    if wanted.families.is_empty() {
        Some(Vec::new())
    } else if wanted.deny {
        let each = wanted.families.iter();
        each.map(|family| SeccompRule::new(vec![condition(SeccompCmpOp::Eq, family)?]).ok()).collect()
    } else {
        let all: Option<Vec<_>> = wanted.families.iter().map(|f| condition(SeccompCmpOp::Ne, f)).collect();
        Some(vec![SeccompRule::new(all?).ok()?])
    }
}

/// `io_uring_setup`, `_enter` and `_register` have these numbers on every machine.
fn no_io_uring() -> [Instruction; 3] {
    [jump(AT_LEAST, 425, 0, 2), jump(ABOVE, 427, 1, 0), ret(NO_SUCH_CALL)]
}

/// `SystemCallArchitectures=native`.
pub fn native_only() -> Filter {
    let program = program(vec![ret(KILL_PROCESS)], KILL_PROCESS, vec![ret(ALLOW)]);
    Filter { status: status::SECCOMP, program }
}

/// `SystemCallFilter=`, with `SystemCallErrorNumber=`. `None` if that refuses nothing.
///
/// An allow list leaves what is needed to start and end a program (systemd's `@default`), and answers a number that has no
/// name yet as a kernel would that does not know it.
pub fn calls(wanted: &CallFilter, errno: Option<i32>) -> Option<Filter> {
    let refused = errno.map_or(KILL_PROCESS, answer);
    let listed = wanted.calls.iter().filter_map(|(name, own)| Some((number(name)?, *own)));
    let actions: BTreeMap<u32, u32> = if wanted.deny {
        listed.map(|(number, own)| (number, own.map_or(refused, answer))).collect()
    } else {
        let mut actions: BTreeMap<u32, u32> =
            calls::names().filter_map(number).map(|number| (number, refused)).collect();
        actions.extend(ALWAYS.iter().filter_map(|name| number(name)).map(|number| (number, ALLOW)));
        actions.extend(listed.map(|(number, own)| (number, own.map_or(ALLOW, answer))));
        actions
    };
    if wanted.deny && actions.is_empty() {
        return None;
    }
    let others = if wanted.deny { ALLOW } else { NO_SUCH_CALL };
    let mut native = Vec::new();
    decide(&ranges(&actions, others), &mut native);
    // The names are those of our own table, so the others cannot be judged.
    let program = program(vec![ret(KILL_PROCESS)], NO_SUCH_CALL, native);
    Some(Filter { status: status::SECCOMP, program })
}

/// The action for an errno as `CallFilter` has it: below zero the process dies, and 0 pretends success.
fn answer(errno: i32) -> u32 {
    // `SECCOMP_RET_DATA` is 16 bits; an errno is at most 4095.
    u32::try_from(errno).map_or(KILL_PROCESS, |errno| ERRNO | errno.min(4095))
}

fn number(name: &str) -> Option<u32> {
    calls::number(name).and_then(|number| u32::try_from(number).ok())
}

/// systemd's `@default`, as of version 257: what may not be taken from a program.
const ALWAYS: &[&str] = &[
    "arch_prctl",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "execve",
    "exit",
    "exit_group",
    "futex",
    "futex_waitv",
    "get_robust_list",
    "get_thread_area",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getsid",
    "gettid",
    "gettimeofday",
    "getuid",
    "membarrier",
    "mmap",
    "mprotect",
    "munmap",
    "nanosleep",
    "pause",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "time",
];

/// The first number of each run of numbers with one action, in order.
fn ranges(actions: &BTreeMap<u32, u32>, others: u32) -> Vec<(u32, u32)> {
    let mut ranges = vec![(0, others)];
    let mut begin = |number: u32, action: u32| match ranges.last_mut() {
        Some((_, last)) if *last == action => {}
        Some((first, last)) if *first == number => *last = action,
        _ => ranges.push((number, action)),
    };
    let mut next = 0;
    for (&number, &action) in actions {
        if number > next {
            begin(next, others);
        }
        begin(number, action);
        next = number.saturating_add(1);
    }
    begin(next, others);
    ranges
}

/// A binary search: some ten steps for any filter, instead of hundreds in a row.
fn decide(ranges: &[(u32, u32)], program: &mut Vec<Instruction>) {
    let (left, right) = ranges.split_at(ranges.len() / 2);
    match (left, right) {
        ([], [(_, action), ..]) => program.push(ret(*action)),
        (_, [(first, _), ..]) => {
            let mut below = Vec::new();
            decide(left, &mut below);
            // A conditional jump reaches 255 instructions only.
            program.extend([jump(AT_LEAST, *first, 0, 1), skip(below.len())]);
            program.append(&mut below);
            decide(right, program);
        }
        (_, []) => {}
    }
}

/// What the health role may do once it runs: serve connections on a listener that it has, with threads.
///
/// Whatever else it calls fails with EPERM. It can execute nothing but a descriptor that it has, start no process, map
/// no code and make no socket. A `clone3` is refused as unknown, so that the C library uses `clone`, whose flags
/// can be seen.
pub fn role() -> Option<Filter> {
    let free = [
        libc::SYS_accept4,
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_close,
        libc::SYS_dup,
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_epoll_pwait,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_fcntl,
        libc::SYS_fstat,
        libc::SYS_futex,
        libc::SYS_getpeername,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_getrandom,
        libc::SYS_getsockname,
        libc::SYS_getsockopt,
        libc::SYS_gettid,
        libc::SYS_listen,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_ppoll,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_sendmsg,
        libc::SYS_sendto,
        libc::SYS_set_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_setsockopt,
        libc::SYS_shutdown,
        libc::SYS_sigaltstack,
        libc::SYS_tgkill,
        libc::SYS_tkill,
        libc::SYS_write,
        libc::SYS_writev,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_accept,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_arch_prctl,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        #[cfg(target_arch = "aarch64")]
        libc::SYS_accept,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        free.into_iter().map(|number| (number, Vec::new())).collect();
    let if_all = |conditions: &[(u8, SeccompCmpOp, u64)]| {
        let conditions: Option<Vec<_>> = conditions
            .iter()
            .map(|(at, op, value)| {
                SeccompCondition::new(*at, SeccompCmpArgLen::Dword, op.clone(), *value).ok()
            })
            .collect();
        Some(vec![SeccompRule::new(conditions?).ok()?])
    };
    let masked = |bits: i32| SeccompCmpOp::MaskedEq(u64::from(bits.unsigned_abs()));
    let (is, thread, code) = (SeccompCmpOp::Eq, libc::CLONE_THREAD, libc::PROT_EXEC);
    let number = |n: i32| u64::from(n.unsigned_abs());
    rules.extend([
        (libc::SYS_clone, if_all(&[(0, masked(thread), number(thread))])?),
        (libc::SYS_mmap, if_all(&[(2, masked(code), 0)])?),
        (libc::SYS_mprotect, if_all(&[(2, masked(code), 0)])?),
        // A pair has no address, so it leads nowhere but to its other end.
        (libc::SYS_socketpair, if_all(&[(0, is.clone(), number(libc::AF_UNIX))])?),
        // Limits are read, not set: no new limit, for itself.
        (libc::SYS_prlimit64, read_own_limit()?),
        // A descriptor becomes one that does not wait.
        (libc::SYS_ioctl, if_all(&[(1, is.clone(), u64::from(libc::FIONBIO as u32))])?),
        (libc::SYS_prctl, if_all(&[(0, is.clone(), number(libc::PR_SET_NAME))])?),
        (libc::SYS_execveat, if_all(&[(4, is, number(libc::AT_EMPTY_PATH))])?),
    ]);
    let mut native = vec![jump(EQUAL, libc::SYS_clone3 as u32, 0, 1), ret(NO_SUCH_CALL)];
    native.extend(body(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?);
    let program = program(vec![ret(KILL_PROCESS)], KILL_PROCESS, native);
    Some(Filter { status: status::SECCOMP, program })
}

/// `prlimit64(0, resource, NULL, …)`, where the pointer is 64 bits wide.
fn read_own_limit() -> Option<Vec<SeccompRule>> {
    let zero = |at, width| SeccompCondition::new(at, width, SeccompCmpOp::Eq, 0).ok();
    let conditions = vec![zero(0, SeccompCmpArgLen::Dword)?, zero(2, SeccompCmpArgLen::Qword)?];
    Some(vec![SeccompRule::new(conditions).ok()?])
}

/// Rules about arguments as instructions that begin by loading the number.
fn body(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Option<Vec<Instruction>> {
    let filter = SeccompFilter::new(rules, otherwise, matched, machine::TARGET).ok()?;
    let compiled = BpfProgram::try_from(filter).ok()?;
    let all = compiled.iter().map(|i| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k });
    Some(all.skip(seccompiler_prologue().len()).collect())
}

/// How each program of seccompiler begins: load the table, go on if it is ours, otherwise kill.
fn seccompiler_prologue() -> [Instruction; 3] {
    [load(TABLE), jump(EQUAL, machine::NATIVE, 1, 0), ret(KILL_PROCESS)]
}

/// The whole: `compat` judges foreign tables and finds the table loaded; `native` judges ours and finds the number
/// loaded; `x32` is the action for numbers with that bit. Each part ends in a return whatever happens.
fn program(compat: Vec<Instruction>, x32: u32, native: Vec<Instruction>) -> Vec<Instruction> {
    let mut program = vec![load(TABLE), jump(EQUAL, machine::NATIVE, 0, 1), skip(compat.len())];
    program.extend(compat);
    program.push(load(NUMBER));
    if let Some(bit) = machine::X32 {
        // −1 is no call of any table: it is how a tracer skips one.
        program.extend([jump(AT_LEAST, bit, 0, 2), jump(EQUAL, u32::MAX, 1, 0), ret(x32)]);
    }
    program.extend(native);
    program
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const TABLE: u32 = 4;

/// `BPF_JMP | BPF_K` with `BPF_JEQ`, `BPF_JGE`, `BPF_JGT`, and `BPF_JA`: linux/bpf_common.h.
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const ABOVE: u16 = 0x25;
const ALWAYS_JUMP: u16 = 0x05;
/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const RETURN: u16 = 0x06;

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jt: 0, jf: 0, k: offset }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn skip(instructions: usize) -> Instruction {
    // The kernel refuses programs of more than 4096 instructions.
    Instruction { code: ALWAYS_JUMP, jt: 0, jf: 0, k: instructions as u32 }
}

fn ret(action: u32) -> Instruction {
    Instruction { code: RETURN, jt: 0, jf: 0, k: action }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What the kernel would do, for the instructions that occur.
    fn verdict(program: &[Instruction], table: u32, number: u32, args: [u64; 6]) -> u32 {
        let mut data = vec![number, table, 0, 0];
        data.extend(args.iter().flat_map(|arg| [*arg as u32, (*arg >> 32) as u32]));
        let (mut at, mut a) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let mut branch = |yes: bool| at += usize::from(if yes { jt } else { jf });
            match code {
                LOAD => a = data[k as usize / 4],
                RETURN => return k,
                ALWAYS_JUMP => at += k as usize,
                EQUAL => branch(a == k),
                AT_LEAST => branch(a >= k),
                ABOVE => branch(a > k),
                // BPF_ALU | BPF_AND | BPF_K.
                0x54 => a &= k,
                _ => panic!("code {code:#x}"),
            }
        }
    }

    const EAFNOSUPPORT: u32 = ERRNO | 97;
    const SOCKET: u32 = libc::SYS_socket as u32;

    #[test]
    fn seccompiler_begins_as_it_is_believed_to() {
        let filter = SeccompFilter::new(
            BTreeMap::from([(1, Vec::new())]),
            SeccompAction::Allow,
            SeccompAction::Trap,
            machine::TARGET,
        );
        let program = BpfProgram::try_from(filter.unwrap()).unwrap();
        let begin: Vec<_> = program
            .iter()
            .take(4)
            .map(|i| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k })
            .collect();
        assert_eq!(begin[..3], seccompiler_prologue());
        assert_eq!(begin[3], load(NUMBER));
    }

    #[test]
    fn families_are_refused_through_every_door() {
        let families =
            |deny, list: &[i32]| AddressFamilies { deny, families: list.iter().copied().collect() };
        let only = address_families(&families(false, &[libc::AF_UNIX, libc::AF_INET])).unwrap().program;
        let not = address_families(&families(true, &[libc::AF_PACKET, libc::AF_INET])).unwrap().program;
        let none = address_families(&families(false, &[])).unwrap().program;
        let native = machine::NATIVE;
        let compat = machine::COMPAT;
        let compat_socket = machine::COMPAT_SOCKET as u32;
        let garbage = 0xdead_beef_0000_0000;
        let table = [
            ("a listed family", &only, native, SOCKET, 1, ALLOW),
            ("another listed family", &only, native, SOCKET, 2, ALLOW),
            ("one that is not listed", &only, native, SOCKET, 10, EAFNOSUPPORT),
            ("zero is a family", &only, native, SOCKET, 0, EAFNOSUPPORT),
            ("garbage above a listed one is not looked at", &only, native, SOCKET, garbage | 1, ALLOW),
            ("nor above another", &only, native, SOCKET, garbage | 17, EAFNOSUPPORT),
            ("another call", &only, native, libc::SYS_connect as u32, 17, ALLOW),
            ("a pair is not a new family", &only, native, libc::SYS_socketpair as u32, 10, ALLOW),
            ("a refused family", &not, native, SOCKET, 17, EAFNOSUPPORT),
            ("with garbage above", &not, native, SOCKET, garbage | 17, EAFNOSUPPORT),
            ("one that is not refused", &not, native, SOCKET, 16, ALLOW),
            ("none leaves none", &none, native, SOCKET, 1, EAFNOSUPPORT),
            ("io_uring makes sockets itself", &only, native, 425, 0, NO_SUCH_CALL),
            ("by any of its calls", &not, native, 427, 0, NO_SUCH_CALL),
            ("the call before is another", &only, native, 424, 0, ALLOW),
            ("the call after is another", &only, native, 428, 0, ALLOW),
            ("the 32-bit socket is judged alike", &only, compat, compat_socket, 17, EAFNOSUPPORT),
            ("and passes alike", &only, compat, compat_socket, 2, ALLOW),
            ("other 32-bit calls pass", &only, compat, 20, 0, ALLOW),
            ("32-bit io_uring goes", &only, compat, 426, 0, NO_SUCH_CALL),
            ("a table that this machine does not have", &only, 0x1234, 20, 0, KILL_PROCESS),
        ];
        for (why, program, arch, number, family, action) in table {
            assert_eq!(verdict(program, arch, number, [family, 1, 0, 0, 0, 0]), action, "{why}");
        }
        if let (Some(x32), Some(socketcall)) = (machine::X32, machine::COMPAT_SOCKETCALL) {
            assert_eq!(verdict(&only, native, x32 | SOCKET, [2; 6]), NO_SUCH_CALL, "x32 is a second name");
            assert_eq!(verdict(&only, native, u32::MAX, [2; 6]), ALLOW, "no call at all");
            assert_eq!(
                verdict(&only, compat, socketcall, [1; 6]),
                NO_SUCH_CALL,
                "socketcall cannot be judged"
            );
        }
        assert_eq!(address_families(&families(true, &[])), None);
    }

    #[test]
    fn every_family_at_once_is_a_program_that_the_kernel_takes() {
        let families: BTreeSet<i32> = (0..64).collect();
        for deny in [false, true] {
            let program =
                address_families(&AddressFamilies { deny, families: families.clone() }).unwrap().program;
            assert!(program.len() < 4096);
            let expected = if deny { EAFNOSUPPORT } else { ALLOW };
            for family in 0..64 {
                assert_eq!(verdict(&program, machine::NATIVE, SOCKET, [family; 6]), expected);
            }
        }
    }

    #[test]
    fn calls_are_judged_as_systemd_judges_them() {
        let filter = |deny, list: &[(&str, Option<i32>)]| CallFilter {
            deny,
            calls: list.iter().map(|(name, errno)| ((*name).to_owned(), *errno)).collect(),
        };
        let allow = filter(
            false,
            &[("read", None), ("uname", Some(61)), ("chdir", Some(-1)), ("no_such_call", None)],
        );
        let deny = filter(
            true,
            &[("uname", None), ("sysinfo", Some(84)), ("mkdirat", Some(0)), ("chdir", Some(-1))],
        );
        let program = |filter, errno| calls(filter, errno).unwrap().program;
        let (allow_kill, allow_errno) = (program(&allow, None), program(&allow, Some(117)));
        let (deny_kill, deny_errno) = (program(&deny, None), program(&deny, Some(1)));
        let table = [
            ("listed", &allow_kill, libc::SYS_read, ALLOW),
            ("not listed kills", &allow_kill, libc::SYS_write, KILL_PROCESS),
            ("or fails with the number given", &allow_errno, libc::SYS_write, ERRNO | 117),
            ("its own number wins, even on an allow list", &allow_errno, libc::SYS_uname, ERRNO | 61),
            ("so does its own death", &allow_errno, libc::SYS_chdir, KILL_PROCESS),
            ("a program can be executed", &allow_kill, libc::SYS_execve, ALLOW),
            ("and can end", &allow_kill, libc::SYS_exit_group, ALLOW),
            ("a number without a name is not there", &allow_kill, 5000, NO_SUCH_CALL),
            ("refused", &deny_kill, libc::SYS_uname, KILL_PROCESS),
            ("refused with the number given", &deny_errno, libc::SYS_uname, ERRNO | 1),
            ("its own number", &deny_kill, libc::SYS_sysinfo, ERRNO | 84),
            ("zero pretends success", &deny_kill, libc::SYS_mkdirat, ERRNO),
            ("its own death", &deny_errno, libc::SYS_chdir, KILL_PROCESS),
            ("not refused", &deny_kill, libc::SYS_write, ALLOW),
            ("a number without a name is not refused", &deny_kill, 5000, ALLOW),
        ];
        for (why, program, number, action) in table {
            assert_eq!(verdict(program, machine::NATIVE, number as u32, [0; 6]), action, "{why}");
            assert_eq!(
                verdict(program, machine::COMPAT, number as u32, [0; 6]),
                KILL_PROCESS,
                "{why}, foreign"
            );
            if let Some(x32) = machine::X32 {
                assert_eq!(
                    verdict(program, machine::NATIVE, number as u32 | x32, [0; 6]),
                    NO_SUCH_CALL,
                    "{why}, x32"
                );
            }
        }
        assert_eq!(calls(&filter(true, &[]), None), None);
        for number in calls::names().filter_map(number) {
            let known = verdict(&allow_kill, machine::NATIVE, number, [0; 6]);
            assert_ne!(known, NO_SUCH_CALL, "{number}");
        }
    }

    #[test]
    fn only_our_own_table_is_left() {
        let program = native_only().program;
        for (why, table, number, action) in [
            ("ours", machine::NATIVE, SOCKET, ALLOW),
            ("our relatives'", machine::COMPAT, SOCKET, KILL_PROCESS),
            ("nobody's", 0, SOCKET, KILL_PROCESS),
        ] {
            assert_eq!(verdict(&program, table, number, [0; 6]), action, "{why}");
        }
        if let Some(x32) = machine::X32 {
            assert_eq!(verdict(&program, machine::NATIVE, x32 | SOCKET, [0; 6]), KILL_PROCESS);
        }
    }

    #[test]
    fn a_role_can_serve_and_nothing_else() {
        let program = role().unwrap().program;
        let call = |number: i64, args: [u64; 6]| verdict(&program, machine::NATIVE, number as u32, args);
        let eperm = ERRNO | 1;
        let thread = libc::CLONE_THREAD as u64 | libc::CLONE_VM as u64;
        let table = [
            ("accept", libc::SYS_accept4, [3, 0, 0, 0, 0, 0], ALLOW),
            ("a thread", libc::SYS_clone, [thread, 0, 0, 0, 0, 0], ALLOW),
            ("a process", libc::SYS_clone, [17, 0, 0, 0, 0, 0], eperm),
            ("flags out of sight", libc::SYS_clone3, [0; 6], NO_SUCH_CALL),
            ("memory", libc::SYS_mmap, [0, 4096, 3, 34, 0, 0], ALLOW),
            ("code", libc::SYS_mmap, [0, 4096, 7, 34, 0, 0], eperm),
            ("code out of memory", libc::SYS_mprotect, [0, 4096, 5, 0, 0, 0], eperm),
            ("ourselves", libc::SYS_execveat, [7, 0, 0, 0, 0x1000, 0], ALLOW),
            ("a program below a folder", libc::SYS_execveat, [7, 0, 0, 0, 0, 0], eperm),
            ("a file", libc::SYS_openat, [0; 6], eperm),
            ("a pair", libc::SYS_socketpair, [1, 1, 0, 0, 0, 0], ALLOW),
            ("a pair that is no pair", libc::SYS_socketpair, [16, 1, 0, 0, 0, 0], eperm),
            ("its limits", libc::SYS_prlimit64, [0, 7, 0, 0x7fff_0000_1000, 0, 0], ALLOW),
            ("another limit", libc::SYS_prlimit64, [0, 7, 0x7fff_0000_0000, 0, 0, 0], eperm),
            ("somebody's limits", libc::SYS_prlimit64, [1, 7, 0, 0, 0, 0], eperm),
            ("a socket", libc::SYS_socket, [2, 1, 0, 0, 0, 0], eperm),
            ("typing into a terminal", libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0], eperm),
            ("somebody's memory", libc::SYS_ptrace, [0; 6], eperm),
            ("a signal to anybody", libc::SYS_kill, [1, 9, 0, 0, 0, 0], eperm),
        ];
        for (why, number, args, action) in table {
            assert_eq!(call(number, args), action, "{why}");
        }
        assert_eq!(verdict(&program, machine::COMPAT, 1, [0; 6]), KILL_PROCESS);
    }
}
