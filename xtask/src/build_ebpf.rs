//! `cargo xtask build-ebpf`: compiles the probe and refreshes `ebpf/prebuilt`; with `--check`, proves that what is
//! there is what the source gives.
//!
//! The probe needs a Rust that compiles the core library itself, and bpf-linker. Everything else in the workspace
//! builds with stable Rust and the object in `ebpf/prebuilt`, whose manifest names its source, so that a stale
//! object is found on any machine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use sha2::{Digest, Sha256};
use xtask::command::{self, program, root};

use crate::apt;

/// What the build of the probe takes.
#[derive(Args)]
pub(crate) struct BuildEbpf {
    /// Change nothing; fail when the object is not what the source gives.
    #[arg(long)]
    check: bool,
    /// First install what the build needs, with apt-get and cargo; needs root.
    #[arg(long)]
    install: bool,
}

impl BuildEbpf {
    /// Builds, or checks.
    ///
    /// # Errors
    /// When the object is stale, or cannot be built.
    pub(crate) fn run(&self) -> Result<()> {
        if self.install {
            install()?;
        }
        if self.check { check() } else { refresh() }
    }
}

const OBJECT: &str = "ebpf/prebuilt/probe.o";
const MANIFEST: &str = "ebpf/prebuilt/probe.manifest";
const TARGET: &str = "bpfel-unknown-none";
/// What is hashed as the source of the object: the probe with its lock file, and the crate that it shares.
const SOURCES: [&str; 3] = ["ebpf/probe", "ebpf/abi/src", "ebpf/abi/Cargo.toml"];
/// The linker's version that goes with the LLVM of the compilers named in [`HOW`].
const LINKER_VERSION: &str = "^0.13";

const HOW: &str = "\
Get a compiler, one of:
  rustup toolchain install nightly --component rust-src
  apt-get install rustc-web rust-web-src        (Debian)
and the linker, which needs the LLVM of that compiler:
  apt-get install llvm-22-dev libpolly-22-dev libzstd-dev zlib1g-dev
  LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version ^0.13 --no-default-features --features llvm-22
or let `cargo xtask build-ebpf --install` do the second of each.
Without them, builds use the object in ebpf/prebuilt.";

fn refresh() -> Result<()> {
    let toolchain = Toolchain::find()?;
    let built = toolchain.build()?;
    let object = fs::read(&built).with_context(|| format!("{} was not built", built.display()))?;
    let manifest = manifest(&object, &toolchain.description()?)?;
    fs::create_dir_all(root().join("ebpf/prebuilt"))?;
    fs::write(root().join(OBJECT), &object)?;
    fs::write(root().join(MANIFEST), manifest)?;
    println!("{OBJECT}: {} bytes, built by {}", object.len(), toolchain.description()?);
    Ok(())
}

fn check() -> Result<()> {
    let object = fs::read(root().join(OBJECT)).with_context(|| format!("{OBJECT} is missing"))?;
    let text = fs::read_to_string(root().join(MANIFEST)).with_context(|| format!("{MANIFEST} is missing"))?;
    let noted: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let fix = "run `cargo xtask build-ebpf` and commit ebpf/prebuilt";
    if noted.get("source") != Some(&source_digest()?.as_str()) {
        bail!("{OBJECT} is stale: the probe's source has changed since it was built; {fix}");
    }
    if noted.get("object") != Some(&hex(&Sha256::digest(&object)).as_str()) {
        bail!("{OBJECT} is not the one that its manifest names; {fix}");
    }
    println!("{OBJECT} was built from this source, its manifest says.");
    let toolchain = match Toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(missing) => {
            println!("Not built again, to compare: {missing}");
            return Ok(());
        }
    };
    let rebuilt = fs::read(toolchain.build()?)?;
    let (ours, theirs) = (toolchain.description()?, noted.get("toolchain").copied().unwrap_or_default());
    if rebuilt == object {
        println!("Built again by {ours}: the same {} bytes.", object.len());
    } else if ours == theirs {
        bail!("{OBJECT} differs from what the same toolchain ({ours}) makes of this source; {fix}");
    } else {
        println!(
            "Built again by {ours}: it compiles, to other bytes than those of {theirs}, as another compiler may."
        );
    }
    Ok(())
}

fn manifest(object: &[u8], toolchain: &str) -> Result<String> {
    let (source, object) = (source_digest()?, hex(&Sha256::digest(object)));
    Ok(format!("source {source}\nobject {object}\ntoolchain {toolchain}\n"))
}

/// A compiler and how to call it.
struct Toolchain {
    /// `rustup run nightly cargo`, or the cargo at hand told to use another compiler.
    cargo: Vec<String>,
    rustc: Option<PathBuf>,
    path: std::ffi::OsString,
}

