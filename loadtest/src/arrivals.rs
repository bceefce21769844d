//! Who has arrived: every task once, and well.

use crate::error::LoadError;

/// The results that came of one round.
pub struct Arrivals {
    seen: Vec<bool>,
    arrived: usize,
    twice: usize,
    failed: usize,
}

impl Arrivals {
    /// None yet, of so many.
    pub fn new(tasks: usize) -> Self {
        Self { seen: vec![false; tasks], arrived: 0, twice: 0, failed: 0 }
    }

    /// Notes a result. True for the first of its task.
    pub fn note(&mut self, n: usize, success: bool) -> bool {
        let Some(seen) = self.seen.get_mut(n) else { return false };
        if std::mem::replace(seen, true) {
            self.twice += 1;
            return false;
        }
        self.failed += usize::from(!success);
        self.arrived += 1;
        true
    }

    /// Whether every task has one.
    pub fn all(&self) -> bool {
        self.arrived == self.seen.len()
    }

    /// Fails unless every task arrived once and succeeded.
    ///
    /// # Errors
    /// [`LoadError::Wrong`] with the counts.
    pub fn check(&self, path: &str) -> Result<(), LoadError> {
        let missing = self.seen.len() - self.arrived;
        if missing + self.twice + self.failed == 0 {
            return Ok(());
        }
        let first =
            self.seen.iter().position(|seen| !seen).map(|n| format!("; the first missing is number {n}"));
        Err(LoadError::Wrong(format!(
            "{path}: of {} tasks {missing} have no result, {} have two, {} did not succeed{}",
            self.seen.len(),
            self.twice,
            self.failed,
            first.unwrap_or_default()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_a_second_and_a_failed_result_are_told_apart() {
        let mut arrivals = Arrivals::new(3);
        assert!(arrivals.note(0, true) && arrivals.note(1, true) && !arrivals.note(7, true));
        assert!(
            arrivals.check("x").unwrap_err().to_string().contains("1 have no result, 0 have two, 0 did not")
        );
        assert!(!arrivals.note(0, true) && arrivals.note(2, false) && arrivals.all());
        let text = arrivals.check("x").unwrap_err().to_string();
        assert!(text.contains("0 have no result, 1 have two, 1 did not succeed"), "{text}");
    }
}
