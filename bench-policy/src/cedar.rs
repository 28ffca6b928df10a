//! The same policy in Cedar: a require is a forbid unless so many people agreed.

use std::{collections::HashSet, str::FromStr};

use anyhow::Result;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};

use crate::sample::{BLOCKED, FORBIDDEN_OVER, Lists, MAX, MAX_FEE, Sample, TIERS};

pub struct Engine {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
}

impl Engine {
    pub fn new(lists: &Lists, samples: &[Sample]) -> Result<Self> {
        let mut text = format!(
            r#"permit(principal == Service::"payout", action == Action::"pay", resource == Wallet::"hot")
               when {{ ["ETH", "USDC"].contains(context.asset) && context.destination in List::"customers"
                       && context.amount <= {MAX} && context.fee <= {MAX_FEE} }};
               forbid(principal, action, resource) when {{ context.destination in List::"sanctioned" }};
               forbid(principal, action, resource) when {{ context.subject == "{BLOCKED}" }};
               forbid(principal, action, resource) when {{ context.amount > {FORBIDDEN_OVER} }};
               forbid(principal, action, resource)
               when {{ ["code-change", "authority-change", "opaque"].contains(context.kind) }};
               forbid(principal, action, resource) when {{ context.asset == "ETH" && context.amount > {MAX} }};
               forbid(principal, action, resource) when {{ context.asset == "USDC" && context.amount > {MAX} }};"#
        );
        for (seats, tier) in (1..).zip(TIERS) {
            text.push_str(&format!(
                "forbid(principal, action, resource) when {{ context.amount > {tier} }} unless {{ context.treasury >= {seats} }};"
            ));
        }
        let uid = |text: &str| EntityUid::from_str(text);
        let mut entities = vec![
            Entity::new_no_attrs(uid(r#"List::"customers""#)?, HashSet::new()),
            Entity::new_no_attrs(uid(r#"List::"sanctioned""#)?, HashSet::new()),
            Entity::new_no_attrs(uid(r#"Service::"payout""#)?, HashSet::new()),
            Entity::new_no_attrs(uid(r#"Wallet::"hot""#)?, HashSet::new()),
        ];
        let sanctioned: HashSet<&String> = lists.sanctioned.iter().collect();
        let customers: HashSet<&String> = lists.customers.iter().collect();
        for destination in lists.customers.iter().chain(&lists.sanctioned).collect::<HashSet<_>>() {
            let mut parents = HashSet::new();
            if customers.contains(destination) {
                parents.insert(uid(r#"List::"customers""#)?);
            }
            if sanctioned.contains(destination) {
                parents.insert(uid(r#"List::"sanctioned""#)?);
            }
            entities.push(Entity::new_no_attrs(
                uid(&format!(r#"Destination::"{destination}""#))?,
                parents,
            ));
        }
        let request = |sample: &Sample| -> Result<Request> {
            let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
            let destination = uid(&format!(r#"Destination::"{}""#, sample.destination))?;
            let context = Context::from_pairs([
                ("asset".to_owned(), text("ETH")),
                ("kind".to_owned(), text("transfer")),
                ("subject".to_owned(), text(&sample.subject)),
                (
                    "destination".to_owned(),
                    RestrictedExpression::new_entity_uid(destination),
                ),
                ("amount".to_owned(), RestrictedExpression::new_long(sample.amount)),
                ("fee".to_owned(), RestrictedExpression::new_long(sample.fee)),
                ("treasury".to_owned(), RestrictedExpression::new_long(sample.treasury)),
            ])?;
            let (service, pay, wallet) = (r#"Service::"payout""#, r#"Action::"pay""#, r#"Wallet::"hot""#);
            Ok(Request::new(uid(service)?, uid(pay)?, uid(wallet)?, context, None)?)
        };
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(&text)?,
            entities: Entities::from_entities(entities, None)?,
            requests: samples.iter().map(request).collect::<Result<_>>()?,
        })
    }

    pub fn decide(&self, at: usize) -> bool {
        let response = self
            .authorizer
            .is_authorized(&self.requests[at], &self.policies, &self.entities);
        response.decision() == Decision::Allow
    }
}
