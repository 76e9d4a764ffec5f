// SPDX-License-Identifier: BSD-3-Clause
//! A Linux guest: its device tree, the addresses of its parts, and the machine that runs it.

pub mod attestation;
pub mod session;
pub mod test;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use vm_fdt::{FdtReserveEntry, FdtWriter};

use crate::qemu::{HOST_ADDRESS, loader, machine_options, semihosting_options};

/// DRAM of the machine in GiB.
const MEMORY_GIB: u32 = 3;
/// The addresses at which QEMU loads the parts for the monitor, at the same distances as in the
/// guest.
const KERNEL: u64 = 0x8000_0000;
const INITRD: u64 = 0x8800_0000;
const DTB: u64 = 0x8c00_0000;
/// The first address of the memory for Realms.
const POOL: u64 = 0x9000_0000;
/// The first IPA of the guest's RAM.
const RAM: u64 = 0x8000_0000;
/// The guest's devices, in the protected half. Since their RIPAS is EMPTY, Linux uses the other
/// half.
const DISTRIBUTOR: u64 = 0x0800_0000;
const REDISTRIBUTORS: u64 = 0x080a_0000;
const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;
const PL011: u64 = 0x0900_0000;
const VIRTIO: u64 = 0x0a00_0000;

/// The version of the RMI. It follows from the version of the RMM-EL3 interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rmi {
    /// RMI 1.0.
    #[value(name = "1.0")]
    One,
    /// RMI 2.0.
    #[value(name = "2.0")]
    Two,
}

impl Rmi {
    fn interface(self) -> &'static str {
        match self {
            Self::One => "0.8",
            Self::Two => "2.0",
        }
    }
}

/// The images, the Realms and the machine of a run.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The RMM, a flat binary.
    pub rmm: PathBuf,
    /// The EL3 monitor.
    pub el3: PathBuf,
    /// The virtual machine monitor.
    pub vmm: PathBuf,
    /// The kernel.
    pub image: PathBuf,
    /// The initial file system.
    pub initrd: PathBuf,
    /// The RMI that the monitor speaks.
    pub rmi: Rmi,
    /// The number of Realms.
    pub realms: u32,
    /// The number of RECs of each.
    pub recs: u32,
    /// The number of CPUs of the machine.
    pub cpus: u32,
    /// MiB of RAM of each Realm.
    pub ram_mib: u64,
    /// How often per second a REC is preempted.
    pub preempt: u32,
    /// Whether there is a virtio device, whose entropy is the letter Z.
    pub virtio: bool,
    /// The number of exits without output after which a guest has failed; 0 for no limit.
    pub patience: u64,
    /// The seed of the monitor's random choices.
    pub seed: u64,
    /// Whether instructions are counted instead of time.
    pub instruction_count: bool,
    /// The plugin that counts the instructions of each world, if there is one.
    pub counter: Option<PathBuf>,
    /// Additional words for the kernel.
    pub arguments: String,
}

impl Guest {
    /// The command that boots the guest. Writes the device tree to `folder`.
    ///
    /// # Errors
    ///
    /// A part cannot be read or is too large.
    pub fn command(&self, qemu: &Path, folder: &Path) -> Result<Command> {
        let size = |path: &Path| {
            let file = std::fs::metadata(path);
            Ok::<_, anyhow::Error>(
                file.with_context(|| format!("cannot read {}", path.display()))?.len(),
            )
        };
        let (kernel, initrd) = (size(&self.image)?, size(&self.initrd)?);
        ensure!(kernel <= INITRD - KERNEL && initrd <= DTB - INITRD, "the guest is too large");
        let ram = self.ram_mib << 20;
        ensure!(DTB - KERNEL < ram, "the guest needs more than {} MiB", self.ram_mib);
        let tree = self.device_tree(initrd)?;
        let dtb = folder.join("guest.dtb");
        std::fs::write(&dtb, &tree).with_context(|| format!("cannot write {}", dtb.display()))?;

        let range = |name: &str, base: u64, size: u64| format!("{name}={base:#x}+{size:#x}");
        let words = [
            format!("memory={MEMORY_GIB}G"),
            format!("machine-cpus={}", self.cpus),
            format!("interface={}", self.rmi.interface()),
            "host-interrupts=1".into(),
            format!("test-memory={POOL:#x}"),
            format!("realms={}", self.realms),
            format!("recs={}", self.recs),
            format!("ram={}M", self.ram_mib),
            format!("preempt={}", self.preempt),
            format!("patience={}", self.patience),
            format!("seed={}", self.seed),
            range("kernel", KERNEL, kernel),
            range("initrd", INITRD, initrd),
            range("dtb", DTB, tree.len() as u64),
        ];
        let mut command = Command::new(qemu);
        machine_options(&mut command, self.cpus, MEMORY_GIB, "");
        command
            .args(["-serial", "mon:stdio"])
            .args(["-semihosting-config", &semihosting_options(&words)])
            .arg("-bios")
            .arg(&self.el3);
        let rmm = rmm_plat::qemu_virt::MACHINE.load_address();
        for (file, address) in [
            (&self.rmm, rmm),
            (&self.vmm, HOST_ADDRESS),
            (&self.image, KERNEL),
            (&self.initrd, INITRD),
            (&dtb, DTB),
        ] {
            command.args(["-device", &loader(file, address)]);
        }
        if self.instruction_count {
            command.args(["-icount", "shift=0,sleep=off"]);
        }
        if let Some(counter) = &self.counter {
            command.arg("-plugin").arg(counter);
        }
        Ok(command)
    }

