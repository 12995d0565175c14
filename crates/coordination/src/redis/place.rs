//! Where the server is: at an address, or wherever sentinels say that the current master is.

use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{Client, ConnectionAddr, IntoConnectionInfo, RedisResult, TlsMode};
use tokio::sync::Mutex;

use super::link::{InvalidRedisUrl, KEEPALIVE};

const DEFAULT_SENTINEL_PORT: u16 = 26_379;

/// Where to connect to.
pub(super) enum Place {
    Server(Client),
    /// Asked anew at each connection: after a failover another server is the master.
    Sentinel(Mutex<SentinelClient>),
}

impl Place {
    pub(super) fn new(url: &str) -> Result<Self, InvalidRedisUrl> {
        if url.starts_with("rediss") {
            // The driver takes its cryptography from the process. An error says that the program has chosen one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        if let Some(sentinels) = Sentinels::of(url)? {
            return sentinels.client().map(Mutex::new).map(Self::Sentinel).map_err(InvalidRedisUrl::because);
        }
        let info = url.into_connection_info().map_err(InvalidRedisUrl::because)?;
        let tcp = tcp(info.tcp_settings().clone());
        Client::open(info.set_tcp_settings(tcp)).map(Self::Server).map_err(InvalidRedisUrl::because)
    }

    /// The server as it is now.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        match self {
            Self::Server(client) => Ok(client.clone()),
            Self::Sentinel(sentinel) => sentinel.lock().await.async_get_client().await,
        }
    }
}

fn tcp(settings: TcpSettings) -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    settings.set_nodelay(true).set_keepalive(keepalive)
}

/// `redis+sentinel://[user:password@]host[:port],…/service[/database]`. User and password are of the servers; the sentinels are asked without.
#[derive(Debug, PartialEq, Eq)]
struct Sentinels<'u> {
    tls: bool,
    user: Option<&'u str>,
    password: Option<&'u str>,
    hosts: Vec<(String, u16)>,
    service: &'u str,
    database: i64,
}

impl<'u> Sentinels<'u> {
    /// `None` for another form of URL.
    fn of(url: &'u str) -> Result<Option<Self>, InvalidRedisUrl> {
        let (tls, rest) = match (url.strip_prefix("redis+sentinel://"), url.strip_prefix("rediss+sentinel://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Ok(None),
        };
        let (credentials, rest) =
            rest.rsplit_once('@').map_or((None, rest), |(credentials, rest)| (Some(credentials), rest));
        let (user, password) = credentials.map_or((None, None), |text| match text.split_once(':') {
            Some((user, password)) => (Some(user).filter(|user| !user.is_empty()), Some(password)),
            None => (Some(text), None),
        });
        let (hosts, path) = rest.split_once('/').ok_or_else(InvalidRedisUrl::sentinel)?;
        let (service, database) = path.split_once('/').unwrap_or((path, "0"));
        let hosts = hosts.split(',').map(host).collect::<Option<Vec<_>>>().ok_or_else(InvalidRedisUrl::sentinel)?;
        if service.is_empty() {
            return Err(InvalidRedisUrl::sentinel());
        }
        let database = database.parse().map_err(|_| InvalidRedisUrl::sentinel())?;
        Ok(Some(Self { tls, user, password, hosts, service, database }))
    }

    fn client(self) -> RedisResult<SentinelClient> {
        let addresses = self.hosts.into_iter().map(|(host, port)| match self.tls {
            false => ConnectionAddr::Tcp(host, port),
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        });
        let mut builder = SentinelClientBuilder::new(addresses, self.service, SentinelServerType::Master)?
            .set_client_to_redis_db(self.database)
            .set_client_to_redis_tcp_settings(tcp(TcpSettings::default()));
        if self.tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        if let Some(user) = self.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = self.password {
            builder = builder.set_client_to_redis_password(password);
        }
        builder.build()
    }
}

fn host(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, DEFAULT_SENTINEL_PORT),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_url_names_sentinels_and_a_service() {
        let read = |url| Sentinels::of(url).ok().flatten();
        let full = read("rediss+sentinel://app:se@cret@a:1,b/mymaster/3");
        let hosts = vec![("a".to_owned(), 1), ("b".to_owned(), DEFAULT_SENTINEL_PORT)];
        assert_eq!(
            full,
            Some(Sentinels {
                tls: true,
                user: Some("app"),
                password: Some("se@cret"),
                hosts,
                service: "mymaster",
                database: 3
            })
        );
        let short = read("redis+sentinel://:pw@a/m");
        assert_eq!(short.map(|short| (short.user, short.password, short.database)), Some((None, Some("pw"), 0)));
        assert_eq!(read("redis://a:1/0"), None);
        for bad in [
            "redis+sentinel://",
            "redis+sentinel://a",
            "redis+sentinel://a/",
            "redis+sentinel:///m",
            "redis+sentinel://a:x/m",
            "redis+sentinel://a,,b/m",
            "redis+sentinel://a/m/x",
        ] {
            assert!(Sentinels::of(bad).is_err(), "{bad}");
        }
    }
}
