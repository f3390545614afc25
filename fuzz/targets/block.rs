//! One block of a shuffle run: as it is, with a header that fits, and unpacked; beside the plainest reader of the format.

#![no_main]

#[path = "../../tests/any_bytes/checks.rs"]
#[allow(dead_code, reason = "the other targets call the rest")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::block(bytes);
    checks::block_that_fits(bytes, false);
    checks::block_that_fits(bytes, true);
});
