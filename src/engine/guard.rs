//! The wall between the engine and the user's code: a panic or an error in an app fails the attempt, not the worker.
//!
//! An app that panics leaves its own state as it happens to be; the attempt ends there, and its app value with it where the caller makes a
//! new one per attempt. Aborts, exits and stack overflows pass this wall: they are a lost claim.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::app::AppResult;

/// Runs a piece of the app; the text of an `Err` is its error's, or `panicked: ` and the panic's message.
#[inline]
pub(super) fn call(app: impl FnOnce() -> AppResult) -> Result<(), String> {
    // What the app left half done is never looked at again: the attempt's files are dropped on every `Err`.
    match catch_unwind(AssertUnwindSafe(app)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(payload) => Err(panic_text(payload.as_ref())),
    }
}

#[cold]
fn panic_text(payload: &(dyn Any + Send)) -> String {
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match (message, payload.downcast_ref::<Box<dyn std::error::Error + Send + Sync>>()) {
        (Some(message), _) => format!("panicked: {message}"),
        (None, Some(error)) => format!("panicked: {error}"),
        (None, None) => "panicked without a message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_keeps_its_text() {
        assert_eq!(call(|| Err("no such column".into())), Err("no such column".to_owned()));
        assert_eq!(call(|| panic!("plain")), Err("panicked: plain".to_owned()));
        assert_eq!(call(|| panic!("with {}", 3)), Err("panicked: with 3".to_owned()));
        assert_eq!(call(|| std::panic::panic_any(7u8)), Err("panicked without a message".to_owned()));
        let boxed: Box<dyn std::error::Error + Send + Sync> = "an error as payload".into();
        assert_eq!(call(|| std::panic::panic_any(boxed)), Err("panicked: an error as payload".to_owned()));
    }
}
