// SPDX-License-Identifier: BSD-3-Clause
//! What is explored: how many granules of which kind there are, and what can happen.

use rmm::rmi::{Dialect, function};
use rmm_abi::psci as psci_abi;

use crate::letters::{AUX, Act, HostPage, Letter};
use crate::machine::{BASE, GRANULE, address};
use crate::ranges;
use crate::spec::PARAMETERS;
use crate::state::end;
use crate::stateful::{self, List};

/// A configuration.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Its name.
    pub name: &'static str,
    /// The RMI.
    pub dialect: Dialect,
    /// Granules that serve for anything.
    pub free: usize,
    /// Sets of auxiliary granules of a REC: Delegated from the start.
    pub aux: usize,
    /// Whether all granules are.
    pub delegated: bool,
    /// The VMIDs that Realms ask for.
    pub vmids: Vec<u16>,
    /// Whether states that differ only in which granule serves for what are one.
    pub symmetry: bool,
    /// The IPAs at which what hardware and TLBs make of the tables is compared.
    pub places: Vec<u64>,
    /// Operations that the host has begun at a time, at most (RMI 2.0).
    pub operations: usize,
    /// Lists of granules that the host has in its page (RMI 2.0).
    pub lists: Vec<List>,
    /// What can happen.
    pub letters: Vec<Letter>,
}

/// Kinds of letters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kinds {
    /// RECs are created and destroyed: so many in a Realm.
    pub recs: u64,
    /// RECs run, and do everything that needs no memory.
    pub runs: bool,
    /// Tables in the protected half.
    pub tables: bool,
    /// Pages of protected memory: so many IPAs.
    pub pages: usize,
    /// Mappings and tables in the unprotected half.
    pub unprotected: bool,
    /// INIT_RIPAS; with RECs that run also SET_RIPAS and calls that need memory.
    pub ripas: bool,
    /// All granules are Delegated when the exploration begins, and none goes back.
    pub delegated: bool,
}

/// The size of the IPA space of every Realm, and its half.
pub const SPACE: u64 = 1 << 32;
pub const HALF: u64 = SPACE / 2;
/// What an entry of a table at levels 1 and 2 maps.
pub const SIZE1: u64 = 1 << 30;
pub const SIZE2: u64 = 1 << 21;

impl Configuration {
    /// A configuration of RMI 1.0 with so many granules, sets of auxiliary ones and VMIDs.
    pub fn new(name: &'static str, free: usize, aux: usize, vmids: &[u16], kinds: Kinds) -> Self {
        let mut configuration = Self {
            name,
            dialect: Dialect::V1_0,
            free,
            aux,
            delegated: kinds.delegated,
            vmids: vmids.to_vec(),
            symmetry: true,
            places: places(kinds),
            operations: 1,
            lists: Vec::new(),
            letters: Vec::new(),
        };
        configuration.letters = Alphabet { configuration: &configuration, kinds }.letters();
        configuration
    }

    /// A configuration of RMI 2.0, in which RECs are created and destroyed.
    fn stateful(name: &'static str, free: usize, operations: usize) -> Self {
        let kinds = Kinds::default();
        let mut configuration = Self::new(name, free, 1, &[0, 1], kinds);
        configuration.dialect = Dialect::V2_0;
        configuration.operations = operations;
        configuration.lists = stateful::lists(&configuration);
        let alphabet = Alphabet { configuration: &configuration, kinds };
        let (free, any) = (alphabet.free(), alphabet.any());
        let mut letters = stateful::realms(&configuration, &free, &any);
        letters.extend(stateful::recs(&configuration, &free, &any));
        configuration.letters = letters;
        configuration
    }

