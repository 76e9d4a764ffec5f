// SPDX-License-Identifier: BSD-3-Clause
//! The life of a context in force. Accesses before and after each change test everything, so a
//! stale TLB entry would be found. The results of address translation instructions (AT) are
//! compared with the context.

use rmm::address::{PhysAddr, VirtAddr};
use rmm::xlat::{
    Attributes, Context, DescriptorFormat, Error, Granularity, Level, MemoryType, Regime, Region,
    mmu,
};

use crate::check::Every;
use crate::exception_level::ExceptionLevel;
use crate::layout::{
    CODE, GIB, GIB_512, GROUP, MEMORY_2_MIB, MEMORY_GIB, MIB_2, PAGE, TRANSIENT, answer, below_top,
    code, content, kinds, page,
};
use crate::probe::{Outcome, call, fault, load, store};

const NOT_MAPPED: Outcome = Outcome::Translation(3);
const FORBIDDEN: Outcome = Outcome::Permission(3);
const STORED: Outcome = Outcome::Done(0);

/// A context that is in force at a level.
pub struct Session<'c, 'a, R> {
    /// The level.
    pub level: ExceptionLevel,
    /// The context of one of the level's VA ranges.
    pub context: &'c mut Context<'a, R>,
}

impl<R: Regime> Session<'_, '_, R> {
    /// Runs all tests, and leaves the context as it was.
    pub fn run(&mut self) -> Result<(), Error> {
        let free = self.context.pool().free();
        self.every_kind();
        self.transient_pages()?;
        self.a_page_at_the_top()?;
        self.changes()?;
        self.permissions_alone()?;
        self.a_group()?;
        let bits = self.context.space().address_bits();
        if bits >= 25 {
            self.a_block()?;
        }
        if bits >= 39 {
            self.a_gib()?;
            self.nested_granularity()?;
            self.many_pages()?;
        }
        if bits >= 48 && self.context.space().format() == DescriptorFormat::Lpa2 {
            self.the_largest_block()?;
        }
        self.the_highest_physical_address()?;
        let mut every = Every::new("every table that a change took came back");
        every.equal("free tables", self.context.pool().free(), free);
        Ok(())
    }

    fn read_write(&self) -> Attributes {
        Attributes::read_write().in_pas(self.level.own_pas())
    }

    fn read_only(&self) -> Attributes {
        Attributes::read_only().in_pas(self.level.own_pas())
    }

    fn code(&self) -> Attributes {
        Attributes::code().in_pas(self.level.own_pas())
    }

    fn change(&mut self, base: VirtAddr, size: u64, attributes: Attributes) -> Result<(), Error> {
        self.context.change_attributes(base, size, attributes)
    }

    fn add(&mut self, pa: PhysAddr, va: VirtAddr, size: u64) -> Result<(), Error> {
        let attributes = self.read_write();
        self.context.add(Region::new(pa, va, size, attributes))
    }

    fn at(&self, bytes_below_top: u64) -> VirtAddr {
        below_top(self.context.space(), bytes_below_top)
    }

    /// Compares an AT instruction with the context.
    fn agree(&self, every: &mut Every<'_>, va: u64) {
        let par = self.level.address_translation(va);
        let walked = if par & 1 == 0 {
            Ok((par & 0x000f_ffff_ffff_f000 | va & 0xfff, par >> 56))
        } else {
            Err(fault(par >> 1).is_some_and(|outcome| matches!(outcome, Outcome::Translation(_))))
        };
        let said = match self.context.translate(VirtAddr::new(va)) {
            Ok(translation) => {
                let index = match translation.attributes.memory {
                    MemoryType::NormalWriteBack => 0,
                    MemoryType::Device => 1,
                    MemoryType::NormalNonCacheable => 2,
                    MemoryType::DeviceNGnRnE => 3,
                };
                Ok((translation.pa.get(), mmu::MAIR >> (8 * index) & 0xff))
            }
            Err(_) => Err(true),
        };
        every.equal(format_args!("{va:#x}, physical address and attributes"), walked, said);
    }

