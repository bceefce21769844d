//! Threads that serve HTTP, each with a runtime of its own. A call touches its client's socket and its provider's; where
//! both belong to one thread, nobody has to be woken to pass it on, which is most of what a call would wait for here.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Connections that were accepted and wait for their thread, at most.
const WAITING: usize = 1_024;

/// Serves `app` on `threads` threads until the process ends; connections are dealt out in turn.
///
/// # Errors
/// Where a thread cannot be started.
pub fn serve(listener: TcpListener, app: &Router, threads: usize) -> io::Result<()> {
    let address = listener.local_addr()?;
    let lanes = (0..threads.max(1)).map(|n| lane(n, address, app.clone())).collect::<io::Result<Vec<_>>>()?;
    tokio::spawn(deal(listener, lanes));
    Ok(())
}

async fn deal(mut listener: TcpListener, lanes: Vec<mpsc::Sender<std::net::TcpStream>>) {
    for lane in lanes.iter().cycle() {
        // It waits and tries again where the process has too many files open.
        let (stream, _) = Listener::accept(&mut listener).await;
        // An answer in two packets would wait 40 ms for the acknowledgement of the first.
        let stream = stream.set_nodelay(true).and_then(|()| stream.into_std());
        match stream {
            Ok(stream) => {
                if lane.send(stream).await.is_err() {
                    return tracing::error!("a thread of the API ended");
                }
            }
            Err(e) => tracing::debug!("a connection was gone at once: {e}"),
        }
    }
}

fn lane(n: usize, address: SocketAddr, app: Router) -> io::Result<mpsc::Sender<std::net::TcpStream>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(format!("api-{n}")).spawn(move || {
        runtime.block_on(async move {
            if let Err(e) = axum::serve(Dealt { receiver, address }, app).await {
                tracing::error!("the API ended: {e}");
            }
        });
    })?;
    Ok(sender)
}

/// Connections that others accepted.
struct Dealt {
    receiver: mpsc::Receiver<std::net::TcpStream>,
    address: SocketAddr,
}

impl Listener for Dealt {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let Some(stream) = self.receiver.recv().await else {
                // Nobody deals any more: the process ends.
                return std::future::pending().await;
            };
            match TcpStream::from_std(stream) {
                Ok(stream) => return (stream, self.address),
                Err(e) => tracing::debug!("a connection was gone at once: {e}"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
