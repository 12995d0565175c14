//! The rail: where one is, where one can go, and where something is wrong.

use maud::{Markup, html};

use crate::api::{Api, Problem};
use crate::look::icons;
use crate::read::Read as _;
use serde_json::Value;

/// The pages of the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Events,
    DeadLetters,
    Sources,
    Destinations,
    Connections,
    Performance,
    Slos,
    Rollouts,
    LoadTests,
    /// Every page, for screens without room for the rail.
    More,
    None,
}

impl Place {
    /// The groups of the rail.
    const GROUPS: [&'static [Self]; 4] = [
        &[Self::Overview, Self::Events, Self::DeadLetters],
        &[Self::Sources, Self::Destinations, Self::Connections],
        &[Self::Performance, Self::Slos],
        &[Self::Rollouts, Self::LoadTests],
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Events => "Events",
            Self::DeadLetters => "Dead letters",
            Self::Sources => "Sources",
            Self::Destinations => "Destinations",
            Self::Connections => "Connections",
            Self::Performance => "Performance",
            Self::Slos => "SLOs",
            Self::Rollouts => "Rollouts",
            Self::LoadTests => "Load tests",
            Self::More => "More",
            Self::None => "Console",
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Overview | Self::None => "/console",
            Self::Events => "/console/events",
            Self::DeadLetters => "/console/dead-letters",
            Self::Sources => "/console/sources",
            Self::Destinations => "/console/destinations",
            Self::Connections => "/console/connections",
            Self::Performance => "/console/performance",
            Self::Slos => "/console/slos",
            Self::Rollouts => "/console/rollouts",
            Self::LoadTests => "/console/load-tests",
            Self::More => "/console/more",
        }
    }

    /// The key that follows `g`.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Overview => "o",
            Self::Events => "e",
            Self::DeadLetters => "x",
            Self::Sources => "s",
            Self::Destinations => "d",
            Self::Connections => "c",
            Self::Performance => "p",
            Self::Slos => "b",
            Self::Rollouts => "r",
            Self::LoadTests => "l",
            Self::More | Self::None => "",
        }
    }

    /// Every page that the rail has.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::GROUPS.into_iter().flatten().copied()
    }

    /// Whether there is room for it in the bar of a phone.
    const fn is_in_bar(self) -> bool {
        matches!(self, Self::Overview | Self::Events | Self::DeadLetters | Self::Destinations)
    }

    const fn icon(self) -> &'static str {
        match self {
            Self::Overview => "M2 9h3l2-6 3 10 2-4h2",
            Self::Events => "M2 4h12M2 8h12M2 12h7",
            Self::DeadLetters => "M2 4h12v9H2zM2 4l6 5 6-5",
            Self::Sources => "M2 8h8M7 4.5 10.5 8 7 11.5M13.5 3v10",
            Self::Destinations => "M6 8h8M10.5 4.5 14 8l-3.5 3.5M2.5 3v10",
            Self::Connections => {
                "M4.5 6a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM11.5 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM4.5 6v2.5a3 3 0 0 0 3 3h2"
            }
            Self::Performance => "M2.5 13V9M6.2 13V5M9.9 13V7.5M13.5 13V3",
            Self::Slos => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 8l3-2.5M8 4.5v.01",
            Self::Rollouts => "M2 13h3V9.5h3V6h3V2.5h3",
            Self::LoadTests => "M2.5 12a5.5 5.5 0 1 1 11 0M8 12l2.5-4",
            Self::More | Self::None => "M3.5 8h.01M8 8h.01M12.5 8h.01",
        }
    }
}

/// What is wrong, as far as the rail says it.
#[derive(Debug, Default)]
pub(crate) struct Rail {
    alerts: usize,
    dead: bool,
    held: usize,
    frozen: usize,
}

impl Rail {
    /// Asks what the dots depend on. What cannot be asked has no dot.
    pub(crate) async fn load(api: &Api) -> Self {
        let (alerts, dead, destinations, slos) = tokio::join!(
            api.get("/api/v1/performance/alerts"),
            api.get("/api/v1/deliveries?state=dead&limit=1&fields=id"),
            api.get("/api/v1/destinations?limit=200&fields=state"),
            api.get("/api/v1/performance/slos"),
        );
        let count = |answer: Result<Value, Problem>, list: &str, counts: fn(&Value) -> bool| {
            answer.map_or(0, |value| value.list(list).iter().filter(|entry| counts(entry)).count())
        };
        Self {
            alerts: count(alerts, "/active", |alert| alert.text("/severity") != "info"),
            dead: dead.is_ok_and(|page| !page.list("/data").is_empty()),
            held: count(destinations, "/data", |destination| destination.text("/state") == "disabled"),
            frozen: count(slos, "/data", |slo| matches!(slo.text("/budget/state"), "frozen" | "emergency")),
        }
    }

    /// What the dot of a page says; none without a dot.
    fn dot(&self, place: Place) -> Option<String> {
        let counted = |n: usize, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        match place {
            Place::Overview | Place::Performance => counted(self.alerts, "active alert", "active alerts"),
            Place::DeadLetters => self.dead.then(|| "there are dead letters".to_owned()),
            Place::Destinations => counted(self.held, "is disabled", "are disabled"),
            Place::Slos => counted(self.frozen, "budget is spent", "budgets are spent"),
            Place::More => {
                let hidden = Place::all().filter(|place| !place.is_in_bar());
                hidden.filter_map(|place| self.dot(place).map(|text| format!("{}: {text}", place.name()))).next()
            }
            _ => None,
        }
    }

    /// The list of pages, with the one where one is.
    pub(crate) fn draw(&self, here: Place) -> Markup {
        html! {
            nav.rail-nav aria-label="Pages" {
                @for group in Place::GROUPS {
                    ul { @for place in group { (self.item(*place, here)) } }
                }
                ul.phone { (self.item(Place::More, if here.is_in_bar() { here } else { Place::More })) }
            }
        }
    }

    fn item(&self, place: Place, here: Place) -> Markup {
        let dot = self.dot(place);
        html! {
            li.minor[!place.is_in_bar() && place != Place::More] {
                a href=(place.path()) aria-current=[(place == here).then_some("page")] data-go=[Some(place.key()).filter(|key| !key.is_empty())] {
                    (icons::icon(place.icon()))
                    span.label { (place.name()) }
                    @if let Some(text) = dot { span.dot { span.sr { " (" (text) ")" } } }
                }
            }
        }
    }

    /// Every page with a line about it.
    pub(crate) fn draw_all(&self) -> Markup {
        html! {
            ul.menu {
                @for place in Place::all() {
                    li {
                        a href=(place.path()) {
                            (icons::icon(place.icon()))
                            span { (place.name()) }
                            @if let Some(text) = self.dot(place) { span.side.bad { (text) } }
                        }
                    }
                }
            }
        }
    }
}
