// SPDX-License-Identifier: BSD-3-Clause
//! The virtual interrupt controller of a REC (RMI 1.0): the host gives list registers with each
//! entry and gets them back with each exit (GICv3 architecture (IHI 0069 H.b) 12.4).

use core::hint::cold_path;

use tock_registers::interfaces::{Readable, Writeable};

use crate::address::native;
use crate::arch::sysreg::el1::*;

/// List registers that the architecture has room for.
pub const MAX_LIST_REGISTERS: usize = 16;
/// Active priority registers of a group, at most.
const MAX_ACTIVE_PRIORITIES: usize = 4;

/// ICH_HCR_EL2.En.
const HCR_EN: u64 = 1 << 0;
/// ICH_HCR_EL2.vSGIEOICount: an EOI of a virtual SGI does not count.
const HCR_VSGI_EOI_COUNT: u64 = 1 << 8;
/// ICH_HCR_EL2.DVIM: the Realm's writes to ICC_DIR_EL1 do not reach the physical interface.
const HCR_DVIM: u64 = 1 << 15;
/// ICH_HCR_EL2.EOIcount.
const HCR_EOI_COUNT: u64 = 0x1f << 27;
/// The bits of ICH_HCR_EL2 that a host may set: UIE, LRENPIE, NPIE, VGrp0EIE, VGrp0DIE, VGrp1EIE,
/// VGrp1DIE, TDIR.
pub const HCR_OF_HOST: u64 = 0x7f << 1 | 1 << 14;

/// Where the virtual interrupts of a REC are kept while it does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GicOwner {
    /// In the REC and the run page. The host sees nothing in the registers of the CPU (RMI 1.0).
    Rmm = 0,
    /// In the registers of the CPU, which the host loads and reads itself (RMI 2.0).
    Host = 1,
}

/// What this CPU implements, from ICH_VTR_EL2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GicFeatures(u64);

impl GicFeatures {
    /// From ICH_VTR_EL2.
    pub const fn new(vtr: u64) -> Self {
        Self(vtr)
    }

    /// Reads the register of this CPU.
    pub fn read() -> Self {
        Self(ICH_VTR_EL2.get())
    }

    /// List registers, 1 to 16.
    pub const fn list_registers(self) -> usize {
        native(self.0 & 0xf) + 1
    }

    /// Bits of a priority.
    const fn priority_bits(self) -> u64 {
        (self.0 >> 29 & 7) + 1
    }

    /// Active priority registers of each group: 1, 2 or 4.
    const fn active_priorities(self) -> usize {
        match (self.0 >> 26 & 7) + 1 {
            7.. => 4,
            6 => 2,
            _ => 1,
        }
    }

    /// The first INTID beyond those that there are.
    const fn intid_end(self) -> u64 {
        if self.0 >> 23 & 7 == 0 { 1 << 16 } else { 1 << 24 }
    }
}

/// Whether there are extended PPIs and SPIs (ICC_CTLR_EL1.ExtRange).
fn has_extended_range() -> bool {
    const EXT_RANGE: u64 = 1 << 19;
    ICC_CTLR_EL1.get() & EXT_RANGE != 0
}

/// A virtual interrupt as a list register holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRegister(pub u64);

impl ListRegister {
    const HW: u64 = 1 << 61;
    /// pINTID, bits 44:32, except bit 41: if HW is 0 that bit is EOI maintenance, which the host
    /// may set.
    const PINTID_REFUSED: u64 = 0x1fff << 32 & !(1 << 41);

    /// Whether it holds no interrupt.
    pub const fn is_inactive(self) -> bool {
        self.0 >> 62 == 0
    }

