// SPDX-License-Identifier: BSD-3-Clause
//! Random address spaces, attributes and regions: drawn freely, then adjusted so that most are
//! valid and many are at a limit.

use proptest::prelude::*;
use rmm::address::PhysAddr;
use rmm::xlat::{
    AddressSpace, Attributes, Context, DataAccess, DescriptorFormat, Granularity,
    MaintenanceFeatures, MemoryType, PhysicalAddressSpace, Privilege, Regime, Region, RegionKind,
    Shareability, VaRange, mmu,
};

use super::model::Regions;
use super::walker::{RegimeKind, WalkConfig};

const PAGE: u64 = 4096;

/// A context's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub regime: RegimeKind,
    pub space: AddressSpace,
    pub pa_bits: u32,
    /// Physical address of the pool.
    pub pool: u64,
}

impl Setup {
    /// The configuration of a walk with this table base register, with TCR built as the Arm ARM
    /// says.
    pub fn walk(&self, ttbr: u64) -> WalkConfig {
        WalkConfig {
            regime: self.regime,
            ttbr,
            high: self.space.range() == VaRange::High,
            txsz: 64 - self.space.address_bits(),
            ds: self.space.format() == DescriptorFormat::Lpa2,
            walk_shareability: match self.space.walks() {
                Shareability::Non => 0b00,
                Shareability::Outer => 0b10,
                Shareability::Inner => 0b11,
            },
            mair: mmu::MAIR,
            pa_bits: self.pa_bits,
        }
    }
}

/// The table base register of `context`, on a CPU with every feature.
pub fn ttbr<R: Regime>(context: &Context<'_, R>) -> u64 {
    let features = mmu::MmuFeatures::from_id_registers(1 << 28 | 0x26, u64::MAX, u64::MAX);
    mmu::ttbr(context, mmu::TableSharing::Private, &features)
}

/// Any configuration, with a pool of up to `tables` tables.
pub fn setup(tables: u64) -> impl Strategy<Value = Setup> {
    let edges = prop::sample::select(vec![16, 21, 22, 25, 30, 31, 39, 40, 48, 49, 52]);
    let bits = prop_oneof![16u32..=52, edges];
    (any::<(u8, bool, bool, u16, u64, u8, u8)>(), bits, 32u32..=52).prop_map(
        move |((regime, high, lpa2, asid, pool, walks, maintenance), bits, pa_bits)| {
            SetupDraft { regime, high, lpa2, asid, pool, walks, maintenance, bits, pa_bits }
                .build(tables)
        },
    )
}

/// Random numbers that a configuration is built from.
#[derive(Clone, Copy, Debug)]
pub struct SetupDraft {
    pub regime: u8,
    pub high: bool,
    pub lpa2: bool,
    pub asid: u16,
    pub pool: u64,
    pub walks: u8,
    /// Which maintenance features the CPUs have.
    pub maintenance: u8,
    /// 16 to 52.
    pub bits: u32,
    /// 32 to 52.
    pub pa_bits: u32,
}

impl SetupDraft {
    /// Builds the configuration, with room for a pool of `tables` tables.
    pub fn build(self, tables: u64) -> Setup {
        let regimes = [RegimeKind::El1And0, RegimeKind::El2, RegimeKind::El2And0, RegimeKind::El3];
        let regime = regimes[usize::from(self.regime % 4)];
        let format = if self.lpa2 { DescriptorFormat::Lpa2 } else { DescriptorFormat::Bits48 };
        let range = if self.high && regime.has_el0() { VaRange::High } else { VaRange::Low };
        let pa_bits = self.pa_bits.min(format.address_bits());
        let max_pa = PhysAddr::new((1 << pa_bits) - 1);
        let bits = self.bits.min(format.address_bits());
        let space = AddressSpace::new(range, bits, max_pa, format).expect("a good configuration");
        let walks = [Shareability::Inner, Shareability::Outer, Shareability::Non]
            [usize::from(self.walks % 3)];
        let asid = if regime.has_el0() { self.asid } else { 0 };
        let pool = self.pool % ((1 << pa_bits) / PAGE - tables) * PAGE;
        let space = space.with_asid(asid).with_walks(walks);
        let space = if self.walks < 192 { space } else { space.without_contiguous_hint() };
        let space = if regime.has_el0() { space.with_user_mappings() } else { space };
        let any_asid = regime == RegimeKind::El1And0 && self.asid % 2 == 1;
        let space = if any_asid { space.for_any_asid() } else { space };
        let bit = |n: u32| self.maintenance >> n & 1 == 1;
        let features =
            MaintenanceFeatures { range: bit(0), level_hint: bit(1), resize_in_place: bit(2) };
        let space = space.with_maintenance_features(features);
        Setup { regime, space, pa_bits, pool }
    }
}

