//! What every service gets and a handler never writes. A handler is `async fn(Ctx, Payload) -> Result<Output,
//! TaskError>`; this room pulls, limits, times, cancels, retries, records and publishes for it.

mod allocator;
pub mod cancels;
pub mod config;
pub mod follow;
pub mod handler;
pub mod http;
pub mod measure;
pub mod monitor;
pub mod process;
pub mod record;
pub mod worker;

pub use handler::{Ctx, Output, Payload, TaskError};
pub use tasklane_bus as bus;
pub use tasklane_contract as contract;
pub use tasklane_domain as domain;
pub use tasklane_telemetry as telemetry;
pub use worker::{TaskType, Worker, WorkerConfig};
