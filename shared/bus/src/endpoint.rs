//! Request and reply: the NATS services that answer on `api.>`, and asking them.

use async_nats::service::{self, ServiceExt as _};
use bytes::Bytes;
use futures::StreamExt as _;
use tasklane_contract::Refusal;

use crate::{Bus, BusError, Headers};

/// The service protocol's headers for an error (NATS ADR-32).
const ERROR: &str = "Nats-Service-Error";
const ERROR_CODE: &str = "Nats-Service-Error-Code";

/// A request that somebody waits on.
pub struct Asked {
    request: service::Request,
}

impl Asked {
    /// The subject it was asked on.
    pub fn subject(&self) -> &str {
        &self.request.message.subject
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.request.message.payload
    }

    /// All headers.
    pub fn headers(&self) -> Headers {
        Headers(self.request.message.headers.clone().unwrap_or_default())
    }

    /// Where the asker listens.
    pub fn reply_to(&self) -> Option<&str> {
        self.request.message.reply.as_deref()
    }

    /// Answers. A refusal stands in the service protocol's headers and, for people, in the body. That the asker may be
    /// gone is no error of ours; it is logged.
    pub async fn answer(&self, answer: Result<Vec<u8>, Refusal>) {
        let mut headers = async_nats::HeaderMap::new();
        let body = answer.unwrap_or_else(|refusal| {
            // The protocol wants a number; ours is the code's digits, and the text holds it in full.
            headers.insert(ERROR_CODE, refusal.code.as_str().trim_start_matches("TL"));
            headers.insert(ERROR, refusal.to_string().replace(['\r', '\n'], " ").as_str());
            let error = serde_json::json!({"code": refusal.code.as_str(), "message": refusal.message});
            serde_json::json!({"error": error}).to_string().into_bytes()
        });
        if let Err(e) = self.request.respond_with_headers(Ok(body.into()), headers).await {
            tracing::warn!(subject = self.subject(), "the answer could not be sent: {e}");
        }
    }
}

/// What a service says of itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name; those with the same name share the requests.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Who answers a request, where several processes run the same service.
#[derive(Debug, Clone, Copy)]
pub enum Answers<'a> {
    /// One of them, whichever: they share the requests.
    One,
    /// Each of them for itself, this one under its own name. Who asks waits for [several answers](Bus::ask_all).
    Each(&'a str),
}

/// A running service: it stops when dropped.
pub struct Service {
    _service: service::Service,
}

impl Bus {
    /// Starts a NATS service with one endpoint per subject; every request goes to `on_request`, in a task of its own.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn serve<F, Fut>(
        &self,
        about: About,
        answers: Answers<'_>,
        endpoints: &[(&str, &str)],
        on_request: F,
    ) -> Result<Service, BusError>
    where
        F: Fn(Asked) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        // The protocol wants a group that shares the requests: where each answers, one of a single member.
        let group = match answers {
            Answers::One => about.name.to_owned(),
            Answers::Each(own) => format!("{}-{own}", about.name),
        };
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("start the service {}", about.name), e);
        let running = self
            .client
            .service_builder()
            .description(about.description)
            .queue_group(group)
            .start(about.name, about.version)
            .await
            .map_err(|e| failed(&e))?;
        for (name, subject) in endpoints {
            let mut endpoint =
                running.endpoint_builder().name(*name).add(*subject).await.map_err(|e| failed(&e))?;
            let on_request = on_request.clone();
            tokio::spawn(async move {
                while let Some(request) = endpoint.next().await {
                    tokio::spawn(on_request(Asked { request }));
                }
            });
        }
        Ok(Service { _service: running })
    }

    /// Asks and waits for one answer.
    ///
    /// # Errors
    /// [`BusError::Answer`] where the service refused, [`BusError::NoAnswer`] where nobody did.
    pub async fn ask(
        &self,
        subject: &str,
        headers: Headers,
        body: Bytes,
        timeout: std::time::Duration,
    ) -> Result<(Headers, Bytes), BusError> {
        let request = async_nats::Request::new().payload(body).headers(headers.0).timeout(Some(timeout));
        let answer = self
            .client
            .send_request(subject.to_owned(), request)
            .await
            .map_err(|e| BusError::NoAnswer { subject: subject.to_owned(), reason: e.to_string() })?;
        let headers = Headers(answer.headers.unwrap_or_default());
        match headers.get(ERROR) {
            None => Ok((headers, answer.payload)),
            Some(text) => {
                let (code, message) = text.split_once(' ').unwrap_or(("TL9001", text));
                Err(BusError::Answer { code: code.to_owned(), message: message.to_owned() })
            }
        }
    }

    /// Asks everybody who listens, and hands each answer to `hear` until it says that it has enough, or `patience` ends.
    /// Nobody's answer at all is no error.
    ///
    /// # Errors
    /// [`BusError::NoAnswer`] where nobody listens, or the question cannot be sent.
    pub async fn ask_all(
        &self,
        subject: &str,
        body: Bytes,
        patience: std::time::Duration,
        mut hear: impl FnMut(Bytes) -> Patience,
    ) -> Result<(), BusError> {
        let unasked = |e: &dyn std::fmt::Display| BusError::NoAnswer {
            subject: subject.to_owned(),
            reason: e.to_string(),
        };
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(|e| unasked(&e))?;
        let asked = self.client.publish_with_reply(subject.to_owned(), inbox, body).await;
        asked.map_err(|e| unasked(&e))?;
        let end = tokio::time::Instant::now() + patience;
        let mut until = end;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, answers.next()).await {
            if answer.status == Some(async_nats::StatusCode::NO_RESPONDERS) {
                return Err(unasked(&"no responders"));
            }
            match hear(answer.payload) {
                Patience::Enough => break,
                Patience::More => until = end,
                Patience::Until(more) => until = end.min(tokio::time::Instant::now() + more),
            }
        }
        Ok(())
    }
}

/// How long somebody who asked everybody waits for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// No longer.
    Enough,
    /// As long as was said when it was asked.
    More,
    /// For so long, if nothing comes before.
    Until(std::time::Duration),
}
