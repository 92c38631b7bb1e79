//! What is asked of a collection so that no sentence lies on two nodes: places without texts, and taking copies back.

use std::collections::HashSet;

use mongodb::Collection;
use mongodb::bson::{self, Document, doc};
use mongodb::error::Error;
use serde::Deserialize;
use wire::SentenceId;

use super::Server;
use super::document::{StoredPlace, split, uuid_of};
use crate::store::{Place, Tally};

impl Server {
    /// The places of those of `ids` that are stored.
    pub(super) async fn held(&self, ids: &[SentenceId]) -> Result<Vec<Place>, Error> {
        let ids = ids.iter().map(|id| uuid_of(*id)).collect::<Vec<_>>();
        let mut found = Vec::with_capacity(ids.len());
        let mut cursor =
            self.of_places().find(doc! { "_id": { "$in": ids } }).projection(place_only()).await?;
        while cursor.advance().await? {
            found.push(cursor.deserialize_current()?.into());
        }
        Ok(found)
    }

    /// The first places that the filter lets through, at most `limit`.
    pub(super) async fn places(&self, filter: Document, limit: usize) -> Result<Vec<Place>, Error> {
        let order = doc! { "date": 1, "micros": 1, "_id": 1 };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        // The server takes a limit of 0 for none.
        if limit == 0 {
            return Ok(found);
        }
        let mut cursor =
            self.of_places().find(filter).sort(order).projection(place_only()).limit(limit).await?;
        while cursor.advance().await? {
            found.push(cursor.deserialize_current()?.into());
        }
        Ok(found)
    }

    fn of_places(&self) -> Collection<StoredPlace> {
        self.collection.clone_with_type()
    }

    /// Deletes what stands at exactly these places; gives the ids of what stood there.
    pub(super) async fn retract(&self, copies: Vec<Place>) -> Result<(Vec<SentenceId>, Tally), Error> {
        let copies = copies.into_iter().collect::<HashSet<_>>();
        let ids = copies.iter().map(|copy| copy.id).collect::<Vec<_>>();
        let there = self.held(&ids).await?.into_iter().filter(|place| copies.contains(place));
        let there = there.collect::<Vec<_>>();
        let deleted = if there.is_empty() { 0 } else { self.delete_at(&there).await? };
        let tally = self.ledger.changed(0, deleted);
        // What somebody else deleted meanwhile is gone as well.
        Ok((there.into_iter().map(|place| place.id).collect(), tally))
    }

    /// One command, which the driver has no word for: a filter for each document, so that the date is compared as well.
    async fn delete_at(&self, places: &[Place]) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Deleted {
            n: i64,
            #[serde(default, rename = "writeErrors")]
            refused: Vec<Document>,
            #[serde(default, rename = "writeConcernError")]
            not_durable: Option<Document>,
        }
        let deletes = places.iter().map(|Place { date, id }| {
            let (date, micros) = split(*date);
            doc! { "q": { "_id": uuid_of(*id), "date": date, "micros": micros }, "limit": 1 }
        });
        let mut command = doc! { "delete": self.collection.name(), "ordered": false };
        command.insert("deletes", deletes.collect::<Vec<_>>());
        if let Some(concern) = self.collection.write_concern() {
            command.insert("writeConcern", bson::serialize_to_bson(concern)?);
        }
        let database = self.client.database(&self.collection.namespace().db);
        let Deleted { n, refused, not_durable } =
            bson::deserialize_from_document(database.run_command(command).await?)?;
        match refused.first().or(not_durable.as_ref()) {
            Some(why) => Err(Error::custom(format!("not all copies were taken back: {why}"))),
            None => Ok(u64::try_from(n).unwrap_or(0)),
        }
    }
}

fn place_only() -> Document {
    doc! { "date": 1, "micros": 1 }
}
