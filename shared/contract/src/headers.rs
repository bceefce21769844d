//! Names of the headers that messages carry.

/// The task id on a submission; with the hop when routed. JetStream refuses a second one within its window.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace state.
pub const TRACESTATE: &str = "tracestate";
/// Of the body.
pub const CONTENT_TYPE: &str = "Content-Type";
/// Where the result goes besides `results.<task id>`.
pub const REPLY_TO: &str = "Tasklane-Reply-To";
/// `critical`, `high`, `normal` or `low`, for a bare payload.
pub const PRIORITY: &str = "Tasklane-Priority";
/// Whose task it is, for a bare payload.
pub const TENANT: &str = "Tasklane-Tenant";

/// The content type of JSON.
pub const JSON: &str = "application/json";
/// The content type of the contract's messages.
pub const PROTOBUF: &str = "application/x-protobuf";

/// Whether a content type is JSON: absent, `application/json`, `text/json` or `*+json`, parameters aside.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.is_empty() || essence == JSON || essence == "text/json" || essence.ends_with("+json")
}

/// Whether a content type is the contract's protobuf.
pub fn is_protobuf(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(PROTOBUF) || essence.eq_ignore_ascii_case("application/protobuf")
}
