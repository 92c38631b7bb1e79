//! The file of single figures.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

/// Where single figures go, if anywhere.
pub(crate) struct Raw(Option<File>);

impl Raw {
    pub(crate) fn open(path: Option<&str>) -> io::Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(path.map(open).transpose()?))
    }

    /// One figure with its labels.
    pub(crate) fn figure(&mut self, labels: &str, value: u64) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| writeln!(file, "{labels} {value}"))
    }
}