    fn every_kind(&self) {
        let mut every = Every::new(
            "pages of every kind can be read, written and called as their attributes say",
        );
        let mut same =
            Every::new("the walker finds what the context says, at the pages and between them");
        for kind in kinds(self.level) {
            let va = self.at(kind.below_top).get();
            let expected = match CODE.into_iter().find(|&number| page(number) == kind.pa) {
                Some(number) => code(number),
                None if kind.word == 0 => content(kind.pa),
                // PL011: part number 0x011, QEMU's designer and revision.
                None => 0x10_0000_0011,
            };
            every.equal(
                format_args!("{}, read", kind.name),
                load(va + kind.word),
                Outcome::Done(expected),
            );
            let stored = if kind.writable { STORED } else { FORBIDDEN };
            every.equal(
                format_args!("{}, write", kind.name),
                store(va + kind.word, expected),
                stored,
            );
            every.equal(format_args!("{}, call", kind.name), call(va), kind.call);
            let without_pad =
                if kind.attributes.guarded { Outcome::BranchTarget } else { kind.call };
            every.equal(
                format_args!("{}, call behind the landing pad", kind.name),
                call(va + 4),
                without_pad,
            );
            every.equal(format_args!("below {}", kind.name), load(va - PAGE), NOT_MAPPED);
            for address in [va - PAGE, va, va + PAGE - 8] {
                self.agree(&mut same, address);
            }
        }
    }

    fn transient_pages(&self) -> Result<(), Error> {
        let mut every =
            Every::new("a transient page gives what is mapped last, and faults when nothing is");
        let (below, pages) = TRANSIENT;
        let range = self.context.transient(self.at(below), rmm::address::native(pages))?;
        let read_write = range.template(self.read_write())?;
        let read_only = range.template(self.read_only())?;
        for index in 0..8 {
            let transient = range.page(index).ok_or(Error::NoSuchPage)?;
            let va = transient.address().get();
            every.equal(format_args!("{index}, before"), load(va), NOT_MAPPED);
            for (number, template, stored) in [
                (0x10, read_write, STORED),
                (0x11, read_only, FORBIDDEN),
                (0x12, read_write, STORED),
            ] {
                transient.map(page(number), template)?;
                every.equal(
                    format_args!("{index}, read"),
                    load(va),
                    Outcome::Done(content(page(number))),
                );
                every.equal(
                    format_args!("{index}, write"),
                    store(va, content(page(number))),
                    stored,
                );
                self.agree(&mut every, va);
                transient.unmap()?;
                every.equal(format_args!("{index}, unmapped"), load(va), NOT_MAPPED);
            }
        }
        let group = [0x13, 0x14, 0x15, 0x16].map(page);
        range.map_group(2, &group, read_write)?;
        for (index, pa) in (2..).zip(group) {
            let va = range.page(index).ok_or(Error::NoSuchPage)?.address().get();
            every.equal(format_args!("{index} of a group"), load(va), Outcome::Done(content(pa)));
        }
        range.unmap_group(2, group.len())?;
        for index in 2..6 {
            let va = range.page(index).ok_or(Error::NoSuchPage)?.address().get();
            every.equal(format_args!("{index} of a group, unmapped"), load(va), NOT_MAPPED);
        }
        Ok(())
    }

    fn a_page_at_the_top(&mut self) -> Result<(), Error> {
        let mut every = Every::new(
            "a page at the top of the range comes and goes, each time with other memory",
        );
        let va = self.at(PAGE);
        for number in [0x17, 0x18, 0x17] {
            every.equal("before", load(va.get()), NOT_MAPPED);
            self.add(page(number), va, PAGE)?;
            every.equal("read", load(va.get()), Outcome::Done(content(page(number))));
            every.equal("write", store(va.get(), content(page(number))), STORED);
            every.equal("call", call(va.get()), FORBIDDEN);
            self.agree(&mut every, va.get());
            self.context.remove(va, PAGE)?;
            every.equal("removed", load(va.get()), NOT_MAPPED);
            every.equal("removed, write", store(va.get(), 0), NOT_MAPPED);
            self.agree(&mut every, va.get());
        }
        Ok(())
    }

    fn changes(&mut self) -> Result<(), Error> {
        let mut every = Every::new("a change of attributes is in force at the next access");
        let va = self.at(PAGE);
        // A page with code, which is mapped as data at first.
        let number = CODE[0] + 0x40;
        let source = self.at(0x14 * PAGE).get();
        self.add(page(number), va, PAGE)?;
        for offset in [0, 8] {
            if let Outcome::Done(word) = load(source + offset) {
                every.equal("write", store(va.get() + offset, word), STORED);
            }
        }
        crate::exception_level::synchronize_code();
        for _ in 0..2 {
            self.change(va, PAGE, self.read_only())?;
            every.equal("read-only, read", load(va.get()), Outcome::Done(code(CODE[0])));
            every.equal("read-only, write", store(va.get(), 0), FORBIDDEN);
            every.equal("read-only, call", call(va.get()), FORBIDDEN);
            self.change(va, PAGE, self.code().guarded())?;
            every.equal("guarded, write", store(va.get(), 0), FORBIDDEN);
            every.equal("guarded, call", call(va.get()), Outcome::Done(answer(CODE[0])));
            every.equal(
                "guarded, call behind the landing pad",
                call(va.get() + 4),
                Outcome::BranchTarget,
            );
            self.change(va, PAGE, self.code())?;
            every.equal("code, call", call(va.get()), Outcome::Done(answer(CODE[0])));
            every.equal(
                "code, call behind the landing pad",
                call(va.get() + 4),
                Outcome::Done(answer(CODE[0])),
            );
            self.change(va, PAGE, self.read_write())?;
            every.equal("read-write, call", call(va.get()), FORBIDDEN);
            every.equal("read-write, write", store(va.get(), code(CODE[0])), STORED);
        }
        self.context.remove(va, PAGE)?;
        every.equal("removed, call", call(va.get()), NOT_MAPPED);
        Ok(())
    }

