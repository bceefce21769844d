//! A circuit breaker for one provider and model: a candidate that keeps failing is left alone for a while.
//!
//! Closed, it counts. Where enough calls failed, both in number and in proportion, it opens and lets nobody through. After
//! a pause it lets one probe through at a time; enough good ones close it, a bad one opens it for twice as long. After
//! M. Nygard, "Release It!", 2007. Nothing here looks at a clock: the times that come in are milliseconds since the
//! epoch, and one that is earlier than the last counts as the last.

mod window;

use std::time::Duration;

use window::Window;

#[cfg(test)]
mod tests;

/// When it opens and closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// How long an outcome counts, within a tenth.
    pub window: Duration,
    /// It opens after at least this many failures in the window; 0 counts as 1.
    pub min_failures: u32,
    /// And if at least this part of the outcomes in the window were failures, from 0 to 1.
    pub ratio: f64,
    /// How long it stays open the first time. Half as much again may come on top, by chance, so that replicas do not
    /// all probe at once.
    pub pause: Duration,
    /// No pause is longer, what an upstream asks for included; chance comes on top.
    pub max_pause: Duration,
    /// How many good probes close it; 0 counts as 1.
    pub probes: u32,
    /// After this time a probe of which nothing was heard is given up. Longer than any call may take.
    pub probe_patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            min_failures: 5,
            ratio: 0.5,
            pause: Duration::from_secs(5),
            max_pause: Duration::from_secs(600),
            probes: 2,
            probe_patience: Duration::from_secs(900),
        }
    }
}

/// How a call that was let through went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well, or with an error that was the request's fault.
    Good,
    /// Badly.
    Failed,
    /// So that more calls are useless: it opens now, for at least the time asked for, if any.
    Useless(Option<Duration>),
    /// Nothing can be said, such as after the client went away.
    Unknown,
}

/// What it does now, for gauges and people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls go through.
    Closed,
    /// None does until this time, in milliseconds since the epoch.
    Open {
        /// When a probe may go.
        until_ms: u64,
    },
    /// One probe at a time goes through.
    HalfOpen {
        /// Whether one is under way.
        probing: bool,
    },
}

/// Lets one call through. What came of it must be [recorded](Breaker::record), whatever it was: while a probe is under
/// way, nothing else goes through.
#[must_use = "a call that is let through must be recorded, or a probe blocks the breaker until its patience ends"]
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    /// The breaker's turn when it was given. What comes of calls from before a change says nothing about what is after.
    turn: u64,
}

/// Nobody is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When it is worth asking again, in milliseconds since the epoch; not before the time of the question. While a
    /// probe is under way nobody knows, and this is the time of the question.
    pub until_ms: u64,
}

#[derive(Debug)]
enum Mode {
    /// Boxed, for it is much larger than the others.
    Closed(Box<Window>),
    Open {
        until_ms: u64,
    },
    HalfOpen {
        good: u32,
        probe_since_ms: Option<u64>,
    },
}

/// The breaker of one provider and model. It takes some 300 bytes, whatever goes through it.
#[derive(Debug)]
pub struct Breaker {
    config: Config,
    mode: Mode,
    turn: u64,
    /// How often it opened since it was closed.
    opened: u32,
    latest_ms: u64,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            mode: Mode::Closed(Box::new(Window::new(config.window))),
            turn: 0,
            opened: 0,
            latest_ms: 0,
        }
    }

    /// Whether a call may go through.
    ///
    /// # Errors
    /// While it is open, or a probe is under way.
    pub fn admit(&mut self, now_ms: u64) -> Result<Permit, Refused> {
        let now_ms = self.tick(now_ms);
        match &mut self.mode {
            Mode::Closed(_) => Ok(Permit { turn: self.turn }),
            Mode::Open { until_ms } => Err(Refused { until_ms: *until_ms }),
            Mode::HalfOpen { probe_since_ms: Some(_), .. } => Err(Refused { until_ms: now_ms }),
            Mode::HalfOpen { probe_since_ms, .. } => {
                *probe_since_ms = Some(now_ms);
                // Each probe has its turn, so that one that was given up is not heard any more.
                self.turn += 1;
                Ok(Permit { turn: self.turn })
            }
        }
    }

    /// Records what came of a call, with `random` in `[0, 1)` for the pause that may follow.
    pub fn record(&mut self, permit: Permit, outcome: Outcome, now_ms: u64, random: f64) {
        let now_ms = self.tick(now_ms);
        if permit.turn != self.turn {
            return;
        }
        let mut open_for = None;
        match (&mut self.mode, outcome) {
            (Mode::Open { .. }, _) | (Mode::Closed(_), Outcome::Unknown) => {}
            (Mode::Closed(_), Outcome::Useless(asked)) => open_for = Some(asked),
            (Mode::Closed(window), Outcome::Good | Outcome::Failed) => {
                window.add(now_ms, outcome == Outcome::Good);
                let (failed, all) = window.counts(now_ms);
                let many = failed >= u64::from(self.config.min_failures.max(1));
                if many && failed as f64 >= self.config.ratio * all as f64 {
                    open_for = Some(None);
                }
            }
            (Mode::HalfOpen { probe_since_ms, .. }, Outcome::Unknown) => *probe_since_ms = None,
            (Mode::HalfOpen { .. }, Outcome::Failed) => open_for = Some(None),
            (Mode::HalfOpen { .. }, Outcome::Useless(asked)) => open_for = Some(asked),
            (Mode::HalfOpen { good, probe_since_ms }, Outcome::Good) => {
                (*good, *probe_since_ms) = (*good + 1, None);
                if *good >= self.config.probes.max(1) {
                    self.close();
                }
            }
        }
        if let Some(asked) = open_for {
            self.open(asked, now_ms, random);
        }
    }

    /// What it does at this time.
    pub fn state(&mut self, now_ms: u64) -> State {
        self.tick(now_ms);
        match self.mode {
            Mode::Closed(_) => State::Closed,
            Mode::Open { until_ms } => State::Open { until_ms },
            Mode::HalfOpen { probe_since_ms, .. } => State::HalfOpen { probing: probe_since_ms.is_some() },
        }
    }

    /// Does what time alone does, and returns the time to go by.
    fn tick(&mut self, now_ms: u64) -> u64 {
        self.latest_ms = self.latest_ms.max(now_ms);
        let now_ms = self.latest_ms;
        match &mut self.mode {
            Mode::Open { until_ms } if *until_ms <= now_ms => {
                self.mode = Mode::HalfOpen { good: 0, probe_since_ms: None };
            }
            Mode::HalfOpen { probe_since_ms: probe @ Some(_), .. } => {
                let lost = |since: u64| now_ms - since >= millis(self.config.probe_patience);
                if probe.is_some_and(lost) {
                    *probe = None;
                    self.turn += 1;
                }
            }
            _ => {}
        }
        now_ms
    }

    fn close(&mut self) {
        self.mode = Mode::Closed(Box::new(Window::new(self.config.window)));
        self.turn += 1;
        self.opened = 0;
    }

    fn open(&mut self, asked: Option<Duration>, now_ms: u64, random: f64) {
        let doubled = millis(self.config.pause).saturating_mul(1 << self.opened.min(32));
        let pause = doubled.max(asked.map_or(0, millis)).min(millis(self.config.max_pause));
        let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
        let extra = (pause as f64 / 2.0 * random) as u64;
        self.mode = Mode::Open { until_ms: now_ms.saturating_add(pause).saturating_add(extra) };
        self.turn += 1;
        self.opened = self.opened.saturating_add(1);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
