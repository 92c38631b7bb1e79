//! A sentence and its place as a collection holds them. Does no I/O.

use mongodb::bson::{self, DateTime};
use serde::{Deserialize, Serialize};
use wire::{Date, SentenceId, StoredSentence};

use crate::store::{Entry, Place};

/// A sentence as the collection holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    #[serde(rename = "_id")]
    pub(super) id: bson::Uuid,
    author: String,
    sentence: String,
    /// To the millisecond, which is all that BSON has.
    date: DateTime,
    /// The microseconds beyond it, 0 to 999.
    micros: i32,
}

impl Stored {
    pub(super) fn new(entry: Entry, date: Date) -> Self {
        let (date, micros) = split(date);
        let sentence = entry.sentence;
        Self { id: uuid_of(sentence.id), author: sentence.author, sentence: sentence.sentence, date, micros }
    }

    pub(super) fn date(&self) -> Date {
        joined(self.date, self.micros)
    }

    fn id(&self) -> SentenceId {
        SentenceId(uuid::Uuid::from_bytes(self.id.bytes()))
    }

    pub(super) fn into_sentence(self) -> StoredSentence {
        let (date, id) = (self.date(), Some(self.id()));
        StoredSentence { author: self.author, date, id, sentence: self.sentence }
    }
}

/// A sentence's place, as the collection holds it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct StoredPlace {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    date: DateTime,
    micros: i32,
}

impl From<StoredPlace> for Place {
    fn from(StoredPlace { id, date, micros }: StoredPlace) -> Self {
        Self { date: joined(date, micros), id: SentenceId(uuid::Uuid::from_bytes(id.bytes())) }
    }
}

/// A date as BSON has it, and the microseconds that BSON has not.
pub(super) fn split(date: Date) -> (DateTime, i32) {
    let micros = date.unix_micros();
    let rest = i32::try_from(micros.rem_euclid(1000)).unwrap_or(0);
    (DateTime::from_millis(micros.div_euclid(1000)), rest)
}

fn joined(date: DateTime, micros: i32) -> Date {
    let millis = date.timestamp_millis();
    Date::from_unix_micros(millis.saturating_mul(1000).saturating_add(i64::from(micros)))
}

pub(super) fn uuid_of(id: SentenceId) -> bson::Uuid {
    bson::Uuid::from_bytes(id.0.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_date_survives_the_milliseconds(micros in -1_000_000_000_000_000i64..4_000_000_000_000_000) {
            let date = Date::from_unix_micros(micros);
            let (millis, rest) = split(date);
            prop_assert!((0..1000).contains(&rest));
            let stored = Stored {
                id: bson::Uuid::from_bytes([0; 16]),
                author: String::new(),
                sentence: String::new(),
                date: millis,
                micros: rest,
            };
            prop_assert_eq!(stored.date(), date);
        }
    }
}
