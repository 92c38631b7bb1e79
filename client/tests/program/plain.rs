//! The menu by lines, as the client of 2020 was driven.

use harness::{ScriptedBalancer, Turn};

use crate::Place;

#[test]
fn the_old_steps_send_the_data() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    place.file("file.txt", "One is here. Two is there.");
    let steps = format!("1\nfile.txt\n2\n{}\n3\n4\n5\n", stub.url());
    let ended = place.run_with_input(&[], steps.as_bytes());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for line in [
        "1. Insert file path (none yet)",
        "1. Insert file path (file.txt, 2 sentences)",
        "     1  One is here.",
        "all          1    1       2",
    ] {
        assert!(ended.out.contains(line), "{line:?} is not in {}", ended.out);
    }
    assert!(ended.err.contains("2 of 2 sentences stored"), "{}", ended.err);
    assert_eq!(stub.stored().len(), 2);
}

#[test]
fn the_end_of_the_input_is_the_end() {
    let place = Place::new();
    for steps in ["", "1\n", "\n\n", "5"] {
        let ended = place.run_with_input(&[], steps.as_bytes());
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""), "{steps:?}");
    }
}

#[test]
fn mistakes_are_told_with_their_cause_and_the_menu_goes_on() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    place.file("file.txt", "One.");
    let steps = format!("7\n3\n4\n1\nnope\n1\n\n2\nhost:port\n1\nfile.txt\n4\n2\n{}\n4\n5\n", stub.url());
    let ended = place.run_with_input(&[], steps.as_bytes());
    assert_eq!(ended.status, Some(2), "the last mistake shows in the status");
    for problem in [
        "`7` is no option; write a number from 1 to 5",
        "there is no data yet; insert a file path first (1)",
        "nothing was sent; insert a file path (1) first",
        "nope: there is no such file; check the path",
        "the file path is empty",
        "`host:port` is no address: invalid port number",
        "nothing was sent; insert the load balancer's address (2) first",
    ] {
        assert!(ended.err.contains(problem), "{problem:?} is not in {}", ended.err);
    }
    assert_eq!(stub.stored().len(), 1);
}

#[test]
fn the_menu_can_begin_with_file_and_balancer() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    place.file("file.txt", "One.");
    let ended = place.run_with_input(&["--file", "file.txt", "--to", stub.url()], b"4\n");
    assert_eq!((ended.status, stub.stored().len()), (Some(0), 1), "{ended:?}");
}
