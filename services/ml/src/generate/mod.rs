//! Generating text, as far as it is decided without a model: which token comes next, what of it may be shown, when it
//! ends, how a chat becomes a prompt, and who may join. Pure: no libtorch, no clock, no channel.

pub mod chat;
pub mod pick;
pub mod prompt;
pub mod seats;
pub mod speak;
pub mod stop;
pub mod turn;

/// How a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The model said so.
    Stop,
    /// It has as many tokens as it may have.
    Length,
    /// One of the asker's strings came.
    StopString,
}

impl Ending {
    /// As results name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::StopString => "stop_string",
        }
    }
}
