//! Values by path, kept by directory: what lies in one directory is found, walked and forgotten at once, and short names are compared instead of long paths.

use std::collections::BTreeMap;

use crate::disk::create::dir_and_name;

/// A value for each of some paths. Equal contents are equal, and hash alike, whatever was in it before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ByDir<V>(BTreeMap<String, BTreeMap<String, V>>);

impl<V> ByDir<V> {
    /// The value of a path.
    pub fn get(&self, path: &str) -> Option<&V> {
        let (dir, name) = dir_and_name(path);
        self.get_in(dir, name)
    }

    /// The value of a name in a directory.
    pub fn get_in(&self, dir: &str, name: &str) -> Option<&V> {
        self.0.get(dir)?.get(name)
    }

    /// Gives a path this value; what it had before.
    pub fn insert(&mut self, path: &str, value: V) -> Option<V> {
        let (dir, name) = dir_and_name(path);
        let Some(names) = self.0.get_mut(dir) else {
            self.0.insert(dir.to_owned(), BTreeMap::from([(name.to_owned(), value)]));
            return None;
        };
        match names.get_mut(name) {
            Some(old) => Some(std::mem::replace(old, value)),
            None => names.insert(name.to_owned(), value),
        }
    }

    /// Takes a path's value away.
    pub fn remove(&mut self, path: &str) -> Option<V> {
        let (dir, name) = dir_and_name(path);
        let names = self.0.get_mut(dir)?;
        let old = names.remove(name);
        if names.is_empty() {
            self.0.remove(dir);
        }
        old
    }

    /// The names in a directory, in order, with their values.
    pub fn in_dir(&self, dir: &str) -> impl Iterator<Item = (&String, &V)> {
        self.0.get(dir).into_iter().flatten()
    }

    /// Whether it has anything in a directory.
    pub fn has_any_in(&self, dir: &str) -> bool {
        self.0.contains_key(dir)
    }

    /// Takes away all that is in a directory, but not what is in directories in it.
    pub fn clear_dir(&mut self, dir: &str) {
        self.0.remove(dir);
    }
}

impl<V> Default for ByDir<V> {
    fn default() -> ByDir<V> {
        ByDir(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kept_apart_by_their_directory_and_empty_ones_leave_no_trace() {
        let mut all = ByDir::default();
        for (n, path) in ["a", "d/b", "d/a", "d/e/a", "."].into_iter().enumerate() {
            assert_eq!(all.insert(path, n), None, "{path}");
        }
        assert_eq!(all.insert("d/a", 9), Some(2));
        assert_eq!(
            (all.get("a"), all.get("d/a"), all.get("d/e/a"), all.get("d/e"), all.get("e/a")),
            (Some(&0), Some(&9), Some(&3), None, None)
        );
        let names = |dir: &str| all.in_dir(dir).map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>();
        assert_eq!(
            (names("."), names("d"), names("x")),
            (vec![". 4".to_owned(), "a 0".to_owned()], vec!["a 9".to_owned(), "b 1".to_owned()], vec![])
        );
        all.clear_dir("d");
        assert!(!all.has_any_in("d") && all.has_any_in("d/e"));
        assert_eq!((all.remove("d/e/a"), all.remove("d/e/a"), all.remove("a"), all.remove(".")), (Some(3), None, Some(0), Some(4)));
        assert_eq!(all, ByDir::default());
    }
}
