//! Some seeds of `cargo xtask chaos`, as `docs/reliability.md` describes it. Its own parts are tested beside its code.

use std::process::Command;

use harness::need;
use harness::program::binary;

/// Runs it to its end, and ends the test with all that it wrote when it did not hold.
fn chaos(arguments: &str) {
    let output = Command::new(binary("chaos")).args(arguments.split_whitespace()).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "chaos {arguments}:\n{}", String::from_utf8_lossy(&told));
}

#[test]
fn a_calm_run_holds_and_no_client_sees_an_error() {
    chaos("--seed 1 --seconds 3 --faults none --strict");
    chaos("--seed 2 --seconds 3 --faults none --strict --balancers 2");
}

#[test]
fn three_seeds_hold_on_the_embedded_store() {
    chaos("--seeds 1..3 --seconds 10");
    chaos("--seed 3 --seconds 10 --balancers 2 --nodes 3");
}

#[test]
fn a_seed_holds_on_mongodb() {
    let server = binary("chaos").ancestors().nth(2).unwrap().join("mongo-wire/mongo-wire");
    let found = server.is_file().then_some(()).ok_or_else(|| format!("{} is not built", server.display()));
    let found = need::or_skip("chaos::a_seed_holds_on_mongodb", "mongodb", found);
    if found.is_some() {
        chaos("--seed 4 --seconds 10 --store mongodb");
    }
}
