//! Numbers of JSON in one order: integers of 64 bits and floating point, compared exactly.

use serde_json::Number;

/// A number as a key that sorts as numbers do. It is the next `f64` at or below the number, in an order-preserving
/// form, and what is left to the number: 2^53 and 2^53 + 1 are different, 1 and 1.0 are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    floor: u64,
    // Neighbouring f64 below 2^64 are at most 2^11 apart.
    rest: u16,
}

impl Key {
    /// The key of a number of JSON. `None` only for what JSON cannot say (not a number).
    pub fn of(number: &Number) -> Option<Self> {
        if let Some(whole) = number.as_i64() {
            return Some(Self::whole(i128::from(whole)));
        }
        if let Some(whole) = number.as_u64() {
            return Some(Self::whole(i128::from(whole)));
        }
        number.as_f64().filter(|float| !float.is_nan()).map(|float| Self { floor: sortable(float), rest: 0 })
    }

    /// The next `f64` at or below the number, and what is left to the number: less than 2^11.
    pub fn parts(self) -> (f64, u16) {
        let bits = if self.floor >> 63 == 1 { self.floor & !(1 << 63) } else { !self.floor };
        (f64::from_bits(bits), self.rest)
    }

    /// The same order in two integers, of 43 and of 32 bits, the first before the second: each is exactly an `f64`.
    pub fn halves(self) -> (u64, u32) {
        // The rest has 11 bits.
        let low = (self.floor & 0x1f_ffff) << 11 | u64::from(self.rest);
        (self.floor >> 21, low as u32)
    }

    fn whole(number: i128) -> Self {
        let nearest = number as f64;
        let floor = if nearest as i128 > number { nearest.next_down() } else { nearest };
        let rest = u16::try_from(number - floor as i128).unwrap_or(u16::MAX);
        Self { floor: sortable(floor), rest }
    }
}

/// The bits of a float such that their order is the order of numbers; the two zeros are one.
fn sortable(float: f64) -> u64 {
    let bits = if float == 0.0 { 0 } else { float.to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(json: &str) -> Key {
        Key::of(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn parts_are_the_number() {
        assert_eq!(key("-2.5").parts(), (-2.5, 0));
        assert_eq!(key("0").parts(), (0.0, 0));
        assert_eq!(key("9007199254740993").parts(), (9_007_199_254_740_992.0, 1));
        assert_eq!(key("18446744073709551615").parts(), (18_446_744_073_709_549_568.0, 2_047));
    }

    #[test]
    fn large_integers_are_not_rounded() {
        assert!(key("9007199254740992") < key("9007199254740993"));
        assert!(key("9223372036854775806") < key("9223372036854775807"));
        assert!(key("18446744073709551614") < key("18446744073709551615"));
        assert!(key("18446744073709551615") < key("18446744073709551616.0"));
        assert!(key("-9223372036854775808") < key("-9223372036854775807"));
        assert_eq!(key("-9223372036854775808"), key("-9223372036854775808.0"));
        assert_eq!(key("1"), key("1.0"));
        assert_eq!(key("0"), key("-0.0"));
        assert!(key("1") < key("1.0000000000000002"));
        assert!(key("-1e308") < key("-5") && key("-5") < key("5e-324") && key("5e-324") < key("1e308"));
    }

    proptest! {
        #[test]
        fn integers_keep_their_order(a: i64, b: i64, step in -3i64..3) {
            let keys = |a: i64, b: i64| {
                let (a, b) = (Key::whole(a.into()), Key::whole(b.into()));
                assert_eq!(a.halves().cmp(&b.halves()), a.cmp(&b));
                a.cmp(&b)
            };
            prop_assert_eq!(keys(a, b), a.cmp(&b));
            let near = a.saturating_add(step);
            prop_assert_eq!(keys(a, near), a.cmp(&near));
        }

        #[test]
        fn floats_keep_their_order(a: f64, b: f64) {
            prop_assume!(a.is_finite() && b.is_finite());
            let of = |x: f64| Key::of(&Number::from_f64(x).unwrap()).unwrap();
            prop_assert_eq!(of(a).cmp(&of(b)), a.partial_cmp(&b).unwrap());
            prop_assert_eq!(of(a).halves().cmp(&of(b).halves()), a.partial_cmp(&b).unwrap());
        }

        #[test]
        fn an_integer_among_floats(whole: i64, float in -2e19f64..2e19) {
            let float = float.trunc();
            let (a, b) = (Key::whole(whole.into()), Key::of(&Number::from_f64(float).unwrap()).unwrap());
            prop_assert_eq!(a.cmp(&b), i128::from(whole).cmp(&(float as i128)));
        }
    }
}
