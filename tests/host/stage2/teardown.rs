// SPDX-License-Identifier: BSD-3-Clause
//! The end of a session: every Realm is emptied and destroyed, and every granule is undelegated.

use rmm::granule::State;
use rmm::rmi::function;

use kit::stage2::host::HIGH;
use kit::stage2::model::{Entry, SUCCESS, size};

use crate::random_session::Session;

impl Session {
    /// Destroys everything, guided only by the RMM's answers. Every granule is the host's again,
    /// wiped.
    pub fn take_down(&mut self) {
        let realms: Vec<u64> = self.host.model.realms.keys().copied().collect();
        for rd in &realms {
            self.clear(*rd);
        }
        let recs: Vec<u64> = self.host.model.recs.keys().copied().collect();
        for rec in recs {
            self.host.destroy_rec(rec);
        }
        for rd in realms {
            if self.host.is_shared(rd) {
                self.host.leave(rd);
            } else {
                assert!(self.host.destroy_realm(rd), "nothing of the Realm is left");
            }
        }
        let delegated: Vec<u64> = self
            .host
            .model
            .granules
            .iter()
            .filter(|(_, state)| **state == State::Delegated)
            .map(|(address, _)| *address)
            .collect();
        for address in delegated.into_iter().filter(|address| *address < HIGH.0) {
            self.host.undelegate(address);
        }
        let others = |(address, state): (&u64, &State)| *state != State::Ns && *address < HIGH.0;
        assert!(!self.host.model.granules.iter().any(others), "every granule is the host's again");
        self.host.check_everything();
    }

    /// Empties the host's part of a Realm's tables, and destroys all tables except the root tables.
    pub fn clear(&mut self, rd: u64) {
        if self.host.model.is_2_0 {
            return self.clear_2_0(rd);
        }
        let part = self.host.part(rd);
        let mut ipa = part.protected.start;
        while part.protected.contains(&ipa) {
            let (level, entry) = self.host.model.realms[&rd].leaf(ipa);
            match entry {
                Entry::Assigned(..) if level < 3 => {
                    // A block is unfolded, since memory is unmapped page by page.
                    let (table, base) = (self.free_granule(), ipa & !(size(level) - 1));
                    self.call(
                        function::RTT_CREATE,
                        [rd, table, base, (level + 1).cast_unsigned(), 0],
                    );
                }
                Entry::Assigned(..) => {
                    self.call(function::DATA_DESTROY, [rd, ipa, 0, 0, 0]);
                }
                _ => {
                    // Skips entries that are not live, as the RMM's answer says.
                    let base = ipa & !(size(level) - 1);
                    let answer = self.host.raw_call(function::DATA_DESTROY, &[rd, base]);
                    ipa = answer[2].max(base + size(level));
                }
            }
        }
        let mut ipa = part.unprotected.start;
        while part.unprotected.contains(&ipa) {
            let (level, entry) = self.host.model.realms[&rd].leaf(ipa);
            let base = ipa & !(size(level) - 1);
            let arguments = [rd, base, level.cast_unsigned(), 0, 0];
            match entry {
                Entry::AssignedNs(_) => {
                    self.call(function::RTT_UNMAP_UNPROTECTED, arguments);
                }
                _ if level < 1 => ipa = base + size(level),
                _ => {
                    let answer =
                        self.host.raw_call(function::RTT_UNMAP_UNPROTECTED, &arguments[..3]);
                    ipa = answer[1].max(base + size(level));
                }
            }
        }
        let tables = self.host.model.realms[&rd].table_granules.keys();
        let mut tables: Vec<(i64, u64)> =
            tables.copied().filter(|(_, ipa)| part.contains(*ipa)).collect();
        // The finest level first.
        tables.sort_unstable_by_key(|(level, ipa)| (-level, *ipa));
        for (level, ipa) in tables {
            let gone = self.call(function::RTT_DESTROY, [rd, ipa, level.cast_unsigned(), 0, 0]);
            assert_eq!(gone, SUCCESS, "the table is empty");
        }
    }
}
