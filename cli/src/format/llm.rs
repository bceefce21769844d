//! Models, usage and budgets as tables. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Paint, one_line, table::Table};

/// The answer about models. Unknown fields are passed over, so that a newer service can be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Models {
    /// All that may be asked for.
    pub aliases: Vec<Alias>,
    /// The models behind it, by their names in the providers' file.
    pub models: BTreeMap<String, Model>,
}

/// What may be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Alias {
    /// Its name.
    pub alias: String,
    /// `chat`, `embedding` or `moderation`.
    pub kind: String,
    /// It is a route, not a model's own name.
    pub route: bool,
    /// The models that answer, by name.
    pub models: Vec<String>,
}

/// A model.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Who serves it.
    pub provider: Provider,
    /// Its name there.
    pub name: String,
    /// Input and output together.
    pub context_tokens: u64,
    /// What it costs.
    pub usd_per_million_tokens: Price,
    /// `closed`, `open` or `half_open`.
    pub breaker: String,
    /// Where it is open.
    pub open_until: Option<String>,
}

impl Model {
    /// Whether it is asked, and not spared because it failed.
    pub fn is_ready(&self) -> bool {
        self.breaker == "closed"
    }
}

/// A provider.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Provider {
    /// Its name.
    pub name: String,
}

/// US dollars per million tokens.
#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
#[serde(default)]
pub struct Price {
    /// Of input.
    pub input: f64,
    /// Of input that the provider had cached.
    pub cached_input: f64,
    /// Of output.
    pub output: f64,
}

/// The answer about usage.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    from: String,
    to: String,
    rows: Vec<Row>,
    total: Counters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    day: Option<String>,
    tenant: Option<String>,
    model: Option<String>,
    #[serde(flatten)]
    counters: Counters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counters {
    requests: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    nano_usd: u64,
}

/// The answer about budgets.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Budgets {
    budgets: Vec<Budget>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Budget {
    tenant: String,
    window: String,
    budget_nano_usd: u64,
    used_nano_usd: u64,
    left_nano_usd: u64,
    opens_at: String,
    when_spent: String,
}

