//! The files that a local stack runs with: those that are shipped, with the addresses of this machine.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::hurry::hurried;
use super::programs::Programs;
use super::state::State;
use crate::Failure;
use crate::demo::{SIGNING_SECRET, SOURCE_SECRET};

/// The shipped files, below the working directory.
const INFRA: &str = "infra";
/// Role of PostgreSQL's owner.
const DATABASE_ROLE: &str = "spillway";
/// For data that cannot be in the stack's folder; survives a restart of the machine.
const ELSEWHERE: &str = "/var/tmp";

/// Writes settings and configuration of every part, and makes an empty database when there is none.
pub(super) fn write(folder: &Path, state: &State, programs: &Programs) -> Result<(), Failure> {
    for part in ["logs", "secrets", "nginx", "redis", "alertmanager", "prometheus/rules/slo", "prometheus/targets"] {
        fs::create_dir_all(folder.join(part))?;
    }
    let password = database(folder, programs)?;
    write_private(&folder.join("spillway.toml"), &settings(state, &password))?;
    fs::write(folder.join("nginx/nginx.conf"), nginx_main(folder))?;
    fs::write(folder.join("nginx/gateway.conf"), nginx(folder, state)?)?;
    alertmanager(folder, state)?;
    prometheus(folder, state)
}

/// The settings of all three processes of the gateway.
fn settings(state: &State, password: &str) -> String {
    format!(
        r#"[store]
url = "postgres://{DATABASE_ROLE}:{password}@{postgres}/postgres"
[redis]
url = "redis://{redis}"
[delivery]
allow_networks = ["127.0.0.0/8"]
[[sources]]
name = "github"
provider = "github"
secrets = ["{SOURCE_SECRET}"]
[[destinations]]
name = "receiver"
url = "http://{receiver}/hooks"
signing_secrets = ["{SIGNING_SECRET}"]
[[connections]]
source = "github"
destination = "receiver"
"#,
        postgres = state.address("postgres"),
        redis = state.address("redis"),
        receiver = state.address("receiver"),
    )
}

/// The password of the database in `postgres`, which is made when it is not there.
fn database(folder: &Path, programs: &Programs) -> Result<String, Failure> {
    let (data, secret) = (folder.join("postgres"), folder.join("secrets/postgres_password"));
    if data.is_dir() {
        let password = fs::read_to_string(&secret).map_err(|error| {
            format!(
                "{} has a database whose password is lost ({}: {error}): remove both to begin with an empty one",
                data.display(),
                secret.display()
            )
        })?;
        return Ok(password);
    }
    let place = place_of_data(folder, programs)?;
    let password = format!("{:032x}", rand::random::<u128>());
    // Made beside its place: half a database is none.
    let (staged, handed_over) = (place.join("postgres.new"), place.join("postgres.password"));
    if staged.exists() {
        fs::remove_dir_all(&staged)?;
    }
    fs::create_dir(&staged)?;
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o700))?;
    write_private(&handed_over, &password)?;
    for path in [&staged, &handed_over] {
        if let Some((user, group)) = programs.postgres_owner {
            chown(path, Some(user), Some(group))?;
        }
    }
    let mut initdb = programs.postgres("initdb");
    initdb.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username", DATABASE_ROLE]);
    let made = initdb.arg("--pwfile").arg(&handed_over).arg("-D").arg(&staged).output();
    fs::remove_file(handed_over)?;
    let made = made.map_err(|error| format!("initdb cannot be run: {error}"))?;
    if !made.status.success() {
        return Err(format!("initdb made no database: {}", String::from_utf8_lossy(&made.stderr).trim()).into());
    }
    extensions(&staged, programs)?;
    write_private(&secret, &password)?;
    fs::rename(staged, place.join("postgres"))?;
    if place != folder {
        if data.is_symlink() {
            fs::remove_file(&data)?;
        }
        symlink(place.join("postgres"), data)?;
    }
    Ok(password)
}

/// The stack's folder, or one that PostgreSQL's user can get into: the home of root is closed to it.
fn place_of_data(folder: &Path, programs: &Programs) -> Result<PathBuf, Failure> {
    if programs.postgres_reaches(folder) {
        return Ok(folder.to_owned());
    }
    let place = Path::new(ELSEWHERE).join(format!("spillway-stack-{:016x}", rand::random::<u64>()));
    fs::create_dir(&place)?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    say!("  PostgreSQL's user cannot get into {}: its data goes to {}", folder.display(), place.display());
    Ok(place)
}

