//! Who owns a file or folder, and who may write it: facts for [`crate::job::trust`], which decides. And users and groups by name.
//!
//! Modes only: an access list of POSIX shows in the group's bits (as its mask), one of NFSv4 does not show. Names are asked of `/etc/passwd` and `/etc/group`,
//! then of `getent`, which knows what directory services know; it is started with the name as one argument, never by a shell.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A plain file.
    File,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// Owner, group and permissions of one file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// What it is.
    pub kind: Kind,
    /// The user it belongs to.
    pub uid: u32,
    /// The group it belongs to.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
}

/// Looks at `path` itself; a link is not followed.
pub fn of(path: &Path) -> io::Result<Owned> {
    path.symlink_metadata().map(|meta| owned(&meta))
}

/// Looks at what `path` leads to.
pub fn behind(path: &Path) -> io::Result<Owned> {
    path.metadata().map(|meta| owned(&meta))
}

fn owned(meta: &std::fs::Metadata) -> Owned {
    let kind = match meta.file_type() {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_file() => Kind::File,
        kind if kind.is_symlink() => Kind::Link,
        _ => Kind::Special,
    };
    Owned { kind, uid: meta.uid(), gid: meta.gid(), mode: meta.mode() & 0o7777 }
}

/// The number of a user, given by name or number.
pub fn user_number(user: &str) -> Option<u32> {
    user.parse().ok().or_else(|| entry("passwd", user)?.get(2)?.parse().ok())
}

/// The number of a group, given by name or number.
pub fn group_number(group: &str) -> Option<u32> {
    group.parse().ok().or_else(|| entry("group", group)?.get(2)?.parse().ok())
}

/// What the user is called here.
pub fn user_name(uid: u32) -> Option<String> {
    entry("passwd", &uid.to_string())?.into_iter().next()
}

/// What the group is called here.
pub fn group_name(gid: u32) -> Option<String> {
    entry("group", &gid.to_string())?.into_iter().next()
}

/// True if `gid` is the user's own private group: called like the user, and with no other member.
pub fn is_private(uid: u32, gid: u32) -> bool {
    let names = user_name(uid).zip(entry("group", &gid.to_string()));
    names.is_some_and(|(user, group)| is_private_group(&user, &group))
}

/// True if the user is in the group, as far as can be seen here.
pub fn is_member(uid: u32, gid: u32) -> bool {
    let Some(user) = entry("passwd", &uid.to_string()) else { return false };
    let is_first = user.get(3).is_some_and(|first| *first == gid.to_string());
    is_first
        || entry("group", &gid.to_string())
            .is_some_and(|group| members(&group).any(|member| Some(member) == user.first().map(String::as_str)))
}

fn is_private_group(user: &str, group: &[String]) -> bool {
    group.first().is_some_and(|name| name == user) && members(group).all(|member| member == user)
}

fn members(group: &[String]) -> impl Iterator<Item = &str> {
    group.get(3).into_iter().flat_map(|members| members.split(',')).filter(|member| !member.is_empty())
}

/// The entry of a user or group, by name or number.
fn entry(table: &str, key: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/etc/{table}")).unwrap_or_default();
    find(&text, key).or_else(|| {
        if key.is_empty() || key.starts_with('-') {
            return None;
        }
        let asked = Command::new("getent").args([table, key]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        find(&String::from_utf8_lossy(&asked.stdout), key)
    })
}

fn find(text: &str, key: &str) -> Option<Vec<String>> {
    let mut entries = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    entries.find(|entry| entry.len() > 2 && (entry[0] == key || entry[2] == key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Vec<String> {
        line.split(':').map(str::to_owned).collect()
    }

    #[test]
    fn a_private_group_is_called_like_its_user_and_has_nobody_else() {
        for (group, private) in [
            ("ann:x:1001:", true),
            ("ann:x:1001:ann", true),
            ("ann:x:1001:ann,bob", false),
            ("lab:x:100:", false),
            ("lab:x:100:ann", false),
        ] {
            assert_eq!(is_private_group("ann", &fields(group)), private, "{group}");
        }
        assert!(!is_private(u32::MAX - 7, u32::MAX - 7), "a group that nobody knows here may be anybody's elsewhere");
    }

    #[test]
    fn users_and_groups_are_known_by_name_and_by_number() {
        assert_eq!((user_number("root"), group_number("root"), user_number("4711")), (Some(0), Some(0), Some(4711)));
        assert_eq!((user_name(0).as_deref(), group_name(0).as_deref()), (Some("root"), Some("root")));
        assert!(is_member(0, 0) && is_private(0, 0), "root's own group");
        for nobody in ["", "--help", "no such user", "root:x"] {
            assert_eq!(user_number(nobody), None, "{nobody:?}");
        }
    }

    #[test]
    fn a_link_is_seen_as_a_link_and_followed_only_where_that_was_asked() {
        let dir = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).expect("linked");
        assert_eq!(of(&dir.path().join("link")).expect("seen").kind, Kind::Link);
        assert_eq!(behind(&dir.path().join("link")).expect("seen").kind, Kind::Folder);
    }
}
