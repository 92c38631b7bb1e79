//! Bad input at every door: the status, the kind of problem, the field and a remedy; and nothing is stored.

use reqwest::Method;
use wire::Problem;
use wire::contract::{MAX_BULK_BODY_BYTES, MAX_BULK_ITEMS, MAX_SENTENCE_BODY_BYTES};

use crate::support::{Node, answer, get};

struct Door<'a> {
    node: &'a Node,
    method: Method,
    path: &'a str,
    content_type: &'a str,
}

impl Door<'_> {
    /// Knocks with a body and compares the answer, told as `status kind field`.
    async fn check(&self, body: impl Into<reqwest::Body>, expected: &str) {
        let request = reqwest::Client::new()
            .request(self.method.clone(), format!("{}{}", self.node.url, self.path))
            .header("content-type", self.content_type)
            .body(body);
        let answer = answer(request).await;
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.body);
        let problem: Problem = answer.json();
        assert_eq!(problem.status, answer.status);
        assert!(problem.remedy.is_some(), "no remedy: {problem:?}");
        let kind = problem.kind.strip_prefix("urn:balanza:").unwrap();
        let told = format!("{} {kind} {}", answer.status, problem.field.as_deref().unwrap_or("-"));
        assert_eq!(told, expected, "{}", problem.detail);
        assert!(!answer.header("endpoint-load-metrics").is_empty());
    }
}

async fn documents(node: &Node) -> u64 {
    get(&format!("{}/usage", node.url)).await.json::<wire::Usage>().database
}

