//! Rules of the compose file, on what Compose itself read.

use serde_json::Value;

/// What has to be there.
const SERVICES: [&str; 11] = [
    "postgres",
    "redis",
    "api-1",
    "api-2",
    "worker",
    "nginx",
    "prometheus",
    "alertmanager",
    "pushgateway",
    "grafana",
    "jaeger",
];

/// Parts of names of variables whose values nobody should read in a file.
const SECRET_WORDS: [&str; 4] = ["PASSWORD", "SECRET", "TOKEN", "_KEY"];

/// One sentence for each.
pub(super) fn violations(file: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    for name in SERVICES.iter().filter(|name| file["services"][**name].is_null()) {
        violations.push(format!("there is no service {name}"));
    }
    for (name, service) in file["services"].as_object().into_iter().flatten() {
        violations.extend(of_service(file, service).into_iter().map(|what| format!("service {name}: {what}")));
    }
    if file["networks"]["data"]["internal"] != true {
        violations.push("the network data is not internal".to_owned());
    }
    for (name, secret) in file["secrets"].as_object().into_iter().flatten() {
        if secret["file"].is_null() {
            violations.push(format!("secret {name}: it is no file"));
        }
    }
    violations.into_iter().map(|what| format!("{}: {what}", super::COMPOSE)).collect()
}

fn of_service(file: &Value, service: &Value) -> Vec<String> {
    let has = |list: &str, wanted: &str| texts(&service[list]).any(|text| text == wanted);
    let is_ours = service["build"].is_object();
    let rules = [
        (is_variable_with_pin(&service["image"]), "image is not ${NAME_IMAGE:-name:exact-tag}"),
        (service["read_only"] == true, "the root file system is not read_only"),
        (has("security_opt", "no-new-privileges:true"), "security_opt lacks no-new-privileges:true"),
        (has("cap_drop", "ALL"), "cap_drop is not ALL"),
        (service["privileged"].is_null() && service["cap_add"].is_null(), "it asks for privileges"),
        (!service["mem_limit"].is_null(), "there is no mem_limit"),
        (!service["logging"]["options"]["max-size"].is_null(), "its log has no max-size"),
        // Our images have both inside.
        (is_ours || is_numeric_and_not_root(&service["user"]), "user is not a number, or is root"),
        (is_ours || !service["healthcheck"]["test"].is_null(), "there is no healthcheck"),
    ];
    let mut broken: Vec<String> =
        rules.iter().filter(|(holds, _)| !holds).map(|(_, what)| (*what).to_owned()).collect();
    let ports: Vec<&str> = texts(&service["ports"]).collect();
    if ports.len() > 1 || ports.len() != service["ports"].as_array().map_or(0, Vec::len) {
        broken.push("more than one port is published, or not in the form 127.0.0.1:${NAME_PORT:-N}:N".to_owned());
    }
    for port in ports.iter().filter(|port| !port.starts_with("127.0.0.1:${")) {
        broken.push(format!("port {port} is not 127.0.0.1:${{NAME_PORT:-N}}:N"));
    }
    for (other, dependency) in service["depends_on"].as_object().into_iter().flatten() {
        if dependency["condition"] != "service_healthy" {
            broken.push(format!("it does not wait until {other} is healthy"));
        }
        if file["services"][other].is_null() {
            broken.push(format!("it waits for {other}, which is not there"));
        }
    }
    broken.extend(written_secrets(service));
    broken
}

/// Secrets that stand in the file. A secret is a file that the value names, or a variable without a default.
fn written_secrets(service: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, value) in service["environment"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let is_secret = SECRET_WORDS.iter().any(|word| name.to_ascii_uppercase().contains(word));
        let is_reference =
            value.starts_with("file:") || (name.ends_with("_FILE") && value.starts_with("/run/secrets/"));
        let is_required = value.starts_with("${") && value.contains(":?");
        if is_secret && !is_reference && !is_required {
            broken.push(format!(
                "{name} is written in the file: name a file of /run/secrets, or write ${{{name}:?what to do}}"
            ));
        }
        if value
            .split_once("://")
            .is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains('@')))
        {
            broken.push(format!("{name} has a password in its URL"));
        }
    }
    broken
}

