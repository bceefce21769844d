//! A filter from JSON. What is wrong with one is said with its place: `filter.year.$gte: …`.

use std::ops::Bound;

use serde_json::{Map, Value};
use thiserror::Error;

use super::number::Key;
use super::predicate::{Atom, Node, Predicate, Range, Test};

/// How deep `$and`, `$or` and `$not` may lie in one another.
const DEPTH: usize = 16;
/// How many operators a filter may have.
const TERMS: usize = 256;
/// How many values the lists of a filter may have together.
const VALUES: usize = 4096;
/// How long a field's name may be, in bytes.
pub(crate) const MOST_NAME: usize = 256;

const OPERATORS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin or $exists";

/// A filter that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {reason}")]
pub struct Wrong {
    /// The place in the filter: `filter.year.$gte`.
    pub path: String,
    /// What is wrong there and what is wanted.
    pub reason: String,
}

impl Predicate {
    /// Reads a filter. It may nest 16 deep and have 256 operators, and 4,096 values in lists.
    ///
    /// # Errors
    /// Where the filter is not one, with the place.
    pub fn parse(filter: &Value) -> Result<Self, Wrong> {
        Reader { path: vec!["filter".to_owned()], terms: 0, values: 0 }.filter(filter, 0).map(Self)
    }
}

struct Reader {
    path: Vec<String>,
    terms: usize,
    values: usize,
}

