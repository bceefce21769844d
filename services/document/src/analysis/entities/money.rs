//! Sums of money: a number beside a currency's sign or code.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, pattern};

/// Signs and names, and the ISO 4217 code each stands for. `$`, `¥` and `kr` stand for the likeliest.
const CURRENCIES: [(&str, &str); 24] = [
    ("US$", "USD"),
    ("A$", "AUD"),
    ("C$", "CAD"),
    ("HK$", "HKD"),
    ("R$", "BRL"),
    ("$", "USD"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("¥", "JPY"),
    ("₹", "INR"),
    ("₩", "KRW"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₴", "UAH"),
    ("₪", "ILS"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("euros", "EUR"),
    ("euro", "EUR"),
    ("dollars", "USD"),
    ("Dollar", "USD"),
    ("Fr.", "CHF"),
    ("pounds", "GBP"),
    ("SFr.", "CHF"),
];

/// ISO 4217 codes that are looked for as such.
const CODES: &str = "AED|AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|NOK|NZD|PLN|RON|RUB|\
    SAR|SEK|SGD|THB|TRY|UAH|USD|ZAR";

/// Words and letters that multiply, and by how many powers of ten.
const SCALES: [(&str, usize); 16] = [
    ("thousand", 3),
    ("tausend", 3),
    ("million", 6),
    ("millionen", 6),
    ("millions", 6),
    ("mio", 6),
    ("mio.", 6),
    ("mn", 6),
    ("m", 6),
    ("k", 3),
    ("billion", 9),
    ("milliarden", 9),
    ("mrd", 9),
    ("mrd.", 9),
    ("bn", 9),
    ("milliards", 9),
];

static MONEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let mut signs: Vec<String> = CURRENCIES.iter().map(|(sign, _)| regex::escape(sign)).collect();
    signs.sort_by_key(|sign| std::cmp::Reverse(sign.len()));
    let signs = signs.join("|");
    let amount =
        r"[0-9]{1,3}(?:[ .,'’\u{a0}\u{202f}][0-9]{3})+(?:[.,][0-9]{1,2})?|[0-9]{1,15}(?:[.,][0-9]{1,4})?";
    let scale = r"(?: ?(?:mio\.|mrd\.|(?:thousand|tausend|millionen|millions|million|mio|milliarden|milliards|billion|mrd|bn|mn|[mk])(?-u:\b)))";
    pattern(&format!(
        r"(?i)(?:(?P<before>{signs}|(?-u:\b)(?:{CODES})) ?(?P<a>{amount})(?P<s>{scale})?|(?-u:\b)(?P<b>{amount})(?P<t>{scale})?[ \u{{a0}}\u{{202f}}]?(?P<after>{signs}|(?:{CODES})(?-u:\b)))"
    ))
});

/// Sums with their currency, normalised to `<decimal> <ISO 4217>`.
pub fn find(text: &str) -> Vec<Found> {
    let matches = MONEY.iter().flat_map(|money| money.captures_iter(text));
    let read = matches.filter_map(|captures| {
        let whole = captures.get(0)?;
        // A number that goes on behind the match was cut in the middle.
        let next = text[whole.end()..].chars().next();
        if captures.name("a").is_some() && next.is_some_and(|c| c.is_ascii_digit()) {
            return None;
        }
        let group =
            |names: [&str; 2]| names.iter().find_map(|name| captures.name(name)).map(|found| found.as_str());
        let currency = code(group(["before", "after"])?)?;
        let amount = decimal(group(["a", "b"])?)?;
        let scale = group(["s", "t"]).map_or(0, |word| powers(word.trim()));
        let value = format!("{} {currency}", shift(&amount, scale));
        Some(Found { start: whole.start(), end: whole.end(), value: Some(value) })
    });
    read.collect()
}

fn code(sign: &str) -> Option<&'static str> {
    let exact = CURRENCIES.iter().find(|(known, _)| *known == sign);
    let known = exact.or_else(|| CURRENCIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(sign)));
    // A code in lower case is a word: `all 5 try`.
    known.map(|(_, code)| *code).or_else(|| CODES.split('|').find(|code| *code == sign))
}

fn powers(word: &str) -> usize {
    let lower = word.to_lowercase();
    SCALES.iter().find(|(known, _)| *known == lower).map_or(0, |(_, powers)| *powers)
}

/// A number with whatever separators, as a decimal with a point. The last separator is the decimal one if it is
/// a point or comma that stands but once and not before exactly three digits.
pub fn decimal(written: &str) -> Option<String> {
    let last = written.rfind(['.', ',']);
    let is_decimal = last.is_some_and(|at| {
        let separator = &written[at..=at];
        let digits = written.len() - at - 1;
        written.matches(separator).count() == 1 && (digits != 3 || written.starts_with("0"))
    });
    let (whole, fraction) = match last {
        Some(at) if is_decimal => (&written[..at], &written[at + 1..]),
        _ => (written, ""),
    };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (whole, fraction) = (digits(whole), digits(fraction));
    let trimmed = whole.trim_start_matches('0');
    let whole = if trimmed.is_empty() { "0" } else { trimmed };
    (!digits(written).is_empty())
        .then(|| if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

/// `decimal` times ten to the power of `places`.
fn shift(decimal: &str, places: usize) -> String {
    if places == 0 {
        return decimal.to_owned();
    }
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let moved: String = fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
    let rest = fraction.get(places..).unwrap_or_default();
    let joined = format!("{whole}{moved}");
    let joined = joined.trim_start_matches('0');
    let joined = if joined.is_empty() { "0" } else { joined };
    if rest.is_empty() { joined.to_owned() } else { format!("{joined}.{rest}") }
}
