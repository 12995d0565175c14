use super::*;

fn compile(text: &str) -> Result<Flow, FlowError> {
    let target = "http://127.0.0.1:1".parse().unwrap();
    Flow::compile("f", &spec(text), &plan(Some(target)), Path::new("/no/such/folder"))
}

#[test]
fn what_cannot_run_names_the_flow_the_place_and_what_to_do() {
    for (text, place, advice) in [
        ("", "flow f: ", "add [[requests]]"),
        ("[[requests]]\nname = \"a\"", "flow f, request a: ", "give a path"),
        ("[[requests]]", "flow f, request 1: ", "give a path"),
        ("[[requests]]\npath = \"/a\"\nurl = \"http://h/\"", "flow f, request /a: ", "keep one"),
        ("[[requests]]\npath = \"a\"", "flow f, request a: ", "write \"/a\""),
        ("[[requests]]\npath = \"/a b\"", "flow f, request /a b: path: ", "percent-encode"),
        ("[[requests]]\nurl = \"ftp://h/\"", "flow f, request ftp://h/: ", "write http://"),
        ("[[requests]]\nurl = \"http://{{vu}}/\"", "flow f, request http://{{vu}}/: ", "{{env.NAME}} and no other"),
        ("[[requests]]\npath = \"/{{vuu}}\"", "flow f, request /{{vuu}}: `{{vuu}}`", "did you mean vu?"),
        ("[[requests]]\npath = \"/a\"\nquery = { q = \"{{\" }", "request /a: query q: ", "close the template"),
        (
            "[[requests]]\npath = \"/a\"\nheaders = { x-a = \"{{capture.b}}\" }",
            "request /a: header x-a: ",
            "`capture` of a request before",
        ),
        ("[[requests]]\npath = \"/a\"\nheaders = { \"x a\" = 1 }", "request /a: header \"x a\"", "no name of a header"),
        (
            "[[requests]]\npath = \"/a\"\nheaders = { Content-Length = 1 }",
            "request /a: header content-length",
            "leave it out",
        ),
        ("[[requests]]\npath = \"/a\"\nmethod = \"G T\"", "request /a: \"G T\"", "write GET"),
        ("[[requests]]\npath = \"/a\"\ntext = \"\"\njson = 1", "request /a, body: ", "keep one"),
        (
            "[[requests]]\npath = \"/a\"\nfile = \"b.json\"",
            "request /a, body: /no/such/folder/b.json",
            "cannot be read",
        ),
        ("[[requests]]\npath = \"/a\"\nrandom_bytes = 99999999", "request /a, body: ", "at most 16777216"),
        (
            "data = { users = \"u.csv\" }\n[[requests]]\npath = \"/a\"",
            "flow f, data users: /no/such/folder/u.csv",
            "cannot be read",
        ),
        ("[[requests]]\npath = \"/a\"\nchecks = { c = {} }", "request /a, check \"c\": ", "give status"),
        ("[[requests]]\npath = \"/a\"\nchecks = { c = { json = \"id\" } }", "check \"c\": ", "begins with a slash"),
        ("[[requests]]\npath = \"/a\"\nchecks = { c = { matches = \"(\" } }", "check \"c\": ", "unclosed group"),
        (
            "[[requests]]\npath = \"/a\"\nchecks = { c = { json = \"/a\", header = \"b\" } }",
            "check \"c\": ",
            "make two checks",
        ),
        ("[[requests]]\npath = \"/a\"\ncapture = { c = \"id\" }", "request /a, capture c: ", "begins with a slash"),
        ("[[requests]]\npath = \"/a\"\nweight = 2", "flow f: ", "mode = \"weighted\""),
        ("mode = \"weighted\"\n[[requests]]\npath = \"/a\"\nweight = -1", "flow f: ", "write a number from 0"),
        (
            "mode = \"weighted\"\n[[requests]]\npath = \"/{{capture.x}}\"",
            "flow f, request /{{capture.x}}: ",
            "use setup.NAME",
        ),
        (
            "sign = { provider = \"github\", secret = \"\" }\n[[requests]]\npath = \"/a\"",
            "request /a, sign: provider github: ",
            "",
        ),
        (
            "sign = { provider = \"github\", secret = \"{{env.SPILLWAY_NO_SUCH_VARIABLE}}\" }\n[[requests]]\npath = \"/a\"",
            "request /a, sign: secret: ",
            "SPILLWAY_NO_SUCH_VARIABLE: set one of them",
        ),
        (
            "sign = { provider = \"github\", secret = \"{{uuid}}\" }\n[[requests]]\npath = \"/a\"",
            "sign: secret: ",
            "{{env.NAME}}",
        ),
        (
            "sign = { provider = \"stripe\", secret = \"s\", username = \"u\" }\n[[requests]]\npath = \"/a\"",
            "sign: provider stripe: ",
            "username",
        ),
        (
            "[websocket]\npath = \"/ws\"\nmessages = [{ send = \"{{x}}\" }]",
            "flow f, websocket, message 1: ",
            "there is no such value",
        ),
        (
            "[websocket]\npath = \"/ws\"\nmessages = [{ send = \"\", checks = { a = { contains = \"a\" } } }]",
            "message 1: ",
            "await_reply",
        ),
        ("tags = { user = \"{{vu}}\" }\n[[requests]]\npath = \"/a\"", "request /a, tag user: ", "{{env.NAME}}"),
        ("mode = \"weighted\"\n[websocket]\npath = \"/ws\"", "flow f: ", "a flow of its own"),
    ] {
        let error = compile(text).expect_err(text).to_string();
        assert!(error.contains(place) && error.contains(advice), "{text}\n{error}");
    }
    let error = Flow::compile("f", &spec("[[requests]]\npath = \"/a\""), &plan(None), Path::new(".")).unwrap_err();
    assert!(error.to_string().contains("give --target URL"), "{error}");
}

