//! A metric family with labels whose values may come from outside.
//!
//! Two things are held here: a label never takes more than [`MAX_VALUES`] values and a family never has more than
//! [`MAX_SERIES`] series, for what a stranger sends must not grow the memory of every process and of Prometheus;
//! and finding a series that exists allocates nothing.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::metrics::family::{Family as PromFamily, MetricConstructor};

use super::instrument::{Amount, Counter, Gauge, Histogram, Level};

/// Most distinct values of one label; later ones are counted as [`OTHER`].
pub const MAX_VALUES: usize = 200;
/// Most series of one family; later ones have [`OTHER`] for every label.
pub const MAX_SERIES: usize = 2000;
/// The value that stands for everything beyond the bounds.
pub const OTHER: &str = "other";

type Labels = Vec<(&'static str, Arc<str>)>;

/// An instrument that can be one series of a family.
pub trait Instrument: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    type Inner: Clone + Send + Sync + std::fmt::Debug + 'static;
    #[doc(hidden)]
    fn wrap(inner: Self::Inner) -> Self;
}

macro_rules! instrument {
    ($($outer:ident: $inner:ty;)*) => {$(
        impl Instrument for $outer {
            type Inner = $inner;
            fn wrap(inner: Self::Inner) -> Self {
                Self(inner)
            }
        }
    )*};
}

instrument! {
    Amount: prometheus_client::metrics::counter::Counter<f64, AtomicU64>;
    Level: prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;
    Counter: prometheus_client::metrics::counter::Counter;
    Gauge: prometheus_client::metrics::gauge::Gauge;
    Histogram: prometheus_client::metrics::histogram::Histogram;
}

/// Makes a new series.
#[derive(Clone)]
pub(super) struct Make<I>(Arc<dyn Fn() -> I + Send + Sync>);

impl<I> Make<I> {
    pub(super) fn new(make: impl Fn() -> I + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

impl<I> MetricConstructor<I> for Make<I> {
    fn new_metric(&self) -> I {
        (self.0)()
    }
}

pub(super) type Exported<I> = PromFamily<Labels, I, Make<I>>;

/// A metric with `N` labels. Cloning shares the series.
pub struct Family<I: Instrument, const N: usize>(Arc<Inner<I, N>>);

struct Inner<I: Instrument, const N: usize> {
    names: [&'static str; N],
    exported: Exported<I::Inner>,
    hasher: RandomState,
    known: RwLock<Known<I, N>>,
}

/// The label values of one series, and the series.
type Series<I, const N: usize> = ([Arc<str>; N], I);

struct Known<I, const N: usize> {
    values: [HashSet<Arc<str>>; N],
    /// By hash of the labels: a map keyed by owned strings could not be asked with borrowed ones.
    series: HashMap<u64, Vec<Series<I, N>>>,
    count: usize,
}

impl<I, const N: usize> Known<I, N> {
    fn find(&self, hash: u64, labels: [&str; N]) -> Option<&I> {
        let same = |have: &[Arc<str>; N]| have.iter().zip(labels).all(|(a, b)| **a == *b);
        self.series.get(&hash)?.iter().find(|(have, _)| same(have)).map(|(_, instrument)| instrument)
    }

    /// The labels as they may be shown. Pure; `labels` itself when there is room for it.
    fn bounded<'l>(&self, labels: [&'l str; N]) -> [&'l str; N] {
        if self.count >= MAX_SERIES {
            return [OTHER; N];
        }
        std::array::from_fn(|n| {
            let fits = self.values[n].len() < MAX_VALUES || self.values[n].contains(labels[n]);
            if fits { labels[n] } else { OTHER }
        })
    }
}

impl<I: Instrument, const N: usize> Family<I, N> {
    pub(super) fn new(names: [&'static str; N], make: Make<I::Inner>) -> Self {
        let known =
            Known { values: std::array::from_fn(|_| HashSet::new()), series: HashMap::new(), count: 0 };
        Self(Arc::new(Inner {
            names,
            exported: PromFamily::new_with_constructor(make),
            hasher: RandomState::new(),
            known: RwLock::new(known),
        }))
    }

    pub(super) fn exported(&self) -> Exported<I::Inner> {
        self.0.exported.clone()
    }

    /// The series with these label values, in the order of the names. Keep what it returns where you can; asking
    /// again takes a lock for reading and no allocation.
    pub fn with(&self, labels: [&str; N]) -> I {
        let hash = self.0.hasher.hash_one(labels);
        {
            let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.find(hash, labels) {
                return found.clone();
            }
            let bounded = known.bounded(labels);
            if bounded != labels
                && let Some(found) = known.find(self.0.hasher.hash_one(bounded), bounded)
            {
                return found.clone();
            }
        }
        self.create(labels)
    }

    fn create(&self, labels: [&str; N]) -> I {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        let labels = known.bounded(labels);
        let hash = self.0.hasher.hash_one(labels);
        if let Some(found) = known.find(hash, labels) {
            return found.clone();
        }
        let owned: [Arc<str>; N] = labels.map(Arc::from);
        let exported: Labels = self.0.names.iter().copied().zip(owned.iter().cloned()).collect();
        let instrument = I::wrap(self.0.exported.get_or_create_owned(&exported));
        for (values, label) in known.values.iter_mut().zip(&owned) {
            // "other" is ours and takes nobody's place.
            if **label != *OTHER {
                values.insert(Arc::clone(label));
            }
        }
        known.series.entry(hash).or_default().push((owned, instrument.clone()));
        known.count += 1;
        instrument
    }

    /// Forgets every series for which `gone` holds, and gives their room back. For what is no more, such as the
    /// lanes of a pool that was taken down; a handle kept elsewhere is no longer exported.
    pub fn forget(&self, gone: impl Fn([&str; N]) -> bool) {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        let borrowed = |labels: &[Arc<str>; N]| gone(std::array::from_fn(|n| &*labels[n]));
        for series in known.series.values_mut() {
            series.retain(|(labels, _)| {
                let stays = !borrowed(labels);
                if !stays {
                    let exported: Labels = self.0.names.iter().copied().zip(labels.iter().cloned()).collect();
                    self.0.exported.remove(&exported);
                }
                stays
            });
        }
        known.series.retain(|_, series| !series.is_empty());
        known.count = known.series.values().map(Vec::len).sum();
        for (n, values) in known.values.iter_mut().enumerate() {
            let left = known.series.values().flatten().map(|(labels, _)| Arc::clone(&labels[n]));
            *values = left.filter(|label| **label != *OTHER).collect();
        }
    }
}

impl<I: Instrument, const N: usize> Clone for Family<I, N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I: Instrument, const N: usize> std::fmt::Debug for Family<I, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("names", &self.0.names).finish_non_exhaustive()
    }
}

