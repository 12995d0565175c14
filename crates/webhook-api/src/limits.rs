//! Rate limits as HTTP sees them.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use spillway_coordination::RateDecision;
use spillway_model::Rate;

/// A request that was not admitted.
#[derive(Debug, Clone, Copy)]
pub struct RateRefusal {
    /// The limit.
    pub rate: Rate,
    /// When the next request will be admitted.
    pub retry_after: Duration,
    /// What the limiter said.
    pub decision: RateDecision,
}

/// Adds `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds).
pub(crate) fn add_rate_headers(headers: &mut HeaderMap, decision: &RateDecision) {
    let reset = decision.reset_after.as_secs_f64().ceil() as u64;
    for (name, value) in [
        ("ratelimit-limit", u64::from(decision.limit)),
        ("ratelimit-remaining", u64::from(decision.remaining)),
        ("ratelimit-reset", reset),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Copies where a request comes from to another one that is made for it, so that the limits of clients hold for both.
pub fn forward_client(from: &Extensions, to: &mut Extensions) {
    if let Some(client) = from.get::<ClientAddress>() {
        to.insert(*client);
    }
}

impl ClientAddress {
    /// What one client has to itself: an address of IPv4, or a network of 64 bits of IPv6, whose addresses it may change at will.
    pub(crate) fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_one_address_of_ipv4_or_one_network_of_ipv6() {
        for (address, network) in
            [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
        {
            assert_eq!(ClientAddress(address.parse().expect("an address")).network().to_string(), network);
        }
    }
}
