//! Where etcd and kube-apiserver are, and how they are started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Layout, Ports};
use crate::process::find_on_path;

/// Where `cargo xtask setup` puts what it builds, in the user's cache directory.
const CACHE: &str = "spillway/kubernetes-1.20.2";

/// Token of the only user that is listed, `admin` in the group `system:masters`.
pub(super) const TOKEN: &str = "admin-of-a-test";

/// The two programs.
#[derive(Debug)]
pub(super) struct Programs {
    etcd: PathBuf,
    api_server: PathBuf,
}

impl Programs {
    /// Both from `$KUBEBUILDER_ASSETS` if that is set; otherwise each from PATH or from the place where `cargo xtask setup` builds it.
    ///
    /// # Panics
    /// When one is missing.
    #[expect(clippy::disallowed_methods, reason = "envtest's convention and the system's directories, not settings")]
    pub(super) fn find() -> Self {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let cache_home = std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let cache_home = cache_home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        let find = |program: &str| match &assets {
            Some(assets) => Some(assets.join(program)).filter(|file| file.is_file()).unwrap_or_else(|| {
                panic!("there is no {program} in {}, which KUBEBUILDER_ASSETS names", assets.display())
            }),
            None => find_on_path(program)
                .or_else(|| Some(cache_home.as_ref()?.join(CACHE).join(program)).filter(|file| file.is_file()))
                .unwrap_or_else(|| panic!("{program} is not installed: run `cargo xtask setup`")),
        };
        Self { etcd: find("etcd"), api_server: find("kube-apiserver") }
    }

    pub(super) fn etcd(&self, layout: &Layout, ports: Ports) -> Command {
        let (clients, peers) = (etcd_url(ports.etcd), etcd_url(ports.etcd_peer));
        let mut command = Command::new(&self.etcd);
        // A start that failed leaves a member behind that knows another port.
        let data_dir = layout.dir.join(format!("etcd-{}", ports.etcd));
        command.arg("--data-dir").arg(data_dir).args(["--name", "test"]);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("test={peers}")]);
        command
    }

    pub(super) fn api_server(&self, layout: &Layout, ports: Ports) -> Command {
        let certificates = layout.certificates();
        let tokens = layout.dir.join("tokens.csv");
        fs::write(&tokens, format!("{TOKEN},admin,1,\"system:masters\"\n")).expect("write in the temporary directory");
        // The server makes its key and certificate itself before it reads the key for service accounts, which may be the same in a test.
        let key = certificates.join("apiserver.key");
        let mut command = Command::new(&self.api_server);
        command.arg(format!("--etcd-servers={}", etcd_url(ports.etcd)));
        command.arg(format!("--secure-port={}", ports.api));
        command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]);
        command.arg(option("--cert-dir", &certificates));
        command.arg(option("--service-account-key-file", &key)).arg(option("--service-account-signing-key-file", &key));
        command.arg("--service-account-issuer=https://kubernetes.default.svc");
        command.arg(option("--token-auth-file", &tokens)).arg("--authorization-mode=RBAC");
        command.arg("--service-cluster-ip-range=10.0.0.0/24");
        // Nothing makes the accounts and tokens that it asks for.
        command.arg("--disable-admission-plugins=ServiceAccount");
        command
    }
}

impl Layout {
    /// Directory of the API server's key and certificates.
    pub(super) fn certificates(&self) -> PathBuf {
        self.dir.join("certificates")
    }
}

fn etcd_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn option(name: &str, file: &Path) -> String {
    format!("{name}={}", file.display())
}
