//! PURE. The busy time of one CPU: how the probe keeps it and how a reader completes it.
//!
//! A CPU is busy except between the two `cpu_idle` events that enclose an idle state; and a softirq that runs
//! inside an idle state is busy too. Only the CPU itself writes its slot.
//!
//! The whole state is one word, so a reader never sees half of a change and needs no lock and no retry. Its two
//! lowest bits are the state. Above them, while the CPU is idle, stands its busy time so far; while it is busy,
//! its idle time so far, which grows no more, so that its busy time is the clock less that. Either is in
//! nanoseconds, and 62 bits of them are 146 years.

/// The accumulator of one CPU, alone on its cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSlot {
    /// A [`CpuWord`].
    pub word: u64,
    /// Room to the end of the cache line.
    pub reserved: [u64; 7],
}

const _: () = assert!(size_of::<CpuSlot>() == 64);

/// State and time of one CPU in one word. Times are nanoseconds of CLOCK_MONOTONIC.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuWord(pub u64);

/// Before the first event and the seed.
const UNKNOWN: u64 = 0;
const IDLE: u64 = 1;
const BUSY: u64 = 2;
/// Busy with a softirq inside an idle state, so idle again when the softirq ends.
const SOFTIRQ: u64 = 3;

const STATE: u64 = 3;

impl CpuWord {
    /// Busy time until `now`, or nothing while the state is unknown. A clock that is behind counts as zero.
    #[inline(always)]
    #[must_use]
    pub fn busy_at(self, now: u64) -> Option<u64> {
        match self.state() {
            UNKNOWN => None,
            IDLE => Some(self.time()),
            _ => Some(now.saturating_sub(self.time())),
        }
    }

    /// The CPU enters an idle state. Entering twice changes nothing.
    #[inline(always)]
    #[must_use]
    pub fn enter_idle(self, now: u64) -> Self {
        match self.state() {
            UNKNOWN => Self::new(0, IDLE),
            BUSY => Self::new(now.saturating_sub(self.time()), IDLE),
            _ => self,
        }
    }

    /// The CPU leaves its idle state. Leaving twice changes nothing.
    #[inline(always)]
    #[must_use]
    pub fn leave_idle(self, now: u64) -> Self {
        match self.state() {
            UNKNOWN => Self::new(now, BUSY),
            IDLE => Self::new(now.saturating_sub(self.time()), BUSY),
            // A softirq that is cut short by the end of the idle state stays busy.
            _ => Self::new(self.time(), BUSY),
        }
    }

    /// A softirq begins. Outside of an idle state its time is busy time already.
    #[inline(always)]
    #[must_use]
    pub fn enter_softirq(self, now: u64) -> Self {
        if self.is_idle() { Self::new(now.saturating_sub(self.time()), SOFTIRQ) } else { self }
    }

    /// A softirq ends.
    #[inline(always)]
    #[must_use]
    pub fn leave_softirq(self, now: u64) -> Self {
        if self.is_softirq() { Self::new(now.saturating_sub(self.time()), IDLE) } else { self }
    }

    /// The state of a CPU that has had no event yet, or of one that was offline (`again`), which starts from
    /// zero. A CPU that is always busy has no event at all, so without a seed it would be unknown for ever.
    #[inline(always)]
    #[must_use]
    pub fn seed(self, now: u64, idle: bool, again: bool) -> Self {
        if self.state() != UNKNOWN && !again {
            self
        } else if idle {
            Self::new(0, IDLE)
        } else {
            Self::new(now, BUSY)
        }
    }

    /// Whether a softirq that begins now must be counted. The hook asks before it reads the clock.
    #[inline(always)]
    #[must_use]
    pub fn is_idle(self) -> bool {
        self.state() == IDLE
    }

    /// Whether a softirq that ends now was counted.
    #[inline(always)]
    #[must_use]
    pub fn is_softirq(self) -> bool {
        self.state() == SOFTIRQ
    }

    #[inline(always)]
    fn new(time: u64, state: u64) -> Self {
        Self(time << 2 | state)
    }

    #[inline(always)]
    fn state(self) -> u64 {
        self.0 & STATE
    }

    #[inline(always)]
    fn time(self) -> u64 {
        self.0 >> 2
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        EnterIdle,
        LeaveIdle,
        EnterSoftirq,
        LeaveSoftirq,
    }

    fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
        let event = prop_oneof![
            Just(Event::EnterIdle),
            Just(Event::LeaveIdle),
            Just(Event::EnterSoftirq),
            Just(Event::LeaveSoftirq),
        ];
        proptest::collection::vec((0u64..1000, event), 0..60)
    }

    fn apply(word: CpuWord, event: Event, now: u64) -> CpuWord {
        match event {
            Event::EnterIdle => word.enter_idle(now),
            Event::LeaveIdle => word.leave_idle(now),
            Event::EnterSoftirq => word.enter_softirq(now),
            Event::LeaveSoftirq => word.leave_softirq(now),
        }
    }

    proptest! {
        /// An independent model: two booleans, and time is added up step by step.
        #[test]
        fn busy_time_is_time_not_idle_plus_softirqs_inside_idle(
            start in 0u64..1 << 60, idle_first: bool, events in events()
        ) {
            let (mut now, mut idle, mut softirq, mut busy) = (start, idle_first, false, 0u64);
            let mut word = CpuWord::default().seed(now, idle, false);
            for (step, event) in events {
                now += step;
                busy += if !idle || softirq { step } else { 0 };
                match event {
                    Event::EnterIdle => (idle, softirq) = (true, softirq && idle),
                    Event::LeaveIdle => (idle, softirq) = (false, false),
                    Event::EnterSoftirq => softirq = idle,
                    Event::LeaveSoftirq => softirq = false,
                }
                word = apply(word, event, now);
                prop_assert_eq!(word.busy_at(now), Some(busy));
                let expected = busy + if !idle || softirq { 10 } else { 0 };
                prop_assert_eq!(word.busy_at(now + 10), Some(expected));
            }
        }

        #[test]
        fn any_word_and_any_clock_give_an_answer(word: u64, now: u64, later: u64) {
            for event in [Event::EnterIdle, Event::LeaveIdle, Event::EnterSoftirq, Event::LeaveSoftirq] {
                let _busy = apply(CpuWord(word), event, now).busy_at(later);
            }
        }
    }

    #[test]
    fn an_unseeded_word_is_unknown_and_the_first_idle_event_seeds_it() {
        let word = CpuWord::default();
        assert_eq!(word.busy_at(10), None);
        assert_eq!(word.enter_softirq(20).leave_softirq(25).busy_at(30), None);
        assert_eq!(word.enter_idle(40).busy_at(50), Some(0));
        assert_eq!(word.leave_idle(40).busy_at(50), Some(10));
    }

    #[test]
    fn a_seed_does_not_disturb_a_cpu_that_has_events_unless_told() {
        let word = CpuWord::default().leave_idle(10).seed(1000, true, false);
        assert_eq!(word.busy_at(1010), Some(1000));
        // Offline from then on: the time until the CPU came back is not its busy time.
        assert_eq!(word.seed(1_000_000, false, true).busy_at(1_000_010), Some(10));
    }
}
