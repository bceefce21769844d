//! What is limited, how much of it, and the answer to a request for some.

use serde::{Deserialize, Serialize};

/// An amount of everything that is limited. All arithmetic saturates: no input can make it wrap or go negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Calls.
    pub requests: u64,
    /// Tokens, input and output together.
    pub tokens: u64,
    /// Money in nano-US-dollars: 1 USD is 1,000,000,000.
    pub nano_usd: u64,
}

impl Amounts {
    /// Nothing.
    pub const ZERO: Self = Self { requests: 0, tokens: 0, nano_usd: 0 };
    /// More than anything: the room left where there is no limit.
    pub const MAX: Self = Self { requests: u64::MAX, tokens: u64::MAX, nano_usd: u64::MAX };

    /// Joins two amounts part by part.
    #[must_use]
    pub fn zip(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            tokens: with(self.tokens, other.tokens),
            nano_usd: with(self.nano_usd, other.nano_usd),
        }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// The difference, zero where `other` is larger.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    /// Whether no part is larger than the same part of `room`.
    #[must_use]
    pub fn fits(self, room: Self) -> bool {
        self.requests <= room.requests && self.tokens <= room.tokens && self.nano_usd <= room.nano_usd
    }
}

/// The limits of one account; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Calls in any sixty seconds.
    pub requests_per_minute: Option<u64>,
    /// Tokens in any sixty seconds.
    pub tokens_per_minute: Option<u64>,
    /// Money per UTC day, in nano-US-dollars.
    pub nano_usd_per_day: Option<u64>,
    /// Money per UTC calendar month, in nano-US-dollars.
    pub nano_usd_per_month: Option<u64>,
}

impl Limits {
    /// Whether nothing is limited, so that the account need not be kept at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The limit of one thing.
    #[must_use]
    pub fn of(&self, what: What) -> Option<u64> {
        match what {
            What::Requests => self.requests_per_minute,
            What::Tokens => self.tokens_per_minute,
            What::Money(Period::Day) => self.nano_usd_per_day,
            What::Money(Period::Month) => self.nano_usd_per_month,
        }
    }

    /// The refusal for good if one call asks for more than a whole limit: no waiting would help it.
    #[must_use]
    pub fn never(&self, need: Amounts) -> Option<Decision> {
        What::ALL.into_iter().find_map(|what| {
            let (limit, wanted) = (self.of(what)?, what.of(need));
            (wanted > limit).then_some(Decision::Never { what, limit, wanted })
        })
    }
}

/// The span of a money budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The UTC day.
    Day,
    /// The UTC calendar month.
    Month,
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Calls per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Money per day or month.
    Money(Period),
}

impl What {
    /// All there are.
    pub const ALL: [Self; 4] =
        [Self::Requests, Self::Tokens, Self::Money(Period::Day), Self::Money(Period::Month)];

    /// What it is counted in, for messages.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Requests => "requests per minute",
            Self::Tokens => "tokens per minute",
            Self::Money(Period::Day) => "nano-US-dollars per day",
            Self::Money(Period::Month) => "nano-US-dollars per month",
        }
    }

    /// The part of an amount that this limits.
    #[must_use]
    pub fn of(self, amounts: Amounts) -> u64 {
        match self {
            Self::Requests => amounts.requests,
            Self::Tokens => amounts.tokens,
            Self::Money(_) => amounts.nano_usd,
        }
    }
}

/// A refusal that time may lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What ran out; where several did, the one that takes longest to come back.
    pub what: What,
    /// The earliest time, in milliseconds since the epoch, at which there may be room. It counts on what other
    /// replicas have leased but not spent, so it is a time to ask again, not a promise.
    pub available_at_ms: u64,
    /// The limit.
    pub limit: u64,
    /// How much of it is charged, leases included.
    pub used: u64,
}

/// The answer to a request for an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is charged.
    Granted,
    /// Not now, and nothing is charged.
    Refused(Refusal),
    /// The account has as many rows as it may hold, all of living replicas; nothing is charged.
    Crowded,
    /// Never: it is more than the whole limit.
    Never {
        /// What it is too much of.
        what: What,
        /// The whole limit.
        limit: u64,
        /// How much was asked for.
        wanted: u64,
    },
}
