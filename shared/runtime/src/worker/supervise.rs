//! Watching over a running handler: its time, its cancellation, its panics. It runs in a task of its own, so that a panic
//! ends that task alone, and a handler that blocks its thread cannot keep us from seeing that its time is up.

use std::time::Duration;

use tasklane_contract::code;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::handler::{Output, TaskError};

/// A handler that runs longer than this is announced as `started` to whoever listens; shorter ones are over before
/// anybody could look.
const WORTH_TELLING: Duration = Duration::from_millis(20);

/// How an attempt ended. The runtime acts on it; the handler never does.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Done(Output),
    Failed(TaskError),
    Cancelled,
    Expired,
    /// Not the task's fault: the worker is going.
    HandBack,
    /// Its workers died as often as it may be tried.
    KilledWorkers,
}

/// What ends an attempt from outside.
pub(crate) struct Bounds<'a> {
    /// How long it may take.
    pub limit: Duration,
    /// The task was cancelled.
    pub cancelled: &'a CancellationToken,
    /// A drain ran out of patience.
    pub hand_back: &'a CancellationToken,
}

/// Waits for the handler or for what ends it. `started` is awaited once, where the handler runs long enough.
pub(crate) async fn supervise(
    mut running: JoinHandle<Result<Output, TaskError>>,
    bounds: &Bounds<'_>,
    started: impl Future<Output = ()>,
) -> Outcome {
    let times_up = times_up(bounds.limit, started);
    let outcome = tokio::select! {
        biased;
        ended = &mut running => return joined(ended),
        () = bounds.cancelled.cancelled() => Outcome::Cancelled,
        () = bounds.hand_back.cancelled() => Outcome::HandBack,
        () = times_up => Outcome::Failed(timed_out(bounds.limit)),
    };
    running.abort();
    outcome
}

/// Ends at the limit; on the way there `started` is told, if the limit lies beyond what is worth telling. One timer at a
/// time: most attempts are over before the first, and arming it is what they pay.
async fn times_up(limit: Duration, started: impl Future<Output = ()>) {
    let end = Instant::now() + limit;
    if WORTH_TELLING < limit {
        tokio::time::sleep(WORTH_TELLING).await;
        // A word that is slow to leave takes nothing from the limit.
        if tokio::time::timeout_at(end, started).await.is_err() {
            return;
        }
    }
    tokio::time::sleep_until(end).await;
}

fn timed_out(limit: Duration) -> TaskError {
    let text = format!(
        "the attempt took longer than its max processing time of {} ms; give the task a larger \
         `requirements.max_processing_time_ms`, or less work",
        limit.as_millis()
    );
    TaskError::retry(code::TIMED_OUT, text)
}

fn joined(ended: Result<Result<Output, TaskError>, JoinError>) -> Outcome {
    match ended {
        Ok(Ok(output)) => Outcome::Done(output),
        Ok(Err(e)) => Outcome::Failed(e),
        Err(e) if e.is_panic() => {
            let panic = e.into_panic();
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "without a message".to_owned());
            Outcome::Failed(TaskError::retry(code::PANICKED, format!("the handler panicked: {text}")))
        }
        // Aborted from outside: the runtime itself is going down.
        Err(_) => Outcome::HandBack,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Runs a handler under a clock that stands still but for what is waited for.
    async fn under<F>(
        handler: F,
        cancel_after: Option<Duration>,
        hand_back_after: Option<Duration>,
    ) -> (Outcome, Duration, bool)
    where
        F: Future<Output = Result<Output, TaskError>> + Send + 'static,
    {
        let (cancelled, hand_back, told) =
            (CancellationToken::new(), CancellationToken::new(), AtomicBool::new(false));
        for (token, after) in [(&cancelled, cancel_after), (&hand_back, hand_back_after)] {
            if let Some(after) = after {
                let token = token.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    token.cancel();
                });
            }
        }
        let begun = Instant::now();
        let bounds = Bounds { limit: LIMIT, cancelled: &cancelled, hand_back: &hand_back };
        let started = async { told.store(true, Ordering::Release) };
        let outcome = supervise(tokio::spawn(handler), &bounds, started).await;
        (outcome, begun.elapsed(), told.load(Ordering::Acquire))
    }

    fn output() -> Output {
        Output::raw("done", "text/plain")
    }

    async fn for_ever() -> Result<Output, TaskError> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_handler_is_done_and_not_told_of() {
        let handler = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(output())
        };
        let (outcome, took, told) = under(handler, None, None).await;
        assert_eq!((outcome, told), (Outcome::Done(output()), false));
        assert!(took < WORTH_TELLING, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_handler_is_told_of_and_ends_at_its_limit() {
        let (outcome, took, told) = under(for_ever(), None, None).await;
        let Outcome::Failed(e) = outcome else { panic!("{outcome:?}") };
        assert_eq!((e.code, e.retriable, told), (code::TIMED_OUT, true, true));
        assert!(took >= LIMIT && took < LIMIT + Duration::from_millis(10), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_and_handing_back_end_it_at_once() {
        let at = Duration::from_secs(3);
        let (outcome, took, _) = under(for_ever(), Some(at), None).await;
        assert_eq!(outcome, Outcome::Cancelled);
        assert!(took < at + Duration::from_millis(10), "{took:?}");
        let (outcome, took, _) = under(for_ever(), None, Some(at)).await;
        assert_eq!(outcome, Outcome::HandBack);
        assert!(took < at + Duration::from_millis(10), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_may_be_tried_again_and_tells_its_text() {
        let (outcome, ..) = under(async { panic!("index {} is out", 7) }, None, None).await;
        let Outcome::Failed(e) = outcome else { panic!("{outcome:?}") };
        assert_eq!((e.code, e.retriable), (code::PANICKED, true));
        assert!(e.message.contains("index 7 is out"), "{e}");
    }

    #[tokio::test]
    async fn a_handler_that_blocks_its_thread_cannot_hide_that_its_time_is_up() {
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let pool = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        // The handler sits on a thread that nobody else needs, until the test is over.
        let running = pool.spawn(async move {
            assert!(blocked.recv().is_err(), "nothing is sent, the sender is dropped");
            Ok(output())
        });
        let never = CancellationToken::new();
        let bounds = Bounds { limit: Duration::from_millis(50), cancelled: &never, hand_back: &never };
        let outcome = supervise(running, &bounds, async {}).await;
        assert!(matches!(outcome, Outcome::Failed(e) if e.code == code::TIMED_OUT));
        drop(release);
        pool.shutdown_background();
    }
}
