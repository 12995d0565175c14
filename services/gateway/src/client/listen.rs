//! `spillway listen`: a source's events, forwarded to a server on this machine as they come.

mod forward;
mod keys;
mod resume;
mod screen;

use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Uri;
use serde::Deserialize;
use spillway_model::{EventId, Secret};
use spillway_settings::{Environment, resolve_secret};
use spillway_signature::StandardSigner;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Client;
use super::api::Socket;
use super::arguments::{one_secret, secret};
use super::error::ClientError;
use forward::{Forwarder, ReceivedEvent};
use keys::{Key, Keys};
use resume::Resume;
use screen::Screen;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway listen --source github --forward http://localhost:3000/hooks
  spillway listen --source shop --forward http://localhost:3000/hooks --secret env:WEBHOOK_SECRET --output json
  spillway listen --source shop --forward http://localhost:3000/hooks --from evt_01k9zv5w3hf6p8r2t4x6y8a0b2

Each event is sent once, in its order, with body and headers as they came. A local server that fails or is down is shown with the event and \
gets the next one; r sends the last event again. When the connection to the gateway breaks it is made again, and nothing is left out. The \
gateway's own deliveries are not touched.";

/// Events under way without an answer: enough to hide the network, few enough to come again after a break.
const WINDOW: u64 = 16;
/// The gateway shows every 15 s that the connection lives.
const SILENCE: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct ListenArguments {
    /// Source whose events to forward, by id or name
    #[arg(long)]
    source: String,
    /// Where to send them, such as http://localhost:3000/hooks
    #[arg(long, value_name = "URL", value_parser = forward_url)]
    forward: Uri,
    /// Begin with this event [default: with those that come from now on]
    #[arg(long, value_name = "ID")]
    from: Option<EventId>,
    /// Sign as Standard Webhooks with this secret (whsec_…): its text, env:NAME or file:PATH, or - for standard input
    #[arg(long, value_parser = secret)]
    secret: Option<Secret>,
}

fn forward_url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_| "write a URL such as http://localhost:3000/hooks".to_owned())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') => Ok(uri),
        _ => Err("write http://HOST[:PORT][/PATH] or https://…, without user and password".to_owned()),
    }
}

/// What the gateway says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Told {
    Ready { from: EventId },
    Event { event: Box<ReceivedEvent> },
    Gone { id: EventId },
}

/// Why a connection came to its end.
enum Ended {
    /// Somebody wants to stop.
    Stopped,
    /// It broke, or could not be made.
    Broken(String),
}

/// Events on their way through.
struct Listener {
    source: String,
    forwarder: Forwarder,
    screen: Screen,
    keys: Keys,
    stop: Stop,
    resume: Resume,
    last: Option<Box<ReceivedEvent>>,
    wait: Duration,
}

pub(crate) async fn run(arguments: ListenArguments, client: &mut Client) -> Result<(), ClientError> {
    let signer = signer(arguments.secret.as_ref())?;
    let forwarder = Forwarder::new(arguments.forward, signer, client.api.timeout())?;
    let mut listener = Listener {
        source: arguments.source,
        screen: Screen::new(client.output.is_json(), client.output.is_coloured()),
        forwarder,
        keys: Keys::listen(),
        stop: Stop::listen()?,
        resume: Resume::new(arguments.from),
        last: None,
        wait: FIRST_WAIT,
    };
    loop {
        match listener.follow(client).await? {
            Ended::Stopped => return listener.screen.end(),
            Ended::Broken(reason) => {
                client.output.hint(&format!("{reason}; trying again in {:.1} s", listener.wait.as_secs_f64()));
                let wait = listener.wait;
                listener.wait = (wait * 2).min(LONGEST_WAIT);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = listener.stop.wanted() => return listener.screen.end(),
                }
            }
        }
    }
}

fn signer(given: Option<&Secret>) -> Result<Option<StandardSigner>, ClientError> {
    let Some(given) = given else { return Ok(None) };
    let secret = resolve_secret(&one_secret(given)?, &Environment::of_process());
    let secret = secret.map_err(|error| ClientError::Usage(error.to_string()))?;
    let signer = StandardSigner::new(&[secret.expose()]);
    signer.map(Some).map_err(|error| ClientError::Usage(format!("--secret cannot be signed with: {error}")))
}

