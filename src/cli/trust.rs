//! Whom a command that acts on a job trusts beside its own user: `--trust-user` and `--trust-group`. The rule is [`crate::job::trust`].

use crate::disk::owner;
use crate::error::{Error, ErrorKind, Result};
use crate::here;
use crate::job::trust::Trust;

#[derive(clap::Args)]
pub(super) struct TrustArgs {
    /// Trust this user's jobs as one's own; may be given again
    #[arg(long = "trust-user", value_name = "NAME|UID")]
    users: Vec<String>,
    /// Trust this group's jobs, and whatever its members do in them; may be given again
    #[arg(long = "trust-group", value_name = "NAME|GID")]
    groups: Vec<String>,
}

impl TrustArgs {
    /// The same by number; a name that nobody bears here is an error.
    pub fn resolve(&self) -> Result<Trust> {
        let unknown = |kind: &str, name: &str| {
            let error = Error::new(ErrorKind::Usage, format!("there is no {kind} `{name}` on this machine"));
            error.advise("check the spelling, or give the number that `ls -n` shows")
        };
        let user = |name: &String| owner::user_number(name).ok_or_else(|| unknown("user", name));
        let group = |name: &String| owner::group_number(name).ok_or_else(|| unknown("group", name));
        Ok(Trust {
            me: here::uid(),
            users: self.users.iter().map(user).collect::<Result<_>>()?,
            groups: self.groups.iter().map(group).collect::<Result<_>>()?,
        })
    }
}

/// The options that say this to another process of this program.
pub(super) fn words(trust: &Trust) -> Vec<String> {
    let users = trust.users.iter().map(|uid| format!("--trust-user={uid}"));
    users.chain(trust.groups.iter().map(|gid| format!("--trust-group={gid}"))).collect()
}
