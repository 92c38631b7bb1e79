//! Damaged stores and full disks, seen from outside the program: what it says, what it refuses, and what still answers.

use std::collections::HashSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::raw::{self, Connection};
use harness::wait::eventually;
use harness::{Program, need};
use wire::{Copies, Ids, Problem, Report, StoredSentence};

use crate::support::{self, Node, answer, get, id, line, post_json, post_lines};

fn run(arguments: &[&str]) -> Output {
    support::command(arguments).output().unwrap()
}

/// A node on this directory does not start: exit code 1 and one line with all of these, and no trace of a panic.
fn refused(dir: &Path, parts: &[&str]) {
    let data_dir = dir.to_str().unwrap();
    for command in [&["--listen", "127.0.0.1:0", "--probe", "procfs"][..], &["export"], &["verify"]] {
        let output = run(&[command, &["--data-dir", data_dir]].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{command:?}: {told}");
        assert_eq!(told.matches("sentences.redb is").count(), 1, "{told}");
        for part in parts {
            assert!(told.contains(part), "{command:?}: no {part} in {told}");
        }
    }
}

/// A stopped store with this many sentences.
async fn stopped_store(count: usize) -> (tempfile::TempDir, Vec<StoredSentence>) {
    let dir = tempfile::tempdir().unwrap();
    let mut node = support::start(&["--data-dir", dir.path().to_str().unwrap()]);
    let items = (0..count).map(|number| line(id(), "Ana", &format!("sentence {number}"))).collect::<Vec<_>>();
    assert_eq!(post_lines(&format!("{}/sentences", node.url()), items.join("\n")).await.status, 200);
    let listed = get(&format!("{}/sentence", node.url())).await.json();
    assert!(node.terminate().success());
    (dir, listed)
}

fn file_in(dir: &Path) -> PathBuf {
    dir.join("sentences.redb")
}

#[tokio::test]
async fn a_file_that_was_emptied_cut_or_taken_away_is_no_new_store() {
    let (dir, _) = stopped_store(10).await;
    let file = file_in(dir.path());
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 5, 9, 100, 320, 4095, 4096, whole.len() / 2] {
        std::fs::write(&file, &whole[..length]).unwrap();
        refused(dir.path(), &["is damaged", "balanza-backend salvage --data-dir"]);
        assert_eq!(std::fs::metadata(&file).unwrap().len(), length as u64, "it is left as it is");
    }
    std::fs::remove_file(&file).unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let output = run(&["--listen", "127.0.0.1:0", "--data-dir", data_dir]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("is gone: it had 10 sentences") && told.contains("sentences.witness"), "{told}");
    // As it says: without the witness it is a new store.
    std::fs::remove_file(dir.path().join("sentences.witness")).unwrap();
    let mut node = support::start(&["--data-dir", data_dir]);
    assert!(node.terminate().success());
    // A store that was never there for anybody, empty: nobody knows what it was.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(file_in(other.path()), "").unwrap();
    refused(other.path(), &["is damaged: it ends after 0 bytes"]);
}

#[tokio::test]
async fn a_store_that_lost_its_newest_commit_or_is_another_one_is_refused() {
    let (dir, _) = stopped_store(10).await;
    let older = std::fs::read(file_in(dir.path())).unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let mut node = support::start(&["--data-dir", data_dir]);
    assert_eq!(post_json(&format!("{}/sentence", node.url()), line(id(), "Ana", "newest")).await.status, 200);
    node.kill_9();
    let killed = std::fs::read(file_in(dir.path())).unwrap();

    // The mark of the newest commit, of which the file itself looks as if a crash had torn it.
    let newest = if killed[9] & 1 == 0 { 64 } else { 192 };
    let mut torn = killed.clone();
    torn[newest + 120] ^= 1;
    for lost in [&torn, &older] {
        std::fs::write(file_in(dir.path()), lost).unwrap();
        refused(
            dir.path(),
            &["it has 10 sentences", "with 11 sentences, was stored", "if it was put there on purpose"],
        );
    }
    let (other, _) = stopped_store(10).await;
    std::fs::copy(file_in(other.path()), file_in(dir.path())).unwrap();
    refused(dir.path(), &["is not the store that was here"]);
    std::fs::write(file_in(dir.path()), &killed).unwrap();
    let verified = run(&["verify", "--data-dir", data_dir]);
    let told = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.status.success() && told.starts_with("whole: 11 sentences, 3 commits, identity "),
        "{told}"
    );
}

