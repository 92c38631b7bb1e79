//! PURE. The table of keys: the command line, the environment, the file and the documentation all follow it.
//! Absent: the values' meaning, which `config.rs` checks.

/// One key that an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name as a flag (after `--`) and in the file.
    pub name: &'static str,
    /// Its name in the environment.
    pub env: &'static str,
    /// What a value looks like.
    pub value: &'static str,
    /// What holds when nothing is given.
    pub default: Option<&'static str>,
    /// What it does.
    pub help: &'static str,
}

const fn key(
    name: &'static str,
    env: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Key {
    Key { name, env, value, default, help }
}

/// Every key but the nodes, which are a list.
pub const KEYS: &[Key] = &[
    key(
        "listen",
        "BALANZA_LISTEN",
        "HOST:PORT",
        Some("127.0.0.1:4999"),
        "Address to listen on; port 0 takes a free one",
    ),
    key(
        "policy",
        "BALANZA_POLICY",
        "POLICY",
        Some("count-ram-cpu"),
        "count-ram-cpu, round-robin, least-in-flight or p2c",
    ),
    key("workers", "BALANZA_WORKERS", "N", Some("1"), "Threads that carry sentences"),
    key(
        "http-threads",
        "BALANZA_HTTP_THREADS",
        "N",
        Some("1"),
        "Threads that serve listings, pages and all but plain posts",
    ),
    key("max-in-flight", "BALANZA_MAX_IN_FLIGHT", "N", None, "Guard: most sentences under way to one node"),
    key(
        "ramp-percent",
        "BALANZA_RAMP_PERCENT",
        "PERCENT",
        None,
        "Guard: most of all sentences that a node far behind may take",
    ),
    key(
        "ramp-gap",
        "BALANZA_RAMP_GAP",
        "N",
        Some("1000"),
        "Guard: how many documents behind the next node is far behind",
    ),
    key("rise", "BALANZA_RISE", "N", Some("2"), "Good reports in a row that bring a fallen node back"),
    key("fall", "BALANZA_FALL", "N", Some("3"), "Failed readings in a row that take a node down"),
    key(
        "stale-after",
        "BALANZA_STALE_AFTER",
        "DURATION",
        Some("3s"),
        "Age at which a node's RAM and CPU expire",
    ),
    key(
        "poll-interval",
        "BALANZA_POLL_INTERVAL",
        "DURATION",
        Some("500ms"),
        "How often a node without a report stream is asked",
    ),
    key("connect-timeout", "BALANZA_CONNECT_TIMEOUT", "DURATION", Some("1s"), "Time to connect to a node"),
    key(
        "node-patience",
        "BALANZA_NODE_PATIENCE",
        "DURATION",
        Some("2s"),
        "Silence of a node after which what waits behind goes elsewhere",
    ),
    key(
        "node-deadline",
        "BALANZA_NODE_DEADLINE",
        "DURATION",
        Some("5s"),
        "Time for which an unanswered post is repeated to its node",
    ),
    key(
        "lane-items",
        "BALANZA_LANE_ITEMS",
        "N",
        Some("16384"),
        "Most sentences that wait for one node, per worker",
    ),
    key(
        "lane-bytes",
        "BALANZA_LANE_BYTES",
        "BYTES",
        Some("16777216"),
        "Most bytes that wait for one node, per worker",
    ),
    key(
        "header-timeout",
        "BALANZA_HEADER_TIMEOUT",
        "DURATION",
        Some("10s"),
        "Time for the head of a request",
    ),
    key("body-timeout", "BALANZA_BODY_TIMEOUT", "DURATION", Some("30s"), "Time for the body of a request"),
    key(
        "idle-timeout",
        "BALANZA_IDLE_TIMEOUT",
        "DURATION",
        Some("75s"),
        "Time that a client's connection may rest between requests",
    ),
    key(
        "write-timeout",
        "BALANZA_WRITE_TIMEOUT",
        "DURATION",
        Some("30s"),
        "Time that a client may leave an answer unread",
    ),
    key(
        "max-connections",
        "BALANZA_MAX_CONNECTIONS",
        "N",
        Some("25000"),
        "Most open client connections, per worker",
    ),
    key(
        "admin-token-file",
        "BALANZA_ADMIN_TOKEN_FILE",
        "FILE",
        None,
        "File with the token of the admin routes; without it they are closed",
    ),
    key(
        "node-token-file",
        "BALANZA_NODE_TOKEN_FILE",
        "FILE",
        None,
        "File with the token that nodes are shown; for nodes with --write-token-file",
    ),
    key(
        "data-dir",
        "BALANZA_DATA_DIR",
        "DIR",
        None,
        "Folder for the in-doubt journal; without it a restart forgets what is in doubt",
    ),
    key("log-format", "BALANZA_LOG_FORMAT", "FORMAT", Some("text"), "text or json"),
];

/// What holds for `name` when nothing is given.
pub(super) fn default_of(name: &str) -> Option<&'static str> {
    KEYS.iter().find(|key| key.name == name).and_then(|key| key.default)
}
