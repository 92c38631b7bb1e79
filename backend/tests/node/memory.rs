//! A listing of everything takes a bounded amount of memory, whatever the store holds.

use futures_util::StreamExt;

use harness::Program;

use crate::support::{id, line, post_lines, start};

/// The most memory that a listing may add to the process, in kilobytes.
const MOST_GROWTH_KB: u64 = 16 * 1024;

#[tokio::test]
async fn a_listing_of_everything_does_not_grow_with_the_store() {
    const DOCUMENTS: usize = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir", dir.path().to_str().unwrap()];
    let node = start(&arguments);
    let text = "x".repeat(1_000);
    for _ in 0..DOCUMENTS / 10_000 {
        let items: Vec<String> = (0..10_000).map(|_| line(id(), "Ana", &text)).collect();
        assert_eq!(post_lines(&format!("{}/sentences", node.url()), items.join("\n")).await.status, 200);
    }
    drop(node);

    // A process that has only started: its peak so far is no peak of the inserts.
    let node = start(&arguments);
    let before = peak_kb(&node);
    let response = reqwest::get(format!("{}/sentence", node.url())).await.unwrap();
    let (mut stream, mut bytes) = (response.bytes_stream(), 0);
    while let Some(piece) = stream.next().await {
        bytes += piece.unwrap().len();
    }
    let growth = peak_kb(&node) - before;
    assert!(bytes > DOCUMENTS * text.len(), "{bytes} bytes were listed");
    assert!(growth <= MOST_GROWTH_KB, "listing {bytes} bytes added {growth} kB");
}

/// The peak of the process's resident memory, in kilobytes.
fn peak_kb(node: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