/// What the containers' database is given at its first start; here by a server that runs only for that.
fn extensions(data: &Path, programs: &Programs) -> Result<(), Failure> {
    let statements = Path::new(INFRA).join("compose/postgres/extensions.sql");
    let input = File::open(&statements).map_err(|error| format!("{}: {error}", statements.display()))?;
    let mut postgres = programs.postgres("postgres");
    postgres.arg("--single").args(["-c", "exit_on_error=on", "-D"]).arg(data).arg("postgres").stdin(input);
    let made = postgres.output().map_err(|error| format!("postgres cannot be run: {error}"))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(format!("{} failed: {}", statements.display(), said.trim()).into());
    }
    Ok(())
}

/// What the shipped file is included in.
fn nginx_main(folder: &Path) -> String {
    let dir = folder.join("nginx");
    let dir = dir.display();
    // Workers of a root's nginx would be another user, who may be kept out of the folder.
    let user = if rustix::process::geteuid().is_root() { "user root root;\n" } else { "" };
    format!(
        "{user}daemon off;\nworker_processes 2;\npid {dir}/nginx.pid;\nerror_log stderr notice;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\nclient_body_temp_path {dir}/body;\nproxy_temp_path {dir}/proxy;\nfastcgi_temp_path {dir}/fastcgi;\n\
         uwsgi_temp_path {dir}/uwsgi;\nscgi_temp_path {dir}/scgi;\ninclude {dir}/gateway.conf;\n}}\n"
    )
}

fn nginx(folder: &Path, state: &State) -> Result<String, Failure> {
    let pairs = [
        ("listen 80 default_server;", format!("listen {} default_server;", state.address("nginx"))),
        ("listen 8081;", format!("listen {};", state.address("nginx-metrics"))),
        ("api-1:8080", state.address("api-1")),
        ("api-2:8080", state.address("api-2")),
        ("/dev/stdout", folder.join("logs/nginx.log").display().to_string()),
        ("/etc/nginx/spillway/", format!("{}/", folder.join("nginx").display())),
    ];
    replaced("nginx/gateway.conf", &pairs)
}

fn alertmanager(folder: &Path, state: &State) -> Result<(), Failure> {
    let secrets = folder.join("secrets");
    let receiver = state.address("receiver");
    write_private(&secrets.join("slack_webhook_url"), &format!("http://{receiver}/slack"))?;
    write_private(&secrets.join("pagerduty_routing_key"), "local")?;
    let pagerduty = format!("- url: http://{receiver}/pagerduty\n        routing_key_file:");
    let pairs = [
        ("/run/secrets", secrets.display().to_string()),
        ("127.0.0.1:9099", receiver),
        ("- routing_key_file:", pagerduty),
    ];
    let text = replaced("alertmanager/alertmanager.yml", &pairs)?;
    Ok(fs::write(folder.join("alertmanager/alertmanager.yml"), hurried(&text, state.hurry))?)
}

fn prometheus(folder: &Path, state: &State) -> Result<(), Failure> {
    let to = folder.join("prometheus");
    let pairs = [
        ("api-1:8080", state.address("api-1")),
        ("api-2:8080", state.address("api-2")),
        ("worker:8080", state.address("worker")),
        ("nginx:8081", state.address("nginx-metrics")),
        ("pushgateway:9091", state.address("pushgateway")),
        ("alertmanager:9093", state.address("alertmanager")),
        ("127.0.0.1:9090", state.address("prometheus")),
    ];
    let text = replaced("prometheus/prometheus.yml", &pairs)?;
    fs::write(to.join("prometheus.yml"), hurried(&text, state.hurry))?;
    for rules in ["rules", "rules/slo"] {
        // What is shipped no more must not stay.
        for stale in yaml_files(&to.join(rules))? {
            fs::remove_file(stale)?;
        }
        for file in yaml_files(&Path::new(INFRA).join("prometheus").join(rules))? {
            let text = fs::read_to_string(&file)?;
            fs::write(to.join(rules).join(file.file_name().unwrap_or_default()), hurried(&text, state.hurry))?;
        }
    }
    Ok(())
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "yml")).collect())
}

/// A shipped file with other texts in these places, each of which it must have.
fn replaced(file: &str, pairs: &[(&str, String)]) -> Result<String, Failure> {
    let path = Path::new(INFRA).join(file);
    let mut text = fs::read_to_string(&path)
        .map_err(|error| format!("{}: {error}; run this in the repository's folder", path.display()))?;
    for (name, value) in pairs {
        if !text.contains(name) {
            return Err(format!("{} has no {name:?}, which a local stack has to replace", path.display()).into());
        }
        text = text.replace(name, value);
    }
    Ok(text)
}

/// A file that only its owner may read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let file = File::options().create(true).write(true).truncate(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}
