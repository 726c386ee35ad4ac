//! What every request goes through: its id, its host, who asks, from which site, and the headers of the answer.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use matinee_core::access::{Actor, Scope};
use matinee_core::id::AppId;
use tracing::Instrument as _;

use super::Shared;
use super::problem::{Code, Problem};
use super::trace;
use crate::flow::Failure;
use crate::flow::access::{self, Address, Sender};
use crate::flow::runner::{self, Runner};
use crate::node::Node;

/// The cookie of a signed-in browser.
pub(crate) const SESSION_COOKIE: &str = "matinee_session";

/// Our pages load nothing from anywhere else, and nothing inline runs or styles. Only videos and their pictures come from the hosts, too.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; \
     font-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    actor: Option<Actor>,
    /// The address of the request is its credential.
    sender: Option<Sender>,
    /// A machine that works for us; it may do nothing but that.
    runner: Option<Box<Runner>>,
    /// `newcomer`, `session`, `token`, `sender`, `runner` or `nobody`.
    pub(crate) kind: &'static str,
}

impl Caller {
    const fn nobody() -> Self {
        Self { actor: None, sender: None, runner: None, kind: "nobody" }
    }

    /// The caller's app, when the caller may do this.
    pub(crate) fn permit(&self, scope: Scope) -> Result<AppId, Problem> {
        match &self.actor {
            Some(actor) if actor.may(scope) => Ok(actor.app()),
            Some(_) => {
                Err(Problem::new(Code::Forbidden, format!("This needs the scope `{}`.", scope.name())))
            }
            None => Err(Problem::new(Code::Unauthorized, "This server wants to know who asks.")
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"matinee\""))),
        }
    }

    /// The caller's app, when the caller may send bytes to the upload with this key in its address.
    pub(crate) fn permit_upload(&self, key: &str) -> Result<AppId, Problem> {
        match &self.sender {
            Some(sender) if sender.key == key => Ok(sender.app),
            Some(_) | None => self.permit(Scope::UploadWrite),
        }
    }

    /// The machine that asks, when it works for us.
    pub(crate) fn permit_runner(&self) -> Result<&Runner, Problem> {
        self.runner.as_deref().ok_or_else(|| {
            Problem::new(Code::Unauthorized, "This is for runners: the token is not known, or was revoked.")
                .fix("Register the runner with a registration token; an administrator can make one.")
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"matinee\""))
        })
    }

    /// The caller's app, when the caller administers the whole server.
    pub(crate) fn permit_server(&self, node: &Node) -> Result<AppId, Problem> {
        let app = self.permit(Scope::Admin)?;
        if app == node.defaults.app {
            return Ok(app);
        }
        Err(Problem::new(Code::Forbidden, "Only an administrator of the whole server may do this.")
            .fix("Ask the one who runs the server."))
    }

    /// The app with this id, when the caller administers it or the whole server; anybody else's is not there.
    pub(crate) fn permit_app(&self, node: &Node, id: &str) -> Result<AppId, Problem> {
        let own = self.permit(Scope::Admin)?;
        let id = id.parse().ok().filter(|id| *id == own || own == node.defaults.app);
        id.ok_or_else(Problem::not_found)
    }

    /// The names of everything that the caller may do.
    pub(crate) fn scopes(&self) -> Vec<&'static str> {
        let all = self.actor.as_ref().map(|actor| {
            Scope::ALL.iter().filter(|scope| actor.may(**scope)).map(|scope| scope.name()).collect()
        });
        all.unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Code::Internal, "A route was left without its guard."))
    }
}

/// The address under which the client reaches us: the configured one, else that of its own request.
#[derive(Debug, Clone)]
pub(crate) struct External(String);

impl External {
    /// The address of a server whose client is no browser: the command line.
    pub(crate) const fn of(url: String) -> Self {
        Self(url)
    }

    /// An absolute address for `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl FromRequestParts<Shared> for External {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, node: &Shared) -> Result<Self, Problem> {
        if let Some(url) = &node.config.public_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let host = host_of(parts).unwrap_or_else(|| node.config.listen.to_string());
        Ok(Self(format!("http://{host}")))
    }
}

