//! The settings in ConfigMaps, read by the gateway's own `check-config` with the environment that the pods have.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::object::{Object, Step};
use super::schema::Finding;
use crate::Failure;

/// A container that runs the gateway with a settings file.
struct Gateway<'a> {
    environment: Vec<(String, String)>,
    /// The ConfigMap and its key.
    file: (&'a Object, String),
    role: Option<&'a str>,
}

/// What the gateway says about the settings of every container that runs it.
///
/// # Errors
/// When the program cannot be run.
pub(super) fn check<'a>(gateway: &Path, objects: &'a [Object]) -> Result<Vec<(&'a Object, Finding)>, Failure> {
    let mut findings: Vec<(&Object, Finding)> = Vec::new();
    for object in objects {
        let pod = &object.value()["spec"]["template"]["spec"];
        for container in pod["containers"].as_array().into_iter().flatten() {
            let Some(container) = read(objects, pod, container) else { continue };
            let (map, key) = (container.file.0, container.file.1.clone());
            let path = vec![Step::Key("data".into()), Step::Key(key)];
            for message in problems(gateway, &container)? {
                let finding = Finding { path: path.clone(), message };
                // api and worker share their file.
                if !findings.iter().any(|(_, other)| *other == finding) {
                    findings.push((map, finding));
                }
            }
        }
    }
    Ok(findings)
}

fn read<'a>(objects: &'a [Object], pod: &Value, container: &'a Value) -> Option<Gateway<'a>> {
    let arguments: Vec<&str> = container["args"].as_array()?.iter().filter_map(Value::as_str).collect();
    let after = |flag: &str| arguments.iter().skip_while(|argument| **argument != flag).nth(1).copied();
    let path = after("--config").filter(|_| arguments.first() == Some(&"serve"))?;
    let (folder, key) = path.rsplit_once('/')?;
    let mounts = container["volumeMounts"].as_array()?;
    let mount = mounts.iter().find(|mount| mount["mountPath"] == folder)?;
    let volume = pod["volumes"].as_array()?.iter().find(|volume| volume["name"] == mount["name"])?;
    let map = config_map(objects, &volume["configMap"]["name"])?;
    let environment = environment(objects, container);
    Some(Gateway { environment, file: (map, key.to_owned()), role: after("--role") })
}

/// Variables as the pod has them, with stand-ins for secrets.
fn environment(objects: &[Object], container: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut variables = Vec::new();
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let map = config_map(objects, &source["configMapRef"]["name"]);
        let data = map.and_then(|map| map.value()["data"].as_object());
        variables.extend(data.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))));
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let key = variable.pointer("/valueFrom/secretKeyRef/key").and_then(Value::as_str);
        let value = match key {
            Some("database-url") => "postgres://spillway@database.invalid/spillway".to_owned(),
            Some("redis-url") => "redis://redis.invalid:6379".to_owned(),
            Some(_) => "stand-in".to_owned(),
            None => text(&variable["value"]),
        };
        variables.push((text(&variable["name"]), value));
    }
    variables
}

fn config_map<'a>(objects: &'a [Object], name: &Value) -> Option<&'a Object> {
    objects.iter().find(|object| object.kind() == "ConfigMap" && *name == object.name())
}

fn problems(gateway: &Path, container: &Gateway<'_>) -> Result<Vec<String>, Failure> {
    let (map, key) = &container.file;
    let Some(text) = map.value()["data"][key].as_str() else {
        return Ok(vec![format!("{} has no key {key}, which the gateway is told to read", map.title())]);
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(key);
    std::fs::write(&file, text)?;
    let mut command = Command::new(gateway);
    command.arg("check-config").arg("--config").arg(&file).env_clear().envs(container.environment.clone());
    if let Some(role) = container.role {
        command.args(["--role", role]);
    }
    let output = command
        .current_dir(folder.path())
        .output()
        .map_err(|error| format!("cannot run the gateway {}: {error}", gateway.display()))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = String::from_utf8_lossy(&output.stderr).replace(&file.display().to_string(), key);
    let lines = said.lines().filter(|line| !line.starts_with("warning:") && !line.trim().is_empty());
    Ok(lines.map(|line| line.trim_start_matches("error:").trim().to_owned()).collect())
}
