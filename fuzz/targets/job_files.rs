//! Names and small files of a job: task files, `job.json`, the plans, the end.

#![no_main]

#[path = "../../tests/any_bytes/checks.rs"]
#[allow(dead_code, reason = "the other targets call the rest")]
mod checks;

thread_local! {
    static PLACE: tempfile::TempDir = tempfile::tempdir().expect("a temporary folder");
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(name) = std::str::from_utf8(bytes) {
        checks::name(name);
    }
    PLACE.with(|place| checks::job_file(place.path(), bytes));
});