    /// The virtual INTID.
    pub const fn intid(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    /// Whether an entry may load it: it is inactive, or has no physical interrupt and only fields
    /// that are implemented.
    pub fn is_valid(self, features: GicFeatures) -> bool {
        let priority = self.0 >> 48 & 0xff;
        let intid = self.intid();
        let exists = || match intid {
            0..1020 => true,
            1056..1120 | 4096..5120 => has_extended_range(),
            8192.. => intid < features.intid_end(),
            _ => false,
        };
        self.is_inactive()
            || (self.0 & (Self::HW | Self::PINTID_REFUSED) == 0
                && priority & (0xff >> features.priority_bits()) == 0
                && exists())
    }
}

/// The state of the virtual interrupts of a REC while it does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct GicState {
    /// Where the interrupts are kept. If the host keeps them, only `hcr` of the other fields is
    /// used.
    pub owner: GicOwner,
    /// Whether a list register is not zero. The Realm cannot change a list register that is zero.
    pub is_listed: bool,
    /// ICH_HCR_EL2 at the last exit.
    pub hcr: u64,
    /// ICH_VMCR_EL2.
    pub vmcr: u64,
    /// ICH_MISR_EL2 at the last exit.
    pub misr: u64,
    /// List registers: the host gives them with each entry. Those that are not implemented are 0.
    pub list: [u64; MAX_LIST_REGISTERS],
    /// ICH_AP0R0_EL2 and up.
    active_0: [u64; MAX_ACTIVE_PRIORITIES],
    /// ICH_AP1R0_EL2 and up.
    active_1: [u64; MAX_ACTIVE_PRIORITIES],
}

fn read_register(register: &impl Readable<T = u64>, place: &mut u64) {
    *place = register.get();
}

fn restore_register(register: &impl Writeable<T = u64>, value: &u64) {
    register.set(*value);
}

/// Reads a register and leaves zero.
fn take_register(register: &(impl Readable<T = u64> + Writeable<T = u64>), place: &mut u64) {
    *place = register.get();
    register.set(0);
}

/// Calls a function with each of the first `$count` registers and its word in `$words`. The count
/// in brackets, which CPUs usually have, takes no branch for each register.
macro_rules! implemented {
    ($count:expr, [1]: $words:expr => $act:ident, $first:ident $($register:ident)*) => {{
        let [first, rest @ ..] = $words;
        $act(&$first, first);
        if $count > 1 {
            cold_path();
            implemented!(@each $count - 1, rest => $act, $($register)*);
        }
    }};
    ($count:expr, [4]: $words:expr => $act:ident,
        $first:ident $second:ident $third:ident $fourth:ident $($register:ident)*) => {{
        if $count == 4 {
            let [first, second, third, fourth, ..] = $words;
            $act(&$first, first);
            $act(&$second, second);
            $act(&$third, third);
            $act(&$fourth, fourth);
        } else {
            cold_path();
            implemented!(@each $count, $words => $act,
                $first $second $third $fourth $($register)*);
        }
    }};
    (@each $count:expr, $words:expr => $act:ident, $($register:ident)*) => {{
        let mut words = $words.into_iter().take($count);
        'all: {
            $(let Some(word) = words.next() else { break 'all };
            $act(&$register, word);)*
        }
    }};
}

/// `implemented`, for the list registers.
macro_rules! list_registers {
    ($count:ident: $words:expr => $act:ident) => {
        implemented!($count, [4]: $words => $act,
            ICH_LR0_EL2 ICH_LR1_EL2 ICH_LR2_EL2 ICH_LR3_EL2 ICH_LR4_EL2 ICH_LR5_EL2 ICH_LR6_EL2
            ICH_LR7_EL2 ICH_LR8_EL2 ICH_LR9_EL2 ICH_LR10_EL2 ICH_LR11_EL2 ICH_LR12_EL2
            ICH_LR13_EL2 ICH_LR14_EL2 ICH_LR15_EL2)
    };
}

impl GicState {
    /// Takes over the host's values.
    pub fn accept(&mut self, valid: ValidEntry<'_>, features: GicFeatures, owner: GicOwner) {
        let ValidEntry { entry: [hcr, list @ ..], is_listed } = valid;
        (self.owner, self.is_listed) = (owner, is_listed);
        if owner == GicOwner::Host {
            self.hcr = *hcr;
            return;
        }
        self.hcr = (self.hcr & HCR_EOI_COUNT) | hcr;
        let lists = features.list_registers();
        if lists == USUAL_LISTS {
            // One by one: a copy of all four is a call of `memcpy`.
            let ([a, b, c, d, ..], [e, f, g, h, ..]) = (&mut self.list, list);
            (*a, *b, *c, *d) = (*e, *f, *g, *h);
        } else {
            cold_path();
            for (to, from) in self.list.iter_mut().zip(list).take(lists) {
                *to = *from;
            }
        }
    }

