//! Wipes what secrets leave behind in this process: freed memory, the stack, and the initial environment.
//!
//! A token is copied in places that no type can track: `std::env`, `serde_json` and `base64` make copies of their own.
//! So every block of memory is wiped when it is freed, whoever owned it, and what is not freed is wiped explicitly.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::{io, ptr};

use nix::libc;
use nix::unistd::{SysconfVar, sysconf};

/// The system's allocator, with every block wiped before it is freed.
pub struct Wiping;

// A fuzz target has an allocator of its own, which counts.
#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

// SAFETY: all blocks are the system allocator's, and each is given back to it whole, with the layout that it was made
// for. The provided `realloc` allocates, copies and frees: realloc(3) would leave the old block as it was.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // The compiler may drop a plain write before free(3). It must keep explicit_bzero(3).
        // SAFETY: the block has this many bytes, and is nobody else's any more.
        unsafe { libc::explicit_bzero(block.cast(), layout.size()) };
        // SAFETY: the caller's promise: this allocator made it, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Memory for the stack of a child that shares ours. It is not wiped when it is freed: that would touch all of it, and
/// the child puts no secret there.
pub struct StackMemory(ptr::NonNull<u8>, Layout);

impl StackMemory {
    /// Allocates at least this many bytes.
    pub fn new(bytes: usize) -> io::Result<StackMemory> {
        let none = || io::Error::from(io::ErrorKind::OutOfMemory);
        let layout = Layout::from_size_align(bytes.max(16).next_multiple_of(16), 16).map_err(|_| none())?;
        // SAFETY: the layout has a size.
        let start = ptr::NonNull::new(unsafe { System.alloc(layout) }).ok_or_else(none)?;
        Ok(StackMemory(start, layout))
    }

    /// Its end, from which a stack grows down, aligned as the ABIs require.
    pub fn end(&mut self) -> *mut u8 {
        // SAFETY: one past the end of the block.
        unsafe { self.0.as_ptr().add(self.1.size()) }
    }
}

impl Drop for StackMemory {
    fn drop(&mut self) {
        // SAFETY: made by `new`, by this allocator and with this layout.
        unsafe { System.dealloc(self.0.as_ptr(), self.1) }
    }
}

/// How far below its used end the stack is wiped. The kernel keeps as much free below it (`stack_guard_gap`), so
/// nothing else can be there.
const STACK_REACH: usize = 1024 * 1024;

/// The size of one step of [`clear`].
const BLOCK: usize = 4096;

/// Wipes what calls that have returned left on the stack of the main thread.
#[inline(never)]
pub fn stack() {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let page = page.unwrap_or(64 * 1024);
    // The pages that this call and madvise(2) stand on are overwritten, and all pages below are given back to the
    // kernel. Pages that were never touched cost nothing.
    clear(3 * page);
    let here = ptr::from_ref(&page).addr();
    let end = (here - page) & !(page - 1);
    let start = ptr::without_provenance_mut(end.saturating_sub(STACK_REACH));
    // The result is ignored: ENOMEM is expected for the part below the stack's mapping.
    // SAFETY: only memory of the stack below every live frame, of which nobody holds a reference, loses its content.
    unsafe { libc::madvise(start, STACK_REACH, libc::MADV_DONTNEED) };
}

/// Overwrites this much of the stack below the caller.
#[inline(never)]
fn clear(bytes: usize) {
    let mut block = MaybeUninit::<[u8; BLOCK]>::uninit();
    if let Some(rest) = bytes.checked_sub(BLOCK) {
        clear(rest);
    }
    // After the deeper call, so that this frame lives until then.
    // SAFETY: the block is ours, and of this size.
    unsafe { libc::explicit_bzero(block.as_mut_ptr().cast(), BLOCK) };
}

unsafe extern "C" {
    static environ: *const *mut libc::c_char;
}

/// Overwrites the values of these variables in the process's initial environment, which is at the end of the stack and
/// is what /proc/PID/environ shows. The variables stay set, and are empty. Values that are needed must have been copied
/// before.
pub fn environment(is_secret: impl Fn(&[u8]) -> bool) {
    // SAFETY: nothing in this process changes `environ`, which is the block that exec made.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: the block ends with a null pointer, and `next` has not gone beyond it.
        let assignment = unsafe { *next };
        if assignment.is_null() {
            return;
        }
        // SAFETY: each is a string that ends with a NUL.
        let text = unsafe { CStr::from_ptr(assignment) }.to_bytes();
        let split = text.iter().position(|byte| *byte == b'=');
        if let Some((name, value)) = split.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)))
            && is_secret(name)
        {
            // The one thread of this process is here, and std gives out copies only, so nobody reads the value
            // meanwhile.
            // SAFETY: the string is writable, as all of the stack is, and `text` is not used any more.
            unsafe { libc::explicit_bzero(assignment.add(name.len() + 1).cast(), value.len()) };
        }
        // SAFETY: another pointer follows one that is not null.
        next = unsafe { next.add(1) };
    }
}
