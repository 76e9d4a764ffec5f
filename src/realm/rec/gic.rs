// SPDX-License-Identifier: BSD-3-Clause
//! The virtual interrupt controller of a REC (GICv3 architecture (IHI 0069 H.b) 12.4). In RMI 1.0
//! the host gives list registers with each entry and gets them back with each exit; in RMI 2.0 it
//! has them in the CPU.

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
/// What of ICH_HCR_EL2 is the host's to set: UIE, LRENPIE, NPIE, VGrp0EIE, VGrp0DIE, VGrp1EIE,
/// VGrp1DIE, TDIR.
pub const HCR_OF_HOST: u64 = 0x7f << 1 | 1 << 14;

/// Where the virtual interrupts of a REC are while it does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GicOwner {
    /// In the REC and the run page. The host sees nothing in the registers of the CPU (RMI 1.0).
    Rmm = 0,
    /// In the registers of the CPU, which are the host's to load and read (RMI 2.0).
    Host = 1,
}

/// What this CPU implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GicFeatures {
    /// List registers, 1 to 16.
    pub list_registers: usize,
    /// Bits of a priority.
    pub priority_bits: u64,
    /// Active priority registers of each group: 1, 2 or 4.
    pub active_priorities: usize,
    /// The first INTID that there is not.
    pub intid_end: u64,
    /// Extended PPIs and SPIs.
    pub extended_range: bool,
}

impl GicFeatures {
    /// From ICH_VTR_EL2 and ICC_CTLR_EL1.
    pub const fn new(vtr: u64, icc_ctlr: u64) -> Self {
        const EXT_RANGE: u64 = 1 << 19;
        let preemption_bits = (vtr >> 26 & 7) + 1;
        Self {
            list_registers: native(vtr & 0xf) + 1,
            priority_bits: (vtr >> 29 & 7) + 1,
            active_priorities: match preemption_bits {
                7.. => 4,
                6 => 2,
                _ => 1,
            },
            intid_end: if vtr >> 23 & 7 == 0 { 1 << 16 } else { 1 << 24 },
            extended_range: icc_ctlr & EXT_RANGE != 0,
        }
    }

    /// Reads the registers of this CPU.
    pub fn read() -> Self {
        Self::new(ICH_VTR_EL2.get(), ICC_CTLR_EL1.get())
    }
}

/// A virtual interrupt as a list register holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRegister(pub u64);

impl ListRegister {
    const HW: u64 = 1 << 61;
    /// pINTID, bits 44:32, of which EOI maintenance (41) alone is the host's when HW is 0.
    const PINTID_REFUSED: u64 = 0x1fff << 32 & !(1 << 41);

    /// Whether it holds no interrupt.
    pub const fn is_inactive(self) -> bool {
        self.0 >> 62 == 0
    }

    /// The virtual INTID.
    pub const fn intid(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    /// Whether a host may have it loaded: inactive, or without a physical interrupt and with fields
    /// that are implemented.
    pub const fn is_valid(self, features: &GicFeatures) -> bool {
        let priority = self.0 >> 48 & 0xff;
        let intid = self.intid();
        let exists = intid < 1020
            || (intid >= 8192 && intid < features.intid_end)
            || (features.extended_range
                && ((intid >= 1056 && intid < 1120) || (intid >= 4096 && intid < 5120)));
        self.is_inactive()
            || (self.0 & (Self::HW | Self::PINTID_REFUSED) == 0
                && priority & (0xff >> features.priority_bits) == 0
                && exists)
    }
}

/// Reads as many of these registers as there are places.
macro_rules! read_registers {
    ($to:expr; $($register:ident)*) => {{
        let mut places = $to.iter_mut();
        'all: {
            $(let Some(place) = places.next() else { break 'all };
            *place = $register.get();)*
        }
    }};
}

/// Writes as many of these registers as there are values.
macro_rules! write_registers {
    ($from:expr; $($register:ident)*) => {{
        let mut values = $from.iter();
        'all: {
            $(let Some(value) = values.next() else { break 'all };
            $register.set(*value);)*
        }
    }};
}

/// What the host says of the virtual interrupts of a REC that it enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GicEntry {
    /// Whether that is in the run page, or in registers.
    pub owner: GicOwner,
    /// gicv3_hcr.
    pub hcr: u64,
    /// gicv3_lrs, of which as many count as there are list registers.
    pub list: [u64; MAX_LIST_REGISTERS],
}

impl GicEntry {
    /// Reads what the host has loaded into this CPU.
    pub fn read(features: &GicFeatures) -> Self {
        let mut list = [0; MAX_LIST_REGISTERS];
        read_list(&mut list, features);
        Self { owner: GicOwner::Host, hcr: ICH_HCR_EL2.get(), list }
    }

