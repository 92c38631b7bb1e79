//! What a balancer asks so that no sentence lies on two nodes: held and stored ids, taking copies back, and the fence.

use reqwest::{Method, RequestBuilder};
use wire::{Copies, Fenced, Ids, Place, Problem, Report, StoredCopy, StoredSentence};

use crate::support::{Answer, Node, answer, get, id, line, post_json, post_lines};

fn post(node: &Node, path: &str) -> RequestBuilder {
    reqwest::Client::new().post(format!("{}{path}", node.url)).header("content-type", "application/json")
}

async fn ask(node: &Node, path: &str, body: &impl serde::Serialize) -> Answer {
    answer(post(node, path).body(serde_json::to_vec(body).unwrap())).await
}

async fn report(node: &Node) -> Report {
    get(&format!("{}/report", node.url)).await.json()
}

async fn store(node: &Node, count: usize) -> Vec<StoredCopy> {
    let items: Vec<String> = (0..count).map(|_| line(id(), "Ana", "text")).collect();
    assert_eq!(post_lines(&format!("{}/sentences", node.url), items.join("\n")).await.status, 200);
    let listed: Vec<StoredSentence> = get(&format!("{}/sentence", node.url)).await.json();
    listed.iter().map(|it| StoredCopy { date: it.date, id: it.id.unwrap() }).collect()
}

/// Posts one sentence, with the number of a fence.
async fn post_with(node: &Node, fence: &str) -> Answer {
    answer(post(node, "/sentence").header("balanza-fence", fence).body(line(id(), "Ana", "text"))).await
}

#[tokio::test]
async fn ids_are_told_and_copies_taken_back() {
    let node = Node::embedded(&[]);
    let stored = store(&node, 25).await;

    let asked = Ids { ids: vec![stored[3].id, id(), stored[20].id, stored[3].id] };
    let Copies { mut copies } = ask(&node, "/sentences/held", &asked).await.json();
    copies.sort_unstable();
    assert_eq!(copies, [stored[3], stored[20]]);

    let whole = get(&format!("{}/sentences/ids", node.url)).await;
    assert_eq!((whole.json::<Copies>().copies, whole.header("balanza-next")), (stored.clone(), ""));
    let mut after = String::new();
    let mut paged = Vec::new();
    while paged.len() < stored.len() {
        let page = get(&format!("{}/sentences/ids?limit=10{after}", node.url)).await;
        let Copies { copies } = page.json();
        let last = copies.last().unwrap();
        let cursor = Place::new(last.date, Some(last.id)).cursor();
        paged.extend(copies);
        let told = if paged.len() < stored.len() { cursor.as_str() } else { "" };
        assert_eq!(page.header("balanza-next"), told);
        after = format!("&after={cursor}");
    }
    assert_eq!(paged, stored);

    let before = report(&node).await;
    let taken = ask(&node, "/sentences/retract", &Copies { copies: stored[5..].to_vec() }).await;
    assert_eq!(
        (taken.number("balanza-documents"), taken.header("balanza-epoch")),
        (5, before.epoch.as_str())
    );
    assert!(taken.number("balanza-revision") > before.revision);
    assert_eq!(taken.json::<Ids>().ids.len(), 20);
    let again = ask(&node, "/sentences/retract", &Copies { copies: stored[5..].to_vec() }).await;
    assert_eq!((again.number("balanza-documents"), again.json::<Ids>().ids.len()), (5, 0));
    assert_eq!(report(&node).await.documents, 5);
}

#[tokio::test]
async fn what_is_asked_has_a_form_and_a_limit() {
    let node = Node::embedded(&[]);
    let copy = StoredCopy { date: "2020-10-08 16:51:30.506529".parse().unwrap(), id: id() };
    let many = wire::contract::MAX_BULK_ITEMS + 1;
    for (path, too_many, other) in [
        (
            "/sentences/held",
            serde_json::to_string(&Ids { ids: vec![copy.id; many] }).unwrap(),
            r#"{"ids":["7"]}"#,
        ),
        (
            "/sentences/retract",
            serde_json::to_string(&Copies { copies: vec![copy; many] }).unwrap(),
            r#"{"ids":[]}"#,
        ),
    ] {
        for (body, expected) in [
            (too_many, "413 too-many"),
            (String::new(), "400 empty-body"),
            ("{".to_owned(), "400 not-json"),
            (other.to_owned(), "400 not-json"),
            ("x".repeat(16 * 1024 * 1024), "413 too-large"),
        ] {
            let answer = answer(post(&node, path).body(body)).await;
            let problem: Problem = answer.json();
            assert!(problem.remedy.is_some());
            let kind = problem.kind.strip_prefix("urn:balanza:").unwrap();
            assert_eq!(format!("{} {kind}", answer.status), expected, "{path}: {}", problem.detail);
        }
    }
    for query in ["limit=0", "limit=10001", "after=7", "author=Ana"] {
        let answer = get(&format!("{}/sentences/ids?{query}", node.url)).await;
        assert_eq!(
            (answer.status, answer.json::<Problem>().kind.as_str()),
            (400, "urn:balanza:bad-parameter")
        );
    }
}