#[tokio::test]
async fn a_bad_sentence_is_told_what_is_wrong_with_it() {
    let node = Node::embedded(&[]);
    let door =
        Door { node: &node, method: Method::POST, path: "/sentence", content_type: "application/json" };
    door.check("", "400 empty-body -").await;
    door.check("{", "400 not-json -").await;
    door.check("hello", "400 not-json -").await;
    door.check("[]", "400 invalid-sentence -").await;
    door.check("null", "400 invalid-sentence -").await;
    door.check(b"{\"author\":\"\xff\"}".to_vec(), "400 not-utf8 -").await;
    door.check(r#"{"author":"a"}"#, "400 invalid-sentence sentence").await;
    door.check(r#"{"author":"","sentence":"b"}"#, "400 invalid-sentence author").await;
    door.check(r#"{"author":7,"sentence":"b"}"#, "400 invalid-sentence author").await;
    door.check(r#"{"author":"a","sentence":"b","x":1}"#, "400 invalid-sentence -").await;
    door.check(r#"{"author":"a","sentence":"b","id":"7"}"#, "400 invalid-sentence id").await;
    door.check(format!(r#"{{"author":"{}","sentence":"b"}}"#, "a".repeat(257)), "413 too-long author").await;
    let long = format!(r#"{{"author":"a","sentence":"{}"}}"#, "b".repeat(64 * 1024 + 1));
    door.check(long, "413 too-long sentence").await;
    let deep = format!(r#"{{"author":"a","sentence":{}}}"#, "[".repeat(50_000));
    door.check(deep, "400 not-json -").await;
    door.check("x".repeat(MAX_SENTENCE_BODY_BYTES + 1), "413 too-large content-length").await;
    // The same without a length to look at.
    let pieces = (0..8).map(|_| Ok::<_, std::io::Error>("y".repeat(MAX_SENTENCE_BODY_BYTES / 4)));
    door.check(
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)),
        "413 too-large content-length",
    )
    .await;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/x-ndjson",
        "application/json; charset=latin1",
    ] {
        let door = Door { content_type, method: Method::POST, ..door };
        door.check(r#"{"author":"a","sentence":"b"}"#, "415 unsupported-media-type content-type").await;
    }
    assert_eq!(documents(&node).await, 0);
}

#[tokio::test]
async fn a_bad_bulk_post_is_refused_whole() {
    let node = Node::embedded(&[]);
    let array =
        Door { node: &node, method: Method::POST, path: "/sentences", content_type: "application/json" };
    array.check("", "400 empty-body -").await;
    array.check("{}", "400 not-json -").await;
    array.check("[{]", "400 not-json -").await;
    array.check(b"[\"\xff\"]".to_vec(), "400 not-utf8 -").await;
    array.check(format!("[{}]", vec!["{}"; MAX_BULK_ITEMS + 1].join(",")), "413 too-many -").await;
    array.check("x".repeat(MAX_BULK_BODY_BYTES + 1), "413 too-large content-length").await;
    let lines = Door { content_type: "application/x-ndjson", ..array };
    lines.check("\n\n", "400 empty-body -").await;
    lines.check("{}\n".repeat(MAX_BULK_ITEMS + 1), "413 too-many -").await;
    let text = Door { content_type: "text/plain", ..lines };
    text.check("[]", "415 unsupported-media-type content-type").await;
    assert_eq!(documents(&node).await, 0);
}

#[tokio::test]
async fn a_packed_body_is_refused() {
    let node = Node::embedded(&[]);
    let request =
        reqwest::Client::new().post(format!("{}/sentence", node.url)).header("content-encoding", "gzip");
    let answer = answer(request.body(r#"{"author":"a","sentence":"b"}"#)).await;
    assert_eq!((answer.status, answer.json::<Problem>().kind.as_str()), (415, "urn:balanza:packed-body"));
}

#[tokio::test]
async fn bad_parameters_paths_and_methods_are_named() {
    let node = Node::embedded(&[]);
    let door = |method, path| Door { node: &node, method, path, content_type: "application/json" };
    door(Method::GET, "/sentence?limit=0").check("", "400 bad-parameter limit").await;
    door(Method::GET, "/sentence?limit=ten").check("", "400 bad-parameter limit").await;
    door(Method::GET, "/sentence?after=7").check("", "400 bad-parameter after").await;
    door(Method::GET, "/sentence?author=").check("", "400 bad-parameter author").await;
    door(Method::GET, "/sentence?page=2").check("", "400 bad-parameter page").await;
    door(Method::GET, "/sentence/7").check("", "400 bad-parameter id").await;
    door(Method::GET, "/sentence/0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b").check("", "404 no-sentence id").await;
    door(Method::GET, "/").check("", "404 no-route -").await;
    door(Method::GET, "/sentence/").check("", "404 no-route -").await;
    door(Method::POST, "/nowhere").check("{}", "404 no-route -").await;
    door(Method::PUT, "/sentence").check("{}", "405 method-not-allowed -").await;
    door(Method::GET, "/sentences").check("", "405 method-not-allowed -").await;
    door(Method::DELETE, "/usage").check("", "405 method-not-allowed -").await;
}

#[tokio::test]
async fn only_an_admin_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "admin-token-of-this-test").unwrap();
    let node = Node::embedded(&[("admin-token-file", file.to_str().unwrap())]);
    let id = crate::support::id();
    let body = crate::support::line(id, "a", "b");
    assert_eq!(crate::support::post_json(&format!("{}/sentence", node.url), body).await.status, 200);
    let url = format!("{}/sentence/{id}", node.url);
    let delete = || reqwest::Client::new().delete(&url);
    let without = answer(delete()).await;
    assert_eq!((without.status, without.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(answer(delete().bearer_auth("another-token-of-this-test")).await.status, 403);
    assert_eq!(documents(&node).await, 1);
    assert_eq!(answer(delete().bearer_auth("admin-token-of-this-test")).await.status, 204);
    assert_eq!(answer(delete().bearer_auth("admin-token-of-this-test")).await.status, 404);
    assert_eq!(documents(&node).await, 0);

    let open = Node::embedded(&[]);
    let refused = answer(reqwest::Client::new().delete(format!("{}/sentence/{id}", open.url))).await;
    let problem: Problem = refused.json();
    assert_eq!((refused.status, problem.kind.as_str()), (403, "urn:balanza:no-admin-token"));
    assert!(problem.remedy.unwrap().contains("--admin-token-file"));
}
