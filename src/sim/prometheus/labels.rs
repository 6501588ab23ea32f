//! The labels of a series.
//!
//! In: names and values. Out: an ordered, cheaply cloned set of them, without empty values: to
//! Prometheus a label with an empty value is one that is not there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::NAME;

/// Labels in the order of their names, the name of the metric among them as `__name__`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Pair]>);

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
        Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a label; empty if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| &**found == name).map_or("", |(_, value)| value)
    }

    /// The name of the metric; empty if there is none.
    pub fn name(&self) -> &str {
        self.get(NAME)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// True without any label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These labels with one more, or with another value for one.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let own = self.0.iter().cloned();
        Self::new(own.chain([(Arc::from(name), Arc::from(value))]))
    }

    /// These labels without the name of the metric.
    pub(super) fn without_name(&self) -> Self {
        self.filtered(|name| name != NAME)
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
        if self.0.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
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
