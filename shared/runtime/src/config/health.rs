//! `--health`: asks the service that runs with this configuration whether it is ready. Images have no other program that
//! could ask, and need none.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `/readyz` at the address where a service listens.
///
/// # Errors
/// What it said instead, or why it could not be asked.
pub fn ask(listen: &str) -> Result<(), String> {
    let page = get(listen).map_err(|e| format!("nobody answers on {listen}: {e}"))?;
    match page.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("not ready: {}", page.lines().last().unwrap_or_default())),
    }
}

fn get(listen: &str) -> std::io::Result<String> {
    let address = listen.to_socket_addrs()?.next().map(reachable);
    let address = address.ok_or_else(|| std::io::Error::other("no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// Who listens on every address is asked on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