/// What is salvaged of a damaged store goes into a new one by `import`.
#[tokio::test]
async fn what_is_readable_is_salvaged_and_imported() {
    let (dir, listed) = stopped_store(4_000).await;
    let file = file_in(dir.path());
    let mut bytes = std::fs::read(&file).unwrap();
    let at =
        bytes.windows(14).position(|window| window == b"sentence 2000S" || window == b"sentence 2000\x00");
    let at = at.or_else(|| bytes.windows(13).position(|window| window == b"sentence 2000")).unwrap();
    bytes[at] = b'S';
    std::fs::write(&file, &bytes).unwrap();
    refused(
        dir.path(),
        &["is damaged: the page at byte", "of the table `documents`, is not what was written"],
    );

    let out = dir.path().join("salvaged.ndjson");
    let data_dir = dir.path().to_str().unwrap();
    let salvaged = run(&["salvage", "--data-dir", data_dir, out.to_str().unwrap()]);
    let told = String::from_utf8(salvaged.stderr).unwrap();
    assert_eq!(salvaged.status.code(), Some(0), "{told}");
    let text = std::fs::read_to_string(&out).unwrap();
    let found: Vec<StoredSentence> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lost = listed.len() - found.len();
    assert!((1..200).contains(&lost), "{lost} lost");
    assert!(told.ends_with(&format!("{} sentences written, {lost} lost\n", found.len())), "{told}");
    assert!(told.starts_with("damaged: the page at byte "), "{told}");
    let known: HashSet<_> = listed.iter().map(|it| (it.id, it.date, it.sentence.as_str())).collect();
    assert!(found.iter().all(|it| known.contains(&(it.id, it.date, it.sentence.as_str()))));
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "the damaged file is left as it is");

    let new = tempfile::tempdir().unwrap();
    let new_dir = new.path().to_str().unwrap();
    let imported = run(&["import", "--data-dir", new_dir, out.to_str().unwrap()]);
    assert_eq!(
        String::from_utf8(imported.stderr).unwrap(),
        format!("{} sentences stored, 0 were stored already\n", found.len())
    );
    // To standard output it is the same.
    let piped = run(&["salvage", "--data-dir", data_dir]);
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), text);
}

#[test]
fn a_store_is_looked_at_only_where_there_is_one_and_no_node() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let check = |arguments: &[&str], part: &str| {
        let output = run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && told.contains(part), "{arguments:?}: {told}");
    };
    check(&["verify", "--data-dir", data_dir], "there is no store in");
    check(&["salvage", "--data-dir", data_dir], "cannot be read");
    let mongo = ["--store", "mongodb://127.0.0.1:1/x"];
    check(&[&["verify"], &mongo[..]].concat(), "for the embedded store");
    check(&[&["salvage"], &mongo[..]].concat(), "for the embedded store");
    let _node = support::start(&["--data-dir", data_dir]);
    check(&["verify", "--data-dir", data_dir], "another process uses");
    check(&["salvage", "--data-dir", data_dir], "another process uses");
}

