//! The counts at the end of concurrent runs: within 1 of each other behind one balancer, and behind two within what the
//! other one had under way.

use harness::Cluster;
use harness::cluster::{balancer_over, sees};

use crate::load::{Until, post_from};

/// How far the fullest node is ahead of the emptiest.
fn skew(counts: &[u64]) -> u64 {
    let most = counts.iter().max().unwrap();
    let least = counts.iter().min().unwrap();
    most - least
}

async fn a_thousand_writers(n_nodes: u8) {
    const WRITERS: usize = 1024;
    const EACH: usize = 5;
    let cluster = Cluster::builder().nodes(n_nodes).start().await;
    let outcome = post_from(WRITERS, cluster.url(), Until::Sent(EACH)).await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    cluster.check(&outcome.ledger).await.unwrap();
    let counts = cluster.counts().await;
    assert_eq!(counts.iter().sum::<u64>(), (WRITERS * EACH) as u64, "{counts:?}");
    assert!(skew(&counts) <= 1, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_writers_leave_two_nodes_equal() {
    a_thousand_writers(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_writers_leave_three_nodes_equal() {
    a_thousand_writers(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_writers_leave_ten_nodes_equal() {
    a_thousand_writers(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_balancers_differ_by_no_more_than_the_others_in_flight() {
    const WRITERS: usize = 32;
    let cluster = Cluster::builder().nodes(3).start().await;
    let urls: Vec<&str> = cluster.nodes().iter().map(|node| node.url()).collect();
    let other = balancer_over(&urls, &cluster.folder().join("other"));
    sees(other.url(), &[("A", "up"), ("B", "up"), ("C", "up")]).await;
    let (here, there) = tokio::join!(
        post_from(WRITERS, cluster.url(), Until::Sent(60)),
        post_from(WRITERS, other.url(), Until::Sent(60)),
    );
    assert_eq!((here.failures, there.failures), (Vec::new(), Vec::new()));
    let mut ledger = here.ledger;
    ledger.join(there.ledger);
    cluster.check(&ledger).await.unwrap();
    let counts = cluster.counts().await;
    assert!(skew(&counts) <= WRITERS as u64, "{counts:?}");
}
