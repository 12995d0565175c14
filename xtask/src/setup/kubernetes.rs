//! The Kubernetes API server that tests run against: etcd and kube-apiserver, in the place where envtest looks, on PATH, or built here once.
//!
//! Debian has no package of kube-apiserver, but its source with all dependencies, and the Go that it was made for (with a newer one it
//! crashes on the first custom resource). Both are downloaded into a build directory and never installed; etcd too, because its package
//! would start a service.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use super::apt::Archive;
use crate::failure::{Failure, Result};

/// Where the test kit looks too: `spillway_testkit::kubernetes`.
const CACHE: &str = "spillway";
const NAME: &str = "kubernetes-1.20.2";
const VERSION: &str = "v1.20.2";
const PROGRAMS: [&str; 2] = ["etcd", "kube-apiserver"];

const BY_HAND: &str =
    "put envtest's programs into a folder (`setup-envtest use -p path` prints one) and name it in KUBEBUILDER_ASSETS";

/// Folders of the two programs, `None` when one is missing. With `KUBEBUILDER_ASSETS` only that folder counts.
pub(super) fn find(sh: &Shell) -> Option<String> {
    let assets = sh.var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let folder_of = |program: &str| {
        let folders = match &assets {
            Some(assets) => vec![assets.clone()],
            None => {
                let on_path = sh.var_os("PATH").unwrap_or_default();
                std::env::split_paths(&on_path).chain(cache(sh).map(|cache| cache.join(NAME))).collect()
            }
        };
        folders.into_iter().find(|folder| folder.join(program).is_file())
    };
    let mut folders = PROGRAMS.iter().map(|program| folder_of(program)).collect::<Option<Vec<_>>>()?;
    folders.dedup();
    Some(folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "))
}

/// Builds both into the user's cache directory. A second run waits for the first one; an interrupted one leaves a directory that the next one removes.
pub(super) fn build(sh: &Shell) -> Result<()> {
    if let Some(assets) = sh.var_os("KUBEBUILDER_ASSETS") {
        let folder = Path::new(&assets).display();
        return Err(Failure::new(format!(
            "{folder}, which KUBEBUILDER_ASSETS names, does not hold {}",
            PROGRAMS.join(" and ")
        )));
    }
    let missing = |reason: &str| Failure::new(format!("the Kubernetes API server is missing: {reason}: {BY_HAND}"));
    let cache = cache(sh).ok_or_else(|| missing("without HOME there is no cache directory to build it in"))?;
    fs::create_dir_all(&cache)?;
    let lock = File::options().create(true).append(true).open(cache.join("kubernetes.lock"))?;
    if lock.try_lock().is_err() {
        println!("another run builds the Kubernetes API server, waiting for it");
        lock.lock()?;
    }
    if find(sh).is_some() {
        return Ok(());
    }
    println!(
        "the Kubernetes API server is missing, building it in {}: once, some 3 minutes on two cores, 1.5 GB of disk meanwhile",
        cache.display()
    );
    let started = Instant::now();
    let build = Build::new(cache)?;
    build.run(sh, started).map_err(|error| missing(&error.to_string()))?;
    println!("the Kubernetes API server was built in {}", in_words(started.elapsed()));
    Ok(())
}

/// A build directory, removed on drop.
struct Build {
    cache: PathBuf,
    dir: PathBuf,
}

impl Build {
    /// To be called under the lock: removes what interrupted runs left.
    fn new(cache: PathBuf) -> Result<Self> {
        let prefix = format!("{NAME}.build-");
        for entry in fs::read_dir(&cache)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let dir = cache.join(format!("{prefix}{}", std::process::id()));
        fs::create_dir(&dir)?;
        Ok(Self { cache, dir })
    }

    fn run(&self, sh: &Shell, started: Instant) -> Result<()> {
        let say = |what: &str| println!("  {:>3} s  {what}", started.elapsed().as_secs());
        say("downloading source, compiler and etcd");
        let root = self.dir.join("root");
        let done = self.dir.join("done");
        fs::create_dir_all(&done)?;
        let archive = Archive::open(sh, &self.dir)?;
        archive.unpack(sh, &["golang-1.15-go", "golang-1.15-src", "etcd-server"], &root)?;
        fs::rename(root.join("usr/bin/etcd"), done.join("etcd"))?;
        let go = Go::new(sh, &self.dir, &root.join("usr/lib/go-1.15"))?;
        archive.unpack_source(sh, "kubernetes", &go.source)?;
        say("generating the schemas");
        go.generate_openapi(sh)?;
        say("compiling");
        go.build(sh, "./cmd/kube-apiserver", &done.join("kube-apiserver"))?;
        let server = done.join("kube-apiserver");
        let version = cmd!(sh, "{server} --version").quiet().read()?;
        if !version.ends_with(VERSION) {
            return Err(Failure::new(format!("what was built says that it is {version:?}")));
        }
        let target = self.cache.join(NAME);
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        Ok(fs::rename(done, target)?)
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A Go toolchain and the tree that it builds, in the layout that Go used before modules: Kubernetes' code generator needs it.
struct Go {
    root: PathBuf,
    path: PathBuf,
    build_dir: PathBuf,
    /// Where the source belongs.
    source: PathBuf,
}

impl Go {
    fn new(sh: &Shell, build_dir: &Path, root: &Path) -> Result<Self> {
        let path = build_dir.join("go");
        let source = path.join("src/k8s.io/kubernetes");
        sh.create_dir(&source)?;
        sh.create_dir(build_dir.join("tmp"))?;
        Ok(Self { root: root.to_owned(), path, build_dir: build_dir.to_owned(), source })
    }

    /// The one generated file that the source does not hold: the schemas, which server-side apply and strict validation go by.
    fn generate_openapi(&self, sh: &Shell) -> Result<()> {
        let generator = self.build_dir.join("openapi-gen");
        self.build(sh, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen", &generator)?;
        let source = &self.source;
        let marked = cmd!(sh, "grep -rlE --include=*.go --exclude=*_test.go --exclude-dir=testdata")
            .args(["--exclude-dir=code-generator", "--exclude-dir=sample-apiserver", r"^// \+k8s:openapi-gen="])
            .args([source.join("pkg"), source.join("staging/src/k8s.io")])
            .quiet()
            .read()?;
        let inside = |file: &str| {
            let folder = Path::new(file).parent()?.strip_prefix(source).ok()?.to_str()?;
            Some(format!("k8s.io/kubernetes/{}", folder.replacen("staging/src/", "vendor/", 1)))
        };
        let mut packages: Vec<String> = marked.lines().filter_map(inside).collect();
        packages.sort();
        packages.dedup();
        let packages = packages.join(",");
        let report = self.build_dir.join("openapi-violations");
        let licence = "vendor/k8s.io/code-generator/hack/boilerplate.go.txt";
        self.command(sh, &generator)
            .args(["-p", "k8s.io/kubernetes/pkg/generated/openapi", "-O", "zz_generated.openapi", "-h", licence, "-r"])
            .arg(report)
            .args(["-i", &packages])
            .run()?;
        Ok(())
    }

    fn build(&self, sh: &Shell, package: &str, program: &Path) -> Result<()> {
        let version_of = |package: &str| {
            let set = |name: &str, value: &str| {
                format!("-X k8s.io/kubernetes/vendor/k8s.io/{package}/version.{name}={value}")
            };
            [set("gitVersion", VERSION), set("gitMajor", "1"), set("gitMinor", "20"), set("gitTreeState", "clean")]
                .join(" ")
        };
        let flags = format!("-s -w {} {}", version_of("component-base"), version_of("client-go/pkg"));
        let go = self.root.join("bin/go");
        self.command(sh, &go).args(["build", "-ldflags", &flags, "-o"]).arg(program).arg(package).run()?;
        Ok(())
    }

    /// A program that runs in the source tree and sees only this toolchain.
    fn command<'a>(&self, sh: &'a Shell, program: &Path) -> xshell::Cmd<'a> {
        let path = std::env::join_paths([self.root.join("bin"), "/usr/bin".into(), "/bin".into()]);
        let source = &self.source;
        cmd!(sh, "env --chdir={source} {program}")
            .quiet()
            .env("PATH", path.unwrap_or_default())
            .env("GOROOT", &self.root)
            .env("GOPATH", &self.path)
            .env("GOCACHE", self.build_dir.join("cache"))
            .env("GOTMPDIR", self.build_dir.join("tmp"))
            .env("GO111MODULE", "off")
            .env("GOPROXY", "off")
            .env("GOFLAGS", "")
            .env("CGO_ENABLED", "0")
    }
}

fn cache(sh: &Shell) -> Option<PathBuf> {
    let home = || Some(PathBuf::from(sh.var_os("HOME")?).join(".cache"));
    let cache_home = sh.var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from).or_else(home)?;
    Some(cache_home.join(CACHE))
}

fn in_words(time: Duration) -> String {
    format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
}
