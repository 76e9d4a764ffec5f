// SPDX-License-Identifier: BSD-3-Clause
//! A Realm's GICv3: distributor, redistributors, and the content of list registers.

/// The address of the distributor in the protected half.
pub const DISTRIBUTOR: u64 = 0x0800_0000;
/// Bytes of its registers.
pub const DISTRIBUTOR_SIZE: u64 = 0x1_0000;
/// The address of the redistributors.
pub const REDISTRIBUTORS: u64 = 0x080a_0000;
/// The size of the registers of one redistributor.
pub const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;
const SGI_FRAME: u64 = 0x1_0000;

/// The most RECs of a Realm.
pub const MAX_RECS: usize = 8;
const PRIVATE: usize = 32;
const SHARED: usize = 32;
/// The number of all interrupts: 0 to 63.
const INTERRUPTS: usize = PRIVATE + SHARED;

/// Most list registers that the architecture has.
pub const MAX_LRS: usize = 16;

/// The interrupt of the virtual timer.
pub const VIRTUAL_TIMER: usize = 27;
/// The interrupt of the physical timer.
pub const PHYSICAL_TIMER: usize = 30;

/// Fields of a list register.
mod lr {
    pub const PENDING: u64 = 1 << 62;
    pub const ACTIVE: u64 = 1 << 63;
    pub const GROUP_1: u64 = 1 << 60;
    pub const PRIORITY_SHIFT: u32 = 48;
    /// The end of the interrupt exits the Realm, so that the host checks the line again.
    pub const EOI: u64 = 1 << 41;
    pub const INTID: u64 = 0xffff_ffff;
}

/// An interrupt's configuration and its state.
#[derive(Clone, Copy)]
struct Interrupt {
    enabled: bool,
    group_1: bool,
    edge: bool,
    priority: u8,
    /// Pending by an edge, an SGI or a write to ISPENDR.
    latch: bool,
    /// The level of the line.
    line: bool,
    active: bool,
    /// Whether it is in a list register of a REC that runs.
    listed: bool,
    /// The target REC of a shared interrupt.
    target: usize,
}

impl Interrupt {
    const RESET: Self = Self {
        enabled: false,
        group_1: false,
        edge: false,
        priority: 0,
        latch: false,
        line: false,
        active: false,
        listed: false,
        target: 0,
    };

    fn is_pending(&self) -> bool {
        self.latch || !self.edge && self.line
    }

    fn is_due(&self) -> bool {
        self.is_pending() && self.enabled && self.group_1 && !self.active && !self.listed
    }
}

/// The GICv3 of a Realm.
pub struct Gic {
    recs: usize,
    enabled: bool,
    private: [[Interrupt; PRIVATE]; MAX_RECS],
    shared: [Interrupt; SHARED],
    routes: [u64; SHARED],
    asleep: [bool; MAX_RECS],
}

impl Gic {
    /// A GICv3 after reset.
    pub const fn new(recs: usize) -> Self {
        let mut private = [Interrupt::RESET; PRIVATE];
        let mut sgi = 0;
        while sgi < 16 {
            private[sgi].edge = true;
            sgi += 1;
        }
        Self {
            recs,
            enabled: false,
            private: [private; MAX_RECS],
            shared: [Interrupt::RESET; SHARED],
            routes: [0; SHARED],
            asleep: [true; MAX_RECS],
        }
    }

    fn interrupt(&mut self, rec: usize, intid: usize) -> &mut Interrupt {
        if intid < PRIVATE {
            &mut self.private[rec][intid]
        } else {
            &mut self.shared[intid - PRIVATE]
        }
    }

    /// Whether an interrupt is due for a REC.
    pub fn is_due(&self, rec: usize) -> bool {
        self.enabled
            && (self.private[rec].iter().any(Interrupt::is_due)
                || self.shared.iter().any(|one| one.target == rec && one.is_due()))
    }

    /// Sets the level of a line. Gives the REC that has to be notified.
    pub fn set_line(&mut self, rec: usize, intid: usize, level: bool) -> Option<usize> {
        let interrupt = self.interrupt(rec, intid);
        interrupt.line = level;
        let target = if intid < PRIVATE { rec } else { interrupt.target };
        interrupt.is_due().then_some(target)
    }

    /// A write to ICC_SGI1R_EL1. Makes the SGI pending, and gives the target RECs as bits.
    pub fn send_sgi(&mut self, sender: usize, value: u64) -> u64 {
        let intid = (value >> 24 & 0xf) as usize;
        let to_all_others = value & 1 << 40 != 0;
        let mut targets = 0;
        for rec in 0..self.recs {
            let named = value >> rec & 1 != 0 && value & 0x00ff_0000 == 0;
            if if to_all_others { rec != sender } else { named } {
                self.private[rec][intid].latch = true;
                targets |= 1 << rec;
            }
        }
        targets
    }

