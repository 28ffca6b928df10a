//! The same policy in Rego, by regorus's interpreter and by its virtual machine.

use std::sync::Arc;

use anyhow::Result;
use regorus::{CompiledPolicy, Engine, Rc, Value, languages::rego::compiler::Compiler, rvm::vm::RegoVM};
use serde_json::json;

use crate::sample::{BLOCKED, FORBIDDEN_OVER, Lists, MAX, MAX_FEE, Sample, TIERS};

const ENTRY: &str = "data.withdrawals.allow";

fn policy() -> String {
    let mut text = format!(
        r#"package withdrawals
import rego.v1

default allow := false

allow if {{
    permitted
    not forbidden
    not missing
}}
permitted if {{
    input.service == "payout"
    input.wallet == "hot"
    input.asset in {{"ETH", "USDC"}}
    data.customers[input.destination]
    input.amount <= {MAX}
    input.fee <= {MAX_FEE}
}}
forbidden if data.sanctioned[input.destination]
forbidden if input.subject == "{BLOCKED}"
forbidden if input.amount > {FORBIDDEN_OVER}
forbidden if input.kind in {{"code-change", "authority-change", "opaque"}}
forbidden if {{
    input.asset == "ETH"
    input.amount > {MAX}
}}
forbidden if {{
    input.asset == "USDC"
    input.amount > {MAX}
}}
"#
    );
    for (seats, tier) in (1..).zip(TIERS) {
        text.push_str(&format!(
            "missing if {{\n    input.amount > {tier}\n    input.treasury < {seats}\n}}\n"
        ));
    }
    text
}

fn data(lists: &Lists) -> Result<Value> {
    let set = |names: &[String]| -> serde_json::Map<String, serde_json::Value> {
        names.iter().map(|name| (name.clone(), true.into())).collect()
    };
    let data = json!({ "customers": set(&lists.customers), "sanctioned": set(&lists.sanctioned) });
    Ok(serde_json::from_value(data)?)
}

fn inputs(samples: &[Sample]) -> Result<Vec<Value>> {
    let input = |sample: &Sample| {
        let input = json!({
            "service": "payout", "wallet": "hot", "asset": "ETH", "kind": "transfer",
            "destination": sample.destination, "subject": sample.subject,
            "amount": sample.amount, "fee": sample.fee, "treasury": sample.treasury,
        });
        Ok(serde_json::from_value(input)?)
    };
    samples.iter().map(input).collect()
}

fn compiled(data: Value) -> Result<CompiledPolicy> {
    let mut engine = Engine::new();
    engine.add_policy("withdrawals.rego".to_owned(), policy())?;
    engine.add_data(data)?;
    engine.compile_with_entrypoint(&Rc::from(ENTRY))
}

pub struct Interpreter {
    policy: CompiledPolicy,
    inputs: Vec<Value>,
}

impl Interpreter {
    pub fn new(lists: &Lists, samples: &[Sample]) -> Result<Self> {
        Ok(Self {
            policy: compiled(data(lists)?)?,
            inputs: inputs(samples)?,
        })
    }

    pub fn decide(&mut self, at: usize) -> bool {
        let value = self.policy.eval_with_input(self.inputs[at].clone());
        value.is_ok_and(|value| value == Value::Bool(true))
    }
}

pub struct Machine {
    machine: RegoVM,
    inputs: Vec<Value>,
}

impl Machine {
    pub fn new(lists: &Lists, samples: &[Sample]) -> Result<Self> {
        let data = data(lists)?;
        let program = Compiler::compile_from_policy(&compiled(data.clone())?, &[ENTRY])?;
        let mut machine = RegoVM::new();
        machine.load_program(Arc::clone(&program));
        machine.set_data(data)?;
        Ok(Self {
            machine,
            inputs: inputs(samples)?,
        })
    }

    pub fn decide(&mut self, at: usize) -> bool {
        self.machine.set_input(self.inputs[at].clone());
        self.machine.execute().is_ok_and(|value| value == Value::Bool(true))
    }
}
