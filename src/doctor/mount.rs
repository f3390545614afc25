//! Which mount a path lies on, as `/proc/self/mountinfo` tells it.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::facts::{Mount, Room};
use crate::disk::real;

/// The mount of `dir`; all empty where the kernel does not tell.
pub fn of(dir: &Path) -> Mount {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut mount = find(&String::from_utf8_lossy(&table), &full).unwrap_or_default();
    mount.is_network = real::is_network(&full);
    mount
}

/// How much room this user has at `dir`.
pub fn room(dir: &Path) -> std::io::Result<Room> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(Room {
        bytes_free: stat.f_bavail.saturating_mul(stat.f_frsize),
        bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        files_free: stat.f_favail,
        files: stat.f_files,
    })
}

/// The deepest mount above `path`; of several at one place the last, which hides the others.
fn find(table: &str, path: &Path) -> Option<Mount> {
    let mounts = table.lines().filter_map(parse).filter(|mount| path.starts_with(&mount.point));
    mounts.max_by_key(|mount| Path::new(&mount.point).as_os_str().as_bytes().len())
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/root rw,errors=continue`
fn parse(line: &str) -> Option<Mount> {
    let (own, system) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(4);
    let (point, own_options) = (own.next()?, own.next()?);
    let mut system = system.split(' ');
    let (kind, source, system_options) = (system.next()?, system.next()?, system.next().unwrap_or_default());
    let mut options: Vec<String> = own_options.split(',').map(str::to_owned).collect();
    for option in system_options.split(',').filter(|option| !option.is_empty()) {
        if !options.iter().any(|known| known == option) {
            options.push(option.to_owned());
        }
    }
    Some(Mount { point: unescape(point), kind: kind.to_owned(), source: unescape(source), options, is_network: false })
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    for (escaped, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escaped, character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 22 0:40 / /mnt rw,nosuid shared:1 - tmpfs tmpfs rw
40 31 0:52 / /mnt/my\\040share rw,noatime shared:9 master:2 - nfs4 srv:/export rw,vers=4.2,hard,local_lock=none
41 31 0:53 / /mnt/my\\040share rw,noatime - nfs srv:/other rw,vers=3,soft,nolock
a line that is none of ours
";

    #[test]
    fn the_deepest_and_last_mount_above_the_path_is_found() {
        let mount = find(TABLE, Path::new("/mnt/my share/jobs")).expect("found");
        assert_eq!((mount.kind.as_str(), mount.source.as_str()), ("nfs", "srv:/other"));
        assert_eq!(mount.point, "/mnt/my share");
        assert!(mount.has("soft") && mount.has("noatime") && !mount.has("hard"));
        assert_eq!((mount.value("vers"), mount.value("acdirmax")), (Some("3"), None));
        assert_eq!(find(TABLE, Path::new("/mnt/my shared")).map(|mount| mount.kind), Some("tmpfs".to_owned()), "whole names only");
        assert_eq!(find(TABLE, Path::new("/home")).map(|mount| mount.kind), Some("ext4".to_owned()));
        assert_eq!(find("", Path::new("/")), None);
    }

    #[test]
    fn this_machine_tells_where_a_folder_lies() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(!of(dir.path()).kind.is_empty(), "{:?}", of(dir.path()));
        assert!(room(dir.path()).expect("room").bytes > 0);
    }
}