    /// Fills the list registers for an entry of a REC. Gives whether an interrupt found no place.
    pub fn list(&mut self, rec: usize, lrs: &mut [u64]) -> bool {
        lrs.fill(0);
        let mut used = 0;
        // Active interrupts first, since their end must find them.
        for intid in 0..INTERRUPTS {
            let interrupt = *self.interrupt(rec, intid);
            let here = intid < PRIVATE || interrupt.target == rec;
            if here && interrupt.active && used < lrs.len() {
                lrs[used] = self.enter(rec, intid);
                used += 1;
            }
        }
        if !self.enabled {
            return false;
        }
        while let Some(intid) = self.most_urgent(rec) {
            if used == lrs.len() {
                return true;
            }
            lrs[used] = self.enter(rec, intid);
            used += 1;
        }
        false
    }

    fn most_urgent(&self, rec: usize) -> Option<usize> {
        let shared = self.shared.iter().map(|one| (one, one.target == rec));
        let all = self.private[rec].iter().map(|one| (one, true)).chain(shared);
        all.enumerate()
            .filter(|(_, (one, here))| *here && one.is_due())
            .min_by_key(|(_, (one, _))| one.priority)
            .map(|(intid, _)| intid)
    }

    fn enter(&mut self, rec: usize, intid: usize) -> u64 {
        let interrupt = self.interrupt(rec, intid);
        interrupt.listed = true;
        let mut value =
            intid as u64 | lr::GROUP_1 | u64::from(interrupt.priority) << lr::PRIORITY_SHIFT;
        if interrupt.active {
            value |= lr::ACTIVE;
        }
        if interrupt.edge {
            if interrupt.latch && interrupt.enabled {
                interrupt.latch = false;
                value |= lr::PENDING;
            }
        } else {
            value |= lr::EOI;
            if !interrupt.active {
                interrupt.latch = false;
                value |= lr::PENDING;
            }
        }
        value
    }

    /// Takes back the list registers of a REC that has left.
    pub fn unlist(&mut self, rec: usize, lrs: &[u64], entered: &[u64]) {
        for (entered, left) in entered.iter().zip(lrs) {
            if *entered == 0 {
                continue;
            }
            let intid = (entered & lr::INTID) as usize;
            let interrupt = self.interrupt(rec, intid);
            interrupt.listed = false;
            interrupt.active = left & lr::ACTIVE != 0;
            if interrupt.edge {
                interrupt.latch |= left & lr::PENDING != 0;
            }
        }
    }

    /// A read of a distributor register.
    pub fn read_distributor(&mut self, offset: u64) -> u64 {
        const ONE_SECURITY_STATE: u64 = 1 << 6;
        const AFFINITY_ROUTING: u64 = 1 << 4;
        match offset {
            0x0 => ONE_SECURITY_STATE | AFFINITY_ROUTING | u64::from(self.enabled) << 1,
            // 64 interrupts, 10 bits of INTID, one target REC for each interrupt.
            0x4 => (INTERRUPTS as u64 / 32 - 1) | 9 << 19 | 1 << 25,
            0x8 => 0x43b,
            0xffe8 => 0x3b,
            0x6100..=0x61ff => {
                let route = self.routes[(offset as usize - 0x6100) / 8];
                if offset % 8 == 4 { route >> 32 } else { route }
            }
            _ => self.read_banked(0, offset, PRIVATE..INTERRUPTS),
        }
    }

    /// A write to a distributor register.
    pub fn write_distributor(&mut self, offset: u64, value: u64, size: u64) {
        match offset {
            0x0 => self.enabled = value & 0b10 != 0,
            0x6100..=0x61ff => {
                let index = (offset as usize - 0x6100) / 8;
                let route = match (offset % 8, size) {
                    (0, 8) => value,
                    (0, _) => self.routes[index] & !0xffff_ffff | value & 0xffff_ffff,
                    _ => self.routes[index] & 0xffff_ffff | value << 32,
                };
                self.routes[index] = route;
                // An interrupt for any REC goes to the first one.
                let target = if route & 1 << 31 != 0 { 0 } else { (route & 0xff) as usize };
                self.shared[index].target = if target < self.recs { target } else { 0 };
            }
            _ => self.write_banked(0, offset, value, size, PRIVATE..INTERRUPTS),
        }
    }

