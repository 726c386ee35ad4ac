//! The client against small servers of its own, with names that lead where a test wants.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Names that are answered from a table, and the questions that were asked.
#[derive(Default)]
struct Book {
    names: Vec<(&'static str, Vec<IpAddr>)>,
    asked: Mutex<Vec<String>>,
}

impl Names for Book {
    fn resolve(&self, host: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let found = self.names.iter().find(|(name, _)| *name == host).map(|(_, addresses)| addresses.clone());
        Box::pin(async move { found.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }
}

/// A server that answers each request with what `answer` says to its head, and closes.
struct Source {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

async fn source(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Source {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or_default() > 0 {}
            let head = String::from_utf8(head).unwrap();
            let answer = answer(&head);
            seen.lock().unwrap().push(head);
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    Source { port, heads }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn client(allow: &[String], names: Vec<(&'static str, Vec<IpAddr>)>) -> (Fetch, Arc<Book>) {
    let book = Arc::new(Book { names, ..Book::default() });
    let config = Config { allow_hosts: allow.to_vec(), ..Config::default() };
    (Fetch::with_names(&config, Arc::<Book>::clone(&book)).unwrap(), book)
}

fn get(url: impl Into<String>) -> Get {
    Get { url: url.into(), ..Get::default() }
}

async fn all(mut body: Body) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    while let Some(more) = body.next().await? {
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_a_connection() {
    let inside = source(|_| panic!("nobody may come here")).await;
    for addresses in [
        vec![ip("127.0.0.1")],
        vec![ip("8.8.8.8"), ip("127.0.0.1")],
        vec![ip("::ffff:127.0.0.1")],
        vec![ip("169.254.169.254")],
        vec![ip("64:ff9b::7f00:1")],
        vec![ip("fd00::8")],
    ] {
        let config = Config { allow_ports: vec![inside.port], ..Config::default() };
        let book = Book { names: vec![("rebound.test", addresses.clone())], ..Book::default() };
        let fetch = Fetch::with_names(&config, Arc::new(book)).unwrap();
        let refused = fetch.open(&get(format!("http://rebound.test:{}/", inside.port))).await.err();
        assert!(
            matches!(refused, Some(FetchError::Refused(Refusal::Address { .. }))),
            "{addresses:?}: {refused:?}"
        );
    }
    assert!(inside.heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let files = source(|_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"a\"\r\n\r\nok".to_owned()).await;
    let (fetch, book) =
        client(&[format!("files.test:{}", files.port)], vec![("files.test", vec![ip("127.0.0.1")])]);
    let opened = fetch.open(&get(format!("http://files.test:{}/a?b=c#d", files.port))).await.unwrap();
    assert_eq!((opened.answer, opened.mark.as_deref()), (Answer::Whole { size: Some(2) }, Some("\"a\"")));
    assert_eq!(all(opened.body).await.unwrap(), b"ok");
    assert_eq!(*book.asked.lock().unwrap(), ["files.test"], "a second question could have another answer");
    let head = files.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: files.test:{}\r\n", files.port)), "{head}");
}

#[tokio::test]
async fn a_redirect_is_judged_like_an_address() {
    for (location, kind) in [
        ("http://127.0.0.1/", "Address"),
        ("http://2130706433/", "Address"),
        ("http://[::ffff:169.254.169.254]/", "Address"),
        ("//inside.test/", "Address"),
        ("file:///etc/passwd", "Scheme"),
        ("gopher://example.org/", "Scheme"),
        ("http://files.test:22/", "Port"),
        ("http://ann:b@files.test/", "Credentials"),
        ("http://", "Unreadable"),
    ] {
        let files = source(move |_| {
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        })
        .await;
        let names = vec![("files.test", vec![ip("127.0.0.1")]), ("inside.test", vec![ip("10.0.0.1")])];
        let (fetch, _) = client(&[format!("files.test:{}", files.port)], names);
        let refused = fetch.open(&get(format!("http://files.test:{}/", files.port))).await.err();
        let Some(FetchError::Refused(refusal)) = &refused else { panic!("{location}: {refused:?}") };
        assert!(format!("{refusal:?}").starts_with(kind), "{location}: {refusal:?}");
        assert_eq!(files.heads.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn redirects_end_and_the_right_to_download_stays_with_its_host() {
    let other = source(|_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()).await;
    let away = format!("http://127.0.0.1:{}/there", other.port);
    let files = source(move |head| {
        let path = head.split(' ').nth(1).unwrap();
        let location = match path {
            "/away" => away.as_str(),
            "/near" => "near/by",
            "/near/by" => return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnear".to_owned(),
            _ => "/round",
        };
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    })
    .await;
    let allow = [format!("files.test:{}", files.port), format!("127.0.0.1:{}", other.port)];
    let (fetch, _) = client(&allow, vec![("files.test", vec![ip("127.0.0.1")])]);
    let ask = |path: &str| Get {
        url: format!("http://files.test:{}{path}", files.port),
        bearer: Some("s3cret".to_owned()),
        ..Get::default()
    };
    assert_eq!(all(fetch.open(&ask("/near")).await.unwrap().body).await.unwrap(), b"near");
    assert_eq!(all(fetch.open(&ask("/away")).await.unwrap().body).await.unwrap(), b"ok");
    assert!(matches!(fetch.open(&ask("/round")).await, Err(FetchError::Refused(Refusal::Redirects))));
    let heads = files.heads.lock().unwrap();
    assert_eq!(heads.len(), 2 + 1 + 6);
    assert!(heads.iter().all(|head| head.contains("authorization: Bearer s3cret\r\n")));
    let elsewhere = &other.heads.lock().unwrap()[0];
    assert!(!elsewhere.to_lowercase().contains("s3cret"), "{elsewhere}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_not_a_whole_one() {
    for (answer, wanted) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", Some("ab")),
        (
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 7-8/9\r\nContent-Length: 2\r\n\r\nab",
            Some("ab"),
        ),
    ] {
        let files = source(move |_| answer.to_owned()).await;
        let (fetch, _) = client(&[format!("127.0.0.1:{}", files.port)], Vec::new());
        let asked = Get {
            from: 7,
            mark: Some("\"a\"".to_owned()),
            ..get(format!("http://127.0.0.1:{}/", files.port))
        };
        let bytes = all(fetch.open(&asked).await.unwrap().body).await;
        assert_eq!(bytes.ok().as_deref(), wanted.map(str::as_bytes), "{answer}");
        let head = files.heads.lock().unwrap()[0].clone();
        assert!(head.contains("range: bytes=7-\r\n") && head.contains("if-range: \"a\"\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_there_is_told_from_one_that_says_no() {
    let (fetch, _) = client(&["gone.test".to_owned()], Vec::new());
    assert!(matches!(fetch.open(&get("http://gone.test/")).await, Err(FetchError::Unreachable(_))));
    let files = source(|_| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    let (fetch, _) = client(&[format!("127.0.0.1:{}", files.port)], Vec::new());
    let missing = fetch.open(&get(format!("http://127.0.0.1:{}/", files.port))).await;
    assert!(matches!(missing, Err(FetchError::Status(404))));
    let odd = source(|_| "SSH-2.0-OpenSSH\r\n".to_owned()).await;
    let (fetch, _) = client(&[format!("127.0.0.1:{}", odd.port)], Vec::new());
    assert!(matches!(
        fetch.open(&get(format!("http://127.0.0.1:{}/", odd.port))).await,
        Err(FetchError::Broken(_))
    ));
}

#[tokio::test]
async fn a_call_reads_only_the_beginning_of_an_answer_and_follows_nothing() {
    let endless = "x".repeat(1 << 20);
    for (head, body, status, retry_after, kept) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5", "taken", 200, None, 5),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0", "", 429, Some("7"), 0),
        ("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0", "", 302, None, 0),
        ("HTTP/1.1 500 No\r\nContent-Length: 1048576", &*endless, 500, None, 1_024),
        ("HTTP/1.1 204 Cut\r\nContent-Length: 900", "cut", 204, None, 0),
        ("HTTP/1.1 200 Cut\r\nContent-Length: 900", "cut", 200, None, 3),
    ] {
        let answer = format!("{head}\r\n\r\n{body}");
        let receiver = source(move |_| answer.clone()).await;
        let (fetch, _) = client(&[format!("127.0.0.1:{}", receiver.port)], Vec::new());
        let url = format!("http://127.0.0.1:{}/hook", receiver.port);
        let called = fetch.call(&Post { url, headers: Vec::new(), body: String::new() }).await.unwrap();
        assert_eq!(
            (called.status, called.retry_after.as_deref(), called.answer.len()),
            (status, retry_after, kept),
            "{head}"
        );
        assert_eq!(receiver.heads.lock().unwrap().len(), 1, "{head}");
    }
}
