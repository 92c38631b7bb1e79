//! The single benches: each owns its rows, its columns and its bars, and says what question they answer.

pub(crate) mod idle;
pub(crate) mod lb;
pub(crate) mod observed;
pub(crate) mod parts;
pub(crate) mod probe;
pub(crate) mod profile;
pub(crate) mod routing;
pub(crate) mod scale;
pub(crate) mod store;
