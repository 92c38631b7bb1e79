//! A MongoDB that goes away and comes back: the node says why it is not ready, refuses, and takes up again by itself.

use wire::{Problem, Report};

use crate::support::{self, DEADLINE, MongoServer, Node, get, id, line, no_mongo, post_json};

async fn until(node: &Node, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
    let mut last = None;
    let seen = tokio::time::timeout(DEADLINE, async {
        loop {
            let report: Report = get(&format!("{}/report", node.url)).await.json();
            if wanted(&report) {
                return report;
            }
            last = Some(report);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("{what}: never seen, but {last:?}"))
}

#[tokio::test]
async fn a_node_outlives_its_mongodb() {
    let state = tempfile::tempdir().unwrap();
    let server = match MongoServer::start_wire(state.path(), 0) {
        Ok(server) => server,
        Err(reason) => return no_mongo(&reason),
    };
    let port = server.port();
    let store = format!("{}/outage?serverSelectionTimeoutMS=500&connectTimeoutMS=500", server.uri);
    let node = Node::start(support::config(&[("store", &store)]));
    let (url, first) = (format!("{}/sentence", node.url), id());
    assert_eq!(post_json(&url, line(first, "Ana", "before")).await.status, 200);

    drop(server);
    let report = until(&node, "a node that is not ready", |report| !report.ready).await;
    assert!(report.not_ready_because.unwrap().contains("MongoDB"));
    assert_eq!(report.documents, 1, "the count is kept while the server is away");
    let refused = post_json(&url, line(id(), "Ana", "meanwhile")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    let problem: Problem = refused.json();
    assert!(!problem.ambiguous && problem.detail.contains("MongoDB"), "{problem:?}");
    assert_eq!(get(&format!("{}/readyz", node.url)).await.status, 503);
    assert_eq!(get(&format!("{}/livez", node.url)).await.status, 200);
    assert_eq!(get(&url).await.status, 503, "a listing that cannot begin says so");

    let _server = MongoServer::start_wire(state.path(), port).unwrap();
    until(&node, "a node that is ready again", |report| report.ready).await;
    let again = post_json(&url, line(first, "Ana", "repeated")).await;
    assert_eq!((again.status, again.number("balanza-documents")), (200, 1));
    assert!(again.body.contains("before"), "the first document stands: {}", again.body);
    assert_eq!(post_json(&url, line(id(), "Ana", "after")).await.number("balanza-documents"), 2);
}

/// A server that hangs may still carry out what it was sent, so the answer leaves it in doubt, and a repeat settles it.
#[tokio::test]
async fn a_post_that_a_hanging_mongodb_may_have_is_in_doubt() {
    let state = tempfile::tempdir().unwrap();
    let server = match MongoServer::start_wire(state.path(), 0) {
        Ok(server) => server,
        Err(reason) => return no_mongo(&reason),
    };
    let node = Node::start(support::config(&[("store", &format!("{}/hangs", server.uri))]));
    let (url, doubtful) = (format!("{}/sentence", node.url), id());
    assert_eq!(post_json(&url, line(id(), "Ana", "before")).await.status, 200);

    server.signal("STOP");
    let problem: Problem = post_json(&url, line(doubtful, "Ana", "in doubt")).await.json();
    server.signal("CONT");
    assert!(problem.status == 503 && problem.ambiguous, "{problem:?}");

    until(&node, "a node that is ready again", |report| report.ready).await;
    let settled = post_json(&url, line(doubtful, "Ana", "in doubt")).await;
    assert_eq!((settled.status, settled.number("balanza-documents")), (200, 2), "{}", settled.body);
    let listed: Vec<wire::StoredSentence> = get(&url).await.json();
    assert_eq!(listed.len(), 2, "stored once, however often it was sent");
}

/// What MongoDB was sent before it hung is still stored when it goes on. The fence knows of it, although its caller is gone.
#[tokio::test]
async fn a_fence_is_not_through_while_a_hanging_mongodb_may_store() {
    let state = tempfile::tempdir().unwrap();
    let server = match MongoServer::start_wire(state.path(), 0) {
        Ok(server) => server,
        Err(reason) => return no_mongo(&reason),
    };
    let node = Node::start(support::config(&[("store", &format!("{}/fenced", server.uri))]));
    let first: Report = get(&format!("{}/report", node.url)).await.json();
    let client = reqwest::Client::new();
    let post = |id, fence: u64| {
        let post = client.post(format!("{}/sentence", node.url)).header("content-type", "application/json");
        post.header("balanza-fence", fence).body(line(id, "Ana", "text"))
    };
    assert_eq!(support::answer(post(id(), first.fence.unwrap())).await.status, 200);

    server.signal("STOP");
    let late = id();
    let impatient = post(late, first.fence.unwrap()).timeout(std::time::Duration::from_millis(300));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    let waits = support::answer(client.post(format!("{}/fence", node.url))).await;
    let holds = waits.number("balanza-fence");
    assert_eq!((waits.status, holds > first.fence.unwrap()), (503, true), "{}", waits.body);
    server.signal("CONT");

    until(&node, "a node that is ready again", |report| report.ready).await;
    let refused = support::answer(post(id(), first.fence.unwrap())).await;
    assert_eq!((refused.status, refused.number("balanza-fence")), (409, holds), "it stayed raised");
    let through = tokio::time::timeout(DEADLINE, async {
        loop {
            let raised = support::answer(client.post(format!("{}/fence", node.url))).await;
            if raised.status == 200 {
                return raised;
            }
        }
    });
    let wire::Fenced { fence } = through.await.expect("the fence is never through").json();
    assert!(fence > holds);
    let stored: wire::Copies = get(&format!("{}/sentences/ids", node.url)).await.json();
    assert_eq!(stored.copies.len(), 2, "behind the fence the late one is seen");
    assert!(stored.copies.iter().any(|copy| copy.id == late));
}