impl Toolchain {
    /// Prefers rustup's nightly, the way that Rust documents; else a compiler of the distribution that has its
    /// source beside it.
    fn find() -> Result<Self> {
        let path = path_with_cargo_bin();
        if !on_path(&path, "bpf-linker") {
            bail!("bpf-linker is missing.\n{HOW}");
        }
        let cargo =
            std::env::var_os("CARGO").map_or_else(|| "cargo".into(), |cargo| cargo.to_string_lossy().into());
        if nightly_has_source() {
            let cargo = ["rustup", "run", "nightly", "cargo"].map(str::to_owned).to_vec();
            return Ok(Self { cargo, rustc: None, path });
        }
        let distribution = Path::new("/usr/bin/rustc");
        if source_beside(distribution) {
            return Ok(Self { cargo: vec![cargo], rustc: Some(distribution.to_owned()), path });
        }
        bail!("No Rust compiler with the source of its core library was found.\n{HOW}");
    }

    /// Builds the probe and tells where the object is.
    fn build(&self) -> Result<PathBuf> {
        let mut build = self.command();
        let target_dir = root().join("ebpf/probe/target");
        build.args([
            "build",
            "--release",
            "--locked",
            "-Z",
            "build-std=core",
            "--target",
            TARGET,
            "--target-dir",
        ]);
        build.arg(&target_dir).current_dir(root().join("ebpf/probe"));
        // Flags that are meant for the host would change the object's bytes or break its build.
        for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTC_WRAPPER"] {
            build.env_remove(flags);
        }
        command::run(build)?;
        Ok(target_dir.join(TARGET).join("release/probe"))
    }

    fn command(&self) -> Command {
        let mut parts = self.cargo.iter();
        let mut command = program(parts.next().map_or("cargo", String::as_str));
        command.args(parts).env("PATH", &self.path);
        match &self.rustc {
            // The compiler is a stable one; only the core library is compiled with it as if it were not.
            Some(rustc) => command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1"),
            None => command.env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN"),
        };
        command
    }

    fn description(&self) -> Result<String> {
        let rustc = match &self.rustc {
            Some(rustc) => first_line(program(rustc).arg("--version"))?,
            None => first_line(program("rustup").args(["run", "nightly", "rustc", "--version"]))?,
        };
        let linker = first_line(program("bpf-linker").arg("--version").env("PATH", &self.path))?;
        Ok(format!("{rustc}, {linker}"))
    }
}

fn nightly_has_source() -> bool {
    let sysroot = program("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .env_remove("RUSTC")
        .output();
    sysroot.is_ok_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && has_library(Path::new(&sysroot))
    })
}

fn source_beside(rustc: &Path) -> bool {
    let sysroot = program(rustc).args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| has_library(Path::new(String::from_utf8_lossy(&output.stdout).trim())))
}

fn has_library(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
}

/// `cargo install` puts bpf-linker where not every shell looks.
fn path_with_cargo_bin() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let bin = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).map(|home| home.join("bin"));
    let folders = std::env::split_paths(&path).chain(bin);
    std::env::join_paths(folders).unwrap_or(path)
}

fn on_path(path: &std::ffi::OsStr, name: &str) -> bool {
    std::env::split_paths(path).any(|folder| folder.join(name).is_file())
}

fn install() -> Result<()> {
    if !nightly_has_source() && !source_beside(Path::new("/usr/bin/rustc")) {
        apt::install(&["rustc-web", "rust-web-src"])?;
    }
    if !on_path(&path_with_cargo_bin(), "bpf-linker") {
        apt::install(&["llvm-22-dev", "libpolly-22-dev", "libzstd-dev", "zlib1g-dev"])?;
        let mut install = command::cargo(&["install", "bpf-linker", "--version", LINKER_VERSION]);
        install.args(["--no-default-features", "--features", "llvm-22", "--locked"]);
        install.env("LLVM_PREFIX", "/usr/lib/llvm-22");
        command::run(install)?;
    }
    Ok(())
}

fn first_line(command: &mut Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("`{}` cannot be started", command::shown(command)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// One digest over names and contents of all source files.
fn source_digest() -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root().join(source), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let name = file.strip_prefix(root()).unwrap_or(&file).to_string_lossy().into_owned();
        let content = fs::read(&file).with_context(|| format!("{name} cannot be read"))?;
        digest.update(format!("{name}\n{}\n", content.len()));
        digest.update(content);
    }
    Ok(hex(&digest.finalize()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))? {
        let entry = entry?.path();
        if entry.file_name().is_none_or(|name| name != "target") {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