    /// The bits of ICH_HCR_EL2 that the exit record reports.
    pub const fn reported_hcr(&self) -> u64 {
        self.hcr & (HCR_EOI_COUNT | HCR_OF_HOST)
    }

    /// Loads the registers of this CPU.
    pub fn restore(&self, features: GicFeatures) {
        if self.owner == GicOwner::Host {
            ICH_HCR_EL2.set(self.hcr | HCR_DVIM);
            return;
        }
        let (aprs, lists) = (features.active_priorities(), features.list_registers());
        let (active_0, active_1) = (&self.active_0, &self.active_1);
        implemented!(aprs, [1]: active_0 => restore_register,
            ICH_AP0R0_EL2 ICH_AP0R1_EL2 ICH_AP0R2_EL2 ICH_AP0R3_EL2);
        implemented!(aprs, [1]: active_1 => restore_register,
            ICH_AP1R0_EL2 ICH_AP1R1_EL2 ICH_AP1R2_EL2 ICH_AP1R3_EL2);
        list_registers!(lists: &self.list => restore_register);
        ICH_VMCR_EL2.set(self.vmcr);
        let host_bits = self.hcr & (HCR_EOI_COUNT | HCR_OF_HOST);
        ICH_HCR_EL2.set(host_bits | HCR_EN | HCR_VSGI_EOI_COUNT | HCR_DVIM);
    }

    /// Turns the virtual interface off, as an exit does, after an entry that did not run the REC.
    pub fn leave_unrun(&self) {
        if self.owner == GicOwner::Host {
            ICH_HCR_EL2.set(ICH_HCR_EL2.get() & !HCR_EN);
        }
    }

    /// Reads the registers of this CPU and turns the virtual interface off. MISR is read first:
    /// clearing En deasserts a maintenance interrupt. Registers of the REC are zeroed.
    pub fn take(&mut self, features: GicFeatures) {
        if self.owner == GicOwner::Host {
            // The host reads the registers itself, and finds DVIM as it left it.
            let added = HCR_DVIM & !self.hcr;
            ICH_HCR_EL2.set(ICH_HCR_EL2.get() & !(added | HCR_EN));
            return;
        }
        self.vmcr = ICH_VMCR_EL2.get();
        self.misr = ICH_MISR_EL2.get();
        self.hcr = ICH_HCR_EL2.get();
        ICH_HCR_EL2.set(0);
        let (aprs, lists) = (features.active_priorities(), features.list_registers());
        let (active_0, active_1) = (&mut self.active_0, &mut self.active_1);
        implemented!(aprs, [1]: active_0 => take_register,
            ICH_AP0R0_EL2 ICH_AP0R1_EL2 ICH_AP0R2_EL2 ICH_AP0R3_EL2);
        implemented!(aprs, [1]: active_1 => take_register,
            ICH_AP1R0_EL2 ICH_AP1R1_EL2 ICH_AP1R2_EL2 ICH_AP1R3_EL2);
        if self.is_listed {
            list_registers!(lists: &mut self.list => take_register);
        }
    }
}

/// gicv3_hcr and gicv3_lrs of an entry. Elements beyond the implemented list registers are ignored.
pub type GicEntry = [u64; 1 + MAX_LIST_REGISTERS];

/// List registers that CPUs usually have.
pub const USUAL_LISTS: usize = 4;

/// Reads what the host has loaded into the registers of this CPU.
pub fn read_entry([hcr, list @ ..]: &mut GicEntry, features: GicFeatures) {
    *hcr = ICH_HCR_EL2.get();
    let lists = features.list_registers();
    list_registers!(lists: list => read_register);
}

/// A valid entry.
#[derive(Clone, Copy, Debug)]
pub struct ValidEntry<'e> {
    entry: &'e GicEntry,
    is_listed: bool,
}

