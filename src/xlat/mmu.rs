// SPDX-License-Identifier: BSD-3-Clause
//! Values of MAIR_ELx, TCR_ELx, TTBRn_ELx and SCTLR_ELx. The caller writes the registers.
//!
//! Where there are two VA ranges, TCR holds fields of both. With TCR.A1 set the ASID of TTBR1 tags
//! the non-global translations of both, so both contexts need the same ASID.

use aarch64_cpu::registers::{
    ID_AA64MMFR0_EL1 as MMFR0, ID_AA64MMFR1_EL1 as MMFR1, ID_AA64MMFR2_EL1 as MMFR2,
};
use aarch64_cpu::registers::{
    ID_AA64MMFR0_EL1::Register as Mmfr0, ID_AA64MMFR1_EL1::Register as Mmfr1,
    ID_AA64MMFR2_EL1::Register as Mmfr2,
};
use tock_registers::LocalRegisterCopy;

use super::attributes::MemoryType;
use super::context::Context;
use super::descriptor::{DescriptorFormat, attribute_index, shareability_bits};
use super::error::Error;
use super::regime::Regime;
use super::space::{AddressSpace, VaRange};
use crate::address::{GRANULE_SIZE, PhysAddr, physical_address_bits};
use crate::arch::sysreg::fields::{SCTLR_EL2, TCR_EL2, TCR_ONE_RANGE};

/// MAIR_ELx: the memory types by AttrIndx of descriptors.
pub const MAIR: u64 = attribute(MemoryType::NormalWriteBack, 0xff)
    | attribute(MemoryType::Device, 0x04)
    | attribute(MemoryType::NormalNonCacheable, 0x44)
    | attribute(MemoryType::DeviceNGnRnE, 0x00);

const fn attribute(memory: MemoryType, encoding: u64) -> u64 {
    encoding << (8 * attribute_index(memory))
}

/// ID_AA64MMFR0_EL1.PARange and TCR_EL2.IPS: 48 bits.
const PARANGE_48_BITS: u64 = 5;
/// ID_AA64MMFR0_EL1.PARange and TCR_EL2.IPS: 52 bits.
const PARANGE_52_BITS: u64 = 6;

/// The features of a CPU that the tables and TCR_EL2 depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MmuFeatures {
    /// ID_AA64MMFR0_EL1.PARange.
    pub physical_range: u64,
    /// ID_AA64MMFR0_EL1.TGran4: the 4 KiB granule is supported.
    pub granule_4kib: bool,
    /// ID_AA64MMFR0_EL1.TGran4: so are 52-bit addresses with it (FEAT_LPA2).
    pub lpa2: bool,
    /// 16-bit ASIDs.
    pub asid_16: bool,
    /// Hierarchical permissions can be disabled (FEAT_HPDS).
    pub hierarchical_disable: bool,
    /// TTBRn_EL2.CnP exists (FEAT_TTCNP).
    pub common_not_private: bool,
    /// Address spaces below 2^25 bytes (FEAT_TTST).
    pub small_tables: bool,
    /// EL0 accesses can be made to fault without a walk (FEAT_E0PD).
    pub e0pd: bool,
}

impl MmuFeatures {
    /// Decodes ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1 and ID_AA64MMFR2_EL1.
    pub fn from_id_registers(mmfr0: u64, mmfr1: u64, mmfr2: u64) -> Self {
        let mmfr0 = LocalRegisterCopy::<u64, Mmfr0>::new(mmfr0);
        let mmfr1 = LocalRegisterCopy::<u64, Mmfr1>::new(mmfr1);
        let mmfr2 = LocalRegisterCopy::<u64, Mmfr2>::new(mmfr2);
        // A signed field: from 0 on the granule is supported, from 1 on with 52 bits.
        let granule = mmfr0.read(MMFR0::TGran4);
        Self {
            physical_range: mmfr0.read(MMFR0::PARange),
            granule_4kib: granule < 8,
            lpa2: (1..8).contains(&granule),
            asid_16: mmfr0.read(MMFR0::ASIDBits) != 0,
            hierarchical_disable: mmfr1.read(MMFR1::HPDS) != 0,
            common_not_private: mmfr2.read(MMFR2::CnP) != 0,
            small_tables: mmfr2.read(MMFR2::ST) != 0,
            e0pd: mmfr2.read(MMFR2::E0PD) != 0,
        }
    }

