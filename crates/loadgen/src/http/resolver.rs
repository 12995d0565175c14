//! Addresses of hosts, shared by all virtual users.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::failure::{ErrorClass, Failure};
use super::origin::Origin;

/// How long an answer of the resolver is used: k6's default.
const TIME_TO_LIVE: Duration = Duration::from_secs(300);

/// Asks the system for each host once in [`TIME_TO_LIVE`], whatever the number of users that wait for it.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    known: Mutex<HashMap<String, Answer>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Answer {
    at: Instant,
    addresses: Arc<[SocketAddr]>,
}

impl Resolver {
    /// The host's addresses in the order in which to try them: IPv4 first, and each call begins with the next one.
    pub(super) async fn addresses(&self, origin: &Origin) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(address) = origin.address {
            return Ok(vec![SocketAddr::new(address, origin.port)]);
        }
        let all = self.lookup(origin).await?;
        let (mut v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) = all.iter().partition(|address| address.is_ipv4());
        if v4.len() > 1 {
            let first = self.turn.fetch_add(1, Ordering::Relaxed) % v4.len();
            v4.rotate_left(first);
        }
        v4.extend(v6);
        for address in &mut v4 {
            address.set_port(origin.port);
        }
        Ok(v4)
    }

    async fn lookup(&self, origin: &Origin) -> Result<Arc<[SocketAddr]>, Failure> {
        let mut known = self.known.lock().await;
        if let Some(answer) = known.get(&origin.host)
            && answer.at.elapsed() < TIME_TO_LIVE
        {
            return Ok(answer.addresses.clone());
        }
        let found = tokio::net::lookup_host((origin.host.as_str(), origin.port)).await;
        let found = found.map_err(|error| dns(origin, &error.to_string()))?;
        let addresses: Arc<[SocketAddr]> = found.collect();
        if addresses.is_empty() {
            return Err(dns(origin, "no address"));
        }
        known.insert(origin.host.clone(), Answer { at: Instant::now(), addresses: addresses.clone() });
        Ok(addresses)
    }
}

fn dns(origin: &Origin, reason: &str) -> Failure {
    Failure::new(ErrorClass::Dns, format!("no address for {}: {reason}", origin.host))
}