/// Damage that comes under a running node: the listing is seen to be broken, and the node takes nothing more.
#[tokio::test]
async fn a_listing_that_fails_midway_is_not_ended() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(support::config(&[("data-dir", dir.path().to_str().unwrap())]));
    let text = "text ".repeat(400);
    for part in 0..8 {
        let items = (0..400).map(|_| line(id(), "Ana", &format!("part-{part} {text}"))).collect::<Vec<_>>();
        assert_eq!(post_lines(&format!("{}/sentences", node.url), items.join("\n")).await.status, 200);
    }
    let file = std::fs::File::options().read(true).write(true).open(file_in(dir.path())).unwrap();
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    // Not the first page of the listing, which decides the status, and not the last, which the engine still has in memory.
    for at in bytes.windows(11).enumerate().filter(|(_, window)| *window == b"part-2 text").map(|(at, _)| at)
    {
        file.write_all_at(b"q", at as u64).unwrap();
    }
    let address = node.url.strip_prefix("http://").unwrap().to_owned();
    let read = move || {
        let mut connection = Connection::open(&address);
        connection.send(&raw::request("GET", "/sentence", &[], b""));
        connection.rest()
    };
    let bytes = tokio::task::spawn_blocking(read).await.unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(bytes.windows(6).any(|window| window == b"part-1"), "it began");
    assert!(!bytes.windows(6).any(|window| window == b"qart-2"), "what is damaged is not served");
    assert!(!bytes.ends_with(b"0\r\n\r\n") && !bytes.ends_with(b"]\r\n"), "it looks whole");

    let report: Report = get(&format!("{}/report", node.url)).await.json();
    let because = report.not_ready_because.unwrap();
    assert!(!report.ready && because.starts_with("stored data is damaged: document "), "{because}");
    let refused = post_json(&format!("{}/sentence", node.url), line(id(), "Ana", "later")).await;
    assert_eq!((refused.status, refused.json::<Problem>().kind.as_str()), (503, "urn:balanza:not-ready"));
    drop(node);
    refused_after_damage(dir.path());
}

/// The file is destroyed under a running node. Whatever the engine makes of it, the program shows no trace of a panic: it
/// goes on, or it ends with exit code 1 and a line that names the file.
#[tokio::test]
async fn a_file_that_is_destroyed_under_a_node_ends_it_in_order() {
    let text = "text ".repeat(300);
    for seed in 0..8u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut node = support::start(&["--data-dir", dir.path().to_str().unwrap()]);
        let mut ids = Vec::new();
        for _ in 0..10 {
            let part = (0..400).map(|_| id()).collect::<Vec<_>>();
            let items = part.iter().map(|id| line(*id, "Ana", &text)).collect::<Vec<_>>();
            assert_eq!(post_lines(&format!("{}/sentences", node.url()), items.join("\n")).await.status, 200);
            ids.extend(part);
        }
        let file = std::fs::File::options().write(true).open(file_in(dir.path())).unwrap();
        let pages = file.metadata().unwrap().len() / 4096;
        let page = [u8::try_from(seed * 37 % 256).unwrap(); 4096];
        for number in (2..pages).filter(|number| !(number + seed).is_multiple_of(3)) {
            file.write_all_at(&page, number * 4096).unwrap();
        }
        let client = reqwest::Client::new();
        for path in ["/sentence", "/sentences/ids", "/sentence?author=Ana&limit=1000"] {
            // It may be broken off, or the node may be gone.
            if let Ok(response) = client.get(format!("{}{path}", node.url())).send().await {
                drop(response.text().await);
            }
        }
        for id in ids.iter().step_by(97) {
            drop(client.get(format!("{}/sentence/{id}", node.url())).send().await);
            drop(client.post(format!("{}/sentence", node.url())).body(line(*id, "Ana", "x")).send().await);
        }
        let running = client.get(format!("{}/livez", node.url())).send().await.is_ok();
        if running {
            node.ask_to_end();
        }
        let status = node.ended();
        let log = node.log();
        assert!(!log.contains("stack backtrace") && !log.contains("RUST_BACKTRACE"), "seed {seed}: {log}");
        if !running {
            assert_eq!(status.code(), Some(1), "seed {seed}: {log}");
            assert!(
                log.contains("sentences.redb is damaged, or its engine has a fault"),
                "seed {seed}: {log}"
            );
        }
        refused(dir.path(), &["balanza-backend salvage"]);
    }
}

fn refused_after_damage(dir: &Path) {
    refused(dir, &["is damaged: the page at byte", "balanza-backend salvage"]);
}

/// A small file system of its own, which can be full.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs"])
            .arg(dir.path())
            .output()
            .map_err(|error| format!("mount does not start: {error}"))?;
        let told = String::from_utf8_lossy(&mount.stderr).into_owned();
        if mount.status.success() { Ok(Self { dir }) } else { Err(told) }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.dir.path()).status());
    }
}

