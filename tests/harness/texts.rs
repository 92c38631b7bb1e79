//! The real texts that ship with the repository.

use std::path::{Path, PathBuf};

/// Newton's queries, in English.
pub fn english() -> PathBuf {
    folder().join("newton-opticks-queries.txt")
}

/// Eclesiastés, in Spanish.
pub fn spanish() -> PathBuf {
    folder().join("eclesiastes-reina-valera.txt")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("texts")
}
