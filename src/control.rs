//! The one thing a running attempt and its watchers share: go, hold or cancel one way, progress the other.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const GO: u8 = 0;
const HOLD: u8 = 1;
const CANCEL: u8 = 2;

/// Asked by the engine at every record (one relaxed load), set by the heartbeat.
#[derive(Debug, Default)]
pub struct Control {
    word: AtomicU8,
    records: AtomicU64,
    at_disk: AtomicBool,
}

/// The control said that the attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl Control {
    /// Lets the attempt run on, unless it was cancelled.
    pub fn go_on(&self) {
        let _ = self.word.compare_exchange(HOLD, GO, Relaxed, Relaxed);
    }

    /// Stops the attempt at its next record until [`Control::go_on`] or [`Control::cancel`].
    pub fn hold(&self) {
        let _ = self.word.compare_exchange(GO, HOLD, Relaxed, Relaxed);
    }

    /// Ends the attempt at its next record, for good.
    pub fn cancel(&self) {
        self.word.store(CANCEL, Relaxed);
    }

    /// True once cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.word.load(Relaxed) == CANCEL
    }

    /// True while held.
    pub fn is_held(&self) -> bool {
        self.word.load(Relaxed) == HOLD
    }

    /// Counts as progress where there are no records to count: what the attempt waits for is watched, and lives.
    pub fn lives(&self) {
        self.records.store(self.records.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Does what takes as long as the disk takes: no record is begun meanwhile, and that is no stall of the task's.
    pub fn at_disk<T>(&self, work: impl FnOnce() -> T) -> T {
        self.at_disk.store(true, Relaxed);
        let done = work();
        self.at_disk.store(false, Relaxed);
        done
    }

    /// True while the disk is waited for.
    pub fn is_at_disk(&self) -> bool {
        self.at_disk.load(Relaxed)
    }

    /// Counts one more record as begun; waits while held.
    #[inline]
    pub fn step(&self) -> Result<(), Cancelled> {
        self.records.store(self.records.load(Relaxed).wrapping_add(1), Relaxed);
        if self.word.load(Relaxed) == GO { Ok(()) } else { self.wait() }
    }

    /// Records begun so far: progress, for whoever watches for a stall.
    pub fn records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    #[cold]
    fn wait(&self) -> Result<(), Cancelled> {
        loop {
            match self.word.load(Relaxed) {
                GO => return Ok(()),
                CANCEL => return Err(Cancelled),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_attempt_never_goes_on() {
        let control = Control::default();
        assert_eq!(control.step(), Ok(()));
        control.cancel();
        control.go_on();
        assert_eq!((control.step(), control.records()), (Err(Cancelled), 2));
    }

    #[test]
    fn whoever_watches_sees_that_the_disk_is_waited_for() {
        let control = Control::default();
        assert!(control.at_disk(|| control.is_at_disk()) && !control.is_at_disk());
    }

    #[test]
    fn a_held_attempt_waits_and_goes_on() {
        let control = Control::default();
        control.hold();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| control.step());
            std::thread::sleep(Duration::from_millis(30));
            assert!(!waiting.is_finished(), "it waits while held");
            control.go_on();
            assert_eq!(waiting.join().expect("no panic"), Ok(()));
        });
    }
}
