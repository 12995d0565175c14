//! The SQL that the runbooks tell people to look with runs on a database of ours.

use std::path::Path;

use spillway_monitoring::runbooks::code::{blocks, pages};
use spillway_testkit::{Postgres, PostgresOptions, Sink};

use crate::support::{Folder, Sender, orders_to, stop};

#[tokio::test]
async fn every_statement_in_the_runbooks_runs() {
    let settings = vec![("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned())];
    let postgres = Postgres::start_with(PostgresOptions { settings, fsync: false, parent_dir: None }).await;
    postgres.query("CREATE EXTENSION pg_stat_statements").await;
    let (folder, sink) = (Folder::new(), Sink::start().await);
    folder.settings(&orders_to(&sink.url("/"), &format!("url = \"{}\"", postgres.url()), ""));
    let gateway = folder.start(&[]).await;
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks");
    let mut n_statements = 0;
    for page in pages(&folder).expect("the pages") {
        let text = std::fs::read_to_string(&page).expect("a page");
        for block in blocks(&text).into_iter().filter(|block| block.language == "sql") {
            // Shown when the statement fails.
            println!("{}:{}", page.display(), block.line);
            postgres.query(&block.lines.join("\n")).await;
            n_statements += 1;
        }
    }
    assert!(n_statements > 5, "only {n_statements} statements are found");
    stop(gateway).await;
}
