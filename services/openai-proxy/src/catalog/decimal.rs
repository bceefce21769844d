//! Decimal numbers as they are written, without a detour over floating point: 0.1 stays a tenth.

/// Why a number cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// `inf`, `nan`, or not a number at all.
    NotANumber,
    /// Less than zero.
    Negative,
    /// It has digits that would be lost.
    TooFine,
    /// More than fits.
    TooLarge,
}

/// `text * 10^scale`, exactly. The text is a TOML integer or float in decimal, without underscores.
pub(super) fn scaled(text: &str, scale: u32) -> Result<u64, Unfit> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unfit::NotANumber);
    }
    let exponent = small_exponent(exponent).ok_or(Unfit::NotANumber)?;
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    if negative {
        return Err(Unfit::Negative);
    }
    // Lengths are those of a bounded file, far below the range of i64.
    let power = exponent + i64::from(scale) + dropped as i64 - fraction.len() as i64;
    if power < 0 {
        return Err(Unfit::TooFine);
    }
    // u64::MAX has 20 digits.
    if significant.len() as i64 + power > 20 {
        return Err(Unfit::TooLarge);
    }
    let factor = 10u128.pow(u32::try_from(power).map_err(|_| Unfit::TooLarge)?);
    let value = significant.parse::<u128>().map_err(|_| Unfit::TooLarge)? * factor;
    u64::try_from(value).map_err(|_| Unfit::TooLarge)
}

/// The exponent, cut to a range where it decides as it would uncut: the number is lost or too large either way.
fn small_exponent(text: &str) -> Option<i64> {
    const FAR: i64 = 1 << 40;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(FAR).min(FAR);
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::{Unfit, scaled};

    proptest! {
        /// Against arithmetic without bounds: digits * 10^(scale + exponent - places), or a reason why not.
        #[test]
        fn agrees_with_big_integers(
            whole in "0|[1-9][0-9]{0,22}", fraction in "[0-9]{1,24}", exponent in -30i32..30, scale in 0u32..12,
        ) {
            let given = format!("{whole}.{fraction}e{exponent}");
            let digits: BigUint = format!("{whole}{fraction}").parse().unwrap();
            let power = exponent + scale as i32 - fraction.len() as i32;
            let ten = BigUint::from(10u8);
            let (up, down) = (ten.pow(power.max(0) as u32), ten.pow((-power).max(0) as u32));
            let expected = if (&digits % &down) == BigUint::ZERO {
                u64::try_from(digits / down * up).map_err(|_| Unfit::TooLarge)
            } else {
                Err(Unfit::TooFine)
            };
            prop_assert_eq!(scaled(&given, scale), expected, "{}", given);
        }

        #[test]
        fn never_panics(text in "[-+]?[0-9.eE+_x-]{0,40}", scale in 0u32..12) {
            if let Ok(value) = scaled(&text, scale) {
                prop_assert!(text.parse::<f64>().is_ok(), "{} was taken as {}", text, value);
            }
        }
    }

    #[test]
    fn takes_what_people_write_and_nothing_else() {
        assert_eq!(scaled("0.40", 6), Ok(400_000));
        assert_eq!(scaled("+2.5e0", 6), Ok(2_500_000));
        assert_eq!(scaled("1e-6", 6), Ok(1));
        assert_eq!(scaled("-0.0", 6), Ok(0));
        assert_eq!(scaled("0e99999999999999999999", 6), Ok(0));
        assert_eq!(scaled("18446744073709551615", 0), Ok(u64::MAX));
        assert_eq!(scaled("18446744073709551616", 0), Err(Unfit::TooLarge));
        assert_eq!(scaled("1e99999999999999999999", 6), Err(Unfit::TooLarge));
        assert_eq!(scaled("1e-99999999999999999999", 6), Err(Unfit::TooFine));
        assert_eq!(scaled("0.0000001", 6), Err(Unfit::TooFine));
        assert_eq!(scaled("-0.01", 6), Err(Unfit::Negative));
        for not in ["inf", "+nan", "", ".", "1e", "1e+", "e5", "1.2.3", "0x10"] {
            assert_eq!(scaled(not, 6), Err(Unfit::NotANumber), "{not}");
        }
    }
}
