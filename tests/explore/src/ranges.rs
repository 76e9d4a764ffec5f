// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: memory of a Realm in ranges. What can be called, and what the ABI says of it beside
//! the kit's model.

use kit::stage2::model::{ERROR_INPUT, ERROR_REALM, SUCCESS};
use kit::stage2::ranges::{NONE, SINGLE, descriptor};
use rmm::granule::State;
use rmm::rmi::function;

use crate::configuration::{Configuration, HALF, SIZE1, SIZE2, SPACE};
use crate::letters::{HostPage, Letter};
use crate::machine::{GRANULE, address};
use crate::spec::{PARAMETERS, Spec};
use crate::stateful::{List, RECLAIMED};

/// Descriptors are in a list, which has so many entries; nothing that a command defines.
const LIST: u64 = 2;
const COUNT: u32 = 2;
const UNDEFINED: u64 = 3;
/// Normal memory, Write-Back and Non-cacheable; a type that there is not.
const WRITE_BACK: u64 = 6 << 16;
const NON_CACHEABLE: u64 = 5 << 16;
const NO_TYPE: u64 = 4 << 16;
/// The Realm may read, read and write, or something else.
const READ: u64 = 2 << 19;
const READ_WRITE: u64 = 3 << 19;
const NO_PERMISSION: u64 = 4 << 19;

/// The lists that the host has in its page: of each granule that serves for anything, of one of the
/// Secure world, of none.
pub fn lists(configuration: &Configuration) -> Vec<List> {
    let secure = address(configuration.granules() - 1);
    let granules = (1..=configuration.free).map(address).chain([secure]);
    let mut entries: Vec<Vec<u64>> = granules.map(|one| vec![0, descriptor(3, one, 1)]).collect();
    entries.push(vec![0, 0]);
    List::all(entries)
}

/// RMI_RTT_DATA_MAP_INIT, RMI_RTT_DATA_MAP, RMI_RTT_DATA_UNMAP, RMI_RTT_INIT_RIPAS.
pub fn protected(configuration: &Configuration, any: &[u64]) -> Vec<Letter> {
    let mut letters = Vec::new();
    let page = address(PARAMETERS);
    // The bits in which an address is not aligned are those of a count.
    let granules: Vec<u64> =
        any.iter().copied().filter(|one| one.is_multiple_of(GRANULE)).collect();
    for rd in any {
        for data in any {
            for ipa in [0, HALF, 0x800, SIZE1] {
                letters.push(init(&[*rd, *data, ipa, page, 1]));
            }
            for flags in [0, 2] {
                letters.push(init(&[*rd, *data, 0, page, flags]));
            }
        }
        for source in any {
            letters.push(init(&[*rd, address(1), 0, *source, 0]));
        }
        letters.extend(map(configuration, *rd, &granules));
        letters.extend(unmap(function::RTT_DATA_UNMAP, *rd, 0));
        let ranges = [(0, 2 * GRANULE), (0, GRANULE), (0, SIZE1), (GRANULE, GRANULE)];
        for (base, top) in ranges.into_iter().chain([(HALF, HALF + GRANULE), (1, GRANULE)]) {
            let init = Letter::call(function::RTT_INIT_RIPAS, &[*rd, base, top]);
            letters.extend([init, Letter { interrupt: true, ..init }]);
        }
    }
    letters
}

fn init(arguments: &[u64]) -> Letter {
    Letter { page: HostPage::Data, ..Letter::call(function::RTT_DATA_MAP_INIT, arguments) }
}

fn map(configuration: &Configuration, rd: u64, granules: &[u64]) -> Vec<Letter> {
    let mut letters = Vec::new();
    let mut map = |range: (u64, u64), flags, addresses| {
        let arguments = [rd, range.0, range.1, flags, addresses];
        letters.push(Letter::call(function::RTT_DATA_MAP, &arguments));
    };
    let one = (0, GRANULE);
    for granule in granules {
        for range in [one, (0, 2 * GRANULE), (0, SIZE2)] {
            map(range, SINGLE, descriptor(3, *granule, 1));
        }
        map(one, SINGLE, descriptor(3, *granule, 0));
        // More than the range takes.
        map(one, SINGLE, descriptor(3, *granule, 2));
        map(one, SINGLE, descriptor(3, *granule, 1) | 1 << 62);
        map(one, SINGLE, descriptor(3, *granule, 1) | 1 << 63);
        map((0, SIZE2), SINGLE, descriptor(2, *granule, 1));
        map((0, SIZE1), SINGLE, descriptor(1, *granule, 1));
        map((0, SPACE), SINGLE, descriptor(0, *granule, 1));
    }
    let granule = descriptor(3, address(1), 1);
    for list in &configuration.lists {
        map(one, LIST | 2 << COUNT, list.address());
    }
    map(one, LIST, configuration.lists[0].address());
    map(one, LIST | 2 << COUNT, configuration.lists[0].address() + 4);
    map(one, LIST | 2 << COUNT, address(configuration.granules() - 1));
    map(one, NONE, granule);
    map(one, UNDEFINED, granule);
    for range in [(HALF, HALF + GRANULE), (HALF - GRANULE, HALF + GRANULE), (SIZE1, SIZE2)] {
        map(range, SINGLE, granule);
    }
    for range in [(0x800, 2 * GRANULE), (0, 0x800), (0, 0), (SPACE, SPACE + GRANULE)] {
        map(range, SINGLE, granule);
    }
    letters
}

