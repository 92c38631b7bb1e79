//! The old balancer as its neighbours saw it: it asks both nodes before each post, and compares as it did, faults
//! included. Absent: its listings and its web page. The old node is [`crate::ScriptedNode::start_old`].

use serde_json::{Value, json};

/// The old balancer over two nodes, A and B: asks both for `/usage` before each post, compares, posts to one.
pub struct OldBalancer {
    http: reqwest::Client,
    a: String,
    b: String,
}

impl OldBalancer {
    /// Over two nodes by their URLs.
    pub fn new(a: &str, b: &str) -> Self {
        Self { http: reqwest::Client::new(), a: a.to_owned(), b: b.to_owned() }
    }

    /// Routes one sentence as the old balancer did and gives its answer, `{"message":"down"}` when both are away.
    pub async fn post(&self, sentence: &Value) -> Value {
        let (a, b) = (self.usage(&self.a).await, self.usage(&self.b).await);
        let (server, filter) = match (a, b) {
            (None, _) => ("B", "down"),
            (_, None) => ("A", "down"),
            (Some(a), Some(b)) => Self::choose(&a, &b),
        };
        let url = if server == "A" { &self.a } else { &self.b };
        match self.http.post(format!("{url}/sentence")).json(sentence).send().await {
            Ok(answer) => {
                json!({ "server": server, "filter": filter, "data": answer.json::<Value>().await.unwrap() })
            }
            Err(_) => json!({ "message": "down" }),
        }
    }

    async fn usage(&self, url: &str) -> Option<Value> {
        self.http.get(format!("{url}/usage")).send().await.ok()?.json().await.ok()
    }

    /// Its comparison, faults included: percents are compared as texts, and fewer CPU on A never decides.
    fn choose(a: &Value, b: &Value) -> (&'static str, &'static str) {
        let (a_count, b_count) = (a["database"].as_u64().unwrap(), b["database"].as_u64().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (a_ram, b_ram) = (text(&a["ram"]), text(&b["ram"]));
        if a_count != b_count {
            (if a_count > b_count { "B" } else { "A" }, "database")
        } else if a_ram != b_ram {
            (if a_ram > b_ram { "B" } else { "A" }, "ram")
        } else if text(&a["cpu"]) > text(&b["cpu"]) {
            ("B", "cpu")
        } else {
            ("A", "A")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ScriptedNode, Turn};

    #[tokio::test]
    async fn the_old_pair_work_together() {
        let (a, b) = (ScriptedNode::start_old(Turn::store()), ScriptedNode::start_old(Turn::store()));
        a.set_readings(0, "9", "3");
        b.set_readings(0, "10", "3");
        let balancer = OldBalancer::new(&a.url(), &b.url());
        let sentence = json!({ "author": "User1", "sentence": "Massa id neque" });
        let first = balancer.post(&sentence).await;
        // "9" > "10" as texts: the old fault.
        assert_eq!((&first["server"], &first["filter"]), (&json!("B"), &json!("ram")));
        assert_eq!(first["data"]["sentence"], "Massa id neque");
        let second = balancer.post(&sentence).await;
        assert_eq!((&second["server"], &second["filter"]), (&json!("A"), &json!("database")));
        drop(a);
        assert_eq!(balancer.post(&sentence).await["filter"], "down");
        drop(b);
        assert_eq!(balancer.post(&sentence).await, json!({ "message": "down" }));
    }
}
