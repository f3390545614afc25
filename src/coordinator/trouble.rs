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

/// Another trouble than the one that the log tells is told at most so often: which of many tasks is refused first differs from round to round.
const NEWS_EVERY: Duration = Duration::from_secs(30);

/// The trouble that the log tells.
#[derive(Default)]
pub(super) struct Trouble(Option<Told>);

struct Told {
    gist: String,
    at: Duration,
    /// When any was met last.
    met: Duration,
}

impl Trouble {
    /// The disk has refused something, which may pass.
    pub(super) fn is_met(&mut self, coordinator: &Coordinator, error: &Error, tell: &mut dyn FnMut(News<'_>)) {
        tell(News::Trouble(error));
        let text = error.to_string();
        let now = coordinator.disk.now();
        let is_due = |told: &Told| now.saturating_sub(told.at) >= NEWS_EVERY && told.gist != gist(&text);
        match &mut self.0 {
            Some(told) if !is_due(told) => told.met = now,
            told => {
                coordinator.log.event(TROUBLE, "", &text);
                *told = Some(Told { gist: gist(&text).into_owned(), at: now, met: now });
            }
        }
    }

    /// A round went well.
    pub(super) fn may_be_over(&mut self, coordinator: &Coordinator) {
        if self.0.take_if(|told| coordinator.disk.now().saturating_sub(told.met) > OVER_AFTER).is_some() {
            coordinator.log.event(WELL, "", "the disk refuses nothing any more");
        }
    }
}
