//! Text for people. Pure: data goes in, text comes out; what is coloured is decided by [`Paint`].

pub mod hits;
pub mod json;
pub mod lists;
pub mod llm;
pub mod models;
pub mod result;
pub mod table;
pub mod vectors;

/// Whether text is coloured.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// On a terminal that wants it.
    pub on: bool,
}

impl Paint {
    fn with(self, sgr: &str, text: &str) -> String {
        if self.on { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// For what the eye should find first.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// For what matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Went well.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Needs a look.
    pub fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Went wrong.
    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }
}

/// Milliseconds in the unit that reads best.
pub fn ms(ms: f64) -> String {
    match ms {
        ms if !ms.is_finite() => "-".to_owned(),
        0.0 => "0 ms".to_owned(),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms < 3_600_000.0 => format!("{:.0} min", ms / 60_000.0),
        ms if ms < 48.0 * 3_600_000.0 => format!("{:.1} h", ms / 3_600_000.0),
        ms => format!("{:.0} days", ms / 86_400_000.0),
    }
}

/// Bytes in the unit that reads best.
pub fn bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if amount < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} TB")
}

/// A number with its noun.
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Server URLs without the user and password that may stand in them.
pub fn without_secrets(urls: &str) -> String {
    let bare = |url: &str| match url.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        }
        None => url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned(),
    };
    urls.split(',').map(bare).collect::<Vec<_>>().join(",")
}

/// How many tasks wait.
pub fn waits(tasks: u64) -> String {
    if tasks == 1 { "1 task waits".to_owned() } else { format!("{tasks} tasks wait") }
}

/// Text from elsewhere on one line of a terminal: control characters, which could move the cursor, are shown instead.
pub fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_debug().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Text from elsewhere on a terminal, with its lines and tabs: other control characters are shown instead.
pub fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\n' | '\t' => vec![c],
            c if c.is_control() => c.escape_debug().collect(),
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let times: Vec<_> = [0.84, 12.4, 1500.0, 90_000.0, 7_200_000.0, 260_000_000.0].map(ms).to_vec();
        assert_eq!(times, ["0.8 ms", "12 ms", "1.5 s", "2 min", "2.0 h", "3 days"]);
        assert_eq!(
            [0, 1023, 1536, 5 << 20, 3 << 40].map(bytes),
            ["0 B", "1023 B", "1.5 KB", "5.0 MB", "3.0 TB"]
        );
        assert_eq!((count(1, "worker"), count(0, "worker")), ("1 worker".into(), "0 workers".into()));
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        assert_eq!(without_secrets("nats://me:secret@a:4222,tls://b,c@d"), "nats://a:4222,tls://b,d");
    }

    #[test]
    fn a_terminal_is_not_steered_from_outside() {
        assert_eq!(harmless("a\x1b[2J\n\tb\r"), "a\\u{1b}[2J\n\tb\\r");
        assert_eq!(one_line("a\x1b[2Jb\nc é"), "a\\u{1b}[2Jb\\nc é");
        assert_eq!(Paint { on: true }.bad("x"), "\x1b[31mx\x1b[0m");
    }
}
