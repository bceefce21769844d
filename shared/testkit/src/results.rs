//! Reading the stream of results to its end, counting messages and tasks.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use tasklane_bus::inspect::StoredMessage;
use tasklane_bus::pull::{Pulled, Puller};
use tasklane_bus::{Bus, Headers};
use tasklane_contract::streams::{self, ConsumerDef};
use tasklane_contract::{Message as _, id, subjects, v1};
use tokio::time::Instant;

use crate::wait;

/// Messages that are asked for at once.
const WINDOW: u32 = 2_000;

/// A stored result.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its place in the stream: results are in the order in which tasks ended.
    pub sequence: u64,
    /// The id in its subject.
    pub task_id: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
}

impl Record {
    pub(crate) fn of(stored: StoredMessage) -> Self {
        let task_id = stored.subject.strip_prefix(subjects::RESULT_PREFIX).unwrap_or_default().to_owned();
        Self { sequence: stored.sequence, task_id, headers: stored.headers, body: stored.body.to_vec() }
    }

    /// The result as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("the result of {}: {e}", self.task_id))
    }

    /// The result as protobuf.
    ///
    /// # Panics
    /// Where it is none.
    pub fn protobuf(&self) -> v1::TaskResult {
        v1::TaskResult::decode(self.body.as_slice())
            .unwrap_or_else(|e| panic!("the result of {}: {e}", self.task_id))
    }
}

/// A reader of all results. It goes on where it was when the server comes back.
pub struct Results {
    bus: Bus,
    puller: Puller,
    /// By place: a message that is delivered twice counts once.
    records: BTreeMap<u64, Record>,
}

impl Results {
    pub(crate) async fn open(bus: &Bus) -> Self {
        let name = format!("test-{}", id::fresh());
        let def = ConsumerDef {
            stream: streams::RESULTS,
            name: name.clone(),
            filters: vec!["results.*".to_owned()],
            ack_wait: Duration::from_secs(30),
            max_ack_pending: -1,
        };
        // A cluster that has just lost a server makes no consumers until it has a new leader.
        wait::until("a consumer of results can be made", async || bus.make_consumer(&def).await.ok()).await;
        let puller = Puller::open(bus, streams::RESULTS, &name).await.unwrap_or_else(|e| panic!("{e}"));
        Self { bus: bus.clone(), puller, records: BTreeMap::new() }
    }

    /// Reads until there are `n` results, and returns all that came, the earliest first.
    ///
    /// # Panics
    /// Where there are not `n` within `patience`.
    pub async fn read(&mut self, n: usize, patience: Duration) -> Vec<Record> {
        let give_up = Instant::now() + patience;
        while self.records.len() < n {
            if self.puller.credit() <= WINDOW / 2 {
                let wanted = WINDOW - self.puller.credit();
                self.puller.ask(wanted).await.unwrap_or_else(|e| panic!("{e}"));
            }
            let pulled = tokio::time::timeout_at(give_up, self.puller.next()).await;
            let pulled = pulled
                .unwrap_or_else(|_| panic!("{} of {n} results within {patience:?}", self.records.len()));
            match pulled {
                Pulled::Message(delivery) => {
                    let record = Record::of(StoredMessage {
                        subject: delivery.subject().to_owned(),
                        sequence: delivery.place.sequence,
                        headers: delivery.headers(),
                        body: delivery.body().clone(),
                        stored_at_us: delivery.place.stored_at_us,
                    });
                    delivery.ack().await.unwrap_or_else(|e| panic!("{e}"));
                    self.records.insert(record.sequence, record);
                }
                Pulled::CreditBack(_) => {}
                // In a cluster it may be there before it has a leader; where it is really gone, patience ends.
                Pulled::ConsumerGone => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        self.records.values().cloned().collect()
    }

    /// Reads until every one of `ids` has its result, and asserts that each has one and that nothing else was ever
    /// recorded: a second result would have taken the place of the first, and left a gap in the sequences.
    ///
    /// # Panics
    /// Where that is not so.
    pub async fn exactly_one_each(&mut self, ids: &[String], patience: Duration) -> Vec<Record> {
        let records = self.read(ids.len(), patience).await;
        let expected: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let found: HashSet<&str> = records.iter().map(|r| r.task_id.as_str()).collect();
        let lost: Vec<&&str> = expected.difference(&found).take(5).collect();
        let strange: Vec<&&str> = found.difference(&expected).take(5).collect();
        assert!(
            lost.is_empty() && strange.is_empty(),
            "without a result: {lost:?}...; not ours: {strange:?}..."
        );
        assert_eq!(records.len(), found.len(), "a task has several results");
        let load = self.bus.stream_load(streams::RESULTS).await.unwrap_or_else(|e| panic!("{e}"));
        let ours = ids.len() as u64;
        assert_eq!((load.messages, load.last), (ours, ours), "a result was recorded a second time");
        records
    }
}
