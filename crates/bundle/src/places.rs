//! Where each value of a YAML file stands, by path: `people[2].keys[0]`, `permits[0].amount.max.ETH`.
//!
//! Typed reading keeps no positions, and its errors come one at a time. This index lets every later check name the exact
//! line and column, and it sees what typed reading hides: keys without a value, and how a number was spelt.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::problem::Problem;

/// Line and column, from 1.
pub(crate) type Place = (u32, u32);

/// The top of a file.
pub(crate) const TOP: Place = (1, 1);

/// The places of one file.
#[derive(Debug, Default)]
pub(crate) struct Places {
    values: BTreeMap<String, Place>,
    keys: BTreeMap<String, Place>,
    /// Plain scalars as they were written.
    plain: BTreeMap<String, String>,
    /// Keys that have no value.
    pub(crate) empty: Vec<(Place, String)>,
    /// Keys, values and collections with a tag.
    pub(crate) tagged: Vec<Place>,
}

/// A collection that is being read.
enum Frame {
    Sequence { path: String, next: usize },
    Mapping { path: String, key: Option<String> },
}

impl Places {
    /// Indexes text that the strict reader has accepted or will judge; stops where the text stops being YAML.
    pub(crate) fn of(text: &str) -> Self {
        let mut places = Self::default();
        let mut frames: Vec<Frame> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            places.tagged.extend(event.tag().map(|_| place(&span)));
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a foreign, open enum: other events hold no values"
            )]
            match event {
                Event::Scalar(value, style, _, _) => places.scalar(&mut frames, &value, style, place(&span)),
                Event::SequenceStart(..) => {
                    let path = places.enter(&mut frames, place(&span));
                    frames.push(Frame::Sequence { path, next: 0 });
                }
                Event::MappingStart(..) => {
                    let path = places.enter(&mut frames, place(&span));
                    frames.push(Frame::Mapping { path, key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => drop(frames.pop()),
                _ => {}
            }
        }
        places
    }

    fn scalar(&mut self, frames: &mut [Frame], text: &str, style: ScalarStyle, at: Place) {
        if let Some(Frame::Mapping { path, key }) = frames.last_mut()
            && key.is_none()
        {
            self.keys.insert(join(path, text), at);
            *key = Some(text.to_owned());
            return;
        }
        let path = self.enter(frames, at);
        if style == ScalarStyle::Plain {
            if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
                let at = self.keys.get(&path).copied().unwrap_or(at);
                self.empty.push((at, path.clone()));
            }
            self.plain.insert(path, text.to_owned());
        }
    }

    /// Notes a value and returns its path.
    fn enter(&mut self, frames: &mut [Frame], at: Place) -> String {
        let path = match frames.last_mut() {
            None => String::new(),
            Some(Frame::Sequence { path, next }) => {
                let element = format!("{path}[{next}]");
                *next = next.saturating_add(1);
                element
            }
            Some(Frame::Mapping { path, key }) => join(path, &key.take().unwrap_or_default()),
        };
        self.values.entry(path.clone()).or_insert(at);
        path
    }

    /// Where a value stands, or the nearest value around it.
    pub(crate) fn value(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.values.get(path) {
                return *place;
            }
            let Some(end) = path.rfind(['.', '[']) else { return TOP };
            path = path.split_at(end).0;
        }
    }

    /// Where a key stands, or its value.
    pub(crate) fn key(&self, path: &str) -> Place {
        self.exact_key(path).unwrap_or_else(|| self.value(path))
    }

    /// Where a key stands, if it does.
    pub(crate) fn exact_key(&self, path: &str) -> Option<Place> {
        self.keys.get(path).copied()
    }

    /// Whether a value is a text in quotes.
    pub(crate) fn is_quoted(&self, path: &str) -> bool {
        self.values.contains_key(path) && !self.plain.contains_key(path)
    }

    /// Whether a value that stands here is a whole number in plain decimal digits. Typed reading also takes `"5"`, `0x5` and `1_000`.
    pub(crate) fn is_number(&self, path: &str) -> Option<bool> {
        self.values.contains_key(path).then(|| {
            let is_plain = |text: &String| text.parse::<u64>().is_ok_and(|number| number.to_string() == *text);
            self.plain.get(path).is_some_and(is_plain)
        })
    }

    /// How many of a quorum: at least one, for a quorum of nobody would be fulfilled.
    pub(crate) fn seats(&self, path: &str, value: u64, max: u64) -> Result<u64, Problem> {
        if value == 0 {
            return Err(Problem::NoSeats { max });
        }
        self.number(path, value, (1, max))
    }

    /// A whole number in plain decimal digits.
    pub(crate) fn number(&self, path: &str, value: u64, (min, max): (u64, u64)) -> Result<u64, Problem> {
        let is_plain = self.plain.get(path).is_some_and(|text| *text == value.to_string());
        if !is_plain || !(min..=max).contains(&value) {
            return Err(Problem::BadNumber { min, max });
        }
        Ok(value)
    }
}

fn place(span: &Span) -> Place {
    let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
    let column = u32::try_from(span.start.col()).unwrap_or(u32::MAX);
    (line, column.saturating_add(1))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# comment
permits:
  - id: one
    amount: { max: { ETH: \"1 ETH\" } }
  - id: two
    effects:
      - fee
count: 10
quoted: \"10\"
empty:
tilde: ~
";

    #[test]
    fn finds_values_and_keys_at_any_depth() {
        let places = Places::of(TEXT);
        assert_eq!(places.value("permits[0].id"), (3, 9));
        assert_eq!(places.value("permits[0].amount.max.ETH"), (4, 27));
        assert_eq!(places.key("permits[0].amount.max.ETH"), (4, 22));
        assert_eq!(places.value("permits[1].effects[0]"), (7, 9));
        assert_eq!(places.key("permits[1].effects"), (6, 5));
    }

    #[test]
    fn what_is_absent_is_where_it_would_be() {
        let places = Places::of(TEXT);
        assert_eq!(places.value("permits[1].wallets[3]"), places.value("permits[1]"));
        assert_eq!(places.value("nothing"), (1, 1));
    }

    #[test]
    fn finds_keys_without_a_value() {
        assert_eq!(
            Places::of(TEXT).empty,
            [((10, 1), "empty".to_owned()), ((11, 1), "tilde".to_owned())]
        );
    }

    #[test]
    fn a_text_in_quotes_is_told_from_a_plain_one() {
        let places = Places::of(TEXT);
        assert!(places.is_quoted("quoted") && places.is_quoted("permits[0].amount.max.ETH"));
        assert!(!places.is_quoted("count") && !places.is_quoted("nothing"));
    }

    #[test]
    fn numbers_are_plain_and_in_range() {
        let places = Places::of(TEXT);
        assert_eq!(places.number("count", 10, (1, 10)), Ok(10));
        assert_eq!(
            places.number("count", 10, (1, 9)),
            Err(Problem::BadNumber { min: 1, max: 9 })
        );
        assert_eq!(
            places.number("quoted", 10, (1, 10)),
            Err(Problem::BadNumber { min: 1, max: 10 })
        );
        assert_eq!(places.seats("count", 10, 10), Ok(10));
        assert_eq!(places.seats("count", 0, 10), Err(Problem::NoSeats { max: 10 }));
        assert_eq!(places.seats("count", 10, 9), Err(Problem::BadNumber { min: 1, max: 9 }));
    }
}
