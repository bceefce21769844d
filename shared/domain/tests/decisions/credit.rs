//! Pull credits: bounded, work conserving, shared 8:4:2:1, nobody starved. Checked on a model of a worker.

use proptest::prelude::*;
use tasklane_domain::credit::{Allocator, LaneState, Slots, max_overshoot, standing};
use tasklane_domain::priority::WEIGHTS;

/// What may happen to a worker.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Tasks are published to a lane.
    Arrive(usize, u64),
    /// Another worker of the pool takes tasks from a lane.
    TakenElsewhere(usize, u64),
    /// The next message of a lane is delivered, if there is one and it was asked for.
    Deliver(usize),
    /// A running task ends.
    Finish,
    /// The pull requests of a lane expire.
    Expire(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0usize..4, 1u64..40).prop_map(|(lane, n)| Event::Arrive(lane, n)),
        1 => (0usize..4, 1u64..40).prop_map(|(lane, n)| Event::TakenElsewhere(lane, n)),
        12 => (0usize..4).prop_map(Event::Deliver),
        6 => Just(Event::Finish),
        1 => (0usize..4).prop_map(Event::Expire),
    ]
}

/// A worker with its lanes, as the runtime keeps them.
struct Worker {
    allocator: Allocator,
    slots: Slots,
    lanes: [LaneState; 4],
    queued: [u64; 4],
    delivered: [u64; 4],
}