/// US dollars, to the millionth.
pub fn usd(nano: u64) -> String {
    let micro = nano / 1_000 + u64::from(nano % 1_000 >= 500);
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

/// All that may be asked for, one line for each model that answers it.
pub fn models(said: &Models, paint: Paint) -> String {
    if said.aliases.is_empty() {
        return "there are no models; the providers' file (TASKLANE_PROVIDERS_FILE) names them\n".to_owned();
    }
    let mut table = Table::new(&[
        "ASK FOR",
        "KIND",
        "ANSWERS",
        "PROVIDER",
        "ITS NAME THERE",
        ">CONTEXT",
        ">INPUT",
        ">CACHED",
        ">OUTPUT",
        "STATE",
    ]);
    for alias in &said.aliases {
        for id in &alias.models {
            let unknown = Model::default();
            let model = said.models.get(id).unwrap_or(&unknown);
            let price = model.usd_per_million_tokens;
            let cost = |usd: f64| if price == Price::default() { "free".to_owned() } else { usd.to_string() };
            table.row([
                alias.alias.clone(),
                alias.kind.clone(),
                id.clone(),
                model.provider.name.clone(),
                model.name.clone(),
                model.context_tokens.to_string(),
                cost(price.input),
                cost(price.cached_input),
                cost(price.output),
                state(model),
            ]);
        }
    }
    format!("{}{}\n", table.render(paint), paint.dim("prices in US dollars per million tokens"))
}

fn state(model: &Model) -> String {
    match (model.breaker.as_str(), &model.open_until) {
        _ if model.is_ready() => "ready".to_owned(),
        ("open", Some(until)) => format!("failing, asked again at {until}"),
        _ => "failing, being tried".to_owned(),
    }
}

/// What was used.
pub fn usage(said: &Usage, paint: Paint) -> String {
    let (from, to) = (one_line(&said.from), one_line(&said.to));
    let Some(first) = said.rows.first() else {
        return format!("nothing was used from {from} to {to} (UTC)\n");
    };
    let has = [first.day.is_some(), first.tenant.is_some(), first.model.is_some()];
    let names = ["DAY", "TENANT", "MODEL"].into_iter().zip(has).filter(|(_, has)| *has).map(|(name, _)| name);
    let columns: Vec<&str> = names.chain([">CALLS", ">INPUT", ">CACHED", ">OUTPUT", ">USD"]).collect();
    let mut table = Table::new(&columns);
    let cells = |keys: Vec<String>, c: &Counters| {
        let numbers = [c.requests, c.input_tokens, c.cached_tokens, c.output_tokens].map(|n| n.to_string());
        keys.into_iter().chain(numbers).chain([usd(c.nano_usd)]).collect::<Vec<_>>()
    };
    for row in &said.rows {
        let keys = [&row.day, &row.tenant, &row.model].into_iter().zip(has).filter(|(_, has)| *has);
        table.row(cells(keys.map(|(key, _)| key.clone().unwrap_or_default()).collect(), &row.counters));
    }
    if said.rows.len() > 1 {
        let mut keys: Vec<String> = has.iter().filter(|has| **has).map(|_| String::new()).collect();
        if let Some(first) = keys.first_mut() {
            "all".clone_into(first);
        }
        table.row(cells(keys, &said.total));
    }
    format!("{}{}\n", table.render(paint), paint.dim(&format!("from {from} to {to}, days in UTC")))
}

/// How much of the budgets is spent.
pub fn budgets(said: &Budgets, paint: Paint) -> String {
    if said.budgets.is_empty() {
        return "no budget: nothing holds the spending\n".to_owned();
    }
    let mut table =
        Table::new(&["TENANT", "PER", ">BUDGET", ">SPENT", ">LEFT", ">SHARE", "WHOLE AGAIN", "WHEN SPENT"]);
    for b in &said.budgets {
        let share = 100.0 * b.used_nano_usd as f64 / b.budget_nano_usd.max(1) as f64;
        table.row([
            b.tenant.clone(),
            b.window.clone(),
            usd(b.budget_nano_usd),
            usd(b.used_nano_usd),
            usd(b.left_nano_usd),
            format!("{share:.0}%"),
            b.opens_at.clone(),
            b.when_spent.clone(),
        ]);
    }
    format!(
        "{}{}\n",
        table.render(paint),
        paint.dim("in US dollars; spent is what was used and what running calls hold")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { on: false };

    fn from<T: serde::de::DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn money_is_rounded_to_the_millionth() {
        let shown = [0, 499, 500, 1_234_567_890, 2_000_000_000_000].map(usd);
        assert_eq!(shown, ["0.000000", "0.000000", "0.000001", "1.234568", "2000.000000"]);
        assert_eq!(usd(u64::MAX), "18446744073.709552");
    }

    #[test]
    fn models_stand_under_what_they_answer() {
        let said = from(
            r#"{"aliases":[{"alias":"both","kind":"chat","route":true,"models":["a","b"]}],"models":{
            "a":{"provider":{"name":"p"},"name":"gpt","context_tokens":8000,"breaker":"closed",
                "usd_per_million_tokens":{"input":0.4,"cached_input":0.1,"output":1.6}},
            "b":{"provider":{"name":"q"},"name":"qwen\u001b[2J","context_tokens":4000,"breaker":"open",
                "open_until":"2026-11-21T12:00:00Z"}},"more":1}"#,
        );
        let text = models(&said, PLAIN);
        assert!(text.contains("both     chat  a        p         gpt"), "{text}");
        assert!(text.contains("0.4     0.1     1.6  ready"), "{text}");
        assert!(
            text.contains("free    free    free  failing, asked again at 2026-11-21T12:00:00Z"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(models(&Models::default(), PLAIN).contains("no models"));
    }

    #[test]
    fn usage_has_the_columns_that_were_asked_for_and_a_sum() {
        let rows = r#"{"from":"2026-11-20","to":"2026-11-21","rows":[
            {"tenant":"acme","requests":2,"input_tokens":30,"cached_tokens":4,"output_tokens":5,"nano_usd":70000},
            {"tenant":"zoo","requests":1,"input_tokens":3,"output_tokens":1,"nano_usd":1000}],
            "total":{"requests":3,"input_tokens":33,"cached_tokens":4,"output_tokens":6,"nano_usd":71000}}"#;
        let expected = "\
TENANT  CALLS  INPUT  CACHED  OUTPUT       USD
acme        2     30       4       5  0.000070
zoo         1      3       0       1  0.000001
all         3     33       4       6  0.000071
from 2026-11-20 to 2026-11-21, days in UTC
";
        assert_eq!(usage(&from(rows), PLAIN), expected);
        let none = usage(&from(r#"{"from":"2026-11-20","to":"2026-11-21","rows":[]}"#), PLAIN);
        assert_eq!(none, "nothing was used from 2026-11-20 to 2026-11-21 (UTC)\n");
    }

    #[test]
    fn budgets_show_what_is_left() {
        let said = from(
            r#"{"budgets":[{"tenant":"acme","window":"day","budget_nano_usd":500000000,"used_nano_usd":125000000,
            "left_nano_usd":375000000,"opens_at":"2026-11-22T00:00:00Z","when_spent":"refuse"}]}"#,
        );
        let text = budgets(&said, PLAIN);
        assert!(
            text.contains("acme    day  0.500000  0.125000  0.375000    25%  2026-11-22T00:00:00Z  refuse"),
            "{text}"
        );
        assert!(budgets(&Budgets::default(), PLAIN).contains("no budget"));
    }
}