    /// A configuration of RMI 2.0, in which memory is mapped in ranges.
    fn ranges(name: &'static str, free: usize, kinds: Kinds) -> Self {
        let mut configuration = Self::new(name, free, 0, &[0, 1, 2], kinds);
        configuration.dialect = Dialect::V2_0;
        configuration.lists = ranges::lists(&configuration);
        let alphabet = Alphabet { configuration: &configuration, kinds };
        let any = alphabet.any();
        let mut letters = stateful::realms(&configuration, &alphabet.free(), &any);
        if kinds.tables {
            letters.extend(alphabet.tables(0));
            letters.extend(ranges::protected(&configuration, &any));
        }
        if kinds.unprotected {
            letters.extend(alphabet.tables(HALF));
            letters.extend(ranges::unprotected(&any));
        }
        configuration.letters = letters;
        configuration
    }

    /// The addresses that a letter names, in order.
    pub fn named(&self, letter: &Letter) -> Vec<u64> {
        let mut named = letter.addresses();
        let list = match letter.function {
            function::OP_MEM_DONATE => letter.arguments[1],
            function::RTT_DATA_MAP => letter.arguments[4],
            _ => return named,
        };
        let lists = self.lists.iter().filter(|one| one.address() == list);
        named.extend(lists.flat_map(|list| &list.granules));
        named
    }

    /// How many granules there are: the host's page, the free ones, the auxiliary ones, one of the
    /// Secure world.
    pub fn granules(&self) -> usize {
        1 + self.free + self.aux * AUX as usize + 1
    }

    /// The granules of the Secure world.
    pub fn secure(&self) -> Vec<usize> {
        vec![self.granules() - 1]
    }

    /// The granules that are Delegated when the exploration begins.
    pub fn delegated_from_the_start(&self) -> std::ops::Range<usize> {
        let first = if self.delegated { 1 } else { 1 + self.free };
        first..self.granules() - 1
    }

    /// The granules that have a purpose of their own, a bit each.
    pub fn fixed(&self) -> u64 {
        (0..self.granules()).filter(|index| !(1..=self.free).contains(index)).map(|i| 1 << i).sum()
    }

    /// The first auxiliary granule, if there are any.
    pub fn first_aux(&self) -> Option<u64> {
        (self.aux > 0).then_some(address(1 + self.free))
    }

    /// What the host calls a granule, or a number.
    pub fn name(&self, value: u64) -> String {
        let Some(index) = crate::machine::index_of(value, self.granules()) else {
            return if (BASE..u64::MAX >> 1).contains(&value) {
                "a granule that there is not".into()
            } else {
                format!("{value:#x}")
            };
        };
        let rest = match value % GRANULE {
            0 => String::new(),
            rest => format!("+{rest:#x}"),
        };
        match index {
            PARAMETERS => format!("page{rest}"),
            _ if index <= self.free => format!("g{index}{rest}"),
            _ if index == self.granules() - 1 => format!("secure{rest}"),
            _ => format!("aux{}{rest}", index - self.free - 1),
        }
    }
}

fn places(kinds: Kinds) -> Vec<u64> {
    let mut places = vec![0, 0x1000, 0x2000, SIZE2, SIZE1];
    if kinds.unprotected {
        places.extend([HALF, HALF + 0x1000, HALF + SIZE2, HALF + SIZE1]);
    }
    places
}

struct Alphabet<'a> {
    configuration: &'a Configuration,
    kinds: Kinds,
}

