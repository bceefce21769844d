//! Names of span attributes, in one place.
//!
//! The first group is OpenTelemetry's: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>.
//! The second is ours. Names are fixed: dashboards and alerts are built on them.

/// The messaging system; always [`NATS`].
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// Value of [`MESSAGING_SYSTEM`].
pub const NATS: &str = "nats";
/// The subject or stream a message goes to or came from.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// The low-cardinality pattern of the destination, such as `work.{capability}.{pool}.p{priority}`.
pub const MESSAGING_DESTINATION_TEMPLATE: &str = "messaging.destination.template";
/// The kind of operation: one of [`SEND`], [`RECEIVE`], [`PROCESS`], [`SETTLE`].
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// The operation as the messaging system calls it: `publish`, `fetch`, `ack`, `nak`, `term`.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// Operation type: a message is handed to the server.
pub const SEND: &str = "send";
/// Operation type: messages are asked for.
pub const RECEIVE: &str = "receive";
/// Operation type: a message is worked on.
pub const PROCESS: &str = "process";
/// Operation type: a message is acknowledged or given back.
pub const SETTLE: &str = "settle";
/// The id of the message (the header `Nats-Msg-Id`).
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// Size of the message's body in bytes.
pub const MESSAGING_MESSAGE_BODY_SIZE: &str = "messaging.message.body.size";
/// Messages of a batch.
pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
/// The durable consumer.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
/// The class of an error: a stable code such as `TL2003`.
pub const ERROR_TYPE: &str = "error.type";
/// Host name or address of the server that is called.
pub const SERVER_ADDRESS: &str = "server.address";
/// Port of the server that is called.
pub const SERVER_PORT: &str = "server.port";

/// Id of the task.
pub const TASK_ID: &str = "tasklane.task.id";
/// Task type.
pub const TASK_TYPE: &str = "tasklane.task.type";
/// Terminal status or outcome of an attempt.
pub const TASK_OUTCOME: &str = "tasklane.task.outcome";
/// Priority, 0 (highest) to 3.
pub const TASK_PRIORITY: &str = "tasklane.task.priority";
/// Tenant the task belongs to.
pub const TENANT: &str = "tasklane.tenant";
/// Number of the attempt, from 1.
pub const ATTEMPT: &str = "tasklane.attempt";
/// Time between routing and the start of the attempt, in milliseconds.
pub const QUEUE_WAIT_MS: &str = "tasklane.queue_wait_ms";
/// The pool that was chosen.
pub const POOL: &str = "tasklane.pool";
/// The capability whose lane carries the task.
pub const CAPABILITY: &str = "tasklane.capability";
/// The worker that runs the attempt.
pub const WORKER_ID: &str = "tasklane.worker.id";
/// Score of the chosen pool.
pub const ROUTE_SCORE: &str = "tasklane.route.score";
/// Why the pool was chosen.
pub const ROUTE_REASON: &str = "tasklane.route.reason";
/// Pools that were eligible.
pub const ROUTE_CANDIDATES: &str = "tasklane.route.candidates";
/// Delay before the next attempt, in milliseconds.
pub const RETRY_DELAY_MS: &str = "tasklane.retry.delay_ms";
