//! Where programs lie: looked for once, and not in every folder of `PATH` for every command that is started, which costs a failed `execve` each.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What was found last: most jobs start one program over and over.
#[derive(Debug, Default)]
pub struct Programs {
    last: Option<(OsString, PathBuf)>,
}

impl Programs {
    /// Where the program called `name` lies; `None` where the system has to look: it has a slash, is nowhere, or `PATH` leads to where the command runs.
    pub fn place(&mut self, name: &OsStr) -> Option<&Path> {
        let is_known = self.last.as_ref().is_some_and(|(known, place)| known == name && can_run(place));
        if !is_known {
            let path = std::env::var_os("PATH").unwrap_or_default();
            self.last = search(name, &path).map(|place| (name.to_owned(), place));
        }
        self.last.as_ref().map(|(_, place)| place.as_path())
    }
}

fn search(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    if name.is_empty() || Path::new(name).components().count() != 1 || name.as_encoded_bytes().contains(&b'/') {
        return None;
    }
    let folders = std::env::split_paths(path).take_while(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|place| can_run(place))
}

/// Where the system finds the program called `name` for a command that runs in `dir`, though perhaps not to its liking.
pub(super) fn find(name: &OsStr, dir: &Path) -> Option<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| dir.join(folder).join(name)).find(|place| can_run(place))
}

/// True if `place` is a file that somebody may run.
pub(super) fn can_run(place: &Path) -> bool {
    std::fs::metadata(place).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_can_be_run_is_found_and_found_again_until_it_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |folder: &str| dir.path().join(folder).join("tool");
        for (folder, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o755)] {
            std::fs::create_dir(dir.path().join(folder)).expect("made");
            std::fs::write(place(folder), "").expect("written");
            std::fs::set_permissions(place(folder), std::fs::Permissions::from_mode(mode)).expect("set");
        }
        let path = |folders: &[&str]| std::env::join_paths(folders.iter().map(|folder| dir.path().join(folder))).expect("no colons");
        let tool = OsStr::new("tool");
        assert_eq!(search(tool, &path(&["none", "a", "b", "c"])), Some(place("b")));
        assert_eq!(search(tool, OsStr::new("")), None);
        let mut mixed = OsString::from("here:");
        mixed.push(path(&["b"]));
        assert_eq!(search(tool, &mixed), None, "what is looked for where the command runs is the system's to find");
        for odd in ["", "./tool", "tool/", "/tool", "..", "."] {
            assert_eq!(search(OsStr::new(odd), &path(&["b"])), None, "{odd:?}");
        }
        let mut programs = Programs { last: Some(("tool".into(), place("b"))) };
        assert_eq!(programs.place(tool), Some(&*place("b")));
        std::fs::remove_file(place("b")).expect("removed");
        assert_eq!(programs.place(tool), None, "it is nowhere in the PATH of this process");
        assert!(programs.place(OsStr::new("sh")).is_some_and(Path::is_absolute));
    }
}
