//! The file that nginx includes.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::slot::{Slot, Slots};

/// Idle connections that each nginx worker keeps to a slot.
const KEEPALIVE: u32 = 64;
/// Starts the line that says what the file does.
const HEADER: &str = "# spillway-rollout: ";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    version: u32,
    rollout: &'a str,
    weights: Slots<u8>,
    mirror: Slots<u8>,
}

/// A name as nginx's variables have it: what is no letter or digit becomes `_`, and a digit never comes first.
#[must_use]
pub fn prefix(rollout: &str) -> String {
    let text: String = rollout.chars().map(|each| if each.is_ascii_alphanumeric() { each } else { '_' }).collect();
    if text.starts_with(|first: char| first.is_ascii_digit()) { format!("_{text}") } else { text }
}

/// Writes the file: groups `<rollout>_blue` and `<rollout>_green`, `$<rollout>_slot`, which names the group of a request, and
/// `$<rollout>_mirror`, which names the group that gets a copy or is empty. `servers` are `host:port`.
///
/// # Errors
/// One sentence when weights do not add up to 100, mirrors exceed 100, or an address is none.
pub fn render(
    rollout: &str,
    servers: &Slots<Vec<String>>,
    router: &RouterObserved,
    mirror_unsafe_methods: bool,
) -> Result<String, String> {
    check(servers, router)?;
    let name = prefix(rollout);
    let header = Header { version: VERSION, rollout, weights: router.weights, mirror: router.mirror };
    let header = serde_json::to_string(&header).map_err(|error| error.to_string())?;
    let mut text =
        format!("# Written by spillway-rollout. What is changed here by hand is overwritten.\n{HEADER}{header}\n\n");
    for slot in Slot::BOTH {
        let servers: String = servers.get(slot).iter().map(|server| format!("    server {server};\n")).collect();
        // Writing to a String cannot fail.
        let _ = write!(text, "upstream {name}_{slot} {{\n{servers}    keepalive {KEEPALIVE};\n}}\n\n");
    }
    let split = split(&router.weights, &name, None);
    let _ = write!(
        text,
        "# The group that answers a request.\nsplit_clients \"$request_id\" ${name}_slot {{\n{split}}}\n\n\
         # The group that gets a copy of it; empty for none.\n"
    );
    text.push_str(&mirror(&name, router, mirror_unsafe_methods));
    Ok(text)
}

/// What a file says that it does; `None` when it does not.
#[must_use]
pub fn read(text: &str) -> Option<RouterObserved> {
    let line = text.lines().take(5).find_map(|line| line.strip_prefix(HEADER))?;
    let header: Header<'_> = serde_json::from_str(line).ok()?;
    (header.version == VERSION).then_some(RouterObserved { weights: header.weights, mirror: header.mirror })
}

fn check(servers: &Slots<Vec<String>>, router: &RouterObserved) -> Result<(), String> {
    let sum = |shares: &Slots<u8>| u32::from(shares.blue) + u32::from(shares.green);
    if sum(&router.weights) != 100 {
        return Err(format!("weights of {} and {} % do not add up to 100", router.weights.blue, router.weights.green));
    }
    if sum(&router.mirror) > 100 {
        return Err(format!("mirrors of {} and {} % exceed 100", router.mirror.blue, router.mirror.green));
    }
    for slot in Slot::BOTH {
        let servers = servers.get(slot);
        if let Some(bad) = servers.iter().find(|server| !is_address(server)) {
            return Err(format!("`{}` of slot {slot} is no address such as 127.0.0.1:8081", bad.escape_default()));
        }
        if servers.is_empty() {
            return Err(format!("slot {slot} has no address: give one such as 127.0.0.1:8081"));
        }
    }
    Ok(())
}

/// Host and port, and nothing that means something to nginx.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty()
        && host.bytes().all(is_host)
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// The lines of a `split_clients`. It knows no 0 %, and the rest is `*`: a slot's, or what `rest` says.
fn split(shares: &Slots<u8>, name: &str, rest: Option<&str>) -> String {
    let mut text = String::new();
    // With a rest, no slot is it. Without one the larger share is.
    let larger = if shares.green > shares.blue { Slot::Green } else { Slot::Blue };
    let last = rest.is_none().then_some(larger);
    for slot in Slot::BOTH.into_iter().filter(|slot| Some(*slot) != last) {
        let share = *shares.get(slot);
        if share > 0 {
            let _ = writeln!(text, "    {share}% {name}_{slot};");
        }
    }
    let rest = rest.map_or_else(|| format!("{name}_{larger}"), str::to_owned);
    if rest == NOBODY && u32::from(shares.blue) + u32::from(shares.green) == 100 {
        return text;
    }
    let _ = writeln!(text, "    * {rest};");
    text
}

const NOBODY: &str = "\"\"";

fn mirror(name: &str, router: &RouterObserved, unsafe_methods: bool) -> String {
    if router.mirror == Slots::default() {
        return format!("map $request_method ${name}_mirror {{\n    default {NOBODY};\n}}\n");
    }
    let methods = if unsafe_methods {
        "    default 1;\n".to_owned()
    } else {
        "    default 0;\n    GET 1;\n    HEAD 1;\n    OPTIONS 1;\n".to_owned()
    };
    let split = split(&router.mirror, name, Some(NOBODY));
    // A group that answers a request gets no copy of it.
    let copies: String = Slot::BOTH
        .into_iter()
        .filter(|slot| *router.mirror.get(*slot) > 0)
        .map(|slot| format!("    \"1 {name}_{other} {name}_{slot}\" {name}_{slot};\n", other = slot.other()))
        .collect();
    format!(
        "map $request_method ${name}_mirror_method {{\n{methods}}}\n\
         split_clients \"mirror $request_id\" ${name}_mirror_share {{\n{split}}}\n\
         map \"${name}_mirror_method ${name}_slot ${name}_mirror_share\" ${name}_mirror {{\n    default {NOBODY};\n{copies}}}\n"
    )
}
