//! What the disk refuses a coordinator: told to whoever runs it, and left in its log, where `status` finds it.
//!
//! A round that has nothing to write succeeds whatever the disk refuses, so trouble is over only when none was met for a while.

use std::time::Duration;

use super::Coordinator;
use super::serve::News;
use crate::error::Error;
use crate::error::said::gist;
use crate::job::log::{TROUBLE, WELL};

/// Longer than anything that a coordinator only writes now and then.
const OVER_AFTER: Duration = Duration::from_secs(5);

/// The trouble that was met last, and when.
#[derive(Default)]
pub(super) struct Trouble(Option<(String, Duration)>);

impl Trouble {
    /// The disk has refused something, which may pass.
    pub(super) fn is_met(&mut self, coordinator: &Coordinator, error: &Error, tell: &mut dyn FnMut(News<'_>)) {
        tell(News::Trouble(error));
        let text = error.to_string();
        let is_news = self.0.as_ref().is_none_or(|(left, _)| *left != gist(&text));
        if is_news {
            coordinator.log.event(TROUBLE, "", &text);
        }
        self.0 = Some((gist(&text).into_owned(), coordinator.disk.now()));
    }

    /// A round went well.
    pub(super) fn may_be_over(&mut self, coordinator: &Coordinator) {
        if self.0.take_if(|(_, met)| coordinator.disk.now().saturating_sub(*met) > OVER_AFTER).is_some() {
            coordinator.log.event(WELL, "", "the disk refuses nothing any more");
        }
    }
}
