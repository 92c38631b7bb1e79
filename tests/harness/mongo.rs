//! Where the tests find a MongoDB. `cargo xtask test` starts one and says where.

/// The variable that holds the connection string, without a database.
pub const VARIABLE: &str = "BALANZA_TEST_MONGODB";

/// Connection strings for `n` nodes, each with a database that no other test uses.
///
/// # Errors
/// When nobody said where a MongoDB is.
pub fn stores(n: usize) -> Result<Vec<String>, String> {
    static USED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let uri = std::env::var(VARIABLE).ok().filter(|uri| !uri.is_empty());
    let uri = uri.ok_or_else(|| format!("{VARIABLE} names no MongoDB; `cargo xtask test` starts one"))?;
    let fresh = || {
        let number = USED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("{}/e2e_{}_{number}", uri.trim_end_matches('/'), std::process::id())
    };
    Ok((0..n).map(|_| fresh()).collect())
}
