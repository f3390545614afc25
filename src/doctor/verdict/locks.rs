//! Locks: never needed, and worth having.

use super::{Finding, Verdict};
use crate::doctor::facts::{Facts, Locks, Pair};
use crate::doctor::mounts;

pub fn alone(facts: &Facts) -> Finding {
    let at_once = "a death is noticed at once on the coordinator's own machine";
    let measured = match facts.alone.locks {
        Locks::Exclude => "exclude each other on this machine",
        Locks::DoNotExclude => return none("both of two handles were granted the same lock, even on this machine"),
        Locks::Missing => return none("there are none"),
        Locks::Stuck => return none("a lock that was let go stays taken"),
    };
    match (mounts::locks_are_local(&facts.mount), facts.mount.is_network) {
        (Some(option), _) => local(&format!("{measured}; the mount option `{option}` keeps them there"), at_once),
        (None, true) => Finding::new("locks", Verdict::Good, format!("{measured}; a second machine would tell about both"), at_once),
        (None, false) => Finding::new("locks", Verdict::Good, measured, at_once),
    }
}

fn none(measured: &str) -> Finding {
    let relies = "leases only: a death is noticed after 10-13 s (--lease), everywhere; results do not depend on locks";
    Finding::new("locks", Verdict::Slower, measured, relies)
        .advise("locks that work make it quicker: NFS with vers=4.2, or vers=3 without nolock; Lustre with -o flock")
}

fn local(measured: &str, at_once: &str) -> Finding {
    let relies = format!(
        "{at_once}; on other machines by leases only, after 10-13 s (--lease); two coordinators on two machines both lead, which is harmless"
    );
    Finding::new("locks", Verdict::Slower, measured, relies)
        .advise("mount without nolock and local_lock (better vers=4.2), Lustre with flock instead of localflock: then it takes about 4 s")
}

pub fn between(pair: &Pair, here: Locks) -> Finding {
    let at_once = "a death is noticed at once on the coordinator's own machine";
    match pair.locks {
        Locks::Exclude => {
            let who = if pair.same_machine { "two processes of this machine" } else { "the two machines" };
            let relies = format!("{at_once}, on others after two missed beats, about 4 s");
            Finding::new("locks", Verdict::Good, format!("{who} exclude each other, and a lock let go is granted"), relies)
        }
        Locks::DoNotExclude if here == Locks::Exclude => local("local only: both machines held the same lock at once", at_once),
        Locks::DoNotExclude => none("both were granted the same lock"),
        Locks::Stuck => none("a lock that was let go was not granted to the other within 2 s"),
        Locks::Missing => none("there are none between the two, or the server is in its grace period"),
    }
}
