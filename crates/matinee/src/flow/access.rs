//! Who asks: the holder of a token, a signed-in browser, or a newcomer on this machine.

use matinee_core::access::secret::Secret;
use matinee_core::access::sender::{self, Verdict};
use matinee_core::access::{Actor, Scope, Scopes, TokenKind};
use matinee_core::id::{AppId, TokenId};
use matinee_core::limits;
use matinee_core::time::Millis;
use matinee_io::db::DbError;
use matinee_io::db::token::NewToken;
pub(crate) use matinee_io::db::token::Token;
use matinee_io::random;

use super::{Failure, now};
use crate::node::Node;

/// What somebody on this machine may do before an administrator has claimed it: everything but making tokens.
const NEWCOMER: [Scope; 5] =
    [Scope::UploadWrite, Scope::VideoRead, Scope::VideoWrite, Scope::JobRead, Scope::JobWrite];

/// The holder of a secret; `None` when it is unknown or over.
pub(crate) async fn actor(node: &Node, secret: &str) -> Result<Option<Actor>, Failure> {
    let Some(secret) = Secret::read(secret) else { return Ok(None) };
    Ok(node.db.actor(&secret.hash(), now()).await?)
}

/// What the secret part of an upload's address says about who may send it.
pub(crate) enum Address {
    /// Nothing: its app sends it with a credential of its own.
    Plain,
    /// It looks like a token, but this server did not make it so, or the upload is forgotten.
    Unknown,
    /// Whoever has the address may send this one upload.
    Sender(Sender),
}

/// Who has the address of an announced upload.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// The secret part of the address.
    pub(crate) key: String,
    pub(crate) app: AppId,
    /// Sites whose pages may send it.
    pub(crate) origins: Vec<String>,
    pub(crate) expired: bool,
}

/// Reads the secret part of an upload's address; only what this server signed is looked up.
pub(crate) async fn address(node: &Node, key: &str) -> Result<Address, Failure> {
    let (grant, expired) = match sender::verify(std::slice::from_ref(&node.path_key), key, now()) {
        Verdict::NoToken => return Ok(Address::Plain),
        Verdict::Forged => return Ok(Address::Unknown),
        Verdict::Expired(grant) => (grant, true),
        Verdict::Good(grant) => (grant, false),
    };
    let found =
        node.db.upload_by_key(key).await?.filter(|upload| {
            upload.id == grant.upload && upload.allowance.max_bytes == Some(grant.max_bytes)
        });
    Ok(found.map_or(Address::Unknown, |upload| {
        let origins = upload.allowance.origins;
        Address::Sender(Sender { key: upload.url_key, app: upload.app, origins, expired })
    }))
}

/// May somebody without any token work here? Only on a loopback address without public names that nobody has
/// claimed yet.
pub(crate) async fn newcomers_welcome(node: &Node) -> Result<bool, Failure> {
    // Behind a proxy on this machine everybody comes from a loopback address; then names are configured.
    let private =
        node.config.is_loopback() && node.config.public_url.is_none() && node.config.hosts.is_empty();
    Ok(node.config.access.newcomer && private && !is_claimed(node).await?)
}

/// Is there an administrator?
pub(crate) async fn is_claimed(node: &Node) -> Result<bool, Failure> {
    if node.claimed.load(std::sync::atomic::Ordering::Acquire) {
        return Ok(true);
    }
    let claimed = node.db.has_administrator().await?;
    // It never becomes unclaimed while the process runs.
    node.claimed.store(claimed, std::sync::atomic::Ordering::Release);
    Ok(claimed)
}

/// Somebody on this machine.
pub(crate) fn newcomer(node: &Node) -> Actor {
    Actor::Local { app: node.defaults.app, scopes: Scopes::of(&NEWCOMER) }
}

/// The secret of the link that makes the first administrator, new at each start until it is used.
pub(crate) async fn claim_link(node: &Node) -> Result<Option<String>, Failure> {
    if is_claimed(node).await? {
        return Ok(None);
    }
    // Each node prints one, and its start leaves those of others alone.
    let name = node.name().map(|name| format!("first administrator, by {name}"));
    let name = name.as_deref().unwrap_or("first administrator");
    let (secret, token) = token(node.defaults.app, TokenKind::Claim, name, Scopes::ADMIN, None);
    node.db.offer_claim(&token, now()).await?;
    Ok(Some(secret.reveal()))
}

/// Turns a claim link, or an API token, into a session of this browser; the session's secret.
pub(crate) async fn sign_in(node: &Node, secret: &str) -> Result<Option<String>, Failure> {
    let Some(shown) = Secret::read(secret) else { return Ok(None) };
    let expires = Some(now().plus(limits::SESSION_MS));
    if let Some(Actor::Token { app, scopes, .. }) = node.db.actor(&shown.hash(), now()).await? {
        let (secret, session) = token(app, TokenKind::Session, "browser", scopes, expires);
        node.db.insert_token(&session, now()).await?;
        return Ok(Some(secret.reveal()));
    }
    let (secret, session) = token(node.defaults.app, TokenKind::Session, "browser", Scopes::ADMIN, expires);
    match node.db.claim_server(&shown.hash(), &session, now()).await {
        Ok(()) => Ok(Some(secret.reveal())),
        Err(DbError::Absent) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Ends the session with this secret.
pub(crate) async fn sign_out(node: &Node, secret: &str) -> Result<(), Failure> {
    if let Some(secret) = Secret::read(secret)
        && let Some(Actor::Token { token, app, .. }) = node.db.actor(&secret.hash(), now()).await?
    {
        node.db.delete_token(app, token).await?;
    }
    Ok(())
}

/// Makes an API token; its secret is shown only now.
pub(crate) async fn create(
    node: &Node,
    app: AppId,
    name: &str,
    scopes: Scopes,
    expires: Option<Millis>,
) -> Result<(String, TokenId), Failure> {
    let (secret, token) = token(app, TokenKind::Api, name, scopes, expires);
    node.db.insert_token(&token, now()).await?;
    Ok((secret.reveal(), token.id))
}

/// The API tokens of an app.
pub(crate) async fn list(node: &Node, app: AppId) -> Result<Vec<Token>, Failure> {
    Ok(node.db.tokens(app).await?)
}

/// Ends a token.
pub(crate) async fn delete(node: &Node, app: AppId, token: TokenId) -> Result<(), Failure> {
    Ok(node.db.delete_token(app, token).await?)
}

fn token(
    app: AppId,
    kind: TokenKind,
    name: &str,
    scopes: Scopes,
    expires: Option<Millis>,
) -> (Secret, NewToken) {
    let secret = Secret::new(random::bytes());
    let token =
        NewToken { id: random::id(), app, kind, name: name.to_owned(), hash: secret.hash(), scopes, expires };
    (secret, token)
}
