//! Computes a batch of every size once while a model is loaded. oneDNN makes code for each, 0.13 GB in all with MiniLM:
//! the first texts would wait for it, and memory would grow for as long as there are sizes that nobody has sent yet.

use tch::Result;

use super::net::{Net, Packed};
use super::rows;
use crate::text::Tokens;

/// Makes the code for batches of up to so many tokens, of texts of up to so many each. One layer is enough: the others have
/// the same sizes.
///
/// # Errors
/// What libtorch says.
pub fn up(net: &Net, batch_tokens: usize, text_tokens: usize) -> Result<()> {
    let mut short = net.share();
    short.layers.truncate(1);
    for tokens in rows::all(batch_tokens) {
        let texts: Vec<Tokens> = lengths(tokens, text_tokens.max(1)).map(text).collect();
        short.answer(&Packed::new(&texts.iter().collect::<Vec<_>>(), &net.shape, net.words.device())?)?;
    }
    Ok(())
}

/// Lengths of texts that fill a batch, longest first.
fn lengths(tokens: usize, most: usize) -> impl Iterator<Item = usize> {
    std::iter::repeat_n(most, tokens / most).chain(Some(tokens % most).filter(|&rest| rest > 0))
}

/// A text of so many times the first token, which every model has.
fn text(length: usize) -> Tokens {
    Tokens { ids: vec![0; length], types: vec![0; length], content: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fill_a_batch_to_the_token() {
        let of = |tokens, most| lengths(tokens, most).collect::<Vec<_>>();
        assert_eq!((of(10, 4), of(8, 4), of(3, 4)), (vec![4, 4, 2], vec![4, 4], vec![3]));
    }
}