    /// The widest descriptor format that the CPU supports.
    ///
    /// # Errors
    /// [`Error::NoGranule4KiB`].
    pub const fn descriptor_format(&self) -> Result<DescriptorFormat, Error> {
        match (self.granule_4kib, self.lpa2) {
            (false, _) => Err(Error::NoGranule4KiB),
            (true, false) => Ok(DescriptorFormat::Bits48),
            (true, true) => Ok(DescriptorFormat::Lpa2),
        }
    }

    /// ID_AA64MMFR0_EL1.PARange, at most the code for what the descriptor format can map.
    ///
    /// A CPU may have more physical addresses than the 4 KiB granule and 64-bit descriptors reach:
    /// 52 bits without LPA2, or 56 bits. Reserved codes count as more still.
    const fn reachable_range(&self, format: DescriptorFormat) -> u64 {
        let limit = match format {
            DescriptorFormat::Bits48 => PARANGE_48_BITS,
            DescriptorFormat::Lpa2 => PARANGE_52_BITS,
        };
        if self.physical_range < limit { self.physical_range } else { limit }
    }

    /// The highest physical address of this CPU that tables in `format` can map.
    pub const fn max_pa(&self, format: DescriptorFormat) -> PhysAddr {
        PhysAddr::new((1 << physical_address_bits(self.reachable_range(format))) - 1)
    }

    /// Checks that this CPU supports `space`.
    fn check(&self, space: &AddressSpace) -> Result<(), Error> {
        if !self.granule_4kib {
            return Err(Error::NoGranule4KiB);
        }
        if space.format() == DescriptorFormat::Lpa2 && !self.lpa2 {
            return Err(Error::NoLpa2);
        }
        if space.max_pa() > self.max_pa(space.format()) {
            return Err(Error::MaxPhysicalAddress(space.max_pa()));
        }
        // Without FEAT_TTST, TxSZ is at most 39.
        if space.address_bits() < 25 && !self.small_tables {
            return Err(Error::NoSmallTables(space.address_bits()));
        }
        // With 8-bit ASIDs, TTBR's bits 63:56 are RES0.
        if space.asid() > 0xff && !self.asid_16 {
            return Err(Error::NoAsid);
        }
        Ok(())
    }
}

/// TCR_ELx.IPS or PS that reaches the highest physical address of `spaces`, which a CPU supports.
fn physical_size<'a>(spaces: impl Iterator<Item = &'a AddressSpace>) -> u64 {
    let highest = spaces.map(|space| space.max_pa().get()).max().unwrap_or(0);
    let reaches = |code: &u64| highest >> physical_address_bits(*code) == 0;
    (0..PARANGE_52_BITS).find(reaches).unwrap_or(PARANGE_52_BITS)
}

/// TCR_EL1, or TCR_EL2 with HCR_EL2.E2H set, for a context in each VA range. A range without one is
/// not walked.
///
/// IPS reaches the highest address that the contexts may map. Accesses of EL0 to a range without
/// mappings for EL0 fault before any walk, where the CPU has FEAT_E0PD.
///
/// # Errors
/// [`Error::Mismatch`] unless there is one, and `low` and `high` are a Low and a High range of the
/// same format and ASID; or the error for what `features` does not support.
pub fn tcr(
    low: Option<&AddressSpace>,
    high: Option<&AddressSpace>,
    features: &MmuFeatures,
) -> Result<u64, Error> {
    let Some(any) = low.or(high) else { return Err(Error::Mismatch) };
    for (space, range) in [(low, VaRange::Low), (high, VaRange::High)] {
        let Some(space) = space else { continue };
        if (space.range(), space.format(), space.asid()) != (range, any.format(), any.asid()) {
            return Err(Error::Mismatch);
        }
        features.check(space)?;
    }
    let flag = u64::from;
    let [without_user_0, without_user_1] =
        [low, high].map(|space| features.e0pd && space.is_some_and(|s| !s.has_user_mappings()));
    // No field of a range that is not walked holds a reserved value.
    let [low_values, high_values] = [low, high].map(|space| space.unwrap_or(any));
    let fields = TCR_EL2::T0SZ.val(low_values.txsz().into())
        + TCR_EL2::EPD0.val(flag(low.is_none()))
        + TCR_EL2::IRGN0::WriteBackAllocate
        + TCR_EL2::ORGN0::WriteBackAllocate
        + TCR_EL2::SH0.val(shareability_bits(low_values.walks()))
        + TCR_EL2::TG0::KiB4
        + TCR_EL2::T1SZ.val(high_values.txsz().into())
        + TCR_EL2::A1.val(flag(high.is_some()))
        + TCR_EL2::EPD1.val(flag(high.is_none()))
        + TCR_EL2::IRGN1::WriteBackAllocate
        + TCR_EL2::ORGN1::WriteBackAllocate
        + TCR_EL2::SH1.val(shareability_bits(high_values.walks()))
        + TCR_EL2::TG1::KiB4
        + TCR_EL2::IPS.val(physical_size(low.into_iter().chain(high)))
        + TCR_EL2::AS.val(flag(features.asid_16))
        // Table descriptors here have no permissions.
        + TCR_EL2::HPD0.val(flag(features.hierarchical_disable))
        + TCR_EL2::HPD1.val(flag(features.hierarchical_disable))
        + TCR_EL2::E0PD0.val(flag(without_user_0))
        + TCR_EL2::E0PD1.val(flag(without_user_1))
        + TCR_EL2::DS.val(flag(any.format() == DescriptorFormat::Lpa2));
    Ok(fields.value)
}

