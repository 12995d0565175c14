//! Memory that the process took and no longer uses. An idle process would keep what its start, or its last burst, took: the
//! allocator looks for free memory only while it works, and the system unmaps a program's pages only when memory is short.

/// Hands free memory back to the system: what this thread's last work left behind, and what every thread has freed.
#[expect(unsafe_code, reason = "a call of the allocator's own")]
pub(crate) fn give_back() {
    // SAFETY: takes and returns no pointer, may be called at any time on any thread, and touches only what is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Unmaps the program's own code and constants, most of which only the start needs. Whatever runs on is mapped again at its next
/// use, out of the page cache.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the linker's symbols, and advice about the memory between them")]
pub(crate) fn unmap_start() {
    use rustix::mm::{Advice, madvise};

    // SAFETY: the linker defines both, for every program; only their addresses are taken.
    unsafe extern "C" {
        #[link_name = "__executable_start"]
        safe static START: u8;
        #[link_name = "etext"]
        safe static END: u8;
    }
    let start = &raw const START;
    let length = (&raw const END).addr() - start.addr();
    // SAFETY: all between the two is mapped from the program's file and never written to, so that a page that is dropped comes
    // back as it was.
    let advised = unsafe { madvise(start.cast_mut().cast(), length, Advice::LinuxDontNeed) };
    if let Err(error) = advised {
        tracing::debug!(%error, "the program's pages stay mapped");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn unmap_start() {}
