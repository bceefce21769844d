//! Paths that are handed to one provider as they are: files, batches, responses that were made before. They name things
//! that lie there, so no other provider can answer.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response};

use crate::api_error::ApiError;
use crate::catalog::{Catalog, Provider, Tenant};
use crate::client::{Client, NoAnswer, Target};

/// The header by which a client names the provider, where there are several.
pub const PROVIDER: &str = "x-tasklane-provider";
/// Headers of the client that the provider gets to see.
const TAKEN: [&str; 2] = ["openai-beta", "idempotency-key"];

/// A request that passes through.
pub struct Passing<'a> {
    /// Its method.
    pub method: Method,
    /// Path and query below `/v1`, with the slash.
    pub path: &'a str,
    /// The client's headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The provider that a client means: the one it names, or the only one there is.
///
/// # Errors
/// Where there are several and none is named, none at all, or the tenant is held to certain models: what lies at a
/// provider is no model's.
pub fn provider<'a>(
    catalog: &'a Catalog,
    tenant: &Tenant,
    named: Option<&str>,
) -> Result<&'a Provider, ApiError> {
    if tenant.models.is_some() {
        return Err(ApiError::Forbidden("files, batches and stored responses".to_owned()));
    }
    let wrong = |reason: String| ApiError::BadRequest { param: PROVIDER.to_owned(), reason };
    match named {
        Some(name) => catalog.provider(name).ok_or_else(|| wrong(format!("there is no provider `{name}`"))),
        None => {
            let mut all = catalog.providers();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(wrong("no provider is configured".to_owned())),
                (Some(_), Some(_)) => {
                    Err(wrong("there are several providers; name one in this header".to_owned()))
                }
            }
        }
    }
}

/// Sends a request to a provider.
///
/// # Errors
/// Where it does not answer.
pub async fn send(client: &Client, provider: &Provider, passing: Passing<'_>) -> Result<Response, ApiError> {
    let target = Target::of(provider, passing.path);
    let mut extra = HeaderMap::new();
    for name in TAKEN {
        if let Some(value) = passing.headers.get(name) {
            extra.insert(name, value.clone());
        }
    }
    let json = HeaderValue::from_static("application/json");
    let content_type = passing.headers.get(CONTENT_TYPE).cloned().unwrap_or(json);
    let body = (!passing.body.is_empty()).then_some((content_type, passing.body));
    client.send(passing.method, &target, &extra, body).await.map_err(|e| match e {
        NoAnswer::TimedOut(limit) => {
            ApiError::Timeout { model: provider.name.clone(), what: "the answer", limit }
        }
        _ => ApiError::UpstreamDown { model: provider.name.clone(), retry_in: None },
    })
}
