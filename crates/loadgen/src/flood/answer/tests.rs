use super::*;

/// Feeds the bytes in pieces of `size`; the answer, and how many bytes were taken when it was whole.
fn fed(bytes: &[u8], size: usize, to_head: bool) -> Result<Option<Answered>, Malformed> {
    let mut answer = Answer::default();
    for piece in bytes.chunks(size) {
        if let Some(answered) = answer.feed(piece, to_head)? {
            return Ok(Some(answered));
        }
    }
    Ok(answer.close())
}

#[test]
fn an_answer_ends_where_its_head_says_however_it_is_cut() {
    let whole = |status, reusable| Some(Answered { status, reusable });
    let table: &[(&str, Option<Answered>)] = &[
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", whole(200, true)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", whole(200, true)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", whole(200, false)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x, Close\r\n\r\nok", whole(200, false)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", None),
        ("HTTP/1.1 204 No Content\r\n\r\n", whole(204, true)),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", whole(304, true)),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", whole(200, false)),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", whole(200, true)),
        ("HTTP/1.1 503 Busy\r\n\r\nuntil the end", whole(503, false)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", whole(200, true)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", whole(200, true)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n", whole(200, true)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nA;x=\"y\"\r\n0123456789\r\n00b \r\n0123456789a\r\n0\r\nx: y\r\n\r\n",
            whole(200, true),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", None),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc", whole(200, false)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nx: y\r\n\r\nHTTP/1.1 202 OK\r\ncontent-length: 1\r\n\r\nx",
            whole(202, true),
        ),
        ("HTTP/1.1 200 OK\r\ncontent-le", None),
        ("", None),
    ];
    for (text, expected) in table {
        for size in [1, 2, 3, 7, 4096] {
            assert_eq!(fed(text.as_bytes(), size, false), Ok(*expected), "{text:?} in pieces of {size}");
        }
    }
}

#[test]
fn the_answer_to_head_has_no_body() {
    let answered = fed(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", 4096, true);
    assert_eq!(answered, Ok(Some(Answered { status: 200, reusable: true })));
}

#[test]
fn one_answer_follows_another_and_bytes_that_nobody_asked_for_end_the_connection() {
    let mut answer = Answer::default();
    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for _ in 0..3 {
        assert_eq!(answer.feed(text, false), Ok(Some(Answered { status: 200, reusable: true })));
    }
    let twice = [&text[..], &text[..]].concat();
    assert_eq!(answer.feed(&twice, false), Ok(Some(Answered { status: 200, reusable: false })));
}

#[test]
fn what_is_no_http_is_refused_within_bounds() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(3 * MAX_HEAD));
    let trailer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{}", "x".repeat(2 * MAX_HEAD));
    let interim = "HTTP/1.1 100 C\r\n\r\n".repeat(2 * MAX_HEAD / 10);
    let table = [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111\r\n",
        &long,
        &trailer,
        &interim,
    ];
    for text in table {
        assert_eq!(fed(text.as_bytes(), 8192, false), Err(Malformed), "{}", &text[..text.len().min(80)]);
    }
}
