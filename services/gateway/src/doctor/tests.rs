use std::path::Path;

use clap::CommandFactory as _;

use super::*;
use crate::arguments::Arguments;

#[test]
fn every_command_that_a_finding_names_exists_with_its_options() {
    let judgements = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/doctor/src/judge");
    let mut n_commands = 0;
    for file in std::fs::read_dir(judgements).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let source = std::fs::read_to_string(&file).expect("a source");
        for text in source.split("\"spillway ").skip(1).filter_map(|rest| rest.split('"').next()) {
            let words = std::iter::once("spillway").chain(text.split(' ')).map(|word| word.replace("{}", "name"));
            let parsed = Arguments::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{}: spillway {text}: {}", file.display(), parsed.unwrap_err());
            n_commands += 1;
        }
    }
    assert!(n_commands >= 10, "only {n_commands} are found");
}

#[test]
fn an_address_that_is_listened_on_becomes_one_to_connect_to() {
    let url = |text: &str| {
        let mut settings = Settings::default();
        settings.server.listen = text.parse().expect("an address");
        own_url(&settings)
    };
    assert_eq!(url("0.0.0.0:8080").as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!(url("[::]:8080").as_deref(), Some("http://[::1]:8080"));
    assert_eq!(url("10.0.0.1:80").as_deref(), Some("http://10.0.0.1:80"));
    assert_eq!(url("127.0.0.1:0"), None);
}

#[test]
fn times_have_bounds() {
    assert_eq!(time("30s"), Ok(Duration::from_secs(30)));
    assert!(["0s", "11m", "-5s", "soon"].iter().all(|text| time(text).is_err()));
}
