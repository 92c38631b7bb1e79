//! A small disk of a node's own, in memory, that can be filled for a moment. Absent: what the node keeps on it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The file that takes the room.
const FILLER: &str = "filler";

/// A mounted disk. Dropping it unmounts it.
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts one of so many mebibytes on a folder that is there.
    ///
    /// # Errors
    /// Where this user may not mount.
    pub(crate) fn mount(folder: &Path, mebibytes: u64) -> Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "balanza-chaos"]).arg(folder);
        let output = mount.output().context("`mount` cannot be run")?;
        if !output.status.success() {
            bail!("`mount` says: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// When the filler cannot be made at all.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut filler = std::fs::File::create(self.folder.join(FILLER))?;
        for size in [1 << 20, 4096] {
            let block = vec![0; size];
            while filler.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.folder.join(FILLER)).ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open is about to be gone too.
        Command::new("umount").arg("-l").arg(&self.folder).status().ok();
    }
}