/// Random numbers that attributes are built from.
#[derive(Clone, Copy, Debug)]
pub struct AttributeDraft(pub u32);

pub fn attributes() -> impl Strategy<Value = AttributeDraft> {
    any::<u32>().prop_map(AttributeDraft)
}

impl AttributeDraft {
    /// Builds attributes that are valid in `setup`.
    pub fn build(self, setup: &Setup) -> Attributes {
        let bit = |n: u32| self.0 >> n & 1 == 1;
        let memory = match self.0 & 7 {
            0 if bit(13) => MemoryType::DeviceNGnRnE,
            0 => MemoryType::Device,
            1 => MemoryType::NormalNonCacheable,
            _ => MemoryType::NormalWriteBack,
        };
        let executable =
            bit(3) && bit(4) && !matches!(memory, MemoryType::Device | MemoryType::DeviceNGnRnE);
        let all = [
            PhysicalAddressSpace::Realm,
            PhysicalAddressSpace::NonSecure,
            PhysicalAddressSpace::Root,
            PhysicalAddressSpace::Secure,
        ];
        let own = if setup.regime == RegimeKind::El3 {
            PhysicalAddressSpace::Root
        } else {
            PhysicalAddressSpace::Realm
        };
        let reachable = match setup.regime {
            RegimeKind::El1And0 => 1,
            RegimeKind::El2 | RegimeKind::El2And0 => 2,
            RegimeKind::El3 => 4,
        };
        let shareability = match (memory, setup.space.format()) {
            (MemoryType::NormalWriteBack, DescriptorFormat::Lpa2) => setup.space.walks(),
            (MemoryType::NormalWriteBack, DescriptorFormat::Bits48) => {
                [Shareability::Inner, Shareability::Inner, Shareability::Outer, Shareability::Non]
                    [usize::from(bit(5)) * 2 + usize::from(bit(6))]
            }
            _ => Shareability::Outer,
        };
        Attributes {
            memory,
            access: if executable || bit(7) { DataAccess::ReadOnly } else { DataAccess::ReadWrite },
            executable,
            guarded: executable && bit(8),
            privilege: if setup.regime.has_el0() && bit(9) {
                Privilege::User
            } else {
                Privilege::Privileged
            },
            pas: if executable { own } else { all[(self.0 >> 10) as usize % reachable] },
            shareability,
            global: !setup.regime.has_el0() || bit(12),
        }
    }
}

/// Random numbers that a region is built from.
#[derive(Clone, Copy, Debug)]
pub struct RegionDraft {
    /// Where it goes, below 16: at an address of some alignment, at the end, or after, inside or
    /// around another region.
    pub place: u8,
    pub at: u64,
    /// The order of magnitude, below 16; the fraction of that; and additional pages, below 8.
    pub size: (u8, u64, u8),
    /// In how many bits the physical and virtual base agree, as a class below 8; and the physical
    /// base.
    pub physical: (u8, u64),
    /// Below 4.
    pub granularity: Option<u8>,
    pub attributes: AttributeDraft,
    pub transient: bool,
}