/// Calls on the half of the IPA space that begins at `half`. Output lists have one entry.
fn unmap(function: u32, rd: u64, half: u64) -> Vec<Letter> {
    let mut letters = Vec::new();
    let told = address(PARAMETERS) + RECLAIMED;
    let pages = |first: u64, end: u64| (half + first * GRANULE, half + end * GRANULE);
    let ranges = [pages(0, 1), pages(0, 2), pages(1, 2), (half, half + HALF)];
    for (base, top) in ranges.into_iter().chain([(half, half + SIZE2), (half, half + SIZE1)]) {
        for (flags, addresses) in [(NONE, 0), (SINGLE, 0), (LIST | 1 << COUNT, told)] {
            let unmap = Letter::call(function, &[rd, base, top, flags, addresses]);
            letters.extend([unmap, Letter { interrupt: true, ..unmap }]);
        }
    }
    let other = HALF - half;
    for (base, top) in [(other, other + GRANULE), (half, half), (half + 1, half + GRANULE + 1)] {
        letters.push(Letter::call(function, &[rd, base, top, SINGLE, 0]));
    }
    letters.push(Letter::call(function, &[rd, half + HALF, half + HALF + GRANULE, SINGLE, 0]));
    for (flags, addresses) in [(UNDEFINED, told), (LIST, told), (LIST | 1 << COUNT, told + 4)] {
        let arguments = [rd, half, half + GRANULE, flags, addresses];
        letters.push(Letter::call(function, &arguments));
    }
    letters
}

/// RMI_RTT_UNPROT_MAP, RMI_RTT_UNPROT_UNMAP.
pub fn unprotected(any: &[u64]) -> Vec<Letter> {
    // Where a host may have memory, aligned as the largest block.
    const MEMORY: u64 = 0x4000_0000;
    let mut letters = Vec::new();
    for rd in any {
        let mut map = |[base, size]: [u64; 2], flags, range| {
            let base = HALF.wrapping_add(base);
            let arguments = [*rd, base, base + size, flags, range];
            letters.push(Letter::call(function::RTT_UNPROT_MAP, &arguments));
        };
        for (level, size) in [(3, GRANULE), (2, SIZE2), (1, SIZE1)] {
            let one = descriptor(level, MEMORY, 1);
            map([0, size], SINGLE | WRITE_BACK | READ_WRITE, one);
            map([0, size], SINGLE | WRITE_BACK | READ_WRITE, one | 1 << 63);
            map([0, size], SINGLE | NON_CACHEABLE | READ, descriptor(level, 2 * MEMORY, 1));
            map([0, size], SINGLE | WRITE_BACK | READ_WRITE, descriptor(level, MEMORY, 0));
            map([0, size], SINGLE | NO_TYPE | READ, one);
            map([0, size], SINGLE | WRITE_BACK | NO_PERMISSION, one);
            map([0, size], NONE | WRITE_BACK | READ, one);
            map([0, size], LIST | WRITE_BACK | READ, one);
            // An unaligned range; one that is too short; one of the other half.
            map([0x800, size], SINGLE | WRITE_BACK | READ, one);
            map([0, size - 0x800], SINGLE | WRITE_BACK | READ, one);
            map([0, size - GRANULE], SINGLE | WRITE_BACK | READ, one);
            map([0_u64.wrapping_sub(size), size], SINGLE | WRITE_BACK | READ, one);
        }
        let pages = SINGLE | WRITE_BACK | READ_WRITE;
        // Two pages; a block whose memory is not aligned.
        map([0, 2 * GRANULE], pages, descriptor(3, MEMORY, 2));
        map([0, 2 * GRANULE], pages, descriptor(3, MEMORY, 1));
        map([0, SIZE2], pages, descriptor(2, MEMORY + GRANULE, 1));
        letters.extend(unmap(function::RTT_UNPROT_UNMAP, *rd, HALF));
    }
    letters
}

