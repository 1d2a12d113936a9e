//! Things that have a name and a number: exit statuses, signals, capabilities, securebits, address families,
//! system calls and errnos, and the sets of them that directives are made of.
//!
//! In a set a word that is unknown is dropped with a problem and the others count, as systemd has it.
#![forbid(unsafe_code)]

use crate::unit::calls;
use crate::unit::complaint::Problem;
use crate::unit::spec::{AddressFamilies, CallFilter, ExitSet, Signal, status};
use crate::unit::words;
use nix::errno::Errno;
use std::collections::BTreeSet;

/// Adds the statuses and signals of `SuccessExitStatus=` and its like; an empty value clears the set.
pub fn exits(set: &mut ExitSet, text: &str, problems: &mut Vec<Problem>) {
    if text.is_empty() {
        *set = ExitSet::default();
    }
    for word in text.split_ascii_whitespace() {
        if let Some(status) = exit_status(word) {
            set.statuses.insert(status);
        } else if let Some(signal) = Signal::parse(word) {
            set.signals.insert(signal);
        } else {
            problems.push(Problem::unknown(
                "exit status or signal",
                word,
                &mut status::names().chain(SIGNALS),
            ));
        }
    }
}

/// Names to suggest; [`Signal::parse`] knows them all.
const SIGNALS: [&str; 10] = [
    "SIGTERM", "SIGKILL", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGABRT", "SIGWINCH",
    "SIGPIPE",
];

/// 0 to 255, or a name of systemd.exec(5), "Process Exit Codes".
pub fn exit_status(word: &str) -> Option<u8> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    status::number(word).or_else(|| word.parse().ok().filter(|_| digits))
}

/// As [`exits`] reads it.
pub fn show_exits(set: &ExitSet) -> String {
    let words = set.statuses.iter().map(u8::to_string).chain(set.signals.iter().map(Signal::to_string));
    words.collect::<Vec<_>>().join(" ")
}

/// One signal.
///
/// # Errors
/// There is none of that name or number.
pub fn signal(word: &str) -> Result<Signal, Problem> {
    Signal::parse(word).ok_or_else(|| Problem::unknown("signal", word, &mut SIGNALS.into_iter()))
}

/// Names of capabilities without `CAP_`, in the order of their numbers: linux/capability.h.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP \
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT \
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE \
    AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF \
    CHECKPOINT_RESTORE";

/// Merges one assignment of `CapabilityBoundingSet=` or `AmbientCapabilities=` into the mask so far;
/// `initial` is the mask that nothing has been assigned to.
///
/// systemd's rules: an empty value is the empty set, a lone `~` the full one. The first assignment replaces
/// `initial`; a later one adds, or with `~` takes away. So a list after `~CAP_X` adds to what `~CAP_X` left.
pub fn capabilities(so_far: u64, initial: u64, text: &str, problems: &mut Vec<Problem>) -> u64 {
    let (invert, list) = match text.strip_prefix('~') {
        Some(list) => (true, list),
        None => (false, text),
    };
    let mut sum: u64 = 0;
    for word in list.split_ascii_whitespace() {
        match capability(word) {
            Some(number) => sum |= 1 << number,
            None => problems.push(unknown_capability(word)),
        }
    }
    match (sum == 0 || so_far == initial, invert) {
        (true, true) => !sum,
        (true, false) => sum,
        (false, true) => so_far & !sum,
        (false, false) => so_far | sum,
    }
}

/// The number of a capability, from `CAP_NAME` in any case or from the number itself (0 to 63).
fn capability(word: &str) -> Option<u32> {
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return word.parse().ok().filter(|n| *n < 64);
    }
    let name = word.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_")?;
    CAPABILITIES.split_ascii_whitespace().zip(0..).find(|(n, _)| *n == name).map(|(_, number)| number)
}

fn unknown_capability(word: &str) -> Problem {
    let bare = word.to_ascii_uppercase();
    let mut problem = Problem::unknown(
        "capability",
        bare.trim_start_matches("CAP_"),
        &mut CAPABILITIES.split_ascii_whitespace(),
    );
    problem.message = format!("unknown capability \"{word}\"").into();
    problem.suggestion = problem.suggestion.map(|name| format!("CAP_{name}"));
    problem
}