impl Listener {
    /// Connects and forwards until the connection ends. The first connection has to succeed.
    async fn follow(&mut self, client: &Client) -> Result<Ended, ClientError> {
        let mut query = vec![("mode", "deliver".to_owned()), ("source", self.source.clone())];
        query.push(("window", WINDOW.to_string()));
        query.extend(self.resume.from().map(|from| ("from", from.to_string())));
        let opened = tokio::select! {
            opened = client.api.open(&["stream"], &query) => opened,
            () = self.stop.wanted() => return Ok(Ended::Stopped),
        };
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(error) if self.resume.is_under_way() && error.may_pass() => {
                return Ok(Ended::Broken(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(SILENCE, socket.next()) => message,
                key = self.keys.next() => match key {
                    Key::Replay => {
                        self.replay().await?;
                        continue;
                    }
                    Key::Leave => return Ok(Ended::Stopped),
                },
                () = self.stop.wanted() => return Ok(Ended::Stopped),
            };
            let ended = match message {
                Err(_) => Some(Ended::Broken("the gateway says nothing any more".to_owned())),
                Ok(None) => Some(Ended::Broken("the gateway closed the connection".to_owned())),
                Ok(Some(Err(error))) => Some(Ended::Broken(format!("the connection broke: {error}"))),
                Ok(Some(Ok(Message::Text(text)))) => self.hear(text.as_str(), &mut socket, client).await?,
                Ok(Some(Ok(Message::Close(Some(frame))))) if frame.code == CloseCode::Policy => {
                    return Err(ClientError::Ended { reason: frame.reason.as_str().to_owned() });
                }
                Ok(Some(Ok(Message::Close(frame)))) => {
                    let reason = frame.map_or_else(String::new, |frame| format!(": {}", frame.reason.as_str()));
                    Some(Ended::Broken(format!("the gateway closed the connection{reason}")))
                }
                Ok(Some(Ok(_))) => None,
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// Does what the gateway says.
    async fn hear(&mut self, text: &str, socket: &mut Socket, client: &Client) -> Result<Option<Ended>, ClientError> {
        match serde_json::from_str(text) {
            Ok(Told::Ready { from }) => {
                let is_first = self.resume.begin(from);
                self.wait = FIRST_WAIT;
                client.output.hint(&self.greeting(is_first));
                Ok(None)
            }
            Ok(Told::Event { event }) => {
                let id = event.id;
                if self.resume.is_new(id) {
                    let forwarded = tokio::select! {
                        forwarded = self.forwarder.forward(&event) => forwarded,
                        () = self.stop.wanted() => return Ok(Some(Ended::Stopped)),
                    };
                    self.screen.show(&event, &forwarded, false)?;
                    self.resume.done(id);
                    self.last = Some(event);
                }
                let ack = Message::text(format!("{{\"type\":\"ack\",\"id\":\"{id}\"}}"));
                let sent = socket.send(ack).await;
                Ok(sent.err().map(|error| Ended::Broken(format!("the connection broke: {error}"))))
            }
            Ok(Told::Gone { id }) => {
                client.output.hint(&format!("{id} is gone: retention removed it before it could be sent"));
                self.resume.done(id);
                Ok(None)
            }
            // A later version of the gateway may say more.
            Err(_) => Ok(None),
        }
    }

    /// Sends the last event again.
    async fn replay(&mut self) -> Result<(), ClientError> {
        let Some(event) = self.last.take() else { return Ok(()) };
        let forwarded = tokio::select! {
            forwarded = self.forwarder.forward(&event) => Some(forwarded),
            () = self.stop.wanted() => None,
        };
        if let Some(forwarded) = forwarded {
            self.screen.show(&event, &forwarded, true)?;
        }
        self.last = Some(event);
        Ok(())
    }

    fn greeting(&self, is_first: bool) -> String {
        if !is_first {
            return "connected again; nothing was left out".to_owned();
        }
        let keys = if self.keys.are_of_a_terminal() { "; r sends the last one again, q leaves" } else { "" };
        format!("forwarding events of {} to {}{keys}", self.source, self.forwarder.to())
    }
}

/// Wishes that it ends.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
    is_wanted: bool,
}

impl Stop {
    fn listen() -> Result<Self, ClientError> {
        let signal = |kind| {
            signal(kind).map_err(|error| ClientError::Usage(format!("signals cannot be received here: {error}")))
        };
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())?, is_wanted: false })
    }

    /// Returns once somebody wants it to end, and from then on at once. Cancel safe.
    async fn wanted(&mut self) {
        if !self.is_wanted {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            self.is_wanted = true;
        }
    }
}
