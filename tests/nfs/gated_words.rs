//! An app for the tests on real NFS: counts words, but stays in mid-task for as long as a gate is shut.
//!
//! `-o gate=FOLDER`: while the file `map` lies there no map ends, while `reduce` lies there no reduce does. The folder is on no network mount, so
//! a test can hold tasks of several machines and let them go on. Without the option it counts words, and that is what `sequential` does.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use flockwork::app::{App, AppResult, Emit, OptionDoc, Options, Output, Record, Unit, Values};
use flockwork::engine::AppEntry;

/// How often the gate is looked at.
const LOOK: Duration = Duration::from_millis(50);

struct GatedWords {
    gate: Option<PathBuf>,
}

impl GatedWords {
    fn pass(&self, phase: &str) {
        while self.gate.as_ref().is_some_and(|gate| gate.join(phase).is_file()) {
            std::thread::sleep(LOOK);
        }
    }
}

impl App for GatedWords {
    type Value = u64;

    /// A task per file.
    fn unit(&self) -> Unit {
        Unit::Files
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        self.pass("map");
        for word in record.bytes.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
            out.emit(word, &1);
        }
        Ok(())
    }

    fn reduce(&self, word: &[u8], counts: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        self.pass("reduce");
        let mut sum = 0;
        while let Some(n) = counts.next() {
            sum += n;
        }
        out.pair(word, &sum);
        Ok(())
    }
}

const APPS: &[AppEntry] = &[AppEntry {
    name: "gated-words",
    about: "counts words behind a gate",
    options: &[OptionDoc { key: Cow::Borrowed("gate"), about: Cow::Borrowed("a folder; its files `map` and `reduce` hold the tasks") }],
    make: |options: &Options| Ok(Box::new(GatedWords { gate: options.get("gate").map(PathBuf::from) })),
}];

fn main() -> std::process::ExitCode {
    flockwork::main(APPS)
}
