//! Scripts that depend on what is asked: for clients that ask several things at once, in no certain order.

use super::script::Script;

impl Script {
    /// The script of the first marker that occurs in the request's body, and an ordinary answer where none does. Within
    /// the body a line end is `\n` in two characters, as JSON has it.
    #[must_use]
    pub fn cases(cases: &[(&str, Self)]) -> Self {
        Self::Cases(cases.iter().map(|(marker, script)| ((*marker).to_owned(), script.clone())).collect())
    }

    /// What is played for a request with this body.
    pub(super) fn resolved(self, body: &[u8]) -> Self {
        match self {
            Self::Cases(cases) => {
                let body = String::from_utf8_lossy(body);
                let found = cases.into_iter().find(|(marker, _)| body.contains(marker.as_str()));
                found.map_or_else(Self::default, |(_, script)| script.resolved(body.as_bytes()))
            }
            script => script,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_marker_that_occurs_decides() {
        let inner = Script::cases(&[("again", Script::says("b"))]);
        let script = Script::cases(&[("one", inner), ("two", Script::status(500))]);
        assert_eq!(script.clone().resolved(b"two one again"), Script::says("b"));
        assert_eq!(script.clone().resolved(b"one"), Script::default());
        assert_eq!(script.clone().resolved(b"two"), Script::status(500));
        assert_eq!(script.resolved(b"three"), Script::default());
    }
}