fn host_of(parts: &Parts) -> Option<String> {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    named.map(str::to_owned).or_else(|| parts.uri.authority().map(ToString::to_string))
}

/// Wraps every route but the media ones.
pub(crate) async fn guard(State(node): State<Shared>, request: Request, next: Next) -> Response {
    let id = crate::flow::request_id();
    let path = without_secret(request.uri().path());
    let span = tracing::info_span!("request", id, method = %request.method(), path);
    let started = crate::flow::Stopwatch::start();
    let method = request.method().clone();
    let answer = async {
        let (mut response, cors) = match addressed(&node, request.uri().path()).await {
            Ok(address) => {
                let cors = allowed_origin(&node, request.headers(), &address);
                let response = match admitted(&node, request, address, cors.is_some()).await {
                    Ok(request) => next.run(request).await,
                    Err(problem) => problem.into_response(),
                };
                (response, cors)
            }
            Err(failure) => (Problem::from(failure).into_response(), None),
        };
        finish_headers(&node, response.headers_mut(), cors);
        let status = response.status().as_u16();
        metrics::counter!("matinee_requests_total", "method" => method.to_string(), "status" => status.to_string())
            .increment(1);
        tracing::debug!(status, took_ms = started.elapsed_ms(), "request");
        response
    };
    let mut response = trace::scope(id.clone(), answer.instrument(span)).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Where uploads have their addresses.
const UPLOADS: &str = "/files/";
/// Where runners read and write.
const OBJECTS: &str = "/r/";
/// What is only for runners, whose tokens open nothing else.
const RUNNERS: [&str; 3] = ["/v1/runner/", "/v1/lease/", OBJECTS];

/// What the path says about who asks.
async fn addressed(node: &Node, path: &str) -> Result<Address, Failure> {
    match path.strip_prefix(UPLOADS) {
        Some(key) => access::address(node, key).await,
        None => Ok(Address::Plain),
    }
}

/// The path for the log: whoever knows the address of an upload may send it.
fn without_secret(path: &str) -> &str {
    [UPLOADS, OBJECTS].into_iter().find(|secret| path.starts_with(secret)).unwrap_or(path)
}

async fn admitted(
    node: &Shared,
    request: Request,
    address: Address,
    known_site: bool,
) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let host = host_of(&parts).unwrap_or_default();
    if !known_host(node, &host) {
        return Err(Problem::new(
            Code::UnknownHost,
            format!("This server does not answer for the name `{host}`."),
        ));
    }
    let caller = match address {
        Address::Plain => caller(node, &parts).await?,
        Address::Sender(sender) => by_address(&parts, sender)?,
        // Browsers ask first, and show the answer that follows.
        Address::Unknown if parts.method == Method::OPTIONS => Caller::nobody(),
        Address::Unknown => return Err(Problem::not_found()),
    };
    let by_header = matches!(caller.kind, "token" | "runner");
    if changes(&parts) && !by_header && !known_site && !same_site(&parts.headers, &host) {
        return Err(Problem::new(Code::CrossSite, "A page of another site may not do this."));
    }
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, body))
}

/// The holder of an address; other credentials that come along are not looked at.
fn by_address(parts: &Parts, sender: Sender) -> Result<Caller, Problem> {
    if sender.expired && parts.method != Method::OPTIONS {
        let text = "The time in which this address could be used is over.";
        return Err(Problem::new(Code::UploadGone, text).fix("Ask the site for a new upload."));
    }
    Ok(Caller { sender: Some(sender), kind: "sender", ..Caller::nobody() })
}

/// tus lets a header name the method, so the header alone is reason enough to look where a request comes from.
fn changes(parts: &Parts) -> bool {
    !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        || parts.headers.contains_key("x-http-method-override")
}

/// A page elsewhere must not steer a browser that is signed in here, or reach a server that trusts its machine.
fn same_site(headers: &HeaderMap, host: &str) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let same_origin =
        origin.is_none_or(|origin| origin.split_once("://").is_some_and(|(_, from)| from == host));
    let fetch_site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    same_origin && fetch_site.is_none_or(|site| matches!(site, "same-origin" | "none"))
}

