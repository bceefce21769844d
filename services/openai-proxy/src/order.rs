//! Which models are asked for a request, in which order. Pure but for the dice.

use crate::api_error::ApiError;
use crate::body::{Body, Endpoint};
use crate::catalog::{Catalog, Kind, Model, Tenant, WhenSpent};
use crate::tokens;

/// The models to ask, in order.
///
/// # Errors
/// Where there is no such route, the tenant may not use it, or it is of another kind.
pub fn candidates<'a>(
    catalog: &'a Catalog,
    tenant: &Tenant,
    body: &Body,
) -> Result<Vec<&'a Model>, ApiError> {
    let unknown = || ApiError::UnknownModel(body.model.clone());
    let route = catalog.route(&body.model).ok_or_else(unknown)?;
    if !tenant.allows(&body.model) {
        return Err(ApiError::Forbidden(format!("the model `{}`", body.model)));
    }
    let wanted = match body.endpoint() {
        Endpoint::Chat | Endpoint::Responses => Kind::Chat,
        Endpoint::Embeddings => Kind::Embedding,
        Endpoint::Moderations => Kind::Moderation,
    };
    if route.kind != wanted {
        let reason =
            format!("`{}` is a model for {}, not for {}", body.model, route.kind.word(), wanted.word());
        return Err(ApiError::BadRequest { param: "model".to_owned(), reason });
    }
    let mut models = route.in_order(rand::random());
    if tenant.when_spent == WhenSpent::Cheaper {
        // The first stays first; those that cost less come after it, for they are asked when money is short.
        let first = models.first().map(|m| m.id.clone());
        let estimate = tokens::estimate(body, None);
        models = catalog.cheapest_first_for(&body.model, estimate.input, estimate.output);
        models.reverse();
        if let Some(at) = models.iter().position(|m| Some(&m.id) == first.as_ref()) {
            let chosen = models.remove(at);
            models.insert(0, chosen);
        }
    }
    Ok(models)
}
