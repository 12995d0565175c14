use super::*;

#[tokio::test]
async fn a_session_exchanges_its_messages_and_is_measured() {
    let server = Server::start().await;
    let text = r#"
        [websocket]
        path = "/ws"
        name = "echo"
        repeat = 3
        [[websocket.messages]]
        send = "{{vu}} {{iteration}}"
        await_reply = true
        think_time = "5ms"
        [websocket.messages.checks]
        echoes = { equals = "{{vu}} {{iteration}}" }
        shouts = { contains = "!" }
        [[websocket.messages]]
        send = "{}"
        repeat = 2
    "#;
    let mut runner = Runner::on(&server, text);
    runner.iterate(2).await.unwrap();
    let tags = [("name", "echo"), ("scenario", "peak"), ("team", "blue")];
    assert_eq!(runner.count(Metric::WsSessions, &tags), 2);
    assert_eq!(runner.count(Metric::WsMsgsSent, &tags), 18);
    assert_eq!(runner.check("echoes"), (2, 6), "the replies to other messages come first");
    assert_eq!(runner.check("shouts"), (0, 6));
    assert_eq!(runner.check("echo session"), (2, 2));
    let Some(Values::Trend(times)) = runner.total(Metric::WsMessageDuration, &tags) else { panic!("no times") };
    assert_eq!(times.count(), 6);
    let Some(Values::Trend(sessions)) = runner.total(Metric::WsSessionDuration, &[]) else { panic!("no sessions") };
    assert!(sessions.min().unwrap() >= 15_000, "three pauses of 5 ms");
    assert!(runner.count(Metric::DataSent, &tags) > 0 && runner.count(Metric::DataReceived, &tags) > 0);
}

#[tokio::test]
async fn a_session_that_breaks_off_fails_its_check_and_the_iteration() {
    let server = Server::start().await;
    for (path, part) in [
        ("/hang-up", "the other side ended the session"),
        ("/status/404", "404"),
        ("/never", "the request's time was over"),
    ] {
        let text = format!(
            "[websocket]\nname = \"s\"\npath = \"{path}\"\ntimeout = \"500ms\"\nmessages = [{{ send = \"x\", await_reply = true }}]"
        );
        let mut runner = Runner::on(&server, &text);
        let error = runner.iterate(1).await.unwrap_err();
        assert!(error.message.starts_with("websocket s: ") && error.message.contains(part), "{path}: {error}");
        assert_eq!(runner.check("s session"), (0, 1), "{path}");
    }
}
