//! Rules that hold between sections.

use crate::section::Section;
use crate::units::show_duration;
use crate::{IntakeMode, Role, Settings, SettingsError, StoreUrl};

/// A lease covers the longest attempt: otherwise a second worker claims a delivery whose attempt is still under way.
pub(crate) fn check_lease(settings: &Settings, root: &mut Section<'_>) {
    let own =
        settings.destinations.iter().filter_map(|destination| Some((destination.timeout?, Some(&destination.name))));
    let Some((timeout, destination)) =
        own.chain([(settings.delivery.timeout, None)]).max_by_key(|(timeout, _)| *timeout)
    else {
        return;
    };
    if settings.delivery.lease >= timeout {
        return;
    }
    let longest = match destination {
        Some(name) => format!("the timeout of destination {name}, which is {}", show_duration(timeout)),
        None => format!("delivery.timeout, which is {}", show_duration(timeout)),
    };
    root.journal.problems.push(SettingsError::LeaseTooShort {
        lease: show_duration(settings.delivery.lease),
        origin: root.origin_at(&["delivery", "lease"]),
        longest,
        at_least: show_duration(timeout),
    });
}

/// A process that answers after the deliveries makes them itself.
pub(crate) fn check_mode(settings: &Settings, root: &mut Section<'_>) {
    if settings.intake.mode == IntakeMode::Synchronous && settings.server.role == Role::Api {
        root.journal.problems.push(SettingsError::Conflict {
            keys: "intake.mode and server.role",
            reason: "in the synchronous mode the process that takes webhooks delivers them itself; set server.role to \"all\", or \
                     leave intake.mode out"
                .to_owned(),
        });
    }
}

/// Only PostgreSQL has replicas.
pub(crate) fn check_replica(settings: &Settings, root: &mut Section<'_>) {
    if settings.store.replica_url.is_some() && matches!(settings.store.url, StoreUrl::Sqlite(_)) {
        root.journal.problems.push(SettingsError::Conflict {
            keys: "store.replica_url and store.url",
            reason: "events are kept in SQLite, which has no replicas; leave store.replica_url out, or set store.url to postgres://…"
                .to_owned(),
        });
    }
}
