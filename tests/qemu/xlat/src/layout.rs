// SPDX-License-Identifier: BSD-3-Clause
//! The addresses of the image, of the test memory with its content, and of the tested parts of a
//! context.

use core::ops::Range;

use rmm::address::{PhysAddr, VirtAddr};
use rmm::xlat::{AddressSpace, Attributes, ContextBuilder, DataAccess, Error, Regime, Region};

use crate::exception_level::{ExceptionLevel, synchronize_code};
use crate::probe::Outcome;

/// Bytes of a page.
pub const PAGE: u64 = 0x1000;
/// A block at level 2.
pub const MIB_2: u64 = 0x20_0000;
/// A block at level 1.
pub const GIB: u64 = 0x4000_0000;
/// A block at level 0.
pub const GIB_512: u64 = 0x80_0000_0000;

/// Test memory: pages, then two blocks. Physical, 2 GiB above the image.
const MEMORY: u64 = 0x8000_0000;
/// The number of pages in it.
const PAGES: u64 = 0x80;
/// A part of the size of a block.
pub const MEMORY_2_MIB: PhysAddr = PhysAddr::new(MEMORY + MIB_2);
/// The last GiB of the machine's memory.
pub const MEMORY_GIB: PhysAddr = PhysAddr::new(0xc000_0000);
/// The identification registers of the UART, which always read the same.
pub const DEVICE: PhysAddr = PhysAddr::new(0x0900_0000);
/// Offset of the first of them.
pub const DEVICE_WORD: u64 = 0xfe0;

/// Page `number` of the test memory.
pub const fn page(number: u64) -> PhysAddr {
    assert!(number < PAGES);
    PhysAddr::new(MEMORY + number * PAGE)
}

/// The pages that hold code.
pub const CODE: [u64; 3] = [2, 3, 6];

/// The first word of a page of test memory.
pub const fn content(pa: PhysAddr) -> u64 {
    pa.get() ^ 0x5eed_0000_0000_0000
}

/// The result of the code in a page.
pub const fn answer(number: u64) -> u64 {
    0x40 + number
}

/// The first word of a page with code: BTI C, and MOVZ X0 with its result. RET follows.
pub const fn code(number: u64) -> u64 {
    0xd280_0000_d503_245f | answer(number) << (32 + 5)
}

/// Fills the test memory, which is mapped flat, with [`content`] and [`code`].
pub fn plant() {
    let write = |address: u64, value: u64| {
        // SAFETY: test memory, in which Rust keeps nothing and which the ground maps flat.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<u64>(rmm::address::native(address))
                .write_volatile(value)
        };
    };
    let pages = (0..PAGES).map(|number| page(number).get());
    let block = (0..MIB_2 / PAGE).map(|number| MEMORY_2_MIB.get() + number * PAGE);
    let gib = [0, MIB_2, 2 * MIB_2, GIB - PAGE].map(|offset| MEMORY_GIB.get() + offset);
    for pa in pages.chain(block).chain(gib) {
        write(pa, content(PhysAddr::new(pa)));
    }
    for number in CODE {
        write(page(number).get(), code(number));
        write(page(number).get() + 8, 0xd65f_03c0);
    }
    synchronize_code();
}

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __bss_end: u8;
}

/// Maps the image flat: code, constants, and everything that is written.
pub fn add_image<R: Regime>(
    builder: &mut ContextBuilder<'_, R>,
    level: ExceptionLevel,
) -> Result<(), Error> {
    let address = |symbol: *const u8| symbol.addr() as u64;
    let [text, rodata, data, end] = [
        &raw const __text_start,
        &raw const __text_end,
        &raw const __rodata_end,
        &raw const __bss_end,
    ]
    .map(address);
    let mut add = |range: Range<u64>, attributes: Attributes| {
        builder.add_static(Region::flat(
            PhysAddr::new(range.start),
            range.end - range.start,
            attributes.in_pas(level.own_pas()),
        ))
    };
    add(text..rodata, Attributes::code())?;
    add(rodata..data, Attributes::read_only())?;
    add(data..end, Attributes::read_write())
}

