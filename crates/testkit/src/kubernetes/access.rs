//! How a test reaches a cluster.

use std::fs;
use std::path::{Path, PathBuf};

use super::Layout;
use super::https::HttpsClient;
use super::programs::TOKEN;

/// Address, certificate authority and administrator's token of a cluster.
///
/// Only a description: the kit depends on no Kubernetes client. With the crate kube, a client comes from
/// `kube::Config::from_custom_kubeconfig(Kubeconfig::from_yaml(&access.kubeconfig("default"))?, &KubeConfigOptions::default())`.
#[derive(Debug, Clone)]
pub struct ClusterAccess {
    port: u16,
    ca_file: PathBuf,
    client: HttpsClient,
}

impl ClusterAccess {
    /// `None` as long as the server has not written its certificate.
    pub(super) fn of(dir: &Path, port: u16) -> Option<Self> {
        let layout = Layout { dir: dir.to_owned() };
        let ca_file = layout.certificates().join("ca.crt");
        if !ca_file.is_file() {
            // The server's own certificate, and after it that of the authority, which it makes up at each start.
            let chain = fs::read_to_string(layout.certificates().join("apiserver.crt")).ok()?;
            let authority_at = chain.rfind("-----BEGIN CERTIFICATE-----").filter(|&at| at > 0)?;
            let authority = &chain[authority_at..];
            if !authority.trim_end().ends_with("-----END CERTIFICATE-----") {
                return None;
            }
            fs::write(&ca_file, authority).expect("write in the temporary directory");
        }
        let client = HttpsClient::new(port, &ca_file, TOKEN);
        Some(Self { port, ca_file, client })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// File with the certificate, in PEM, of the authority that signed the server's.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Token of an administrator, to send as `Authorization: Bearer TOKEN`.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// A kubeconfig, as YAML, of an administrator with this default namespace.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        self.kubeconfig_with(namespace, "")
    }

    /// A kubeconfig, as YAML, of `user`, who is only in the group `system:authenticated` and so may do nothing until the test binds a role
    /// to the name. The administrator acts as that user: the server checks the user's rights.
    pub fn kubeconfig_as(&self, user: &str, namespace: &str) -> String {
        self.kubeconfig_with(namespace, &format!("    as: {user}\n"))
    }

    /// Asks the server and returns status and body: for the kit's own needs and for looks from outside of the code under test. `None` when
    /// there is no answer.
    pub async fn request(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        self.client.request(method, path, body).await
    }

    /// Whether the server says that it is ready.
    pub(super) async fn is_ready(&self) -> bool {
        self.request("GET", "/readyz", "").await.is_some_and(|(status, _)| status == 200)
    }

    fn kubeconfig_with(&self, namespace: &str, user: &str) -> String {
        let (url, ca_file) = (self.url(), self.ca_file.display());
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             current-context: test\n\
             contexts:\n\
             - name: test\n  context:\n    cluster: test\n    user: test\n    namespace: {namespace}\n\
             clusters:\n\
             - name: test\n  cluster:\n    server: {url}\n    certificate-authority: {ca_file}\n\
             users:\n\
             - name: test\n  user:\n    token: {TOKEN}\n{user}"
        )
    }
}
