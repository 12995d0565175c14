use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn requests_are_sent_as_they_are_described() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("push.json"), b"{\"ref\": \"main\"}").unwrap();
    std::fs::write(folder.path().join("users.csv"), "name\nada\nbob\n").unwrap();
    let text = r#"
        headers = { x-all = "1", x-some = "flow" }
        data = { users = "users.csv" }
        [[requests]]
        path = "/get?a=1"
        query = { region = "{{env.REGION}}", limit = 10, q = "a b" }
        [[requests]]
        method = "put"
        path = "/json/{{iteration}}"
        headers = { x-some = "request {{vu}}", x-token = "{{setup.token}}" }
        json = { n = "{{random.int 5 5}}", list = [1, true, "{{csv.users.name}}"], when = 2024-05-01 }
        [[requests]]
        path = "/form"
        form = { a = "1 & 2", b = 3 }
        [[requests]]
        path = "/text"
        text = "user {{vu}}"
        headers = { content-type = "text/csv" }
        [[requests]]
        path = "/file"
        file = "push.json"
        [[requests]]
        path = "/random"
        random_bytes = 1000
    "#;
    let mut target = server.url.clone();
    target.set_path("/base/");
    let mut runner = Runner::new(text, &plan(Some(target)), folder.path(), &[("token", "t1")]);
    runner.iterate(2).await.unwrap();

    let seen = server.seen();
    let lines: Vec<String> =
        seen.iter().map(|seen| format!("{} {} {}", seen.method, seen.path, seen.header("content-type"))).collect();
    assert_eq!(
        lines[..6],
        [
            "GET /base/get?a=1&limit=10&q=a%20b&region=eu ",
            "PUT /base/json/0 application/json",
            "POST /base/form application/x-www-form-urlencoded",
            "POST /base/text text/csv",
            "POST /base/file application/json",
            "POST /base/random application/octet-stream",
        ]
    );
    assert_eq!(
        (seen[0].header("user-agent"), seen[0].header("x-all"), seen[0].header("x-some")),
        ("spillway-test", "1", "flow")
    );
    assert_eq!((seen[1].header("x-some"), seen[1].header("x-token")), ("request 7", "t1"));
    let bodies: Vec<Value> = [&seen[1], &seen[7]].map(|seen| serde_json::from_slice(&seen.body).unwrap()).into();
    assert_eq!(bodies[0], json!({ "n": 5, "list": [1, true, "ada"], "when": "2024-05-01" }));
    assert_eq!(bodies[1]["list"][2], "bob", "each iteration has the next row");
    assert_eq!(
        [&seen[2], &seen[3], &seen[4]].map(|seen| seen.text()),
        ["a=1%20%26%202&b=3", "user 7", "{\"ref\": \"main\"}"]
    );
    assert_eq!(seen[5].body.len(), 1000);
    assert_ne!(seen[5].body, seen[11].body);

    assert_eq!(runner.count(Metric::HttpReqs, &[]), 12);
    let tags =
        [("name", "/json/{{iteration}}"), ("method", "PUT"), ("status", "201"), ("scenario", "peak"), ("team", "blue")];
    assert_eq!(runner.count(Metric::HttpReqs, &tags), 2);
    assert!(runner.count(Metric::DataSent, &[]) > 2 * 1000 && runner.count(Metric::DataReceived, &[]) > 0);
}

#[tokio::test]
async fn checks_look_at_every_part_of_the_answer() {
    let server = Server::start().await;
    let text = r#"
        [[requests]]
        path = "/a"
        group = "shop"
        [requests.capture]
        user = "/user/name"
        [[requests]]
        path = "/b"
        [requests.checks]
        "yes: status" = { status = 201 }
        "yes: class" = { status = "2xx" }
        "yes: list" = { status = [404, "200-299"] }
        "yes: pointer" = { json = "/id", contains = "evt_", matches = '^evt_\d$' }
        "yes: number" = { json = "/n", equals = 2.0 }
        "yes: element" = { json = "/tags", contains = "b" }
        "yes: object" = { json = "/user", equals = { name = "Ada" } }
        "yes: captured" = { json = "/user/name", equals = "{{capture.user}}" }
        "yes: absent" = { json = "/nothing", exists = false }
        "yes: header" = { header = "Location", matches = "^/things/" }
        "yes: body" = { body_contains = "evt_1" }
        "yes: fast" = { max_duration = "10s" }
        "no: status" = { status = "4xx" }
        "no: both" = { status = 201, json = "/n", equals = 3 }
        "no: absent" = { json = "/nothing" }
        "no: element" = { json = "/tags", contains = "c" }
        "no: header" = { header = "x-other" }
        "no: body" = { body_contains = "evt_2" }
        "no: fast" = { max_duration = 0 }
    "#;
    let mut runner = Runner::on(&server, text);
    runner.iterate(2).await.unwrap();
    let checks = runner.snapshot().by_tag(Metric::Checks, "check");
    assert_eq!(checks.len(), 19);
    for (name, values) in checks {
        let passes = if name.starts_with("yes") { 2 } else { 0 };
        assert_eq!(values, Values::Rate { passes, total: 2 }, "{name}");
    }
    assert_eq!(runner.count(Metric::HttpReqs, &[("group", "::shop")]), 2);
}

