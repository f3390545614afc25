//! Several sorted streams as one: a tree of losers, after Knuth (vol. 3, 5.4.1). One comparison per level and pair, and no allocation.
//!
//! Contract: pairs come out in the order of their keys; equal keys in the order of their streams, and within one stream as they lie there. So
//! streams in the order of the map tasks give values in (map task, emission) order. The streams sort themselves; nothing is checked.

use std::cmp::Ordering;

use super::key::Head;

/// One stream of sorted pairs; begins before its first.
pub(super) trait Sorted {
    /// Why it cannot go on.
    type Error;
    /// Goes to the next pair; false behind the last.
    fn advance(&mut self) -> Result<bool, Self::Error>;
    /// The key of the pair at hand.
    fn key(&self) -> &[u8];
    /// True if the key is known to be that of the pair before.
    fn repeats(&self) -> bool;
}

impl Sorted for super::run::Stream {
    type Error = super::run::Trouble;
    #[inline]
    fn advance(&mut self) -> Result<bool, Self::Error> {
        self.advance()
    }
    #[inline]
    fn key(&self) -> &[u8] {
        self.key()
    }
    #[inline]
    fn repeats(&self) -> bool {
        self.repeats()
    }
}

/// Which stream could not go on, and why.
#[derive(Debug)]
pub(super) struct Broken<E> {
    pub(super) stream: usize,
    pub(super) error: E,
}

/// The merge of its streams; stands at the first pair from the beginning.
pub(super) struct Merge<S> {
    streams: Vec<S>,
    /// Of each stream's pair at hand; [`Head::LAST`] behind its last.
    heads: Vec<Head>,
    /// The inner nodes `1..n`: which stream lost there. Leaf `i` is node `n + i`.
    losers: Vec<u32>,
    winner: usize,
}

impl<S: Sorted> Merge<S> {
    /// Merges streams that have not begun.
    pub(super) fn new(mut streams: Vec<S>) -> Result<Merge<S>, Broken<S::Error>> {
        let mut heads = Vec::with_capacity(streams.len());
        for (stream, sorted) in streams.iter_mut().enumerate() {
            let more = sorted.advance().map_err(|error| Broken { stream, error })?;
            heads.push(if more { Head::of(sorted.key()) } else { Head::LAST });
        }
        let losers = vec![0; streams.len()];
        let mut merge = Merge { streams, heads, losers, winner: 0 };
        if !merge.streams.is_empty() {
            merge.winner = merge.play(1);
        }
        Ok(merge)
    }

    /// Plays the whole tree below `node`; returns who won.
    fn play(&mut self, node: usize) -> usize {
        let n = self.streams.len();
        if node >= n {
            return node - n;
        }
        let (left, right) = (self.play(2 * node), self.play(2 * node + 1));
        let (winner, loser) = if self.is_before(left, right) { (left, right) } else { (right, left) };
        self.losers[node] = loser as u32;
        winner
    }

    #[inline]
    fn is_before(&self, a: usize, b: usize) -> bool {
        let order = self.heads[a].order(self.heads[b]).unwrap_or_else(|| self.streams[a].key().cmp(self.streams[b].key()));
        order.then(a.cmp(&b)) == Ordering::Less
    }

    /// The stream whose pair is next; `None` at the end.
    #[inline]
    pub(super) fn head(&self) -> Option<&S> {
        self.streams.get(self.winner).filter(|_| self.heads[self.winner] != Head::LAST)
    }

    /// True if the next pair's key is `key`, whose head is `head`.
    #[inline]
    pub(super) fn is_at(&self, head: Head, key: &[u8]) -> bool {
        match self.streams.get(self.winner) {
            Some(stream) => match self.heads[self.winner].order(head) {
                Some(order) => order == Ordering::Equal,
                None => stream.key() == key,
            },
            None => false,
        }
    }

    /// Goes to the next pair.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<(), Broken<S::Error>> {
        let mut winner = self.winner;
        let stream = &mut self.streams[winner];
        let more = stream.advance().map_err(|error| Broken { stream: winner, error })?;
        if more && stream.repeats() {
            // Who won with this key wins with it again.
            return Ok(());
        }
        self.heads[winner] = if more { Head::of(stream.key()) } else { Head::LAST };
        let mut node = (self.streams.len() + winner) / 2;
        while node > 0 {
            let loser = self.losers[node] as usize;
            if self.is_before(loser, winner) {
                self.losers[node] = winner as u32;
                winner = loser;
            }
            node /= 2;
        }
        self.winner = winner;
        Ok(())
    }

    /// The streams, wherever they stand.
    pub(super) fn streams(&self) -> &[S] {
        &self.streams
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::Random;

    struct List {
        pairs: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
        at: (Vec<u8>, Vec<u8>),
        repeats: bool,
    }

    impl Sorted for List {
        type Error = ();
        fn advance(&mut self) -> Result<bool, ()> {
            let next = self.pairs.next();
            let more = next.is_some();
            let next = next.unwrap_or_default();
            self.repeats = next.0 == self.at.0 && !self.at.1.is_empty();
            self.at = next;
            Ok(more)
        }
        fn key(&self) -> &[u8] {
            &self.at.0
        }
        fn repeats(&self) -> bool {
            self.repeats
        }
    }

    #[test]
    fn a_merge_is_a_stable_sort_of_the_streams_behind_each_other() {
        let mut random = Random(17);
        for round in 0..300 {
            let n_streams = random.below(12);
            let mut all = Vec::new();
            let mut streams = Vec::new();
            for stream in 0..n_streams {
                let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..random.below(30))
                    .map(|n| {
                        let key: Vec<u8> = (0..random.below(20)).map(|_| *random.pick(b"\x00aa\xff")).collect();
                        (key, format!("{stream}.{n}").into_bytes())
                    })
                    .collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                all.extend(pairs.clone());
                streams.push(List { pairs: pairs.into_iter(), at: Default::default(), repeats: false });
            }
            all.sort_by(|a, b| a.0.cmp(&b.0));
            let mut merge = Merge::new(streams).map_err(|_| ()).expect("lists do not break");
            let mut merged = Vec::new();
            while let Some(head) = merge.head() {
                let pair = (head.key().to_vec(), head.at.1.clone());
                assert!(merge.is_at(Head::of(&pair.0), &pair.0) && !merge.is_at(Head::of(b"zzz"), b"zzz"));
                merged.push(pair);
                merge.advance().map_err(|_| ()).expect("lists do not break");
            }
            assert_eq!(merged, all, "round {round}, {n_streams} streams");
            assert_eq!(merge.streams().len() as u64, n_streams);
        }
    }
}
