//! What a test may ask of the upstream.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

/// What an answer says unless told otherwise. Its characters have one to four bytes.
pub const TEXT: &str = "Grüße aus dem Prüfstand: 世界 hört zu, und 🌍 dreht sich.";

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// As the endpoint would, in this shape.
    Ordinary(Shape),
    /// With this, whatever was asked.
    Reply(Reply),
    /// With these bytes, each after its delay, and then the connection is closed. Status line and headers are among them.
    Raw(Vec<(Duration, Bytes)>),
    /// By the first of these whose marker occurs in the request's body; see [`Script::cases`].
    Cases(Vec<(String, Script)>),
    /// Not at all; the connection stays open.
    HangBeforeHeaders,
    /// Not at all; the connection is closed.
    CloseBeforeHeaders,
}

impl Default for Script {
    fn default() -> Self {
        Self::Ordinary(Shape::default())
    }
}

/// An answer that is given as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides `content-type: application/json` and `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// How an ordinary answer looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What a chat or a response says.
    pub text: String,
    /// Into how many pieces a stream cuts the text, at least 1 and at most its characters. It is also how many tokens of
    /// output are reported.
    pub pieces: usize,
    /// How long it takes to the headers.
    pub first_delay: Duration,
    /// How long it takes before each event of a stream but the first.
    pub delay: Duration,
    /// How the bytes of a stream are cut.
    pub split: Split,
    /// How an answer ends.
    pub ending: Ending,
    /// Whether usage is reported.
    pub usage: bool,
    /// Whether a stream has a comment before each event.
    pub comments: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            text: TEXT.to_owned(),
            pieces: 8,
            first_delay: Duration::ZERO,
            delay: Duration::ZERO,
            split: Split::Events,
            ending: Ending::Done,
            usage: true,
            comments: false,
        }
    }
}

/// Where a stream is cut into chunks. A chunk of HTTP arrives as one or more, never joined with the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Between events.
    Events,
    /// Also within each character that has more than one byte.
    InsideUtf8,
    /// Also within the name of each `data:` field.
    InsideData,
    /// After so many bytes, at least 1, wherever that is.
    Every(usize),
}

/// How an answer ends. An answer that is no stream breaks off after half of its body where a stream would after some
/// events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Done,
    /// In order, but without `[DONE]`, or without `response.completed`.
    WithoutDone,
    /// With an error event after so many events, and nothing else.
    ErrorAfter(usize),
    /// The connection is closed after so many events.
    CloseAfter(usize),
    /// Nothing more comes after so many events, and the connection stays open.
    HangAfter(usize),
}

impl Script {
    /// An ordinary answer that says this.
    #[must_use]
    pub fn says(text: impl Into<String>) -> Self {
        Self::Ordinary(Shape { text: text.into(), ..Shape::default() })
    }

    /// An ordinary answer that ends in this way.
    #[must_use]
    pub fn ends(ending: Ending) -> Self {
        Self::Ordinary(Shape { ending, ..Shape::default() })
    }

    /// An ordinary answer that is cut in this way.
    #[must_use]
    pub fn split(split: Split) -> Self {
        Self::Ordinary(Shape { split, ..Shape::default() })
    }

    /// An ordinary answer with this delay before each event but the first.
    #[must_use]
    pub fn slow(delay: Duration) -> Self {
        Self::Ordinary(Shape { delay, ..Shape::default() })
    }

    /// An ordinary answer without usage.
    #[must_use]
    pub fn without_usage() -> Self {
        Self::Ordinary(Shape { usage: false, ..Shape::default() })
    }

    /// An answer whose text has so many bytes; a stream brings it in four pieces.
    #[must_use]
    pub fn huge(bytes: usize) -> Self {
        Self::Ordinary(Shape { text: "x".repeat(bytes), pieces: 4, ..Shape::default() })
    }

