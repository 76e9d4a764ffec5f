# SPDX-License-Identifier: BSD-3-Clause
"""Commands of gdb for a machine that runs the RMM; `make debug` loads them.

rmm-load ELF [ADDRESS]  loads symbols where EL3 has put the image; without ADDRESS it asks QEMU
rmm-tables              the live translation tables of this CPU, a line for each run of addresses
rmm-slots               which slots of this CPU are mapped, and what they show
rmm-granule ADDRESS     the record of the granule at a physical address
rmm-granules            how many granules there are in each state, and those that are in use

What the image defines (states, slots, layouts of structures and words) is read from its debug
information. Written down here is only what the architecture defines: the registers of translation
and the descriptors (Arm ARM D8.3). Memory is read by its physical address, as QEMU offers it.
"""

import re
import struct

import gdb

PAGE = 4096
FIRST_BYTES = 64


class Image:
    """The image that symbols are loaded of."""

    base = None


def physical(address, size):
    """Reads physical memory, whatever the CPU has mapped."""
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)


def register(name):
    return int(gdb.parse_and_eval("$" + name)) & (2**64 - 1)


def symbol(name):
    """A static of the image, by its Rust path."""
    if Image.base is None:
        raise gdb.GdbError("no symbols: rmm-load comes first")
    found = gdb.lookup_static_symbol(name) or gdb.lookup_global_symbol(name)
    if found is None:
        raise gdb.GdbError(f"the debug information has no {name}")
    return found.value()


def variants(name):
    """The variants of an enum of the image, as pairs of name and number."""
    kind = gdb.lookup_type(name)
    return [(field.name.rpartition("::")[2], field.enumval) for field in kind.fields()]


def inner(value, field):
    """The field `field` of a structure inside wrappers that have one interesting field each."""
    names = [part.name for part in value.type.fields()]
    if field in names:
        return value[field]
    for name in ("data", "value", "__0", "0", "v", "rmm"):
        if name in names:
            return inner(value[name], field)
    raise gdb.GdbError(f"no {field} in {value.type}")


def number(value):
    """The integer inside wrappers."""
    while value.type.strip_typedefs().code != gdb.TYPE_CODE_INT:
        names = [part.name for part in value.type.fields()]
        name = next((name for name in ("value", "v", "__0", "0") if name in names), None)
        if name is None:
            raise gdb.GdbError(f"no number in {value.type}")
        value = value[name]
    return int(value)


def require_rmm():
    """This CPU's registers are the RMM's own only while it is in the RMM."""
    if Image.base is None:
        raise gdb.GdbError("no symbols: rmm-load comes first")
    end = int(gdb.parse_and_eval("(unsigned long)&__image_end"))
    if not Image.base <= register("VBAR_EL2") < end:
        raise gdb.GdbError("this CPU is not in the RMM now: stop it at a function of the RMM")