/// TCR_EL3, or TCR_EL2 with HCR_EL2.E2H clear, for the context of a regime with one VA range.
///
/// # Errors
/// [`Error::NoHighRange`], or the error for what `features` does not support.
pub fn tcr_one_range(space: &AddressSpace, features: &MmuFeatures) -> Result<u64, Error> {
    if space.range() == VaRange::High {
        return Err(Error::NoHighRange);
    }
    features.check(space)?;
    let fields = TCR_ONE_RANGE::T0SZ.val(space.txsz().into())
        + TCR_ONE_RANGE::IRGN0::WriteBackAllocate
        + TCR_ONE_RANGE::ORGN0::WriteBackAllocate
        + TCR_ONE_RANGE::SH0.val(shareability_bits(space.walks()))
        + TCR_ONE_RANGE::TG0::KiB4
        + TCR_ONE_RANGE::PS.val(physical_size(core::iter::once(space)))
        + TCR_ONE_RANGE::RES1_23::SET
        + TCR_ONE_RANGE::HPD.val(u64::from(features.hierarchical_disable))
        + TCR_ONE_RANGE::RES1_31::SET
        + TCR_ONE_RANGE::DS.val(u64::from(space.format() == DescriptorFormat::Lpa2));
    Ok(fields.value)
}

/// The bits of SCTLR_ELx that must be set, in every regime: MMU and caches on, and no writable
/// memory executable.
pub const SCTLR_SET: u64 = SCTLR_EL2::M::SET.value
    | SCTLR_EL2::C::SET.value
    | SCTLR_EL2::I::SET.value
    | SCTLR_EL2::WXN::SET.value;

/// The bits of SCTLR_ELx that must be clear, in every regime: walks are little-endian.
pub const SCTLR_CLEAR: u64 = SCTLR_EL2::EE::SET.value;

/// Whether CPUs may share TLB entries of the tables (TTBRn_EL2.CnP).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableSharing {
    /// The tables belong to this CPU alone.
    Private,
    /// Every CPU has these tables in this TTBR, with the same ASID.
    Common,
}

/// TTBR0_ELx or TTBR1_ELx for `context`, by its range. In every regime the layout is the same.
pub fn ttbr<R: Regime>(
    context: &Context<'_, R>,
    sharing: TableSharing,
    features: &MmuFeatures,
) -> u64 {
    let common = sharing == TableSharing::Common && features.common_not_private;
    ttbr_value(context.root(), context.space().asid(), common)
}

/// TTBR0_EL1 or TTBR1_EL1 for `context`, whose tables run under several ASIDs, with one of them.
///
/// # Errors
/// [`Error::NoAsid`] if the context is for one ASID, or the CPU does not have this one.
pub fn ttbr_with_asid<R: Regime>(
    context: &Context<'_, R>,
    asid: u16,
    sharing: TableSharing,
    features: &MmuFeatures,
) -> Result<u64, Error> {
    if !context.space().is_for_any_asid() || (asid > 0xff && !features.asid_16) {
        return Err(Error::NoAsid);
    }
    Ok(ttbr(context, sharing, features) | u64::from(asid) << 48)
}

