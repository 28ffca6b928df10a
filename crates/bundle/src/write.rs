//! Writing the two files that an environment fills with its own keys. Whatever they hold goes through [`crate::Bundle::load`]
//! before anything believes it.

use std::fmt::{self, Write as _};

use countersign_approval::RosterFile;
use countersign_types::{AgesFrom, WalletRecord};

/// The text of `roster.yaml`.
pub fn write_roster(roster: &RosterFile) -> String {
    written(|out| {
        section(out, "people", roster.people.is_empty())?;
        for person in &roster.people {
            writeln!(out, "  - id: {}", quoted(person.id.as_str()))?;
            lines(out, "keys", &person.keys)?;
        }
        section(out, "services", roster.services.is_empty())?;
        for service in &roster.services {
            writeln!(out, "  - id: {}", quoted(service.id.as_str()))?;
            writeln!(out, "    operators: {}", flow(&service.operators))?;
            lines(out, "keys", &service.keys)?;
        }
        section(out, "groups", roster.groups.is_empty())?;
        for group in &roster.groups {
            writeln!(
                out,
                "  - {{ id: {}, members: {} }}",
                quoted(group.id.as_str()),
                flow(&group.members)
            )?;
        }
        section(out, "initiators", roster.initiators.is_empty())?;
        for record in &roster.initiators {
            let tenant = quoted(record.tenant.as_str());
            writeln!(
                out,
                "  - {{ tenant: {tenant}, principals: {} }}",
                flow(&record.principals)
            )?;
        }
        let admins = &roster.admins;
        let time_lock = admins.time_lock.map(|time_lock| format!(", time-lock: {time_lock}"));
        writeln!(
            out,
            "admins: {{ threshold: {}, members: {}{} }}",
            admins.threshold,
            flow(&admins.members),
            time_lock.unwrap_or_default()
        )?;
        writeln!(out, "officers: {}", flow(&roster.officers))?;
        section(out, "observers", roster.observers.is_empty())?;
        for record in &roster.observers {
            writeln!(
                out,
                "  - {{ network: {}, threshold: {}, members: {} }}",
                quoted(record.network.as_str()),
                record.threshold,
                flow(&record.members)
            )?;
        }
        if let Some(delay) = roster.thaw_delay {
            writeln!(out, "thaw-delay: {delay}")?;
        }
        if !roster.price_sources.is_empty() {
            section(out, "price-sources", false)?;
        }
        for record in &roster.price_sources {
            let (age, spread) = (record.max_age, quoted(&record.max_spread.to_string()));
            writeln!(
                out,
                "  - {{ currency: {}, threshold: {}, members: {}, max-age: {age}, max-spread: {spread} }}",
                record.currency,
                record.threshold,
                flow(&record.members)
            )?;
        }
        Ok(())
    })
}

/// The text of `wallets.yaml`.
pub fn write_wallets(wallets: &[WalletRecord]) -> String {
    written(|out| {
        section(out, "wallets", wallets.is_empty())?;
        for wallet in wallets {
            writeln!(out, "  - id: {}", quoted(wallet.id.as_str()))?;
            writeln!(out, "    tier: {}", format!("{:?}", wallet.tier).to_ascii_lowercase())?;
            lines(out, "keys", &wallet.keys)?;
            if let Some(table) = &wallet.table {
                writeln!(out, "    key-table: {}", quoted(table.path()))?;
            }
            section(out, "  networks", wallet.networks.is_empty())?;
            for (chain, site) in &wallet.networks {
                let (chain, nonce) = (quoted(chain.as_str()), site.first_nonce);
                write!(out, "      - {{ chain: {chain}, first-nonce: {nonce}")?;
                if let Some(forms) = &site.forms {
                    let forms: Vec<_> = forms.iter().collect();
                    write!(out, ", forms: {}", flow(&forms))?;
                }
                match site.ages_from {
                    AgesFrom::Mined => {}
                    AgesFrom::Signature => write!(out, ", ages-from: signature")?,
                }
                writeln!(out, " }}")?;
            }
        }
        Ok(())
    })
}

fn written(write: impl Fn(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; if it did, an empty file does not load.
    write(&mut out).map_or_else(|_| String::new(), |()| out)
}

fn section(out: &mut String, name: &str, is_empty: bool) -> fmt::Result {
    let indent = if name.starts_with(' ') { "  " } else { "" };
    writeln!(out, "{indent}{name}:{}", if is_empty { " []" } else { "" })
}

fn lines<T: ToString>(out: &mut String, name: &str, values: &[T]) -> fmt::Result {
    writeln!(out, "    {name}:{}", if values.is_empty() { " []" } else { "" })?;
    for value in values {
        writeln!(out, "      - {}", quoted(&value.to_string()))?;
    }
    Ok(())
}

fn flow<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(&value.to_string())).collect();
    format!("[{}]", values.join(", "))
}

/// A YAML double-quoted scalar. Everything quoted here is printable ASCII; the rest is escaped all the same.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
