//! `hours`, `words`, `attributes`, `fee.share`: conditions that are written in a form of their own.

use std::collections::BTreeMap;

use countersign_policy::{Attributes, Condition, Day, FeeRate, FeeShare, Hours, MAX_WORD, Word, WordTest, Words, Zone};
use countersign_types::{Amount, AttributeName};
use data_encoding::HEXLOWER;

use super::{
    conditions::Reader,
    raw::{RawHours, RawWord},
};
use crate::problem::Problem;

impl<T> Reader<'_, T> {
    pub(super) fn hours(&mut self, path: &str, raw: &RawHours) -> Option<Condition> {
        let zone = raw
            .zone
            .parse::<Zone>()
            .map_err(|error| self.fail(&format!("{path}.zone"), error));
        let days = self.one_of(&format!("{path}.days"), Some(&raw.days), day);
        let mut minute = |field: &str, text: &str| {
            minutes(text)
                .ok_or(Problem::BadHours)
                .map_err(|problem| self.fail(&format!("{path}.{field}"), problem))
        };
        let (from, to) = (minute("from", &raw.from), minute("to", &raw.to));
        let (zone, days, from, to) = (zone.ok()?, days?, from.ok()?, to.ok()?);
        let hours = Hours::new(zone, days, from.checked_mul(60)?, to.checked_mul(60)?);
        let hours = hours
            .ok_or(Problem::BadHours)
            .map_err(|problem| self.fail(&format!("{path}.from"), problem));
        hours.ok().map(Condition::Hours)
    }

    pub(super) fn words(&mut self, path: &str, raw: &[RawWord]) -> Option<Condition> {
        let mut words: Vec<Word> = Vec::new();
        for (n, raw) in raw.iter().enumerate() {
            let at = format!("{path}[{n}].at");
            let test = self.word_test(&format!("{path}[{n}]"), raw)?;
            let number = self.doc.places.number(&at, raw.at, (0, MAX_WORD.into()));
            let number = number.map_err(|problem| self.fail(&at, problem)).ok()?;
            let number = u8::try_from(number).ok()?;
            if words.iter().any(|word| word.at == number) {
                let id = number.to_string();
                self.fail(&at, Problem::Duplicate { what: "word", id });
                return None;
            }
            words.push(Word { at: number, test });
        }
        Some(Condition::Words(Words(words)))
    }

    /// Exactly one of the three ways to ask.
    fn word_test(&mut self, path: &str, raw: &RawWord) -> Option<WordTest> {
        let mut bound = |field: &str, text: &String| {
            let value = word_value(text);
            value
                .map_err(|problem| self.fail(&format!("{path}.{field}"), problem))
                .ok()
        };
        match (&raw.values, &raw.max, &raw.over) {
            (Some(values), None, None) => {
                let values = self.one_of(&format!("{path}.values"), Some(values), word_value);
                values.map(WordTest::OneOf)
            }
            (None, Some(max), None) => bound("max", max).map(WordTest::Max),
            (None, None, Some(over)) => bound("over", over).map(WordTest::Over),
            (_, _, _) => {
                self.fail(&format!("{path}.at"), Problem::BadWordTest);
                None
            }
        }
    }

    pub(super) fn attributes(&mut self, path: &str, raw: &BTreeMap<String, Vec<String>>) -> Option<Condition> {
        let mut attributes = BTreeMap::new();
        for (name, values) in raw {
            let at = format!("{path}.{name}");
            let parsed = name.parse::<AttributeName>();
            let parsed = parsed.map_err(|error| self.errors.push(self.doc.key(&at, error)));
            let values = self.one_of(&at, Some(values), |text| Ok(text.parse()?));
            if let (Ok(name), Some(values)) = (parsed, values) {
                attributes.insert(name, values);
            }
        }
        Some(Condition::Attributes(Attributes(attributes)))
    }

    /// The most for each unit: a price of the network's own, so never in money.
    pub(super) fn rate(&mut self, path: &str, text: &str) -> Condition {
        let bounds = self.bound(path, text);
        if bounds.money().next().is_some() {
            self.fail(path, Problem::BadRate);
        }
        Condition::FeeRate(FeeRate(bounds))
    }

    pub(super) fn share(&mut self, path: &str, text: &str) -> Option<Condition> {
        let share = basis_points(text).and_then(FeeShare::from_basis_points);
        let share = share
            .ok_or(Problem::BadShare)
            .map_err(|problem| self.fail(path, problem));
        share.ok().map(Condition::FeeShare)
    }

    pub(super) fn fail(&mut self, path: &str, problem: impl Into<Problem>) {
        self.errors.push(self.doc.value(path, problem));
    }
}

fn day(text: &str) -> Result<Day, Problem> {
    let day = Day::ALL.into_iter().find(|day| day.as_str() == text);
    day.ok_or_else(|| Problem::BadWord {
        word: text.chars().take(64).collect(),
        allowed: "`mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`",
    })
}

/// `09:30`, up to `24:00`, in minutes of the day.
fn minutes(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok());
    let (hour, minute): (u32, u32) = (digits(hour)??, digits(minute)??);
    let minutes = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && minutes <= 24 * 60).then_some(minutes)
}

/// `2 %` or `0.25 %`, in hundredths of a percent.
fn basis_points(text: &str) -> Option<u16> {
    let decimals = countersign_types::Decimals::new(2).ok()?;
    let points = Amount::parse_decimal(text.strip_suffix(" %")?, decimals).ok()?;
    points.to_string().parse().ok()
}

pub(crate) fn word_value(text: &str) -> Result<Amount, Problem> {
    let Some(hex) = text.strip_prefix("0x") else {
        return text.parse().map_err(|_| Problem::BadWordValue);
    };
    let is_short = !hex.is_empty() && hex.len() <= 64;
    let padded = is_short.then(|| format!("{hex:0>64}"));
    let bytes = padded.and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(Amount::from_be_bytes).ok_or(Problem::BadWordValue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_whole_minutes() {
        assert_eq!(minutes("00:00"), Some(0));
        assert_eq!(minutes("09:30"), Some(570));
        assert_eq!(minutes("24:00"), Some(1_440));
        for bad in [
            "24:01", "9:30", "09:60", "09:3", "0930", "09:30:00", "-1:00", "+9:30", "",
        ] {
            assert_eq!(minutes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn shares_are_hundredths_of_a_percent() {
        assert_eq!(basis_points("2 %"), Some(200));
        assert_eq!(basis_points("0.25 %"), Some(25));
        for bad in ["2%", "2", "0.255 %", "-1 %", "2  %", "1e2 %", "70000 %"] {
            assert_eq!(basis_points(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn words_are_numbers() {
        assert_eq!(word_value("10"), Ok(Amount::from_base_units(10)));
        assert_eq!(word_value("0x0a"), Ok(Amount::from_base_units(10)));
        assert_eq!(word_value("0xa"), Ok(Amount::from_base_units(10)));
        for bad in ["", "0x", "0xG0", "0xAB", "010", "-1", &format!("0x{}", "0".repeat(65))] {
            assert_eq!(word_value(bad), Err(Problem::BadWordValue), "{bad:?}");
        }
    }
}
