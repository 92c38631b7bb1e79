//! What counts as text and where its sentences end.

use proptest::prelude::*;

use super::*;

fn check(content: &str, expected: &[&str]) {
    let sentences = split(content, Split::Unicode);
    let texts = sentences.kept.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>();
    assert_eq!(texts, expected, "for {content:?}");
}

fn check_bytes(bytes: &[u8], expected: &str) {
    let told = match read(bytes) {
        Ok(text) => format!("{}: {}", text.encoding, text.content),
        Err(unreadable) => unreadable.to_string(),
    };
    assert_eq!(told, expected);
}

#[test]
fn plain_prose_is_split_at_its_ends() {
    check(
        "One is here. Two is there! Is three? Yes.",
        &["One is here.", "Two is there!", "Is three?", "Yes."],
    );
    check("¿Qué es esto? ¡Nada! Es así.", &["¿Qué es esto?", "¡Nada!", "Es así."]);
    check("no end at all", &["no end at all"]);
    check("你好。再见。", &["你好。", "再见。"]);
}

#[test]
fn wrapped_lines_are_joined_and_blank_lines_end() {
    check("A line that is\nwrapped. And\nanother.", &["A line that is wrapped.", "And another."]);
    check("A TITLE\n\nThe text  goes\ton.", &["A TITLE", "The text goes on."]);
    check("One.\r\nTwo.\r\rThree.", &["One.", "Two.", "Three."]);
}

#[test]
fn abbreviations_do_not_end() {
    check("Mr. Smith met Dr. Jones. They talked.", &["Mr. Smith met Dr. Jones.", "They talked."]);
    check("El Sr. Pérez y la Dra. Gil. Fin.", &["El Sr. Pérez y la Dra. Gil.", "Fin."]);
    check("Hay frutas, p. ej. Manzanas. Más.", &["Hay frutas, p. ej. Manzanas.", "Más."]);
    check("Apples, e.g. Golden ones. More.", &["Apples, e.g. Golden ones.", "More."]);
    check("Los EE. UU. firmaron. Fin.", &["Los EE. UU. firmaron.", "Fin."]);
    check("Ships, cars, etc. They move.", &["Ships, cars, etc.", "They move."]);
    check("Ships, cars, etc. and more.", &["Ships, cars, etc. and more."]);
    check(
        "J. R. R. Tolkien wrote. It is I. He said so.",
        &["J. R. R. Tolkien wrote.", "It is I.", "He said so."],
    );
}

#[test]
fn numbers_stay_with_what_they_number() {
    check("Pi is 3.14159 here. Good.", &["Pi is 3.14159 here.", "Good."]);
    check("Cuesta 1.000,50 pesos. Sí.", &["Cuesta 1.000,50 pesos.", "Sí."]);
    check("Qu. 2. Do not the Rays differ? Yes.", &["Qu. 2. Do not the Rays differ?", "Yes."]);
    check("See No. 5. It is good.", &["See No. 5.", "It is good."]);
    check("He said no. Five came.", &["He said no.", "Five came."]);
    check("Véase la pág. 12. Luego.", &["Véase la pág. 12.", "Luego."]);
    check("1. First thing. 2. Second thing.", &["1. First thing.", "2. Second thing."]);
    check("IV. The end begins. It ends.", &["IV. The end begins.", "It ends."]);
}

#[test]
fn ellipses_and_quotes_stay_sane() {
    check("Wait... what? Yes.", &["Wait... what?", "Yes."]);
    check("Well... Then he left.", &["Well...", "Then he left."]);
    check("“Who is it?” said Ana. “Me.” He came.", &["“Who is it?” said Ana.", "“Me.”", "He came."]);
    check("—¿Vienes? —preguntó Ana. —Sí.", &["—¿Vienes? —preguntó Ana. —Sí."]);
    check(
        "She said \"Go.\" Then \"Stop!\" (He did.) Fine.",
        &["She said \"Go.\"", "Then \"Stop!\"", "(He did.)", "Fine."],
    );
    check("See http://a.b/c?d=e. Then go.", &["See http://a.b/c?d=e.", "Then go."]);
}

#[test]
fn each_sentence_knows_its_line() {
    let sentences = split("Title\n\nOne is\nwrapped. Two\nis as well. Three.\n", Split::Unicode);
    let lines = sentences.kept.iter().map(|sentence| sentence.line).collect::<Vec<_>>();
    assert_eq!(lines, [1, 3, 4, 5]);
    let sentences = split("a. b\nc. \n\nd", Split::Period);
    let lines =
        sentences.kept.iter().map(|sentence| (sentence.line, sentence.text.as_str())).collect::<Vec<_>>();
    assert_eq!(lines, [(1, "a"), (1, "b\nc"), (4, "\n\nd")]);
}

#[test]
fn the_old_rule_is_kept_to_the_letter() {
    let texts = |content| {
        split(content, Split::Period).kept.into_iter().map(|sentence| sentence.text).collect::<Vec<_>>()
    };
    assert_eq!(texts("Mr. Smith came. He left.\nEnd."), ["Mr", "Smith came", "He left.\nEnd."]);
    assert_eq!(texts("a.  b. . c. "), ["a", " b", "c"]);
}

