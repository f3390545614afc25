//! What a crew remembers of a job, and when it sends slots there again: pure. No disk, no clock, no process.
//!
//! A job whose slots die is given pauses that grow to a second. One whose slots the disk refuses is tried again by a single slot, soon at first and then every half a minute: that
//! may pass at any time, and then the others follow. One that slots cannot work on is left alone for longer and longer.

use std::time::Duration;

use crate::worker::slot;

/// A slot that lived shorter is followed by a pause of its job,
const LIVED_WELL: Duration = Duration::from_secs(2);
/// from here
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// to here.
pub(super) const LARGEST_PAUSE: Duration = Duration::from_secs(1);
/// A job whose slots the disk refuses is tried again after so long,
const FIRST_REFUSAL: Duration = Duration::from_secs(1);
/// at most after so long, and by then nobody waits for it who would rather leave.
const LARGEST_REFUSAL: Duration = Duration::from_secs(30);
/// A job that slots cannot work on is left alone for so long,
const FIRST_BAR: Duration = Duration::from_secs(30);
/// at most.
const LARGEST_BAR: Duration = Duration::from_secs(600);

/// What is known of a job beside what was asked.
#[derive(Default)]
pub(super) struct Note {
    pub pending: usize,
    pub weighed: Duration,
    pub served: u64,
    pause: Duration,
    not_before: Duration,
    refusal: Duration,
    bar: Duration,
}

/// What became of a job by a slot's end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    GoesOn,
    /// It has ended.
    HasEnded,
    /// It is gone.
    IsGone,
}

impl Note {
    /// A slot that was at the job has ended like this (`None`: killed) after it `lived` for so long.
    pub(super) fn settle(&mut self, status: Option<i32>, was_asked: bool, lived: Duration, now: Duration) -> Fate {
        match status {
            Some(slot::STATUS_ENDED) => return Fate::HasEnded,
            Some(slot::STATUS_VANISHED) => return Fate::IsGone,
            Some(slot::STATUS_CANNOT) => {
                self.bar = (self.bar * 2).clamp(FIRST_BAR, LARGEST_BAR);
                self.not_before = now + self.bar;
            }
            Some(slot::STATUS_REFUSED) => {
                self.refusal = (self.refusal * 2).clamp(FIRST_REFUSAL, LARGEST_REFUSAL);
                self.not_before = now + self.refusal;
            }
            Some(slot::STATUS_LEFT) => {}
            Some(_) | None if was_asked => {}
            Some(_) | None => {
                self.pause = if lived < LIVED_WELL { (self.pause * 2).clamp(FIRST_PAUSE, LARGEST_PAUSE) } else { FIRST_PAUSE };
                self.not_before = now + self.pause;
            }
        }
        Fate::GoesOn
    }

    /// A slot has a task of it.
    pub(super) fn is_worked_on(&mut self) {
        (self.refusal, self.bar) = (Duration::ZERO, Duration::ZERO);
    }

    /// Nothing is known that keeps slots from it.
    pub(super) fn is_well(&self) -> bool {
        self.refusal.is_zero() && self.bar.is_zero()
    }

    /// How many slots may find something to do there now.
    pub(super) fn room(&self, now: Duration) -> usize {
        match self.pending {
            _ if self.not_before > now => 0,
            pending if self.refusal > Duration::ZERO => pending.min(1),
            pending => pending,
        }
    }

    /// It is left alone now, and for so long that nobody waits for it.
    pub(super) fn is_barred(&self, now: Duration) -> bool {
        let is_given_up = self.bar > Duration::ZERO || self.refusal >= LARGEST_REFUSAL;
        is_given_up && self.not_before > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn note() -> Note {
        Note { pending: 9, ..Note::default() }
    }

    /// The slots end with this status, one after the other as soon as one is sent: after which times.
    fn tries(note: &mut Note, status: i32, times: usize) -> Vec<u64> {
        let mut now = Duration::ZERO;
        let mut after = Vec::new();
        for _ in 0..times {
            assert_eq!(note.settle(Some(status), false, Duration::ZERO, now), Fate::GoesOn);
            let next = (1..=700).find(|seconds| note.room(now + SECOND * *seconds) > 0).expect("it is tried again");
            now += SECOND * next;
            after.push(u64::from(next));
        }
        after
    }

    #[test]
    fn a_job_whose_slots_the_disk_refuses_is_tried_again_soon_by_one_slot_and_by_all_once_it_is_worked_on() {
        let mut note = note();
        assert_eq!(tries(&mut note, slot::STATUS_REFUSED, 9), [1, 2, 4, 8, 16, 30, 30, 30, 30]);
        assert_eq!((note.room(SECOND * 1000), note.is_well()), (1, false), "one slot finds out for all");
        note.is_worked_on();
        assert_eq!((note.room(SECOND * 1000), note.is_well()), (9, true));
        assert_eq!(tries(&mut note, slot::STATUS_REFUSED, 2), [1, 2], "and the next trouble is another");
    }

    #[test]
    fn a_job_that_cannot_be_worked_on_is_left_alone_for_longer_and_longer() {
        assert_eq!(tries(&mut note(), slot::STATUS_CANNOT, 6), [30, 60, 120, 240, 480, 600]);
    }

    #[test]
    fn who_would_rather_leave_waits_half_a_minute_for_a_disk_and_for_nothing_else() {
        let mut note = note();
        let mut now = Duration::ZERO;
        while !note.is_barred(now) {
            assert!(now < SECOND * 60, "it is not waited for without end");
            note.settle(Some(slot::STATUS_REFUSED), false, Duration::ZERO, now);
            now = note.not_before - Duration::from_millis(1);
        }
        assert!(now >= SECOND * 30, "{now:?}");
        let mut other = self::note();
        other.settle(Some(slot::STATUS_CANNOT), false, Duration::ZERO, Duration::ZERO);
        assert!(other.is_barred(SECOND));
    }

    #[test]
    fn a_slot_that_died_is_replaced_after_pauses_that_grow_to_a_second_unless_it_was_asked_to_go() {
        let mut note = note();
        for _ in 0..20 {
            note.settle(None, false, Duration::ZERO, Duration::ZERO);
        }
        assert_eq!((note.room(LARGEST_PAUSE - Duration::from_millis(1)), note.room(LARGEST_PAUSE)), (0, 9));
        let mut asked = self::note();
        asked.settle(None, true, Duration::ZERO, Duration::ZERO);
        assert_eq!((asked.room(Duration::ZERO), asked.is_barred(Duration::ZERO)), (9, false));
    }
}