impl Worker {
    fn new(total: u32) -> Self {
        let mut worker = Self {
            allocator: Allocator::new(),
            slots: Slots { total, busy: 0 },
            lanes: [LaneState::default(); 4],
            queued: [0; 4],
            delivered: [0; 4],
        };
        worker.pull();
        worker
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(lane, n) => self.queued[lane] += n,
            Event::TakenElsewhere(lane, n) => self.queued[lane] = self.queued[lane].saturating_sub(n),
            Event::Deliver(lane) => self.deliver(lane),
            Event::Finish => self.slots.busy = self.slots.busy.saturating_sub(1),
            Event::Expire(lane) => self.lanes[lane] = LaneState::default(),
        }
        self.pull();
    }

    fn deliver(&mut self, lane: usize) {
        if self.lanes[lane].outstanding > 0 && self.queued[lane] > 0 {
            self.queued[lane] -= 1;
            self.delivered[lane] += 1;
            self.slots.busy += 1;
            self.lanes[lane] =
                LaneState { outstanding: self.lanes[lane].outstanding - 1, pending: self.queued[lane] };
        }
    }

    /// Asks for what the allocator grants, and checks what it promises.
    fn pull(&mut self) -> [u32; 4] {
        let granted = self.allocator.grant(self.slots, &self.lanes);
        if self.slots.busy >= self.slots.total {
            assert_eq!(granted, [0; 4], "nothing is asked for without a free slot");
        }
        let asked_more = self.lanes.iter().zip(granted).any(|(lane, more)| lane.is_backlogged() && more > 0);
        for (lane, more) in self.lanes.iter_mut().zip(granted) {
            lane.outstanding += more;
        }
        let prefetched = self.lanes.iter().filter(|l| l.is_backlogged()).map(|l| l.outstanding).sum::<u32>();
        assert!(
            !asked_more || self.slots.busy + prefetched <= self.slots.total,
            "a backlog is never prefetched"
        );
        assert!(
            self.committed() <= self.slots.total + max_overshoot(self.slots.total),
            "bounded: {:?}",
            self.lanes
        );
        self.check_work_conserving();
        granted
    }

    fn committed(&self) -> u32 {
        self.slots.busy + self.lanes.iter().map(|l| l.outstanding).sum::<u32>()
    }

    fn check_work_conserving(&self) {
        let dry = self.lanes.iter().any(|l| l.is_backlogged() && l.outstanding == 0);
        assert!(
            !dry || self.committed() >= self.slots.total,
            "a slot idles: {:?} {:?}",
            self.slots,
            self.lanes
        );
        let deaf = self.lanes.iter().any(|l| !l.is_backlogged() && l.outstanding == 0);
        let full = self.committed() >= self.slots.total + max_overshoot(self.slots.total);
        assert!(!deaf || full || self.slots.busy >= self.slots.total, "an idle lane is not listened to");
    }

    /// Lets everything come that was asked for, and what cannot come expire, until nothing changes.
    fn settle(&mut self) {
        loop {
            let before = (self.slots, self.lanes);
            for lane in 0..4 {
                self.deliver(lane);
                if self.queued[lane] == 0 {
                    self.lanes[lane] = LaneState::default();
                }
            }
            self.pull();
            if before == (self.slots, self.lanes) {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn promises_hold_whatever_happens(total in 0u32..100, events in prop::collection::vec(event(), 0..300)) {
        let mut worker = Worker::new(total);
        for event in events {
            worker.happen(event);
        }
    }

    #[test]
    fn no_slot_idles_while_work_waits(total in 1u32..100, events in prop::collection::vec(event(), 0..200)) {
        let mut worker = Worker::new(total);
        for event in events {
            worker.happen(event);
        }
        worker.settle();
        prop_assert!(worker.slots.busy >= total || worker.queued == [0; 4], "{:?} {:?}", worker.queued, worker.lanes);
    }

    #[test]
    fn nobody_starves_after_any_history(
        total in 1u32..20, events in prop::collection::vec(event(), 0..200), waiting in 1usize..16,
    ) {
        let mut worker = Worker::new(total);
        for event in events {
            worker.happen(event);
        }
        worker.queued = std::array::from_fn(|lane| if waiting & (1 << lane) != 0 { u64::MAX / 2 } else { 0 });
        worker.slots.busy = 0;
        worker.settle();
        worker.delivered = [0; 4];
        // One slot at a time: three full rounds of the weights are enough for each to have its turn.
        for _ in 0..45 + max_overshoot(total) {
            worker.slots.busy -= 1;
            worker.settle();
        }
        for lane in 0..4 {
            prop_assert_eq!(worker.delivered[lane] > 0, waiting & (1 << lane) != 0, "{:?}", worker.delivered);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn shares_follow_the_weights(total in 1u32..100, finishing in prop::collection::vec(1u32..8, 50)) {
        let mut worker = Worker::new(total);
        worker.queued = [u64::MAX / 2; 4];
        worker.settle();
        worker.delivered = [0; 4];
        for n in finishing.iter().cycle().take(2_000) {
            worker.slots.busy = worker.slots.busy.saturating_sub(*n);
            worker.pull();
            (0..4).for_each(|lane| (0..total).for_each(|_| worker.deliver(lane)));
            worker.pull();
        }
        let sum: u64 = worker.delivered.iter().sum();
        for (delivered, weight) in worker.delivered.iter().zip(WEIGHTS) {
            let (share, due) = (*delivered as f64 / sum as f64, f64::from(weight) / 15.0);
            prop_assert!((share / due - 1.0).abs() < 0.05, "{:?}", worker.delivered);
        }
    }
}

#[test]
fn an_idle_worker_listens_on_every_lane() {
    let idle = [LaneState::default(); 4];
    assert_eq!(Allocator::new().grant(Slots { total: 64, busy: 0 }, &idle), [4; 4]);
    assert_eq!(
        Allocator::new().grant(Slots { total: 1, busy: 0 }, &idle),
        [1; 4],
        "the documented overshoot of 3"
    );
    assert_eq!(Allocator::new().grant(Slots { total: 0, busy: 0 }, &idle), [0; 4]);
    assert_eq!((standing(1), standing(16), standing(64)), (1, 1, 4));
}

#[test]
fn one_busy_lane_gets_all_slots_though_the_others_listen() {
    for total in [1, 2, 4, 16] {
        let mut worker = Worker::new(total);
        worker.queued[2] = 200;
        for _ in 0..100 {
            // Nothing expires here: the credits of the idle lanes stay out all the time.
            for _ in 0..=total {
                worker.deliver(2);
                worker.pull();
            }
            assert_eq!(worker.slots.busy, total, "{:?}", worker.lanes);
            assert!(worker.lanes[0].outstanding > 0);
            worker.slots.busy -= 1;
            worker.pull();
        }
    }
}

#[test]
fn requests_are_batched() {
    let mut worker = Worker::new(64);
    worker.queued[2] = 100_000;
    let mut requests = 0;
    for _ in 0..10_000 {
        worker.deliver(2);
        requests += u32::from(worker.pull()[2] > 0);
        worker.slots.busy = worker.slots.busy.saturating_sub(1);
        requests += u32::from(worker.pull()[2] > 0);
    }
    assert_eq!(worker.delivered[2], 10_000);
    assert!(requests < 1_000, "{requests} requests for 10000 tasks");
}