/// A kind of page, with the expected results of a read, a write and a call.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Bytes below the top of the range.
    pub below_top: u64,
    /// Its physical address.
    pub pa: PhysAddr,
    /// The attributes of its mapping.
    pub attributes: Attributes,
    /// Offset of the word that is read and written.
    pub word: u64,
    /// Whether it can be written.
    pub writable: bool,
    /// The result of a call.
    pub call: Outcome,
}

const NOT_EXECUTABLE: Outcome = Outcome::Permission(3);

/// The kinds of pages at a level.
pub fn kinds(level: ExceptionLevel) -> impl Iterator<Item = Kind> {
    let data = move |name, number, attributes: Attributes| Kind {
        name,
        below_top: (0x10 + 2 * number) * PAGE,
        pa: page(number),
        attributes: attributes.in_pas(level.own_pas()),
        word: 0,
        writable: true,
        call: NOT_EXECUTABLE,
    };
    let read_only = |kind: Kind| Kind { writable: false, ..kind };
    let code = move |name, number, attributes| Kind {
        writable: false,
        call: Outcome::Done(answer(number)),
        ..data(name, number, attributes)
    };
    // The UART is only read.
    let registers = Attributes { access: DataAccess::ReadOnly, ..Attributes::device() };
    let everywhere = [
        read_only(data("read-only", 0, Attributes::read_only())),
        data("read-write", 1, Attributes::read_write()),
        code("code", CODE[0], Attributes::code()),
        code("guarded code", CODE[1], Attributes::code().guarded()),
        data("non-cacheable", 4, Attributes::non_cacheable()),
        read_only(Kind { pa: DEVICE, word: DEVICE_WORD, ..data("device", 5, registers) }),
    ];
    let with_el0 = [
        Kind { call: NOT_EXECUTABLE, ..code("code of EL0", CODE[2], Attributes::code().user()) },
        data("non-global", 7, Attributes::read_write().non_global()),
    ];
    let elsewhere = (8..).zip(level.other_pas()).map(move |(number, &pas)| {
        let kind = data("in another physical address space", number, Attributes::read_write());
        Kind { attributes: kind.attributes.in_pas(pas), ..kind }
    });
    everywhere
        .into_iter()
        .chain(with_el0.into_iter().filter(move |_| level.has_el0()))
        .chain(elsewhere)
}

/// Transient pages: bytes below the end of the range, and their number.
pub const TRANSIENT: (u64, u64) = (0xa000, 8);
/// Sixteen pages that can have the Contiguous hint: bytes below the end of the range, and the
/// number of the first page.
pub const GROUP: (u64, u64) = (0x4_0000, 0x20);

/// The address `bytes` below the end of a range.
pub fn below_top(space: &AddressSpace, bytes: u64) -> VirtAddr {
    // The end of a High VA range is 2^64, which is 0 here.
    let end = space.base().get().wrapping_add(1 << space.address_bits());
    VirtAddr::new(end.wrapping_sub(bytes))
}

/// Adds the static regions that [`crate::session`] tests.
pub fn add_tested<R: Regime>(
    builder: &mut ContextBuilder<'_, R>,
    level: ExceptionLevel,
) -> Result<(), Error> {
    let space = *builder.space();
    for kind in kinds(level) {
        builder.add_static(Region::new(
            kind.pa,
            below_top(&space, kind.below_top),
            PAGE,
            kind.attributes,
        ))?;
    }
    let (group, first) = GROUP;
    let group = below_top(&space, group);
    builder.add_static(Region::new(
        page(first),
        group,
        16 * PAGE,
        Attributes::read_write().in_pas(level.own_pas()),
    ))?;
    let (transient, pages) = TRANSIENT;
    builder.add_static(Region::transient(below_top(&space, transient), pages * PAGE))
}