/// The name under which another site reached us through DNS is not ours (DNS rebinding).
fn known_host(node: &Node, host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
    let public =
        node.config.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
    let public = public.map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || public.is_some_and(|public| public.eq_ignore_ascii_case(name))
        || node.config.hosts.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(name))
}

async fn caller(node: &Shared, parts: &Parts) -> Result<Caller, Problem> {
    let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    if RUNNERS.iter().any(|prefix| parts.uri.path().starts_with(prefix)) {
        let Some(secret) = bearer else { return Ok(Caller::nobody()) };
        let runner = runner::known(node, secret.trim()).await?.map(Box::new);
        let kind = if runner.is_some() { "runner" } else { "nobody" };
        return Ok(Caller { runner, kind, ..Caller::nobody() });
    }
    if let Some(secret) = bearer {
        let actor = access::actor(node, secret.trim()).await?;
        let actor =
            actor.ok_or_else(|| Problem::new(Code::Unauthorized, "This token is not known, or is over."))?;
        return Ok(Caller { actor: Some(actor), kind: "token", ..Caller::nobody() });
    }
    if let Some(secret) = cookie(&parts.headers, SESSION_COOKIE)
        && let Some(actor) = access::actor(node, secret).await?
    {
        return Ok(Caller { actor: Some(actor), kind: "session", ..Caller::nobody() });
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    if peer.is_some_and(|ip| ip.is_loopback()) && access::newcomers_welcome(node).await? {
        return Ok(Caller { actor: Some(access::newcomer(node)), kind: "newcomer", ..Caller::nobody() });
    }
    Ok(Caller::nobody())
}

pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// What a page may do here: with hosts it may load videos and their pictures from them.
fn page_policy(node: &Node) -> HeaderValue {
    let sites = node.hosts.sites();
    if sites.is_empty() {
        return HeaderValue::from_static(PAGE_POLICY);
    }
    let mut policy = PAGE_POLICY.to_owned();
    for kind in ["img-src 'self'", "media-src 'self'", "connect-src 'self'"] {
        policy = policy.replace(kind, &format!("{kind}{sites}"));
    }
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(PAGE_POLICY))
}

/// The request's origin, when the configuration, or the one who announced the upload, lets its pages upload here.
fn allowed_origin(node: &Node, headers: &HeaderMap, address: &Address) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let of_upload = match address {
        Address::Sender(sender) => sender.origins.as_slice(),
        Address::Plain | Address::Unknown => &[],
    };
    let known = node.config.uploads.origins.iter().chain(of_upload).any(|allowed| origin == allowed.as_str());
    known.then(|| origin.clone())
}

const CORS_METHODS: &str = "POST, HEAD, PATCH, PUT, OPTIONS, GET, DELETE";
const CORS_HEADERS: &str = "Authorization, Origin, X-Requested-With, X-Request-ID, X-HTTP-Method-Override, Content-Type, \
     Upload-Length, Upload-Offset, Tus-Resumable, Upload-Metadata, Upload-Defer-Length, Upload-Concat, \
     Upload-Checksum, Upload-Complete, Upload-Incomplete, Upload-Draft-Interop-Version, \
     Content-Digest, Repr-Digest, Want-Repr-Digest, Content-Disposition";
const CORS_EXPOSED: &str = "Location, Upload-Offset, Upload-Length, Upload-Metadata, Upload-Defer-Length, Upload-Concat, \
     Upload-Expires, Tus-Version, Tus-Resumable, Tus-Max-Size, Tus-Extension, Tus-Checksum-Algorithm, \
     Upload-Complete, Upload-Limit, Repr-Digest, Matinee-Video, Matinee-Upload";

fn finish_headers(node: &Node, headers: &mut HeaderMap, cors: Option<HeaderValue>) {
    if let Some(origin) = cors {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(CORS_METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(CORS_HEADERS));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(CORS_EXPOSED));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let mut absent = |name, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    absent(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With `no-referrer` a browser sends `Origin: null` with our own form, and it would be refused.
    absent(header::REFERRER_POLICY, "same-origin");
    absent(header::X_FRAME_OPTIONS, "DENY");
    absent(header::CACHE_CONTROL, "no-store");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| page_policy(node));
}
