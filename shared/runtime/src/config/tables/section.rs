//! A table of a file, read key by key: every wrong type and every unknown key becomes a mistake with its place.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Notes;
use super::words::{hint, shown};

/// A value of the file with its place.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// A table of the file.
pub struct Section<'a> {
    /// What it describes, for messages: "model `fast`".
    pub what: String,
    /// Where to point when something is absent: its name, or the whole of a table without one.
    pub at: Range<usize>,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn root(table: &'a DeTable<'a>) -> Self {
        Self { what: "the file".to_owned(), at: 0..0, table }
    }

    /// A value that must be a table.
    pub fn of(value: &'a Value<'a>, what: String, at: Range<usize>, notes: &mut Notes<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self { what, at, table }),
            other => {
                notes.add(&value.span(), format!("{what} must be a table, not {}", kind(other)));
                None
            }
        }
    }

    /// Whether it has a key.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A key's value.
    pub fn value(&self, key: &str) -> Option<&'a Value<'a>> {
        self.table.get(key)
    }

    /// Whether a key is there and a list.
    pub fn is_list(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value.get_ref().is_array())
    }

    /// The keys of a table in this one, those with mistakes too: who refers to one is not told that it is missing.
    pub fn names_in(&self, key: &str) -> Vec<&'a str> {
        let table = self.value(key).and_then(|value| value.get_ref().as_table());
        table.into_iter().flat_map(|table| table.keys().map(|key| key.get_ref().as_ref())).collect()
    }

    /// All keys with their places and values.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Range<usize>, &'a Value<'a>)> + use<'a> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
    }

    /// Where a key's value stands; the section itself for a key that it lacks.
    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.at.clone(), Spanned::span)
    }

    /// Notes every key that is not among these.
    pub fn only(&self, known: &[&str], notes: &mut Notes<'_>) {
        for (key, at, _) in self.entries().filter(|(key, ..)| !known.contains(key)) {
            let hint = hint(key, known.iter().copied());
            notes.add(&at, format!("{} has no key {}{hint}", self.what, shown(key)));
        }
    }

    /// A table in this one.
    pub fn section(&self, key: &str, notes: &mut Notes<'_>) -> Option<Section<'a>> {
        let (name, value) = self.table.get_key_value(key)?;
        Section::of(value, format!("`{key}` of {}", self.what), name.span(), notes)
    }

    /// A list; empty if the key is absent.
    pub fn list(&self, key: &str, notes: &mut Notes<'_>) -> &'a [Value<'a>] {
        match self.table.get(key).map(|value| (value, value.get_ref())) {
            None => &[],
            Some((_, DeValue::Array(list))) => list,
            Some((value, other)) => {
                self.wrong(key, value, "a list", other, notes);
                &[]
            }
        }
    }

    /// A text, where the key is there and one.
    pub fn text(&self, key: &str, notes: &mut Notes<'_>) -> Option<&'a str> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            other => {
                self.wrong(key, value, "text in quotes", other, notes);
                None
            }
        }
    }

    /// A text that must be there.
    pub fn needed_text(&self, key: &str, notes: &mut Notes<'_>) -> Option<&'a str> {
        if !self.has(key) {
            notes.add(&self.at, format!("{} has no `{key}`", self.what));
        }
        self.text(key, notes)
    }

    /// A yes or no, where the key is there and one.
    pub fn flag(&self, key: &str, notes: &mut Notes<'_>) -> Option<bool> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                self.wrong(key, value, "true or false", other, notes);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn whole(&self, key: &str, bounds: RangeInclusive<u64>, notes: &mut Notes<'_>) -> Option<u64> {
        let value = self.table.get(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong(key, value, "a whole number", value.get_ref(), notes);
            return None;
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|n| u64::try_from(n).ok()).filter(|n| bounds.contains(n));
        if number.is_none() {
            let (low, high) = bounds.into_inner();
            notes.add(&value.span(), format!("{}: `{key}` must be from {low} to {high}", self.what));
        }
        number
    }

    /// A number as it is written, in decimal: whole or with a point.
    pub fn number(&self, key: &str, notes: &mut Notes<'_>) -> Option<Cow<'a, str>> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::Float(float) => Some(float.as_str().into()),
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str().into()),
            other => {
                self.wrong(key, value, "a decimal number", other, notes);
                None
            }
        }
    }

    /// One of a few words; `None` with a mistake for any other, `None` without one if the key is absent.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)], notes: &mut Notes<'_>) -> Option<T> {
        let given = self.text(key, notes)?;
        let found = words.iter().find(|(word, _)| *word == given);
        if found.is_none() {
            let hint = hint(given, words.iter().map(|(word, _)| *word));
            let text = format!("{}: {} is no `{key}`{hint}", self.what, shown(given));
            notes.add(&self.span_of(key), text);
        }
        found.map(|(_, meaning)| *meaning)
    }

    fn wrong(&self, key: &str, value: &Value<'_>, wanted: &str, found: &DeValue<'_>, notes: &mut Notes<'_>) {
        notes.add(&value.span(), format!("{}: `{key}` must be {wanted}, not {}", self.what, kind(found)));
    }
}

/// What a value is, with its article. Its content is not shown: it may be a key in the wrong place.
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
