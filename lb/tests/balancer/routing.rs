//! What the balancer does while everything works: the rule, the answers, the routes. Absent: failures, framing.

use harness::{ScriptedNode, Turn, until};

use crate::support::{Balancer, post, post_body};

const ID: &str = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";

fn two_nodes() -> (ScriptedNode, ScriptedNode) {
    (ScriptedNode::start(Turn::store()), ScriptedNode::start(Turn::store()))
}

#[test]
fn a_post_is_answered_in_the_old_form_with_its_decision() {
    let (a, b) = two_nodes();
    let lb = Balancer::start(&[&a, &b], &[]);
    assert_eq!(
        lb.first_line(),
        format!("balanza-lb ready on http://{} (2 nodes, policy count-ram-cpu)", lb.program.address())
    );
    let answer = lb.post("Qué \"tal\"");
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = &answer.json;
    assert_eq!((json["server"].as_str(), json["filter"].as_str()), (Some("A"), Some("A")));
    assert_eq!(json["data"]["sentence"], "Qué \"tal\"");
    assert_eq!(a.documents()[0].id.as_deref(), json["data"]["id"].as_str());
    let decision = answer.header("balanza-decision").unwrap();
    assert!(
        decision.starts_with("node=\"A\", reason=first-by-name, documents=0, ram=40, cpu=7"),
        "{decision}"
    );
    assert_eq!(lb.post("second").json["filter"], "database");
    assert_eq!(b.sentences(), ["second"]);
}

#[test]
fn concurrent_posts_to_equal_nodes_end_with_equal_counts() {
    let nodes: Vec<ScriptedNode> = (0..3).map(|_| ScriptedNode::start(Turn::store())).collect();
    let lb = Balancer::start(&nodes.iter().collect::<Vec<_>>(), &["--workers", "2"]);
    std::thread::scope(|scope| {
        for client in 0..16 {
            let lb = &lb;
            scope.spawn(move || {
                let mut connection = lb.connect();
                for n in 0..50 {
                    connection.send(post(&format!("{client}/{n}")).as_bytes());
                    assert_eq!(connection.answer().status, 200);
                }
            });
        }
    });
    let counts: Vec<usize> = nodes.iter().map(|node| node.documents().len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 800);
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    let mut all: Vec<String> = nodes.iter().flat_map(ScriptedNode::sentences).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 800, "each sentence is stored once");
    assert_eq!(lb.in_flight(), 0);
}

