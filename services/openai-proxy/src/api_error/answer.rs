//! Our own errors, as an HTTP answer or as an event in mid-stream.
//!
//! The words in `type` and `code` are OpenAI's, for clients compare them. Our stable code is in a header. `TL23xx` is
//! final: the same request fails the same way again. `TL33xx` may be tried again.

use std::time::Duration;

use serde::Serialize;

/// The header with our own code, such as `TL2305`. It also says that the error is the proxy's, not the upstream's.
pub const CODE_HEADER: &str = "x-tasklane-code";

/// The longest wait that clients are asked to sit out. The official ones ignore a longer `retry-after`, older ones in
/// favour of their own backoff of some seconds, so they are told not to retry instead. A minute's limit that was just
/// reached opens within 62 seconds: the minute, and what replicas' clocks may differ by.
const LONGEST_RETRY: Duration = Duration::from_secs(65);

/// What kept the proxy from answering as asked. Names that come from the request are cut where they are shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The body is not JSON.
    #[error("the request body is not valid JSON: {0}")]
    BadJson(String),
    /// A field is missing or wrong.
    #[error("`{param}`: {reason}")]
    BadRequest {
        /// The field.
        param: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// No key, or one that is not known. The key itself is never shown.
    #[error("the API key is missing or unknown; send `Authorization: Bearer <key>` with a key of this proxy")]
    BadKey,
    /// The tenant may not use it.
    #[error("this key may not use {0}; ask whoever runs the proxy")]
    Forbidden(String),
    /// No route and no model has this name.
    #[error(
        "the model `{0}` does not exist or you do not have access to it; `GET /v1/models` lists what there is"
    )]
    UnknownModel(String),
    /// No such path.
    #[error("unknown request URL: {0}; see the documentation for the paths that are served")]
    UnknownUrl(String),
    /// The body is larger than the bound.
    #[error("the request body is larger than {max} bytes")]
    TooLarge {
        /// The bound in bytes.
        max: u64,
    },
    /// The money of the window is spent.
    #[error("the budget of {what} is used up; it opens again in {} s", seconds(*.opens_in))]
    OutOfBudget {
        /// Whose budget, and which window.
        what: String,
        /// When the next window begins.
        opens_in: Duration,
    },
    /// A limit of ours, or of every upstream that might have answered.
    #[error("rate limit reached for {what}; try again in {} ms", millis(*.retry_in))]
    RateLimited {
        /// Which limit, and whose.
        what: String,
        /// When there is room again.
        retry_in: Duration,
    },
    /// Nobody who might have answered can be reached.
    #[error("no upstream for `{model}` is available; try again later")]
    UpstreamDown {
        /// The model as it was asked for.
        model: String,
        /// When one may be back.
        retry_in: Option<Duration>,
    },
    /// An upstream took too long.
    #[error("no answer for `{model}`: {what} took longer than {} ms", millis(*.limit))]
    Timeout {
        /// The model as it was asked for.
        model: String,
        /// What took too long: connecting, the first chunk, the next chunk, the whole.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// An upstream answered what nobody can make sense of, or broke off.
    #[error("the upstream's answer for `{model}` is unusable: {reason}")]
    BadUpstream {
        /// The model as it was asked for.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This process has too much to do, or is about to stop.
    #[error("the proxy is busy or shutting down; try again")]
    Busy,
}

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers in lower case, `content-type` among them.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Fields<'a>,
}

/// Clients expect all four, null or not.
#[derive(Serialize)]
struct Fields<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// How each kind is answered.
struct Row(&'static str, u16, &'static str, Option<&'static str>);

impl ApiError {
    fn row(&self) -> Row {
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::BadJson(_) => Row("TL2301", 400, INVALID, None),
            Self::BadRequest { .. } => Row("TL2302", 400, INVALID, Some("invalid_value")),
            Self::BadKey => Row("TL2303", 401, INVALID, Some("invalid_api_key")),
            Self::Forbidden(_) => Row("TL2304", 403, INVALID, Some("permission_denied")),
            Self::UnknownModel(_) => Row("TL2305", 404, INVALID, Some("model_not_found")),
            Self::UnknownUrl(_) => Row("TL2306", 404, INVALID, Some("unknown_url")),
            Self::TooLarge { .. } => Row("TL2307", 413, INVALID, Some("request_too_large")),
            Self::OutOfBudget { .. } => Row("TL2308", 429, "insufficient_quota", Some("insufficient_quota")),
            Self::RateLimited { .. } => {
                Row("TL3301", 429, "rate_limit_exceeded", Some("rate_limit_exceeded"))
            }
            Self::UpstreamDown { .. } => Row("TL3302", 503, SERVER, Some("service_unavailable")),
            Self::Timeout { .. } => Row("TL3303", 504, SERVER, Some("timeout")),
            Self::BadUpstream { .. } => Row("TL3304", 502, SERVER, Some("bad_gateway")),
            Self::Busy => Row("TL3305", 503, SERVER, Some("server_overloaded")),
        }
    }

    /// Our own code, such as `TL2305`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.row().1
    }

    /// The field of the request at fault.
    fn param(&self) -> Option<&str> {
        match self {
            Self::BadRequest { param, .. } => Some(param),
            Self::UnknownModel(_) => Some("model"),
            _ => None,
        }
    }

    /// When to come back, and whether clients should do so by themselves; `None` leaves both to them.
    fn retry(&self) -> (Option<Duration>, Option<bool>) {
        let within = |wait: Duration| (Some(wait), Some(wait <= LONGEST_RETRY));
        match self {
            Self::OutOfBudget { opens_in, .. } => (Some(*opens_in), Some(false)),
            Self::RateLimited { retry_in, .. } => within(*retry_in),
            Self::UpstreamDown { retry_in, .. } => retry_in.map_or((None, None), within),
            Self::Busy => (None, Some(true)),
            _ => (None, None),
        }
    }

    /// The answer to send: `x-tasklane-code`, and where it helps `retry-after` in whole seconds and `retry-after-ms`,
    /// both rounded up and at least 1, since clients ignore 0, and `x-should-retry`.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let mut headers =
            vec![("content-type", "application/json".to_owned()), (CODE_HEADER, self.code().to_owned())];
        let (wait, should_retry) = self.retry();
        if let Some(wait) = wait {
            headers.push(("retry-after", seconds(wait).max(1).to_string()));
            headers.push(("retry-after-ms", millis(wait).max(1).to_string()));
        }
        if let Some(should) = should_retry {
            headers.push(("x-should-retry", should.to_string()));
        }
        Answer { status: self.status(), headers, body: self.body() }
    }

    /// The event to send when a stream has begun and its status is gone. The official clients raise on it in chat
    /// streams and in those of typed events, whatever its name, so it has none.
    #[must_use]
    pub fn event(&self) -> String {
        format!("data: {}\n\n", self.body())
    }

    fn body(&self) -> String {
        let Row(_, _, kind, code) = self.row();
        let message = self.to_string();
        let error = Fields { message: &message, r#type: kind, param: self.param(), code };
        // Texts alone cannot fail to serialise.
        serde_json::to_string(&Body { error }).unwrap_or_default()
    }
}

/// Rounded up: who comes too early is refused again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
