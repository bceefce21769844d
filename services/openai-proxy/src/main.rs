//! The process around the openai-proxy.

use std::process::ExitCode;

use tasklane_openai_proxy::ProxyConfig;

#[tokio::main]
async fn main() -> ExitCode {
    let config: ProxyConfig = tasklane_runtime::config::load_or_exit("openai-proxy");
    tasklane_openai_proxy::main(config).await
}
