//! The identity of a collection: a document in a collection of its own, so that it never counts as a sentence.

use mongodb::Database;
use mongodb::bson::{self, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use serde::{Deserialize, Serialize};
use wire::StoreId;

use super::DUPLICATE_KEY;
use crate::clock;

/// The collection of the identities: a document for each collection of sentences in the database.
pub const IDENTITIES: &str = "balanza_identities";

/// The identity of a collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "_id")]
    collection: String,
    store: bson::Uuid,
}

/// The identity of `collection`; made where it has none. Of several that make one at once, one is first.
pub(super) async fn identity(database: &Database, collection: &str) -> Result<StoreId, Error> {
    let identities = database.collection::<Identity>(IDENTITIES);
    let known = || identities.find_one(doc! { "_id": collection });
    if known().await?.is_none() {
        let store = bson::Uuid::from_bytes(clock::new_store_id().0.into_bytes());
        let new = Identity { collection: collection.to_owned(), store };
        if let Err(error) = identities.insert_one(new).await
            && !is_duplicate(&error)
        {
            return Err(error);
        }
    }
    let known = known().await?.ok_or_else(|| Error::custom("the identity of the collection is not kept"))?;
    Ok(StoreId(uuid::Uuid::from_bytes(known.store.bytes())))
}

fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(refusal)) if refusal.code == DUPLICATE_KEY)
}