/// As [`capabilities`] reads it. A mask with the highest bit was made with `~` and is shown so.
pub fn show_capabilities(mask: u64) -> String {
    let (invert, shown) = if mask >> 63 == 1 { ("~", !mask) } else { ("", mask) };
    let name = |number: u32| match CAPABILITIES.split_ascii_whitespace().nth(number as usize) {
        Some(name) => format!("CAP_{name}"),
        None => number.to_string(),
    };
    let names: Vec<_> = (0..64).filter(|n| shown >> n & 1 == 1).map(name).collect();
    format!("{invert}{}", names.join(" "))
}

/// `SecureBits=` and `SECBIT_*` of linux/securebits.h.
const SECURE_BITS: [(&str, u32); 6] = [
    ("keep-caps", 1 << 4),
    ("keep-caps-locked", 1 << 5),
    ("no-setuid-fixup", 1 << 2),
    ("no-setuid-fixup-locked", 1 << 3),
    ("noroot", 1 << 0),
    ("noroot-locked", 1 << 1),
];

/// Adds one assignment of `SecureBits=`; an empty value clears them.
pub fn secure_bits(bits: &mut u32, text: &str, problems: &mut Vec<Problem>) {
    if text.is_empty() {
        *bits = 0;
    }
    for word in text.split_ascii_whitespace() {
        match SECURE_BITS.iter().find(|(name, _)| *name == word) {
            Some((_, bit)) => *bits |= bit,
            None => problems.push(Problem::unknown(
                "secure bit",
                word,
                &mut SECURE_BITS.iter().map(|(name, _)| *name),
            )),
        }
    }
}

/// As [`secure_bits`] reads it.
pub fn show_secure_bits(bits: u32) -> String {
    let names: Vec<_> =
        SECURE_BITS.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
    names.join(" ")
}

/// Names of address families without `AF_`, from 1: linux/socket.h.
const FAMILIES: &str = "UNIX INET AX25 IPX APPLETALK NETROM BRIDGE ATMPVC X25 INET6 ROSE DECnet NETBEUI SECURITY KEY \
    NETLINK PACKET ASH ECONET ATMSVC RDS SNA IRDA PPPOX WANPIPE LLC IB MPLS CAN TIPC BLUETOOTH IUCV RXRPC ISDN PHONET \
    IEEE802154 CAIF ALG NFC VSOCK KCM QIPCRTR SMC XDP MCTP";

/// Merges one assignment of `RestrictAddressFamilies=`: the first decides whether it is a list of what is
/// left or of what is refused, later ones add to it or take from it; `none` leaves nothing; an empty value
/// lifts the restriction.
pub fn families(so_far: &mut Option<AddressFamilies>, text: &str, problems: &mut Vec<Problem>) {
    let (invert, list) = match text.strip_prefix('~') {
        Some(list) => (true, list),
        None => (false, text),
    };
    if text.is_empty() {
        *so_far = None;
        return;
    }
    if text == "none" {
        *so_far = Some(AddressFamilies { deny: false, families: BTreeSet::new() });
        return;
    }
    let set = so_far.get_or_insert(AddressFamilies { deny: invert, families: BTreeSet::new() });
    for word in list.split_ascii_whitespace() {
        match family(word) {
            Some(number) if set.deny == invert => {
                set.families.insert(number);
            }
            Some(number) => {
                // Built anew: taking one out of a tree is a lot of code for something so rare.
                let old = std::mem::take(&mut set.families);
                old.into_iter().filter(|n| *n != number).for_each(|n| {
                    set.families.insert(n);
                });
            }
            None => {
                let bare = word.strip_prefix("AF_").unwrap_or(word);
                let mut problem =
                    Problem::unknown("address family", bare, &mut FAMILIES.split_ascii_whitespace());
                problem.message = format!("unknown address family \"{word}\"").into();
                problem.suggestion = problem.suggestion.map(|name| format!("AF_{name}"));
                problems.push(problem);
            }
        }
    }
}

fn family(word: &str) -> Option<i32> {
    let name = match word.strip_prefix("AF_")? {
        "LOCAL" => "UNIX",
        "ROUTE" => "NETLINK",
        name => name,
    };
    FAMILIES.split_ascii_whitespace().zip(1..).find(|(n, _)| *n == name).map(|(_, number)| number)
}

/// As [`families`] reads it.
pub fn show_families(set: &AddressFamilies) -> String {
    let name = |number: &i32| {
        let at = usize::try_from(*number - 1).ok();
        at.and_then(|at| FAMILIES.split_ascii_whitespace().nth(at)).map(|name| format!("AF_{name}"))
    };
    let names: Vec<_> = set.families.iter().filter_map(name).collect();
    match (set.deny, names.is_empty()) {
        (false, true) => "none".to_owned(),
        (deny, _) => format!("{}{}", if deny { "~" } else { "" }, names.join(" ")),
    }
}

