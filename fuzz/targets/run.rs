//! A whole shuffle run, through `verify` and through a reduce: as it is, and with checksums and an index that fit.

#![no_main]

#[path = "../../tests/any_bytes/checks.rs"]
#[allow(dead_code, reason = "the other targets call the rest")]
mod checks;

thread_local! {
    static PLACE: tempfile::TempDir = tempfile::tempdir().expect("a temporary folder");
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    PLACE.with(|place| {
        checks::run(place.path(), bytes);
        checks::run(place.path(), &checks::sealed(bytes));
    });
});
