//! `require`: adds obligations. Obligations of several requires join, they never replace each other.

use countersign_types::RuleId;

use super::RuleKind;
use crate::{
    Obligations, PolicyError,
    condition::{Condition, Conditions},
};

/// Adds its obligations to every transaction with an effect, or with a sum, for which its conditions may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Require {
    id: RuleId,
    conditions: Conditions,
    obligations: Obligations,
}

impl Require {
    /// A require without conditions concerns every transaction; one without obligations is refused.
    pub fn new(id: RuleId, conditions: Vec<Condition>, obligations: Obligations) -> Result<Self, PolicyError> {
        let conditions = Conditions::new(&id, RuleKind::Require, conditions)?;
        if obligations.is_empty() {
            return Err(PolicyError::EmptyRequire { rule: id });
        }
        Ok(Self {
            id,
            conditions,
            obligations,
        })
    }

    /// The id.
    pub fn id(&self) -> &RuleId {
        &self.id
    }

    /// The conditions.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// What it asks for.
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rule;

    #[test]
    fn a_require_asks_for_something() {
        let empty = Require::new(rule("r"), vec![], Obligations::default());
        assert_eq!(empty, Err(PolicyError::EmptyRequire { rule: rule("r") }));
    }
}
