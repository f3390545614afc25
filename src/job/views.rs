//! The attempts of each map task alone, by its number. Kept in pages that are made when one of their tasks is first tried: of a job in bundles most tasks never are, and a page that
//! is not there costs nothing to look through.

use std::ops::{Index, IndexMut, Range};

use super::snapshot::TaskView;

/// Tasks of a page.
const PAGE: usize = 64;

/// Read like a slice; what was never tried is an empty view.
#[derive(Debug, Clone, Default)]
pub struct Views {
    len: usize,
    /// Of each page its number in the pool, from 1; 0 where it was not made.
    pages: Vec<u32>,
    /// All pages that were made, in one piece: of a million tasks it is given back whole, and leaves no holes behind.
    pool: Vec<TaskView>,
    none: TaskView,
}

impl Views {
    /// Of so many tasks, none of which was tried.
    pub fn new(len: usize) -> Views {
        Views { len, pages: vec![0; len.div_ceil(PAGE)], pool: Vec::new(), none: TaskView::default() }
    }

    /// How many tasks there are, tried or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn page(&self, page: usize) -> Option<&[TaskView]> {
        let at = (*self.pages.get(page)? as usize).checked_sub(1)? * PAGE;
        self.pool.get(at..at + PAGE)
    }

    /// That of one task.
    pub fn get(&self, n: usize) -> Option<&TaskView> {
        (n < self.len).then(|| self.page(n / PAGE).map_or(&self.none, |page| &page[n % PAGE]))
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, n: usize) -> Option<&mut TaskView> {
        let page = self.pages.get_mut(n / PAGE).filter(|_| n < self.len)?;
        if *page == 0 {
            if self.pool.is_empty() {
                // Room for all of them at once: memory that is not written to costs nothing, and growing it would leave holes behind.
                self.pool.reserve_exact(self.len.next_multiple_of(PAGE));
            }
            self.pool.resize(self.pool.len() + PAGE, TaskView::default());
            *page = (self.pool.len() / PAGE) as u32;
        }
        self.pool.get_mut((*page as usize - 1) * PAGE + n % PAGE)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &TaskView> {
        (0..self.len).filter_map(|n| self.get(n))
    }

    /// Those of `tasks` that were tried, in order, each with its number.
    pub fn tried(&self, tasks: Range<u32>) -> impl Iterator<Item = (u32, &TaskView)> {
        let (from, to) = (tasks.start as usize, (tasks.end as usize).min(self.len));
        let pages = (from / PAGE..to.div_ceil(PAGE)).filter_map(|page| Some((page, self.page(page)?)));
        let views = pages.flat_map(|(page, views)| (page * PAGE..).zip(views.iter()));
        views.filter(move |(n, view)| (from..to).contains(n) && view.highest > 0).map(|(n, view)| (n as u32, view))
    }

    /// Those that are there, to be changed.
    pub fn made_mut(&mut self) -> impl Iterator<Item = &mut TaskView> {
        self.pool.iter_mut()
    }
}

impl PartialEq for Views {
    fn eq(&self, other: &Views) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Views {}

impl<'a> IntoIterator for &'a Views {
    type Item = &'a TaskView;
    type IntoIter = Box<dyn Iterator<Item = &'a TaskView> + 'a>;
    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl Index<usize> for Views {
    type Output = TaskView;
    fn index(&self, n: usize) -> &TaskView {
        self.get(n).expect("a task of the job")
    }
}

impl IndexMut<usize> for Views {
    fn index_mut(&mut self, n: usize) -> &mut TaskView {
        self.get_mut(n).expect("a task of the job")
    }
}

impl From<Vec<TaskView>> for Views {
    fn from(views: Vec<TaskView>) -> Views {
        let mut all = Views::new(views.len());
        for (n, view) in views.into_iter().enumerate() {
            all[n] = view;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_tried_is_empty_and_what_was_is_found_in_order() {
        let mut views = Views::new(200);
        for n in [3, 64, 65, 199] {
            views[n].highest = n as u32;
        }
        assert_eq!((views.len(), views.iter().count(), views.get(200)), (200, 200, None));
        assert_eq!(views.iter().map(|view| view.highest).sum::<u32>(), 3 + 64 + 65 + 199);
        let tried = |tasks| views.tried(tasks).map(|(n, view)| (n, view.highest)).collect::<Vec<_>>();
        assert_eq!(tried(0..200), [(3, 3), (64, 64), (65, 65), (199, 199)]);
        assert_eq!(tried(4..65), [(64, 64)]);
        assert_eq!(tried(66..199), []);
        assert_eq!(tried(0..u32::MAX), tried(0..200));
        assert_eq!(views.pool.len(), 3 * PAGE, "no page of what was never tried");
        let mut same = Views::new(200);
        for n in [199, 65, 3, 64] {
            same[n].highest = n as u32;
        }
        assert_eq!(same, views, "whatever came first");
        same[100].highest = 1;
        assert_ne!(same, views);
    }
}
