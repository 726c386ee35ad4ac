//! A server of files that misbehaves as asked: cuts, no ranges, wrong ranges, files that change, and a log of who asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{StatusCode, header};
pub(crate) use matinee_io::fetch::fake::Manner;
use matinee_io::fetch::fake::answer;
use tokio::net::TcpListener;

#[derive(Default)]
struct Shelf {
    files: BTreeMap<String, (Bytes, Manner)>,
    asked: Vec<Option<String>>,
}

/// A running server of files.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) port: u16,
    shelf: Arc<Mutex<Shelf>>,
}

impl Files {
    /// Serves nothing yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let files = Self { port: listener.local_addr().unwrap().port(), shelf: Arc::default() };
        let router = Router::new().fallback(serve).with_state(files.clone());
        tokio::spawn(async move { axum_serve(listener, router).await });
        files
    }

    /// Serves a file under this path from now on.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>, manner: Manner) -> String {
        self.shelf.lock().unwrap().files.insert(path.to_owned(), (bytes.into(), manner));
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The `Range` of every request, in order.
    pub(crate) fn asked(&self) -> Vec<Option<String>> {
        self.shelf.lock().unwrap().asked.clone()
    }

    /// The configuration that lets a server fetch from here.
    pub(crate) fn allowed(&self) -> String {
        format!("[ingest]\nallow_hosts = [\"127.0.0.1:{}\"]\n", self.port)
    }
}

/// axum is built without its own server, so connections are served here.
pub(crate) async fn axum_serve(listener: TcpListener, router: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}

async fn serve(State(files): State<Files>, request: Request) -> Response {
    let range = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (found, number) = {
        let mut shelf = files.shelf.lock().unwrap();
        shelf.asked.push(range);
        (shelf.files.get(request.uri().path()).cloned(), shelf.asked.len())
    };
    let Some((bytes, manner)) = found else { return StatusCode::NOT_FOUND.into_response() };
    answer(request.headers(), &bytes, &manner, number).map(Body::new)
}
