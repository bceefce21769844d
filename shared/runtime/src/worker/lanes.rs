//! The four lanes of the worker's pool: asks for as much as free slots allow, by weighted priority, and starts an
//! attempt for every message that comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tasklane_bus::Delivery;
use tasklane_bus::pull::{Pulled, Puller};
use tasklane_contract::streams;
use tasklane_domain::credit::{Allocator, LaneState, Slots};
use tasklane_domain::lane;
use tasklane_domain::priority;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hold::{self, Hold};
use super::shared::Shared;
use super::{WorkerError, attempt, settle};

/// A message that came without a free slot is handed back after this, for another replica may be idle.
const PATIENCE: Duration = Duration::from_secs(1);
/// Before a consumer that did not answer is asked again.
const REST: Duration = Duration::from_millis(100);
/// Messages of one lane that are taken before the others get a look.
const BURST: usize = 64;

struct Waiting {
    lane: usize,
    since: Instant,
    delivery: Delivery,
    hold: Hold,
}

struct Lanes<'a> {
    shared: &'a Arc<Shared>,
    pullers: [Puller; 4],
    pending: [u64; 4],
    allocator: Allocator,
    waiting: VecDeque<Waiting>,
}

/// Pulls until `stop`, then gives back what has not begun. What runs goes on.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    stop: &CancellationToken,
    mut paused: watch::Receiver<bool>,
) -> Result<(), WorkerError> {
    let mut lanes = Lanes::open(shared).await?;
    loop {
        if !*paused.borrow_and_update() {
            lanes.ask().await?;
        }
        let impatient = lanes.waiting.front().map(|w| w.since + PATIENCE);
        let [a, b, c, d] = &mut lanes.pullers;
        let (lane, pulled) = tokio::select! {
            biased;
            () = stop.cancelled() => return lanes.close().await,
            pulled = a.next() => (0, pulled),
            pulled = b.next() => (1, pulled),
            pulled = c.next() => (2, pulled),
            pulled = d.next() => (3, pulled),
            () = shared.freed.notified() => { lanes.start_waiting(); continue }
            changed = paused.changed() => {
                // The watcher ends only with the worker, and then `stop` has fired or is about to.
                if changed.is_err() { stop.cancelled().await }
                continue
            }
            () = tokio::time::sleep_until(impatient.unwrap_or_else(far)), if impatient.is_some() => {
                lanes.give_back_oldest();
                continue
            }
        };
        if !lanes.take(lane, pulled) {
            tracing::warn!(pool = %shared.pool, "a consumer of ours is gone, or has no leader; waiting for it");
            tokio::select! {
                reopened = lanes.reopen(lane) => reopened?,
                () = stop.cancelled() => {}
            }
        }
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

async fn open(shared: &Shared, lane: usize) -> Result<Puller, WorkerError> {
    let consumer = lane::consumer_name(&shared.pool, priority::ALL[lane]);
    Ok(Puller::open(&shared.bus, streams::WORK, &consumer).await?)
}

impl<'a> Lanes<'a> {
    async fn open(shared: &'a Arc<Shared>) -> Result<Self, WorkerError> {
        let pullers =
            [open(shared, 0).await?, open(shared, 1).await?, open(shared, 2).await?, open(shared, 3).await?];
        Ok(Self { shared, pullers, pending: [0; 4], allocator: Allocator::new(), waiting: VecDeque::new() })
    }

    async fn ask(&mut self) -> Result<(), WorkerError> {
        let busy = self.shared.busy() + u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let slots = Slots { total: self.shared.slots, busy };
        let states = std::array::from_fn(|i| LaneState {
            outstanding: self.pullers[i].credit(),
            pending: self.pending[i],
        });
        let granted = self.allocator.grant(slots, &states);
        for (puller, n) in self.pullers.iter_mut().zip(granted) {
            puller.ask(n).await?;
        }
        Ok(())
    }

    /// Takes what came, and what else has come on the same lane. False where the consumer is gone.
    fn take(&mut self, lane: usize, pulled: Pulled) -> bool {
        let mut next = Some(pulled);
        let mut taken = 0;
        // What `ready` has handed over is ours: it must not be dropped where the burst ends.
        while let Some(pulled) = next {
            match pulled {
                Pulled::Message(delivery) => self.begin(lane, delivery),
                Pulled::CreditBack(_) => self.pending[lane] = 0,
                Pulled::ConsumerGone => return false,
            }
            taken += 1;
            next = if taken < BURST { self.pullers[lane].ready() } else { None };
        }
        true
    }

    fn begin(&mut self, lane: usize, delivery: Delivery) {
        self.pending[lane] = delivery.place.pending;
        let hold = hold::hold(self.shared, &delivery);
        if self.shared.busy() < self.shared.slots {
            attempt::spawn(self.shared, delivery, hold);
        } else {
            self.waiting.push_back(Waiting { lane, since: Instant::now(), delivery, hold });
        }
    }

    /// Starts what waits, the highest priority first, while there are slots.
    fn start_waiting(&mut self) {
        while self.shared.busy() < self.shared.slots {
            let next = self.waiting.iter().enumerate().min_by_key(|(_, w)| w.lane).map(|(i, _)| i);
            let Some(waiting) = next.and_then(|i| self.waiting.remove(i)) else { return };
            attempt::spawn(self.shared, waiting.delivery, waiting.hold);
        }
    }

    fn give_back_oldest(&mut self) {
        if let Some(waiting) = self.waiting.pop_front() {
            settle::hand_back_unbegun(self.shared, waiting.delivery, waiting.hold);
        }
    }

    async fn reopen(&mut self, lane: usize) -> Result<(), WorkerError> {
        let consumer = lane::consumer_name(&self.shared.pool, priority::ALL[lane]);
        // A cluster tells of a consumer before this has the leader that answers.
        tokio::time::sleep(REST).await;
        self.shared.bus.await_consumer(streams::WORK, &consumer).await;
        self.pullers[lane] = open(self.shared, lane).await?;
        self.pending[lane] = 0;
        Ok(())
    }

    async fn close(self) -> Result<(), WorkerError> {
        for waiting in self.waiting {
            settle::hand_back_unbegun(self.shared, waiting.delivery, waiting.hold);
        }
        let closed = futures::future::join_all(self.pullers.into_iter().map(Puller::close)).await;
        for delivery in closed.into_iter().flatten() {
            let hold = hold::hold(self.shared, &delivery);
            settle::hand_back_unbegun(self.shared, delivery, hold);
        }
        Ok(())
    }
}
