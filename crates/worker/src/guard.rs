//! Which addresses may be connected to: the defence against requests that are forged to reach our own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Refuses addresses that are not public, unless a network is allowed by name.
///
/// It is asked about the very address that is then connected to, after name resolution: a name cannot point elsewhere between
/// check and connection.
#[derive(Debug, Clone, Default)]
pub struct AddressGuard {
    allowed: Vec<IpNet>,
}

/// An address that must not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} is {kind}; if that is intended, add its network to delivery.allow_networks")]
pub struct BlockedAddress {
    /// The address.
    pub address: IpAddr,
    /// What makes it forbidden.
    pub kind: &'static str,
}

impl AddressGuard {
    /// A guard with these exceptions.
    #[must_use]
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// When it is loopback, private, link-local (the metadata services of clouds among them), shared, reserved, multicast or
    /// unspecified, also in the IPv4 address that an IPv6 address carries.
    pub fn check(&self, address: IpAddr) -> Result<(), BlockedAddress> {
        let inner = embedded(address);
        if self.allowed.iter().any(|network| network.contains(&address) || network.contains(&inner)) {
            return Ok(());
        }
        match forbidden(inner) {
            Some(kind) => Err(BlockedAddress { address, kind }),
            None => Ok(()),
        }
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, 6to4, or the well-known prefix of NAT64.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let ipv4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => ipv4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => ipv4(high, low),
        [0x2002, high, low, ..] => ipv4(high, low),
        _ => address,
    }
}

fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("unspecified"),
        [127, ..] => Some("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("private"),
        [169, 254, ..] => Some("link-local"),
        [100, 64..=127, ..] => Some("shared (carrier-grade NAT)"),
        [192, 0, 0, _]
        | [192, 0, 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Some("reserved"),
        [224..=239, ..] => Some("multicast"),
        _ => None,
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    let first = address.segments()[0];
    match first {
        _ if address.is_unspecified() => Some("unspecified"),
        _ if address.is_loopback() => Some("loopback"),
        0xfc00..=0xfdff => Some("private"),
        0xfe80..=0xfebf => Some("link-local"),
        0xfec0..=0xfeff => Some("private"),
        0xff00..=0xffff => Some("multicast"),
        // Documentation, and protocol assignments: tunnels such as Teredo, which carry an IPv4 address in disguise.
        0x2001 if matches!(address.segments()[1], 0x0db8 | 0x0000..=0x01ff) => Some("reserved"),
        0x3fff if address.segments()[1] < 0x1000 => Some("reserved"),
        // All of the global unicast space lies in 2000::/3.
        0x2000..=0x3fff => None,
        _ => Some("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> Option<&'static str> {
        AddressGuard::default().check(address.parse().expect("an address")).err().map(|blocked| blocked.kind)
    }

    #[test]
    fn every_way_into_our_own_network_is_closed() {
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:0001::1",
            "2001:db8::1",
            "2001:0:7f00:1::80ff:fffe",
            "64:ff9b:1::a00:1",
            "192.88.99.1",
            "3fff::1",
        ] {
            assert!(kind(address).is_some(), "{address} must be blocked");
        }
    }

    #[test]
    fn public_addresses_are_open() {
        for address in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert_eq!(kind(address), None, "{address}");
        }
    }

    #[test]
    fn an_allowed_network_opens_its_own_addresses_only() {
        let guard = AddressGuard::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        let check = |address: &str| guard.check(address.parse().expect("an address"));
        assert!(check("127.0.0.1").is_ok());
        assert!(check("::ffff:127.0.0.1").is_ok());
        assert!(check("169.254.169.254").is_err());
        assert!(check("::1").is_err());
    }
}