    fn permissions_alone(&mut self) -> Result<(), Error> {
        let mut every =
            Every::new("permissions change over memory of two types, which stay what they are");
        let (va, pages) = (self.at(2 * PAGE), [0x1a, 0x1b]);
        let kinds = [Attributes::read_write(), Attributes::non_cacheable()];
        let address = |index: u64| va.get() + index * PAGE;
        for (index, (number, attributes)) in (0..).zip(pages.into_iter().zip(kinds)) {
            let attributes = attributes.in_pas(self.level.own_pas());
            let at = VirtAddr::new(address(index));
            self.context.add(Region::new(page(number), at, PAGE, attributes))?;
        }
        for (attributes, stored) in
            [(Attributes::read_only(), FORBIDDEN), (Attributes::read_write(), STORED)]
        {
            self.context.change_permissions(va, 2 * PAGE, attributes.permissions())?;
            for (index, number) in (0..).zip(pages) {
                let content = content(page(number));
                every.equal("read", load(address(index)), Outcome::Done(content));
                every.equal("write", store(address(index), content), stored);
                self.agree(&mut every, address(index));
            }
        }
        self.context.remove(va, PAGE)?;
        self.context.remove(VirtAddr::new(address(1)), PAGE)
    }

    /// More pages than are invalidated one by one.
    fn many_pages(&mut self) -> Result<(), Error> {
        let mut every = Every::new("of many pages that are removed none can be accessed");
        let va = self.at(4 * GIB);
        let size = MIB_2 + 3 * PAGE;
        let region = Region::new(MEMORY_2_MIB, va, size, self.read_write());
        let known = [0, 1, 0x80, MIB_2 / PAGE - 1];
        for _ in 0..2 {
            self.context.add(region.with_granularity(Granularity::Page))?;
            for number in known {
                let pa = PhysAddr::new(MEMORY_2_MIB.get() + number * PAGE);
                let read = load(va.get() + number * PAGE);
                every.equal(format_args!("page {number}"), read, Outcome::Done(content(pa)));
            }
            self.context.remove(va, size)?;
            for number in known {
                let read = load(va.get() + number * PAGE);
                let removed = matches!(read, Outcome::Translation(_));
                every.equal(format_args!("page {number} removed"), removed, true);
            }
        }
        Ok(())
    }

    /// Stores to the pages of the range, one of which is now read-only, and reads all of them.
    fn all_but_one(
        &self,
        every: &mut Every<'_>,
        first: (VirtAddr, PhysAddr),
        pages: u64,
        read_only: Option<u64>,
    ) {
        let (va, pa) = first;
        for number in 0..pages {
            let (va, pa) = (va.get() + number * PAGE, PhysAddr::new(pa.get() + number * PAGE));
            let stored = if read_only == Some(number) { FORBIDDEN } else { STORED };
            every.equal(format_args!("page {number}, read"), load(va), Outcome::Done(content(pa)));
            every.equal(format_args!("page {number}, write"), store(va, content(pa)), stored);
            self.agree(every, va + 8);
        }
    }

    fn a_group(&mut self) -> Result<(), Error> {
        let mut every =
            Every::new("one page of a group with the Contiguous hint changes, the others do not");
        let (below, number) = GROUP;
        let (va, pa) = (self.at(below), page(number));
        every.equal("hint", self.context.translate(va)?.contiguous, true);
        self.all_but_one(&mut every, (va, pa), 16, None);
        let one = VirtAddr::new(va.get() + 5 * PAGE);
        self.change(one, PAGE, self.read_only())?;
        every.equal("hint", self.context.translate(va)?.contiguous, false);
        self.all_but_one(&mut every, (va, pa), 16, Some(5));
        self.change(va, 16 * PAGE, self.read_write())?;
        self.all_but_one(&mut every, (va, pa), 16, None);
        Ok(())
    }

