// SPDX-License-Identifier: BSD-3-Clause
//! From every state the host has all its granules back by calls.

use super::*;

impl Explorer {
    /// Takes everything down by calls, and finds every granule back with the host.
    pub(super) fn take_down(&mut self, spec: &Spec) -> Result<(), String> {
        self.machine.world.refuses.set(false);
        preset_register("ISR_EL1", 0);
        for (handle, operation) in &spec.operations {
            self.end_operation(*handle, Some(operation))?;
        }
        for letter in check::taking_down(spec) {
            let answer = self.machine.call(0, plain_registers(&letter))?;
            match answer[0] & 0xff {
                0 => {}
                INCOMPLETE => self.end_operation(answer[1], None)?,
                _ => return Err(format!("{} answers {:#x}", self.describe(&letter), answer[0])),
            }
        }
        for index in 0..self.machine.granules() {
            let word = self.machine.word(index);
            let is_back = state_of(word) == State::Ns
                && references(word) == 0
                && self.machine.world.pas(index) != kit::el3::Pas::Realm;
            let page = self.machine.world.page(index);
            if !is_back || spec.model.state(address(index)) != Some(State::Ns) && page.0 != [0; 512]
            {
                let secure = spec.model.state(address(index)).is_none();
                if !secure {
                    return Err(format!("granule {index} is not back, or not empty"));
                }
            }
        }
        match self.configuration.vmids.iter().find(|vmid| self.machine.has_vmid(**vmid)) {
            Some(vmid) => Err(format!("VMID {vmid} is not free again")),
            None => Ok(()),
        }
    }

    /// Ends an operation, and takes back what it holds.
    fn end_operation(&mut self, handle: u64, known: Option<&Operation>) -> Result<(), String> {
        self.written = None;
        let letters = stateful::ending(handle, known);
        let is_last = |index| index + 1 == letters.len();
        for (index, letter) in letters.iter().enumerate() {
            let answer = self.machine.call(0, plain_registers(letter))?;
            let has_ended = answer[0] & 0xff != INCOMPLETE;
            if is_last(index) != has_ended {
                return Err(format!("{} answers {:#x}", self.describe(letter), answer[0]));
            }
        }
        Ok(())
    }
}
