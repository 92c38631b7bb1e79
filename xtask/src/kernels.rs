//! `cargo xtask kernels`: boots Debian's kernels under qemu and runs the sensor's own checks in each.
//!
//! Needs Debian with its archive, qemu, busybox-static and cpio, and no rights in this kernel: the guests are
//! emulated, so they prove correctness and say nothing about speed. The result is the table in `docs/kernels.md`.

mod package;
mod report;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::command::{self, cargo, program, root};

use crate::apt;
use package::Archive;
use report::Report;

/// What the matrix takes.
#[derive(Args)]
pub(crate) struct Kernels {
    /// Only these, separated by commas, by the names in the table: `5.10,6.12`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write the table into docs/kernels.md.
    #[arg(long)]
    save: bool,
}

/// A row of the matrix.
#[derive(Debug)]
struct Row {
    name: &'static str,
    /// The release of Debian that packages this kernel.
    suite: &'static str,
    /// The beginning of the version in the package's name; the newest of these is booted.
    version: &'static str,
    /// What is added to the kernel's command line.
    arguments: &'static str,
}

const ROWS: [Row; 8] = [
    Row { name: "5.10", suite: "bullseye", version: "5.10.", arguments: "" },
    Row { name: "5.10-no-memcg", suite: "bullseye", version: "5.10.", arguments: "cgroup_disable=memory" },
    Row { name: "6.1", suite: "bookworm", version: "6.1.", arguments: "" },
    Row { name: "6.12", suite: "bookworm-backports", version: "6.12.", arguments: "" },
    Row { name: "6.18", suite: "trixie-backports", version: "6.18.", arguments: "" },
    Row { name: "7.0", suite: "trixie-backports", version: "7.0.", arguments: "" },
    Row { name: "7.3", suite: "trixie-backports", version: "7.3.", arguments: "" },
    Row {
        name: "7.3-no-memcg",
        suite: "trixie-backports",
        version: "7.3.",
        arguments: "cgroup_disable=memory",
    },
];

/// Emulated, a guest is done in half a minute; a loaded machine takes a few times as long.
const DEADLINE_S: &str = "240";

/// Where the table is kept.
const DOCUMENT: &str = "docs/kernels.md";

impl Kernels {
    /// Boots and checks.
    ///
    /// # Errors
    /// When a kernel fails a check, or cannot be had.
    pub(crate) fn run(&self) -> Result<()> {
        let rows = self.rows()?;
        tools()?;
        let place = command::target_dir()?.join("kernels");
        fs::create_dir_all(&place)?;
        let guest = build_guest(&place)?;
        let initramfs = initramfs(&place, &guest)?;
        let archive = Archive::open(&place, rows.iter().map(|row| row.suite))?;
        let mut reports = Vec::new();
        for row in rows {
            let kernel = archive.kernel(row.version, row.suite)?;
            println!("{}: booting {}", row.name, kernel.version);
            let output = booted(&kernel.image, &initramfs, row.arguments)?;
            fs::write(place.join(format!("{}.log", row.name)), &output)?;
            let report = Report::read(row.name, &kernel.version, &output);
            for line in report.lines() {
                println!("  {line}");
            }
            reports.push(report);
        }
        let table = report::table(&reports);
        println!("\n{table}");
        if self.save {
            let path = root().join(DOCUMENT);
            let document = fs::read_to_string(&path).with_context(|| format!("{DOCUMENT} is missing"))?;
            let document = report::with_table(&document, &table);
            fs::write(path, document.with_context(|| format!("{DOCUMENT} lacks the marks of its table"))?)?;
        }
        let failed = reports.iter().filter(|report| !report.passed()).map(|report| report.name.as_str());
        let failed = failed.collect::<Vec<_>>();
        if !failed.is_empty() {
            bail!("these kernels failed: {}; what they printed is in {}", failed.join(", "), place.display());
        }
        Ok(())
    }

    fn rows(&self) -> Result<Vec<&'static Row>> {
        if let Some(unknown) = self.only.iter().find(|name| !ROWS.iter().any(|row| row.name == **name)) {
            let known = ROWS.iter().map(|row| row.name).collect::<Vec<_>>();
            bail!("there is no kernel `{unknown}` in the matrix; there are {}", known.join(", "));
        }
        let wanted = |row: &&Row| self.only.is_empty() || self.only.iter().any(|name| name == row.name);
        Ok(ROWS.iter().filter(wanted).collect())
    }
}

