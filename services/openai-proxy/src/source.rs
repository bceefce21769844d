//! Where the catalog comes from, and how it follows its file.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use crate::catalog::reload::Watched;
use crate::catalog::{Catalog, parse, read_key};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The catalog, now and later.
pub enum Source {
    /// Nothing is configured: every call is refused.
    None(Arc<Catalog>),
    /// A file that is followed.
    File(Arc<Watched>),
}

impl Source {
    /// Reads the file; an empty name stands for no file.
    ///
    /// # Errors
    /// All mistakes of the file, for people.
    pub fn open(file: &str) -> Result<Self, String> {
        if file.is_empty() {
            let nothing = parse("", &|_| Ok(None));
            return nothing
                .map(|catalog| Self::None(Arc::new(catalog)))
                .map_err(|_| "nothing to read".to_owned());
        }
        let watched = Watched::load(file, SystemTime::now(), read_key).map_err(|e| e.to_string())?;
        Ok(Self::File(Arc::new(watched)))
    }

    /// The catalog in use.
    pub fn current(&self) -> Arc<Catalog> {
        match self {
            Self::None(catalog) => Arc::clone(catalog),
            Self::File(watched) => watched.current(),
        }
    }

    /// Follows the file until the process ends; a file with mistakes is told, and the catalog in use stays.
    pub fn follow(&self) {
        let Self::File(watched) = self else { return };
        let watched = Arc::clone(watched);
        let hangup = signal(SignalKind::hangup());
        tokio::spawn(async move {
            let mut hangup = hangup.inspect_err(|e| tracing::warn!("SIGHUP is not listened to: {e}")).ok();
            loop {
                let asked = tokio::select! {
                    () = tokio::time::sleep(LOOK) => false,
                    Some(()) = async { hangup.as_mut()?.recv().await } => true,
                };
                let looking = Arc::clone(&watched);
                let look = move || {
                    let now = SystemTime::now();
                    if asked { looking.reload(now).map(|()| true) } else { looking.reload_if_changed(now) }
                };
                match tokio::task::spawn_blocking(look).await {
                    Ok(Ok(true)) => tracing::info!("the providers' file was read again"),
                    Ok(Ok(false)) => {}
                    Ok(Err(e)) => {
                        tracing::error!("the providers' file cannot be used, the one before stays: {e}")
                    }
                    Err(e) => tracing::error!("the providers' file was not read: {e}"),
                }
            }
        });
    }
}