#[test]
fn the_clients_id_is_kept_and_a_repeated_post_is_stored_once() {
    let node = ScriptedNode::start(Turn::store());
    let lb = Balancer::start(&[&node], &[]);
    let body = format!(r#"{{"id":"{ID}","author":"a","sentence":"b"}}"#);
    let mut client = lb.connect();
    for _ in 0..2 {
        client.send(post_body(&body, "").as_bytes());
        let json = client.answer().json;
        assert_eq!((json["data"]["id"].as_str(), json["data"]["sentence"].as_str()), (Some(ID), Some("b")));
    }
    let other = r#"{"author":"a","sentence":"b"}"#;
    client.send(post_body(other, &format!("idempotency-key: \"{ID}\"\r\n")).as_bytes());
    assert_eq!(client.answer().json["data"]["id"], ID);
    assert_eq!(node.documents().len(), 1);
    client.send(post_body(&body, "idempotency-key: 00000000-0000-0000-0000-000000000000\r\n").as_bytes());
    let differs = client.answer();
    assert_eq!((differs.status, differs.json["field"].as_str()), (400, Some("idempotency-key")));
    client.send(post_body(other, "idempotency-key: 7\r\n").as_bytes());
    assert_eq!(client.answer().status, 400);
    until("the duplicate is not counted", || lb.node("A")["documents"] == 1);
}

#[test]
fn a_bulk_post_is_routed_item_by_item_and_answered_in_order() {
    let (a, b) = two_nodes();
    let lb = Balancer::start(&[&a, &b], &[]);
    let send = |content_type: &str, body: &str| {
        let mut client = lb.connect();
        let length = body.len();
        client.send(
            format!("POST /sentences HTTP/1.1\r\nhost: lb\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
                .as_bytes(),
        );
        client.answer()
    };
    let items: Vec<String> = (0..100).map(|n| format!(r#"{{"author":"a","sentence":"s{n}"}}"#)).collect();
    let answer = send("application/json", &format!("[{}]", items.join(",")));
    let json = &answer.json;
    let told: Vec<&str> =
        json.as_array().unwrap().iter().map(|item| item["data"]["sentence"].as_str().unwrap()).collect();
    assert_eq!(told, (0..100).map(|n| format!("s{n}")).collect::<Vec<_>>());
    assert_eq!((a.documents().len(), b.documents().len()), (50, 50));

    let lines =
        format!("{}\n{{\"id\":\"{ID}\",\"author\":\"\",\"sentence\":\"x\"}}\n\n{}\n", items[0], items[1]);
    let answer = send("application/x-ndjson", &lines);
    let told: Vec<serde_json::Value> =
        answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[1]["error"]["field"], "author");
    assert_eq!(told[2]["data"]["sentence"], "s1");

    assert_eq!(send("application/json", "{}").status, 400);
    assert_eq!(send("text/plain", "[]").status, 415);
    assert_eq!(send("application/json", " ").status, 400);
    assert_eq!(send("application/x-ndjson", &"{}\n".repeat(10_001)).status, 413);
}

#[test]
fn lists_are_merged_by_date_and_paged() {
    let (a, b) = two_nodes();
    for n in 0..5 {
        let node = if n % 2 == 0 { &a } else { &b };
        node.put(
            if n == 3 { "Eva" } else { "Ana" },
            &format!("s{n}"),
            &format!("2026-01-01 00:00:0{n}.000000"),
        );
    }
    let lb = Balancer::start(&[&a, &b], &[]);
    let told = |path: &str| {
        let answer = lb.get(path);
        let json = &answer.json;
        let told = json.as_array().unwrap_or_else(|| panic!("{answer:?}")).iter();
        let told: Vec<String> = told
            .map(|s| format!("{}{}", s["server"].as_str().unwrap(), s["sentence"].as_str().unwrap()))
            .collect();
        (told.join(" "), answer.header("link").map(str::to_owned))
    };
    assert_eq!(told("/sentence"), ("As0 Bs1 As2 Bs3 As4".to_owned(), None));
    assert_eq!(told("/sentence?server=B").0, "Bs1 Bs3");
    assert_eq!(told("/sentence?author=Eva").0, "Bs3");
    let (page, link) = told("/sentence?limit=3");
    assert_eq!(page, "As0 Bs1 As2");
    let next = link.unwrap();
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(told(next).0, "Bs3 As4");
    assert_eq!(lb.get("/sentence?limit=0").status, 400);
    assert_eq!(lb.get("/sentence?after=x").status, 400);
    assert_eq!(lb.get("/sentence?lmit=3").status, 400);
    assert_eq!(lb.get("/sentence?server=Z").status, 404);
    drop(b);
    let missing = lb.get("/sentence");
    assert_eq!((missing.status, missing.json["type"].as_str()), (502, Some("urn:balanza:node-unreadable")));
    let partial = lb.get("/sentence?partial=true");
    assert_eq!((partial.status, partial.header("balanza-missing")), (200, Some("B")));
}

#[test]
fn fleet_decisions_metrics_and_health_tell_what_happened() {
    let (a, b) = two_nodes();
    let lb = Balancer::start(&[&a, &b], &[]);
    let id = lb.post("one").json["data"]["id"].clone();
    let node = lb.node("A");
    assert_eq!(
        (node["state"].as_str(), node["stored"].as_u64(), node["in_flight"].as_u64()),
        (Some("up"), Some(1), Some(0))
    );
    assert_eq!(node["protocol"], "batch");
    let decisions = lb.get("/decisions?limit=5").json;
    assert_eq!(decisions.as_array().unwrap().len(), 1);
    assert_eq!((&decisions[0]["id"], decisions[0]["candidates"].as_array().unwrap().len()), (&id, 2));
    let metrics = lb.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = &metrics.text;
    assert!(text.contains("balanza_lb_sentences_stored_total 1\n") && text.ends_with("# EOF\n"), "{text}");
    assert_eq!((lb.get("/livez").status, lb.get("/readyz").status), (200, 200));
    let contract = lb.get("/openapi.json").json;
    for path in ["/sentence", "/sentences", "/fleet", "/decisions", "/metrics", "/livez", "/readyz"] {
        assert!(contract["paths"][path].is_object(), "{path}");
    }
    let lost = lb.get("/nothing");
    assert_eq!((lost.status, lost.header("content-type")), (404, Some("application/problem+json")));
    let mut client = lb.connect();
    client.send(b"DELETE /sentence HTTP/1.1\r\nhost: lb\r\n\r\n");
    assert_eq!(client.answer().status, 405);
}

#[test]
fn an_operator_drains_removes_and_adds_nodes_with_the_token() {
    let (a, b) = two_nodes();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-secret-of-this-test\n").unwrap();
    let lb = Balancer::start(&[&a], &["--admin-token-file", token.to_str().unwrap()]);
    let ask = |method: &str, path: &str, token: &str, body: &str| lb.admin(method, path, token, body);
    assert_eq!(ask("POST", "/fleet/A/drain", "wrong", "").status, 403);
    assert_eq!(ask("POST", "/fleet/Z/drain", "a-secret-of-this-test", "").status, 404);
    assert_eq!(ask("POST", "/fleet/A/drain", "a-secret-of-this-test", "").status, 200);
    let down = lb.post("x");
    assert_eq!((down.status, down.json["message"].as_str()), (503, Some("down")));
    assert_eq!(lb.node("A")["state"], "draining");
    assert_eq!(lb.get("/readyz").status, 503);
    assert_eq!(
        ask("PUT", "/fleet/B", "a-secret-of-this-test", &format!(r#"{{"url":"{}"}}"#, b.url())).status,
        200
    );
    until("B is up", || lb.node("B")["state"] == "up");
    let answer = lb.post("for B");
    assert_eq!((answer.json["server"].as_str(), answer.json["filter"].as_str()), (Some("B"), Some("down")));
    assert_eq!(ask("PUT", "/fleet/C", "a-secret-of-this-test", r#"{"url":"https://c"}"#).status, 400);
    assert_eq!(ask("POST", "/fleet/A/ready", "a-secret-of-this-test", "").status, 200);
    assert_eq!(ask("DELETE", "/fleet/B", "a-secret-of-this-test", "").status, 200);
    assert_eq!(lb.post("for A").json["server"], "A");
    let closed = Balancer::start(&[&a], &[]);
    let mut client = closed.connect();
    client.send(b"POST /fleet/A/drain HTTP/1.1\r\nhost: lb\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 403);
}

#[test]
fn nodes_that_leave_or_move_leave_no_lane_and_no_connection() {
    let (a, b) = two_nodes();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-secret-of-this-test").unwrap();
    let lb = Balancer::start(&[&a, &b], &["--admin-token-file", token.to_str().unwrap()]);
    let ask = |method: &str, path: &str, body: &str| {
        assert_eq!(lb.admin(method, path, "a-secret-of-this-test", body).status, 200, "{method} {path}");
    };
    let mut stored = 0;
    for n in 0..20 {
        // The same node under an address that is spelt otherwise is another node.
        let spelling = if n % 2 == 0 { "/" } else { "" };
        ask("PUT", "/fleet/B", &format!(r#"{{"url":"{}{spelling}"}}"#, b.url()));
        until("B is up", || lb.node("B")["state"] == "up");
        stored += 2;
        assert_eq!([lb.post("for one").status, lb.post("for the other").status], [200, 200]);
    }
    // One of the lane, one of the watch.
    until("the connections of the others are closed", || b.sockets().n_connections() <= 2);
    let open = || {
        let text = lb.get("/metrics").text;
        let count = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("balanza_lb_{name}_total ")));
            line.unwrap().parse::<u64>().unwrap()
        };
        count("lanes_begun") - count("lanes_ended")
    };
    until("only the lanes of A and B are left", || open() <= 2);
    ask("DELETE", "/fleet/B", "");
    until("the lane of A alone is left", || open() <= 1);
    until("nothing is connected to B", || b.sockets().n_connections() == 0);
    assert_eq!(a.documents().len() + b.documents().len(), stored);
}