    fn a_block(&mut self) -> Result<(), Error> {
        let mut every =
            Every::new("a block of 2 MiB is split by a change of a page, and goes with its table");
        let va = self.at(2 * MIB_2);
        let pages = MIB_2 / PAGE;
        for _ in 0..2 {
            let free = self.context.pool().free();
            every.equal("before", matches!(load(va.get()), Outcome::Translation(_)), true);
            self.add(MEMORY_2_MIB, va, MIB_2)?;
            every.equal("level", self.context.translate(va)?.level, Level::Two);
            let whole = self.context.pool().free();
            self.all_but_one(&mut every, (va, MEMORY_2_MIB), pages, None);
            every.equal("call", call(va.get()), Outcome::Permission(2));
            let one = VirtAddr::new(va.get() + 0x100 * PAGE);
            self.change(one, PAGE, self.read_only())?;
            every.equal("level", self.context.translate(va)?.level, Level::Three);
            every.equal("tables of the split", whole - self.context.pool().free(), 1);
            self.all_but_one(&mut every, (va, MEMORY_2_MIB), pages, Some(0x100));
            self.context.remove(va, MIB_2)?;
            every.equal("free tables", self.context.pool().free(), free);
            for number in [0, 0xff, 0x100, 0x101, pages - 1] {
                let address = va.get() + number * PAGE;
                let removed = matches!(load(address), Outcome::Translation(_));
                every.equal(format_args!("page {number} removed"), removed, true);
                self.agree(&mut every, address);
            }
        }
        Ok(())
    }

    fn a_gib(&mut self) -> Result<(), Error> {
        let mut every =
            Every::new("a block of 1 GiB is split by a change of 2 MiB, and goes with its table");
        let va = self.at(4 * GIB);
        let places = [0, MIB_2, 2 * MIB_2, GIB - PAGE];
        let address = |offset: u64| va.get() + offset;
        let contents =
            places.map(|offset| Outcome::Done(content(PhysAddr::new(MEMORY_GIB.get() + offset))));
        self.add(MEMORY_GIB, va, GIB)?;
        every.equal("level", self.context.translate(va)?.level, Level::One);
        every.equal("read", places.map(|offset| load(address(offset))), contents);
        every.equal("call", call(va.get()), Outcome::Permission(1));
        self.change(VirtAddr::new(address(MIB_2)), MIB_2, self.read_only())?;
        every.equal("read after the change", places.map(|offset| load(address(offset))), contents);
        let stored = places.map(|offset| {
            store(address(offset), content(PhysAddr::new(MEMORY_GIB.get() + offset)))
        });
        every.equal("write", stored, [STORED, Outcome::Permission(2), STORED, STORED]);
        for offset in places {
            self.agree(&mut every, address(offset));
        }
        self.context.remove(va, GIB)?;
        for offset in places {
            every.equal("removed", matches!(load(address(offset)), Outcome::Translation(_)), true);
        }
        Ok(())
    }

    fn nested_granularity(&mut self) -> Result<(), Error> {
        let mut every = Every::new(
            "a region of page granularity is mapped by pages, without the hint, and changed by pages",
        );
        let va = self.at(4 * GIB);
        let region = Region::new(MEMORY_2_MIB, va, MIB_2, self.read_write());
        self.context.add(region.with_granularity(Granularity::Page))?;
        let free = self.context.pool().free();
        let translation = self.context.translate(va)?;
        every.equal(
            "level and hint",
            (translation.level, translation.contiguous),
            (Level::Three, false),
        );
        let one = VirtAddr::new(va.get() + 7 * PAGE);
        self.change(one, PAGE, self.read_only())?;
        every.equal("free tables", self.context.pool().free(), free);
        self.all_but_one(&mut every, (va, MEMORY_2_MIB), 16, Some(7));
        self.context.remove(va, MIB_2)
    }

    fn the_largest_block(&mut self) -> Result<(), Error> {
        let mut every = Every::new("the walker takes a block of 512 GiB");
        let va = self.at(4 * GIB_512);
        self.add(PhysAddr::new(GIB_512), va, GIB_512)?;
        every.equal("level", self.context.translate(va)?.level, Level::Zero);
        for offset in [0, 0x1234_5678_9000, GIB_512 - PAGE].map(|offset| offset & (GIB_512 - 1)) {
            self.agree(&mut every, va.get() + offset);
        }
        self.context.remove(va, GIB_512)?;
        self.agree(&mut every, va.get());
        Ok(())
    }

    fn the_highest_physical_address(&mut self) -> Result<(), Error> {
        let mut every = Every::new("the walker finds the highest physical address");
        let va = self.at(PAGE);
        let highest = self.context.space().max_pa().get() & !(PAGE - 1);
        self.add(PhysAddr::new(highest), va, PAGE)?;
        every.equal("physical address", self.context.translate(va)?.pa, PhysAddr::new(highest));
        self.agree(&mut every, va.get());
        self.context.remove(va, PAGE)
    }
}
