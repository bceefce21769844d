//! Which providers, models, routes and tenants there are: a TOML file, checked as a whole and then only read.
//!
//! A [`Catalog`] is made by [`parse()`] and never changes; a changed file makes a new one ([`reload`]). Everything it
//! decides is a function from data to data. How the file looks is written in `providers.example.toml`.

mod decimal;
mod keys;
mod models;
mod names;
mod parse;
mod price;
mod providers;
pub mod reload;
mod routes;
mod secret;
mod tenants;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use keys::read_key;
pub use models::{Kind, Model};
pub use parse::{MAX_BYTES, parse};
pub use price::Price;
pub use providers::{Dialect, Provider, Timeouts};
pub use routes::Route;
pub use secret::{KeySource, Secret};
pub use tasklane_runtime::config::tables::Mistake;
pub use tenants::{Budget, DEFAULT_TENANT, Per, Tenant, WhenSpent};

use secret::Bearers;

/// How much may pass in a minute; what is absent is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests a minute, at least 1.
    pub requests_per_minute: Option<u64>,
    /// Input and output tokens together a minute, at least 1.
    pub tokens_per_minute: Option<u64>,
}

/// A checked file: every name in it leads somewhere.
#[derive(Debug)]
pub struct Catalog {
    providers: BTreeMap<String, Arc<Provider>>,
    models: BTreeMap<String, Arc<Model>>,
    /// The routes of the file, and one for each model under its own name.
    routes: BTreeMap<String, Route>,
    tenants: BTreeMap<String, Tenant>,
    /// A second time and apart, so that looking a tenant up cannot fail.
    default_tenant: Tenant,
    bearers: Bearers,
}

impl Catalog {
    /// The route of an alias or of a model's own name.
    #[must_use]
    pub fn route(&self, alias: &str) -> Option<&Route> {
        self.routes.get(alias)
    }

    /// All that a client may ask for as `model`, by name: routes and models.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// A model by its name in the file (not its name at the provider).
    #[must_use]
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.get(id).map(Arc::as_ref)
    }

    /// All models, by name.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values().map(Arc::as_ref)
    }

    /// A provider by its name in the file. A model has its own at hand, as [`Model::provider`].
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.get(name).map(Arc::as_ref)
    }

    /// All providers, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values().map(Arc::as_ref)
    }

    /// The models to try for an alias, the first one first; empty for an alias that does not exist. `random` is one
    /// number in `[0, 1)`. See [`Route::in_order`].
    #[must_use]
    pub fn candidates_in_order(&self, alias: &str, random: f64) -> Vec<&Model> {
        self.route(alias).map_or_else(Vec::new, |route| route.in_order(random))
    }

    /// The rules for a tenant; those of [`DEFAULT_TENANT`] for one that the file does not name.
    ///
    /// What is used counts for the [`Tenant::name`] that comes back, not for the name that was asked for: otherwise
    /// whoever invents a name has a fresh budget.
    #[must_use]
    pub fn tenant(&self, name: &str) -> &Tenant {
        self.tenants.get(name).unwrap_or(&self.default_tenant)
    }

    /// All tenants, by name, the default one among them.
    pub fn tenants(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.values()
    }

    /// The tenant whose client sent this key (the `Authorization` header without `Bearer `). How long it takes says
    /// nothing about how near a wrong key came: all digests are compared, each in constant time.
    #[must_use]
    pub fn tenant_of_key(&self, bearer: &str) -> Option<&str> {
        self.bearers.owner(bearer)
    }
}
