//! Weights and mirror of nginx, and what is known to be live.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slots;
use spillway_rollout::spec::{HostTarget, NginxRouter};
use tokio::time::Instant;
use tracing::{info, warn};

use super::nginx::Nginx;
use super::router_file;
use crate::memory::{self, files};

const MAX_FILE_BYTES: u64 = 1 << 20;
/// How long a slot that lost its traffic is kept for requests that nginx took before.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// One nginx and the file that it includes.
#[derive(Debug)]
pub(super) struct Router {
    /// Remembers what nginx was seen to take.
    memory: PathBuf,
    live: Option<Live>,
    nginx: Option<(NginxRouter, Nginx)>,
    /// When draining was seen first after a change of weights.
    drain_since: Option<Instant>,
}

/// What nginx took last, and was seen to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Live {
    file: String,
    router: RouterObserved,
    content: String,
}

impl Router {
    pub(super) fn open(directory: &Path) -> Self {
        let memory = directory.join("router.json");
        let live = memory::read_versioned(&memory, MAX_FILE_BYTES).unwrap_or_else(|error| {
            warn!("{error}; nginx is asked to load its file again");
            None
        });
        Self { memory, live, nginx: None, drain_since: None }
    }

    /// What nginx does. Without any knowledge of it, what its file says; nothing for either slot without a file.
    ///
    /// # Errors
    /// When nginx does not run or cannot be asked.
    pub(super) async fn observe(&mut self, router: &NginxRouter) -> Result<RouterObserved, PortError> {
        if self.nginx(router).master().await?.is_none() {
            return Err(not_running(router));
        }
        if let Some(live) = self.live.as_ref().filter(|live| live.file == router.file) {
            return Ok(live.router);
        }
        let nothing = RouterObserved { weights: Slots::default(), mirror: Slots::default() };
        Ok(read(router)?.and_then(|text| router_file::read(&text)).unwrap_or(nothing))
    }

    /// What nginx was seen to do last, whether it runs or not.
    pub(super) fn last_known(&self) -> Option<RouterObserved> {
        self.live.as_ref().map(|live| live.router)
    }

    /// Makes nginx do it. When it already does, nothing is touched.
    ///
    /// # Errors
    /// When nginx refuses or does not run. Its file is then as it was last good.
    pub(super) async fn apply(
        &mut self,
        rollout: &str,
        host: &HostTarget,
        desired: RouterObserved,
    ) -> Result<(), PortError> {
        let router = &host.nginx;
        let servers = Slots::make(|slot| host.slots.get(slot).addresses.clone());
        let content = router_file::render(rollout, &servers, &desired, router.mirror_unsafe_methods);
        let content = content.map_err(PortError::Permanent)?;
        let before = read(router)?;
        let wanted = Live { file: router.file.clone(), router: desired, content };
        let is_written = before.as_deref() == Some(wanted.content.as_str());
        if is_written && self.live.as_ref() == Some(&wanted) {
            return Ok(());
        }

        let last_good = self.live.as_ref().filter(|live| live.file == wanted.file).map(|live| live.content.clone());
        if last_good.is_some() && before != last_good && !is_written {
            warn!(file = router.file, "the file was changed by someone else, and is written again");
        }
        let last_good = last_good.or(before);
        if !is_written {
            write(router, &wanted.content)?;
        }
        if let Err(error) = self.load(router).await {
            return Err(self.take_back(router, last_good.as_deref(), error).await);
        }
        if self.live.as_ref().is_none_or(|live| live.router != desired) {
            info!(
                rollout,
                blue = desired.weights.blue,
                green = desired.weights.green,
                mirror_blue = desired.mirror.blue,
                mirror_green = desired.mirror.green,
                "nginx took these weights"
            );
        }
        self.drain_since = None;
        self.remember(wanted)
    }

    /// Whether nginx has finished the requests that it took before the weights changed, or had its time.
    pub(super) async fn is_drained(&mut self, router: &NginxRouter) -> Result<bool, PortError> {
        let Some(master) = self.nginx(router).master().await? else { return Ok(true) };
        if !Nginx::is_draining(&master) {
            self.drain_since = None;
            return Ok(true);
        }
        let since = *self.drain_since.get_or_insert_with(Instant::now);
        Ok(since.elapsed() >= DRAIN_DEADLINE)
    }

    async fn load(&mut self, router: &NginxRouter) -> Result<(), LoadError> {
        let nginx = self.nginx(router);
        nginx.test().await.map_err(LoadError::Refused)?;
        let Some(master) = nginx.master().await.map_err(LoadError::Refused)? else {
            return Err(LoadError::NotRunning);
        };
        nginx.reload(&master).await.map_err(LoadError::NotTaken)
    }

    /// Puts the last good file back, and makes sure that nginx runs with it.
    async fn take_back(&mut self, router: &NginxRouter, last_good: Option<&str>, error: LoadError) -> PortError {
        let (error, reload) = match error {
            // Nothing was taken and nothing is served: the file is good, and what nginx shall start with.
            LoadError::NotRunning => return not_running(router),
            LoadError::Refused(error) => (error, false),
            LoadError::NotTaken(error) => (error, true),
        };
        let restored = match last_good {
            Some(content) => write(router, content),
            None => files::remove(Path::new(&router.file)).map_err(|error| unusable(router, &error)),
        };
        if let Err(trouble) = restored {
            return PortError::Temporary(format!("{error}; and the old file could not be put back: {trouble}"));
        }
        if reload
            && let nginx = self.nginx(router)
            && let Ok(Some(master)) = nginx.master().await
            && let Err(trouble) = nginx.reload(&master).await
        {
            return PortError::Temporary(format!("{error}; the old file was put back: {trouble}"));
        }
        match error {
            PortError::Temporary(text) => PortError::Temporary(format!("{text}; the old weights stay")),
            PortError::Permanent(text) => PortError::Permanent(format!("{text}; the old weights stay")),
        }
    }

    fn remember(&mut self, live: Live) -> Result<(), PortError> {
        let text = memory::versioned(&live).map_err(io::Error::other);
        let written = text.and_then(|text| files::write_atomically(&self.memory, &text, files::PRIVATE));
        self.live = Some(live);
        let path = self.memory.display();
        written.map_err(|error| PortError::Temporary(format!("{path} cannot be written: {error}")))
    }

    fn nginx(&mut self, router: &NginxRouter) -> &mut Nginx {
        if self.nginx.as_ref().is_none_or(|(of, _)| of != router) {
            self.nginx = None;
        }
        &mut self.nginx.get_or_insert_with(|| (router.clone(), Nginx::new(router))).1
    }
}

enum LoadError {
    /// The configuration is bad; nginx was not told of it.
    Refused(PortError),
    /// nginx was told and did not take it.
    NotTaken(PortError),
    NotRunning,
}

fn read(router: &NginxRouter) -> Result<Option<String>, PortError> {
    let content = files::read_bounded(Path::new(&router.file), MAX_FILE_BYTES);
    let content = content.map_err(|error| unusable(router, &error))?;
    Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

fn write(router: &NginxRouter, content: &str) -> Result<(), PortError> {
    files::write_atomically(Path::new(&router.file), content.as_bytes(), files::PUBLIC)
        .map_err(|error| unusable(router, &error))
}

fn unusable(router: &NginxRouter, error: &io::Error) -> PortError {
    PortError::Temporary(format!("nginx's file {} cannot be used: {error}", router.file))
}

fn not_running(router: &NginxRouter) -> PortError {
    let file = &router.file;
    PortError::Temporary(format!("nginx does not run: start it, with {file} included in its http block"))
}
