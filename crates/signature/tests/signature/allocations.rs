//! Verifying a request of normal size allocates nothing.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::fixture::{BODY, NOW_MS, fixtures};
use spillway_signature::Request;

struct Counting;

thread_local! {
    static N_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.set(N_ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn verifying_allocates_nothing() {
    for fixture in fixtures() {
        if fixture.label == "twilio" {
            continue; // Decodes the query's hash and sorts form parameters.
        }
        let [first, second] = &fixture.sender_secrets;
        let verifier = fixture.verifier(&[first, second]);
        let mut headers = http::HeaderMap::new();
        for (name, value) in fixture.sign(second, BODY) {
            let name = http::HeaderName::try_from(name).expect("header name");
            headers.insert(name, value.parse().expect("header value"));
        }
        let path_and_query = &fixture.path_and_query;
        let request = Request { headers: &headers, body: BODY, path_and_query, now_unix_ms: NOW_MS };
        verifier.verify(&request).expect("verified once, so that one-time set-up is done");
        let before = N_ALLOCATIONS.get();
        let result = verifier.verify(&request);
        let n_allocations = N_ALLOCATIONS.get() - before;
        assert!(result.is_ok(), "{}", fixture.label);
        assert_eq!(n_allocations, 0, "{}", fixture.label);
    }
}
