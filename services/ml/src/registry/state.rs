//! What is in memory, what is coming, and what was refused. No I/O: everything here is done under one short lock.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::{BoxFuture, Shared};
use tasklane_models::ModelName;
use tasklane_models::name::compare_versions;
use tokio::time::Instant;

use super::Loaded;
use super::room::{self, Held};
use crate::error::MlError;
use crate::store::{Catalogue, Entry};

/// How long a refused model is not tried again.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// A load that everybody who asks for the model waits on.
pub type Coming<M> = Shared<BoxFuture<'static, Result<Arc<Loaded<M>>, MlError>>>;

/// What is known of an entry's model.
pub enum Known<M> {
    /// It is loaded, as the entry has it.
    Loaded(Arc<Loaded<M>>),
    /// It is on its way.
    Coming(Coming<M>),
    /// It was refused a moment ago.
    Refused(MlError),
}

/// Where a model is in its life here.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Its name and version.
    pub name: ModelName,
    /// `loading`, `loaded` or `leaving` (unloaded, and tasks still have it).
    pub state: &'static str,
    /// Memory that it takes.
    pub bytes: u64,
    /// An operator keeps it.
    pub kept: bool,
    /// It is what its name without a version means.
    pub current: bool,
    /// What it is; empty while it is loading.
    pub kind: String,
    /// How long loading took, in ms.
    pub took_ms: f64,
}

/// What making room came to.
pub struct Room<M> {
    /// Who goes, to be dropped without the lock.
    pub gone: Vec<Arc<Loaded<M>>>,
    /// Whether there is room now.
    pub enough: bool,
}

struct Slot<M> {
    loaded: Arc<Loaded<M>>,
    stamp: String,
    used: u64,
}

pub struct State<M> {
    slots: HashMap<ModelName, Slot<M>>,
    /// Which version a name without one means: only those that are loaded.
    current: HashMap<String, String>,
    coming: HashMap<ModelName, (Coming<M>, u64)>,
    leaving: Vec<Weak<Loaded<M>>>,
    refused: HashMap<ModelName, (String, Instant, MlError)>,
    kept: BTreeSet<ModelName>,
    clock: u64,
}

impl<M> Default for State<M> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            current: HashMap::new(),
            coming: HashMap::new(),
            leaving: Vec::new(),
            refused: HashMap::new(),
            kept: BTreeSet::new(),
            clock: 0,
        }
    }
}

impl<M> State<M> {
    /// A name with its version, where one of that name is loaded.
    fn full(&self, wanted: &ModelName) -> Option<ModelName> {
        match &wanted.version {
            Some(_) => Some(wanted.clone()),
            None => Some(ModelName::exact(&wanted.name, self.current.get(&wanted.name)?)),
        }
    }

    /// A loaded model.
    pub fn find(&mut self, wanted: &ModelName) -> Option<Arc<Loaded<M>>> {
        let full = self.full(wanted)?;
        self.clock += 1;
        let slot = self.slots.get_mut(&full)?;
        slot.used = self.clock;
        Some(Arc::clone(&slot.loaded))
    }

    /// The very model of an entry, where it is loaded; the load that brings it; or why it was refused a moment ago.
    pub fn known(&mut self, entry: &Entry) -> Option<Known<M>> {
        let same = self.slots.get(&entry.name).is_some_and(|slot| slot.stamp == entry.stamp);
        if same && let Some(loaded) = self.find(&entry.name) {
            return Some(Known::Loaded(loaded));
        }
        if let Some((coming, _)) = self.coming.get(&entry.name) {
            return Some(Known::Coming(coming.clone()));
        }
        let (stamp, when, why) = self.refused.get(&entry.name)?;
        (*stamp == entry.stamp && when.elapsed() < REFUSED_FOR).then(|| Known::Refused(why.clone()))
    }

    /// A load has begun.
    pub fn begin(&mut self, name: ModelName, coming: Coming<M>) {
        self.coming.insert(name, (coming, 0));
    }

    /// Makes room for a model that is coming. Where only models in use stand in the way, no new task gets those that will
    /// go, and there is enough when their tasks have ended: ask again then.
    ///
    /// # Errors
    /// What could be had at most, beside what is kept.
    pub fn make_room(&mut self, name: &ModelName, need: u64, budget: u64) -> Result<Room<M>, u64> {
        if let Some((_, reserved)) = self.coming.get_mut(name) {
            *reserved = 0;
        }
        let names: Vec<ModelName> = self.slots.keys().cloned().collect();
        let kept: u64 =
            names.iter().filter(|name| self.is_kept(name)).map(|name| self.slots[name].loaded.bytes).sum();
        let most = budget.saturating_sub(kept);
        if need > most {
            return Err(most);
        }
        let held = |in_use: bool| -> Vec<Held> {
            let held = |name: &ModelName| {
                let slot = &self.slots[name];
                let stays = self.is_kept(name) || (in_use && Arc::strong_count(&slot.loaded) > 1);
                Held { bytes: slot.loaded.bytes, used: slot.used, stays }
            };
            names.iter().map(held).collect()
        };
        let (idle, all) = (held(true), held(false));
        let taken = self.leaving_bytes() + self.reserved();
        let (go, enough) = match room::make(need, budget, taken, &idle) {
            Ok(go) => (go, true),
            // Where not even they are enough, others are on their way out already.
            Err(_) => (room::make(need, budget, taken, &all).unwrap_or_default(), false),
        };
        if enough && let Some((_, reserved)) = self.coming.get_mut(name) {
            *reserved = need;
        }
        let gone = go.into_iter().filter_map(|n| self.drop_slot(&names[n])).collect();
        Ok(Room { gone, enough })
    }

