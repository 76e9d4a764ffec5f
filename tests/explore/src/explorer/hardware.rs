// SPDX-License-Identifier: BSD-3-Clause
//! What is around the RMM on a CPU: TLBs, and a Realm that does one thing.

use std::cell::RefCell;
use std::rc::Rc;

use kit::stage2::tlb::Tlb;
use rmm::host::{Event, observe, preset_register, set_realm};

use crate::letters::Act;
use crate::machine::{SeamFault, el3};

const VECTOR_SYNCHRONOUS: u64 = 0;
const VECTOR_IRQ: u64 = 1;
const VECTOR_FIQ: u64 = 2;
const VECTOR_SERROR: u64 = 3;

/// Tells TLBs what this thread does, which is CPU number `cpu`.
pub(super) fn observe_tlb(tlb: Rc<RefCell<Tlb>>, cpu: usize, fault: SeamFault) {
    observe(Some(Box::new(move |event: &Event| {
        if let (SeamFault::TlbDeaf(deaf), Event::Instruction(text, _)) = (fault, event)
            && deaf == *text
        {
            return;
        }
        if let Event::Smc([el3::UNDELEGATE, granule, ..]) = event {
            assert!(!tlb.borrow().reaches(*granule), "TLBs reach what goes back to the host");
        }
        tlb.borrow_mut().observe_on(cpu, event);
    })));
}

/// From now on the Realm does this when it runs, and then an IRQ ends its run.
pub(super) fn perform(act: Act) {
    const IL: u64 = 1 << 25;
    let mut acted = false;
    set_realm(move |registers| {
        if std::mem::replace(&mut acted, true) {
            return VECTOR_IRQ;
        }
        if let Some(call) = act.call() {
            registers.gprs[..call.len()].copy_from_slice(&call);
            preset_register("ESR_EL2", 0x17 << 26 | IL);
            return VECTOR_SYNCHRONOUS;
        }
        let (esr, ipa) = match act {
            Act::Fiq => return VECTOR_FIQ,
            Act::SError => {
                preset_register("ESR_EL2", 0x2f << 26 | IL | 0x11);
                return VECTOR_SERROR;
            }
            Act::Wfi => (0x01 << 26 | IL, 0),
            Act::Hvc => (0x16 << 26 | IL, 0),
            // ICC_SGI1R_EL1, written from X3.
            Act::InterruptController => (0x18 << 26 | IL | 0x003a_3016 | 3 << 5, 0),
            // A translation fault at level 3; read of four bytes into X5.
            Act::Access(ipa, true) => (0x24 << 26 | IL | 1 << 24 | 2 << 22 | 5 << 16 | 7, ipa),
            Act::Access(ipa, false) => (0x24 << 26 | IL | 7, ipa),
            Act::Fetch(ipa) => (0x20 << 26 | IL | 7, ipa),
            _ => return VECTOR_IRQ,
        };
        preset_register("ESR_EL2", esr);
        preset_register("FAR_EL2", ipa);
        preset_register("HPFAR_EL2", ipa >> 8);
        VECTOR_SYNCHRONOUS
    });
}
