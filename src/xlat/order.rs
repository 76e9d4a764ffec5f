// SPDX-License-Identifier: BSD-3-Clause
//! An order of numbered things, kept as they come and go: a search tree whose links are in an array
//! the caller gives.
//!
//! It knows no keys. Whoever asks says, of a thing in the order, whether it goes before the place
//! that is meant; the answers must be yes up to some place, and no from there on.
//!
//! The tree is a treap: things are in order from left to right, and by rank from the top down.
//! Ranks are a hash of the numbers, so that whatever the order in which things come, the depth is
//! that of a tree built at random, about 2 ln n: a step for each level, and no recursion.

/// The things below one in the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    left: Option<u16>,
    right: Option<u16>,
}

impl Links {
    pub(super) const NONE: Self = Self { left: None, right: None };
}

/// Where a subtree hangs.
#[derive(Clone, Copy)]
enum Place {
    Root,
    Left(u16),
    Right(u16),
}

/// The two things that a place lies between, where there are such.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Neighbors {
    /// The last thing before it.
    pub(super) before: Option<u16>,
    /// The first thing after it.
    pub(super) after: Option<u16>,
}

/// An order of things with numbers below the length of `links`.
#[derive(Debug)]
pub(super) struct Order<'a> {
    links: &'a mut [Links],
    root: Option<u16>,
}

/// What is of higher rank is above. No two numbers have the same: each step can be undone.
const fn rank(number: u16) -> u32 {
    let mut rank = (number as u32 + 1).wrapping_mul(0x9e37_79b1);
    rank ^= rank >> 15;
    rank = rank.wrapping_mul(0x85eb_ca6b);
    rank ^ rank >> 13
}

impl<'a> Order<'a> {
    /// An order of nothing.
    pub(super) fn new(links: &'a mut [Links]) -> Self {
        Self { links, root: None }
    }

    fn get(&self, place: Place) -> Option<u16> {
        match place {
            Place::Root => self.root,
            Place::Left(number) => self.links[usize::from(number)].left,
            Place::Right(number) => self.links[usize::from(number)].right,
        }
    }

    fn set(&mut self, place: Place, below: Option<u16>) {
        match place {
            Place::Root => self.root = below,
            Place::Left(number) => self.links[usize::from(number)].left = below,
            Place::Right(number) => self.links[usize::from(number)].right = below,
        }
    }

    /// What the place after all that `goes_before` lies between.
    pub(super) fn around(&self, goes_before: impl Fn(u16) -> bool) -> Neighbors {
        let mut found = Neighbors { before: None, after: None };
        let mut next = self.root;
        while let Some(number) = next {
            let Links { left, right } = self.links[usize::from(number)];
            if goes_before(number) {
                found.before = Some(number);
                next = right;
            } else {
                found.after = Some(number);
                next = left;
            }
        }
        found
    }

    /// Puts `number`, which is not in the order, after all that `goes_before`.
    pub(super) fn insert(&mut self, number: u16, goes_before: impl Fn(u16) -> bool) {
        let mut place = Place::Root;
        let mut rest = self.root;
        while let Some(above) = rest.filter(|&above| rank(above) > rank(number)) {
            place = if goes_before(above) { Place::Right(above) } else { Place::Left(above) };
            rest = self.get(place);
        }
        self.set(place, Some(number));
        // What was there is parted into what goes before, and what after.
        let (mut left, mut right) = (Place::Left(number), Place::Right(number));
        while let Some(below) = rest {
            if goes_before(below) {
                self.set(left, rest);
                left = Place::Right(below);
                rest = self.get(left);
            } else {
                self.set(right, rest);
                right = Place::Left(below);
                rest = self.get(right);
            }
        }
        self.set(left, None);
        self.set(right, None);
    }

    /// Takes `number`, which is in the order after all that `goes_before`, out of it.
    pub(super) fn remove(&mut self, number: u16, goes_before: impl Fn(u16) -> bool) {
        let mut place = Place::Root;
        while let Some(above) = self.get(place).filter(|&above| above != number) {
            place = if goes_before(above) { Place::Right(above) } else { Place::Left(above) };
        }
        // What was below is joined in its place.
        let Links { mut left, mut right } = self.links[usize::from(number)];
        while let (Some(lower), Some(higher)) = (left, right) {
            if rank(lower) > rank(higher) {
                self.set(place, left);
                place = Place::Right(lower);
                left = self.get(place);
            } else {
                self.set(place, right);
                place = Place::Left(higher);
                right = self.get(place);
            }
        }
        self.set(place, left.or(right));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u16 = 2000;

    /// An order of the numbers by `keys`, and what it should hold.
    struct Checked<'a> {
        order: Order<'a>,
        keys: Vec<u64>,
        held: Vec<u16>,
    }

