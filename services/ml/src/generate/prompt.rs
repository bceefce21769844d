//! A prompt that has to fit: what is cut off, and what the result says of it.

/// What becomes of a prompt that is too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truncate {
    /// The task fails.
    #[default]
    Error,
    /// Its beginning is left out.
    Start,
}

/// A prompt that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// How many it had, where some were left out.
    pub cut_from: Option<usize>,
    /// How many tokens may follow.
    pub room: usize,
}

/// Fits a prompt into a context of `context` tokens, with up to `wanted` to follow.
///
/// Where it is not cut, at least one token must have room behind it, and what is written may be shorter than wanted. Where
/// it is, all that is wanted has room, as far as half of the context goes; a token that begins every text stays.
///
/// # Errors
/// What is too long, for a message.
pub fn fit(
    mut tokens: Vec<u32>,
    begin: Option<u32>,
    context: usize,
    wanted: usize,
    how: Truncate,
) -> Result<Fitted, String> {
    let all = tokens.len();
    if all < context && (how == Truncate::Error || all + wanted <= context) {
        return Ok(Fitted { tokens, cut_from: None, room: wanted.min(context - all) });
    }
    if how == Truncate::Error {
        return Err(format!(
            "the prompt has {all} tokens, and the model reads and writes {context} together; shorten it, or let its \
             beginning be left out with \"truncate\": \"start\""
        ));
    }
    let keep = context.saturating_sub(wanted).max(context / 2).max(1).min(all);
    let first = tokens.first().copied().filter(|first| Some(*first) == begin);
    tokens.drain(..all - keep);
    if let (Some(first), Some(place)) = (first, tokens.first_mut()) {
        *place = first;
    }
    let cut_from = (keep < all).then_some(all);
    Ok(Fitted { tokens, cut_from, room: wanted.min(context - keep) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_is_refused_or_cut() {
        let ids: Vec<u32> = (0..10).collect();
        let fits = fit(ids.clone(), Some(0), 12, 5, Truncate::Error).unwrap();
        assert_eq!((fits.tokens.len(), fits.cut_from, fits.room), (10, None, 2));
        assert!(fit(ids.clone(), Some(0), 10, 5, Truncate::Error).unwrap_err().contains("10 tokens"));
        let cut = fit(ids.clone(), Some(0), 10, 4, Truncate::Start).unwrap();
        assert_eq!(cut, Fitted { tokens: vec![0, 5, 6, 7, 8, 9], cut_from: Some(10), room: 4 });
        let cut = fit(ids, None, 10, 9, Truncate::Start).unwrap();
        assert_eq!(cut, Fitted { tokens: vec![5, 6, 7, 8, 9], cut_from: Some(10), room: 5 });
    }

    proptest! {
        #[test]
        fn something_can_always_be_written(n in 1usize..200, context in 2usize..100, wanted in 1usize..200) {
            let fitted = fit((0..n as u32).collect(), Some(0), context, wanted, Truncate::Start).unwrap();
            prop_assert!(fitted.room >= 1 && fitted.tokens.len() + fitted.room <= context);
            prop_assert_eq!(fitted.tokens[0], 0);
            prop_assert_eq!(fitted.cut_from, (fitted.tokens.len() < n).then_some(n));
        }
    }
}