#[test]
fn a_sentence_over_the_limit_is_reported_with_its_line() {
    let long = "x".repeat(MAX_SENTENCE_BYTES + 1);
    let sentences = split(&format!("Short.\n\n{long}\n\nShort too."), Split::Unicode);
    assert_eq!(sentences.kept.len(), 2);
    assert_eq!((sentences.too_long[0].line, sentences.too_long[0].bytes), (3, 65_537));
    let told = sentences.too_long[0].to_string();
    assert!(told.contains("65537 bytes and the limit is 65536") && told.contains("split it up"), "{told}");
    let at_limit = "x".repeat(MAX_SENTENCE_BYTES);
    assert_eq!(split(&at_limit, Split::Unicode).kept.len(), 1);
}

#[test]
fn encodings_are_told_apart() {
    check_bytes("Qué".as_bytes(), "UTF-8: Qué");
    check_bytes(b"\xef\xbb\xbfQu\xc3\xa9", "UTF-8 with BOM: Qué");
    check_bytes(b"\xff\xfeQ\0u\0\xe9\0", "UTF-16 LE: Qué");
    check_bytes(b"\xfe\xff\0Q\0u\0\xe9", "UTF-16 BE: Qué");
    check_bytes(b"Qu\xe9 \x93tal\x94", "Latin-1: Qué “tal”");
}

#[test]
fn what_is_no_text_says_why() {
    check_bytes(b"", "the file is empty; choose one that holds text");
    check_bytes(b"\xef\xbb\xbf \r\n\t", "the file is empty; choose one that holds text");
    check_bytes(b"\x7fELF\x02\0\0", "the file is binary (byte 5 is 0x00); choose a text file");
    check_bytes(b"\xe9\x01abc", "the file is binary (byte 1 is 0x01); choose a text file");
    check_bytes(b"\xff\xfe\x00\xd8", "the file begins as UTF-16 LE but is damaged; save it again as UTF-8");
    // UTF-32 begins like UTF-16.
    check_bytes(
        b"\xff\xfe\0\0Q\0\0\0",
        "the file begins as UTF-16 LE but is damaged; save it again as UTF-8",
    );
}

/// Text made of what the rules look at, so that the properties meet every rule.
fn prose() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Zéñ]{1,6}",
        "[0-9]{1,3}",
        Just(". ".to_owned()),
        Just(".".to_owned()),
        Just("? ".to_owned()),
        Just("!”".to_owned()),
        Just("…".to_owned()),
        Just(" ".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n \n".to_owned()),
        Just(" —".to_owned()),
        Just("\"".to_owned()),
        Just("(".to_owned()),
        Just(") ".to_owned()),
        Just("Dr. ".to_owned()),
        Just("p. ej. ".to_owned()),
        Just("Qu. 2. ".to_owned()),
        Just("好。".to_owned()),
        "\\PC{1,3}",
    ];
    proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

proptest! {
    #[test]
    fn no_text_is_lost_and_none_is_added(content in prose()) {
        let sentences = split(&content, Split::Unicode);
        let joined = sentences.kept.iter().map(|sentence| sentence.text.as_str()).collect::<String>();
        prop_assert_eq!(visible(&joined), visible(&content));
    }

    #[test]
    fn the_old_rule_is_pythons_split(content in prose()) {
        let content = content.replace("\r\n", "\n").replace('\r', "\n");
        let sentences = split(&content, Split::Period);
        let expected = content.split(". ").filter(|piece| !piece.trim().is_empty()).collect::<Vec<_>>();
        let kept = sentences.kept.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>();
        prop_assert_eq!(kept, expected);
    }

    #[test]
    fn no_sentence_is_blank_or_ragged(content in prose()) {
        for sentence in split(&content, Split::Unicode).kept {
            prop_assert!(!sentence.text.trim().is_empty());
            let collapsed = sentence.text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(&sentence.text, &collapsed);
        }
    }

    #[test]
    fn a_sentence_split_again_is_itself(content in prose()) {
        for sentence in split(&content, Split::Unicode).kept {
            let again = split(&sentence.text, Split::Unicode).kept;
            prop_assert_eq!(again.into_iter().map(|sentence| sentence.text).collect::<Vec<_>>(), vec![sentence.text]);
        }
    }

    #[test]
    fn lines_rise_and_hold_what_begins_there(content in prose()) {
        let normal = content.replace("\r\n", "\n").replace('\r', "\n");
        let lines = normal.split('\n').collect::<Vec<_>>();
        let mut last = 1;
        for sentence in split(&content, Split::Unicode).kept {
            prop_assert!(sentence.line >= last);
            last = sentence.line;
            let word = sentence.text.split(' ').next().unwrap();
            prop_assert!(lines[sentence.line - 1].contains(word));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = read(&bytes) {
            drop(split(&text.content, Split::Unicode));
            drop(split(&text.content, Split::Period));
        }
    }
}
