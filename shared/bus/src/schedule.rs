//! Delays: JetStream's message schedules. The server publishes the message into the same stream when it is due, at
//! most 250 ms late; a schedule on the same subject replaces the one before.

use std::time::SystemTime;

use async_nats::header;
use tasklane_contract::{subjects, time};

use crate::{Bus, BusError, Outgoing, Stored};

impl Bus {
    /// Stores `body` to appear on `tasks.retry` at `due`. A schedule of the same task is replaced.
    ///
    /// # Errors
    /// As [`Bus::store_surely`], and where `due` cannot be said as a time.
    pub async fn schedule(
        &self,
        task_id: &str,
        due: SystemTime,
        mut out: Outgoing,
    ) -> Result<Stored, BusError> {
        let at = time::to_rfc3339(time::to_us(due))
            .ok_or_else(|| BusError::js("schedule", "the time lies beyond the calendar"))?;
        let target = std::mem::replace(&mut out.subject, subjects::schedule(task_id));
        out.headers.0.insert(header::NATS_SCHEDULE, format!("@at {at}").as_str());
        out.headers.0.insert(header::NATS_SCHEDULE_TARGET, target.as_str());
        self.store_surely(out).await
    }
}
