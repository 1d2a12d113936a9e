//! A new process that borrows our memory until it executes its program.
//!
//! No page table is copied, whatever the size of the caller, and what the child writes its parent sees.
//! What that asks of the child stands at [`clone_vfork`].

use nix::errno::Errno;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, PoisonError};

/// Bytes of the child's stack. It is part of `.bss`, so only the pages that a child touches exist.
const STACK_LEN: usize = 256 * 1024;

#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u8; STACK_LEN]>);

// SAFETY: the bytes are used by one child at a time, since `clone_vfork` holds `STACK_TAKEN` for as long
// as its child is on them, and nothing else names the static.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_LEN]));
static STACK_TAKEN: Mutex<()> = Mutex::new(());

/// Runs `child` in a new process that shares our memory, and returns its pid once it has executed a
/// program or ended. The calling thread is suspended meanwhile. If `child` returns, the process ends with
/// that status.
///
/// `child` must not wait for anything, must not allocate (another thread may hold the allocator's lock for
/// as long as it likes), and must leave our memory as it would like to find it. The caller has blocked all
/// signals, or has no handlers: a handler would run in the child, on our memory.
///
/// # Errors
/// `EAGAIN` and `ENOMEM` of clone(2): no process was made.
pub fn clone_vfork(mut child: &mut dyn FnMut() -> u8) -> Result<i32, Errno> {
    let taken = STACK_TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let top = STACK.0.get().cast::<u8>().wrapping_add(STACK_LEN);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let argument = (&raw mut child).cast::<c_void>();
    // SAFETY: `top` is the end of a 16-byte aligned stack that nobody else uses, as the lock is held. With
    // CLONE_VFORK the kernel suspends us until the child has left our memory, so `argument`, which is on our
    // own stack, outlives its use there, and the two never run at once. No flag makes the child touch our
    // thread's state.
    let pid = unsafe { libc::clone(enter, top.cast::<c_void>(), flags, argument) };
    drop(taken);
    Errno::result(pid)
}

/// The child's first function. It never returns, and a panic in it aborts at the `extern "C"` border.
extern "C" fn enter(argument: *mut c_void) -> c_int {
    let argument = argument.cast::<&mut dyn FnMut() -> u8>();
    // SAFETY: `clone_vfork` passes the address of exactly such a reference, which lives until we are gone from its
    // memory, and its owner is suspended, so that this is the only use of it.
    let child = unsafe { &mut *argument };
    let status = child();
    // SAFETY: ends the process with no clean-up: exit handlers and buffers belong to the parent.
    unsafe { libc::_exit(c_int::from(status)) }
}
