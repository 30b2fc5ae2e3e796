//! The judge: which rules were evaluated, and where they were broken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::Rule;

/// How many violations of one rule are kept word for word; the rest is counted.
const KEPT_PER_RULE: u64 = 16;

/// A rule that was broken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Violation {
    /// The rule's id.
    pub rule: &'static str,
    /// Where: the callback or the port call that was being made.
    #[serde(rename = "where")]
    pub place: String,
    /// What was found.
    pub what: String,
}

/// Collects verdicts. Clones share them.
#[derive(Clone, Default)]
pub struct Judge {
    inner: Arc<Mutex<Verdicts>>,
}

#[derive(Default)]
struct Verdicts {
    evaluated: BTreeMap<&'static str, Count>,
    violations: Vec<Violation>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    evaluations: u64,
    violations: u64,
}

impl Judge {
    /// Evaluates `rule` once and returns `held`. `place` and `what` are only asked for when it is broken.
    pub fn check(
        &self,
        rule: &'static Rule,
        held: bool,
        place: impl FnOnce() -> String,
        what: impl FnOnce() -> String,
    ) -> bool {
        // Both may take locks of their own, so they are asked before this one is taken.
        let violation = (!held).then(|| Violation {
            rule: rule.id,
            place: place(),
            what: what(),
        });
        let mut verdicts = self.lock();
        let count = verdicts.evaluated.entry(rule.id).or_default();
        count.evaluations += 1;
        if let Some(violation) = violation {
            count.violations += 1;
            if count.violations <= KEPT_PER_RULE {
                verdicts.violations.push(violation);
            }
        }
        held
    }

    /// The number of distinct rules that were evaluated at least once.
    #[must_use]
    pub fn checked(&self) -> usize {
        self.lock().evaluated.len()
    }

    /// The ids of the rules that were evaluated, with the number of evaluations, in alphabetical order.
    #[must_use]
    pub fn evaluated(&self) -> Vec<(&'static str, u64)> {
        self.lock()
            .evaluated
            .iter()
            .map(|(&id, count)| (id, count.evaluations))
            .collect()
    }

    /// The violations so far, in order: the first few of each rule.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Verdicts> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
