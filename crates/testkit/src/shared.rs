//! A server for all tests of a run, although nextest runs each test in a process of its own.
//!
//! The first test that needs it starts it under a lock file in `target/testkit`; every user holds a shared lock on `NAME.users`, which
//! the system releases however the user ends; a watchdog stops the server when nobody has held that lock for a while.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use std::os::unix::process::CommandExt;

use crate::process::{find_on_path, is_alive};

/// Stops the processes once nobody has used them for 30 looks, a second apart, and removes their data. The start lock is held meanwhile, so
/// that no test can find a server that is about to go. A directory that was removed (`cargo clean`) counts as unused, and when one
/// of the processes ended, the others go with it.
const WATCHDOG: &str = r#"
pids=$1 name=$2 data=$3 state=$4 idle=0
in_use() { [ -e "$state/$name.users" ] && ! flock --nonblock "$state/$name.users" true; }
while kill -0 $pids 2>/dev/null; do
    sleep 1
    if in_use; then idle=0; else idle=$((idle + 1)); fi
    [ "$idle" -ge 30 ] || continue
    if [ -d "$state" ]; then
        exec 9>"$state/$name.start"
        flock 9
    fi
    if in_use; then
        idle=0
        exec 9>&-
    else
        break
    fi
done
kill -QUIT $pids 2>/dev/null
for pid in $pids; do
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
done
rm -rf "$data"
"#;

/// Lock files and state of one kind of server.
#[derive(Debug)]
pub(crate) struct Shared {
    name: &'static str,
    state_dir: PathBuf,
}

/// A server that some test started.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its processes, all of which are alive.
    pub(crate) pids: Vec<u32>,
    pub(crate) data_dir: PathBuf,
    /// What its starter wrote down about it, in one line.
    pub(crate) details: String,
}

impl Shared {
    /// `name` is the name of its files in `target/testkit`.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, state_dir: state_dir() }
    }

    /// False on a system without flock(1), which the watchdog needs.
    pub(crate) fn is_possible() -> bool {
        find_on_path("flock").is_some()
    }

    /// The exclusive lock under which the server is started and stopped, and then a share of the users' lock.
    pub(crate) async fn lock(&self) -> (File, File) {
        let (name, state_dir) = (self.name, self.state_dir.clone());
        let locked = tokio::task::spawn_blocking(move || {
            let open = |role| File::options().create(true).append(true).open(state_dir.join(format!("{name}.{role}")));
            let start_lock = open("start")?;
            start_lock.lock()?;
            let users = open("users")?;
            users.lock_shared()?;
            Ok((start_lock, users))
        });
        let locked: std::io::Result<_> = locked.await.expect("lock files in the target directory");
        locked.unwrap_or_else(|error| panic!("lock files in the target directory: {error}"))
    }

    /// The server that the state file names, if its processes run. To be asked under the start lock.
    pub(crate) fn running(&self) -> Option<Running> {
        let state = fs::read_to_string(self.state_file()).ok()?;
        let mut lines = state.lines();
        let pids: Vec<u32> = lines.next()?.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let details = lines.next()?.to_owned();
        let data_dir = lines.next()?.into();
        pids.iter().copied().all(is_alive).then_some(Running { pids, data_dir, details })
    }

    /// Writes down a server that was started and accepts connections, and sees that it is stopped when nobody uses it. To be called under
    /// the start lock.
    pub(crate) fn started(&self, server: &Running) {
        let pids = server.pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        let state = format!("{pids}\n{}\n{}\n", server.details, server.data_dir.display());
        fs::write(self.state_file(), state).expect("write in the target directory");
        self.start_watchdog(&pids, &server.data_dir);
    }

    #[expect(clippy::zombie_processes, reason = "it outlives this process on purpose")]
    fn start_watchdog(&self, pids: &str, data_dir: &Path) {
        let started = Command::new("sh")
            .args(["-c", WATCHDOG, "spillway-testkit-watchdog", pids, self.name])
            .args([data_dir, &self.state_dir])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        started.expect("start sh, which stops the shared server when nobody uses it");
    }

    fn state_file(&self) -> PathBuf {
        self.state_dir.join(format!("{}.state", self.name))
    }
}

/// `testkit` in cargo's target directory, which cargo marks with CACHEDIR.TAG; the temporary directory for a program moved elsewhere.
pub(crate) fn state_dir() -> PathBuf {
    let program = std::env::current_exe().expect("find the running program");
    let target_dir = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    let dir = target_dir.map_or_else(|| std::env::temp_dir().join("spillway-testkit"), |target| target.join("testkit"));
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("make {}: {error}", dir.display()));
    dir
}