    impl Checked<'_> {
        fn insert(&mut self, number: u16, key: u64) {
            self.keys[usize::from(number)] = key;
            let keys = &self.keys;
            self.order.insert(number, |other| keys[usize::from(other)] < key);
            let place = self.held.partition_point(|&other| keys[usize::from(other)] < key);
            self.held.insert(place, number);
        }

        fn remove(&mut self, place: usize) -> u16 {
            let number = self.held.remove(place);
            let keys = &self.keys;
            self.order.remove(number, |other| keys[usize::from(other)] < keys[usize::from(number)]);
            number
        }

        fn check(&self) {
            let ends =
                std::iter::once(None).chain(self.held.iter().copied().map(Some)).chain([None]);
            let ends: Vec<_> = ends.collect();
            for (pair, goes_before) in ends.windows(2).zip(0..) {
                let before = &self.held[..goes_before];
                let found = self.order.around(|number| before.contains(&number));
                assert_eq!(found, Neighbors { before: pair[0], after: pair[1] });
            }
        }

        /// The depth of the tree, in which what is above has the higher rank.
        fn depth(&self) -> usize {
            let mut deepest = 0;
            let mut rest: Vec<_> = self.order.root.map(|root| (root, 1)).into_iter().collect();
            while let Some((number, depth)) = rest.pop() {
                deepest = deepest.max(depth);
                let Links { left, right } = self.order.links[usize::from(number)];
                for below in [left, right].into_iter().flatten() {
                    assert!(rank(below) < rank(number), "{below} below {number}");
                    rest.push((below, depth + 1));
                }
            }
            deepest
        }
    }

    fn with_order(test: impl FnOnce(Checked<'_>)) {
        // What the links held before does not matter.
        let mut links = vec![Links { left: Some(7), right: Some(9) }; usize::from(MOST)];
        let keys = vec![0; usize::from(MOST)];
        test(Checked { order: Order::new(&mut links), keys, held: Vec::new() });
    }

    #[test]
    fn things_are_found_by_their_place_as_others_come_and_go() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            with_order(|mut checked| {
                let mut free: Vec<u16> = (0..40).collect();
                for step in 0..200 {
                    if free.is_empty() || !checked.held.is_empty() && random.u8(..5) < 2 {
                        let place = random.usize(..checked.held.len());
                        free.push(checked.remove(place));
                    } else {
                        let number = free.swap_remove(random.usize(..free.len()));
                        checked.insert(number, random.u64(..) & !0xff | step);
                    }
                    checked.check();
                    assert!(checked.depth() <= checked.held.len());
                }
            });
        }
    }

    #[test]
    fn the_depth_stays_small_in_whatever_order_things_come() {
        let count = u64::from(MOST);
        // Up, down, alternating ends, strides that leave runs: what an order of insertion can look
        // like.
        let ways: [&dyn Fn(u64) -> u64; 7] = [
            &|n| n,
            &|n| count - n,
            &|n| if n % 2 == 0 { n } else { 2 * count - n },
            &|n| n * 7919 % count,
            &|n| n * 1237 % count,
            &|n| n * 999 % count,
            &|n| n * 0x9e37_79b1 % 0x1_0000_0000,
        ];
        for (way, key) in ways.into_iter().enumerate() {
            with_order(|mut checked| {
                for number in 0..MOST {
                    checked.insert(number, key(number.into()) << 16 | u64::from(number));
                }
                // A tree without slack has a depth of 11; at random, rarely above 30.
                assert!(checked.depth() <= 32, "way {way}: {}", checked.depth());
            });
        }
    }

    #[test]
    fn no_two_ranks_are_equal() {
        let ranks: std::collections::HashSet<_> = (0..u16::MAX).map(rank).collect();
        assert_eq!(ranks.len(), usize::from(u16::MAX));
    }
}