/// Merges one assignment of `SystemCallFilter=`: the first decides whether it is a list of what is left or of
/// what is refused, later ones add to it or take from it; an empty value lifts the filter.
///
/// A group (`@name`) is not known yet. Among what is refused it is left out. A list of what is left that has
/// a group would refuse most of what the group stands for and kill the program, so it becomes a filter that
/// refuses nothing, which later assignments with `~` add to.
pub fn call_filter(so_far: &mut Option<CallFilter>, text: &str, problems: &mut Vec<Problem>) {
    if text.is_empty() {
        *so_far = None;
        return;
    }
    let (invert, list) = match text.strip_prefix('~') {
        Some(list) => (true, list),
        None => (false, text),
    };
    let group = |word: &str| word.starts_with('@');
    if let Some(name) = list.split_ascii_whitespace().find(|word| group(word)) {
        let lost = if invert { "it refuses nothing" } else { "the list is not enforced" };
        problems.push(Problem::value(format!(
            "groups of system calls such as {name} come later; until then {lost}"
        )));
        if !invert {
            let filter = so_far.get_or_insert_default();
            if !filter.deny {
                *filter = CallFilter { deny: true, ..CallFilter::default() };
            }
            return;
        }
    }
    let filter = so_far.get_or_insert(CallFilter { deny: invert, ..CallFilter::default() });
    for word in list.split_ascii_whitespace().filter(|word| !group(word)) {
        let (name, errno) = match word.split_once(':') {
            Some((name, errno)) => match error_number(errno) {
                Some(_) if !invert => {
                    problems
                        .push(Problem::value(format!("\"{word}\": a call that is left has no error number")));
                    continue;
                }
                Some(errno) => (name, Some(errno)),
                None => {
                    problems.push(Problem::unknown("error number", errno, &mut error_names()));
                    continue;
                }
            },
            None => (word, None),
        };
        if calls::number(name).is_none() {
            let unknown = Problem::unknown("system call", name, &mut calls::names());
            // Lists name the calls of many machines: `stat` is none on aarch64.
            problems.push(if unknown.suggestion.is_some() {
                unknown
            } else {
                Problem::remark(unknown.message)
            });
        } else if filter.deny == invert {
            filter.calls.insert(name.to_owned(), errno);
        } else {
            let old = std::mem::take(&mut filter.calls);
            old.into_iter().filter(|(n, _)| n != name).for_each(|(n, errno)| {
                filter.calls.insert(n, errno);
            });
        }
    }
}

/// As [`call_filter`] reads it.
pub fn show_call_filter(filter: &CallFilter) -> String {
    // Nothing is left but what is always left, and execve is of that; an empty value would lift the filter.
    if !filter.deny && filter.calls.is_empty() {
        return "execve".to_owned();
    }
    let one = |(name, errno): (&String, &Option<i32>)| match errno {
        None => name.clone(),
        Some(errno) => format!("{name}:{}", show_error_number(*errno)),
    };
    let words: Vec<_> = filter.calls.iter().map(one).collect();
    format!("{}{}", if filter.deny { "~" } else { "" }, words.join(" "))
}

/// An errno by name, a number from 0 to 4095, or `kill` for [`CallFilter::KILL`].
pub fn error_number(word: &str) -> Option<i32> {
    match word {
        "kill" => Some(CallFilter::KILL),
        "EWOULDBLOCK" => Some(Errno::EAGAIN as i32),
        "EDEADLOCK" => Some(Errno::EDEADLK as i32),
        "ENOTSUP" => Some(Errno::EOPNOTSUPP as i32),
        _ if word.bytes().all(|b| b.is_ascii_digit()) => word.parse().ok().filter(|n| *n <= ERRNO_MAX),
        _ => named_errors().find(|(_, name)| name == word).map(|(number, _)| number),
    }
}

/// As [`error_number`] reads it.
pub fn show_error_number(number: i32) -> String {
    if number == CallFilter::KILL {
        return "kill".to_owned();
    }
    named_errors().find(|(n, _)| *n == number).map_or(number.to_string(), |(_, name)| name)
}

/// The largest errno that the kernel returns: MAX_ERRNO of linux/err.h.
const ERRNO_MAX: i32 = 4095;

