use spillway_model::Secret;
use spillway_settings::{Environment, Overrides, SettingsWarning, is_secret_reference, resolve_secret};

use crate::support::file;

const HIDDEN: &str = "hidden-4711";

fn resolve(text: &str) -> Result<String, String> {
    let environment = Environment::from_iter([("NAME", "from the environment"), ("EMPTY", "")]);
    match resolve_secret(&Secret::new(text), &environment) {
        Ok(secret) => Ok(secret.expose().to_owned()),
        Err(error) => Err(format!("{}: {error}", error.code())),
    }
}

#[test]
fn a_secret_is_a_variable_a_file_or_itself() {
    let layers = file("");
    let reference = |name: &str, content: &[u8]| format!("file:{}", layers.write(name, content).display());
    assert_eq!(resolve("env:NAME").as_deref(), Ok("from the environment"));
    assert_eq!(resolve("itself").as_deref(), Ok("itself"));
    assert_eq!(resolve(&reference("a", b"from a file\n")).as_deref(), Ok("from a file"));
    assert_eq!(resolve(&reference("b", b"line\r\n")).as_deref(), Ok("line"));
    assert_eq!(resolve(&reference("c", b" kept \n\n")).as_deref(), Ok(" kept \n"));
    assert!(is_secret_reference(&Secret::new("env:NAME")) && !is_secret_reference(&Secret::new("itself")));
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    for name in ["MISSING", "EMPTY"] {
        assert_eq!(
            resolve(&format!("env:{name}")),
            Err(format!(
                "settings_secret_unavailable: the environment variable {name} that a secret refers to (env:{name}) is not set"
            ))
        );
    }
    let layers = file("");
    let problem = |path: &str| resolve(&format!("file:{path}"));
    assert_eq!(
        problem("no/such/file"),
        Err("settings_secret_unavailable: cannot read the secret file no/such/file (file:no/such/file)".to_owned())
    );
    for content in [&b"\n"[..], b"\xff\xfe", &[b'x'; 64 * 1024 + 1]] {
        assert!(problem(&layers.write("bad", content).display().to_string()).is_err());
    }
}

#[test]
fn urls_may_be_references() {
    let layers = file("[store]\nurl = 'env:PG'\n").environment(&[("PG", "postgres://u:p@host/db")]);
    let loaded = layers.loaded();
    assert_eq!(loaded.settings.store.url.to_string(), "postgres://u:***@host/db");
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        file("[redis]\nurl = 'env:MISSING'").problem(),
        "settings_secret_unavailable: the environment variable MISSING that a secret refers to (env:MISSING) is not set"
    );
}

#[test]
fn literal_secrets_in_the_file_are_warned_of() {
    let literal = |key: &str| SettingsWarning::LiteralSecret { key: key.to_owned() };
    let text = "[store]\nurl = 'postgres://u:p@host/db'\n[redis]\nurl = 'redis://:p@host'\n[telemetry.otlp_headers]\n\
                authorization = 'Bearer p'\n[[destinations]]\nname = 'd'\nurl = 'https://d'\nsigning_secrets = ['whsec_p']\n\
                headers = { x-api-key = 'p', x-team = 'not a secret' }\n";
    assert_eq!(
        file(text).loaded().warnings,
        [
            literal("store.url"),
            literal("redis.url"),
            literal("telemetry.otlp_headers"),
            literal("destinations[0].headers"),
            literal("destinations[0].signing_secrets"),
        ]
    );
    assert_eq!(file("").environment(&[("DATABASE_URL", "postgres://u:p@host/db")]).loaded().warnings, []);
}

#[test]
fn secrets_are_in_no_debug_output_and_no_description() {
    let text = format!(
        "[store]\nurl = 'postgres://u:{HIDDEN}@host/db'\n[redis]\nurl = 'redis://:{HIDDEN}@host'\n\
         [telemetry.otlp_headers]\nauthorization = '{HIDDEN}'\n\
         [[sources]]\nname = 'a'\nprovider = 'github'\nsecrets = ['{HIDDEN}']\n\
         [[destinations]]\nname = 'd'\nurl = 'https://d'\nsigning_secrets = ['{HIDDEN}']\nheaders = {{ x = '{HIDDEN}' }}\n"
    );
    let loaded = file(&text).loaded();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    for shown in [format!("{loaded:?}"), loaded.describe(), warnings.join("\n")] {
        assert!(!shown.contains(HIDDEN), "{shown}");
    }
    assert!(loaded.describe().contains("postgres://u:***@host/db"));
    let overrides = Overrides { database_url: Some(Secret::new(HIDDEN)), ..Overrides::default() };
    assert!(!format!("{overrides:?}").contains(HIDDEN));
    assert!(!format!("{:?}", Environment::from_iter([("NAME", HIDDEN)])).contains(HIDDEN));
}

#[test]
fn secrets_are_in_no_error_text() {
    for text in [
        format!("[store]\nurl = 'mysql://u:{HIDDEN}@host'"),
        format!("[store]\nurl = '{HIDDEN}'"),
        format!("[store]\nurl = ['{HIDDEN}']"),
        format!("[redis]\nurl = 'http://:{HIDDEN}@host'"),
        format!("[server]\npublic_url = 'https://u:{HIDDEN}@host'"),
        format!("[telemetry]\notlp_endpoint = 'https://collector/#?token={HIDDEN}'"),
        format!("[telemetry]\notlp_headers = '{HIDDEN}'"),
        format!("[telemetry]\notlp_headers = {{ 'a b' = '{HIDDEN}' }}"),
        format!("[[sources]]\nname = 'a'\nprovider = 'github'\nsecrets = [['{HIDDEN}']]"),
        format!("[[sources]]\nname = 'a'\nprovider = 'github'\nsecrets = {{ a = '{HIDDEN}' }}"),
        format!("[[sources]]\nsecrets = ['{HIDDEN}\n"),
        format!("[[sources]]\nsecrets = ['{HIDDEN}'\nname = 'a'\n"),
    ] {
        let errors = file(&text).load().expect_err("a problem");
        assert!(!errors.to_string().contains(HIDDEN) && !format!("{errors:?}").contains(HIDDEN), "{errors}");
    }
}