    /// A load has ended. What it replaces is returned, to be dropped without the lock.
    pub fn end(&mut self, entry: &Entry, done: &Result<Arc<Loaded<M>>, MlError>) -> Option<Arc<Loaded<M>>> {
        self.coming.remove(&entry.name);
        let loaded = match done {
            Ok(loaded) => {
                self.refused.remove(&entry.name);
                Arc::clone(loaded)
            }
            Err(e) => {
                if !matches!(e, MlError::Away { .. } | MlError::NoModel(_)) {
                    let refused = (entry.stamp.clone(), Instant::now(), e.clone());
                    self.refused.insert(entry.name.clone(), refused);
                }
                return None;
            }
        };
        self.clock += 1;
        let slot = Slot { loaded, stamp: entry.stamp.clone(), used: self.clock };
        let before = self.slots.insert(entry.name.clone(), slot).map(|slot| slot.loaded);
        self.leaving.extend(before.iter().map(Arc::downgrade));
        if self.current.contains_key(&entry.name.name) {
            self.mean(&entry.name);
        }
        before
    }

    /// The name without a version means this one from now on, unless it means a newer one already.
    pub fn mean(&mut self, full: &ModelName) {
        let Some(version) = full.version.clone().filter(|_| self.slots.contains_key(full)) else { return };
        let newer = |known: &String| compare_versions(known, &version).is_gt();
        if !self.current.get(&full.name).is_some_and(newer) {
            self.current.insert(full.name.clone(), version);
        }
    }

    fn drop_slot(&mut self, name: &ModelName) -> Option<Arc<Loaded<M>>> {
        let slot = self.slots.remove(name)?;
        self.leaving.push(Arc::downgrade(&slot.loaded));
        if self.current.get(&name.name) == name.version.as_ref() {
            self.current.remove(&name.name);
        }
        Some(slot.loaded)
    }

    /// Keeps a model.
    pub fn keep(&mut self, wanted: &ModelName) {
        self.kept.insert(wanted.clone());
    }

    /// Takes models out, and keeps them no longer.
    pub fn remove(&mut self, wanted: &ModelName) -> Vec<Arc<Loaded<M>>> {
        let meant =
            |full: &ModelName| full.name == wanted.name && (wanted.version.is_none() || full == wanted);
        self.kept.retain(|kept| !meant(kept));
        // What had no room may have it now.
        self.refused
            .retain(|refused, (.., why)| !meant(refused) && !matches!(why, MlError::TooMuchMemory { .. }));
        let mut names: Vec<ModelName> = self.slots.keys().filter(|full| meant(full)).cloned().collect();
        names.sort();
        names.iter().filter_map(|name| self.drop_slot(name)).collect()
    }

    fn is_kept(&self, full: &ModelName) -> bool {
        let bare = ModelName { name: full.name.clone(), version: None };
        self.kept.contains(full) || (self.kept.contains(&bare) && self.full(&bare).as_ref() == Some(full))
    }

    /// What should be loaded in place of what is: newer versions of names, and others of the same name and version; but for
    /// those that were refused.
    pub fn stale(&self, catalogue: &Catalogue) -> Vec<Entry> {
        let newer = self.current.iter().filter_map(|(name, version)| {
            let entry = catalogue.find(&ModelName { name: name.clone(), version: None })?;
            let newest = entry.name.version.as_deref().unwrap_or_default();
            compare_versions(newest, version).is_gt().then(|| entry.clone())
        });
        let other = self.slots.iter().filter_map(|(name, slot)| {
            catalogue.find(name).filter(|entry| entry.stamp != slot.stamp).cloned()
        });
        let refused =
            |entry: &Entry| self.refused.get(&entry.name).is_some_and(|(stamp, ..)| *stamp == entry.stamp);
        newer.chain(other).filter(|entry| !refused(entry)).collect()
    }

    fn leaving_bytes(&mut self) -> u64 {
        self.leaving.retain(|left| left.strong_count() > 0);
        self.leaving.iter().filter_map(Weak::upgrade).map(|loaded| loaded.bytes).sum()
    }

    fn reserved(&self) -> u64 {
        self.coming.values().map(|(_, reserved)| reserved).sum()
    }

    /// Bytes that models take, or are going to.
    pub fn taken(&mut self) -> u64 {
        let loaded: u64 = self.slots.values().map(|slot| slot.loaded.bytes).sum();
        loaded + self.leaving_bytes() + self.reserved()
    }

    /// Everything, by name.
    pub fn status(&self) -> Vec<Status> {
        let of = |name: ModelName, state, loaded: Option<&Loaded<M>>| Status {
            kept: self.is_kept(&name),
            current: self.current.get(&name.name) == name.version.as_ref(),
            state,
            bytes: loaded.map_or(0, |loaded| loaded.bytes),
            kind: loaded.map(|loaded| loaded.manifest.kind_name().to_owned()).unwrap_or_default(),
            took_ms: loaded.map_or(0.0, |loaded| loaded.took_ms),
            name,
        };
        let loaded = self.slots.iter().map(|(name, slot)| of(name.clone(), "loaded", Some(&slot.loaded)));
        let coming = self.coming.keys().map(|name| of(name.clone(), "loading", None));
        let mut all: Vec<Status> = loaded.chain(coming).collect();
        for left in self.leaving.iter().filter_map(Weak::upgrade) {
            let status = of(left.manifest.full_name(), "leaving", Some(&left));
            all.push(Status { kept: false, current: false, ..status });
        }
        all.sort_by(|a, b| (&a.name, a.state).cmp(&(&b.name, b.state)));
        all
    }
}