/// Every errno with its name; 133 is the last on Linux, EHWPOISON.
fn named_errors() -> impl Iterator<Item = (i32, String)> {
    (1..=133).map(Errno::from_raw).filter(|e| *e != Errno::UnknownErrno).map(|e| (e as i32, format!("{e:?}")))
}

/// Names to suggest.
pub fn error_names() -> impl Iterator<Item = &'static str> {
    [
        "EPERM",
        "EACCES",
        "ENOSYS",
        "EINVAL",
        "ENOENT",
        "EAFNOSUPPORT",
        "EOPNOTSUPP",
        "EUCLEAN",
        "ENODATA",
        "kill",
    ]
    .into_iter()
}

/// Text with its C escapes replaced, or `None` if one is unknown. Quotes and white space are just themselves.
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'\\' {
            let (bytes, after) = words::escape(rest)?;
            out.extend(bytes);
            rest = after;
        } else {
            out.push(*byte);
        }
    }
    Some(out)
}

/// As [`unescape`] and then the specifiers read it.
pub fn show_escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'%' => out.push_str("%%"),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => words::hex(&mut out, *byte),
        }
    }
    out
}

/// The digits of RFC 4648, section 4.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with white space anywhere; `None` if it is none.
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut digits = text.iter().filter(|b| !b.is_ascii_whitespace()).copied();
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    while let Some(first) = digits.next() {
        let four = [first, digits.next()?, digits.next()?, digits.next()?];
        let padding = four.iter().rev().take_while(|b| **b == b'=').count();
        let mut bits = 0;
        for digit in four.iter().take(4 - padding) {
            bits = bits << 6 | BASE64.iter().position(|b| b == digit)? as u32;
        }
        bits <<= 6 * padding;
        // The bits below what the digits say are zero.
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(..3 - padding.min(2))?);
        if padding > 2 || padding > 0 && digits.next().is_some() {
            return None;
        }
    }
    Some(out)
}