    /// A success whose body is no JSON.
    #[must_use]
    pub fn wrong_json() -> Self {
        Self::Reply(Reply {
            status: 200,
            headers: Vec::new(),
            body: Bytes::from_static(b"{\"id\": \"chatcmpl-"),
        })
    }

    /// An error of this status, in OpenAI's shape, with this code.
    #[must_use]
    pub fn error(status: u16, code: &str, headers: Vec<(&'static str, String)>) -> Self {
        let kind = if status >= 500 { "server_error" } else { code };
        let message = format!("the script says {status}");
        let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
        Self::Reply(Reply { status, headers, body: body.to_string().into() })
    }

    /// An error of this status without a hint.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::error(status, &format!("scripted_{status}"), Vec::new())
    }

    /// 429 with one header, such as `("retry-after", "7")` or `("x-should-retry", "false")`.
    #[must_use]
    pub fn limited(header: &'static str, value: impl Into<String>) -> Self {
        Self::error(429, "rate_limit_exceeded", vec![(header, value.into())])
    }

    /// 429 with a `retry-after` that names the second which is so far from now, rounded up.
    #[must_use]
    pub fn limited_until(wait: Duration) -> Self {
        let whole = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let second = Timestamp::now().as_second().saturating_add(whole).saturating_add(1);
        let date = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        Self::limited("retry-after", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    /// The script that goes by the name of a model, for clients in other processes; `turn` says how often this model was
    /// asked before. [`NAMES`] lists them. `None` for any other model.
    #[must_use]
    pub fn named(model: &str, turn: impl FnOnce() -> u64) -> Option<Self> {
        let second = Duration::from_secs(1);
        Some(match model.strip_prefix("mock-")? {
            "slow" => Self::slow(second / 20),
            "comments" => Self::Ordinary(Shape { comments: true, ..Shape::default() }),
            "split-utf8" => Self::split(Split::InsideUtf8),
            "split-data" => Self::split(Split::InsideData),
            "split-bytes" => Self::split(Split::Every(1)),
            "close-before" => Self::CloseBeforeHeaders,
            "close-first" => Self::ends(Ending::CloseAfter(0)),
            "close-middle" => Self::ends(Ending::CloseAfter(4)),
            "no-done" => Self::ends(Ending::WithoutDone),
            "error-middle" => Self::ends(Ending::ErrorAfter(4)),
            "hang-before" => Self::HangBeforeHeaders,
            "hang-first" => Self::ends(Ending::HangAfter(0)),
            "hang-middle" => Self::ends(Ending::HangAfter(4)),
            "429-seconds" => Self::limited("retry-after", "1"),
            "429-date" => Self::limited_until(second),
            "429-ms" => Self::limited("retry-after-ms", "100"),
            "429-never" => Self::limited("x-should-retry", "false"),
            "429-quota" => Self::error(429, "insufficient_quota", Vec::new()),
            "wrong-json" => Self::wrong_json(),
            "no-usage" => Self::without_usage(),
            "huge" => Self::huge(8 * 1024 * 1024),
            other => {
                let times: u64 = other.strip_prefix("500-")?.parse().ok()?;
                // In turns, so that the name can be used again.
                if turn() % times.saturating_add(1) < times { Self::status(500) } else { Self::default() }
            }
        })
    }
}

/// The models that `/v1/models` lists: `mock` answers well, and the others as their name says. `mock-500-2` fails twice
/// and then answers, again and again; any other number works as well.
pub const NAMES: [&str; 23] = [
    "mock",
    "mock-slow",
    "mock-comments",
    "mock-split-utf8",
    "mock-split-data",
    "mock-split-bytes",
    "mock-close-before",
    "mock-close-first",
    "mock-close-middle",
    "mock-no-done",
    "mock-error-middle",
    "mock-hang-before",
    "mock-hang-first",
    "mock-hang-middle",
    "mock-429-seconds",
    "mock-429-date",
    "mock-429-ms",
    "mock-429-never",
    "mock-429-quota",
    "mock-wrong-json",
    "mock-no-usage",
    "mock-huge",
    "mock-500-2",
];