const fn ttbr_value(root: PhysAddr, asid: u16, common: bool) -> u64 {
    const { assert!(GRANULE_SIZE >= 64, "bits 5:2 of the address of a table are zero") };
    let address = root.get();
    // BADDR: address bits 47:6 in place, bits 51:48 in 5:2. Without LPA2 the latter are zero.
    (asid as u64) << 48
        | address & 0x0000_ffff_ffff_ffc0
        | (address >> 48 & 0xf) << 2
        | common as u64
}

#[cfg(test)]
mod tests {
    use super::super::{
        Attributes, ContextBuilder, El2And0, Region, RegionStorage, Table, TablePool,
    };
    use super::*;
    use crate::address::VirtAddr;

    const PA_48: PhysAddr = PhysAddr::new((1 << 48) - 1);
    const PA_52: PhysAddr = PhysAddr::new((1 << 52) - 1);

    /// PARange 48 bits, 16-bit ASIDs, 4 KiB granule; HPDS; E0PD, ST, CnP.
    fn features_48() -> MmuFeatures {
        MmuFeatures::from_id_registers(0x25, 1 << 12, 1 << 60 | 1 << 28 | 1)
    }

    /// The same with PARange 52 bits and LPA2.
    fn features_52() -> MmuFeatures {
        MmuFeatures::from_id_registers(1 << 28 | 0x26, 1 << 12, 1 << 60 | 1 << 28 | 1)
    }

    fn spaces(max_pa: PhysAddr, format: DescriptorFormat) -> (AddressSpace, AddressSpace) {
        (
            AddressSpace::new(VaRange::Low, 46, max_pa, format).expect("a good configuration"),
            AddressSpace::new(VaRange::High, 21, max_pa, format).expect("a good configuration"),
        )
    }

    #[test]
    fn mair_has_every_memory_type() {
        assert_eq!(MAIR, 0x44_04ff);
    }

    #[test]
    fn features_are_read_from_their_fields() {
        let expected = MmuFeatures {
            physical_range: 5,
            granule_4kib: true,
            lpa2: false,
            asid_16: true,
            hierarchical_disable: true,
            common_not_private: true,
            small_tables: true,
            e0pd: true,
        };
        assert_eq!(features_48(), expected);
        assert_eq!(features_52(), MmuFeatures { physical_range: 6, lpa2: true, ..expected });
        let none = MmuFeatures::from_id_registers(0xf << 28, 0, 0);
        assert_eq!(none.descriptor_format(), Err(Error::NoGranule4KiB));
        assert_eq!(features_48().descriptor_format(), Ok(DescriptorFormat::Bits48));
        assert_eq!(features_52().descriptor_format(), Ok(DescriptorFormat::Lpa2));
    }