impl Reader {
    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong { path: self.path.join("."), reason: reason.into() })
    }

    fn at<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        self.path.push(shortened(name));
        let read = read(self)?;
        self.path.pop();
        Ok(read)
    }

    fn term(&mut self) -> Result<(), Wrong> {
        self.terms += 1;
        if self.terms > TERMS {
            self.wrong(format!("a filter has at most {TERMS} conditions"))
        } else {
            Ok(())
        }
    }

    fn filter(&mut self, filter: &Value, depth: usize) -> Result<Node, Wrong> {
        let Value::Object(filter) = filter else {
            return self.wrong(format!("a filter is an object, not {}", kind(filter)));
        };
        if depth > DEPTH {
            return self.wrong(format!("filters nest at most {DEPTH} deep"));
        }
        let mut nodes = Vec::with_capacity(filter.len().min(TERMS));
        for (key, value) in filter {
            nodes.push(self.at(key, |reader| reader.entry(key, value, depth))?);
        }
        Ok(match nodes.pop() {
            Some(only) if nodes.is_empty() => only,
            last => Node::All(nodes.into_iter().chain(last).collect()),
        })
    }

    fn entry(&mut self, key: &str, value: &Value, depth: usize) -> Result<Node, Wrong> {
        match key {
            "$and" => Ok(Node::All(self.filters(value, depth)?)),
            "$or" => Ok(Node::Any(self.filters(value, depth)?)),
            "$not" => {
                self.term()?;
                Ok(Node::Not(Box::new(self.filter(value, depth + 1)?)))
            }
            _ if key.starts_with('$') => self.wrong("a field's name is wanted, or $and, $or or $not"),
            _ if key.is_empty() || key.len() > MOST_NAME => {
                self.wrong(format!("a field's name has 1 to {MOST_NAME} bytes"))
            }
            _ => self.field(key, value),
        }
    }

    fn filters(&mut self, value: &Value, depth: usize) -> Result<Vec<Node>, Wrong> {
        self.term()?;
        match value {
            Value::Array(list) if !list.is_empty() => {
                let filters = list.iter().enumerate();
                filters
                    .map(|(i, value)| self.at(&i.to_string(), |reader| reader.filter(value, depth + 1)))
                    .collect()
            }
            Value::Array(_) => self.wrong("at least one filter is wanted"),
            other => self.wrong(format!("a list of filters is wanted, not {}", kind(other))),
        }
    }

    fn field(&mut self, field: &str, value: &Value) -> Result<Node, Wrong> {
        let Value::Object(operators) = value else {
            self.term()?;
            let atom = self.atom(value, "use $in to ask for one of several")?;
            return Ok(Node::Field(field.into(), Test::In(vec![atom])));
        };
        if operators.is_empty() {
            return self.wrong(format!("{OPERATORS} is wanted"));
        }
        let mut nodes = Vec::with_capacity(operators.len().min(TERMS));
        for (operator, value) in operators {
            if let Some(node) = self.at(operator, |reader| reader.operator(field, operator, value))? {
                nodes.push(node);
            }
        }
        if let Some(test) = self.range(operators)? {
            nodes.push(Node::Field(field.into(), test));
        }
        Ok(match nodes.pop() {
            Some(only) if nodes.is_empty() => only,
            last => Node::All(nodes.into_iter().chain(last).collect()),
        })
    }

    /// A condition by one operator; the bounds are taken together afterwards.
    fn operator(&mut self, field: &str, operator: &str, value: &Value) -> Result<Option<Node>, Wrong> {
        self.term()?;
        let is = |test| Node::Field(field.into(), test);
        let not = |node| Node::Not(Box::new(node));
        Ok(Some(match operator {
            "$eq" => is(Test::In(vec![self.atom(value, "use $in to ask for one of several")?])),
            "$ne" => not(is(Test::In(vec![self.atom(value, "use $nin to rule out several")?]))),
            "$in" => is(Test::In(self.atoms(value)?)),
            "$nin" => not(is(Test::In(self.atoms(value)?))),
            "$exists" => match value {
                Value::Bool(true) => is(Test::Exists),
                Value::Bool(false) => not(is(Test::Exists)),
                other => return self.wrong(format!("true or false is wanted, not {}", kind(other))),
            },
            "$gt" | "$gte" | "$lt" | "$lte" => match value {
                Value::Number(_) | Value::String(_) => return Ok(None),
                other => return self.wrong(format!("a number or text is wanted, not {}", kind(other))),
            },
            _ if operator.starts_with('$') => {
                return self.wrong(format!("there is no such operator: {OPERATORS} is wanted"));
            }
            _ => {
                return self
                    .wrong(format!("{OPERATORS} is wanted; a nested field is written as outer.inner"));
            }
        }))
    }

    fn range(&mut self, operators: &Map<String, Value>) -> Result<Option<Test>, Wrong> {
        let mut numbers = Range::everything();
        let mut texts = Range::everything();
        let (mut some_number, mut some_text) = (false, false);
        for (operator, value) in operators {
            if !matches!(operator.as_str(), "$gt" | "$gte" | "$lt" | "$lte") {
                continue;
            }
            match self.at(operator, |reader| reader.atom(value, ""))? {
                Atom::Number(key) => {
                    some_number = true;
                    narrow(&mut numbers, operator, key);
                }
                Atom::Text(text) => {
                    some_text = true;
                    narrow(&mut texts, operator, text);
                }
                Atom::Null | Atom::Bool(_) => {}
            }
        }
        match (some_number, some_text) {
            (true, true) => self.wrong("the bounds of a range are all numbers or all texts"),
            (true, false) => Ok(Some(Test::Numbers(numbers))),
            (false, true) => Ok(Some(Test::Texts(texts))),
            (false, false) => Ok(None),
        }
    }

    fn atom(&self, value: &Value, instead: &str) -> Result<Atom, Wrong> {
        match value {
            Value::Null => Ok(Atom::Null),
            Value::Bool(bool) => Ok(Atom::Bool(*bool)),
            Value::Number(number) => match Key::of(number) {
                Some(key) => Ok(Atom::Number(key)),
                None => self.wrong("this number is out of range"),
            },
            Value::String(text) => Ok(Atom::Text(text.as_str().into())),
            Value::Array(_) if !instead.is_empty() => {
                self.wrong(format!("one value is wanted, not a list: {instead}"))
            }
            other => {
                self.wrong(format!("a text, a number, true, false or null is wanted, not {}", kind(other)))
            }
        }
    }

    fn atoms(&mut self, value: &Value) -> Result<Vec<Atom>, Wrong> {
        let Value::Array(list) = value else {
            return self.wrong(format!("a list of values is wanted, not {}", kind(value)));
        };
        self.values = self.values.saturating_add(list.len());
        if self.values > VALUES {
            return self.wrong(format!("the lists of a filter have at most {VALUES} values"));
        }
        let read = list.iter().enumerate();
        let read = read.map(|(i, value)| self.at(&i.to_string(), |reader| reader.atom(value, "")));
        let mut atoms = read.collect::<Result<Vec<_>, _>>()?;
        atoms.sort_unstable();
        atoms.dedup();
        Ok(atoms)
    }
}

/// The tighter of the bound that is there and a new one.
fn narrow<K: Ord>(range: &mut Range<K>, operator: &str, key: K) {
    let (inside, open) = match operator {
        "$gt" | "$gte" => (!range.is_below(&key), operator == "$gt"),
        _ => (!range.is_above(&key), operator == "$lt"),
    };
    if inside {
        let bound = if open { Bound::Excluded(key) } else { Bound::Included(key) };
        *if operator.starts_with("$gt") { &mut range.low } else { &mut range.high } = bound;
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A name as it is shown in a message: somebody else chose it and its length.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