impl Alphabet<'_> {
    fn free(&self) -> Vec<u64> {
        (1..=self.configuration.free).map(address).collect()
    }

    /// Every granule that can be named, and what is none.
    fn any(&self) -> Vec<u64> {
        let secure = address(self.configuration.granules() - 1);
        let mut any = self.free();
        any.extend([address(PARAMETERS), secure, address(1) + 0x800]);
        any.push(end(self.configuration.granules()));
        any.extend(self.configuration.first_aux());
        any
    }

    fn first_aux(&self, set: usize) -> u64 {
        address(1 + self.configuration.free + set * AUX as usize)
    }

    fn letters(&self) -> Vec<Letter> {
        let mut letters = if self.kinds.delegated { Vec::new() } else { self.granules() };
        letters.extend(self.realms());
        if self.kinds.recs > 0 {
            letters.extend(self.recs());
        }
        if self.kinds.runs {
            letters.extend(self.runs());
        }
        if self.kinds.tables {
            letters.extend(self.tables(0));
        }
        letters.extend(self.memory());
        if self.kinds.unprotected {
            letters.extend(self.tables(HALF));
            letters.extend(self.unprotected());
        }
        if self.kinds.ripas {
            letters.extend(self.ripas());
        }
        letters
    }

    fn granules(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        let aux = self.configuration.first_aux();
        let is_fixed = |granule: &u64| *granule == address(PARAMETERS) || Some(*granule) == aux;
        for granule in self.any().into_iter().filter(|granule| !is_fixed(granule)) {
            for function in [function::GRANULE_DELEGATE, function::GRANULE_UNDELEGATE] {
                let letter = Letter::call(function, &[granule]);
                letters.push(letter);
                letters.push(Letter { refused: true, ..letter });
            }
        }
        letters
    }

    fn realms(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        let parameters = address(PARAMETERS);
        for rd in self.any() {
            for root in self.any() {
                for vmid in &self.configuration.vmids {
                    let create = Letter::call(function::REALM_CREATE, &[rd, parameters]);
                    letters.push(Letter { page: HostPage::Realm(root, *vmid, 1), ..create });
                }
            }
            let illegal = Letter::call(function::REALM_CREATE, &[rd, parameters]);
            let vmid = self.configuration.vmids[0];
            letters.push(Letter { page: HostPage::Realm(address(1), vmid, 2), ..illegal });
            for page in self.any() {
                letters.push(Letter::call(function::REALM_CREATE, &[rd, page]));
            }
            for function in
                [function::REALM_ACTIVATE, function::REALM_DESTROY, function::REC_AUX_COUNT]
            {
                letters.push(Letter::call(function, &[rd]));
            }
        }
        letters
    }

    fn recs(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        let parameters = address(PARAMETERS);
        let first = self.first_aux(0);
        for rd in self.any() {
            for rec in self.any() {
                let create = Letter::call(function::REC_CREATE, &[rd, rec, parameters]);
                for mpidr in 0..self.kinds.recs {
                    for flags in [0, 1] {
                        for set in 0..self.configuration.aux {
                            let first = self.first_aux(set);
                            let page = HostPage::Rec(mpidr, flags, first, AUX);
                            letters.push(Letter { page, ..create });
                        }
                    }
                }
                for page in [
                    HostPage::Rec(0, 1, first, AUX - 1),
                    HostPage::Rec(0, 1, first, 17),
                    HostPage::Rec(1 << 7, 1, first, AUX),
                    // The first auxiliary granule is the last of those that serve for anything.
                    HostPage::Rec(0, 1, first - GRANULE, AUX),
                ] {
                    letters.push(Letter { page, ..create });
                }
                letters.push(Letter::call(function::REC_CREATE, &[rd, rec, address(1)]));
            }
            letters.push(Letter::call(function::REC_DESTROY, &[rd]));
        }
        letters
    }

    /// Everything that the host can do to a REC when it enters it, and that a REC can do.
    fn runs(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        let run = address(PARAMETERS);
        let mut acts = vec![
            Act::Fiq,
            Act::SError,
            Act::Wfi,
            Act::Hvc,
            Act::InterruptController,
            Act::Access(0, false),
            Act::Access(HALF, true),
            Act::Access(HALF, false),
            Act::Access(SPACE, true),
            Act::Fetch(0),
            Act::Fetch(HALF),
            Act::Extend,
            Act::CpuOff,
            Act::Suspend,
            Act::SystemOff,
            Act::NoFunction,
            Act::HostCall(0x100),
            Act::HostCall(HALF),
            Act::Config(0),
        ];
        for target in 0..=self.kinds.recs {
            acts.extend([Act::CpuOn(target, 0x1000), Act::Affinity(target)]);
        }
        acts.push(Act::CpuOn(1, HALF));
        if self.kinds.ripas {
            for (base, top) in RANGES {
                acts.extend((0..4).map(|n| Act::SetRipas([base, top, n & 1, n >> 1])));
                acts.push(Act::GetRipas(base, top));
            }
            acts.push(Act::SetRipas([0, 0x1000, 2, 0]));
            acts.push(Act::SetRipas([HALF, HALF + 0x1000, 1, 0]));
        }
        for rec in self.any() {
            let enter = Letter::call(function::REC_ENTER, &[rec, run]);
            for flags in [0, 1, 2, 3, 16] {
                letters.push(Letter { page: HostPage::Run(flags), ..enter });
            }
            let page = HostPage::Run(0);
            letters.extend(acts.iter().map(|act| Letter { page, act: *act, ..enter }));
            for run in self.any() {
                letters.push(Letter::call(function::REC_ENTER, &[rec, run]));
            }
            for target in self.any() {
                for status in [psci_abi::SUCCESS, psci_abi::DENIED, psci_abi::ALREADY_ON] {
                    let arguments = [rec, target, status];
                    letters.push(Letter::call(function::PSCI_COMPLETE, &arguments));
                }
            }
        }
        letters
    }

    /// Tables from an IPA on, which is the first of a half.
    fn tables(&self, half: u64) -> Vec<Letter> {
        let mut letters = Vec::new();
        let mut places = vec![(half, 2_u64), (half, 3), (half + 0x1000, 3)];
        if half == 0 {
            places.extend([(0, 1), (0, 4), (SPACE, 2), (SIZE2, 3)]);
        }
        for rd in self.any() {
            for (ipa, level) in &places {
                for table in self.any() {
                    let arguments = [rd, table, *ipa, *level];
                    letters.push(Letter::call(function::RTT_CREATE, &arguments));
                }
                let arguments = [rd, *ipa, *level];
                letters.push(Letter::call(function::RTT_DESTROY, &arguments));
                letters.push(Letter::call(function::RTT_FOLD, &arguments));
            }
            let entries = [(half, 1), (half, 2), (half, 3), (half + SIZE2, 3), (half + SIZE1, 2)];
            for (ipa, level) in entries.into_iter().chain([(half + 0x1000, 2), (SPACE, 1)]) {
                letters.push(Letter::call(function::RTT_READ_ENTRY, &[rd, ipa, level]));
            }
        }
        letters
    }

    /// Pages of protected memory.
    fn memory(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        if self.kinds.pages == 0 {
            return letters;
        }
        let mut pages = vec![0, 0x1000];
        pages.truncate(self.kinds.pages);
        pages.extend([HALF, 0x800, SIZE1]);
        let source = address(PARAMETERS);
        for rd in self.any() {
            for ipa in &pages {
                for data in self.any() {
                    let unknown = [rd, data, *ipa];
                    letters.push(Letter::call(function::DATA_CREATE_UNKNOWN, &unknown));
                    let arguments = [rd, data, *ipa, source, 1];
                    letters.push(Letter::call(function::DATA_CREATE, &arguments));
                }
                letters.push(Letter::call(function::DATA_DESTROY, &[rd, *ipa]));
            }
            for data in self.any() {
                letters.push(Letter::call(function::DATA_CREATE, &[rd, data, 0, source, 0]));
                letters.push(Letter::call(function::DATA_CREATE, &[rd, data, 0, source, 2]));
            }
            for source in self.any() {
                let arguments = [rd, address(1), 0, source, 0];
                letters.push(Letter::call(function::DATA_CREATE, &arguments));
            }
        }
        letters
    }

    /// Mappings of the host's memory.
    fn unprotected(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        // Write-back, read and write; and read only.
        let places = [(HALF, 1_u64), (HALF, 2), (HALF, 3), (HALF + 0x1000, 3), (0, 3), (SPACE, 3)];
        for rd in self.any() {
            for (ipa, level) in places {
                for descriptor in [0x4000_0000 | 0xd8, 0x8000_0000 | 0x58, 0x4100_00d8, 1] {
                    let arguments = [rd, ipa, level, descriptor];
                    letters.push(Letter::call(function::RTT_MAP_UNPROTECTED, &arguments));
                }
                letters.push(Letter::call(function::RTT_UNMAP_UNPROTECTED, &[rd, ipa, level]));
            }
        }
        letters
    }

    fn ripas(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        let ranges =
            RANGES.into_iter().chain([(0x1000, 0x1000), (HALF, HALF + 0x1000), (1, 0x1000)]);
        for (base, top) in ranges {
            for rd in self.any() {
                let init = Letter::call(function::RTT_INIT_RIPAS, &[rd, base, top]);
                letters.extend([init, Letter { interrupt: true, ..init }]);
                if !self.kinds.runs {
                    continue;
                }
                for rec in self.any() {
                    let set = Letter::call(function::RTT_SET_RIPAS, &[rd, rec, base, top]);
                    letters.extend([set, Letter { interrupt: true, ..set }]);
                }
            }
        }
        letters
    }
}

