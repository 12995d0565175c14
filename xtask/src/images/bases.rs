//! What images are made of where none can be pulled: a Debian with the servers' packages, this machine's own libraries, programs that were built before.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use super::IMAGES;
use super::engine::Engine;
use crate::failure::{Failure, Result};
use crate::metadata::Metadata;

const RELEASE: &str = "bookworm";
const PACKAGES: &str = "postgresql redis-server nginx-light prometheus prometheus-alertmanager prometheus-pushgateway wget ca-certificates";
/// Targets of infra/docker/standins/Dockerfile.
pub(super) const STANDINS: [&str; 6] = ["postgres", "redis", "nginx", "prometheus", "alertmanager", "pushgateway"];

/// The name of an image that only this test knows.
pub(super) fn local(name: &str) -> String {
    format!("spillway-test/{name}:local")
}

/// The programs that go into the images.
pub(super) struct Programs {
    folder: PathBuf,
    is_release: bool,
}

impl Programs {
    pub(super) fn given(folder: PathBuf) -> Result<Self> {
        for (_, program, _) in IMAGES {
            if !folder.join(program).is_file() {
                return Err(Failure::new(format!("{} does not hold {program}", folder.display())));
            }
        }
        Ok(Self { folder, is_release: false })
    }

    pub(super) fn built(sh: &Shell) -> Result<Self> {
        for (package, program) in crate::dist::PROGRAMS {
            cmd!(sh, "cargo build --release --package {package} --bin {program}").run()?;
        }
        Ok(Self { folder: Metadata::target_directory(sh)?.join("release"), is_release: true })
    }

    pub(super) fn is_release(&self) -> bool {
        self.is_release
    }
}

/// An archive of a Debian with [`PACKAGES`], made once in `work`.
pub(super) fn debian(sh: &Shell, work: &Path) -> Result<PathBuf> {
    let archive = work.join("debian.tar");
    let made_of = work.join("debian.txt");
    let wanted = format!("{RELEASE} {PACKAGES}\n");
    if archive.is_file() && fs::read_to_string(&made_of).is_ok_and(|found| found == wanted) {
        return Ok(archive);
    }
    fs::create_dir_all(work)?;
    let temporary = sh.create_temp_dir()?;
    let root = temporary.path().join("root");
    quietly(cmd!(sh, "debootstrap --variant=minbase {RELEASE} {root}"))?;
    // Installing a server must not start it.
    let policy = root.join("usr/sbin/policy-rc.d");
    sh.write_file(&policy, "#!/bin/sh\nexit 101\n")?;
    cmd!(sh, "chmod +x {policy}").quiet().run()?;
    let install =
        format!("apt-get -qq update && apt-get -qq install --yes --no-install-recommends {PACKAGES} && apt-get clean");
    quietly(cmd!(sh, "chroot {root} env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 sh -c {install}"))?;
    let without = ["./usr/share/doc", "./usr/share/man", "./var/lib/apt/lists/*", "./var/lib/postgresql/15", "./dev/*"];
    let without: Vec<String> = without.iter().map(|path| format!("--exclude={path}")).collect();
    cmd!(sh, "tar --create --file {archive} --directory {root} {without...} .").quiet().run()?;
    sh.write_file(&made_of, wanted)?;
    Ok(archive)
}

/// Builds the stand-ins, and our images by the Dockerfile, as [`local`] names them.
pub(super) fn build(sh: &Shell, engine: &Engine, debian: &Path, programs: &Programs) -> Result<()> {
    let base = local("debian");
    engine.docker(sh, &["import"]).arg(debian).arg(&base).ignore_stdout().run()?;
    let base = format!("DEBIAN={base}");
    for target in STANDINS {
        let tag = local(target);
        let arguments = ["build", "--quiet", "--network=none", "--target", target, "--tag", &tag, "--build-arg", &base];
        engine.docker(sh, &arguments).arg("infra/docker/standins").ignore_stdout().run()?;
    }
    let work = sh.create_temp_dir()?;
    for (target, program, _) in IMAGES {
        let root = work.path().join(target);
        sh.create_dir(root.join("out/data"))?;
        let (from, to) = (programs.folder.join(program), root.join("out").join(program));
        cmd!(sh, "objcopy --strip-debug {from} {to}").quiet().run()?;
        import(sh, engine, &root, &format!("spillway-test/programs-{target}:latest"))?;
    }
    let runtime = work.path().join("runtime");
    make_runtime(sh, &runtime, &programs.folder.join(IMAGES[0].1))?;
    import(sh, engine, &runtime, &local("runtime"))?;
    let arguments = ["PROGRAMS=spillway-test/programs".to_owned(), format!("RUNTIME_IMAGE={}", local("runtime"))];
    for (target, ..) in IMAGES {
        let tag = local(target);
        let build =
            ["build", "--quiet", "--network=none", "--file=infra/docker/Dockerfile", "--target", target, "--tag", &tag];
        let more = arguments.iter().flat_map(|argument| ["--build-arg", argument]).chain(["."]).collect::<Vec<_>>();
        engine.docker(sh, &[&build, more.as_slice()].concat()).ignore_stdout().run()?;
    }
    Ok(())
}

/// Runs a command that says much, which only matters when it fails.
fn quietly(command: Cmd<'_>) -> Result<()> {
    let text = command.to_string();
    let output = command.quiet().ignore_status().output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Failure::new(format!("`{text}` failed:\n{}", String::from_utf8_lossy(&said).trim())))
}

/// What the distroless image has of this machine: the libraries that the program is linked with, authorities' certificates, users. No shell.
fn make_runtime(sh: &Shell, root: &Path, program: &Path) -> Result<()> {
    let linked = cmd!(sh, "ldd {program}").quiet().read()?;
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain(["/etc/ssl/certs/ca-certificates.crt"]) {
        let to = root.join(file.trim_start_matches('/'));
        sh.create_dir(to.parent().unwrap_or(root))?;
        // Follows links: what is linked is what is needed.
        sh.copy_file(file, to)?;
    }
    sh.write_file(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n",
    )?;
    sh.write_file(root.join("etc/group"), "root:x:0:\nnonroot:x:65532:\n")?;
    let temporary = sh.create_dir(root.join("tmp"))?;
    cmd!(sh, "chmod 1777 {temporary}").quiet().run()?;
    Ok(())
}

fn import(sh: &Shell, engine: &Engine, root: &Path, name: &str) -> Result<()> {
    let archive = root.with_extension("tar");
    cmd!(sh, "tar --create --owner=0 --group=0 --file {archive} --directory {root} .").quiet().run()?;
    Ok(engine.docker(sh, &["import"]).arg(archive).arg(name).ignore_stdout().run()?)
}
