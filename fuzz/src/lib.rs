//! What every fuzz target measures beside the oracle of its parser: memory, time and stack.

use std::alloc::{GlobalAlloc, Layout, System};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

pub use libfuzzer_sys;

/// The most memory that one input may take, in bytes, counted from before it is read.
const MEMORY: usize = 64 << 20;
/// What any input may take, and for each byte of it: what takes memory by the square of its input is found with a small
/// one. A question to a store has room for the largest answer from its beginning.
const MEMORY_BASE: usize = 4 << 20;
const MEMORY_PER_BYTE: usize = 1 << 10;
/// The most processor time for one input.
const TIME: Duration = Duration::from_secs(1);

/// Counts what is allocated, so that the limit does not depend on what the fuzzer itself takes.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// What may be live now.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

fn count(size: usize) {
    let live = LIVE.fetch_add(size, Relaxed) + size;
    PEAK.fetch_max(live, Relaxed);
    if live > LIMIT.load(Relaxed) {
        // The message allocates.
        LIMIT.store(usize::MAX, Relaxed);
        eprintln!("memory: the input takes more than {} MiB", MEMORY >> 20);
        std::process::abort();
    }
}

// SAFETY: every call is passed on to the system's allocator with the arguments that it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while the content is copied.
        count(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs an oracle on one input, within the limits.
pub fn examine(oracle: fn(&[u8]), input: &[u8]) {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    LIMIT.store(before + MEMORY, Relaxed);
    let start = processor_time();
    oracle(input);
    let took = processor_time() - start;
    LIMIT.store(usize::MAX, Relaxed);
    let peak = PEAK.load(Relaxed) - before;
    assert!(peak <= MEMORY_BASE + MEMORY_PER_BYTE * input.len(), "memory: {} bytes take {peak}", input.len());
    assert!(took <= TIME, "time: {} bytes take {took:?}", input.len());
}

fn processor_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the clock exists on Linux, and the call fills the structure.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr());
        time.assume_init()
    };
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// A stack for the fuzzer's signal handlers: on an overflow there is no room for them on the one that is full, and no
/// finding would be written.
pub fn prepare() {
    const SIZE: usize = 256 << 10;
    let stack = Box::leak(vec![0_u8; SIZE].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIZE };
    // SAFETY: the memory is never freed.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

/// The fuzz target of an oracle.
#[macro_export]
macro_rules! target {
    ($oracle:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(init: $crate::prepare(), |input: &[u8]| {
            $crate::examine(agent_init::fuzzing::$oracle, input)
        });
    };
}