    /// The device tree of the guest.
    fn device_tree(&self, initrd: u64) -> Result<Vec<u8>> {
        const GIC: u32 = 1;
        const CLOCK: u32 = 2;
        const SPI: u32 = 0;
        const PPI: u32 = 1;
        const LEVEL_HIGH: u32 = 4;
        let ram = self.ram_mib << 20;
        let mut fdt = FdtWriter::new_with_mem_reserv(&[] as &[FdtReserveEntry])?;
        let root = fdt.begin_node("")?;
        fdt.property_string("compatible", "linux,dummy-virt")?;
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;
        fdt.property_u32("interrupt-parent", GIC)?;

        let chosen = fdt.begin_node("chosen")?;
        let arguments = format!("console=ttyAMA0 swiotlb=512 {}", self.arguments);
        fdt.property_string("bootargs", arguments.trim_end())?;
        fdt.property_string("stdout-path", &format!("/pl011@{PL011:x}"))?;
        fdt.property_u64("linux,initrd-start", RAM + INITRD - KERNEL)?;
        fdt.property_u64("linux,initrd-end", RAM + INITRD - KERNEL + initrd)?;
        fdt.end_node(chosen)?;

        let memory = fdt.begin_node(&format!("memory@{RAM:x}"))?;
        fdt.property_string("device_type", "memory")?;
        fdt.property_array_u64("reg", &[RAM, ram])?;
        fdt.end_node(memory)?;

        let cpus = fdt.begin_node("cpus")?;
        fdt.property_u32("#address-cells", 1)?;
        fdt.property_u32("#size-cells", 0)?;
        for index in 0..self.recs {
            let cpu = fdt.begin_node(&format!("cpu@{index:x}"))?;
            fdt.property_string("device_type", "cpu")?;
            fdt.property_string("compatible", "arm,armv8")?;
            fdt.property_string("enable-method", "psci")?;
            fdt.property_u32("reg", index)?;
            fdt.end_node(cpu)?;
        }
        fdt.end_node(cpus)?;

        let psci = fdt.begin_node("psci")?;
        fdt.property_string_list("compatible", vec!["arm,psci-1.0".into(), "arm,psci-0.2".into()])?;
        fdt.property_string("method", "smc")?;
        fdt.end_node(psci)?;

        let timer = fdt.begin_node("timer")?;
        fdt.property_string("compatible", "arm,armv8-timer")?;
        let interrupts: Vec<u32> =
            [13, 14, 11, 10].into_iter().flat_map(|ppi| [PPI, ppi, LEVEL_HIGH]).collect();
        fdt.property_array_u32("interrupts", &interrupts)?;
        fdt.property_null("always-on")?;
        fdt.end_node(timer)?;

        let gic = fdt.begin_node(&format!("interrupt-controller@{DISTRIBUTOR:x}"))?;
        fdt.property_string("compatible", "arm,gic-v3")?;
        fdt.property_null("interrupt-controller")?;
        fdt.property_u32("#interrupt-cells", 3)?;
        let redistributors = u64::from(self.recs) * REDISTRIBUTOR_SIZE;
        fdt.property_array_u64("reg", &[DISTRIBUTOR, 0x1_0000, REDISTRIBUTORS, redistributors])?;
        fdt.property_phandle(GIC)?;
        fdt.end_node(gic)?;

        let clock = fdt.begin_node("clock")?;
        fdt.property_string("compatible", "fixed-clock")?;
        fdt.property_u32("#clock-cells", 0)?;
        fdt.property_u32("clock-frequency", 24_000_000)?;
        fdt.property_phandle(CLOCK)?;
        fdt.end_node(clock)?;

        let pl011 = fdt.begin_node(&format!("pl011@{PL011:x}"))?;
        fdt.property_string_list("compatible", vec!["arm,pl011".into(), "arm,primecell".into()])?;
        fdt.property_array_u64("reg", &[PL011, 0x1000])?;
        fdt.property_array_u32("interrupts", &[SPI, 1, LEVEL_HIGH])?;
        fdt.property_array_u32("clocks", &[CLOCK, CLOCK])?;
        fdt.property_string_list("clock-names", vec!["uartclk".into(), "apb_pclk".into()])?;
        fdt.end_node(pl011)?;

        if self.virtio {
            let virtio = fdt.begin_node(&format!("virtio_mmio@{VIRTIO:x}"))?;
            fdt.property_string("compatible", "virtio,mmio")?;
            fdt.property_array_u64("reg", &[VIRTIO, 0x200])?;
            fdt.property_array_u32("interrupts", &[SPI, 2, LEVEL_HIGH])?;
            fdt.property_null("dma-coherent")?;
            fdt.end_node(virtio)?;
        }

        fdt.end_node(root)?;
        Ok(fdt.finish()?)
    }
}
