//! A file as the engine may change it without changing it: what is written stays in memory.
//!
//! The engine cannot read a file that was not closed in order without repairing it, and a repair writes. Over this it
//! repairs what it sees, while the file stays as it is: how sentences are read while the disk takes no writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Error;
use std::os::unix::fs::FileExt;

use parking_lot::RwLock;
use redb::StorageBackend;

/// Bytes that are kept together.
const BLOCK: usize = 4096;

/// The file below and what was written since.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    above: RwLock<Above>,
}

#[derive(Debug)]
struct Above {
    length: u64,
    /// Bytes of the file that count: what lies behind them was cut off, and is zero if it comes back.
    below: u64,
    blocks: BTreeMap<u64, Box<[u8; BLOCK]>>,
}

impl Overlay {
    /// Over `file`, which nobody may change meanwhile.
    pub(super) fn over(file: File) -> Result<Self, Error> {
        let length = file.metadata()?.len();
        let above = Above { length, below: length, blocks: BTreeMap::new() };
        Ok(Self { file, above: RwLock::new(above) })
    }

    fn read_below(&self, above: &Above, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let there = above.below.saturating_sub(offset).min(out.len() as u64);
        let (there, behind) = out.split_at_mut(usize::try_from(there).unwrap_or(usize::MAX));
        behind.fill(0);
        if there.is_empty() { Ok(()) } else { self.file.read_exact_at(there, offset) }
    }
}

/// The parts of a range that lie in one block each: the block, where in it, and where in the range.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let position = offset.saturating_add(at as u64);
        let block = position / BLOCK as u64;
        let within = usize::try_from(position % BLOCK as u64).unwrap_or(0);
        let end = length.min(at + BLOCK - within);
        let part = at..end;
        at = end;
        (!part.is_empty()).then_some((block, within, part))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.above.read().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let above = self.above.read();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > above.length) {
            return Err(Error::from(std::io::ErrorKind::UnexpectedEof));
        }
        self.read_below(&above, offset, out)?;
        if above.blocks.is_empty() {
            return Ok(());
        }
        for (block, within, part) in parts(offset, out.len()) {
            if let (Some(known), Some(out)) = (above.blocks.get(&block), out.get_mut(part))
                && let Some(known) = known.get(within..within + out.len())
            {
                out.copy_from_slice(known);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), Error> {
        let mut above = self.above.write();
        if length < above.length {
            above.below = above.below.min(length);
            let kept = length.div_ceil(BLOCK as u64);
            drop(above.blocks.split_off(&kept));
            let within = usize::try_from(length % BLOCK as u64).unwrap_or(0);
            if within > 0
                && let Some(last) =
                    above.blocks.get_mut(&(kept - 1)).and_then(|block| block.get_mut(within..))
            {
                last.fill(0);
            }
        }
        above.length = length;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut above = self.above.write();
        for (block, within, part) in parts(offset, data.len()) {
            if !above.blocks.contains_key(&block) {
                let mut whole = Box::new([0; BLOCK]);
                self.read_below(&above, block * BLOCK as u64, &mut whole[..])?;
                above.blocks.insert(block, whole);
            }
            let data = data.get(part).unwrap_or_default();
            let known =
                above.blocks.get_mut(&block).and_then(|known| known.get_mut(within..within + data.len()));
            if let Some(known) = known {
                known.copy_from_slice(data);
            }
        }
        above.length = above.length.max(offset.saturating_add(data.len() as u64));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Length(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write = (0u64..20_000, proptest::collection::vec(any::<u8>(), 0..9_000));
        let step = prop_oneof![
            write.prop_map(|(offset, data)| Step::Write(offset, data)),
            (0u64..30_000).prop_map(Step::Length),
        ];
        proptest::collection::vec(step, 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Beside a plain vector, step by step; the file stays as it was.
        #[test]
        fn it_reads_as_a_file_that_was_written_to(first in proptest::collection::vec(any::<u8>(), 0..15_000), steps in steps()) {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &first).unwrap();
            let overlay = Overlay::over(file.try_clone().unwrap()).unwrap();
            let mut model = first.clone();
            for step in steps {
                match step {
                    Step::Write(offset, data) => {
                        overlay.write(offset, &data).unwrap();
                        let start = usize::try_from(offset).unwrap();
                        model.resize(model.len().max(start + data.len()), 0);
                        model[start..start + data.len()].copy_from_slice(&data);
                    }
                    Step::Length(length) => {
                        overlay.set_len(length).unwrap();
                        model.resize(usize::try_from(length).unwrap(), 0);
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
                let mut read = vec![1; model.len()];
                overlay.read(0, &mut read).unwrap();
                prop_assert!(read == model);
                let half = model.len() / 2;
                let mut read = vec![1; model.len() - half];
                overlay.read(half as u64, &mut read).unwrap();
                prop_assert!(read == model[half..]);
                prop_assert!(overlay.read(1, &mut vec![0; model.len()]).is_err());
            }
            let mut kept = vec![0; first.len()];
            file.read_exact_at(&mut kept, 0).unwrap();
            prop_assert!(kept == first && file.metadata().unwrap().len() == first.len() as u64);
        }
    }
}
