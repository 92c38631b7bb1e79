//! Old and new together: the old client, our balancer over old nodes, and the old balancer over our nodes.

use harness::{Cluster, OldBalancer, Program, ScriptedNode, Turn, cluster, eventually, http, raw};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the old client's library put on the wire, in its order and with its escapes.
fn old_client_post(address: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /sentence HTTP/1.1\r\nHost: {address}\r\nUser-Agent: python-requests/2.24.0\r\n\
         Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\
         Content-Type: application/json\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[tokio::test]
async fn the_old_client_reads_what_it_always_read() {
    let mut cluster = Cluster::start().await;
    let address = cluster.balancer().address().to_owned();
    let body = r#"{"author": "User3", "sentence": "Qu\u00e9 \"cosa\"\n\ud83d\ude00"}"#;
    let answer = raw::exchange(&address, &old_client_post(&address, body)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for key in ["data", "filter", "server"] {
        assert!(keys(&answer.json).contains(&key), "{key}: {}", answer.text);
    }
    let data = &answer.json["data"];
    assert_eq!((&data["author"], &data["sentence"]), (&json!("User3"), &json!("Qué \"cosa\"\n😀")));
    let date = data["date"].as_str().unwrap();
    assert_eq!(
        (date.len(), &date[10..11], &date[19..20]),
        (26, " ", "."),
        "2020-10-08 16:51:30.506529: {date}"
    );
    // The old page reads these three of a node.
    let usage = http::get(&format!("{}/usage", cluster.nodes()[0].url())).await.json;
    assert_eq!(keys(&usage), ["cpu", "database", "ram"]);
    assert!(usage["cpu"].is_string() && usage["ram"].is_string() && usage["database"].is_u64(), "{usage}");
}

/// Our balancer over two old nodes, A and B.
struct OverOld {
    balancer: Program,
    a: ScriptedNode,
    b: ScriptedNode,
    _folder: TempDir,
}

impl OverOld {
    async fn start() -> Self {
        let (a, b) = (ScriptedNode::start_old(Turn::store()), ScriptedNode::start_old(Turn::store()));
        a.set_readings(0, "10", "10");
        b.set_readings(0, "10", "10");
        let folder = TempDir::new().unwrap();
        let balancer = cluster::balancer_over(&[&a.url(), &b.url()], folder.path());
        cluster::sees(balancer.url(), &[("A", "up"), ("B", "up")]).await;
        Self { balancer, a, b, _folder: folder }
    }

    /// Sets count, RAM and CPU of both and waits until the balancer has heard.
    async fn say(&self, a: (u64, &str, &str), b: (u64, &str, &str)) {
        for (node, (count, ram, cpu)) in [(&self.a, a), (&self.b, b)] {
            node.set_readings(count, ram, cpu);
        }
        let whole = |percent: &str| percent.split('.').next().and_then(|whole| whole.parse::<u64>().ok());
        eventually(&format!("the balancer hears {a:?} and {b:?}"), async || {
            let fleet = http::get(&format!("{}/fleet", self.balancer.url())).await;
            let heard = [(0, a), (1, b)].iter().all(|(number, (count, ram, cpu))| {
                let node = &fleet.json["nodes"][*number];
                let percent = |share: &Value| share.as_u64().map(|points| points / 100);
                let sentences = if *number == 0 { self.a.sentences() } else { self.b.sentences() };
                node["documents"].as_u64() == Some(count + sentences.len() as u64)
                    && percent(&node["ram"]) == whole(ram)
                    && percent(&node["cpu"]) == whole(cpu)
            });
            if heard { Ok(()) } else { Err(fleet.text) }
        })
        .await;
    }

    async fn post(&self, sentence: &str) -> http::Answer {
        let body = json!({ "author": "Ana", "sentence": sentence });
        http::post(&format!("{}/sentence", self.balancer.url()), &body).await
    }
}

#[tokio::test]
async fn old_nodes_are_balanced_by_the_rule() {
    // Each case is a fresh pair, so that the counts are what the case says.
    for (a, b, server, filter) in [
        ((7, "90", "90"), (8, "1", "1"), "A", "database"),
        ((8, "1", "1"), (7, "90", "90"), "B", "database"),
        ((7, "9", "90"), (7, "10", "1"), "A", "ram"),
        ((7, "10", "1"), (7, "9", "90"), "B", "ram"),
        ((7, "50", "9"), (7, "50", "10"), "A", "cpu"),
        ((7, "50", "10"), (7, "50", "9"), "B", "cpu"),
        ((7, "50", "10"), (7, "50", "10"), "A", "A"),
        ((7, "50.9", "10"), (7, "50.1", "9"), "B", "cpu"),
        ((7, "", "10"), (7, "99", "10"), "B", "ram"),
    ] {
        let pair = OverOld::start().await;
        pair.say(a, b).await;
        let answer = pair.post("Por la regla.").await;
        assert_eq!(answer.status, 200, "{a:?} {b:?}: {}", answer.text);
        let chosen = (answer.json["server"].as_str().unwrap(), answer.json["filter"].as_str().unwrap());
        assert_eq!(chosen, (server, filter), "{a:?} {b:?}");
        let (on_a, on_b) = (pair.a.sentences().len(), pair.b.sentences().len());
        assert_eq!((on_a, on_b), if server == "A" { (1, 0) } else { (0, 1) });
        assert_eq!(answer.json["data"]["sentence"], "Por la regla.");
    }
}

#[tokio::test]
async fn old_nodes_end_equal_and_are_listed_together() {
    let pair = OverOld::start().await;
    let url = format!("{}/sentence", pair.balancer.url());
    let posts = (0..40).map(|number| {
        let (url, body) = (url.clone(), json!({ "author": "Ana", "sentence": format!("Número {number}.") }));
        tokio::spawn(async move { http::post(&url, &body).await })
    });
    for post in posts.collect::<Vec<_>>() {
        let answer = post.await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let (on_a, on_b) = (pair.a.sentences().len(), pair.b.sentences().len());
    assert_eq!((on_a, on_b), (20, 20));
    let listed = http::get(&format!("{}/sentence", pair.balancer.url())).await;
    let listed = listed.json.as_array().cloned().unwrap_or_else(|| panic!("{}", listed.text));
    for (server, node) in [("A", &pair.a), ("B", &pair.b)] {
        let there = listed.iter().filter(|sentence| sentence["server"] == server);
        let mut there =
            there.map(|sentence| sentence["sentence"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let mut stored = node.sentences();
        there.sort();
        stored.sort();
        assert_eq!(there, stored, "{server}");
    }
}

#[tokio::test]
async fn a_post_that_an_old_node_left_in_doubt_is_not_repeated() {
    let pair = OverOld::start().await;
    pair.say((0, "10", "10"), (9, "10", "10")).await;
    pair.a.set(Turn::close().storing());
    let answer = pair.post("Una vez.").await;
    assert_eq!(answer.status, 502, "{}", answer.text);
    assert_eq!(answer.json["ambiguous"], true, "{}", answer.text);
    assert_eq!((pair.a.sentences().len(), pair.b.sentences().len()), (1, 0));
    assert_eq!((pair.a.posts().len(), pair.b.posts().len()), (1, 0));
}

#[tokio::test]
async fn an_old_node_that_ends_is_gone_round() {
    let OverOld { balancer, a, b, _folder } = OverOld::start().await;
    drop(b);
    cluster::sees(balancer.url(), &[("A", "up"), ("B", "down")]).await;
    let body = json!({ "author": "Ana", "sentence": "Queda una." });
    let answer = http::post(&format!("{}/sentence", balancer.url()), &body).await;
    assert_eq!(
        (&answer.json["server"], &answer.json["filter"]),
        (&json!("A"), &json!("down")),
        "{}",
        answer.text
    );
    assert_eq!(a.sentences().len(), 1);
}

#[tokio::test]
async fn the_old_balancer_works_over_our_nodes() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.nodes()[0].url(), cluster.nodes()[1].url());
    let old = OldBalancer::new(a, b);
    for number in 0..20 {
        let counts = cluster.counts().await;
        let sentence = format!("Número {number}.");
        let answer = old.post(&json!({ "author": "User1", "sentence": sentence })).await;
        assert_eq!(answer["data"]["sentence"], sentence.as_str(), "{answer}");
        for key in ["author", "date", "sentence"] {
            assert!(keys(&answer["data"]).contains(&key), "{answer}");
        }
        if counts[0] != counts[1] {
            let fewer = if counts[0] < counts[1] { "A" } else { "B" };
            assert_eq!((&answer["server"], &answer["filter"]), (&json!(fewer), &json!("database")));
        } else {
            assert_ne!(answer["filter"], "database");
        }
    }
    assert_eq!(cluster.counts().await, [10, 10]);
    assert_eq!(http::sentences(a).await.len(), 10);
}