#[tokio::test]
async fn they_need_the_write_token() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "write-token-of-this-test").unwrap();
    let node = Node::embedded(&[("write-token-file", file.to_str().unwrap())]);
    let (ids, copies) = (r#"{"ids":[]}"#, r#"{"copies":[]}"#);
    for (method, path, body) in [
        (Method::POST, "/sentences/held", ids),
        (Method::POST, "/sentences/retract", copies),
        (Method::GET, "/sentences/ids", ""),
        (Method::POST, "/fence", ""),
    ] {
        let fence = report(&node).await.fence;
        let request = || {
            let request = reqwest::Client::new().request(method.clone(), format!("{}{path}", node.url));
            request.header("content-type", "application/json").body(body)
        };
        assert_eq!(answer(request()).await.status, 401, "{path}");
        assert_eq!(answer(request().bearer_auth("another-token-of-this-test")).await.status, 403, "{path}");
        assert_eq!(report(&node).await.fence, fence, "{path}");
        assert_eq!(answer(request().bearer_auth("write-token-of-this-test")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_carries_an_old_number_stays_out() {
    let node = Node::embedded(&[]);
    let first = report(&node).await.fence.unwrap();
    assert_eq!(post_with(&node, &first.to_string()).await.status, 200);
    let Fenced { fence } = answer(post(&node, "/fence")).await.json();
    assert!(fence > first);
    assert_eq!(report(&node).await.fence, Some(fence));

    let refused = post_with(&node, &first.to_string()).await;
    assert_eq!((refused.status, refused.number("balanza-fence")), (409, fence));
    assert_eq!(refused.number("balanza-documents"), 1);
    let problem: Problem = refused.json();
    assert_eq!((problem.kind.as_str(), problem.ambiguous), ("urn:balanza:fenced", false));
    let bulk = post(&node, "/sentences").header("balanza-fence", first);
    let bulk = answer(bulk.body(format!("[{}]", line(id(), "Ana", "text")))).await;
    assert_eq!((bulk.status, bulk.number("balanza-fence")), (409, fence));
    assert_eq!(report(&node).await.documents, 1, "what was refused is not stored");

    assert_eq!(post_with(&node, &fence.to_string()).await.status, 200);
    let without = post_json(&format!("{}/sentence", node.url), line(id(), "Ana", "text")).await;
    assert_eq!(without.status, 200);
    for wrong in ["", "+5", "-1", "0x7", "five", "99999999999999999999999", "7, 8"] {
        let refused = post_with(&node, wrong).await;
        assert_eq!(
            (refused.status, refused.json::<Problem>().field.as_deref()),
            (400, Some("balanza-fence"))
        );
    }
    let twice = post(&node, "/sentence").header("balanza-fence", fence).header("balanza-fence", fence);
    assert_eq!(answer(twice.body(line(id(), "Ana", "text"))).await.status, 400);
    assert_eq!(report(&node).await.documents, 3);
}

#[tokio::test]
async fn a_new_run_has_a_new_number_and_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let config = || crate::support::config(&[("data-dir", dir.path().to_str().unwrap())]);
    let mut node = Node::start(config());
    let before = report(&node).await;
    node.stop();
    let node = Node::start(config());
    let after = report(&node).await;
    assert!(after.store.is_some() && after.store == before.store);
    assert!(after.fence > before.fence, "no number comes again");
    let identity = after.store.unwrap();
    let verbose = get(&format!("{}/readyz?verbose", node.url)).await.body;
    assert!(verbose.contains(&format!("identity: {identity}\n")), "{verbose}");
    let metrics = get(&format!("{}/metrics", node.url)).await.body;
    let info = format!("balanza_backend_store_info{{kind=\"embedded\",id=\"{identity}\"}} 1\n");
    assert!(metrics.contains(&info), "{metrics}");
}
