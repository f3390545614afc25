//! `noop`: reads its lines and emits nothing, so that what is left is the machinery: planning, claiming, reading, committing.

use flockwork::app::{App, AppResult, Emit, Output, Record, Values};

/// Does nothing.
pub struct Noop;

impl App for Noop {
    type Value = [u8];

    fn map(&self, _: Record<'_>, _: &mut impl Emit<[u8]>) -> AppResult {
        Ok(())
    }

    fn reduce(&self, _: &[u8], _: &mut Values<'_, [u8]>, _: &mut Output<'_>) -> AppResult {
        Ok(())
    }
}