#[test]
fn unknown_fields_and_values_are_refused_with_what_is_known() {
    for (text, part) in [
        ("requsts = []", "unknown field `requsts`, expected one of"),
        ("[[requests]]\npth = \"/a\"", "unknown field `pth`"),
        ("[[requests]]\nchecks = { a = { stat = 1 } }", "unknown field `stat`"),
        ("[[requests]]\nchecks = { a = { status = \"2x\" } }", "\"2xx\" or \"200-399\""),
        ("[[requests]]\ncapture = { a = { jsn = \"/a\" } }", "unknown field `jsn`"),
        ("[[requests]]\ncapture = { a = {} }", "exactly one of json, header and regex"),
        ("sign = { provider = \"gihub\", secret = \"s\" }", "did you mean \"github\"?"),
        ("sign = { provider = \"github\", secrt = \"s\" }", "unknown field `secrt`"),
        ("network = \"5g\"", "slow-3g"),
        ("network = { down_kbit = 0 }", "leave the field out"),
        ("think_time = { min = \"2s\", max = \"1s\" }", "longer than its max"),
        ("think_time = \"1x\"", "is no unit of time"),
        ("protocol = \"3\"", "unknown variant `3`"),
    ] {
        let error = toml::from_str::<FlowSpec>(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}\n{error}");
    }
}

#[test]
fn all_formats_say_the_same() {
    let toml = "network = { latency_ms = 5 }\nthink_time = 250\n[[requests]]\npath = \"/a\"\nexpected = [404, \"2xx\"]\n\
                headers = { x-n = 1.5, x-b = true }\njson = { a = [1, \"{{vu}}\"] }\ncapture = { id = \"/id\" }\nweight = 2";
    let json = r#"{"network": {"latency_ms": 5}, "think_time": 250, "requests": [{"path": "/a", "expected": [404, "2xx"],
                "headers": {"x-n": 1.5, "x-b": true}, "json": {"a": [1, "{{vu}}"]}, "capture": {"id": "/id"}, "weight": 2}]}"#;
    let yaml = "network: { latency_ms: 5 }\nthink_time: 250\nrequests:\n  - path: /a\n    expected: [404, 2xx]\n    headers: { x-n: 1.5, x-b: true }\n\
                \x20   json: { a: [1, \"{{vu}}\"] }\n    capture: { id: /id }\n    weight: 2\n";
    assert_eq!(spec(toml), serde_json::from_str(json).unwrap());
    assert_eq!(spec(toml), serde_saphyr::from_str(yaml).unwrap());
}

#[tokio::test]
async fn a_target_that_nobody_listens_at_is_said_before_the_run() {
    let server = Server::start().await;
    let reachable =
        Flow::compile("f", &spec("[[requests]]\npath = \"/a\""), &plan(Some(server.url.clone())), Path::new("."))
            .unwrap();
    assert_eq!(reachable.probe().await, Ok(()));
    let refused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let text = format!("[[requests]]\npath = \"/a\"\n[[requests]]\nurl = \"http://{refused}/b\"");
    let flow = Flow::compile("f", &spec(&text), &plan(Some(server.url.clone())), Path::new(".")).unwrap();
    let error = flow.probe().await.unwrap_err().to_string();
    assert!(error.contains(&format!("http://{refused} cannot be reached")) && error.contains("--target"), "{error}");
}

#[tokio::test]
async fn a_setup_value_that_nobody_captured_keeps_users_from_beginning() {
    let server = Server::start().await;
    let plan = plan(Some(server.url.clone()));
    let flow = Flow::compile("f", &spec("[[requests]]\npath = \"/{{setup.token}}\""), &plan, Path::new(".")).unwrap();
    let registry = Registry::new(RegistrySettings::default());
    let workload = FlowWorkload::new(&flow, &plan.scenarios[0], &registry, &FlowRun::new(&plan, Arc::default()));
    let error = workload.user(1, registry.recorder()).err().expect("an error");
    assert!(error.message.contains("the flow setup captured no token"), "{error}");
}

#[test]
fn the_shipped_files_have_flows_that_can_run() {
    #[derive(serde::Deserialize)]
    struct File {
        flows: BTreeMap<String, FlowSpec>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/load");
    let mut plan = plan(Some("http://127.0.0.1:1".parse().unwrap()));
    plan.scenarios[0].env.insert("SPILLWAY_LOAD_SECRET".to_owned(), "secret".to_owned());
    let mut n = 0;
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "toml")) {
        let File { flows } = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for (name, spec) in flows {
            plan.scenarios[0].exec.clone_from(&name);
            Flow::compile(&name, &spec, &plan, Path::new("."))
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            n += 1;
        }
    }
    assert!(n >= 11, "{n}");
}
