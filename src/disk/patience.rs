//! Calls that may never come back.
//!
//! Problem: while a dead machine holds a delegation on a file, opening or renaming it waits 13-103 s; on a hard mount whose server is gone every
//! call waits for ever. Workaround: the call is made on a helper thread, and its caller waits only as long as it likes; what comes back later can
//! still be asked for.
//!
//! It does *not* end the call: a hanging one keeps its thread (no signal ends it), and a hanging *rename* stops all this machine's listings of that
//! directory, so renames are made patiently elsewhere, not impatiently here. The number of hanging threads is limited by the callers only: hold at
//! most one [`Hanging`] per file, and ask it before calling again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A call that has not come back yet. Dropping it forgets the answer, not the call.
#[must_use = "the call is still under way; ask it again before making another"]
#[derive(Debug)]
pub struct Hanging<T> {
    answer: Receiver<thread::Result<T>>,
}

impl<T> Hanging<T> {
    /// The answer, if it has come by now; never waits. Gives it once. Panics as the call did.
    pub fn try_take(&self) -> Option<T> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer.unwrap_or_else(|panic| resume_unwind(panic))),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }
}

/// Makes `call` on a helper thread and waits for it, `limit` at most. Panics as the call does.
///
/// The usual call costs two thread switches: helpers are kept and used again. Where no thread can be made the call is made here, without a limit.
pub fn within<T: Send + 'static>(limit: Duration, call: impl FnOnce() -> T + Send + 'static) -> Result<T, Hanging<T>> {
    let (answering, answer) = channel();
    let work: Work = Box::new(move |rest: &dyn Fn()| {
        let result = catch_unwind(AssertUnwindSafe(call));
        // The helper is free before its answer is out, so that whoever calls twice in a row needs one helper.
        rest();
        // Nobody may be waiting any more: then the answer is dropped here, which closes a file that was opened too late.
        let _ = answering.send(result);
    });
    hand_out(work);
    match answer.recv_timeout(limit) {
        Ok(result) => Ok(result.unwrap_or_else(|panic| resume_unwind(panic))),
        Err(RecvTimeoutError::Timeout) => Err(Hanging { answer }),
        Err(RecvTimeoutError::Disconnected) => unreachable!("a helper answers or hangs"),
    }
}

type Work = Box<dyn FnOnce(&dyn Fn()) + Send>;

/// Idle helpers kept; more than a few are needed only after many calls hung at once.
const IDLE_MAX: usize = 4;

static IDLE: Mutex<Vec<Sender<Work>>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Sender<Work>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hand_out(mut work: Work) {
    loop {
        let Some(helper) = idle().pop() else { break };
        match helper.send(work) {
            Ok(()) => return,
            // After a fork the list names helpers that are not there.
            Err(unsent) => work = unsent.0,
        }
    }
    let (helper, inbox) = channel::<Work>();
    let own = helper.clone();
    match thread::Builder::new().name("patience".to_owned()).spawn(move || help(&inbox, own)) {
        Ok(_) => {
            if let Err(unsent) = helper.send(work) {
                (unsent.0)(&|| ());
            }
        }
        Err(_) => work(&|| ()),
    }
}

fn help(inbox: &Receiver<Work>, own: Sender<Work>) {
    let kept = std::cell::Cell::new(true);
    while kept.get() {
        let Ok(work) = inbox.recv() else { return };
        work(&|| {
            let mut idle = idle();
            kept.set(idle.len() < IDLE_MAX);
            if kept.get() {
                idle.push(own.clone());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_call_gives_its_answer() {
        assert_eq!(within(Duration::from_secs(60), || 6 * 7).ok(), Some(42));
    }

    #[test]
    fn a_hanging_call_is_left_in_time_and_asked_later() {
        let (go, gate) = channel::<()>();
        let hanging = within(Duration::from_millis(20), move || gate.recv().map(|()| 7)).expect_err("it hangs");
        assert!(hanging.try_take().is_none(), "the caller did not hang with it, and there is no answer yet");
        go.send(()).expect("the call still waits");
        let answer = (0..6000).find_map(|_| {
            thread::sleep(Duration::from_millis(10));
            hanging.try_take()
        });
        assert_eq!(answer, Some(Ok(7)), "the late answer is not lost");
        assert!(hanging.try_take().is_none(), "it is given once");
    }

    #[test]
    fn calls_beside_a_hanging_one_come_back() {
        let (_go, gate) = channel::<()>();
        let _hanging = within(Duration::from_millis(1), move || gate.recv().is_ok()).expect_err("it hangs");
        for n in 0..20 {
            assert_eq!(within(Duration::from_secs(60), move || n).ok(), Some(n));
        }
    }

    #[test]
    fn a_panic_of_the_call_is_a_panic_of_the_caller() {
        let panic = catch_unwind(|| within(Duration::from_secs(60), || -> u8 { resume_unwind(Box::new("mine")) }).is_ok());
        assert_eq!(panic.expect_err("must panic").downcast_ref(), Some(&"mine"));
        assert_eq!(within(Duration::from_secs(60), || 1).ok(), Some(1), "the helper lives on");
    }
}