/// Ranges whose RIPAS changes: pages, and what an entry of a table above them maps.
const RANGES: [(u64, u64); 3] = [(0, 0x2000), (0, 0x1000), (0, SIZE1)];

/// A Realm with tables, and no more granules than that takes.
pub fn tiny() -> Configuration {
    let kinds = Kinds { tables: true, ..Kinds::default() };
    Configuration::new("tiny", 4, 0, &[1], kinds)
}

/// A Realm with a REC that runs.
pub fn run() -> Configuration {
    let kinds = Kinds { recs: 1, runs: true, delegated: true, ..Kinds::default() };
    Configuration::new("run", 3, 1, &[1], kinds)
}

/// The names of all explorations: configurations, and pairs of calls in one of them with so many
/// switches.
pub fn names() -> Vec<String> {
    let alone = small().into_iter().chain(large()).map(|one| one.name.to_owned());
    let pairs = [
        "tiny/1",
        "tiny/1+",
        "tiny/2",
        "unprotected/1",
        "unprotected/1+",
        "memory/1",
        "realms/1",
        "realms/1+",
        "run/1",
        "run/1+",
        "recs/1",
        "donation/1",
        "donation/1+",
        "ranges/1",
        "sharing/1",
    ];
    alone.chain(pairs.map(str::to_owned)).collect()
}

