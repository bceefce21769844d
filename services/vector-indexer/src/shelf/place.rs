//! Where a collection is that a name means: open in this process, or in qdrant.

use std::sync::{Arc, PoisonError};

use super::{Entry, Import, Shelf};
use crate::catalogue::{Backend, Record};
use crate::error::VectorError;
use crate::space::{self, Rows};

/// Where a collection is.
pub enum Place {
    /// Open in this process.
    Here(Arc<Entry>),
    /// In qdrant, which is asked for all of it.
    Qdrant(Remote),
}

/// A collection in qdrant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// The catalogue's record.
    pub record: Record,
}

impl Place {
    /// The collection's name, whatever alias was asked for.
    pub fn name(&self) -> &str {
        match self {
            Self::Here(entry) => &entry.name,
            Self::Qdrant(remote) => &remote.name,
        }
    }

    /// Whether the collection takes a vector.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, vector: &[f32]) -> Result<(), space::Wrong> {
        match self {
            Self::Here(entry) => entry.check(vector),
            Self::Qdrant(remote) => {
                let settings = remote.record.settings;
                Rows::new(settings.dimension, settings.metric, settings.precision).check(vector)
            }
        }
    }
}

impl Shelf {
    /// A collection by its name or alias. Where it is not known here the catalogue is asked.
    ///
    /// # Errors
    /// There is none, or it cannot be opened now.
    pub async fn place(&self, name: &str) -> Result<Place, VectorError> {
        if let Some(place) = self.placed(name) {
            return Ok(place);
        }
        let catalogue = self.catalogue();
        let is_known = catalogue.collection(name).await?.is_some() || catalogue.alias(name).await?.is_some();
        if !is_known {
            return Err(VectorError::NoCollection(name.to_owned()));
        }
        self.settle(Import::Missing).await?;
        if let Some(place) = self.placed(name) {
            return Ok(place);
        }
        let known = self.known();
        let Some((_, record)) = known.resolve(name) else {
            return Err(VectorError::NoCollection(name.to_owned()));
        };
        let away = self.0.away.read().unwrap_or_else(PoisonError::into_inner);
        let reason = away.get(&record.id).cloned().unwrap_or_else(|| "it is being opened".to_owned());
        Err(VectorError::Away { collection: name.to_owned(), reason })
    }

    /// A collection by the name or alias that it has now, not when the catalogue was last read here: what is written is not
    /// to go to one that had the name before.
    ///
    /// # Errors
    /// There is none, or it cannot be opened now.
    pub async fn current_place(&self, name: &str) -> Result<Place, VectorError> {
        let catalogue = self.catalogue();
        let no = || VectorError::NoCollection(name.to_owned());
        let (own, record) = match catalogue.collection(name).await? {
            Some(known) => (name.to_owned(), known.value),
            None => {
                let alias = catalogue.alias(name).await?.ok_or_else(no)?.value.collection;
                let record = catalogue.collection(&alias).await?.ok_or_else(no)?.value;
                (alias, record)
            }
        };
        if record.settings.backend == Backend::Qdrant {
            return Ok(Place::Qdrant(Remote { name: own, record }));
        }
        if let Some(entry) = self.by_id(&record.id) {
            return Ok(Place::Here(entry));
        }
        self.settle(Import::Missing).await?;
        match self.by_id(&record.id) {
            Some(entry) => Ok(Place::Here(entry)),
            None => self.place(name).await,
        }
    }

    /// As [`Shelf::current_place`], for what is done only with collections that are here: snapshots.
    ///
    /// # Errors
    /// As there; or it is in qdrant.
    pub async fn current(&self, name: &str) -> Result<Arc<Entry>, VectorError> {
        match self.current_place(name).await? {
            Place::Here(entry) => Ok(entry),
            Place::Qdrant(remote) => Err(VectorError::BadInput(format!(
                "`{}` is in qdrant, which takes snapshots of its own",
                remote.name
            ))),
        }
    }

    /// What is known here without asking anybody.
    fn placed(&self, name: &str) -> Option<Place> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let (own, record) = known.resolve(name)?;
        if record.settings.backend == Backend::Qdrant {
            return Some(Place::Qdrant(Remote { name: own.to_owned(), record: record.clone() }));
        }
        let id = record.id.clone();
        drop(known);
        self.by_id(&id).map(Place::Here)
    }
}
