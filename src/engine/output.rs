//! Output files: what `reduce` writes, into a draft beside the final name, always flushed to disk before it is described.
//!
//! Contract: `Output` cannot return an error to the app, so the first one is kept here and reported when the attempt ends; the engine asks at
//! every key whether there is one, so that a full disk ends the attempt soon.

use std::cell::RefCell;
use std::path::Path;

use super::draft::{Draft, Flush};
use crate::app::Sink;
use crate::data::{Counters, Failure, FileSum};

/// The output file being written, shared by the [`Sink`] that the app's `Output` holds and the loop that watches over it.
pub(super) struct OutputFile {
    state: RefCell<State>,
}

struct State {
    draft: Draft,
    counters: Counters,
    failure: Option<Failure>,
}

impl OutputFile {
    /// A draft beside `target`.
    pub(super) fn create(target: &Path) -> Result<OutputFile, Failure> {
        let draft = Draft::create(target.parent().unwrap_or(Path::new(".")))?;
        Ok(OutputFile { state: RefCell::new(State { draft, counters: Counters::new(), failure: None }) })
    }

    /// What `Output` writes to.
    pub(super) fn sink(&self) -> FileSink<'_> {
        FileSink { file: self }
    }

    /// The first write error, once.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.state.borrow_mut().failure.take().map_or(Ok(()), Err)
    }

    /// Flushes the file to disk, gives it its name and describes it; with it the app's counters.
    pub(super) fn finish(self, target: &Path) -> Result<(FileSum, Counters), Failure> {
        self.check()?;
        let State { draft, counters, .. } = self.state.into_inner();
        Ok((draft.finish(target, Flush::ToDisk)?, counters))
    }
}

/// The app's way to the file.
pub(super) struct FileSink<'a> {
    file: &'a OutputFile,
}

impl Sink for FileSink<'_> {
    fn take(&mut self, block: &[u8]) {
        let state = &mut *self.file.state.borrow_mut();
        if state.failure.is_none() {
            state.failure = state.draft.write(block).err();
        }
    }

    fn count(&mut self, counter: &str, n: u64) {
        super::counters::add(&mut self.file.state.borrow_mut().counters, counter, n);
    }
}
