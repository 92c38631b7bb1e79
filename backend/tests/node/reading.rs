//! `GET /sentence`: everything, page by page, and by author.

use wire::StoredSentence;

use crate::support::{Node, get, id, line, post_lines};

async fn filled(count: usize) -> Node {
    let node = Node::embedded(&[]);
    let authors = ["Ana", "Eva & Qué"];
    let items: Vec<String> =
        (0..count).map(|number| line(id(), authors[number % 2], &format!("sentence {number}"))).collect();
    assert_eq!(post_lines(&format!("{}/sentences", node.url), items.join("\n")).await.status, 200);
    node
}

#[tokio::test]
async fn an_empty_store_lists_nothing() {
    let node = Node::embedded(&[]);
    assert_eq!(get(&format!("{}/sentence", node.url)).await.body, "[]");
    let page = get(&format!("{}/sentence?limit=10", node.url)).await;
    assert_eq!((page.body.as_str(), page.header("balanza-next")), ("[]", ""));
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let node = filled(1_205).await;
    let everything: Vec<StoredSentence> = get(&format!("{}/sentence", node.url)).await.json();
    assert_eq!(everything.len(), 1_205);
    assert!(everything.is_sorted_by_key(|it| (it.date, it.id)));
    for limit in [1_000, 241, 1_205 / 5] {
        let (mut paged, mut url) = (Vec::new(), format!("{}/sentence?limit={limit}", node.url));
        loop {
            let page = get(&url).await;
            paged.extend(page.json::<Vec<StoredSentence>>());
            let next = page.header("balanza-next");
            if next.is_empty() {
                break;
            }
            let link = page.header("link");
            let (target, rest) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
            assert_eq!(rest, r#"; rel="next""#);
            assert!(target.contains(next));
            url = format!("{}{target}", node.url);
        }
        assert_eq!(paged, everything);
    }
}

#[tokio::test]
async fn an_author_is_found_page_by_page() {
    let node = filled(20).await;
    let base = format!("{}/sentence?author=Eva%20%26%20Qu%C3%A9", node.url);
    let all: Vec<StoredSentence> = get(&base).await.json();
    assert_eq!(all.len(), 10);
    assert!(all.iter().all(|it| it.author == "Eva & Qué"));
    let first = get(&format!("{base}&limit=7")).await;
    let link = first.header("link").to_owned();
    let target = link.trim_start_matches('<').split_once('>').unwrap().0;
    let second: Vec<StoredSentence> = get(&format!("{}{target}", node.url)).await.json();
    assert_eq!([first.json::<Vec<StoredSentence>>(), second].concat(), all);
}

#[tokio::test]
async fn long_sentences_make_a_page_shorter_and_lose_nothing() {
    let node = Node::embedded(&[]);
    let text = "x".repeat(wire::contract::MAX_SENTENCE_BYTES);
    for _ in 0..2 {
        let items: Vec<String> = (0..50).map(|_| line(id(), "Ana", &text)).collect();
        assert_eq!(post_lines(&format!("{}/sentences", node.url), items.join("\n")).await.status, 200);
    }
    let (mut read, mut url) = (0, format!("{}/sentence?limit=1000", node.url));
    loop {
        let page = get(&url).await;
        assert!(page.body.len() < 6 * 1024 * 1024, "a page is bounded");
        read += page.json::<Vec<StoredSentence>>().len();
        let next = page.header("balanza-next").to_owned();
        if next.is_empty() {
            break;
        }
        url = format!("{}/sentence?limit=1000&after={next}", node.url);
    }
    assert_eq!(read, 100);
}