    #[test]
    fn the_highest_address_is_that_of_the_cpu_as_far_as_the_format_reaches() {
        let codes = [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48), (6, 52)];
        // 56 bits, and codes that are reserved.
        for (code, bits) in codes.into_iter().chain((7..16).map(|code| (code, 52))) {
            for lpa2 in [0, 1 << 28] {
                let features = MmuFeatures::from_id_registers(lpa2 | code, 0, 0);
                let last = |bits: u32| PhysAddr::new((1 << bits) - 1);
                assert_eq!(features.max_pa(DescriptorFormat::Lpa2), last(bits), "{code}");
                assert_eq!(features.max_pa(DescriptorFormat::Bits48), last(bits.min(48)), "{code}");
            }
        }
    }

    #[test]
    fn a_cpu_with_more_addresses_than_tables_reach_gets_the_widest_tables_there_are() {
        for (mmfr0, format, range) in [
            (0x26, DescriptorFormat::Bits48, 5),
            (0x27, DescriptorFormat::Bits48, 5),
            (1 << 28 | 0x27, DescriptorFormat::Lpa2, 6),
            (1 << 28 | 0x2f, DescriptorFormat::Lpa2, 6),
        ] {
            let features = MmuFeatures::from_id_registers(mmfr0, 0, 1 << 28);
            assert_eq!(features.descriptor_format(), Ok(format), "{mmfr0:#x}");
            let (low, high) = spaces(features.max_pa(format), format);
            let tcr = tcr(Some(&low), Some(&high), &features).expect("supported");
            assert_eq!(TCR_EL2::IPS.read(tcr), range, "{mmfr0:#x}");
        }
    }

    #[test]
    fn what_a_cpu_lacks_is_refused_from_where_it_is_needed() {
        let plain = MmuFeatures { small_tables: false, asid_16: false, ..features_48() };
        let low = |bits| {
            AddressSpace::new(VaRange::Low, bits, PA_48, DescriptorFormat::Bits48)
                .expect("a good configuration")
        };
        assert_eq!(plain.check(&low(25)), Ok(()));
        assert_eq!(plain.check(&low(24)), Err(Error::NoSmallTables(24)));
        assert_eq!(plain.check(&low(25).with_asid(0xff)), Ok(()));
        assert_eq!(plain.check(&low(25).with_asid(0x100)), Err(Error::NoAsid));
        // The least of what means that there is no such granule.
        let none = MmuFeatures::from_id_registers(8 << 28, 0, 0);
        assert!(!none.granule_4kib && !none.lpa2);
    }

    #[test]
    fn tcr_has_the_known_value_with_48_bits() {
        let (low, high) = spaces(PA_48, DescriptorFormat::Bits48);
        // E0PD0, E0PD1, IPS 48 bits, both ranges 4 KiB, inner shareable, write-back, T1SZ 43, T0SZ
        // 18.
        assert_eq!(
            tcr(Some(&low), Some(&high), &features_48()),
            Ok(1 << 56 | 0x0080_0615_b56b_3512)
        );
    }

    #[test]
    fn tcr_has_the_known_value_with_lpa2() {
        let (low, high) = spaces(PA_52, DescriptorFormat::Lpa2);
        assert_eq!(
            tcr(Some(&low), Some(&high), &features_52()),
            Ok(1 << 56 | 0x0880_0616_b56b_3512)
        );
        let low = AddressSpace::new(VaRange::Low, 52, PA_52, DescriptorFormat::Lpa2).expect("good");
        assert_eq!(tcr(Some(&low), Some(&high), &features_52()).map(|tcr| tcr & 0x3f), Ok(12));
    }

    #[test]
    fn the_48_bit_format_on_a_52_bit_cpu_says_48_bits() {
        let (low, high) = spaces(PA_48, DescriptorFormat::Bits48);
        let tcr = tcr(Some(&low), Some(&high), &features_52()).expect("supported");
        assert_eq!(TCR_EL2::IPS.read(tcr), 5);
        assert!(!TCR_EL2::DS.is_set(tcr));
    }

    #[test]
    fn what_a_cpu_does_not_support_is_refused() {
        let (low, high) = spaces(PA_52, DescriptorFormat::Lpa2);
        assert_eq!(tcr(Some(&low), Some(&high), &features_48()), Err(Error::NoLpa2));
        let (low, high) = spaces(PA_48, DescriptorFormat::Bits48);
        let with = |change: fn(&mut MmuFeatures)| {
            let mut features = features_48();
            change(&mut features);
            tcr(Some(&low), Some(&high), &features)
        };
        assert_eq!(with(|f| f.physical_range = 2), Err(Error::MaxPhysicalAddress(PA_48)));
        assert_eq!(with(|f| f.small_tables = false), Err(Error::NoSmallTables(21)));
        assert_eq!(with(|f| f.granule_4kib = false), Err(Error::NoGranule4KiB));
        assert_eq!(tcr(Some(&high), Some(&low), &features_48()), Err(Error::Mismatch));
        assert_eq!(tcr(Some(&low), Some(&high.with_asid(1)), &features_48()), Err(Error::Mismatch));
        let wide = (low.with_asid(0x100), high.with_asid(0x100));
        assert_eq!(
            tcr(Some(&wide.0), Some(&wide.1), &MmuFeatures { asid_16: false, ..features_48() }),
            Err(Error::NoAsid)
        );
    }

    #[test]
    fn ttbr_holds_root_asid_and_cnp() {
        let mut tables = [Table::EMPTY; 1];
        let mut storage = RegionStorage::<1>::new();
        let (_, high) = spaces(PA_52, DescriptorFormat::Lpa2);
        let pool = TablePool::unwalked(&mut tables, PhysAddr::new(0x9_0000_4020_3000))
            .expect("a good pool");
        let mut builder =
            ContextBuilder::<El2And0>::new(high.with_asid(0x5a5a), pool, storage.list())
                .expect("a good context");
        let va = VirtAddr::new(0xffff_ffff_ffff_f000);
        builder
            .add_static(Region::new(PhysAddr::new(0x1000), va, 0x1000, Attributes::read_write()))
            .expect("a good region");
        let context = builder.init().expect("one table is enough");
        // Address bits 51:48 (9) in bits 5:2.
        assert_eq!(ttbr(&context, TableSharing::Private, &features_52()), 0x5a5a_0000_4020_3024);
        assert_eq!(ttbr(&context, TableSharing::Common, &features_52()), 0x5a5a_0000_4020_3025);
        let without = MmuFeatures { common_not_private: false, ..features_52() };
        assert_eq!(ttbr(&context, TableSharing::Common, &without), 0x5a5a_0000_4020_3024);
    }

    #[test]
    fn tcr_reaches_the_highest_address_that_may_be_mapped_and_no_further() {
        let pa = |bits: u32| PhysAddr::new((1 << bits) - 1);
        for (low_bits, high_bits, code) in [(32, 32, 0), (36, 33, 1), (33, 42, 3), (48, 44, 5)] {
            let format = DescriptorFormat::Bits48;
            let low = AddressSpace::new(VaRange::Low, 46, pa(low_bits), format).expect("good");
            let high = AddressSpace::new(VaRange::High, 21, pa(high_bits), format).expect("good");
            let both = tcr(Some(&low), Some(&high), &features_48()).expect("supported");
            assert_eq!(TCR_EL2::IPS.read(both), code, "{low_bits}, {high_bits}");
            let one = tcr_one_range(&low, &features_48()).expect("supported");
            let expected = (0..6).find(|&c| u32::from(physical_address_bits(c)) >= low_bits);
            assert_eq!(Some(TCR_ONE_RANGE::PS.read(one)), expected);
        }
    }

    #[test]
    fn el0_faults_without_a_walk_only_where_nothing_is_mapped_for_it() {
        let (low, high) = spaces(PA_48, DescriptorFormat::Bits48);
        for (low_user, high_user) in [(false, false), (false, true), (true, false), (true, true)] {
            let with = |space: AddressSpace, user| {
                if user { space.with_user_mappings() } else { space }
            };
            let (low, high) = (with(low, low_user), with(high, high_user));
            let tcr = tcr(Some(&low), Some(&high), &features_48()).expect("supported");
            let e0pd = (TCR_EL2::E0PD0.is_set(tcr), TCR_EL2::E0PD1.is_set(tcr));
            assert_eq!(e0pd, (!low_user, !high_user));
        }
    }

    #[test]
    fn a_range_without_a_context_is_not_walked() {
        let (low, high) = spaces(PA_48, DescriptorFormat::Bits48);
        // EPD1, no A1, T1SZ as T0SZ; then EPD0 and A1.
        assert_eq!(
            tcr(Some(&low), None, &features_48()),
            Ok(1 << 55 | 0x0000_0615_b592_3512 | 1 << 23)
        );
        let only_high = tcr(None, Some(&high), &features_48()).expect("supported");
        assert_eq!(only_high & 0xff, 1 << 7 | 43);
        assert!(TCR_EL2::A1.is_set(only_high) && !TCR_EL2::EPD1.is_set(only_high));
        assert_eq!(tcr(None, None, &features_48()), Err(Error::Mismatch));
    }

    #[test]
    fn tcr_of_one_range_has_the_known_values() {
        let (low, high) = spaces(PA_48, DescriptorFormat::Bits48);
        // RES1 31 and 23, HPD, PS 48 bits, inner shareable, write-back, T0SZ 18.
        assert_eq!(tcr_one_range(&low, &features_48()), Ok(0x8185_3512));
        let (wide, _) = spaces(PA_52, DescriptorFormat::Lpa2);
        assert_eq!(tcr_one_range(&wide, &features_52()), Ok(0x1_8186_3512));
        assert_eq!(tcr_one_range(&high, &features_48()), Err(Error::NoHighRange));
        assert_eq!(tcr_one_range(&wide, &features_48()), Err(Error::NoLpa2));
    }

    #[test]
    fn sctlr_turns_on_what_the_tables_count_on() {
        assert_eq!((SCTLR_SET, SCTLR_CLEAR), (0x8_1005, 1 << 25));
    }
}
