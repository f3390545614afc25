//! What was said of things that pass by themselves, so that each is said once and not every second.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Said again only after it was not met for so long: one that is met again and again is one trouble, however often things go well in between.
const OVER_AFTER: Duration = Duration::from_secs(60);
/// How a draft's name begins; what follows differs each time.
const DRAFT: &str = ".tmp-";

/// See the file's head.
#[derive(Debug, Default)]
pub struct Said(BTreeMap<String, Instant>);

impl Said {
    /// True if `text`, which is met now, is to be said.
    pub fn is_news(&mut self, text: &str) -> bool {
        self.is_news_at(text, Instant::now())
    }

    fn is_news_at(&mut self, text: &str, now: Instant) -> bool {
        self.0.retain(|_, met| now.saturating_duration_since(*met) <= OVER_AFTER);
        self.0.insert(of_any_task(&gist(text)), now).is_none()
    }
}

/// A text without the numbers of tasks: what one of many is refused, the next one is, too.
fn of_any_task(text: &str) -> String {
    let mut without = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = ["map-", "reduce-"].iter().filter_map(|name| Some(rest.find(name)? + name.len())).min() {
        without.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    without + rest
}

/// A text without what differs each time: the names of drafts.
pub fn gist(text: &str) -> Cow<'_, str> {
    let mut parts = text.split(DRAFT);
    let head = parts.next().unwrap_or_default();
    let mut gist = Cow::Borrowed(head);
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        gist.to_mut().push_str(DRAFT);
        gist.to_mut().push_str(rest);
    }
    gist
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_met_again_and_again_is_said_once_whatever_the_draft_is_called() {
        let (mut said, begun) = (Said::default(), Instant::now());
        let full = |n: u32| format!("cannot create job/phase/end: No space left on device at path \"job/phase/.tmp-x{n}Zq\" (os error 28)");
        assert!(said.is_news_at(&full(1), begun));
        for n in 2..300 {
            assert!(!said.is_news_at(&full(n), begun + Duration::from_secs(n.into())), "met {n} times");
        }
        let issued = |n: u32| format!("cannot issue pending/map-{n:05}.a1: Permission denied");
        let news = (0..100).filter(|n| said.is_news_at(&issued(*n), begun + Duration::from_secs(299)));
        assert_eq!(news.count(), 1, "once, and not for every task");
        assert!(said.is_news_at("another", begun + Duration::from_secs(300)), "another thing is another thing");
        assert!(said.is_news_at(&full(300), begun + Duration::from_secs(400)), "it was over, and is there again");
    }

    #[test]
    fn numbers_of_tasks_are_left_out_of_what_is_said_once() {
        assert_eq!(of_any_task("a map-00001.a1 and reduce-7+3 b"), "a map-.a1 and reduce-+3 b");
        assert_eq!(of_any_task("nothing"), "nothing");
    }

    #[test]
    fn only_names_of_drafts_are_left_out() {
        assert_eq!(gist("cannot open done/.tmp-aB_3-x: full; a/.tmp-9"), "cannot open done/.tmp-: full; a/.tmp-");
        assert_eq!(gist("cannot open map-00001.a1: full"), "cannot open map-00001.a1: full");
    }
}
