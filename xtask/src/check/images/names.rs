//! Configuration files that the stack mounts name each other's services: a service that is called otherwise there is found here.

use serde_json::Value;

/// Files, each with what stands before a host's name in it.
pub(super) const FILES: [(&str, &[&str]); 3] = [
    ("infra/nginx/gateway.conf", &["    server "]),
    ("infra/prometheus/prometheus.yml", &["\""]),
    ("infra/grafana/provisioning/datasources/prometheus.yml", &["url: http://"]),
];

/// Where dashboards are, in the provider's file and in the container.
pub(super) const PROVIDER: &str = "infra/grafana/provisioning/dashboards/spillway.yml";

/// One sentence for each host of `text` that is no service, with its line.
pub(super) fn unknown_hosts(file: &str, text: &str, before: &[&str], compose: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for host in before.iter().flat_map(|before| line.split(before).skip(1)).filter_map(host_with_port) {
            let is_itself = host == "127.0.0.1" || host == "localhost";
            if !is_itself && compose["services"][host].is_null() {
                violations.push(format!("{file}:{}: {host} is no service of {}", number + 1, super::COMPOSE));
            }
        }
    }
    violations
}

/// Whether the folder that the provider reads is one that Grafana has.
pub(super) fn unmounted_dashboards(provider: &str, compose: &Value) -> Option<String> {
    let folder = provider.lines().find_map(|line| line.trim().strip_prefix("path: "))?;
    let mut volumes = compose["services"]["grafana"]["volumes"].as_array().into_iter().flatten();
    let is_mounted = volumes.any(|volume| {
        let is_ours = volume["source"].as_str().is_some_and(|source| source.ends_with("/dashboards"));
        is_ours && volume["target"] == folder
    });
    (!is_mounted).then(|| format!("{PROVIDER}: {folder} is not where {} mounts the dashboards", super::COMPOSE))
}

/// `api-1` of `api-1:8080 max_fails=1`; nothing of a text that begins otherwise.
fn host_with_port(text: &str) -> Option<&str> {
    let (host, rest) = text.split_once(':')?;
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    (is_host && rest.starts_with(|first: char| first.is_ascii_digit())).then_some(host)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{FILES, unknown_hosts, unmounted_dashboards};

    #[test]
    fn a_host_that_is_no_service_is_named_with_its_line() {
        let compose = json!({"services": {"api-1": {}, "prometheus": {}}});
        let [(_, nginx), (_, prometheus), (_, grafana)] = FILES;
        let cases = [
            (nginx, "# a\n    server api-1:8080 max_fails=1;\n    server api-3:8080;\n", "api-3"),
            (
                prometheus,
                "a\n  - targets: [\"127.0.0.1:9090\", \"api-1:8080\"]\n  - targets: [\"api-1:8080\", \"wroker:8080\"]\n",
                "wroker",
            ),
            (grafana, "a\n    url: http://prometheus:9090\n    url: http://prom:9090\n", "prom"),
        ];
        for (before, text, host) in cases {
            let wanted = format!("file:3: {host} is no service of infra/compose/docker-compose.yml");
            assert_eq!(unknown_hosts("file", text, before, &compose), [wanted]);
        }
    }

    #[test]
    fn dashboards_that_are_mounted_elsewhere_are_named() {
        let compose =
            json!({"services": {"grafana": {"volumes": [{"source": "/a/dashboards", "target": "/etc/dashboards"}]}}});
        assert_eq!(unmounted_dashboards("options:\n  path: /etc/dashboards\n", &compose), None);
        assert!(unmounted_dashboards("options:\n  path: /var/dashboards\n", &compose).is_some());
    }
}
