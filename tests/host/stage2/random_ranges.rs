// SPDX-License-Identifier: BSD-3-Clause
//! Sessions as in `random_session.rs`, of a host that speaks RMI 2.0 and maps memory in ranges of
//! pages and blocks.

use kit::seed;
use kit::stage2::host::Host;
use kit::stage2::model::{ERROR_INPUT, Entry, GRANULE, SUCCESS, error_rtt, size};
use kit::stage2::ranges::{NONE, SINGLE, descriptor};
use rmm::rmi::function;

use crate::random_session::{Counts, Session};

/// Commands in all, and commands before everything is destroyed and new shapes are chosen.
const COMMANDS: usize = 100_000;
const ROUND: usize = 10_000;
/// Normal memory, readable and writable.
const ATTRIBUTES: u64 = 6 << 16 | 3 << 19;

impl Session {
    /// A range from an IPA on, and the level of its blocks.
    fn blocks_at(&mut self, rd: u64) -> ([u64; 2], i64) {
        let (ipa, end) = self.end_of_walk(rd);
        let level = if self.random.u8(..4) == 0 { self.random.i64(0..4) } else { end };
        let level = level.clamp(0, 3);
        let base = self.align(ipa, level);
        let count = self.one_of(&[1, 1, 1, 2, 3, 5]);
        let odd = self.one_of(&[0, 0, 0, 0, 0, 0, 0, GRANULE, 1, !0]);
        ([base, base.wrapping_add(count * size(level)).wrapping_add(odd)], level)
    }

    /// A page.
    fn page_at(&mut self, rd: u64) -> [u64; 2] {
        let base = self.ipa(rd) & !(GRANULE - 1);
        [base, base.wrapping_add(GRANULE)]
    }

    /// Mostly the command for the half of the IPA space of `ipa`, of a pair of commands.
    fn for_half(&mut self, rd: u64, ipa: u64, [protected, unprotected]: [u32; 2]) -> u32 {
        let realm = self.host.model.realms.get(&rd);
        let is_protected = realm.is_none_or(|realm| ipa >> (realm.s2sz - 1) == 0);
        if is_protected != (self.random.u8(..8) == 0) { protected } else { unprotected }
    }

    fn step_2_0(&mut self) {
        let rd = self.rd();
        let noise = self.random.u64(..);
        match self.random.u8(..100) {
            0..16 => {
                let (ipa, end) = self.end_of_walk(rd);
                let level = if self.random.u8(..8) == 0 { self.level() } else { end + 1 };
                let (table, ipa) = (self.delegated(), self.align(ipa, level.saturating_sub(1)));
                self.call(function::RTT_CREATE, [rd, table, ipa, level.cast_unsigned(), noise]);
            }
            16..25 => {
                let (ipa, end) = self.end_of_walk(rd);
                let level = if self.random.bool() { self.level() } else { end };
                let ipa = self.align(ipa, level.saturating_sub(1));
                let function = self.one_of(&[function::RTT_DESTROY, function::RTT_FOLD]);
                self.call(function, [rd, ipa, level.cast_unsigned(), noise, noise]);
            }
            25..32 => {
                let (ipa, level) = (self.ipa(rd), self.level());
                let ipa = self.align(ipa, level);
                self.call(function::RTT_READ_ENTRY, [rd, ipa, level.cast_unsigned(), noise, noise]);
            }
            32..40 => {
                let (data, ipa) = (self.delegated(), self.ipa(rd));
                let source = self.pool[self.random.usize(..8)];
                let flags = self.one_of(&[0, 0, 0, 1, 2, 1 << 63]);
                self.call(function::RTT_DATA_MAP_INIT, [rd, data, ipa, source, flags]);
            }
            40..68 => {
                let ([base, top], level) = self.blocks_at(rd);
                let all = [function::RTT_DATA_MAP, function::RTT_UNPROT_MAP];
                if self.for_half(rd, base, all) == function::RTT_DATA_MAP {
                    return self.data_map(rd, [base, top], level);
                }
                let address = match self.random.u8(..8) {
                    0 => self.random.u64(..) & 0xf_ffff_ffff_f000,
                    _ => self.random.u64(..1 << 47) & !(size(level) - 1),
                };
                let count = self.one_of(&[0, 1, 1, 2, 4]);
                let state = self.one_of(&[0, 1 << 62, 1 << 63]);
                let any = self.random.u64(..1 << 7) << 16;
                let attributes = self.one_of(&[ATTRIBUTES, ATTRIBUTES, 5 << 16, any]);
                let range = descriptor(level, address, count) | state;
                let flags = SINGLE | attributes;
                self.call(function::RTT_UNPROT_MAP, [rd, base, top, flags, range]);
            }
            68..82 => {
                let ([base, top], _) = self.blocks_at(rd);
                let [base, top] = match self.random.u8(..8) {
                    0 => [base, self.ipa(rd)],
                    // Perhaps a part of a block.
                    1 | 2 => self.page_at(rd),
                    _ => [base, top],
                };
                let all = [function::RTT_DATA_UNMAP, function::RTT_UNPROT_UNMAP];
                let function = self.for_half(rd, base, all);
                let flags = self.one_of(&[SINGLE, SINGLE, SINGLE, NONE, NONE, 3]);
                self.call(function, [rd, base, top, flags, noise]);
            }
            82..89 => {
                let (base, top) = self.range(rd);
                self.call(function::RTT_INIT_RIPAS, [rd, base, top, noise, noise]);
            }
            89..98 => self.set_ripas(rd),
            98 => self.delegate_or_undelegate(),
            _ => self.whole_block(),
        }
    }