/// The programs that the matrix needs; root gets them installed.
fn tools() -> Result<()> {
    let needed = [("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("cpio", "cpio")];
    let missing = needed.iter().filter(|(name, _)| !command::exists(name)).map(|(_, package)| *package);
    let missing = missing.collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    if !apt::can_install() {
        bail!("get what is missing with: apt-get install {}", missing.join(" "));
    }
    apt::install(&missing)
}

/// The checks as one static program, in a folder of its own: other flags than the host's would rebuild that.
fn build_guest(place: &Path) -> Result<PathBuf> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let target_dir = place.join("build");
    let mut build =
        cargo(&["build", "--release", "--locked", "--package", "ebpf-sensor", "--example", "guest"]);
    build.args(["--target", TARGET, "--target-dir"]).arg(&target_dir);
    build.env("RUSTFLAGS", "-C target-feature=+crt-static");
    command::run(build)?;
    Ok(target_dir.join(TARGET).join("release/examples/guest"))
}

const INIT: &str = "\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t bpf bpf /sys/fs/bpf
/bin/busybox mount -t cgroup2 cgroup /sys/fs/cgroup
/bin/busybox echo \"FACT release $(/bin/busybox uname -r)\"
/guest
/bin/busybox poweroff -f
";

fn initramfs(place: &Path, guest: &Path) -> Result<PathBuf> {
    let tree = place.join("initramfs");
    for folder in ["bin", "proc", "sys"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox")).context("busybox-static is missing")?;
    fs::copy(guest, tree.join("guest"))?;
    fs::write(tree.join("init"), INIT)?;
    let mut mode = program("chmod");
    mode.arg("0755").arg(tree.join("init"));
    command::run(mode)?;
    let archive = place.join("initramfs.cpio");
    let mut pack = Command::new("cpio");
    pack.args(["--create", "--format=newc", "--quiet"]).current_dir(&tree);
    pack.stdin(Stdio::piped()).stdout(fs::File::create(&archive)?);
    let mut pack = pack.spawn().context("cpio is missing")?;
    let names = [".", "bin", "bin/busybox", "proc", "sys", "guest", "init"].join("\n");
    pack.stdin.take().context("cpio takes no input")?.write_all(names.as_bytes())?;
    if !pack.wait()?.success() {
        bail!("cpio failed");
    }
    Ok(archive)
}

/// Boots until the guest's own program has begun. The emulator's CPUs race now and then while a kernel starts, which
/// crashes it before it has run anything of ours.
fn booted(kernel: &Path, initramfs: &Path, arguments: &str) -> Result<String> {
    const ATTEMPTS: u32 = 4;
    let mut output = String::new();
    for attempt in 1..=ATTEMPTS {
        output = boot(kernel, initramfs, arguments)?;
        if output.contains(BEGUN) {
            break;
        }
        println!("  the kernel did not start in the emulator, attempt {attempt} of {ATTEMPTS}");
    }
    Ok(output)
}

/// What the guest prints first.
const BEGUN: &str = "FACT release ";

/// Two CPUs on two memory nodes, all emulated, with nothing but a serial line.
fn boot(kernel: &Path, initramfs: &Path, arguments: &str) -> Result<String> {
    let mut guest = program("timeout");
    guest.args([DEADLINE_S, "qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max"]);
    guest.args(["-m", "2G", "-smp", "2", "-nographic", "-no-reboot", "-net", "none"]);
    for node in ["0", "1"] {
        guest.args(["-object", &format!("memory-backend-ram,id=m{node},size=1G")]);
        guest.args(["-numa", &format!("node,nodeid={node},cpus={node},memdev=m{node}")]);
    }
    let line = format!("console=ttyS0 quiet loglevel=1 panic=-1 {arguments}");
    guest.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs).args(["-append", line.trim()]);
    let output = guest.stdin(Stdio::null()).output().context("qemu-system-x86_64 is missing")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
