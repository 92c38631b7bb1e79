//! The same journey over nodes that keep their sentences in MongoDB.

use harness::{Cluster, mongo, need};

use crate::load::{Until, post_from};
use crate::sentence_journey::sends_real_text;

async fn cluster(test: &str) -> Option<Cluster> {
    let stores = need::or_skip(test, "mongodb", mongo::stores(2))?;
    Some(Cluster::builder().stores(stores).start().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_text_is_stored_in_mongodb() {
    let Some(cluster) = cluster("mongodb::a_real_text_is_stored_in_mongodb").await else { return };
    sends_real_text(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_connections_leave_equal_counts_and_one_copy_each() {
    let test = "mongodb::sixty_four_connections_leave_equal_counts_and_one_copy_each";
    let Some(cluster) = cluster(test).await else { return };
    let outcome = post_from(64, cluster.url(), Until::Sent(20)).await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    cluster.check(&outcome.ledger).await.unwrap();
    assert_eq!(cluster.counts().await, [640, 640]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_finds_its_sentences_again() {
    let Some(mut cluster) = cluster("mongodb::a_killed_node_finds_its_sentences_again").await else { return };
    let outcome = post_from(8, cluster.url(), Until::Sent(10)).await;
    assert_eq!(outcome.ledger.n_acknowledged(), 80, "{:?}", outcome.failures);
    cluster.node(0).kill_9();
    cluster.node(0).restart().await;
    cluster.check(&outcome.ledger).await.unwrap();
    assert_eq!(cluster.counts().await, [40, 40]);
}
