//! A list that is mostly empty or of one: what a task has in one directory. A million tasks have five such lists each.

use std::ops::{Deref, DerefMut};

/// Read as a slice.
#[derive(Debug, Clone)]
pub struct Few<T>(Items<T>);

#[derive(Debug, Clone)]
enum Items<T> {
    None,
    One(T),
    #[expect(clippy::box_collection, reason = "the rare case must not make the others larger")]
    Several(Box<Vec<T>>),
}

impl<T> Few<T> {
    /// Adds one at the end.
    pub fn push(&mut self, item: T) {
        self.0 = match std::mem::replace(&mut self.0, Items::None) {
            Items::None => Items::One(item),
            Items::One(first) => Items::Several(Box::new(vec![first, item])),
            Items::Several(mut items) => {
                items.push(item);
                Items::Several(items)
            }
        };
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few(Items::None)
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match &self.0 {
            Items::None => &[],
            Items::One(item) => std::slice::from_ref(item),
            Items::Several(items) => items,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Items::None => &mut [],
            Items::One(item) => std::slice::from_mut(item),
            Items::Several(items) => items,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Few<T> {
        let mut few = Few::default();
        items.into_iter().for_each(|item| few.push(item));
        few
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(items: Vec<T>) -> Few<T> {
        items.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Few<T>) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClaimName;

    #[test]
    fn it_holds_what_was_pushed_in_that_order_and_takes_no_more_than_one_item() {
        for n in 0..6 {
            let mut few: Few<u32> = (0..n).collect();
            assert_eq!(*few, (0..n).collect::<Vec<_>>());
            few.reverse();
            assert_eq!(few, Few::from((0..n).rev().collect::<Vec<_>>()));
        }
        assert_eq!(size_of::<Few<ClaimName>>(), size_of::<ClaimName>());
    }
}