    /// Whether the host may enter a REC with this.
    pub fn is_valid(&self, features: &GicFeatures) -> bool {
        let list = self.list.get(..features.list_registers).unwrap_or(&self.list);
        let active = |list: &&u64| !ListRegister(**list).is_inactive();
        // What the host has in the register is its own, but for what `restore` adds.
        (self.owner == GicOwner::Host || self.hcr & !HCR_OF_HOST == 0)
            && list.iter().all(|list| ListRegister(*list).is_valid(features))
            && list.iter().enumerate().filter(|(_, list)| active(list)).all(|(index, first)| {
                let others = list.iter().skip(index + 1).filter(active);
                let same =
                    |other: &u64| ListRegister(*other).intid() == ListRegister(*first).intid();
                !others.clone().any(same)
            })
    }
}

/// The state of the virtual interrupts of a REC while it does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct GicState {
    /// Where the interrupts are. If they are the host's, of the fields `hcr` alone counts.
    pub owner: GicOwner,
    /// ICH_HCR_EL2 as it was when the REC last left.
    pub hcr: u64,
    /// ICH_VMCR_EL2.
    pub vmcr: u64,
    /// ICH_MISR_EL2 as it was when the REC last left.
    pub misr: u64,
    /// List registers.
    pub list: [u64; MAX_LIST_REGISTERS],
    /// ICH_AP0R0_EL2 and up.
    active_0: [u64; MAX_ACTIVE_PRIORITIES],
    /// ICH_AP1R0_EL2 and up.
    active_1: [u64; MAX_ACTIVE_PRIORITIES],
}

impl GicState {
    /// Takes over what the host says, which is valid.
    pub fn accept(&mut self, entry: &GicEntry, features: &GicFeatures) {
        self.owner = entry.owner;
        if self.owner == GicOwner::Host {
            self.hcr = entry.hcr;
            return;
        }
        self.hcr = (self.hcr & HCR_EOI_COUNT) | entry.hcr;
        for (index, (to, from)) in self.list.iter_mut().zip(entry.list).enumerate() {
            *to = if index < features.list_registers { from } else { 0 };
        }
    }

    /// What the exit record reports of ICH_HCR_EL2.
    pub const fn reported_hcr(&self) -> u64 {
        self.hcr & (HCR_EOI_COUNT | HCR_OF_HOST)
    }

    /// Loads the registers of this CPU.
    pub fn restore(&self, features: &GicFeatures) {
        if self.owner == GicOwner::Host {
            ICH_HCR_EL2.set(self.hcr | HCR_DVIM);
            return;
        }
        let aprs = features.active_priorities;
        write_registers!(self.active_0.get(..aprs).unwrap_or_default();
            ICH_AP0R0_EL2 ICH_AP0R1_EL2 ICH_AP0R2_EL2 ICH_AP0R3_EL2);
        write_registers!(self.active_1.get(..aprs).unwrap_or_default();
            ICH_AP1R0_EL2 ICH_AP1R1_EL2 ICH_AP1R2_EL2 ICH_AP1R3_EL2);
        write_registers!(self.list.get(..features.list_registers).unwrap_or_default();
            ICH_LR0_EL2 ICH_LR1_EL2 ICH_LR2_EL2 ICH_LR3_EL2 ICH_LR4_EL2 ICH_LR5_EL2 ICH_LR6_EL2
            ICH_LR7_EL2 ICH_LR8_EL2 ICH_LR9_EL2 ICH_LR10_EL2 ICH_LR11_EL2 ICH_LR12_EL2
            ICH_LR13_EL2 ICH_LR14_EL2 ICH_LR15_EL2);
        ICH_VMCR_EL2.set(self.vmcr);
        let host_bits = self.hcr & (HCR_EOI_COUNT | HCR_OF_HOST);
        ICH_HCR_EL2.set(host_bits | HCR_EN | HCR_VSGI_EOI_COUNT | HCR_DVIM);
    }

    /// Reads the registers of this CPU and turns the virtual interface off. MISR is read before: a
    /// maintenance interrupt drops with En. What is not the host's is zeroed.
    pub fn save(&mut self, features: &GicFeatures) {
        if self.owner == GicOwner::Host {
            // The host reads what has become of its interrupts. DVIM is as it had it.
            let added = HCR_DVIM & !self.hcr;
            ICH_HCR_EL2.set(ICH_HCR_EL2.get() & !(added | HCR_EN));
            return;
        }
        let aprs = features.active_priorities;
        read_registers!(self.active_0.get_mut(..aprs).unwrap_or_default();
            ICH_AP0R0_EL2 ICH_AP0R1_EL2 ICH_AP0R2_EL2 ICH_AP0R3_EL2);
        read_registers!(self.active_1.get_mut(..aprs).unwrap_or_default();
            ICH_AP1R0_EL2 ICH_AP1R1_EL2 ICH_AP1R2_EL2 ICH_AP1R3_EL2);
        read_list(&mut self.list, features);
        self.vmcr = ICH_VMCR_EL2.get();
        self.misr = ICH_MISR_EL2.get();
        self.hcr = ICH_HCR_EL2.get();
        ICH_HCR_EL2.set(0);
        clear(features);
    }
}

