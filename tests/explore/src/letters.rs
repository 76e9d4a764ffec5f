// SPDX-License-Identifier: BSD-3-Clause
//! What can happen next: a call of the host, with what it has written before, and what the Realm
//! does if the call runs it.

use rmm::mem::AUXILIARY;
use rmm::psci;
use rmm::rmi::{function, v1, v2};
use rmm::rsi;
use rmm_abi::{psci as psci_abi, rsi as rsi_abi};

use crate::machine::address;
use crate::spec::PARAMETERS;

/// What a Realm does when it runs. Then an IRQ ends its run, if it goes on at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Nothing.
    Interrupted,
    /// An FIQ comes.
    Fiq,
    /// An SError comes.
    SError,
    /// WFI.
    Wfi,
    /// HVC.
    Hvc,
    /// An access to a register of the interrupt controller.
    InterruptController,
    /// An access that faults at this IPA; whether the host could emulate it.
    Access(u64, bool),
    /// An instruction fetch that faults at this IPA.
    Fetch(u64),
    /// RSI_HOST_CALL, with its structure at this IPA.
    HostCall(u64),
    /// RSI_IPA_STATE_SET: base, top, RIPAS, flags.
    SetRipas([u64; 4]),
    /// RSI_IPA_STATE_GET: base, top.
    GetRipas(u64, u64),
    /// RSI_REALM_CONFIG, to this IPA.
    Config(u64),
    /// RSI_MEASUREMENT_EXTEND.
    Extend,
    /// PSCI CPU_ON of this MPIDR, at this entry.
    CpuOn(u64, u64),
    /// PSCI AFFINITY_INFO of this MPIDR.
    Affinity(u64),
    /// PSCI CPU_OFF.
    CpuOff,
    /// PSCI CPU_SUSPEND.
    Suspend,
    /// PSCI SYSTEM_OFF.
    SystemOff,
    /// A function that there is not.
    NoFunction,
}

impl Act {
    /// X0 and up of the call that it is, if it is one.
    pub fn call(self) -> Option<[u64; 5]> {
        use psci_abi::function as psci;
        use rsi_abi::function as rsi;
        let (function, arguments): (u32, &[u64]) = match self {
            Self::HostCall(ipa) => (rsi::HOST_CALL, &[ipa]),
            Self::SetRipas(arguments) => (rsi::IPA_STATE_SET, &arguments.clone()),
            Self::GetRipas(base, top) => (rsi::IPA_STATE_GET, &[base, top]),
            Self::Config(ipa) => (rsi::REALM_CONFIG, &[ipa]),
            Self::Extend => (rsi::MEASUREMENT_EXTEND, &[1, 8, 7]),
            Self::CpuOn(target, entry) => (psci::CPU_ON_64, &[target, entry, 5]),
            Self::Affinity(target) => (psci::AFFINITY_INFO_64, &[target, 0]),
            Self::CpuOff => (psci::CPU_OFF, &[]),
            Self::Suspend => (psci::CPU_SUSPEND_64, &[0, 0, 0]),
            Self::SystemOff => (psci::SYSTEM_OFF, &[]),
            Self::NoFunction => (0xC400_01AF, &[]),
            _ => return None,
        };
        let mut registers = [0; 5];
        registers[0] = function.into();
        registers[1..=arguments.len()].copy_from_slice(arguments);
        Some(registers)
    }
}

/// What the host has in the page that a call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostPage {
    /// Marks, and lists of granules (RMI 2.0).
    Marks,
    /// Nothing but marks, which a Realm is given as data (RMI 2.0).
    Data,
    /// Whatever is there: the call names the page, and does not read it.
    Unread,
    /// RmiRealmParams: the root table, the VMID, the level of the root table.
    Realm(u64, u16, i64),
    /// RmiRecParams: MPIDR, flags, the first auxiliary granule, and how many there are.
    Rec(u64, u64, u64, u64),
    /// RmiRecRun: the flags.
    Run(u64),
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Letter {
    /// The function identifier.
    pub function: u32,
    /// x1 to x5.
    pub arguments: [u64; 5],
    /// What the host has written before.
    pub page: HostPage,
    /// Whether an interrupt of the host is pending.
    pub interrupt: bool,
    /// Whether EL3 refuses what the RMM asks it for.
    pub refused: bool,
    /// What the Realm does.
    pub act: Act,
}

