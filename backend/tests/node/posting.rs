//! `POST /sentence` and `POST /sentences` as clients and balancers use them.

use std::collections::BTreeMap;

use wire::{ItemAnswer, ItemStatus, Report, StoredSentence};

use crate::support::{Node, answer, get, id, line, post_json, post_lines};

#[tokio::test]
async fn an_old_client_gets_its_old_answer() {
    let node = Node::embedded(&[]);
    let posted =
        post_json(&format!("{}/sentence", node.url), r#"{"author":"User1","sentence":"Qu\u00e9 tal"}"#).await;
    assert_eq!((posted.status, posted.header("content-type")), (200, "application/json"));
    let stored: StoredSentence = posted.json();
    assert_eq!((stored.author.as_str(), stored.sentence.as_str()), ("User1", "Qué tal"));
    assert_eq!(stored.date.to_string().len(), "2020-10-08 16:51:30.506529".len());
    assert_eq!((posted.number("balanza-documents"), posted.number("balanza-revision")), (1, 1));
    let listed: Vec<StoredSentence> = get(&format!("{}/sentence", node.url)).await.json();
    assert_eq!(listed, [stored]);
}

#[tokio::test]
async fn a_body_without_a_type_is_taken_for_json() {
    let node = Node::embedded(&[]);
    let request = reqwest::Client::new().post(format!("{}/sentence", node.url));
    let posted = answer(request.body(r#"{"author":"User1","sentence":"x"}"#)).await;
    assert_eq!(posted.status, 200, "{}", posted.body);
}

#[tokio::test]
async fn a_repeated_id_is_answered_with_the_first_document() {
    let node = Node::embedded(&[]);
    let (url, id) = (format!("{}/sentence", node.url), id());
    let first = post_json(&url, line(id, "Ana", "first")).await;
    let again = post_json(&url, line(id, "Eva", "again")).await;
    assert_eq!(first.json::<StoredSentence>(), again.json::<StoredSentence>());
    for header in ["balanza-documents", "balanza-revision", "balanza-epoch"] {
        assert_eq!(first.header(header), again.header(header), "{header}");
    }
}

#[tokio::test]
async fn a_bulk_post_is_answered_item_by_item_in_its_own_form() {
    let node = Node::embedded(&[]);
    let url = format!("{}/sentences", node.url);
    let (one, two) = (id(), id());
    let items = [
        line(one, "Ana", "a"),
        r#"{"author":"Ana","sentence":"no id"}"#.to_owned(),
        line(two, "", "no author"),
        "7".to_owned(),
        line(one, "Ana", "the same id"),
        line(two, "Eva", "b"),
    ];
    let statuses = |items: &[ItemAnswer]| items.iter().map(|item| item.status).collect::<Vec<_>>();
    let lines = post_lines(&url, items.join("\n")).await;
    assert_eq!((lines.status, lines.header("content-type")), (200, "application/x-ndjson"));
    assert_eq!((lines.number("balanza-documents"), lines.number("balanza-revision")), (2, 1));
    let read: Vec<ItemAnswer> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    use ItemStatus::{Duplicate, Failed, Stored};
    assert_eq!(statuses(&read), [Stored, Failed, Failed, Failed, Duplicate, Stored]);
    assert_eq!(read[2].id, Some(two), "a failed item names its id where it has one");
    let prefix = format!(r#"{{"status":"stored","id":"{one}","date":"{}"}}"#, read[0].date.unwrap());
    assert!(lines.body.starts_with(&prefix), "the balancer reads this prefix: {}", lines.body);

    let array = post_json(&url, format!("[{}]", items.join(","))).await;
    assert_eq!((array.status, array.header("content-type")), (200, "application/json"));
    assert_eq!(statuses(&array.json::<Vec<_>>()), [Duplicate, Failed, Failed, Failed, Duplicate, Duplicate]);
    assert_eq!(array.number("balanza-documents"), 2);
}

#[tokio::test]
async fn the_largest_bulk_post_is_stored_in_one_commit() {
    let node = Node::embedded(&[]);
    let items: Vec<String> =
        (0..wire::contract::MAX_BULK_ITEMS).map(|_| line(id(), "Ana", "one of many")).collect();
    let posted = post_lines(&format!("{}/sentences", node.url), items.join("\n")).await;
    assert_eq!(posted.status, 200);
    assert_eq!((posted.number("balanza-documents"), posted.number("balanza-revision")), (10_000, 1));
    assert_eq!(posted.body.lines().filter(|line| line.starts_with(r#"{"status":"stored","#)).count(), 10_000);
}

#[tokio::test]
async fn a_node_with_a_write_token_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "write-token-of-this-test\n").unwrap();
    let node = Node::embedded(&[("write-token-file", file.to_str().unwrap())]);
    let url = format!("{}/sentence", node.url);
    let post = || reqwest::Client::new().post(&url).body(r#"{"author":"a","sentence":"b"}"#);
    assert_eq!(answer(post()).await.status, 401);
    assert_eq!(answer(post().bearer_auth("another-token-of-this-test")).await.status, 403);
    assert_eq!(answer(post().bearer_auth("write-token-of-this-test")).await.status, 200);
    assert_eq!(get(&url).await.status, 200, "reading needs no token");
}

/// What the balancer's exactness rests on, through HTTP: headers and reports tell one story.
#[tokio::test]
async fn headers_and_reports_agree_under_concurrent_posts() {
    let node = Node::embedded(&[]);
    let client = reqwest::Client::new();
    let clients: Vec<_> = (0..24u64)
        .map(|number| {
            let (client, url) = (client.clone(), node.url.clone());
            tokio::spawn(async move {
                let mut told = Vec::new();
                for round in 0..10 {
                    let size = 1 + (number + round) % 5;
                    let body = (0..size).map(|_| line(id(), "Ana", "text")).collect::<Vec<_>>().join("\n");
                    let post = client.post(format!("{url}/sentences"));
                    let answer = answer(post.header("content-type", "application/x-ndjson").body(body)).await;
                    assert_eq!(answer.status, 200);
                    let tally = (answer.number("balanza-revision"), answer.number("balanza-documents"));
                    told.push((tally, size, answer.header("balanza-epoch").to_owned()));
                }
                told
            })
        })
        .collect();
    let mut reports = Vec::new();
    while clients.iter().any(|client| !client.is_finished()) {
        reports.push(get(&format!("{}/report", node.url)).await.json::<Report>());
    }
    let mut added: BTreeMap<u64, u64> = BTreeMap::new();
    let mut tallies = Vec::new();
    for client in clients {
        for (tally, size, epoch) in client.await.unwrap() {
            *added.entry(tally.0).or_default() += size;
            tallies.push(tally);
            assert_eq!(epoch, reports[0].epoch);
        }
    }
    tallies.extend(reports.iter().map(|report| (report.revision, report.documents)));
    for (revision, documents) in tallies {
        let counted: u64 = added.range(..=revision).map(|(_, size)| size).sum();
        assert_eq!(counted, documents, "at revision {revision}");
    }
    assert!(reports.is_sorted_by_key(|report| report.seq));
}