impl<'e> ValidEntry<'e> {
    /// The entry, if the host may enter a REC with it.
    pub fn new(entry: &'e GicEntry, features: GicFeatures, owner: GicOwner) -> Option<Self> {
        let [hcr, list @ ..] = entry;
        let is_listed = is_listed(list, features);
        // If the host owns the interface it sets the whole register; `restore` only adds to it.
        let is_valid = (owner == GicOwner::Host || hcr & !HCR_OF_HOST == 0)
            && (!is_listed
                || is_valid_list(list.get(..features.list_registers()).unwrap_or(list), features));
        is_valid.then_some(Self { entry, is_listed })
    }
}

/// Whether an implemented list register is not zero.
fn is_listed(list: &[u64; MAX_LIST_REGISTERS], features: GicFeatures) -> bool {
    let lists = features.list_registers();
    if let (USUAL_LISTS, [a, b, c, d, ..]) = (lists, list) {
        return a | b | c | d != 0;
    }
    cold_path();
    list.iter().take(lists).any(|register| *register != 0)
}

/// Whether each list register may be loaded, and no interrupt is in two.
fn is_valid_list(list: &[u64], features: GicFeatures) -> bool {
    let active = || list.iter().map(|word| ListRegister(*word)).filter(|word| !word.is_inactive());
    active().all(|word| word.is_valid(features))
        && active().enumerate().all(|(index, word)| {
            active().skip(index + 1).all(|other| other.intid() != word.intid())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 list registers, 5 bits of priority, 16-bit INTIDs.
    const FEATURES: GicFeatures = GicFeatures::new(3 | 4 << 29);

    #[test]
    fn the_features_are_the_fields_of_the_registers() {
        // As on QEMU: 4 list registers, 5 bits of priority and preemption, 24-bit INTIDs.
        let features = GicFeatures::new(0x9090_0003 | 4 << 26);
        assert_eq!((features.list_registers(), features.priority_bits()), (4, 5));
        assert_eq!((features.active_priorities(), features.intid_end()), (1, 1 << 24));
        let active = |pre: u64| GicFeatures::new((pre - 1) << 26).active_priorities();
        assert_eq!([5, 6, 7].map(active), [1, 2, 4]);
        assert_eq!(GicFeatures::new(0xf).list_registers(), 16);
    }

    #[test]
    fn a_list_register_is_valid_when_every_field_is_the_hosts_to_choose() {
        let valid = |word: u64| ListRegister(word).is_valid(FEATURES);
        // Nothing of an inactive one counts.
        assert!(valid(0) && valid(u64::MAX >> 2));
        for state in 1..4_u64 {
            let state = state << 62;
            assert!(valid(state | 32) && valid(state | 1 << 60 | 1 << 41 | 0xa8 << 48 | 1019));
            assert!(!valid(state | 1 << 61 | 32), "a physical interrupt");
            for bit in (32..45).filter(|bit| *bit != 41) {
                assert!(!valid(state | 1 << bit | 32), "pINTID bit {bit}");
            }
            for bit in 48..51 {
                assert!(!valid(state | 1 << bit | 32), "priority bit {bit}");
            }
            for bit in 51..56 {
                assert!(valid(state | 1 << bit | 32), "priority bit {bit}");
            }
            for (intid, expected) in [
                (0, true),
                (1019, true),
                (1020, false),
                (1056, false),
                (4096, false),
                (8191, false),
                (8192, true),
                (65535, true),
                (65536, false),
                (u64::from(u32::MAX), false),
            ] {
                assert_eq!(valid(state | intid), expected, "{intid}");
            }
        }
        crate::host::preset_register("ICC_CTLR_EL1", 1 << 19);
        for (intid, expected) in
            [(1055, false), (1056, true), (1119, true), (1120, false), (4096, true), (5120, false)]
        {
            assert_eq!(ListRegister(1 << 62 | intid).is_valid(FEATURES), expected, "{intid}");
        }
    }

    fn state(hcr: u64) -> GicState {
        let (list, active_0) = ([0; MAX_LIST_REGISTERS], [0; MAX_ACTIVE_PRIORITIES]);
        GicState {
            owner: GicOwner::Rmm,
            is_listed: true,
            hcr,
            vmcr: 0,
            misr: 0,
            list,
            active_0,
            active_1: active_0,
        }
    }

    #[test]
    fn an_entry_is_valid_when_no_interrupt_is_listed_twice_and_hcr_is_the_hosts() {
        let mut entry = [0; 1 + MAX_LIST_REGISTERS];
        for bit in 0..64 {
            entry[0] = 1 << bit;
            let valid = (1..8).contains(&bit) || bit == 14;
            assert_eq!(ValidEntry::new(&entry, FEATURES, GicOwner::Rmm).is_some(), valid, "{bit}");
        }
        entry[0] = HCR_OF_HOST;
        assert!(ValidEntry::new(&entry, FEATURES, GicOwner::Rmm).is_some());
        entry[1] = 1 << 62 | 40;
        entry[4] = 2 << 62 | 40;
        assert!(ValidEntry::new(&entry, FEATURES, GicOwner::Rmm).is_none());
        entry[4] = 40;
        assert!(
            ValidEntry::new(&entry, FEATURES, GicOwner::Rmm).is_some(),
            "an inactive one is none"
        );
        entry[4] = 2 << 62 | 41;
        // Beyond those implemented nothing is looked at.
        entry[5] = 1 << 62 | 40;
        entry[6] = 1 << 61 | 1 << 62;
        assert!(ValidEntry::new(&entry, FEATURES, GicOwner::Rmm).is_some());
    }

    #[test]
    fn as_many_registers_are_used_as_there_are() {
        use crate::host::{preset_register, read_register};

        let name = |index: usize| -> &'static str { format!("ICH_LR{index}_EL2").leak() };
        for lists in [1, 3, 4, 5, 16] {
            for (preemption, aprs) in [(5, 1), (6, 2), (7, 4)] {
                let features = GicFeatures::new((preemption - 1) << 26 | (lists - 1));
                let lists = features.list_registers();
                let mut state = state(0);
                state.list = core::array::from_fn(|index| 0x100 + index as u64);
                state.active_1 = [1, 2, 3, 4];
                for index in 0..16 {
                    preset_register(name(index), 7);
                }
                for register in ["ICH_AP1R0_EL2", "ICH_AP1R1_EL2", "ICH_AP1R2_EL2"] {
                    preset_register(register, 7);
                }
                state.restore(features);
                for index in 0..16 {
                    let expected = if index < lists { 0x100 + index as u64 } else { 7 };
                    assert_eq!(read_register(name(index)), expected);
                }
                let second = if aprs > 1 { 2 } else { 7 };
                assert_eq!(read_register("ICH_AP1R1_EL2"), second, "{aprs}");
                let third = if aprs > 2 { 3 } else { 7 };
                assert_eq!(read_register("ICH_AP1R2_EL2"), third, "{aprs}");
                preset_register("ICH_LR0_EL2", 0x99);
                state.take(features);
                assert_eq!(state.list[0], 0x99);
                for index in 0..16 {
                    let expected = if index < lists { 0 } else { 7 };
                    assert_eq!(read_register(name(index)), expected);
                }
                assert_eq!(read_register("ICH_AP1R0_EL2"), 0);
            }
        }
    }

    #[test]
    fn the_count_of_eois_is_not_the_hosts_to_change() {
        for lists in [3, 4, 5, 16] {
            let mut state = state(3 << 27 | HCR_EN | HCR_DVIM);
            let mut entry = [1; 1 + MAX_LIST_REGISTERS];
            entry[0] = 1 << 1;
            let valid = ValidEntry { entry: &entry, is_listed: true };
            state.accept(valid, GicFeatures::new(lists as u64 - 1), GicOwner::Rmm);
            assert_eq!(state.reported_hcr(), 3 << 27 | 1 << 1);
            assert_eq!(state.list[..lists], [1; 16][..lists]);
            assert_eq!(state.list[lists..], [0; 16][lists..], "those not implemented are 0");
        }
    }
}