    /// Maps pages of the pool, mostly adjacent ones.
    fn data_map(&mut self, rd: u64, [base, top]: [u64; 2], level: i64) {
        let level = if self.random.u8(..8) == 0 { level } else { 3 };
        let is_lpa2 = self.host.model.realms.get(&rd).is_some_and(|realm| realm.lpa2);
        let memory = self.delegated() & 0xf_ffff_ffff_f000;
        // The model machine cannot map memory beyond 48 bits.
        let memory = if is_lpa2 && memory == self.host.high { self.pool[9] } else { memory };
        let count = self.one_of(&[0, 1, 1, 1, 2, 4]);
        let state = self.one_of(&[0, 0, 0, 0, 0, 0, 1 << 62, 1 << 63]);
        let flags = self.one_of(&[SINGLE, SINGLE, SINGLE, SINGLE, SINGLE, SINGLE, NONE, 3]);
        let range = descriptor(level, memory, count) | state;
        self.call(function::RTT_DATA_MAP, [rd, base, top, flags, range]);
    }

    /// Maps a whole block if possible, and lets the host work on it.
    fn whole_block(&mut self) {
        if self.random.u8(..4) != 0 {
            return;
        }
        let rd = self.one_of(&self.realms.clone());
        let blocks = self.host.blocks();
        for page in (blocks..blocks + 2 * size(2)).step_by(0x1000) {
            self.host.delegate_if_hosts(page);
        }
        let base = size(2) * self.random.u64(..4);
        self.bring_table(rd, base, 2);
        let memory = blocks + size(2) * self.random.u64(..2);
        let range = descriptor(2, memory, self.random.u64(1..3));
        let map = [rd, base, base + size(2) * self.random.u64(1..3), SINGLE, range];
        self.call(function::RTT_DATA_MAP, map);
        match self.random.u8(..4) {
            0 => {
                let table = self.free_granule();
                self.call(function::RTT_CREATE, [rd, table, base, 3, 0]);
                if self.random.bool() {
                    self.call(function::RTT_FOLD, [rd, base, 3, 0, 0]);
                }
            }
            1 => {
                self.call(function::RTT_DATA_UNMAP, [rd, base, base + 2 * size(2), SINGLE, 0]);
            }
            2 => {
                // A part of the block.
                let page = base + GRANULE * self.random.u64(..2);
                self.call(function::RTT_DATA_UNMAP, [rd, page, page + GRANULE, SINGLE, 0]);
            }
            _ => {}
        }
    }

    /// As [`clear`](Self::clear), by ranges.
    pub fn clear_2_0(&mut self, rd: u64) {
        let half = 1_u64 << (self.host.model.realms[&rd].s2sz - 1);
        self.host.interrupt(false);
        for (function, at, top) in
            [(function::RTT_DATA_UNMAP, 0, half), (function::RTT_UNPROT_UNMAP, half, 2 * half)]
        {
            // To the end. The model agrees.
            let answer = self.host.call(function, [rd, at, top, NONE, 0]);
            assert_eq!(answer, SUCCESS, "holes are passed over");
        }
        let realm = &self.host.model.realms[&rd];
        let mut tables: Vec<(i64, u64)> = realm.table_granules.keys().copied().collect();
        // The finest level first.
        tables.sort_unstable_by_key(|(level, ipa)| (-level, *ipa));
        for (level, ipa) in tables {
            let gone = self.call(function::RTT_DESTROY, [rd, ipa, level.cast_unsigned(), 0, 0]);
            assert_eq!(gone, SUCCESS, "the table is empty");
        }
        let realm = &self.host.model.realms[&rd];
        let is_empty = |entry: &Entry| !entry.is_live();
        assert!(
            realm.tables.values().flat_map(|table| table.iter()).all(is_empty),
            "nothing is mapped"
        );
    }
}

#[test]
fn random_ranges_of_tables_do_what_the_model_does() {
    let mut random = seed::generator("ranges on tables");
    let mut counts = Counts::default();
    while counts.commands < seed::cases(COMMANDS) {
        let mut session = Session::new(Host::boot_2_0(), random.fork(), 0);
        while session.counts.commands < ROUND {
            session.step_2_0();
        }
        session.take_down();
        counts.add(session.counts);
    }
    for ((function, answer), count) in &counts.seen {
        println!("{function:#x} was answered with {answer:#x} {count} times");
    }
    assert!(counts.folded > 0 && counts.unfolded > 0, "no block was ever folded, or unfolded");
    for function in [
        function::RTT_DATA_MAP,
        function::RTT_DATA_UNMAP,
        function::RTT_UNPROT_MAP,
        function::RTT_UNPROT_UNMAP,
        function::RTT_INIT_RIPAS,
        function::RTT_SET_RIPAS,
    ] {
        for answer in [SUCCESS, ERROR_INPUT, error_rtt(2)] {
            let is_seen = counts.seen.contains_key(&(function, answer));
            assert!(is_seen, "{function:#x} is never answered with {answer:#x}");
        }
    }
}
