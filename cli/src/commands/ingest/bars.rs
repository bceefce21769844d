//! How far an ingestion is: a bar for each stage, on standard error, where that is a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The stages' bars.
pub struct Bars {
    all: MultiProgress,
    /// Documents that were looked at.
    pub documents: ProgressBar,
    /// Documents that were read and cut, of those that are new.
    pub cut: ProgressBar,
    /// Chunks that were embedded.
    pub embed: ProgressBar,
    /// Chunks that are in the index.
    pub index: ProgressBar,
}

impl Bars {
    /// For so many documents.
    pub fn new(documents: u64) -> Self {
        let all = MultiProgress::new();
        let bar = |name: &'static str, total: u64| {
            let bar = all.add(ProgressBar::new(total));
            if let Ok(style) = ProgressStyle::with_template(
                "{prefix:<10} {bar:30} {human_pos:>9} of {human_len:<9} {per_sec:<12} {eta}",
            ) {
                bar.set_style(style);
            }
            bar.set_prefix(name);
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        };
        let (documents, cut) = (bar("documents", documents), bar("cut", 0));
        let (embed, index) = (bar("embedded", 0), bar("indexed", 0));
        Self { all, documents, cut, embed, index }
    }

    /// Takes them off the screen.
    pub fn clear(&self) {
        for bar in [&self.documents, &self.cut, &self.embed, &self.index] {
            bar.finish_and_clear();
        }
        // A terminal that cannot be cleared keeps the bars; nothing else is lost.
        self.all.clear().unwrap_or_default();
    }
}
