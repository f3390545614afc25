//! Calls that do not depend on each other, several at once.
//!
//! Problem: over a network every call takes a round trip, and whoever makes one after the other waits most of the time, however idle the server. Workaround:
//! a few threads make them. In which order they are done is nobody's business, and after an error no more are begun: those before and some behind it are done.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Disk;

/// Calls that are under way at once. Of those that change one directory a client's kernel lets one through at a time, so more would gain little.
pub const AT_ONCE: usize = 8;

/// A piece of work, told its number.
pub type Work<'a> = dyn Fn(usize) -> io::Result<()> + Sync + 'a;

/// Which piece of work failed, and how.
pub type Failed = (usize, io::Error);

/// Pieces of work that several threads take from.
pub struct Pile<'a> {
    work: &'a Work<'a>,
    count: usize,
    next: AtomicUsize,
    failed: Mutex<Option<Failed>>,
}

impl<'a> Pile<'a> {
    /// So many, numbered from 0.
    pub fn new(count: usize, work: &'a Work<'a>) -> Pile<'a> {
        Pile { work, count, next: AtomicUsize::new(0), failed: Mutex::default() }
    }

    /// How many besides the caller can be of use.
    pub fn helpers(&self) -> usize {
        AT_ONCE.min(self.count).saturating_sub(1)
    }

    /// Does one after the other until none is left, or one has failed.
    pub fn work_off(&self) {
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.count {
                return;
            }
            if let Err(error) = (self.work)(number) {
                self.next.store(self.count, Relaxed);
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((number, error));
            }
        }
    }

    /// Does it all, one after the other.
    pub fn in_turn(self) -> Result<(), Failed> {
        self.work_off();
        self.ended()
    }

    /// Does it all, on threads of their own and on this one.
    pub fn on_threads(self) -> Result<(), Failed> {
        std::thread::scope(|scope| {
            for _ in 0..self.helpers() {
                // Where no thread can be had, those that there are do it.
                let _ = std::thread::Builder::new().spawn_scoped(scope, || self.work_off());
            }
            self.work_off();
        });
        self.ended()
    }

    /// What came of it, once everybody has returned.
    pub fn ended(self) -> Result<(), Failed> {
        self.failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// What `make` makes of each number below `count`, in their order; see [`Disk::at_once`].
pub fn all<T: Send + Sync>(disk: &dyn Disk, count: usize, make: impl Fn(usize) -> io::Result<T> + Sync) -> Result<Vec<T>, Failed> {
    let made: Vec<OnceLock<T>> = (0..count).map(|_| OnceLock::new()).collect();
    disk.at_once(count, &|number| {
        let value = make(number)?;
        made[number].get_or_init(|| value);
        Ok(())
    })?;
    Ok(made.into_iter().filter_map(OnceLock::into_inner).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn each_piece_is_done_once_and_several_at_the_same_time() {
        let (done, all_here) = (Mutex::new(BTreeSet::new()), Barrier::new(AT_ONCE));
        let work = |number: usize| {
            if number < AT_ONCE {
                all_here.wait(); // Goes on only if so many are under way.
            }
            assert!(done.lock().expect("nobody panicked").insert(number), "{number} twice");
            Ok(())
        };
        Pile::new(100, &work).on_threads().expect("nothing fails");
        assert_eq!(done.into_inner().expect("nobody panicked"), (0..100).collect());
        Pile::new(0, &|_| panic!("there is nothing to do")).on_threads().expect("nothing fails");
    }

    #[test]
    fn after_an_error_no_more_are_begun_and_it_is_told_of_which_it_was() {
        let begun = AtomicUsize::new(0);
        let work = |number: usize| {
            begun.fetch_add(1, Relaxed);
            if number == 3 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        };
        let (number, error) = Pile::new(1000, &work).in_turn().expect_err("one fails");
        assert_eq!((number, error.kind(), begun.into_inner()), (3, io::ErrorKind::StorageFull, 4));
    }
}
