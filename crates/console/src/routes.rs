//! Every path of the console.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::console::{Console, ConsoleSettings};
use crate::pages::{
    connections, dead_letters, destinations, dry_run, event, events, frame, load_tests, login, overview, performance,
    replays, rollouts, slos, sources, testing,
};
use crate::{assets, guard, live};

/// The console under `/console`. `api` is the management API of this process; every page asks it with the key of the session.
pub fn router(api: Router, settings: ConsoleSettings) -> Router {
    let console = Arc::new(Console::new(api, settings));
    let outside = Router::new()
        .route("/console/login", get(login::show).post(login::sign_in))
        .route("/console/assets/{name}", get(assets::serve));
    let inside = watching()
        .merge(configuring())
        .merge(running())
        .merge(around())
        .layer(from_fn_with_state(console.clone(), guard::admit));
    outside.merge(inside).layer(from_fn(guard::secure)).with_state(console)
}

/// What happened to events.
fn watching() -> Router<Arc<Console>> {
    Router::new()
        .route("/console", get(overview::show))
        .route("/console/live", get(live::follow))
        .route("/console/events", get(events::list))
        .route("/console/events/{event}", get(event::show))
        .route("/console/events/{event}/replay", get(event::ask_replay).post(event::replay))
        .route("/console/events/{event}/release", post(event::release))
        .route("/console/deliveries/{delivery}", get(event::of_delivery))
        .route("/console/deliveries/{delivery}/retry", post(event::retry))
        .route("/console/dead-letters", get(dead_letters::show))
        .route("/console/replays", get(replays::list).post(replays::create))
        .route("/console/replays/new", get(replays::ask))
        .route("/console/replays/{replay}", get(replays::show))
        .route("/console/replays/{replay}/cancel", post(replays::cancel))
        .route("/console/test", get(testing::ask).post(testing::send))
}

/// What is set up.
fn configuring() -> Router<Arc<Console>> {
    Router::new()
        .route("/console/sources", get(sources::list).post(sources::create))
        .route("/console/sources/new", get(sources::new))
        .route("/console/sources/{source}", get(sources::show).post(sources::save))
        .route("/console/sources/{source}/edit", get(sources::edit))
        .route("/console/sources/{source}/enable", post(sources::enable))
        .route("/console/sources/{source}/disable", post(sources::disable))
        .route("/console/sources/{source}/secrets", post(sources::add_secret))
        .route("/console/sources/{source}/secrets/{position}/remove", post(sources::remove_secret))
        .route("/console/sources/{source}/delete", get(sources::ask_delete).post(sources::delete))
        .route("/console/destinations", get(destinations::list).post(destinations::create))
        .route("/console/destinations/new", get(destinations::new))
        .route("/console/destinations/{destination}", get(destinations::show).post(destinations::save))
        .route("/console/destinations/{destination}/edit", get(destinations::edit))
        .route("/console/destinations/{destination}/pause", post(destinations::pause))
        .route("/console/destinations/{destination}/resume", post(destinations::resume))
        .route("/console/destinations/{destination}/enable", post(destinations::enable))
        .route("/console/destinations/{destination}/rotate", get(destinations::ask_rotate).post(destinations::rotate))
        .route("/console/destinations/{destination}/delete", get(destinations::ask_delete).post(destinations::delete))
        .route("/console/connections", get(connections::list).post(connections::create))
        .route("/console/connections/new", get(connections::new))
        .route("/console/connections/{connection}", get(connections::show).post(connections::save))
        .route("/console/connections/{connection}/edit", get(connections::edit))
        .route("/console/connections/{connection}/enable", post(connections::enable))
        .route("/console/connections/{connection}/disable", post(connections::disable))
        .route("/console/connections/{connection}/delete", get(connections::ask_delete).post(connections::delete))
        .route("/console/dry-run", get(dry_run::show).post(dry_run::run))
}

/// How it runs, and what is let out.
fn running() -> Router<Arc<Console>> {
    Router::new()
        .route("/console/performance", get(performance::show))
        .route("/console/slos", get(slos::show))
        .route("/console/rollouts", get(rollouts::list))
        .route("/console/rollouts/{rollout}", get(rollouts::show))
        .route("/console/rollouts/{rollout}/commands", post(rollouts::command))
        .route("/console/load-tests", get(load_tests::list))
        .route("/console/load-tests/{run}", get(load_tests::show))
}

/// What belongs to no page.
fn around() -> Router<Arc<Console>> {
    Router::new()
        .route("/console/more", get(frame::more))
        .route("/console/keyboard", get(frame::keyboard))
        .route("/console/theme", post(frame::theme))
        .route("/console/logout", post(login::sign_out))
        .route("/console/", get(frame::home))
        .route("/console/{*rest}", get(frame::not_found).post(frame::not_found))
}
