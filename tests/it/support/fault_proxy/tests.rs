//! The proxy against a server that says what it heard.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::http::{Body, Head, Wire};
use super::{Fault, Part, Proxy, Reply, Rule};

/// Answers every request with its own body, in chunks where the request came in chunks.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_all(stream).ok());
        }
    });
    host
}

fn answer_all(stream: TcpStream) -> std::io::Result<()> {
    let mut wire = Wire::new(stream);
    while let Some(head) = Head::read(&mut wire)? {
        let mut body = head.request_body();
        let mut heard = Vec::new();
        loop {
            let piece = body.next(&mut wire)?;
            if piece.is_empty() {
                break;
            }
            heard.extend(piece);
        }
        let (framing, said) = match body {
            Body::Chunks { .. } => ("Transfer-Encoding: chunked".to_owned(), [body.framed(&heard), body.end().to_vec()].concat()),
            _ => (format!("Content-Length: {}", heard.len()), heard),
        };
        (&wire.stream).write_all(&[format!("HTTP/1.1 200 OK\r\nX-Kind: echo\r\n{framing}\r\n\r\n").as_bytes(), &said].concat())?;
    }
    Ok(())
}

/// Sends text and reads until the other side ends.
fn say(proxy: &Proxy, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(proxy.host())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(text.as_bytes())?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

const ASK: &str = "PUT /a?x=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
const TOLD: &str = "HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn without_rules_it_is_a_wire_that_counts() {
    let proxy = Proxy::start(&echo(), Vec::new());
    let first = "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let heard = say(&proxy, &format!("{first}{ASK}")).unwrap();
    assert_eq!(heard.matches("HTTP/1.1 200 OK").count(), 2, "one connection, two answers: {heard}");
    assert!(heard.contains("Transfer-Encoding: chunked") && heard.ends_with(TOLD), "{heard}");
    let seen: Vec<_> = proxy.seen().iter().map(|seen| (seen.line(), seen.sent, seen.status, seen.received)).collect();
    assert_eq!(seen, [("POST /b".to_owned(), 5, Some(200), 5), ("PUT /a".to_owned(), 5, Some(200), 5)]);
    assert_eq!(proxy.seen()[1].header("host"), Some("h"));
}

#[test]
fn each_fault_is_what_it_is_called() {
    let reset = "Connection reset";
    let table: [(Part, u64, Fault, &str, u64); 10] = [
        (Part::RequestHead, 0, Fault::Reset, reset, 0),
        (Part::RequestBody, 3, Fault::Reset, reset, 3),
        (Part::ResponseHead, 4, Fault::Reset, reset, 5),
        (Part::ResponseHead, 0, Fault::Finish, "", 5),
        (Part::ResponseBody, 2, Fault::Finish, "HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: 5\r\n\r\nhe", 5),
        (Part::RequestBody, 4, Fault::Flip, "HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: 5\r\n\r\nhelln", 5),
        (Part::ResponseBody, 0, Fault::Drip(Duration::from_micros(1)), TOLD, 5),
        (
            Part::ResponseHead,
            0,
            Fault::Header("x-kind", |was| format!("no {was}")),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-kind: no echo\r\n\r\nhello",
            5,
        ),
        (
            Part::RequestHead,
            0,
            Fault::Answer(Reply::new(503).with("A", "{host}")),
            "HTTP/1.1 503 Fault\r\nA: HOST\r\nContent-Length: 0\r\n\r\n",
            0,
        ),
        (Part::RequestBody, 2, Fault::Answer(Reply::new(413)), "HTTP/1.1 413 Fault\r\nContent-Length: 0\r\n\r\n", 2),
    ];
    for (number, (part, byte, fault, expected, sent)) in table.into_iter().enumerate() {
        let proxy = Proxy::start(&echo(), vec![Rule::on("PUT", "/a", part, byte, fault)]);
        // an answer leaves the connection open for the next request, which ends it
        let heard = say(&proxy, &format!("{ASK}GET /end HTTP/1.1\r\nConnection: close\r\n\r\n")).unwrap_or_else(|error| error.to_string());
        let heard = heard.replace(&proxy.host(), "HOST");
        let heard = heard.split("HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: 0").next().unwrap();
        if expected == reset {
            assert!(heard.contains(reset), "{number}: {heard}");
        } else {
            assert_eq!(heard, expected, "{number}");
        }
        assert_eq!(proxy.seen()[0].sent, sent, "{number}");
        assert!(proxy.all_struck(), "{number}");
    }
}

#[test]
fn a_rule_strikes_those_it_is_for_and_no_others() {
    let rules = vec![Rule::instead("PUT|POST", "/a", Reply::new(500)).after(1).times(2)];
    let proxy = Proxy::start(&echo(), rules);
    let mut told = Vec::new();
    for request in ["PUT /a", "GET /a", "PUT /a", "PUT /b", "POST /a", "PUT /a"] {
        told.push(
            say(
                &proxy,
                &format!("{request} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
            )
            .unwrap()[9..12]
                .to_owned(),
        );
    }
    assert_eq!(told, ["200", "200", "500", "200", "500", "200"]);
}

#[test]
fn a_gate_stops_at_the_very_byte() {
    let proxy = Arc::new(Proxy::start(&echo(), Vec::new()));
    let (reached, watched) = (Arc::new(AtomicU64::new(0)), Arc::downgrade(&proxy));
    let told = reached.clone();
    let head = (ASK.len() - 5) as u64;
    proxy.sent().at(head + 3, move || {
        told.store(watched.upgrade().unwrap().seen()[0].sent, Ordering::SeqCst);
    });
    assert_eq!(say(&proxy, ASK).unwrap(), TOLD);
    assert_eq!((reached.load(Ordering::SeqCst), proxy.sent().passed()), (3, head + 5));
}
