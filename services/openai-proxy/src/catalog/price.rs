//! What a model costs, in whole numbers from the file to the bill.

use tasklane_runtime::config::tables::{Notes, Section};

use super::decimal::{Unfit, scaled};
use super::models::Kind;

/// Tokens for which a price in the file holds, over tokens for which the price is held here: a price in USD per
/// million tokens, with six places, is a whole number of nano-USD per thousand tokens.
const PLACES: u32 = 6;
const PER_TOKENS: u128 = 1_000;

/// The highest believable price, in USD per million tokens. Far above any list price; below it hides a slipped point.
const MAX_USD: u64 = 10_000;

/// Prices in nano-USD per thousand tokens (0.40 USD per million tokens are 400,000 of these).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// For an input token that the provider had not cached.
    pub input: u64,
    /// For an input token that it had cached; at most as high as `input`.
    pub cached_input: u64,
    /// For an output token.
    pub output: u64,
}

impl Price {
    /// The price of a model that costs nothing.
    pub const FREE: Self = Self { input: 0, cached_input: 0, output: 0 };

    /// What a call costs, in nano-USD, rounded up once, at the end; `u64::MAX` for what does not fit.
    ///
    /// Tokens count as in a provider's `usage`: `input` is all input, cached or not, and `cached_input` is how much
    /// of it was cached. A report with more cached than input is charged for all that it says was cached.
    #[must_use]
    pub fn cost(&self, input: u64, cached_input: u64, output: u64) -> u64 {
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        // Three products below 2^98 each, for no price is above 2^34 (10^10).
        let thousandths = part(input.saturating_sub(cached_input), self.input)
            .saturating_add(part(cached_input, self.cached_input))
            .saturating_add(part(output, self.output));
        u64::try_from(thousandths.div_ceil(PER_TOKENS)).unwrap_or(u64::MAX)
    }
}

/// Reads `price` and `free` of a model: exactly one of them must be there, so that nothing is free by oversight.
pub(super) fn read(model: &Section<'_>, kind: Kind, notes: &mut Notes<'_>) -> Option<Price> {
    let free = model.flag("free", notes);
    let Some(section) = model.section("price", notes) else {
        // Where `price` or `free` is there and of the wrong type, that is the mistake.
        if !model.has("price") && (free == Some(false) || !model.has("free")) {
            let text = "no price: give `price = { input = …, output = … }` in USD per million tokens, or `free = true`";
            notes.add(&model.at, format!("{} has {text}", model.what));
        }
        return (free == Some(true)).then_some(Price::FREE);
    };
    if free == Some(true) {
        notes.add(&model.span_of("free"), format!("{} is free and has a price; leave one out", model.what));
    }
    section.only(&["input", "cached_input", "output"], notes);
    let input = rate(&section, "input", notes);
    let output = rate(&section, "output", notes);
    let cached_input = rate(&section, "cached_input", notes);
    for (key, needed) in [("input", true), ("output", kind == Kind::Chat)] {
        if needed && !section.has(key) {
            notes.add(&section.at, format!("{} has no `{key}`", section.what));
        }
    }
    let price = Price {
        input: input?,
        cached_input: if section.has("cached_input") { cached_input? } else { input? },
        output: if section.has("output") { output? } else { 0 },
    };
    if price == Price::FREE {
        notes.add(&section.at, format!("{} is zero; write `free = true` if that is meant", section.what));
    }
    if price.cached_input > price.input {
        let text = "`cached_input` is higher than `input`; are they exchanged?";
        notes.add(&section.span_of("cached_input"), format!("{}: {text}", section.what));
    }
    Some(price)
}

fn rate(section: &Section<'_>, key: &str, notes: &mut Notes<'_>) -> Option<u64> {
    let number = section.number(key, notes)?;
    let text = match scaled(&number, PLACES) {
        Ok(rate) if rate <= MAX_USD * 10u64.pow(PLACES) => return Some(rate),
        Ok(_) | Err(Unfit::TooLarge) => {
            format!("is above {MAX_USD} USD per million tokens; is the point right?")
        }
        Err(Unfit::Negative) => "is negative".to_owned(),
        Err(Unfit::TooFine) => format!("has more than {PLACES} places; the rest would be lost"),
        Err(Unfit::NotANumber) => "must be a number".to_owned(),
    };
    notes.add(&section.span_of(key), format!("{}: `{key}` {text}", section.what));
    None
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::{MAX_USD, Price};

    const HIGHEST: u64 = MAX_USD * 1_000_000;

    fn tokens() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..5_000, any::<u64>()]
    }

    proptest! {
        #[test]
        fn costs_agree_with_big_integers(
            input in 0..=HIGHEST, cached_input in 0..=HIGHEST, output in 0..=HIGHEST,
            fresh in tokens(), cached in tokens(), written in tokens(),
        ) {
            let price = Price { input, cached_input, output };
            let all = fresh.saturating_add(cached);
            let fresh = all - cached;
            let big = |tokens: u64, price: u64| BigUint::from(tokens) * BigUint::from(price);
            let exact = big(fresh, input) + big(cached, cached_input) + big(written, output);
            let rounded_up = (exact + BigUint::from(999u32)) / BigUint::from(1_000u32);
            prop_assert_eq!(price.cost(all, cached, written), u64::try_from(rounded_up).unwrap_or(u64::MAX));
        }

        #[test]
        fn more_never_costs_less(
            price in (0..=HIGHEST, 0..=HIGHEST), a in tokens(), b in tokens(), cached in tokens(), more in tokens(),
        ) {
            let price = Price { input: price.0.max(price.1), cached_input: price.0.min(price.1), output: price.0 };
            let cost = price.cost(a, cached.min(a), b);
            prop_assert!(price.cost(a.saturating_add(more), cached.min(a), b) >= cost);
            prop_assert!(price.cost(a, cached.min(a), b.saturating_add(more)) >= cost);
            prop_assert!(price.cost(a, 0, b) >= cost, "what was cached is a rebate");
        }
    }

    #[test]
    fn one_million_tokens_cost_the_list_price_and_one_token_is_not_free() {
        let price = Price { input: 400_000, cached_input: 100_000, output: 1_600_000 };
        assert_eq!(price.cost(1_000_000, 0, 0), 400_000_000);
        assert_eq!(price.cost(1_000_000, 1_000_000, 1_000_000), 100_000_000 + 1_600_000_000);
        assert_eq!(price.cost(100, 40, 10), 60 * 400 + 40 * 100 + 10 * 1_600);
        assert_eq!(price.cost(10, 20, 0), 20 * 100, "more cached than read: charged as cached");
        let cheap = Price { input: 1, cached_input: 1, output: 1 };
        assert_eq!((cheap.cost(1, 0, 0), cheap.cost(500, 0, 501), cheap.cost(0, 0, 0)), (1, 2, 0));
        assert_eq!(Price::FREE.cost(u64::MAX, 5, u64::MAX), 0);
    }
}
