//! Stop strings in a text that comes in pieces: what may be shown, and when it ends. A stop string may lie across any
//! number of pieces; how the text is cut into them changes nothing.

/// Watches a text for strings that end it.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    strings: Vec<String>,
    /// What came, but may be the beginning of a stop string.
    held: String,
}

impl Stops {
    /// Watches for these; empty ones are ignored.
    pub fn new(strings: Vec<String>) -> Self {
        let strings = strings.into_iter().filter(|string| !string.is_empty()).collect();
        Self { strings, held: String::new() }
    }

    /// What of the text so far may be shown now, and whether it ends here. What follows a stop string is forgotten, and
    /// so is the stop string.
    pub fn add(&mut self, piece: &str) -> (String, bool) {
        self.held.push_str(piece);
        if let Some(at) = self.found() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let rest = self.held.split_off(self.held.len() - self.doubtful());
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, when nothing more comes.
    pub fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the stop string begins that ends first; the longest of those that end there.
    fn found(&self) -> Option<usize> {
        let found = self
            .strings
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at + stop.len(), at)));
        found.min().map(|(_, at)| at)
    }

    /// Bytes at the end that may be the beginning of a stop string.
    fn doubtful(&self) -> usize {
        let held = self.held.as_bytes();
        let of = |stop: &String| {
            let longest = (stop.len() - 1).min(held.len());
            (1..=longest).rev().find(|n| stop.is_char_boundary(*n) && held.ends_with(&stop.as_bytes()[..*n]))
        };
        self.strings.iter().filter_map(of).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut watch = Stops::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut text = String::new();
        for piece in pieces {
            let (shown, ended) = watch.add(piece);
            text += &shown;
            if ended {
                return (text, true);
            }
        }
        (text + &watch.rest(), false)
    }

    #[test]
    fn a_stop_string_across_pieces_is_found_and_not_shown() {
        assert_eq!(run(&["\n\nUser:"], &["Hi.\n", "\nUs", "er: more"]), ("Hi.".into(), true));
        assert_eq!(run(&["END"], &["E", "N", "E", "ND"]), ("EN".into(), true));
        assert_eq!(run(&["END"], &["E", "N"]), ("EN".into(), false));
        assert_eq!(run(&["größe"], &["die gr", "ö", "ße!"]), ("die ".into(), true));
        assert_eq!(run(&["abc", "b"], &["abc"]), ("a".into(), true));
        assert_eq!(run(&["", "x"], &["y"]), ("y".into(), false));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing_and_nothing_is_held_that_cannot_be_a_stop(
            text in "[abä]{0,24}", stops in prop::collection::vec("[abä]{1,4}", 0..4),
            cuts in prop::collection::vec(0usize..25, 0..8),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let mut ends: Vec<usize> = cuts.into_iter().filter(|c| text.is_char_boundary(*c) && *c <= text.len()).collect();
            ends.extend([0, text.len()]);
            ends.sort_unstable();
            let pieces: Vec<&str> = ends.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let (shown, ended) = run(&stops, &pieces);
            prop_assert_eq!((shown.clone(), ended), run(&stops, &[&text]));
            prop_assert!(text.starts_with(&shown));
            prop_assert!(stops.iter().all(|stop| !shown.contains(stop)));
            prop_assert_eq!(ended, stops.iter().any(|stop| text.contains(stop)));
            prop_assert!(ended || shown == text);
        }
    }
}