/// Reads the list registers of this CPU.
fn read_list(list: &mut [u64; MAX_LIST_REGISTERS], features: &GicFeatures) {
    read_registers!(list.get_mut(..features.list_registers).unwrap_or_default();
        ICH_LR0_EL2 ICH_LR1_EL2 ICH_LR2_EL2 ICH_LR3_EL2 ICH_LR4_EL2 ICH_LR5_EL2 ICH_LR6_EL2
        ICH_LR7_EL2 ICH_LR8_EL2 ICH_LR9_EL2 ICH_LR10_EL2 ICH_LR11_EL2 ICH_LR12_EL2
        ICH_LR13_EL2 ICH_LR14_EL2 ICH_LR15_EL2);
}

/// Zeroes the list and active priority registers of this CPU: the host sees nothing of a REC in
/// them.
fn clear(features: &GicFeatures) {
    const ZERO: [u64; MAX_LIST_REGISTERS] = [0; MAX_LIST_REGISTERS];
    let aprs = ZERO.get(..features.active_priorities).unwrap_or_default();
    write_registers!(aprs; ICH_AP0R0_EL2 ICH_AP0R1_EL2 ICH_AP0R2_EL2 ICH_AP0R3_EL2);
    write_registers!(aprs; ICH_AP1R0_EL2 ICH_AP1R1_EL2 ICH_AP1R2_EL2 ICH_AP1R3_EL2);
    write_registers!(ZERO.get(..features.list_registers).unwrap_or_default();
        ICH_LR0_EL2 ICH_LR1_EL2 ICH_LR2_EL2 ICH_LR3_EL2 ICH_LR4_EL2 ICH_LR5_EL2 ICH_LR6_EL2
        ICH_LR7_EL2 ICH_LR8_EL2 ICH_LR9_EL2 ICH_LR10_EL2 ICH_LR11_EL2 ICH_LR12_EL2
        ICH_LR13_EL2 ICH_LR14_EL2 ICH_LR15_EL2);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: GicFeatures = GicFeatures {
        list_registers: 4,
        priority_bits: 5,
        active_priorities: 1,
        intid_end: 1 << 16,
        extended_range: false,
    };

    #[test]
    fn the_features_are_the_fields_of_the_registers() {
        // As on QEMU: 4 list registers, 5 bits of priority and preemption, 24-bit INTIDs.
        let features = GicFeatures::new(0x9090_0003 | 4 << 26, 0);
        assert_eq!((features.list_registers, features.priority_bits), (4, 5));
        assert_eq!((features.active_priorities, features.intid_end), (1, 1 << 24));
        assert!(!features.extended_range);
        assert!(GicFeatures::new(0, 1 << 19).extended_range);
        let active = |pre: u64| GicFeatures::new((pre - 1) << 26, 0).active_priorities;
        assert_eq!([5, 6, 7].map(active), [1, 2, 4]);
        assert_eq!(GicFeatures::new(0xf, 0).list_registers, 16);
    }

    #[test]
    fn a_list_register_is_valid_when_every_field_is_the_hosts_to_choose() {
        let valid = |word: u64| ListRegister(word).is_valid(&FEATURES);
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
        let extended = GicFeatures { extended_range: true, ..FEATURES };
        for (intid, expected) in
            [(1055, false), (1056, true), (1119, true), (1120, false), (4096, true), (5120, false)]
        {
            assert_eq!(ListRegister(1 << 62 | intid).is_valid(&extended), expected, "{intid}");
        }
    }

    #[test]
    fn an_entry_is_valid_when_no_interrupt_is_listed_twice_and_hcr_is_the_hosts() {
        let mut entry =
            GicEntry { owner: GicOwner::Rmm, hcr: HCR_OF_HOST, list: [0; MAX_LIST_REGISTERS] };
        assert!(entry.is_valid(&FEATURES));
        for bit in 0..64 {
            let hcr = GicEntry { hcr: 1 << bit, ..entry };
            assert_eq!(hcr.is_valid(&FEATURES), (1..8).contains(&bit) || bit == 14, "{bit}");
        }
        entry.list[0] = 1 << 62 | 40;
        entry.list[3] = 2 << 62 | 40;
        assert!(!entry.is_valid(&FEATURES));
        entry.list[3] = 40;
        assert!(entry.is_valid(&FEATURES), "an inactive one is none");
        entry.list[3] = 2 << 62 | 41;
        // Beyond those implemented nothing is looked at.
        entry.list[4] = 1 << 62 | 40;
        entry.list[5] = 1 << 61 | 1 << 62;
        assert!(entry.is_valid(&FEATURES));
    }

    #[test]
    fn the_count_of_eois_is_not_the_hosts_to_change() {
        let zero = [0; MAX_ACTIVE_PRIORITIES];
        let list = [0; MAX_LIST_REGISTERS];
        let hcr = 3 << 27 | HCR_EN | HCR_DVIM;
        let owner = GicOwner::Rmm;
        let mut state =
            GicState { owner, hcr, vmcr: 0, misr: 0, list, active_0: zero, active_1: zero };
        let entry = GicEntry { owner, hcr: 1 << 1, list: [1; MAX_LIST_REGISTERS] };
        state.accept(&entry, &FEATURES);
        assert_eq!(state.reported_hcr(), 3 << 27 | 1 << 1);
        assert_eq!(state.list[..4], [1; 4]);
        assert_eq!(state.list[4..], [0; 12], "those that are not implemented read as 0");
    }
}
