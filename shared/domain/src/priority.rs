//! Priority: four levels, one lane each, and their weights.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much each priority counts when a worker shares its slots, from critical to low.
pub const WEIGHTS: [u32; 4] = [8, 4, 2, 1];

/// All priorities, the most urgent first; the index is the lane.
pub const ALL: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

/// How urgent a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Lane 0.
    Critical = 0,
    /// Lane 1.
    High = 1,
    /// Lane 2, what a task has if nothing is said.
    #[default]
    Normal = 2,
    /// Lane 3: slow under load, never starved.
    Low = 3,
}

impl Priority {
    /// The lane's number, 0 to 3.
    #[must_use]
    pub const fn lane(self) -> u8 {
        self as u8
    }

    /// The priority of a lane; none above 3.
    #[must_use]
    pub const fn from_lane(lane: u8) -> Option<Self> {
        match lane {
            0 => Some(Self::Critical),
            1 => Some(Self::High),
            2 => Some(Self::Normal),
            3 => Some(Self::Low),
            _ => None,
        }
    }

    /// The name, as it stands in JSON and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// This priority's share, one of [`WEIGHTS`].
    #[must_use]
    pub const fn weight(self) -> u32 {
        WEIGHTS[self as usize]
    }

    /// Reads a name in any case, or a lane's number `0` to `3`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(given: &str) -> Result<Self, UnknownPriority> {
        ALL.into_iter()
            .find(|p| given.eq_ignore_ascii_case(p.as_str()) || given.as_bytes() == [b'0' + p.lane()])
            .ok_or_else(|| UnknownPriority(given.chars().take(32).flat_map(char::escape_debug).collect()))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        Self::parse(given)
    }
}

/// What was given as a priority and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPriority(pub String);

impl fmt::Display for UnknownPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown priority `{}`; use critical, high, normal or low", self.0)
    }
}

impl std::error::Error for UnknownPriority {}