class Command(gdb.Command):
    """A command, named by the first words of its class's documentation.

    Rust paths are evaluated as C expressions, since C has a cast for every type.
    """

    def __init__(self, name):
        self.name = name
        super().__init__(name, gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        language = gdb.parameter("language")
        gdb.execute("set language c", to_string=True)
        try:
            self.run(gdb.string_to_argv(argument))
        finally:
            gdb.execute(f"set language {language}", to_string=True)


class Load(Command):
    """rmm-load ELF [ADDRESS]: loads the symbols of the image where EL3 has put it."""

    def run(self, arguments):
        if not 1 <= len(arguments) <= 2:
            raise gdb.GdbError(self.__doc__)
        elf = arguments[0]
        with open(re.sub(r"\.elf$", "", elf) + ".bin", "rb") as flat:
            beginning = flat.read(FIRST_BYTES)
        if len(arguments) == 2:
            places = [int(gdb.parse_and_eval(arguments[1]))]
        else:
            listed = gdb.execute("monitor info roms", to_string=True)
            places = [int(place, 16) for place in re.findall(r"^addr=([0-9a-f]+)", listed, re.M)]
        base = next((place for place in places if physical(place, FIRST_BYTES) == beginning), None)
        if base is None:
            raise gdb.GdbError(f"the code of {elf} is at none of these addresses: {[hex(place) for place in places]}")
        gdb.execute(f"add-symbol-file {elf} -o {base:#x}", to_string=True)
        Image.base = base
        print(f"image at {base:#x}")


class Leaf:
    """A descriptor that maps a block or a page."""

    def __init__(self, raw, va, size, mair):
        self.va, self.size, self.raw = va, size, raw
        self.pa = raw & 0x0000_FFFF_FFFF_F000 & ~(size - 1)
        memory = mair >> 8 * (raw >> 2 & 7) & 0xFF
        words = ["normal" if memory == 0xFF else "device" if memory & 0xF0 == 0 else f"MAIR {memory:#x}"]
        words.append("ro" if raw >> 7 & 1 else "rw")
        words.append("xn" if raw >> 53 & 1 else "x")
        words += ["guarded"] * (raw >> 50 & 1)
        words.append("non-secure" if raw >> 5 & 1 else "realm")
        words.append(("not shared", "reserved", "outer", "inner")[raw >> 8 & 3])
        words += ["user"] * (raw >> 6 & 1)
        words += ["non-global"] * (raw >> 11 & 1)
        words += ["transient"] * (raw >> 55 & 1)
        self.words = " ".join(words)


class Range:
    """One of the two VA ranges of the EL2&0 regime, with the 4 KiB granule (Arm ARM D8.2)."""

    def __init__(self, upper):
        tcr = register("TCR_EL2")
        self.upper = upper
        self.bits = 64 - (tcr >> (16 if upper else 0) & 0x3F)
        self.base = 2**64 - 2**self.bits if upper else 0
        self.disabled = bool(tcr >> (23 if upper else 7) & 1)
        granule = tcr >> (30 if upper else 14) & 3
        if granule != (2 if upper else 0):
            raise gdb.GdbError("the translation granule is not 4 KiB")
        if tcr >> 59 & 1:
            raise gdb.GdbError("descriptors of 52 bits (TCR.DS) are not decoded")
        self.root = register("TTBR1_EL2" if upper else "TTBR0_EL2") & 0x0000_FFFF_FFFF_FFFE
        self.mair = register("MAIR_EL2")

    def leaves(self):
        """Every valid leaf, ascending."""
        if self.disabled:
            return
        level = 4 - -(-(self.bits - 12) // 9)
        yield from self.walk(self.root, level, self.base)

    def walk(self, table, level, va):
        size = 1 << 39 - 9 * level
        entries = min(512, 2**self.bits // size)
        for index, raw in enumerate(struct.unpack(f"<{entries}Q", physical(table, 8 * entries))):
            at = va + index * size
            if not raw & 1:
                continue
            if level < 3 and raw & 2:
                yield from self.walk(raw & 0x0000_FFFF_FFFF_F000, level + 1, at)
            else:
                yield Leaf(raw, at, size, self.mair)


class Tables(Command):
    """rmm-tables: the live translation tables of this CPU, TTBR0_EL2 and TTBR1_EL2."""

    def run(self, _):
        require_rmm()
        for upper in (False, True):
            tables = Range(upper)
            name = "TTBR1_EL2, high" if upper else "TTBR0_EL2, low"
            print(f"{name} VA range, {tables.bits} bits, root {tables.root:#x}{', disabled' * tables.disabled}")
            run = None
            for leaf in tables.leaves():
                follows = run and (run.va + run.size, run.pa + run.size, run.words)
                if follows and follows == (leaf.va, leaf.pa, leaf.words):
                    run.size += leaf.size
                    continue
                self.tell(run)
                run = leaf
            self.tell(run)

    @staticmethod
    def tell(run):
        if run:
            print(f"{run.va:#018x}-{run.va + run.size - 1:#018x} -> {run.pa:#018x} {run.words}")


class Slots(Command):
    """rmm-slots: the slots of this CPU that are mapped, and the granules that they show."""

    def run(self, _):
        require_rmm()
        base = number(symbol("rmm::mem::slot_layout::DEBUGGER_BASE"))
        slots = sorted(variants("rmm::mem::slot_layout::SlotIndex"), key=lambda slot: slot[1])
        mapped = {leaf.va: leaf for leaf in Range(True).leaves() if leaf.va >= base}
        for leaf in mapped.values():
            page = (leaf.va - base) // PAGE
            name, first = [slot for slot in slots if slot[1] <= page][-1]
            name += f" + {page - first}" if page > first else ""
            record = granules().find(leaf.pa)
            print(f"{leaf.va:#018x} {name}: {leaf.pa:#x} {leaf.words}; {record or 'no granule is known there'}")
        count = slots[-1][1] + 1
        print(f"{len(mapped)} of {count} slots mapped")


class Granules:
    """The granule array, as the RMM has it."""

    def __init__(self):
        table = inner(symbol("rmm::boot::handover::BOOTED"), "granules")
        bits = symbol("rmm::granule::lock::DEBUGGER_BITS")
        self.bits = {field.name: int(bits[field.name]) for field in bits.type.fields()}
        self.states = dict((value, name) for name, value in variants("rmm::granule::state::State"))
        self.banks = []
        banks = table["banks"]
        for index in range(int(banks["len"])):
            base = inner(banks["xs"][index], "base")
            entries = inner(banks["xs"][index], "entries")
            self.banks.append((int(base), int(entries["data_ptr"]), int(entries["length"])))

    def field(self, word, name):
        mask = self.bits[name]
        return (word & mask) // (mask & -mask)

    def is_ns(self, word):
        """Whether a granule is Non-secure, unlocked and unreferenced, whether it has answered or not."""
        return word & ~self.bits["answered"] == 0

    def state(self, word):
        if self.is_ns(word):
            return "Ns"
        value = self.field(word, "state")
        return self.states.get(value, f"state {value}")

    def describe(self, word):
        text = self.state(word) + (", locked" if self.field(word, "locked") else ", unlocked")
        text += ", contended" if self.field(word, "contended") else ""
        return f"{text}, {self.field(word, 'references')} references"

    def find(self, address):
        """The record of the granule at `address` in words, None if there is none."""
        for base, entries, count in self.banks:
            index = (address - base) // PAGE
            if 0 <= index < count:
                # The RMM's memory is flat-mapped.
                return self.describe(struct.unpack("<H", physical(entries + 2 * index, 2))[0])
        return None


def granules():
    return Granules()


class OneGranule(Command):
    """rmm-granule ADDRESS: state, lock and references of the granule at a physical address."""

    def run(self, arguments):
        if len(arguments) != 1:
            raise gdb.GdbError(self.__doc__)
        address = int(gdb.parse_and_eval(arguments[0])) & (2**64 - 1)
        print(f"{address:#x}: {granules().find(address) or 'no granule is known there'}")


class AllGranules(Command):
    """rmm-granules: how many granules are in each state, and runs of those in use.

    In use are all but those that are Non-secure, unlocked and unreferenced.
    """

    LONGEST = 40

    def run(self, _):
        table = granules()
        totals = {}
        runs = []
        for base, entries, count in table.banks:
            print(f"bank {base:#x}-{base + count * PAGE - 1:#x}, {count} granules")
            words = struct.unpack(f"<{count}H", physical(entries, 2 * count))
            for index, word in enumerate(words):
                totals[table.state(word)] = totals.get(table.state(word), 0) + 1
                if table.is_ns(word):
                    continue
                address = base + index * PAGE
                if runs and runs[-1][1] == address and runs[-1][2] == word:
                    runs[-1][1] = address + PAGE
                else:
                    runs.append([address, address + PAGE, word])
        print("; ".join(f"{name} {total}" for name, total in totals.items()))
        for first, end, word in runs[: self.LONGEST]:
            print(f"{first:#x}-{end - 1:#x}: {table.describe(word)}")
        if len(runs) > self.LONGEST:
            print(f"and {len(runs) - self.LONGEST} more runs")


Load("rmm-load")
Tables("rmm-tables")
Slots("rmm-slots")
OneGranule("rmm-granule")
AllGranules("rmm-granules")