pub fn region() -> impl Strategy<Value = RegionDraft> {
    (
        (0u8..16, any::<u64>(), (0u8..16, any::<u64>(), 0u8..8)),
        (0u8..8, any::<u64>()),
        prop::option::weighted(0.3, 0u8..4),
        attributes(),
        prop::bool::weighted(0.1),
    )
        .prop_map(|((place, at, size), physical, granularity, attributes, transient)| {
            RegionDraft { place, at, size, physical, granularity, attributes, transient }
        })
}

impl RegionDraft {
    /// Builds the region and its offset. It is valid by itself, but may conflict with the `others`.
    /// `None` if the draft allows no region.
    pub fn build(&self, setup: &Setup, others: &Regions) -> Option<(Region, u64)> {
        let space_size = 1u64 << setup.space.address_bits();
        let pa_size = 1u64 << setup.pa_bits;
        let (kind, count, tail) = self.size;
        let tail = u64::from(tail) * PAGE;
        let mut size = match kind {
            0..=5 => (count % 40 + 1) * PAGE,
            6..=8 => (count % 24 + 1) * (16 * PAGE) + tail,
            9..=12 => (count % 20 + 1) * (2 << 20) + tail,
            13..=14 => (count % 18 + 1) * (1 << 30) + tail * u64::from(tail == PAGE),
            _ => (count % 20 + 1) * (512 << 30),
        };
        let lpa2 = setup.space.format() == DescriptorFormat::Lpa2;
        let granularity = self.granularity.map(|granularity| match granularity {
            0 => Granularity::Page,
            1 => Granularity::Block2MiB,
            2 => Granularity::Block1GiB,
            _ if lpa2 => Granularity::Block512GiB,
            _ => Granularity::Block1GiB,
        });
        // In how many bits the physical and virtual base agree, with sizes that keep the number of
        // tables small.
        let agree: u64 = match self.physical.0 {
            0 => PAGE,
            1 => 16 * PAGE,
            2 => 2 << 20,
            3 => 32 << 20,
            4 => 1 << 30,
            _ => 512 << 30,
        };
        let unit = agree.min(granularity.map_or(u64::MAX, Granularity::size));
        let most = if self.transient {
            100 * PAGE
        } else if unit < 2 << 20 {
            3 << 20
        } else if unit < 1 << 30 {
            20 << 30
        } else {
            u64::MAX
        };
        size = size.min(most).min(space_size).min(pa_size);

        let previous = others.0.get(usize::try_from(self.at % 8).ok()?);
        let alignment = [PAGE, 16 * PAGE, 2 << 20, 1 << 30, 512 << 30][usize::from(self.place % 5)];
        let (offset, nested) = match (self.place, previous) {
            (10 | 11, _) => (space_size - size, None),
            (12 | 13, Some((region, _, at))) => ((at + region.extent.size) % space_size, None),
            (14, Some((region, _, at))) => {
                let room = region.extent.size / PAGE;
                let into = self.at / 8 % room;
                size = size.min((room - into) * PAGE);
                (at + into * PAGE, Some(region))
            }
            (15, Some((region, _, at))) => {
                let before = (at / PAGE).min(self.at % 512) * PAGE;
                size = (region.extent.size + before + tail).min(space_size - (at - before));
                (at - before, Some(region))
            }
            _ => (self.at % space_size / alignment * alignment, None),
        };
        size = size.min(space_size - offset);
        let va = rmm::address::VirtAddr::new(setup.space.base().get() + offset);
        if self.transient {
            return Some((Region::transient(va, size), offset));
        }
        let pa = match nested.map(|region| region.kind) {
            // As the region inside or around it is mapped.
            Some(RegionKind::Memory { base, .. }) => {
                let (_, _, at) = previous?;
                let pa = i128::from(base.get()) + i128::from(offset) - i128::from(*at);
                u64::try_from(pa).ok()?
            }
            _ => {
                let agree = agree.min(pa_size);
                self.physical.1 % pa_size / agree * agree + offset % agree
            }
        };
        if pa >= pa_size || pa_size - pa < size {
            return None;
        }
        let attributes = self.attributes.build(setup);
        let region = Region { granularity, ..Region::new(PhysAddr::new(pa), va, size, attributes) };
        Some((region, offset))
    }
}
