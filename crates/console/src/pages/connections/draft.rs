//! The form of a connection.

use maud::{Markup, html};
use serde_json::{Value, json};

use crate::form::Form;
use crate::look::fields::{Fields, Kind};
use crate::read::Read as _;

/// The programs that a connection may have.
pub(crate) const PROGRAMS: [&str; 3] = ["filter", "transform", "order_by"];

/// The fields.
pub(super) fn draw(fields: &Fields<'_>, sources: &[Value], destinations: &[Value]) -> Markup {
    fn names(all: &[Value]) -> impl Iterator<Item = (&str, &str)> {
        [("", "Choose one")].into_iter().chain(all.iter().map(|one| (one.text("/name"), one.text("/name"))))
    }
    let required = Kind { required: true, ..Kind::default() };
    html! {
        div.columns {
            (fields.choice("source", "From", required, names(sources)))
            (fields.choice("destination", "To", required, names(destinations)))
        }
        (programs(fields))
        p.hint.after-field {
            button.quiet type="submit" formaction="/console/dry-run" formmethod="post" formnovalidate { "Try it on an event" }
            " The form is kept; nothing is saved."
        }
        (fields.tick("enabled", "Delivers", "A disabled connection makes no deliveries."))
    }
}

/// The three programs.
pub(crate) fn programs(fields: &Fields<'_>) -> Markup {
    html! {
        (fields.lines("filter", "Filter", 2, Kind { code: true, placeholder: ".action == \"opened\"", hint: "A jq program over the body; $headers, $type, $source and $id are there too. Events for which its first output is false or null are not delivered.", ..Kind::default() }))
        (fields.lines("transform", "Transform", 4, Kind { code: true, placeholder: "{id: .data.id, total: .data.amount}", hint: "A jq program. Its one output is delivered in place of the body.", ..Kind::default() }))
        (fields.line("order_by", "In order by", Kind { code: true, placeholder: ".data.customer", hint: "A jq program. Events with the same output go out strictly one after the other.", ..Kind::default() }))
    }
}

/// The form of a connection as it is.
pub(super) fn form(connection: &Value, source: &str, destination: &str) -> Form {
    let mut form = Form::default();
    form.set("source", source);
    form.set("destination", destination);
    for name in PROGRAMS {
        form.set(name, connection.text(&format!("/{name}")));
    }
    form.set("enabled", if connection.is_set("/enabled") { "true" } else { "" });
    form
}

/// What the form says, as the API takes it.
pub(super) fn read(form: &Form) -> Value {
    json!({
        "source": form.get("source"),
        "destination": form.get("destination"),
        "enabled": form.is_ticked("enabled"),
        "filter": form.text_or_null("filter"),
        "transform": form.text_or_null("transform"),
        "order_by": form.text_or_null("order_by"),
    })
}

/// The same with ids in place of names, as the API shows a connection.
pub(super) fn with_ids(mut wanted: Value, sources: &[Value], destinations: &[Value]) -> Value {
    for (field, all) in [("source", sources), ("destination", destinations)] {
        let id = all
            .iter()
            .find(|one| one.text("/name") == wanted.text(&format!("/{field}")))
            .map(|one| one.text("/id").to_owned());
        if let (Some(id), Some(object)) = (id, wanted.as_object_mut()) {
            object.insert(field.to_owned(), json!(id));
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::configured::changes;

    #[test]
    fn a_connection_that_is_not_changed_is_the_same_again() {
        let all = |id: &str, name: &str| vec![json!({"id": id, "name": name})];
        let (sources, destinations) = (all("src_1", "github"), all("dst_1", "billing"));
        for connection in [
            json!({"source": "src_1", "destination": "dst_1", "enabled": true}),
            json!({"source": "src_1", "destination": "dst_1", "enabled": false, "filter": ".a", "transform": null, "order_by": ".b"}),
        ] {
            let wanted = with_ids(read(&form(&connection, "github", "billing")), &sources, &destinations);
            assert_eq!(changes(&connection, &wanted), json!({}));
        }
    }
}
