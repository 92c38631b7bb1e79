//! Bad input at every door: each is refused with field, problem and remedy, nothing is stored, and the next good
//! request works. The doors are the two servers, over raw HTTP, and the files and addresses given to the client.

use harness::{Cluster, Connection, http, raw};
use serde_json::json;
use tempfile::TempDir;
use wire::contract::{MAX_AUTHOR_BYTES, MAX_SENTENCE_BODY_BYTES, MAX_SENTENCE_BYTES};

use crate::sentence_journey::balanza;

const JSON: (&str, &str) = ("content-type", "application/json");
const GOOD: &str = r#"{"author":"Ana","sentence":"Hola."}"#;

/// A request that must be refused.
struct Case {
    name: &'static str,
    request: Vec<u8>,
    status: u16,
    /// The field that the problem must name; empty where it need not name one.
    field: &'static str,
}

fn case(name: &'static str, body: impl AsRef<[u8]>, status: u16, field: &'static str) -> Case {
    Case { name, request: raw::request("POST", "/sentence", &[JSON], body.as_ref()), status, field }
}

fn bodies() -> Vec<Case> {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let long = |author: usize, sentence: usize| {
        json!({ "author": "a".repeat(author), "sentence": "s".repeat(sentence) }).to_string()
    };
    vec![
        case("broken JSON", r#"{"author":"Ana","#, 400, ""),
        case("no JSON", "hola", 400, ""),
        case("two documents", format!("{GOOD}{GOOD}"), 400, ""),
        case("nothing", "", 400, ""),
        case("blanks", " \r\n\t", 400, ""),
        case("too deep", deep(100_000), 400, ""),
        case("too deep inside", format!(r#"{{"author":"a","sentence":{}}}"#, deep(100_000)), 400, "sentence"),
        case("not UTF-8", b"{\"author\":\"\xff\",\"sentence\":\"x\"}", 400, ""),
        case("an array", format!("[{GOOD}]"), 400, ""),
        case("a number", "7", 400, ""),
        case("null", "null", 400, ""),
        case("no author", r#"{"sentence":"x"}"#, 400, "author"),
        case("no sentence", r#"{"author":"x"}"#, 400, "sentence"),
        case("an author that is a number", r#"{"author":7,"sentence":"x"}"#, 400, "author"),
        case("a sentence that is null", r#"{"author":"a","sentence":null}"#, 400, "sentence"),
        case("a sentence that is a list", r#"{"author":"a","sentence":["x"]}"#, 400, "sentence"),
        case("an empty author", r#"{"author":"","sentence":"x"}"#, 400, "author"),
        case("a blank sentence", r#"{"author":"a","sentence":" \n"}"#, 400, "sentence"),
        case("half a surrogate pair", r#"{"author":"a","sentence":"\ud800"}"#, 400, "sentence"),
        case("an unknown key", r#"{"author":"a","sentence":"x","date":"now"}"#, 400, ""),
        case("a repeated key", r#"{"author":"a","author":"b","sentence":"x"}"#, 400, ""),
        case("an id that is none", r#"{"id":"7","author":"a","sentence":"x"}"#, 400, "id"),
        case("a long author", long(MAX_AUTHOR_BYTES + 1, 1), 413, "author"),
        case("a long sentence", long(1, MAX_SENTENCE_BYTES + 1), 413, "sentence"),
        case("a body above every limit", vec![b' '; MAX_SENTENCE_BODY_BYTES + 1], 413, ""),
    ]
}

fn heads() -> Vec<Case> {
    let post = |headers: &[(&str, &str)]| raw::request("POST", "/sentence", headers, GOOD.as_bytes());
    let of = |name, request, status, field| Case { name, request, status, field };
    vec![
        of("a form", post(&[("content-type", "application/x-www-form-urlencoded")]), 415, "content-type"),
        of("XML", post(&[("content-type", "text/xml")]), 415, "content-type"),
        of("a packed body", post(&[JSON, ("content-encoding", "gzip")]), 415, "content-encoding"),
        of("an unknown path", raw::request("GET", "/sentense", &[], b""), 404, ""),
        of("an unknown method", raw::request("PATCH", "/sentence", &[JSON], GOOD.as_bytes()), 405, ""),
        of("a limit that is none", raw::request("GET", "/sentence?limit=many", &[], b""), 400, "limit"),
        of("a cursor that is none", raw::request("GET", "/sentence?limit=1&after=x", &[], b""), 400, "after"),
    ]
}

/// Requests whose framing is wrong or doubtful: refused with a 4xx or 5xx status, or by closing.
fn framings() -> Vec<(&'static str, Vec<u8>)> {
    let sent =
        |head: &str, body: &str| format!("POST /sentence HTTP/1.1\r\n{head}\r\n\r\n{body}").into_bytes();
    let with = |head: &str| sent(&format!("host: x\r\ncontent-type: application/json\r\n{head}"), GOOD);
    let n_bytes = GOOD.len();
    let smuggled = "0\r\n\r\nGET /usage HTTP/1.1\r\nhost: x\r\n\r\n";
    let lengths = ["+35", "-1", "0x23", "0o43", "3_5", "3 5", "", "35,", "18446744073709551616"];
    let mut cases = vec![
        ("two lengths", with(&format!("content-length: {n_bytes}\r\ncontent-length: {}", n_bytes + 1))),
        ("a list of lengths", with(&format!("content-length: {n_bytes}, {}", n_bytes + 1))),
        (
            "chunked and a length",
            sent("host: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5", smuggled),
        ),
        ("chunked twice", with("transfer-encoding: chunked, chunked")),
        ("gzip as the framing", with("transfer-encoding: gzip")),
        ("identity as the framing", with("transfer-encoding: identity")),
        (
            "a chunk size that is none",
            sent("host: x\r\ntransfer-encoding: chunked", "0x5\r\n{}   \r\n0\r\n\r\n"),
        ),
        ("a chunk size with a sign", sent("host: x\r\ntransfer-encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n")),
        ("a NUL in a header", with(&format!("x-name: a\0b\r\ncontent-length: {n_bytes}"))),
        ("a bare CR in a header", with(&format!("x-name: a\rb\r\ncontent-length: {n_bytes}"))),
        ("a blank before the colon", with(&format!("content-length : {n_bytes}"))),
        ("no version", b"GET /sentence\r\n\r\n".to_vec()),
        ("a version that is none", b"GET /livez HTTP/01.1\r\nhost: x\r\n\r\n".to_vec()),
        ("no host", b"GET /livez HTTP/1.1\r\n\r\n".to_vec()),
        ("two hosts", b"GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_vec()),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on\r\n\r\n".to_vec()),
        (
            "a header above every limit",
            with(&format!("x-name: {}\r\ncontent-length: {n_bytes}", "a".repeat(300_000))),
        ),
    ];
    cases.extend(lengths.map(|length| ("a length that is none", with(&format!("content-length: {length}")))));
    cases
}

fn refused(address: &str, case: &Case) {
    let name = case.name;
    let answer =
        raw::exchange(address, &case.request).unwrap_or_else(|| panic!("{name}: closed without a word"));
    assert_eq!(answer.status, case.status, "{name}: {}", answer.text);
    assert_eq!(answer.header("content-type"), Some(wire::contract::PROBLEM_JSON), "{name}");
    let problem: wire::Problem = serde_json::from_value(answer.json.clone())
        .unwrap_or_else(|error| panic!("{name} is no problem ({error}): {}", answer.text));
    assert!(problem.kind.starts_with("urn:balanza:"), "{name}: {}", problem.kind);
    assert_eq!(problem.status, case.status, "{name}");
    assert!(!problem.detail.is_empty() && !problem.message.is_empty(), "{name}: {}", answer.text);
    assert!(problem.remedy.is_some_and(|remedy| !remedy.is_empty()), "{name} has a remedy: {}", answer.text);
    if !case.field.is_empty() {
        assert_eq!(problem.field.as_deref(), Some(case.field), "{name}");
    }
}

/// A fresh connection is served, and the store holds what it held and the one good sentence.
async fn still_good(cluster: &Cluster, url: &str, after: &str) {
    let before = cluster.counts().await.iter().sum::<u64>();
    let answer =
        http::send(http::client().post(format!("{url}/sentence")).header(JSON.0, JSON.1).body(GOOD)).await;
    let answer = answer.unwrap_or_else(|error| panic!("after {after}: {error}"));
    assert_eq!(answer.status, 200, "after {after}: {}", answer.text);
    assert_eq!(cluster.counts().await.iter().sum::<u64>(), before + 1, "after {after}");
}

/// The servers under test by name: a node and the balancer of the same cluster.
fn doors(cluster: &Cluster) -> [(&'static str, String); 2] {
    [("node", cluster.nodes()[0].url().to_owned()), ("balancer", cluster.url().to_owned())]
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_body_is_refused_with_field_and_remedy() {
    let cluster = Cluster::start().await;
    for (door, url) in doors(&cluster) {
        for case in bodies().iter().chain(&heads()) {
            println!("{door}: {}", case.name);
            refused(address(&url), case);
        }
        assert_eq!(
            cluster.counts().await.iter().sum::<u64>(),
            u64::from(door == "balancer"),
            "nothing is stored"
        );
        still_good(&cluster, &url, door).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_framing_is_refused_or_closed() {
    let cluster = Cluster::start().await;
    for (door, url) in doors(&cluster) {
        for (name, request) in framings() {
            println!("{door}: {name}");
            if let Some(answer) = raw::exchange(address(&url), &request) {
                assert!(answer.status >= 400, "{door}, {name}: {} {}", answer.status, answer.text);
            }
        }
        assert_eq!(
            cluster.counts().await.iter().sum::<u64>(),
            u64::from(door == "balancer"),
            "nothing is stored"
        );
        still_good(&cluster, &url, door).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_is_not_stored() {
    let cluster = Cluster::start().await;
    for (_, url) in doors(&cluster) {
        for head in ["content-length: 35", "transfer-encoding: chunked"] {
            let before = cluster.counts().await;
            let mut connection = Connection::open(address(&url));
            let begun = format!(
                "POST /sentence HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{head}\r\n\r\n"
            );
            connection.send(begun.as_bytes());
            let half =
                if head.starts_with('t') { format!("23\r\n{GOOD}\r\n") } else { GOOD[..20].to_owned() };
            connection.send(half.as_bytes());
            connection.finish();
            if let Some(answer) = connection.try_answer() {
                assert!(answer.status >= 400, "{head}: {}", answer.text);
            }
            assert_eq!(cluster.counts().await, before, "{head}");
        }
        still_good(&cluster, &url, "half a body").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_many_pieces_is_whole() {
    let cluster = Cluster::start().await;
    for (_, url) in doors(&cluster) {
        let mut connection = Connection::open(address(&url));
        let head = "POST /sentence HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks = GOOD.chars().map(|letter| format!("{:X};x=y\r\n{letter}\r\n", letter.len_utf8()));
        let request = format!("{head}{}0\r\nx-trailer: z\r\n\r\n", chunks.collect::<String>());
        for byte in request.bytes() {
            connection.send(&[byte]);
        }
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.text.contains("Hola."), "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_posts_are_answered_in_order_and_stored_once() {
    let cluster = Cluster::start().await;
    for (_, url) in doors(&cluster) {
        let before = cluster.counts().await.iter().sum::<u64>();
        let posts = (0..20).map(|number| {
            let body = json!({ "author": "Ana", "sentence": format!("Número {number}.") }).to_string();
            let last = [JSON, ("connection", "close")];
            raw::request("POST", "/sentence", if number == 19 { &last } else { &last[..1] }, body.as_bytes())
        });
        let mut connection = Connection::open(address(&url));
        connection.send(&posts.collect::<Vec<_>>().concat());
        let all = String::from_utf8(connection.rest()).unwrap();
        let places =
            (0..20).map(|number| all.find(&format!("Número {number}.")).unwrap_or_else(|| panic!("{all}")));
        assert!(places.is_sorted(), "{all}");
        assert_eq!(cluster.counts().await.iter().sum::<u64>(), before + 20);
    }
}

/// Runs the client on `file` and expects it to fail with a message that holds each of `words`.
async fn client_refuses(arguments: &[&str], words: &[&str]) {
    let output = balanza(arguments).await;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} succeeded: {message}");
    assert!(output.status.code().is_some_and(|code| code != 101), "{arguments:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{arguments:?} does not say `{word}`: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_named_and_nothing_is_sent() {
    let cluster = Cluster::start().await;
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let missing = folder.path().join("missing.txt").to_str().unwrap().to_owned();
    let binary = write("binary.bin", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0");
    let empty = write("empty.txt", b"");
    let blank = write("blank.txt", b" \n\t\r\n");
    let a_folder = folder.path().to_str().unwrap().to_owned();
    for (file, word) in [
        (&missing, "missing.txt"),
        (&binary, "binary.bin"),
        (&empty, "empty.txt"),
        (&blank, "blank.txt"),
        (&a_folder, "director"),
    ] {
        client_refuses(&["send", file, "--to", cluster.url()], &[word]).await;
        client_refuses(&["split", file], &[word]).await;
    }
    assert_eq!(cluster.counts().await, [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_systems_are_read() {
    let cluster = Cluster::start().await;
    let folder = TempDir::new().unwrap();
    for (name, bytes) in [
        ("bom.txt", &b"\xef\xbb\xbfEl ma\xc3\xb1ana. La tarde."[..]),
        ("crlf.txt", b"El ma\xc3\xb1ana.\r\nLa tarde.\r\n"),
        ("latin1.txt", b"El ma\xf1ana. La tarde."),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let output = balanza(&["send", path.to_str().unwrap(), "--to", cluster.url()]).await;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut sentences = Vec::new();
    for node in cluster.nodes() {
        sentences.extend(http::sentences(node.url()).await.into_iter().map(|stored| stored.sentence));
    }
    sentences.sort();
    assert_eq!(sentences, ["El mañana.", "El mañana.", "El mañana.", "La tarde.", "La tarde.", "La tarde."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_address_is_named() {
    let text = harness::texts::spanish();
    let text = text.to_str().unwrap();
    for (url, word) in [
        // Nobody listens on port 1, and no test may reach a balancer that somebody runs.
        ("127.0.0.1:1", "http://127.0.0.1:1"),
        ("ftp://127.0.0.1:1", "http"),
        ("http://", "http"),
        ("http://127.0.0.1:99999", "99999"),
        ("", "--to"),
    ] {
        client_refuses(&["send", text, "--to", url], &[word]).await;
    }
    // Nobody there.
    client_refuses(&["send", text, "--to", "http://127.0.0.1:1"], &["127.0.0.1:1"]).await;
}
