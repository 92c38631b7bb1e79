//! Kernels as Debian packages them, without installing one: apt with lists of its own, and the file inside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xtask::command::{self, program};

/// apt's view of the releases that the matrix takes kernels from.
pub(super) struct Archive {
    place: PathBuf,
}

/// A kernel that can be booted.
pub(super) struct Kernel {
    /// As in the package's name.
    pub(super) version: String,
    /// The compressed image.
    pub(super) image: PathBuf,
}

impl Archive {
    /// Gets the lists of the given releases from the mirror that this machine's apt is set up with.
    pub(super) fn open(place: &Path, suites: impl Iterator<Item = &'static str>) -> Result<Self> {
        let place = place.join("apt");
        for folder in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(place.join(folder))?;
        }
        let mirror = mirror()?;
        let line = |suite: &str| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        let sources = suites.collect::<BTreeSet<_>>().into_iter().map(line).collect::<String>();
        fs::write(place.join("sources.list"), sources)?;
        let archive = Self { place };
        let mut update = archive.apt("apt-get");
        update.args(["update", "--quiet"]);
        command::run(update)?;
        Ok(archive)
    }

    /// The newest kernel whose version begins so, taken out of its package.
    pub(super) fn kernel(&self, version: &str, suite: &str) -> Result<Kernel> {
        let version = self.newest(version, suite)?;
        let image = self.place.join("packages").join(format!("vmlinuz-{version}"));
        // Since Linux 7.0 the package of this name only leads to the one with the image.
        for kind in ["linux-image", "linux-binary"] {
            if !image.is_file() {
                self.unpack(&format!("{kind}-{version}"), &version, &image)?;
            }
        }
        if !image.is_file() {
            bail!("no package of kernel {version} has an image");
        }
        Ok(Kernel { version, image })
    }

    /// Downloads one package and keeps the kernel's image in it, if it has one: the modules are ten times as large.
    fn unpack(&self, package: &str, version: &str, image: &Path) -> Result<()> {
        let (packages, tree) = (self.place.join("packages"), self.place.join("packages/tree"));
        let mut download = self.apt("apt-get");
        download.args(["download", "--quiet", package]).current_dir(&packages);
        command::run(download)?;
        let file = self.downloaded(package)?;
        let mut unpack = program("dpkg-deb");
        unpack.arg("--extract").arg(&file).arg(&tree);
        command::run(unpack)?;
        let inside = [format!("boot/vmlinuz-{version}"), format!("usr/lib/modules/{version}/vmlinuz")];
        if let Some(found) = inside.iter().map(|path| tree.join(path)).find(|path| path.is_file()) {
            fs::rename(found, image)?;
        }
        fs::remove_dir_all(tree)?;
        fs::remove_file(file)?;
        Ok(())
    }

    /// The version in the package's name.
    fn newest(&self, version: &str, suite: &str) -> Result<String> {
        let mut search = self.apt("apt-cache");
        search.args(["search", "--names-only"]);
        search.arg(format!("^linux-image-{}.*-cloud-amd64$", version.replace('.', "\\.")));
        let found = search.output().context("apt-cache is missing: the matrix needs Debian")?;
        let text = String::from_utf8_lossy(&found.stdout);
        let names =
            text.lines().filter_map(|line| line.split_whitespace().next()?.strip_prefix("linux-image-"));
        let newest = names.max_by_key(|name| numbers(name)).map(str::to_owned);
        newest.with_context(|| format!("{suite} packages no kernel {version} any more; take another in ROWS"))
    }

    fn downloaded(&self, name: &str) -> Result<PathBuf> {
        for entry in fs::read_dir(self.place.join("packages"))? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file.starts_with(&format!("{name}_")) && file.ends_with(".deb") {
                return Ok(path);
            }
        }
        bail!("apt-get download left no package {name}")
    }

    /// An apt program that neither sees nor changes this machine's own lists.
    fn apt(&self, name: &str) -> std::process::Command {
        let mut apt = program(name);
        let place = self.place.display();
        for option in [
            format!("Dir::Etc::sourcelist={place}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={place}/lists"),
            format!("Dir::Cache={place}/cache"),
            // As root apt would become a user who may not write below the target directory.
            "APT::Sandbox::User=root".to_owned(),
            // Descriptions and pictures of programs are most of a list.
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            apt.arg("-o").arg(option);
        }
        apt
    }
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where this machine gets Debian from.
fn mirror() -> Result<String> {
    let mut targets = program("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME)", "Created-By: Packages"]);
    let output = targets.output().context("apt-get is missing: the matrix needs Debian")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // The codename of a release proper has no dash; updates and security have mirrors of their own.
    let release = text.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [uri, "Debian", codename] if !codename.contains('-') => Some(uri.to_owned()),
        _ => None,
    });
    release.context("apt knows no mirror of Debian: run `apt-get update` first")
}

/// All numbers in a name, so that 6.12.107 is newer than 6.12.95.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("linux-image-6.12.107+deb12-cloud") > numbers("linux-image-6.12.95+deb12-cloud"));
        assert!(numbers("linux-image-6.1.0-50-cloud") > numbers("linux-image-6.1.0-47-cloud"));
    }
}
