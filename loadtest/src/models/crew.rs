//! Replicas of the proxy that are killed and replaced while clients call them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng as _;

use super::proxy::{Proxy, Setting};
use crate::error::LoadError;

/// Replicas at once.
pub const REPLICAS: usize = 3;

/// Where the replicas are now; a killed one is not there.
pub type Fleet = Arc<Mutex<[Option<SocketAddr>; REPLICAS]>>;

/// The replicas.
pub struct Crew<'a> {
    setting: Setting<'a>,
    fleet: Fleet,
    proxies: Vec<Proxy>,
    started: usize,
    /// The ways by which the killed ones called the provider.
    killed: Vec<String>,
}

impl<'a> Crew<'a> {
    /// Starts all.
    ///
    /// # Errors
    /// Where one does not start.
    pub async fn start(setting: Setting<'a>, fleet: Fleet) -> Result<Self, LoadError> {
        let mut crew = Self { setting, fleet, proxies: Vec::new(), started: 0, killed: Vec::new() };
        for n in 0..REPLICAS {
            crew.replace(n, None).await?;
        }
        Ok(crew)
    }

    /// Starts a replica in this place; the one that was there has been killed.
    async fn replace(&mut self, place: usize, way_of_old: Option<String>) -> Result<(), LoadError> {
        self.killed.extend(way_of_old);
        self.started += 1;
        let proxy = Proxy::start(self.setting, &format!("replica-{}-{place}", self.started)).await?;
        set(&self.fleet, place, Some(proxy.address));
        self.proxies.insert(place.min(self.proxies.len()), proxy);
        Ok(())
    }

    /// Kills one, any, and starts another in its place.
    ///
    /// # Errors
    /// Where that does not work.
    pub async fn kill(&mut self) -> Result<(), LoadError> {
        let place = rand::rng().random_range(0..REPLICAS);
        // Its clients notice by themselves.
        let proxy = self.proxies.remove(place);
        let way = proxy.way.clone();
        proxy.kill().await?;
        set(&self.fleet, place, None);
        self.replace(place, Some(way)).await
    }

    /// Ends all as an operator would. Returns the ways of those that were killed before.
    ///
    /// # Errors
    /// Where one does not end.
    pub async fn end(self) -> Result<Vec<String>, LoadError> {
        for proxy in self.proxies {
            proxy.stop().await?;
        }
        Ok(self.killed)
    }
}

fn set(fleet: &Fleet, place: usize, address: Option<SocketAddr>) {
    fleet.lock().unwrap_or_else(PoisonError::into_inner)[place] = address;
}

/// Any that is there.
pub fn pick(fleet: &Fleet) -> Option<SocketAddr> {
    let fleet = *fleet.lock().unwrap_or_else(PoisonError::into_inner);
    let there: Vec<_> = fleet.into_iter().flatten().collect();
    (!there.is_empty()).then(|| there[rand::rng().random_range(0..there.len())])
}