impl<I> std::fmt::Debug for Make<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Make")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Family<Counter, 2> {
        Family::new(["task_type", "code"], Make::new(Default::default))
    }

    #[test]
    fn the_same_labels_are_the_same_series() {
        let family = family();
        family.with(["echo", "TL2001"]).inc();
        family.clone().with(["echo", "TL2001"]).inc();
        assert_eq!(family.with(["echo", "TL2001"]).get(), 2);
        assert_eq!(family.with(["echo", "TL2002"]).get(), 0);
    }

    #[test]
    fn a_label_past_its_bound_is_other_and_known_ones_stay() {
        let family = family();
        for n in 0..MAX_VALUES + 50 {
            family.with([&format!("t{n}"), "c"]).inc();
        }
        assert_eq!(family.with(["other", "c"]).get(), 50);
        assert_eq!(family.with(["t7", "c"]).get(), 1);
        family.with(["t7", "new code"]).inc();
        assert_eq!(family.with(["t7", "new code"]).get(), 1);
        assert_eq!(family.with(["never seen", "c"]).get(), 50);
    }

    #[test]
    fn a_family_past_its_bound_has_one_more_series() {
        let family = family();
        for a in 0..100 {
            for b in 0..100 {
                family.with([&format!("a{a}"), &format!("b{b}")]).inc();
            }
        }
        let known = family.0.known.read().unwrap();
        assert_eq!(known.count, MAX_SERIES + 1);
        drop(known);
        assert_eq!(family.with(["other", "other"]).get(), 10_000 - MAX_SERIES as u64);
    }

    #[test]
    fn forgetting_gives_the_room_back() {
        let family = family();
        for n in 0..MAX_VALUES {
            family.with([&format!("t{n}"), "c"]).inc();
        }
        family.forget(|[task_type, _]| task_type != "t1");
        family.with(["late", "c"]).inc();
        assert_eq!((family.with(["late", "c"]).get(), family.with(["t1", "c"]).get()), (1, 1));
    }
}