/// Fills the file system to the last byte; gives the file that does.
fn fill(disk: &Path) -> PathBuf {
    use std::io::Write;
    let path = disk.join("ballast");
    let mut ballast = std::fs::File::create(&path).unwrap();
    while ballast.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    path
}

async fn until_ready(node: &Program, ready: bool) -> Report {
    eventually(&format!("a node that is ready: {ready}"), || async {
        let report: Report = get(&format!("{}/report", node.url())).await.json();
        if report.ready == ready { Ok(report) } else { Err(format!("{report:?}")) }
    })
    .await
}

#[tokio::test]
async fn a_full_disk_stops_posts_and_nothing_else() {
    let disk = need::or_skip("a full disk", "mount", SmallDisk::mount());
    let Some(disk) = disk else { return };
    let data_dir = disk.path().join("data");
    let arguments = ["--data-dir", data_dir.to_str().unwrap()];
    let mut node = support::start(&arguments);
    let url = node.url().to_owned();
    let items = (0..500).map(|_| line(id(), "Ana", &"text ".repeat(50))).collect::<Vec<_>>();
    assert_eq!(post_lines(&format!("{url}/sentences"), items.join("\n")).await.status, 200);
    let Copies { copies } = get(&format!("{url}/sentences/ids")).await.json();

    let ballast = fill(disk.path());
    let mut refusal = None;
    // Some room is left within the file itself.
    for _ in 0..200 {
        let posted = post_json(&format!("{url}/sentence"), line(id(), "Ana", &"long ".repeat(10_000))).await;
        if posted.status != 200 {
            refusal = Some(posted.json::<Problem>());
            break;
        }
    }
    let refusal = refusal.expect("the disk is full, and every post is taken");
    assert_eq!(refusal.status, 503, "{refusal:?}");
    // Without waiting for anything: reads go on.
    let held = Ids { ids: copies.iter().map(|copy| copy.id).collect() };
    let held = serde_json::to_vec(&held).unwrap();
    for _ in 0..20 {
        let listed = get(&format!("{url}/sentence")).await;
        assert_eq!(listed.status, 200, "{}", listed.body);
        let listed: Vec<StoredSentence> = listed.json();
        assert!(copies.iter().all(|copy| listed.iter().any(|it| it.id == Some(copy.id))));
        assert_eq!(get(&format!("{url}/sentence/{}", copies[7].id)).await.status, 200);
        assert_eq!(get(&format!("{url}/sentences/ids")).await.status, 200);
        let told = post_json(&format!("{url}/sentences/held"), held.clone()).await;
        assert_eq!((told.status, told.json::<Copies>().copies.len()), (200, copies.len()));
        assert_eq!(get(&format!("{url}/usage")).await.status, 200);
    }
    let report = until_ready(&node, false).await;
    assert_eq!(report.not_ready_because.as_deref(), Some("the disk is full"));
    assert!(report.documents >= 500, "{}", report.documents);
    let retract = serde_json::to_vec(&Copies { copies: copies[..1].to_vec() }).unwrap();
    let retracted = post_json(&format!("{url}/sentences/retract"), retract.clone()).await;
    assert_eq!(retracted.status, 503, "{}", retracted.body);

    // Also after a restart on the full disk.
    node.kill_9();
    let node = support::start(&arguments);
    let url = node.url().to_owned();
    let listed: Vec<StoredSentence> = get(&format!("{url}/sentence")).await.json();
    assert!(copies.iter().all(|copy| listed.iter().any(|it| it.id == Some(copy.id))));

    std::fs::remove_file(ballast).unwrap();
    until_ready(&node, true).await;
    assert_eq!(post_json(&format!("{url}/sentence"), line(id(), "Ana", "again")).await.status, 200);
    assert_eq!(
        post_json(&format!("{url}/sentences/retract"), retract).await.json::<Ids>().ids,
        [copies[0].id]
    );
    let report: Report = answer(reqwest::Client::new().get(format!("{url}/report"))).await.json();
    let listed: Vec<StoredSentence> = get(&format!("{url}/sentence")).await.json();
    assert_eq!(report.documents, listed.len() as u64, "the count is what is stored");
}
