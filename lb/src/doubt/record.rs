//! PURE. The journal's records: how sentences in doubt stand, each record on its own. Absent: the journal's own framing
//! and checksums, which are the log's.
//!
//! A record is a version, the places that it speaks of (name and store identity each), and sentences: the id, since when,
//! and the numbers of its places among those. A sentence without places is in doubt no more. Numbers are little-endian.

use uuid::Uuid;
use wire::{Date, SentenceId, StoreId};

use super::Entry;
use crate::homes::{Home, HomeName, Homes};

const VERSION: u8 = 1;

/// A record that is none of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of the in-doubt journal cannot be read: {0}")]
pub(crate) struct Unreadable(&'static str);

/// Writes how sentences stand; `None` for one that is in doubt no more.
pub(super) fn write<'a>(
    entries: impl Iterator<Item = (SentenceId, Option<&'a Entry>)>,
    homes: &Homes,
) -> Vec<u8> {
    let mut known: Vec<Home> = Vec::new();
    let mut sentences = Vec::new();
    for (id, entry) in entries {
        let places = entry.map(|entry| entry.homes.as_slice()).unwrap_or_default();
        let since = entry.map_or(0, |entry| entry.since.unix_micros());
        sentences.extend_from_slice(id.0.as_bytes());
        sentences.extend_from_slice(&since.to_le_bytes());
        sentences.extend_from_slice(&u16_of(places.len()));
        for home in places {
            let place = known.iter().position(|other| other == home).unwrap_or_else(|| {
                known.push(*home);
                known.len() - 1
            });
            sentences.extend_from_slice(&u16_of(place));
        }
    }
    let mut record = vec![VERSION];
    record.extend_from_slice(&u16_of(known.len()));
    for home in known {
        let (node, store) = homes.name(home).map_or(("", None), |name| (name.node.as_str(), name.store));
        record.extend_from_slice(&u16_of(node.len()));
        record.extend_from_slice(node.as_bytes());
        record.push(u8::from(store.is_some()));
        record.extend_from_slice(store.map_or(Uuid::nil(), |store| store.0).as_bytes());
    }
    record.extend_from_slice(&sentences);
    record
}

/// Reads what [`write`] wrote.
pub(super) fn read(record: &[u8], homes: &mut Homes) -> Result<Vec<(SentenceId, Option<Entry>)>, Unreadable> {
    let mut rest = record;
    if take::<1>(&mut rest)? != [VERSION] {
        return Err(Unreadable("its version is another one"));
    }
    let mut known = Vec::new();
    for _ in 0..u16::from_le_bytes(take(&mut rest)?) {
        let length = usize::from(u16::from_le_bytes(take(&mut rest)?));
        let (node, behind) = rest.split_at_checked(length).ok_or(SHORT)?;
        let node = std::str::from_utf8(node).map_err(|_| Unreadable("a name is not UTF-8"))?;
        rest = behind;
        let [has_store] = take(&mut rest)?;
        let store = StoreId(Uuid::from_bytes(take(&mut rest)?));
        known.push(homes.of(&HomeName { node: node.to_owned(), store: (has_store == 1).then_some(store) }));
    }
    let mut sentences = Vec::new();
    while !rest.is_empty() {
        let id = SentenceId(Uuid::from_bytes(take(&mut rest)?));
        let since = Date::from_unix_micros(i64::from_le_bytes(take(&mut rest)?));
        let mut places = Vec::new();
        for _ in 0..u16::from_le_bytes(take(&mut rest)?) {
            let place = usize::from(u16::from_le_bytes(take(&mut rest)?));
            places.push(*known.get(place).ok_or(Unreadable("it speaks of a place that it does not name"))?);
        }
        let entry = (!places.is_empty()).then(|| Entry::at_rest(places, since));
        sentences.push((id, entry));
    }
    Ok(sentences)
}

const SHORT: Unreadable = Unreadable("it is too short");

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let (taken, behind) = rest.split_first_chunk::<N>().ok_or(SHORT)?;
    *rest = behind;
    Ok(*taken)
}

/// Places and names are few and short; whatever is not would be cut in the record alone.
fn u16_of(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes()
}
