//! Where a request goes: scheme, host and port.

use std::net::IpAddr;

use http::HeaderValue;
use http::uri::{Authority, Scheme};
use url::{Host, Url};

/// The part of a URL that decides which connection can serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) authority: Authority,
    pub(crate) host_header: HeaderValue,
}

/// A URL that no request can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no URL to send to: write http://, https://, ws:// or wss:// and a host")]
pub struct InvalidOrigin(pub String);

impl Origin {
    /// The origin of `url`; `ws` and `wss` are `http` and `https`.
    ///
    /// # Errors
    /// Another scheme, or no host.
    pub fn of(url: &Url) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin(url.to_string());
        let tls = match url.scheme() {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err(invalid()),
        };
        let host = url.host().ok_or_else(invalid)?;
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        let usual = if tls { 443 } else { 80 };
        let port = url.port().unwrap_or(usual);
        let text = if port == usual { host.to_string() } else { format!("{host}:{port}") };
        let authority: Authority = text.parse().map_err(|_| invalid())?;
        let host_header = HeaderValue::try_from(text).map_err(|_| invalid())?;
        let host = address.map_or_else(|| host.to_string(), |address| address.to_string());
        Ok(Self { tls, host, address, port, authority, host_header })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls { Scheme::HTTPS } else { Scheme::HTTP }
    }
}
