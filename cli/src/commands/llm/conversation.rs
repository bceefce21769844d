//! A conversation: what was said so far, and how much of an answer that came in pieces is on the screen. Pure.

use serde_json::{Value, json};

/// What was said so far.
#[derive(Debug, Default)]
pub struct Conversation {
    messages: Vec<Value>,
}

impl Conversation {
    /// One that begins with what the model is told first.
    pub fn new(system: Option<&str>) -> Self {
        let messages = system.map(|text| json!({"role": "system", "content": text}));
        Self { messages: messages.into_iter().collect() }
    }

    /// The payload of the next question: the answer is told in pieces as it comes.
    pub fn ask(&mut self, model: &str, question: &str) -> Value {
        self.messages.push(json!({"role": "user", "content": question}));
        json!({"model": model, "messages": self.messages, "stream": true})
    }

    /// The model answered.
    pub fn answered(&mut self, text: &str) {
        self.messages.push(json!({"role": "assistant", "content": text}));
    }

    /// The last question was not answered, and is as if not asked.
    pub fn take_back(&mut self) {
        self.messages.pop();
    }
}

/// What is on the screen of an answer.
#[derive(Debug, Default)]
pub struct Shown(String);

/// What is left to print when the whole answer is there.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest<'a> {
    /// The end of it.
    End(&'a str),
    /// All of it: pieces were lost on the way, or another attempt began anew.
    Whole(&'a str),
}

impl Shown {
    /// A piece came; it is to be printed.
    pub fn add(&mut self, piece: &str) {
        self.0.push_str(piece);
    }

    /// What is left to print.
    pub fn rest<'a>(&self, whole: &'a str) -> Rest<'a> {
        whole.strip_prefix(self.0.as_str()).map_or(Rest::Whole(whole), Rest::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_takes_along_what_was_said() {
        let mut talk = Conversation::new(Some("Be short."));
        assert_eq!(talk.ask("fast", "one?")["messages"].as_array().unwrap().len(), 2);
        talk.take_back();
        talk.ask("fast", "two?");
        talk.answered("2");
        let payload = talk.ask("fast", "three?");
        let said: Vec<_> =
            payload["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
        assert_eq!(said, ["Be short.", "two?", "2", "three?"]);
        assert_eq!(payload["model"], "fast");
    }

    #[test]
    fn what_the_pieces_left_out_is_printed_at_the_end() {
        let mut shown = Shown::default();
        assert_eq!(shown.rest("The lamp"), Rest::End("The lamp"));
        shown.add("The ");
        assert_eq!(shown.rest("The lamp"), Rest::End("lamp"));
        shown.add("lamp");
        assert_eq!(shown.rest("The lamp"), Rest::End(""));
        shown.add("The lamp");
        assert_eq!(shown.rest("The lamp"), Rest::Whole("The lamp"));
    }
}
