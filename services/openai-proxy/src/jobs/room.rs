//! How much text goes into one call.

use tasklane_runtime::TaskError;

use super::error::NO_ROOM;

/// Tokens that asking for a repair takes, beside the answer that is shown again.
const REPAIR: u64 = 400;
/// What a part has at least: cut smaller, texts lose their sense.
const LEAST: u64 = 128;

/// What a model can read and write, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Prompt and answer together.
    pub context: u64,
    /// The answer.
    pub output: u64,
}

impl Room {
    /// Tokens of an answer, where so many are wished for: a small model keeps most of its context for reading.
    pub fn answer(&self, wished: u64) -> u64 {
        wished.min(self.output).min(self.context / 5).max(1)
    }

    /// Tokens of text that fit beside `frame` tokens of prompt and an answer of `answer`, with room to repair it.
    ///
    /// # Errors
    /// TL2335 where hardly anything would fit.
    pub fn text(&self, frame: u64, answer: u64) -> Result<u64, TaskError> {
        let room = self.context.saturating_sub(frame + 2 * answer + REPAIR) / 50 * 49;
        if room >= LEAST {
            return Ok(room);
        }
        let text = format!(
            "a context of {} tokens has no room for text beside {frame} tokens of prompt and {answer} of answer; take a \
             model with a longer one",
            self.context
        );
        Err(TaskError::failed(NO_ROOM, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_leaves_room_for_a_repair() {
        let room = Room { context: 8_000, output: 4_000 };
        let answer = room.answer(2_000);
        assert_eq!(answer, 1_600);
        let text = room.text(300, answer).unwrap();
        assert!(text > 3_500 && text + 300 + 2 * answer + REPAIR <= 8_000, "{text}");
        assert_eq!(Room { context: 900, output: 500 }.text(300, 100).unwrap_err().code, NO_ROOM);
        assert_eq!(room.answer(50), 50);
    }
}