#[tokio::test]
async fn captured_values_go_into_later_requests() {
    let server = Server::start().await;
    let text = r#"
        [[requests]]
        path = "/first"
        [requests.capture]
        id = "/id"
        n = { json = "/n" }
        place = { header = "location" }
        name = { regex = '"name":"(\w+)"' }
        [[requests]]
        path = "{{capture.place}}/{{capture.id}}"
        text = "{{capture.n}} {{capture.name}}"
    "#;
    let mut runner = Runner::on(&server, text);
    runner.iterate(1).await.unwrap();
    let second = &server.seen()[1];
    assert_eq!((second.path.as_str(), second.text()), ("/things/9/evt_1", "2 Ada"));

    let mut runner = Runner::on(
        &server,
        "[[requests]]\npath = \"/status/404\"\ncapture = { id = \"/id\" }\n[[requests]]\nname = \"use\"\npath = \"/{{capture.id}}\"",
    );
    let error = runner.iterate(1).await.unwrap_err();
    assert!(error.message.contains("request use: the requests before it in this iteration captured no id"), "{error}");
}

#[tokio::test]
async fn failures_are_counted_by_their_kind() {
    let server = Server::start().await;
    let refused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let text = format!(
        r#"
        [[requests]]
        name = "missing"
        path = "/status/404"
        [[requests]]
        name = "wanted"
        path = "/status/404"
        expected = [404]
        [[requests]]
        name = "unwanted"
        path = "/ok"
        expected = "4xx"
        [[requests]]
        name = "slow"
        path = "/never"
        timeout = "50ms"
        checks = {{ answered = {{ status = [200, 201] }} }}
        [[requests]]
        name = "nobody"
        url = "http://{refused}/x"
        "#
    );
    let mut runner = Runner::on(&server, &text);
    runner.iterate(1).await.unwrap();
    for (name, status, error, failed) in [
        ("missing", "404", Some("status"), true),
        ("wanted", "404", None, false),
        ("unwanted", "201", Some("status"), true),
        ("slow", "0", Some("timeout"), true),
        ("nobody", "0", Some("refused"), true),
    ] {
        let expected = if failed { "false" } else { "true" };
        let mut tags = vec![("name", name), ("status", status), ("expected_response", expected)];
        tags.extend(error.map(|error| ("error", error)));
        assert_eq!(runner.count(Metric::HttpReqs, &tags), 1, "{name}");
        let rate = Values::Rate { passes: u64::from(failed), total: 1 };
        assert_eq!(runner.total(Metric::HttpReqFailed, &[("name", name)]), Some(rate), "{name}");
    }
    assert_eq!(runner.check("answered"), (0, 1));
}

#[tokio::test]
async fn weights_share_out_the_iterations() {
    let server = Server::start().await;
    let text = r#"
        mode = "weighted"
        requests = [
            { name = "often", path = "/a", weight = 8 },
            { name = "never", path = "/b", weight = 0 },
            { name = "rare", path = "/c", weight = 2 },
        ]
    "#;
    let mut runner = Runner::on(&server, text);
    runner.iterate(1000).await.unwrap();
    let [often, never, rare] = ["often", "never", "rare"].map(|name| runner.count(Metric::HttpReqs, &[("name", name)]));
    assert_eq!((often + rare, never), (1000, 0));
    // Six standard deviations of a binomial distribution with n = 1000 and p = 0.2.
    assert!(rare.abs_diff(200) <= 76, "{rare}");
}

#[tokio::test]
async fn a_flow_that_runs_once_gives_what_it_captured_or_says_why_not() {
    let server = Server::start().await;
    let plan = plan(Some(server.url.clone()));
    let run = FlowRun::new(&plan, Arc::default());
    for (request, outcome) in [
        ("path = \"/login\"\ncapture = { token = \"/id\" }", Ok("evt_1")),
        (
            "path = \"/status/401\"",
            Err("flow setup: request /status/401: it was answered 401 Unauthorized, expected was 200–399"),
        ),
        (
            "path = \"/a\"\nchecks = { odd = { status = 500 } }",
            Err("flow setup: request /a: the check \"odd\" does not hold"),
        ),
        (
            "path = \"/a\"\ncapture = { x = \"/y\" }",
            Err("flow setup: request /a: the answer has no value for the capture x"),
        ),
        ("path = \"/never\"", Err("flow setup: it was not done after 0.3 s, its time limit")),
    ] {
        let flow = Flow::compile("setup", &spec(&format!("[[requests]]\n{request}")), &plan, Path::new(".")).unwrap();
        let values = flow.run_once(Duration::from_millis(300), &run).await.map_err(|error| error.to_string());
        assert_eq!(
            values.as_ref().map(|values| values["token"].as_str()).map_err(String::as_str),
            outcome,
            "{request}"
        );
    }
}

#[tokio::test]
async fn connections_are_kept_unless_the_run_or_the_flow_says_otherwise() {
    let server = Server::start().await;
    for (flow, run, closed) in
        [("", false, 0), ("", true, 3), ("keep_alive = true", true, 0), ("keep_alive = false", false, 3)]
    {
        let plan = Plan { no_connection_reuse: run, ..plan(Some(server.url.clone())) };
        let mut runner = Runner::new(&format!("{flow}\n[[requests]]\npath = \"/a\""), &plan, Path::new("."), &[]);
        runner.iterate(3).await.unwrap();
        let last = server.seen().into_iter().rev().take(3);
        let n = last.filter(|seen| seen.header("connection") == "close").count();
        assert_eq!(n, closed, "{flow:?} in a run with noConnectionReuse = {run}");
    }
}

#[tokio::test]
async fn the_run_limits_the_requests_of_all_users() {
    let server = Server::start().await;
    let plan = Plan { rps: Some(50), ..plan(Some(server.url.clone())) };
    let mut runner = Runner::new("[[requests]]\npath = \"/a\"", &plan, Path::new("."), &[]);
    let begun = std::time::Instant::now();
    runner.iterate(11).await.unwrap();
    // Ten intervals of 20 ms, less what a late timer may catch up.
    assert!(begun.elapsed() >= Duration::from_millis(195), "{:?}", begun.elapsed());
}
