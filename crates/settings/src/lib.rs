//! Settings of the gateway: defaults, then the file, then the environment, then flags.
//!
//! Every value is parsed once into a type; nothing after [`Settings::load`] checks it again. All problems are reported
//! together, each with its place and a stable code. A key exists because a section reads it, so the known keys, the
//! suggestions for misspelt ones and the description of the effective settings cannot drift from the code.
//!
//! Relative paths are relative to the working directory.

mod describe;
mod environment;
mod error;
mod layers;
mod load;
mod origin;
mod secret;
mod section;
mod sections;
mod suggest;
mod units;
mod urls;
mod value;
mod warning;

pub use environment::Environment;
pub use error::{SettingsError, SettingsErrors};
pub use layers::Overrides;
pub use load::{KnownKey, LoadArgs, Loaded, Settings};
pub use origin::Origin;
pub use secret::{is_secret_reference, resolve_secret};
pub use sections::declared::{ConnectionSettings, DestinationSettings, SourceSettings};
pub use sections::delivery::DeliverySettings;
pub use sections::intake::{IntakeMode, IntakeSettings};
pub use sections::retention::{InvalidKeptFor, KeptFor, RetentionSettings};
pub use sections::server::{Role, ServerSettings, TlsSettings};
pub use sections::store::{RedisSettings, StoreSettings};
pub use sections::telemetry::{LogFormat, LogSettings, OtlpProtocol, TelemetrySettings};
pub use sections::worker::WorkerSettings;
pub use units::{ByteSize, InvalidByteSize};
pub use urls::{CorsOrigin, HttpUrl, InvalidUrl, RedisUrl, StoreUrl};
pub use warning::SettingsWarning;
