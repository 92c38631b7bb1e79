//! PURE. Whether a node can be chosen: up and down with hysteresis. Absent: counts, load, time; a streak is counted in
//! readings, and whoever takes the readings decides when one has failed.

/// How many equal readings in a row turn a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hysteresis {
    /// Good readings that bring a fallen node back.
    pub rise: u32,
    /// Failed readings that take a node down.
    pub fall: u32,
}

impl Default for Hysteresis {
    fn default() -> Self {
        Self { rise: 2, fall: 3 }
    }
}

/// The health of one node.
#[derive(Clone, Debug)]
pub(super) struct Health {
    /// `None` while up.
    down_because: Option<String>,
    /// A node that was never up needs one good reading, a fallen one `rise` of them.
    fallen: bool,
    good: u32,
    failed: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self { down_because: Some("no report yet".to_owned()), fallen: false, good: 0, failed: 0 }
    }
}

impl Health {
    /// Whether the node can be chosen.
    pub(super) fn is_up(&self) -> bool {
        self.down_because.is_none()
    }

    /// Whether nothing was heard of the node yet, and nothing failed.
    pub(super) fn is_new(&self) -> bool {
        !self.is_up() && !self.fallen && self.good == 0 && self.failed == 0
    }

    /// Whether it answered last and said that it takes sentences, though it may not have risen by that yet.
    pub(super) fn is_within_reach(&self) -> bool {
        self.is_up() || self.good > 0
    }

    /// Why it cannot.
    pub(super) fn down_because(&self) -> Option<&str> {
        self.down_because.as_deref()
    }

    /// The node answered and says that it takes sentences. Returns whether this brought it up.
    pub(super) fn good(&mut self, hysteresis: Hysteresis) -> bool {
        self.failed = 0;
        self.good = self.good.saturating_add(1);
        let back = !self.is_up() && (!self.fallen || self.good >= hysteresis.rise);
        if back {
            self.down_because = None;
        }
        back
    }

    /// The node could not be read. Returns whether this took it down.
    pub(super) fn failed(&mut self, why: &str, hysteresis: Hysteresis) -> bool {
        self.good = 0;
        self.failed = self.failed.saturating_add(1);
        if self.is_up() && self.failed < hysteresis.fall {
            return false;
        }
        self.fell(why)
    }

    /// The node surely takes nothing now: it refused a connection or says that it is not ready. Returns whether this
    /// took it down.
    pub(super) fn fell(&mut self, why: &str) -> bool {
        let was_up = self.is_up();
        self.good = 0;
        self.fallen |= was_up;
        self.down_because = Some(why.to_owned());
        was_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_THREE: Hysteresis = Hysteresis { rise: 2, fall: 3 };

    #[test]
    fn a_new_node_needs_one_report_and_a_fallen_one_two() {
        let mut health = Health::default();
        assert_eq!(health.down_because(), Some("no report yet"));
        assert!(health.good(TWO_THREE));
        assert!(health.fell("refused"));
        assert!(!health.good(TWO_THREE));
        assert_eq!(health.down_because(), Some("refused"));
        assert!(health.good(TWO_THREE));
    }

    #[test]
    fn one_lost_reading_does_not_take_a_node_down() {
        let mut health = Health::default();
        health.good(TWO_THREE);
        assert!(!health.failed("time-out", TWO_THREE));
        assert!(!health.failed("time-out", TWO_THREE));
        health.good(TWO_THREE);
        assert!(!health.failed("time-out", TWO_THREE));
        assert!(!health.failed("time-out", TWO_THREE));
        assert!(health.failed("time-out", TWO_THREE));
        assert_eq!(health.down_because(), Some("time-out"));
    }

    #[test]
    fn flapping_does_not_bring_a_node_back() {
        let mut health = Health::default();
        health.good(TWO_THREE);
        health.fell("refused");
        assert!(!health.is_within_reach());
        for _ in 0..5 {
            assert!(!health.good(TWO_THREE));
            assert!(!health.failed("time-out", TWO_THREE));
        }
    }
}
