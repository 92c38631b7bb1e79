//! Numbers and times as people read them. PURE. Absent: where they stand in a line or a table.

/// `9 s`, `2 min 05 s`, `1 h 02 min`.
pub fn duration_text(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 sentence`, `1,204 sentences`.
pub fn sentences(number: u64) -> String {
    format!("{} {}", grouped(number), if number == 1 { "sentence" } else { "sentences" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_to_be_read() {
        assert_eq!([7, 999, 1000, 1_234_567].map(grouped), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 2].map(sentences), ["0 sentences", "1 sentence", "2 sentences"]);
        assert_eq!([9, 125, 3725].map(duration_text), ["9 s", "2 min 05 s", "1 h 02 min"]);
    }

    proptest! {
        #[test]
        fn a_grouped_number_is_still_that_number(number: u64) {
            let text = grouped(number);
            prop_assert_eq!(text.replace(',', ""), number.to_string());
            let mut groups = text.split(',');
            prop_assert!(groups.next().is_some_and(|first| (1..=3).contains(&first.len())));
            prop_assert!(groups.all(|group| group.len() == 3));
        }
    }
}