/// How many blocks a call names, if no list has them.
fn blocks(letter: &Letter) -> u64 {
    letter.arguments[4] >> 2 & 0x3ff
}

/// Whether it is the plainest of calls that do the same: those that are tried together with calls
/// of another CPU. It has no list. If it unmaps one page, the answer tells which. If it unmapped a
/// range with holes, each of two CPUs might unmap a part.
pub fn is_plain(letter: &Letter) -> bool {
    let [_, base, top, flags, range] = letter.arguments;
    let size = top.wrapping_sub(base);
    let is_single = flags & 3 == SINGLE && range >> 62 == 0;
    match letter.function {
        function::RTT_DATA_MAP => is_single && blocks(letter) == 1 && size == GRANULE,
        function::RTT_UNPROT_MAP => is_single && blocks(letter) > 0,
        function::RTT_DATA_UNMAP | function::RTT_UNPROT_UNMAP => {
            is_single && size == GRANULE || flags & 3 == NONE && size == SIZE2
        }
        _ => true,
    }
}

/// Whether a call maps several blocks, between which the tables are not locked.
pub fn has_steps(letter: &Letter) -> bool {
    letter.function == function::RTT_UNPROT_MAP && blocks(letter) > 1
}

/// Whether a call works on a range of the Realm with this RD, to which it holds a reference.
pub fn works_on(letter: &Letter, rd: u64) -> bool {
    let is_range = matches!(
        letter.function,
        function::RTT_DATA_MAP
            | function::RTT_DATA_UNMAP
            | function::RTT_UNPROT_MAP
            | function::RTT_UNPROT_UNMAP
    );
    is_range && letter.arguments[0] == rd
}

/// The memory that RMI_RTT_DATA_MAP maps first, if no list has it.
pub fn memory(letter: &Letter) -> u64 {
    const BASE: u64 = 0x000f_ffff_ffff_f000;
    letter.arguments[4] & BASE
}

impl Spec {
    /// Whether it is memory that EL3 has given to another world, and the RMM takes for the host's.
    fn is_of_another_world(&self, granule: u64) -> bool {
        self.model.contents.contains_key(&granule) && self.model.state(granule).is_none()
    }

    /// What the commands on tables and memory must answer and do.
    pub fn call_on_memory(&mut self, letter: &Letter, lists: &[List]) -> [u64; 5] {
        let mut arguments = letter.arguments;
        let [rd, _, _, flags, at] = arguments;
        let maps = matches!(letter.function, function::RTT_DATA_MAP | function::RTT_UNPROT_MAP);
        let unmaps =
            matches!(letter.function, function::RTT_DATA_UNMAP | function::RTT_UNPROT_UNMAP);
        if maps && self.zombies.contains(&rd) {
            return [ERROR_REALM, 0, 0, 0, 0];
        }
        let is_list = flags & 3 == LIST;
        let count = flags >> COUNT & 0x3fff;
        if is_list && (maps || unmaps) {
            // As if what the list has were in the argument, or nothing of the kind.
            let list = lists.iter().find(|list| maps && list.address() == at && count != 0);
            let is_told = unmaps && count != 0 && at == address(PARAMETERS) + RECLAIMED;
            let kind = if list.is_some() || is_told { SINGLE } else { UNDEFINED };
            arguments[3] = flags & !3 & !(0x3fff << COUNT) | kind;
            let mut entries = list.into_iter().flat_map(List::words).map(|(_, entry)| entry);
            arguments[4] = entries.find(|entry| *entry != 0).unwrap_or(0);
        }
        let source = arguments[3];
        if letter.function == function::RTT_DATA_MAP_INIT && self.is_of_another_world(source) {
            // Known only when it is read, which is last.
            let mut model = self.model.clone();
            model.granules.insert(source, State::Ns);
            let answer = model.call(letter.function, arguments);
            return if answer[0] == SUCCESS { [ERROR_INPUT, 0, 0, 0, 0] } else { answer };
        }
        let mut answer = self.model.call(letter.function, arguments);
        if unmaps && is_list && answer[0] == SUCCESS {
            // Told in the list.
            self.reclaimed.push(answer[2]);
            answer[3] = u64::from(answer[2] != 0);
            answer[2] = 0;
        }
        answer
    }
}