impl Letter {
    /// A plain call.
    pub fn call(function: u32, arguments: &[u64]) -> Self {
        let mut all = [0; 5];
        all[..arguments.len()].copy_from_slice(arguments);
        Self {
            function,
            arguments: all,
            page: HostPage::Marks,
            interrupt: false,
            refused: false,
            act: Act::Interrupted,
        }
    }

    /// The addresses that it names, in order.
    pub fn addresses(&self) -> Vec<u64> {
        let mut addresses = self.arguments.to_vec();
        match self.page {
            HostPage::Realm(root, ..) => addresses.push(root),
            HostPage::Rec(_, _, first, _) => addresses.push(first),
            HostPage::Marks | HostPage::Data | HostPage::Unread | HostPage::Run(_) => {}
        }
        if self.is_range() {
            // The end of a range is not named by it.
            addresses[1] = 0;
        }
        addresses
    }

    fn is_range(&self) -> bool {
        [function::GRANULE_RANGE_DELEGATE, function::GRANULE_RANGE_UNDELEGATE]
            .contains(&self.function)
    }

    /// The same with other addresses.
    pub fn renamed(&self, mut rename: impl FnMut(u64) -> u64) -> Self {
        let mut arguments = self.arguments;
        let size = arguments[1].wrapping_sub(arguments[0]);
        arguments.iter_mut().for_each(|argument| *argument = rename(*argument));
        if self.is_range() {
            arguments[1] = arguments[0].wrapping_add(size);
        }
        let page = match self.page {
            HostPage::Realm(root, vmid, level) => HostPage::Realm(rename(root), vmid, level),
            other => other,
        };
        Self { arguments, page, ..*self }
    }

    /// Whether what comes of it depends on what is in the host's page for it.
    pub fn uses_page(&self) -> bool {
        match self.page {
            HostPage::Unread => false,
            HostPage::Marks => self.addresses().contains(&address(PARAMETERS)),
            HostPage::Data | HostPage::Realm(..) | HostPage::Rec(..) | HostPage::Run(_) => true,
        }
    }

    /// The letter as a step of a path. `name` gives the name of a granule.
    pub fn describe(&self, name: &dyn Fn(u64) -> String) -> String {
        let commands = v1::COMMANDS.iter().chain(v2::COMMANDS);
        let row = commands.into_iter().find(|row| row.function == self.function);
        let mut text = row.map_or_else(|| format!("{:#x}", self.function), |row| row.name.into());
        let arguments = row.map_or(&[][..], |row| row.arguments);
        for ((argument, _), value) in arguments.iter().zip(self.arguments) {
            text += &format!(" {argument}={}", name(value));
        }
        match self.page {
            HostPage::Marks | HostPage::Data | HostPage::Unread => {}
            HostPage::Realm(root, vmid, level) => {
                text += &format!(" with root {} at level {level}, VMID {vmid}", name(root));
            }
            HostPage::Rec(mpidr, flags, first, count) => {
                let first = name(first);
                text += &format!(" with MPIDR {mpidr}, flags {flags}, {count} from {first}");
            }
            HostPage::Run(flags) => text += &format!(" with flags {flags:#x}"),
        }
        if self.function == function::REC_ENTER {
            text += &format!(", the Realm: {:x?}", self.act);
        }
        if self.interrupt {
            text += ", an interrupt is pending";
        }
        if self.refused {
            text += ", EL3 refuses";
        }
        text
    }
}

/// The names of the functions that a Realm can call and does not, in any [`Act`].
pub fn realm_functions_left_out() -> Vec<String> {
    let tried = [
        rsi_abi::function::HOST_CALL,
        rsi_abi::function::IPA_STATE_SET,
        rsi_abi::function::IPA_STATE_GET,
        rsi_abi::function::REALM_CONFIG,
        rsi_abi::function::MEASUREMENT_EXTEND,
        psci_abi::function::CPU_ON_64,
        psci_abi::function::AFFINITY_INFO_64,
        psci_abi::function::CPU_OFF,
        psci_abi::function::CPU_SUSPEND_64,
        psci_abi::function::SYSTEM_OFF,
    ];
    let rows = rsi::COMMANDS.iter().chain(psci::TABLES.into_iter().flatten());
    rows.filter(|row| !tried.contains(&row.function)).map(|row| format!("{row:?}")).collect()
}

/// How many auxiliary granules a REC takes.
pub const AUX: u64 = AUXILIARY as u64;