/// `${NAME_IMAGE:-name:tag}` where the tag is a version and not a word that moves.
fn is_variable_with_pin(image: &Value) -> bool {
    let inside = || image.as_str()?.strip_prefix("${")?.strip_suffix('}')?.split_once(":-");
    let Some((variable, default)) = inside() else { return false };
    let has_version = |tag: &str| {
        tag.bytes().filter(|byte| *byte == b'.').count() >= 1 && tag.bytes().any(|byte| byte.is_ascii_digit())
    };
    let tag = default.rsplit_once('/').map_or(default, |(_, last)| last).split_once(':').map(|(_, tag)| tag);
    variable.ends_with("_IMAGE") && tag.is_some_and(has_version)
}

fn is_numeric_and_not_root(user: &Value) -> bool {
    let id = user.as_str().and_then(|user| user.split(':').next()?.parse::<u32>().ok());
    id.is_some_and(|id| id != 0)
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{SERVICES, violations};

    fn good() -> Value {
        let service = json!({
            "image": "${REDIS_IMAGE:-registry.example.com:5000/redis:7.4.1-alpine}", "user": "999:1000", "read_only": true,
            "security_opt": ["no-new-privileges:true"], "cap_drop": ["ALL"], "mem_limit": "64m",
            "logging": {"options": {"max-size": "10m"}}, "healthcheck": {"test": ["CMD", "redis-cli", "ping"]},
            "ports": ["127.0.0.1:${REDIS_PORT:-6379}:6379"], "depends_on": {"postgres": {"condition": "service_healthy"}},
            "environment": {"DATABASE_URL": "file:/run/secrets/url", "PASSWORD_FILE": "/run/secrets/password", "API_KEY": "${API_KEY:?set it}"},
        });
        let services = SERVICES.iter().map(|name| ((*name).to_owned(), service.clone())).collect();
        json!({"services": Value::Object(services), "networks": {"data": {"internal": true}}, "secrets": {"url": {"file": "x"}}})
    }

    #[test]
    fn a_file_that_follows_the_rules_is_good() {
        assert_eq!(violations(&good()), Vec::<String>::new());
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let cases = [
            ("image", json!("redis:7.4.1"), "image is not"),
            ("image", json!("${REDIS_IMAGE:-redis:latest}"), "image is not"),
            ("image", json!("${REDIS_IMAGE:-redis}"), "image is not"),
            ("image", json!("${REDIS_IMAGE}"), "image is not"),
            ("user", json!("root"), "user is not a number"),
            ("user", json!("0:0"), "or is root"),
            ("user", Value::Null, "user is not a number"),
            ("read_only", json!(false), "not read_only"),
            ("security_opt", json!([]), "no-new-privileges"),
            ("cap_drop", json!(["NET_RAW"]), "cap_drop"),
            ("cap_add", json!(["NET_ADMIN"]), "asks for privileges"),
            ("mem_limit", Value::Null, "mem_limit"),
            ("logging", json!({}), "max-size"),
            ("healthcheck", Value::Null, "no healthcheck"),
            ("ports", json!(["6379:6379"]), "port 6379:6379 is not"),
            ("ports", json!(["0.0.0.0:${P:-1}:1"]), "is not 127.0.0.1"),
            ("ports", json!(["127.0.0.1:${P:-1}:1", "127.0.0.1:${Q:-2}:2"]), "more than one port"),
            ("depends_on", json!({"postgres": {"condition": "service_started"}}), "until postgres is healthy"),
            ("depends_on", json!({"mysql": {"condition": "service_healthy"}}), "mysql, which is not there"),
            ("environment", json!({"POSTGRES_PASSWORD": "hunter2"}), "POSTGRES_PASSWORD is written in the file"),
            ("environment", json!({"API_KEY": "${API_KEY:-default}"}), "API_KEY is written in the file"),
            ("environment", json!({"DATABASE_URL": "postgres://a:b@postgres/c"}), "a password in its URL"),
        ];
        for (field, value, says) in cases {
            let mut file = good();
            file["services"]["redis"][field] = value;
            let found = violations(&file);
            let [only] = found.as_slice() else { panic!("{says}: {found:?}") };
            assert!(
                only.starts_with("infra/compose/docker-compose.yml: service redis: ") && only.contains(says),
                "{only}"
            );
        }
        let mut file = good();
        file["services"]["jaeger"] = Value::Null;
        file["networks"]["data"] = json!({});
        file["secrets"]["url"] = json!({"environment": "URL"});
        let found = violations(&file).join("\n");
        for says in ["there is no service jaeger", "data is not internal", "secret url: it is no file"] {
            assert!(found.contains(says), "{found}");
        }
    }
}
