//! Limits and budgets: reserved before a call, settled after it, shared by all replicas through a key-value bucket
//! with compare-and-set.
//!
//! # How it holds
//!
//! One key of the bucket is one [`Account`]: a provider, a model or a tenant. An account holds one row per replica
//! (and day). A row says, in absolute numbers, what its replica has used and how much more it may use by itself
//! until a given time: its lease. Only that replica writes the row, always by compare-and-set of the whole account,
//! so a new lease is granted with every other row in sight. From this follows the rest:
//!
//! - **The sum never exceeds the limit.** A lease is counted in full from the moment it is written. A call takes its
//!   estimate out of its replica's lease, which needs no round trip. Only a call that used more than its estimate
//!   can push an account over: by that overrun, which is charged and never refused.
//! - **Every write may be repeated.** Rows are absolute, so a write whose answer was lost does no harm, whether it
//!   happened or not, and a late one fails on its revision. A replica shrinks a lease only when it can no longer
//!   spend from it.
//! - **Nothing can get stuck.** There is no separate state "reserved" that someone has to end. An estimate is a
//!   charge which settling corrects. If the replica dies, the charge stays as estimated: money leaves with its day
//!   and month (the calls may have been made, so forgetting them could exceed the budget), requests and tokens leave
//!   with their minute.
//! - **A call takes from all of its accounts or from none.** Taking is local, so giving back is too.
//!
//! Rooms: [`amounts`] the words, [`calendar`] days and months, [`window`] one account, [`row`] one replica's line of it, [`lease`] how the
//! replica spends it, [`book`] the accounts of a replica, [`cas`] and [`store`] the bucket, [`usage`], [`flush`] and [`report`]
//! what was used. Only `book`, `cas` and `flush` wait for anything.
//!
//! The clocks of the replicas have to agree to within seconds; what they differ by, the minute is off.

pub mod amounts;
pub mod book;
pub mod calendar;
pub mod cas;
pub mod flush;
pub mod lease;
pub mod report;
pub mod reservation;
pub mod row;
pub mod store;
pub mod usage;
pub mod window;

pub use amounts::{Amounts, Decision, Limits, Period, Refusal, What};
pub use book::{Book, BookError, Charge};
pub use reservation::Reservation;
pub use store::{PutError, Store, Unavailable};
pub use window::Account;
