//! Where Unicode's sentence rules break and a reader of English or Spanish would not. PURE.
//!
//! The rules of UAX #29 know no words: they break after `Dr.` and after `Qu. 2.`. Each exception here looks only at the
//! sentence so far and at the piece after the break, so that splitting a sentence again gives the same sentence.

/// Abbreviations that are never the last word of a sentence, because a name or an example follows them.
const BEFORE_A_WORD: &[&str] = &[
    // English.
    "Mr", "Mrs", "Ms", "Messrs", "Dr", "Prof", "St", "Rev", "Hon", "Gen", "Col", "Capt", "Cmdr", "Lt", "Sgt",
    "Maj", "Gov", "Sen", "Rep", "Pres", "Mt", "Ft", "vs", "viz", "cf", "Cf", "e.g", "i.e", "E.g", "I.e",
    "eg", "ie", // Spanish.
    "Sr", "Sra", "Srta", "Sres", "Sras", "sr", "sra", "srta", "sres", "Dra", "Dres", "dr", "dra", "Dña",
    "Lic", "Ing", "Arq", "Mons", "Excmo", "Excma", "Ilmo", "Ilma", "Sto", "Sta", "Fr", "ej", "Ej", "EE",
    "FF", "JJ", "RR",
];

/// Abbreviations that go on when a number follows: `No. 5`, `pág. 12`, `Qu. 2`, `Jan. 4`.
const BEFORE_A_NUMBER: &[&str] = &[
    "No", "Nos", "no", "nos", "Nr", "Núm", "núm", "Nº", "nº", "N", "n", "p", "pp", "P", "pág", "págs", "Pág",
    "vol", "vols", "Vol", "ch", "Ch", "chap", "Chap", "cap", "caps", "Cap", "sec", "Sec", "sect", "Sect",
    "art", "arts", "Art", "fig", "figs", "Fig", "Figs", "eq", "Eq", "Qu", "Quest", "Prop", "Obs", "Exp",
    "Def", "Ax", "tel", "Tel", "tít", "v", "vv", "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep",
    "Sept", "Oct", "Nov", "Dec", "ca", "c", "aprox", "approx",
];

/// Whether a sentence goes on over a break of UAX #29: `so_far` is all of it before, `after` the piece behind.
pub(super) fn goes_on(so_far: &str, after: &str) -> bool {
    let ended = so_far.trim_end();
    if ended.len() == so_far.len() && ended.ends_with(['.', '!', '?']) {
        // No space follows: an address such as `/find?q=a`, not an end.
        return true;
    }
    is_label(ended) || ends_in_abbreviation(ended, after) || is_reported_speech(ended, after)
}

/// `2.`, `IV.`, `a)` or `Qu. 2.` on its own: the number of what follows.
fn is_label(so_far: &str) -> bool {
    so_far.split_whitespace().all(|word| {
        let Some(body) = word.strip_suffix('.') else { return false };
        let body = body.trim_matches(|c: char| !c.is_alphanumeric());
        let is_number = body.chars().all(|c| c.is_ascii_digit() || c == '.');
        !body.is_empty()
            && (is_number || body.chars().count() == 1 || is_roman(body) || BEFORE_A_NUMBER.contains(&body))
    })
}

fn is_roman(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| "IVXLC".contains(c))
}

fn ends_in_abbreviation(piece: &str, after: &str) -> bool {
    let Some(body) = piece.strip_suffix('.') else { return false };
    let start = body
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_alphanumeric() || *c == '.')
        .last()
        .map_or(body.len(), |(offset, _)| offset);
    let word = &body[start..];
    let next = after.trim_start_matches(|c: char| !c.is_alphanumeric());
    let number_follows = next.split(|c: char| !c.is_alphanumeric()).next().is_some_and(|number| {
        number.starts_with(|c: char| c.is_numeric()) || (number.len() > 1 && is_roman(number))
    });
    BEFORE_A_WORD.contains(&word)
        || (number_follows && BEFORE_A_NUMBER.contains(&word))
        || (is_initial(word) && next.starts_with(char::is_uppercase))
}

/// `J` of `J. Smith`. `I` is left out: in English it ends sentences.
fn is_initial(word: &str) -> bool {
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => letter.is_uppercase() && letter != 'I',
        _ => false,
    }
}

/// `“Who is it?” said Ana`. A dash in place of the quotation marks is no break to begin with.
fn is_reported_speech(so_far: &str, after: &str) -> bool {
    so_far.ends_with(['"', '”', '’', '\'', '»', '›']) && after.trim_start().starts_with(char::is_lowercase)
}