/// The configuration with this name.
pub fn find(name: &str) -> Option<Configuration> {
    let all = small().into_iter().chain(large()).chain([tiny(), run()]);
    all.into_iter().find(|one| one.name == name)
}

/// The configurations that take long.
pub fn large() -> Vec<Configuration> {
    let all =
        Kinds { recs: 1, runs: true, tables: true, pages: 1, ripas: true, ..Kinds::default() };
    vec![
        Configuration::new("realm", 6, 1, &[1], Kinds { delegated: true, ..all }),
        Configuration::new(
            "two-pages",
            6,
            0,
            &[1],
            Kinds { recs: 0, runs: false, pages: 2, ..all },
        ),
        Configuration::new(
            "halves",
            6,
            0,
            &[1],
            Kinds { recs: 0, runs: false, unprotected: true, ..all },
        ),
        Configuration::new(
            "two-realms",
            6,
            2,
            &[1, 2],
            Kinds { recs: 1, runs: true, ..Kinds::default() },
        ),
        Configuration::new(
            "shared",
            5,
            1,
            &[1],
            Kinds { recs: 1, runs: true, unprotected: true, delegated: true, ..Kinds::default() },
        ),
        Configuration::stateful("operations", 3, 2),
    ]
}

/// The configurations that are explored with every test run.
pub fn small() -> Vec<Configuration> {
    let none = Kinds::default();
    vec![
        Configuration::new("realms", 4, 1, &[1, 2], Kinds { recs: 1, ..none }),
        Configuration::new(
            "memory",
            5,
            0,
            &[1],
            Kinds { tables: true, pages: 1, ripas: true, ..none },
        ),
        Configuration::new("unprotected", 4, 0, &[1], Kinds { unprotected: true, ..none }),
        Configuration::new("recs", 4, 2, &[1], Kinds { recs: 2, runs: true, ..none }),
        Configuration::stateful("donation", 3, 1),
        Configuration::ranges("ranges", 5, Kinds { tables: true, ..none }),
        Configuration::ranges("sharing", 4, Kinds { unprotected: true, ..none }),
    ]
}
