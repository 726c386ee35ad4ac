//! A service that speaks like S3, in this process: it stands for those that cannot be reached from a test. It refuses what
//! the real ones refuse, and everything that it does not know; and it fails as it is told to.

mod answer;
mod auth;
mod call;
mod fault;
mod objects;
mod parts;
mod profile;
#[cfg(test)]
mod tests;
mod world;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::Access;
use answer::Reply;
use call::Asked;
pub use call::Call;
pub use fault::{Fault, Trouble};
pub use profile::Profile;
use world::World;
pub use world::{Entry, Inventory};

/// The only bucket.
pub const BUCKET: &str = "films";
/// The name of the key that may do everything.
pub const ACCESS_KEY: &str = "GK31c2f218a2e44f485b94239e";
/// That key. It opens nothing but fakes on this machine.
pub const SECRET_KEY: &str = "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835";
/// A running service; it ends when it is dropped, and all that it holds with it.
#[derive(Debug)]
pub struct Fake {
    address: SocketAddr,
    profile: Profile,
    world: Arc<Mutex<World>>,
    serving: JoinHandle<()>,
}

impl Fake {
    /// Starts a service like this one, on a free port of this machine.
    pub async fn start(profile: Profile) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let world = Arc::new(Mutex::new(World::new(profile)));
        let serving = tokio::spawn(serve(listener, Arc::clone(&world)));
        Ok(Self { address, profile, world, serving })
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is needed to use its bucket.
    pub fn access(&self) -> Access {
        Access {
            bucket: BUCKET.to_owned(),
            endpoint: Some(self.endpoint()),
            region: self.profile.region().to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        }
    }

    /// Lets something go wrong from now on.
    pub fn fail(&self, fault: Fault) {
        self.world().faults.push(fault);
    }

    /// Its listings have so many entries a page.
    pub fn paged(&self, entries: usize) {
        self.world().page = entries;
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        self.world().faults.clear();
    }

    /// Every call so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.world().journal.clone()
    }

    /// What it holds, also what no listing shows; without the plates of stores, which stay.
    pub fn inventory(&self) -> Inventory {
        self.world().inventory()
    }

    /// The bytes of an object as they are now.
    pub fn bytes(&self, key: &str) -> Option<Bytes> {
        self.world().newest(key).map(|object| object.bytes.clone())
    }

    /// The keys of all objects that a listing shows, but for the plates of stores.
    pub fn keys(&self) -> Vec<String> {
        self.world().shown(false)
    }

    /// The keys of the plates by which stores are known.
    pub fn plates(&self) -> Vec<String> {
        self.world().shown(true)
    }

    /// Everything can be read for now, whatever its class.
    pub fn thaw(&self) {
        self.world().thawed = true;
    }

    /// Leaves only so many bytes of an object, behind everybody's back; nothing at all of it when there are none.
    pub fn cut(&self, key: &str, len: usize) {
        self.world().cut(key, len);
    }

    /// Every answer comes so many milliseconds late.
    pub fn slow(&self, ms: u64) {
        self.world().slow_ms = ms;
    }

    /// Changes one bit of an object, behind everybody's back.
    pub fn damage(&self, key: &str) {
        self.world().damage(key);
    }

    /// What was asked that it does not know: a test fails on it.
    pub fn unexpected(&self) -> Vec<String> {
        self.world().unexpected.clone()
    }

    /// So many milliseconds pass for all that it holds.
    pub fn pass_ms(&self, ms: i64) {
        self.world().pass_ms(ms);
    }

    /// Its clock is off by so many milliseconds from here.
    pub fn skew_ms(&self, ms: i64) {
        self.world().skew_ms = ms;
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // A test that panics while it looks must not hide why.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections end with the task that holds them.
async fn serve(listener: TcpListener, world: Arc<Mutex<World>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let world = Arc::clone(&world);
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&world), request));
                    // What the client breaks, or a fault cuts, is no failure here.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
            _ = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn answer(
    world: Arc<Mutex<World>>,
    request: Request<Incoming>,
) -> io::Result<Response<UnsyncBoxBody<Bytes, io::Error>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let asked = Asked::new(&head, body);
    let slow_ms = lock(&world).slow_ms;
    tokio::time::sleep(Duration::from_millis(slow_ms)).await;
    let reply = lock(&world).handle(&asked);
    let cut = || io::Error::new(io::ErrorKind::ConnectionReset, "a fault cut the connection");
    reply.ok_or_else(cut)?.into_response()
}

impl Reply {
    fn into_response(self) -> io::Result<Response<UnsyncBoxBody<Bytes, io::Error>>> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        let length = self.length.unwrap_or(self.body.len() as u64);
        response = response.header("content-length", length);
        let body = match self.cut_after {
            Some(len) => {
                let half = Ok(Frame::data(self.body.slice(..len.min(self.body.len()))));
                let end = Err(io::Error::new(io::ErrorKind::ConnectionReset, "a fault cut the body"));
                StreamBody::new(futures_util::stream::iter([half, end])).boxed_unsync()
            }
            None => Full::new(self.body).map_err(|never: Infallible| match never {}).boxed_unsync(),
        };
        response.body(body).map_err(io::Error::other)
    }
}
