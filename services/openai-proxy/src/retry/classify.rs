//! Whose fault a failure is.

/// How a call to a candidate failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure<'a> {
    /// It answered with a status that is no success.
    Status {
        /// The HTTP status.
        status: u16,
        /// The error's `code`, or its `type` where it has none.
        code: Option<&'a str>,
    },
    /// There was no whole answer.
    Transport(Transport),
}

/// How a call failed without an answer, or with half of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// No connection: refused, no address, TLS.
    Connect,
    /// No connection within its time.
    ConnectTimeout,
    /// The connection broke before anything was passed on.
    Broken,
    /// No headers, or no first chunk, within their time.
    FirstChunkTimeout,
    /// A success that cannot be read: wrong JSON, an event or answer past the bound.
    BadAnswer,
    /// Something broke or timed out after bytes of the answer were passed on.
    MidStream,
    /// The time of the whole call is over.
    WholeTimeout,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It may work the next time, here or elsewhere.
    Passing,
    /// It will not work here, but may elsewhere.
    Candidate,
    /// The request is wrong, here and elsewhere.
    Request,
    /// Nobody can make it good: part of the answer is out, or the time is up.
    TooLate,
}

/// What a failure says about the candidate, for its circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nothing: the request was at fault.
    None,
    /// It counts as a failure.
    Failed,
    /// There is no sense in asking again before somebody or some time has changed something: open the breaker now.
    Useless,
}

/// Codes with which an upstream says that its account has no money left. OpenAI sends the first with a 429, which
/// waiting does not help.
const NO_MONEY: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"];

/// Sorts a failure.
///
/// 408, 409, 429 and 5xx pass. 401, 402, an account without money, 404 and what is no status of an API (1xx to 3xx)
/// concern the candidate: a key, an account, a model or a base URL of ours is wrong there. All else from 400 on is the
/// request's fault, 403 too: some upstreams refuse content with it, and a refusal must not be got round by asking
/// somebody else.
#[must_use]
pub fn classify(failure: &Failure<'_>) -> Class {
    match *failure {
        Failure::Status { status, code } => match status {
            429 if out_of_money(code) => Class::Candidate,
            408 | 409 | 429 | 500.. => Class::Passing,
            ..=399 | 401 | 402 | 404 => Class::Candidate,
            _ => Class::Request,
        },
        Failure::Transport(transport) => match transport {
            Transport::Connect | Transport::Broken | Transport::BadAnswer => Class::Passing,
            // The time it took is gone; the next one gets what is left.
            Transport::ConnectTimeout | Transport::FirstChunkTimeout => Class::Candidate,
            Transport::MidStream | Transport::WholeTimeout => Class::TooLate,
        },
    }
}

/// What a failure says about the candidate. Being busy (429, 409) is no defect: the limits deal with it. A 404 may be a
/// mistyped model, which concerns only that model's breaker.
#[must_use]
pub fn blame(failure: &Failure<'_>) -> Blame {
    match *failure {
        Failure::Status { status, code } => match status {
            401 | 402 => Blame::Useless,
            429 if out_of_money(code) => Blame::Useless,
            ..=399 | 404 | 408 | 500.. => Blame::Failed,
            _ => Blame::None,
        },
        Failure::Transport(_) => Blame::Failed,
    }
}

fn out_of_money(code: Option<&str>) -> bool {
    code.is_some_and(|code| NO_MONEY.contains(&code))
}
