//! What a worker measures of each task type: duration and memory over its recent tasks.

use std::collections::HashMap;
use std::sync::Mutex;

use tasklane_contract::v1;

/// Tasks that are remembered of a type.
const WINDOW: usize = 256;

/// Recent measurements by task type.
#[derive(Default)]
pub struct Measurements(Mutex<HashMap<String, Window>>);

#[derive(Default)]
struct Window {
    durations_ms: Vec<f32>,
    next: usize,
    count: u64,
}

impl Window {
    fn add(&mut self, ms: f64) {
        let ms = ms as f32;
        if self.durations_ms.len() < WINDOW {
            self.durations_ms.push(ms);
        } else {
            self.durations_ms[self.next] = ms;
        }
        self.next = (self.next + 1) % WINDOW;
        self.count += 1;
    }

    fn summary(&self) -> v1::Measured {
        let mut sorted = self.durations_ms.clone();
        sorted.sort_by(f32::total_cmp);
        let at = (sorted.len() * 95).div_ceil(100).saturating_sub(1);
        let sum: f64 = sorted.iter().map(|ms| f64::from(*ms)).sum();
        v1::Measured {
            count: self.count,
            mean_ms: if sorted.is_empty() { 0.0 } else { sum / sorted.len() as f64 },
            p95_ms: sorted.get(at).map_or(0.0, |ms| f64::from(*ms)),
            memory_p95_mb: 0.0,
        }
    }
}

impl Measurements {
    /// Notes how long a task took.
    pub fn note(&self, task_type: &str, ms: f64) {
        let mut windows = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match windows.get_mut(task_type) {
            Some(window) => window.add(ms),
            None => windows.entry(task_type.to_owned()).or_default().add(ms),
        }
    }

    /// The summary of a type; `None` before its first task.
    pub fn of(&self, task_type: &str) -> Option<v1::Measured> {
        let windows = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        windows.get(task_type).map(Window::summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets_what_is_old() {
        let measured = Measurements::default();
        assert!(measured.of("echo").is_none());
        for _ in 0..WINDOW {
            measured.note("echo", 1000.0);
        }
        for ms in 1..=WINDOW {
            measured.note("echo", ms as f64);
        }
        let summary = measured.of("echo").unwrap();
        assert_eq!(summary.count, 2 * WINDOW as u64);
        assert!((summary.mean_ms - 128.5).abs() < 0.01, "{summary:?}");
        assert!((summary.p95_ms - 244.0).abs() < 0.01, "{summary:?}");
    }
}
