//! All rules together: those of the port driver and those that a controller judges.

use std::sync::LazyLock;

use super::{Rule, port};

static CONTROLLER: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    nvme_model::Rule::all()
        .iter()
        .map(|rule| Rule {
            id: rule.id(),
            meaning: rule.meaning(),
            source: rule.source(),
        })
        .collect()
});

/// Every rule: first those of the port driver, then those of the controller.
#[must_use]
pub fn catalog() -> Vec<&'static Rule> {
    port::ALL.iter().copied().chain(CONTROLLER.iter()).collect()
}

/// The entry of a rule that a controller judges.
pub(crate) fn of_controller(rule: nvme_model::Rule) -> &'static Rule {
    static UNKNOWN: Rule = Rule {
        id: "nvme-unlisted",
        meaning: "a rule that the controller judges without listing it",
        source: "",
    };
    CONTROLLER
        .iter()
        .find(|listed| listed.id == rule.id())
        .unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_every_rule_says_what_and_why() {
        let mut ids: Vec<_> = catalog().iter().map(|rule| rule.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        assert!(
            catalog()
                .iter()
                .all(|rule| !rule.meaning.is_empty() && !rule.source.is_empty())
        );
    }
}
