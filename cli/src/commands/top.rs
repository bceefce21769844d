//! `tasklane top`: queues and workers, refreshed until q. Where the output is no terminal, it prints once.

use std::io::Write as _;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use crossterm::{cursor, execute, queue, style, terminal};
use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::code;

use crate::api::{Lanes, Workers};
use crate::cli::TopArgs;
use crate::error::{CliError, Exit};
use crate::format::lists;
use crate::session::Session;

/// Shows the page.
///
/// # Errors
/// NATS, the router's refusal, or a terminal that cannot be used.
pub async fn run(args: TopArgs, session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let first = page(&bus, session, usize::MAX).await?;
    if !session.terminal {
        session.print(&first)?;
        return Ok(Exit::Succeeded);
    }
    let screen = Screen::open()?;
    let ended = refresh(&bus, session, args.interval.max(Duration::from_millis(100))).await;
    drop(screen);
    ended.map(|()| Exit::Succeeded)
}

async fn page(bus: &Bus, session: &Session, height: usize) -> Result<String, CliError> {
    let nothing = serde_json::json!({});
    let lanes: Lanes = session.ask(bus, "api.lanes", &nothing).await?;
    let workers: Workers = session.ask(bus, "api.workers", &nothing).await?;
    Ok(lists::top(&lanes, &workers, height, session.paint))
}

async fn refresh(bus: &Bus, session: &Session, interval: Duration) -> Result<(), CliError> {
    loop {
        let (width, height) = terminal::size()?;
        let text = match page(bus, session, height.into()).await {
            Ok(text) => text,
            // A router that is being replaced is back in a moment; the page says what is missing until then.
            Err(e) if e.exit() == Exit::Unreachable => format!("{e}\n"),
            Err(e) => return Err(e),
        };
        draw(&text, width)?;
        let pressed = tokio::task::spawn_blocking(move || quits_within(interval)).await;
        let pressed = pressed.map_err(|e| CliError::new(code::INTERNAL, Exit::Failed, e.to_string()))?;
        if pressed? {
            return Ok(());
        }
    }
}

/// Writes the page over the one before, line by line, so that nothing flickers.
fn draw(text: &str, width: u16) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    queue!(out, cursor::MoveTo(0, 0))?;
    for line in text.lines() {
        let cut =
            if line.contains('\x1b') { line.to_owned() } else { line.chars().take(width.into()).collect() };
        queue!(
            out,
            style::Print(cut),
            terminal::Clear(terminal::ClearType::UntilNewLine),
            style::Print("\r\n")
        )?;
    }
    queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
    out.flush()
}

/// Whether q, Esc or Ctrl-C was pressed within this time; any other key or a new size draws again at once.
fn quits_within(time: Duration) -> std::io::Result<bool> {
    if !event::poll(time)? {
        return Ok(false);
    }
    Ok(match event::read()? {
        Event::Key(KeyEvent { code: KeyCode::Char('c'), modifiers, .. }) => {
            modifiers.contains(KeyModifiers::CONTROL)
        }
        Event::Key(key) => matches!(key.code, KeyCode::Char('q') | KeyCode::Esc),
        _ => false,
    })
}

/// The terminal's other screen; it is left when this is dropped, however the command ends.
struct Screen;

impl Screen {
    fn open() -> std::io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(std::io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone cannot be tidied, and nobody is there to be told.
        drop(execute!(std::io::stdout(), cursor::Show, terminal::LeaveAlternateScreen));
        drop(terminal::disable_raw_mode());
    }
}
