//! Putting operations into a collection's log. What is acknowledged is stored by the stream, and so is durable.

use std::collections::VecDeque;

use prost::Message as _;
use tasklane_runtime::bus::{Bus, BusError, Outgoing, Stored};
use tasklane_runtime::contract::streams::VECTORS;

use super::subject;
use crate::error::VectorError;
use crate::ops::{Batch, Kind, MOST_OPS, Op};

/// Bytes of one message, at most: a reader holds several.
const BYTES: usize = 4 << 20;
/// Room for headers and for what protobuf adds to each operation.
const HEADROOM: usize = 16 << 10;
/// Messages of one task that are on their way at once.
const AT_ONCE: usize = 8;
/// Protobuf's words around one operation, at most.
const AROUND: usize = 16;

/// Writes operations in their order, and waits until all are stored. Messages are named by `task`: the same task again
/// within the stream's window stores nothing twice. Gives a sequence that has all of them.
///
/// # Errors
/// One that is too large for a message; or NATS does not say that all is stored, and then part of it may be.
pub async fn write(
    bus: &Bus,
    id: &str,
    task: &str,
    ops: impl IntoIterator<Item = Kind>,
) -> Result<u64, VectorError> {
    let most = BYTES.min(bus.max_payload().saturating_sub(HEADROOM));
    let (mut batch, mut bytes, mut messages) = (Batch::default(), 0, 0);
    let mut sending = Sending { bus, id, waiting: VecDeque::new(), last: 0, repeated: false };
    for op in ops.into_iter().map(Op::from) {
        let size = op.encoded_len() + AROUND;
        if !batch.ops.is_empty() && (bytes + size > most || batch.ops.len() == MOST_OPS) {
            sending.send(std::mem::take(&mut batch), &format!("{id}.{task}.{messages}")).await?;
            (bytes, messages) = (0, messages + 1);
        }
        bytes += size;
        batch.ops.push(op);
    }
    if !batch.ops.is_empty() {
        sending.send(batch, &format!("{id}.{task}.{messages}")).await?;
    }
    sending.end().await
}

struct Sending<'a> {
    bus: &'a Bus,
    id: &'a str,
    waiting: VecDeque<tasklane_runtime::bus::publish::Sent>,
    last: u64,
    repeated: bool,
}

impl Sending<'_> {
    async fn send(&mut self, batch: Batch, name: &str) -> Result<(), VectorError> {
        if self.waiting.len() >= AT_ONCE {
            self.one().await?;
        }
        let body = batch.encode()?;
        let out = Outgoing::new(subject(self.id), body).header("Nats-Msg-Id", name);
        self.waiting.push_back(self.bus.send(out).await.map_err(too_large)?);
        Ok(())
    }

    async fn one(&mut self) -> Result<(), VectorError> {
        let Some(sent) = self.waiting.pop_front() else { return Ok(()) };
        match sent.stored().await.map_err(too_large)? {
            Stored::New { sequence } => self.last = self.last.max(sequence),
            Stored::Duplicate => self.repeated = true,
            Stored::NotFirst => return Err(VectorError::Internal("the log refused a message".to_owned())),
        }
        Ok(())
    }

    async fn end(mut self) -> Result<u64, VectorError> {
        while !self.waiting.is_empty() {
            self.one().await?;
        }
        if !self.repeated {
            return Ok(self.last);
        }
        // What was stored before has a sequence that nobody tells: the log's last is not below it. What is no longer in
        // the log is in a snapshot, and then the stream's last will do.
        match self.bus.last_on(VECTORS, &subject(self.id)).await {
            Ok(message) => Ok(self.last.max(message.sequence)),
            Err(BusError::NotFound(_)) => Ok(self.bus.stream_load(VECTORS).await?.last),
            Err(e) => Err(e.into()),
        }
    }
}

fn too_large(error: BusError) -> VectorError {
    match error {
        BusError::TooLarge { reason, .. } => {
            VectorError::BadInput(format!("a point is larger than NATS takes as one message: {reason}"))
        }
        error => error.into(),
    }
}