    /// A read of a redistributor register.
    pub fn read_redistributor(&mut self, offset: u64) -> u64 {
        let (rec, offset) = ((offset / REDISTRIBUTOR_SIZE) as usize, offset % REDISTRIBUTOR_SIZE);
        if rec >= self.recs {
            return 0;
        }
        let last = u64::from(rec + 1 == self.recs);
        match offset {
            0x4 => 0x43b,
            0x8 => (rec as u64) << 32 | (rec as u64) << 8 | last << 4,
            0xc => rec as u64,
            0x14 => u64::from(self.asleep[rec]) * 0b110,
            0xffe8 => 0x3b,
            SGI_FRAME.. => self.read_banked(rec, offset - SGI_FRAME, 0..PRIVATE),
            _ => 0,
        }
    }

    /// A write to a redistributor register.
    pub fn write_redistributor(&mut self, offset: u64, value: u64, size: u64) {
        let (rec, offset) = ((offset / REDISTRIBUTOR_SIZE) as usize, offset % REDISTRIBUTOR_SIZE);
        if rec >= self.recs {
            return;
        }
        match offset {
            0x14 => self.asleep[rec] = value & 0b10 != 0,
            SGI_FRAME.. => {
                self.write_banked(rec, offset - SGI_FRAME, value, size, 0..PRIVATE);
            }
            _ => {}
        }
    }

    /// A read of a register with one, two or eight bits for each of these interrupts.
    fn read_banked(&mut self, rec: usize, offset: u64, of: core::ops::Range<usize>) -> u64 {
        let (register, bits) = Banked::at(offset);
        let Some(register) = register else { return 0 };
        let mut value = 0;
        for index in 0..32 / bits {
            let intid = register.first(offset) + index;
            if !of.contains(&intid) {
                continue;
            }
            let one = *self.interrupt(rec, intid);
            let field = match register {
                Banked::Group => one.group_1.into(),
                Banked::SetEnabled | Banked::ClearEnabled => one.enabled.into(),
                Banked::SetPending | Banked::ClearPending => one.is_pending().into(),
                Banked::SetActive | Banked::ClearActive => one.active.into(),
                Banked::Priority => one.priority.into(),
                Banked::Configuration => u64::from(one.edge) << 1,
            };
            value |= field << (index * bits);
        }
        value
    }

    fn write_banked(
        &mut self,
        rec: usize,
        offset: u64,
        value: u64,
        size: u64,
        of: core::ops::Range<usize>,
    ) {
        let (register, bits) = Banked::at(offset);
        let Some(register) = register else { return };
        let fields = (size as usize * 8).min(32) / bits;
        for index in 0..fields {
            let intid = register.first(offset) + index;
            if !of.contains(&intid) {
                continue;
            }
            let field = value >> (index * bits) & ((1 << bits) - 1);
            let one = self.interrupt(rec, intid);
            match (register, field != 0) {
                (Banked::Group, set) => one.group_1 = set,
                (Banked::SetEnabled, true) => one.enabled = true,
                (Banked::ClearEnabled, true) => one.enabled = false,
                (Banked::SetPending, true) => one.latch = true,
                (Banked::ClearPending, true) => one.latch = false,
                (Banked::SetActive, true) => one.active = true,
                (Banked::ClearActive, true) => one.active = false,
                (Banked::Priority, _) => one.priority = (field & 0xf8) as u8,
                (Banked::Configuration, _) if intid >= 16 => one.edge = field & 0b10 != 0,
                _ => {}
            }
        }
    }
}

/// The kinds of registers that have a field for each interrupt.
#[derive(Clone, Copy)]
enum Banked {
    Group,
    SetEnabled,
    ClearEnabled,
    SetPending,
    ClearPending,
    SetActive,
    ClearActive,
    Priority,
    Configuration,
}

impl Banked {
    /// The kind of the register at an offset, and the bits of its fields.
    fn at(offset: u64) -> (Option<Self>, usize) {
        let kind = match offset {
            0x80..=0xff => Self::Group,
            0x100..=0x17f => Self::SetEnabled,
            0x180..=0x1ff => Self::ClearEnabled,
            0x200..=0x27f => Self::SetPending,
            0x280..=0x2ff => Self::ClearPending,
            0x300..=0x37f => Self::SetActive,
            0x380..=0x3ff => Self::ClearActive,
            0x400..=0x7ff => return (Some(Self::Priority), 8),
            0xc00..=0xcff => return (Some(Self::Configuration), 2),
            _ => return (None, 1),
        };
        (Some(kind), 1)
    }

    /// The first interrupt of the register at an offset.
    fn first(self, offset: u64) -> usize {
        let offset = offset as usize;
        match self {
            Self::Priority => offset - 0x400,
            Self::Configuration => (offset - 0xc00) * 4,
            _ => (offset % 0x80) * 8,
        }
    }
}
