//! From the text of the file to the catalog, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_runtime::config::tables::{Mistake, Notes, Section};
use toml::de::DeTable;

use super::routes::Route;
use super::secret::{Fingerprint, KeySource};
use super::tenants::{DEFAULT_TENANT, Tenant};
use super::{Catalog, models, providers, routes, tenants};

/// The longest file, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads the file's text. `read` gets the text of a key, or `None` if there is nothing at its source; it is asked
/// once for each place in the file that names a key, and must not put the key into its errors ([`super::read_key`]
/// reads the real ones).
///
/// # Errors
/// All mistakes, in the order of the file. Only where the text is not TOML at all do those of the syntax come alone,
/// for the rest would be guessing.
pub fn parse(
    text: &str,
    read: &dyn Fn(&KeySource) -> Result<Option<String>, String>,
) -> Result<Catalog, Vec<Mistake>> {
    let mut notes = Notes::new(text);
    if text.len() > MAX_BYTES {
        notes.add(&(0..0), format!("the file is longer than {MAX_BYTES} bytes"));
        return Err(notes.into_mistakes());
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // Its message only: its `Display` shows the line, in which a key may stand.
        let at = error.span().unwrap_or(0..0);
        notes.add(&at, format!("not TOML: {}", error.message().trim().replace('\n', "; ")));
    }
    if notes.any() {
        return Err(notes.into_mistakes());
    }
    let root = Section::root(root.get_ref());
    root.only(&["providers", "models", "routes", "tenants"], &mut notes);
    let providers = providers::read(&root, read, &mut notes);
    let models = models::read(&root, &providers, &mut notes);
    let mut routes = routes::read(&root, &models, &mut notes);
    let prints: BTreeMap<Fingerprint, &str> = providers
        .values()
        .filter_map(|p| p.key.as_ref().map(|key| (Fingerprint::of(key.expose()), p.name.as_str())))
        .collect();
    let (tenants, bearers) = tenants::read(&root, read, &prints, &mut notes);
    if notes.any() {
        return Err(notes.into_mistakes());
    }
    routes.extend(models.iter().map(|(id, model): (_, &Arc<_>)| (id.clone(), Route::to_itself(model))));
    let default_tenant =
        tenants.get(DEFAULT_TENANT).cloned().unwrap_or_else(|| Tenant::unlimited(DEFAULT_TENANT));
    Ok(Catalog { providers, models, routes, tenants, default_tenant, bearers })
}
