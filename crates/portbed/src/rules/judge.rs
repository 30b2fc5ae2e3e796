//! The judge: which rules were evaluated, and where they were broken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::Rule;

/// How many different violations of one rule are kept word for word.
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
    /// How often just that was found there.
    pub times: u64,
    /// When it was found first, and last, in virtual time.
    pub first_ns: u64,
    /// See `first_ns`.
    pub last_ns: u64,
}

impl Violation {
    fn is_same(&self, other: &Self) -> bool {
        (self.rule, &self.place, &self.what) == (other.rule, &other.place, &other.what)
    }
}

/// Collects verdicts. Clones share them.
#[derive(Clone, Default)]
pub struct Judge {
    inner: Arc<Mutex<Verdicts>>,
    now_ns: Arc<AtomicU64>,
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

impl Verdicts {
    /// Records a violation: one that was found before is only counted.
    fn take(&mut self, violation: Violation) {
        let mut known = self.violations.iter_mut();
        if let Some(known) = known.find(|known| known.is_same(&violation)) {
            known.times += 1;
            known.last_ns = violation.last_ns;
            return;
        }
        let count = self.evaluated.entry(violation.rule).or_default();
        count.violations += 1;
        if count.violations <= KEPT_PER_RULE {
            self.violations.push(violation);
        }
    }
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
        let now_ns = self.now_ns.load(Ordering::Relaxed);
        let violation = (!held).then(|| Violation {
            rule: rule.id,
            place: place(),
            what: what(),
            times: 1,
            first_ns: now_ns,
            last_ns: now_ns,
        });
        let mut verdicts = self.lock();
        verdicts.evaluated.entry(rule.id).or_default().evaluations += 1;
        if let Some(violation) = violation {
            verdicts.take(violation);
        }
        held
    }

    /// Takes note of the virtual time, for the violations that follow.
    pub(crate) fn set_now(&self, now_ns: u64) {
        self.now_ns.store(now_ns, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::super::port::CALL_IRQL;
    use super::*;

    #[test]
    fn equal_violations_are_told_once_with_their_number_and_moments() {
        let judge = Judge::default();
        for (now_ns, what) in [(5, "a"), (7, "b"), (9, "a"), (11, "a")] {
            judge.set_now(now_ns);
            judge.check(&CALL_IRQL, false, || "here".to_owned(), || what.to_owned());
        }
        let told: Vec<_> = judge
            .violations()
            .into_iter()
            .map(|it| (it.what, it.times, it.first_ns, it.last_ns))
            .collect();
        assert_eq!(
            told,
            [("a".to_owned(), 3, 5, 11), ("b".to_owned(), 1, 7, 7)]
        );
    }
}
