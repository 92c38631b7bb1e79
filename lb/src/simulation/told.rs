//! A value that tells its changes in an order that can be repeated.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A value whose changes wake everybody who waits for one, in the order in which they came. tokio's own `watch` wakes
/// them in an order that it draws, so that no run could be repeated.
pub(super) struct Told<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Told<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    pub(super) fn get(&self) -> T {
        *self.value.lock()
    }

    pub(super) fn set(&self, value: T) {
        *self.value.lock() = value;
        self.changed.notify_waiters();
    }

    /// Waits until the value is as wanted.
    pub(super) async fn until(&self, is_wanted: impl Fn(T) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_wanted(self.get()) {
                return;
            }
            changed.await;
        }
    }
}
