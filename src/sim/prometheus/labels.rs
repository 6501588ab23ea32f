//! The labels of a series.
//!
//! In: names and values. Out: an ordered, cheaply cloned set of them, without empty values: to
//! Prometheus a label with an empty value is one that is not there.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::NAME;

/// Labels in the order of their names, the name of the metric among them as `__name__`.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    pairs: Arc<[Pair]>,
    /// The name is there, but does not count: queries take it away from many series.
    is_nameless: bool,
}

type Pair = (Arc<str>, Arc<str>);

// === impl Labels ===

impl Labels {
    /// Labels of these names and values. Of two values for one name the latter counts; an empty
    /// value removes the label.
    pub fn new<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let pairs: BTreeMap<Arc<str>, Arc<str>> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::of(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a label; empty if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.pairs().find(|(found, _)| &**found == name).map_or("", |(_, value)| value)
    }

    /// The name of the metric; empty if there is none.
    pub fn name(&self) -> &str {
        self.get(NAME)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs().map(|(name, value)| (&**name, &**value))
    }

    fn of(pairs: Arc<[Pair]>) -> Self {
        Self { pairs, is_nameless: false }
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|(name, _)| !self.is_nameless || &**name != NAME)
    }

    /// True without any label.
    pub fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// These labels with one more, or with another value for one.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let own = self.pairs().cloned();
        Self::new(own.chain([(Arc::from(name), Arc::from(value))]))
    }

    /// These labels without the name of the metric.
    pub(super) fn without_name(&self) -> Self {
        Self { pairs: self.pairs.clone(), is_nameless: true }
    }

    /// Those of these labels.
    pub(super) fn keep(&self, names: &[String]) -> Self {
        self.filtered(|name| names.iter().any(|kept| kept == name))
    }

    /// All but these labels.
    pub(super) fn remove(&self, names: &[String]) -> Self {
        self.filtered(|name| !names.iter().any(|removed| removed == name))
    }

    fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.pairs().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self::of(self.pairs().filter(|(name, _)| keep(name)).cloned().collect())
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Labels {}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// As Prometheus writes them in its messages: `up{job="a", pod="b"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{", self.name())?;
        let others = self.iter().filter(|(name, _)| *name != NAME);
        for (index, (name, value)) in others.enumerate() {
            write!(f, "{}{name}={value:?}", if index == 0 { "" } else { ", " })?;
        }
        write!(f, "}}")
    }
}
