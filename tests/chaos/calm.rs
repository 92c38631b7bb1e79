//! PURE. Whether a balancer's `GET /fleet` shows a fleet at rest: every node up, nothing under way, nothing in doubt.
//! Absent: asking for it.

use serde_json::Value;

/// What is not at rest; `None` when all is. A field `in_doubt`, at the top or of a node, is a number, a list or an object
/// of such; where there is none, nothing is in doubt.
pub(crate) fn unrest(fleet: &Value, n_nodes: usize) -> Option<String> {
    let nodes = fleet.get("nodes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if nodes.len() != n_nodes {
        return Some(format!("it has {} nodes, not {n_nodes}", nodes.len()));
    }
    for node in nodes {
        let name = node.get("name").and_then(Value::as_str).unwrap_or("?");
        if node.get("state").and_then(Value::as_str) != Some("up") {
            let state = node.get("state").unwrap_or(&Value::Null);
            return Some(format!("{name} is {state}: {}", node.get("because").unwrap_or(&Value::Null)));
        }
        if !is_nothing(node.get("in_flight")) {
            return Some(format!("{name} has something in flight: {node}"));
        }
        if !is_nothing(node.get("in_doubt")) {
            return Some(format!("{name} has something in doubt: {node}"));
        }
    }
    (!is_nothing(fleet.get("in_doubt"))).then(|| format!("something is in doubt: {fleet}"))
}

fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Number(number)) => number.as_u64() == Some(0),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.values().all(|field| is_nothing(Some(field))),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fleet(more: &Value, top: &Value) -> Value {
        let mut node = json!({ "name": "A", "state": "up", "in_flight": 0 });
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut fleet = json!({ "nodes": [node] });
        fleet.as_object_mut().unwrap().extend(top.as_object().unwrap().clone());
        fleet
    }

    #[test]
    fn a_fleet_at_rest_is_seen_in_every_form_of_nothing() {
        for (more, top) in [
            (json!({}), json!({})),
            (json!({ "in_doubt": 0 }), json!({ "in_doubt": [] })),
            (json!({ "in_doubt": null }), json!({ "in_doubt": { "sentences": 0, "oldest_ms": null } })),
        ] {
            assert_eq!(unrest(&fleet(&more, &top), 1), None, "{more} {top}");
        }
    }

    #[test]
    fn each_unrest_is_told() {
        for (more, top, told) in [
            (json!({ "state": "down", "because": "refused" }), json!({}), "A is \"down\": \"refused\""),
            (json!({ "in_flight": 3 }), json!({}), "in flight"),
            (json!({ "in_doubt": 1 }), json!({}), "A has something in doubt"),
            (json!({}), json!({ "in_doubt": [{}] }), "something is in doubt"),
        ] {
            let found = unrest(&fleet(&more, &top), 1).unwrap();
            assert!(found.contains(told), "{found}");
        }
        assert!(unrest(&json!({}), 2).unwrap().contains("0 nodes"));
    }
}
