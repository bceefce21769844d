//! Which models are asked for a request, in which order. Pure but for the dice.

use crate::api_error::ApiError;
use crate::body::{Body, Endpoint};
use crate::catalog::{Catalog, Kind, Model, Tenant};
use crate::tokens;

/// The models to ask, in the order of the route: where one fails the next one answers, be it dearer.
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
    Ok(route.in_order(rand::random()))
}

/// Which of the models that are left to ask where money for one is short: those that cost less for this request, the
/// dearest of them first. A dearer one would be refused as well.
pub fn cheaper<'a>(left: Vec<&'a Model>, than: &Model, body: &Body) -> Vec<&'a Model> {
    let price = |model: &Model| reserved(model, body);
    let limit = price(than);
    let mut left: Vec<_> = left.into_iter().filter(|model| price(model) < limit).collect();
    left.sort_by_key(|model| std::cmp::Reverse(price(model)));
    left
}

/// What is reserved for a request to a model, in nano-US-dollars.
fn reserved(model: &Model, body: &Body) -> u64 {
    let estimate = tokens::of_model(body, model);
    model.price.cost(estimate.input, 0, estimate.output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::parse;

    /// Models by what a token of theirs costs, in any order, and one that may write more than the others.
    fn catalog() -> Catalog {
        let model = |id: &str, price: &str, longest: u32| {
            format!(
                "[models.{id}]\nprovider = \"p\"\ncontext_tokens = 9000\nmax_output_tokens = {longest}\nprice = {{ input \
                 = {price}, output = {price} }}\n"
            )
        };
        let text = [
            "[providers.p]\nbase_url = \"http://h\"\n".to_owned(),
            model("dear", "9", 100),
            model("middling", "5", 100),
            model("same", "5", 100),
            model("cheap", "1", 100),
            model("long", "4", 1000),
            "[routes.r]\ncandidates = [\"middling\", \"cheap\", \"long\", \"dear\", \"same\"]\n".to_owned(),
        ]
        .concat();
        parse(&text, &|_| Ok(None)).unwrap()
    }

    fn body(more: &str) -> Body {
        let text = format!(r#"{{"model":"r","messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
        Body::read(Endpoint::Chat, text.as_bytes()).unwrap()
    }

    fn ids(models: &[&Model]) -> Vec<String> {
        models.iter().map(|model| model.id.clone()).collect()
    }

    #[test]
    fn who_fails_is_followed_by_the_next_of_the_route_and_who_is_too_dear_by_the_next_cheaper_one() {
        let catalog = catalog();
        let mut all = candidates(&catalog, catalog.tenant("anybody"), &body("")).unwrap();
        assert_eq!(ids(&all), ["middling", "cheap", "long", "dear", "same"]);
        let first = all.remove(0);
        // Without a bound in the request the price depends on how much a model may write: `long` would reserve more.
        assert_eq!(ids(&cheaper(all.clone(), first, &body(""))), ["cheap"]);
        assert_eq!(ids(&cheaper(all.clone(), first, &body(r#","max_tokens":50"#))), ["long", "cheap"]);
        let cheap = all.remove(0);
        assert!(cheaper(all, cheap, &body("")).is_empty());
    }
}
