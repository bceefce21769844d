//! `tasklane pause` and `tasklane resume`.

use tasklane_runtime::contract::code;
use tasklane_runtime::domain::name;

use crate::api::Pool;
use crate::cli::PoolArgs;
use crate::error::{CliError, Exit};
use crate::session::Session;

/// Pauses or resumes a pool.
///
/// # Errors
/// NATS, or the router's refusal.
pub async fn run(args: PoolArgs, what: &str, session: &Session) -> Result<Exit, CliError> {
    name::check_pool(&args.pool).map_err(|e| CliError::usage(code::BAD_NAME, e.to_string()))?;
    let bus = session.bus().await?;
    let request = serde_json::json!({"pool": args.pool});
    let render = |said: &Pool, _| {
        let now = if said.paused {
            "is paused: its workers finish what they have and get nothing new"
        } else {
            "takes tasks"
        };
        format!("{} {now}", said.pool)
    };
    session.show(&bus, &format!("api.pool.{what}"), &request, render).await?;
    Ok(Exit::Succeeded)
}