/// As [`base64`] reads it.
pub fn show_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = BASE64.get((bits >> (18 - 6 * at) & 63) as usize);
            out.push(if at > three.len() { '=' } else { char::from(*digit.unwrap_or(&b'=')) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(problems: &[Problem]) -> Vec<String> {
        problems
            .iter()
            .map(|p| {
                format!(
                    "{}{}",
                    p.message,
                    p.suggestion.as_ref().map_or(String::new(), |s| format!(" -> {s}"))
                )
            })
            .collect()
    }

    #[test]
    fn exit_sets_take_numbers_names_and_signals() {
        let table: [(&str, &[&str], &str, &[&str]); 8] = [
            ("numbers", &["143", "0 255"], "0 143 255", &[]),
            ("names and signals", &["TEMPFAIL SIGUSR1 KILL"], "75 SIGKILL SIGUSR1", &[]),
            ("an empty one clears", &["3", "", "5"], "5", &[]),
            ("one past the last", &["256 1"], "1", &["unknown exit status or signal \"256\""]),
            ("a slip", &["TEMPFIAL"], "", &["unknown exit status or signal \"TEMPFIAL\" -> TEMPFAIL"]),
            ("a sign", &["+5"], "", &["unknown exit status or signal \"+5\""]),
            ("a number is a status, never a signal", &["9"], "9", &[]),
            ("a real-time signal", &["RTMIN+3"], "SIGRTMIN+3", &[]),
        ];
        for (why, values, shown, complaints) in table {
            let (mut set, mut problems) = (ExitSet::default(), Vec::new());
            for value in values {
                exits(&mut set, value, &mut problems);
            }
            assert_eq!((show_exits(&set).as_str(), texts(&problems)), (shown, texts_of(complaints)), "{why}");
            let mut again = ExitSet::default();
            exits(&mut again, shown, &mut problems);
            assert_eq!(again, set, "{why}, read back");
        }
    }

    fn texts_of(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn capability_sets_merge_as_systemd_merges_them() {
        let table: [(&str, &[&str], &str, usize); 14] = [
            ("a list", &["CAP_CHOWN CAP_KILL"], "CAP_CHOWN CAP_KILL", 0),
            ("in any case", &["cap_net_raw"], "CAP_NET_RAW", 0),
            ("by number", &["13"], "CAP_NET_RAW", 0),
            ("lists add up", &["CAP_CHOWN", "CAP_KILL"], "CAP_CHOWN CAP_KILL", 0),
            ("all but", &["~CAP_SYS_ADMIN"], "~CAP_SYS_ADMIN", 0),
            ("all but two", &["~CAP_SYS_ADMIN", "~CAP_KILL"], "~CAP_KILL CAP_SYS_ADMIN", 0),
            ("a list after `~` comes back in", &["~CAP_KILL CAP_CHOWN", "CAP_KILL"], "~CAP_CHOWN", 0),
            ("taken from a list", &["CAP_CHOWN CAP_KILL", "~CAP_KILL"], "CAP_CHOWN", 0),
            ("empty is none", &["CAP_CHOWN", ""], "", 0),
            ("and then a list", &["CAP_CHOWN", "", "CAP_KILL"], "CAP_KILL", 0),
            ("a lone `~` is all", &["CAP_CHOWN", "~"], "~", 0),
            ("an unknown name is dropped", &["CAP_CHOWN CAP_MAGIC"], "CAP_CHOWN", 1),
            ("one past the last number", &["64 CAP_KILL"], "CAP_KILL", 1),
            ("a name needs its CAP_", &["CHOWN CAP_KILL"], "CAP_KILL", 1),
        ];
        for (why, values, shown, complaints) in table {
            let mut problems = Vec::new();
            let mask = values.iter().fold(!0, |mask, value| capabilities(mask, !0, value, &mut problems));
            assert_eq!((show_capabilities(mask).as_str(), problems.len()), (shown, complaints), "{why}");
            assert_eq!(capabilities(!0, !0, shown, &mut problems), mask, "{why}, read back");
        }
        let mut problems = Vec::new();
        let ambient = |so_far, text, problems: &mut Vec<_>| capabilities(so_far, 0, text, problems);
        assert_eq!(ambient(1, "CAP_KILL", &mut problems), 1 | 1 << 5);
        assert_eq!(ambient(1, "", &mut problems), 0);
        capabilities(0, 0, "CHOWN CAP_NETADMIN", &mut problems);
        assert_eq!(
            texts(&problems),
            [
                "unknown capability \"CHOWN\" -> CAP_CHOWN",
                "unknown capability \"CAP_NETADMIN\" -> CAP_NET_ADMIN"
            ]
        );
        assert_eq!(capability("CAP_CHECKPOINT_RESTORE"), Some(40));
        for (number, name) in CAPABILITIES.split_ascii_whitespace().enumerate() {
            let known: Result<caps::Capability, _> = format!("CAP_{name}").parse();
            assert_eq!(known.map(|c| usize::from(c.index())).ok(), Some(number), "{name}");
        }
    }

    #[test]
    fn address_families_merge_as_they_were_recorded() {
        let table: [(&str, &[&str], Option<&str>, usize); 9] = [
            ("a list", &["AF_UNIX AF_INET"], Some("AF_UNIX AF_INET"), 0),
            ("all but", &["~AF_INET AF_PACKET"], Some("~AF_INET AF_PACKET"), 0),
            ("lists add up", &["AF_UNIX", "AF_INET6"], Some("AF_UNIX AF_INET6"), 0),
            ("taken from a list", &["AF_UNIX AF_INET AF_INET6", "~AF_INET"], Some("AF_UNIX AF_INET6"), 0),
            ("allowed again", &["~AF_INET AF_PACKET", "AF_INET"], Some("~AF_PACKET"), 0),
            ("none", &["none"], Some("none"), 0),
            ("empty lifts it", &["AF_UNIX", ""], None, 0),
            ("other names", &["AF_LOCAL AF_ROUTE"], Some("AF_UNIX AF_NETLINK"), 0),
            ("unknown ones are dropped", &["AF_UNIX AF_INET7 INET"], Some("AF_UNIX"), 2),
        ];
        for (why, values, shown, complaints) in table {
            let (mut set, mut problems) = (None, Vec::new());
            values.iter().for_each(|value| families(&mut set, value, &mut problems));
            assert_eq!(
                (set.as_ref().map(show_families).as_deref(), problems.len()),
                (shown, complaints),
                "{why}"
            );
            let mut again = None;
            families(&mut again, shown.unwrap_or_default(), &mut problems);
            assert_eq!(again, set, "{why}, read back");
        }
        let numbers =
            [("AF_UNIX", libc::AF_UNIX), ("AF_INET6", libc::AF_INET6), ("AF_PACKET", libc::AF_PACKET)];
        let more = [
            ("AF_ALG", libc::AF_ALG),
            ("AF_VSOCK", libc::AF_VSOCK),
            ("AF_XDP", libc::AF_XDP),
            ("AF_MCTP", 45),
        ];
        for (name, number) in numbers.into_iter().chain(more) {
            assert_eq!(family(name), Some(number), "{name}");
        }
    }

    #[test]
    fn secure_bits_add_up() {
        let (mut bits, mut problems) = (0, Vec::new());
        secure_bits(&mut bits, "noroot noroot-locked", &mut problems);
        assert_eq!((bits, show_secure_bits(bits).as_str()), (3, "noroot noroot-locked"));
        secure_bits(&mut bits, "no-setuid-fixup keepcaps", &mut problems);
        assert_eq!(
            (bits, texts(&problems)),
            (7, vec!["unknown secure bit \"keepcaps\" -> keep-caps".to_owned()])
        );
        secure_bits(&mut bits, "", &mut problems);
        assert_eq!(bits, 0);
    }

    #[test]
    fn call_filters_merge_as_they_were_recorded() {
        let table: [(&str, &[&str], Option<&str>, usize); 14] = [
            ("what is refused", &["~sysinfo uname"], Some("~sysinfo uname"), 0),
            ("what is left", &["read write"], Some("read write"), 0),
            ("lists add up", &["~sysinfo", "~uname"], Some("~sysinfo uname"), 0),
            ("allowed again", &["~uname sysinfo", "uname"], Some("~sysinfo"), 0),
            ("taken from a list", &["read write", "~write"], Some("read"), 0),
            ("empty lifts it", &["~uname", "", "~sysinfo"], Some("~sysinfo"), 0),
            (
                "each with its error",
                &["~sysinfo:EILSEQ uname getcwd:0"],
                Some("~getcwd:0 sysinfo:EILSEQ uname"),
                0,
            ),
            ("or its death", &["~sysinfo:kill"], Some("~sysinfo:kill"), 0),
            ("an unknown call is dropped", &["~no_such_call uname"], Some("~uname"), 1),
            ("an unknown error drops the call", &["~uname:EMAGIC sysinfo"], Some("~sysinfo"), 1),
            ("what is left has no error", &["read:EPERM write"], Some("write"), 1),
            ("a group among what is refused", &["~@clock uname"], Some("~uname"), 1),
            ("a group among what is left lifts the list", &["@system-service read"], Some("~"), 1),
            ("and what is refused still is", &["@system-service", "~uname", "read"], Some("~uname"), 1),
        ];
        for (why, values, shown, complaints) in table {
            let (mut filter, mut problems) = (None, Vec::new());
            values.iter().for_each(|value| call_filter(&mut filter, value, &mut problems));
            let said = filter.as_ref().map(show_call_filter);
            assert_eq!((said.as_deref(), problems.len()), (shown, complaints), "{why}: {problems:?}");
            let mut again = None;
            call_filter(&mut again, shown.unwrap_or_default(), &mut problems);
            assert_eq!(again, filter, "{why}, read back");
        }
        let (mut filter, mut problems) = (None, Vec::new());
        call_filter(&mut filter, "~unmae", &mut problems);
        assert_eq!(texts(&problems), ["unknown system call \"unmae\" -> uname"]);
    }

    #[test]
    fn base64_reads_back() {
        let table: [(&str, &[u8]); 6] = [
            ("", b""),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg==", b"foob"),
            ("+/8A", b"\xfb\xff\x00"),
        ];
        for (text, bytes) in table {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes), "{text}");
            assert_eq!(show_base64(bytes), text);
        }
        assert_eq!(base64(b"Zm 9v\n"), Some(b"foo".to_vec()));
        for text in ["Z", "Zm", "Zm9", "Z===", "====", "Zg==Zg==", "Zm9v!", "=m9v", "Z=9v"] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_errno_reads_back() {
        for (number, name) in named_errors() {
            assert_eq!(error_number(&name), Some(number), "{name}");
            assert_eq!(show_error_number(number), name);
        }
        let table =
            [("EPERM", Some(1)), ("EAGAIN", Some(11)), ("EWOULDBLOCK", Some(11)), ("EHWPOISON", Some(133))];
        let more = [
            ("0", Some(0)),
            ("4095", Some(4095)),
            ("4096", None),
            ("-1", None),
            ("EMAGIC", None),
            ("kill", Some(CallFilter::KILL)),
        ];
        for (word, number) in table.into_iter().chain(more) {
            assert_eq!(error_number(word), number, "{word}");
        }
        assert_eq!(show_error_number(4000), "4000");
    }
}
