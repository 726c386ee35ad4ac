//! `/v1/tokens`: tokens for programs, made and ended by an administrator.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use matinee_core::access::{Scope, Scopes, TokenKind};
use matinee_core::id::AppId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::field::titled;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{Problems, Sent, read_time, time};
use crate::flow::{access, now};
use crate::node::Node;

/// The token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What its owner calls it.
    name: String,
    /// What it allows, for example `upload:write`.
    scopes: Vec<String>,
    /// It ends at this moment, as RFC 3339 text; never when it is missing.
    expires_at: Option<String>,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeToken {
    /// The token's id.
    id: String,
    /// What programs send as `Authorization: Bearer`; it is never shown again.
    secret: String,
    /// What its owner calls it.
    name: String,
    /// What it allows.
    scopes: Vec<&'static str>,
    /// When it ends, as RFC 3339 text.
    expires_at: Option<String>,
}

/// A token or session, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    /// The token's id.
    id: String,
    /// `api` for a program, `session` for a browser.
    kind: &'static str,
    /// What its owner calls it.
    name: String,
    /// What it allows.
    scopes: Vec<&'static str>,
    /// When it was made, as RFC 3339 text.
    created_at: String,
    /// When it ends.
    expires_at: Option<String>,
    /// When it was used last, to the minute.
    used_at: Option<String>,
}

/// All tokens and sessions, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    /// The tokens.
    items: Vec<Token>,
    /// Always null: there is one page.
    next: Option<String>,
}

/// Makes a token for a program.
#[utoipa::path(post, path = "/v1/tokens", operation_id = "token_create", tag = "access", request_body = NewToken, responses((status = 201, body = MadeToken), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    Sent(new): Sent<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let app = caller.permit(Scope::Admin)?;
    Ok((StatusCode::CREATED, Json(made(&node, app, &new).await?)))
}

/// Makes a token in an app.
pub(super) async fn made(node: &Node, app: AppId, new: &NewToken) -> Result<MadeToken, Problem> {
    let name = titled(&new.name)?;
    let scopes = scopes(&new.scopes)?;
    let wrong =
        || Problem::new(Code::BadRequest, "`expires_at` must be RFC 3339 text such as 2027-01-31T00:00:00Z.");
    let expires = new.expires_at.as_deref().map(|text| read_time(text).ok_or_else(wrong)).transpose()?;
    if expires.is_some_and(|expires| expires <= now()) {
        return Err(Problem::new(Code::BadRequest, "`expires_at` is over already."));
    }
    let (secret, id) = access::create(node, app, name, scopes, expires).await?;
    Ok(MadeToken {
        id: id.to_string(),
        secret,
        name: name.to_owned(),
        scopes: words(scopes),
        expires_at: expires.map(time),
    })
}

fn words(scopes: Scopes) -> Vec<&'static str> {
    scopes.each().map(Scope::name).collect()
}

fn scopes(words: &[String]) -> Result<Scopes, Problem> {
    let known: Vec<_> = Scope::ALL.iter().map(|scope| format!("`{}`", scope.name())).collect();
    let allowed = format!("Allowed are {}.", known.join(", "));
    if words.is_empty() {
        return Err(Problem::new(Code::BadRequest, format!("`scopes` is empty. {allowed}")));
    }
    let read = words.iter().map(|word| {
        let found = Scope::ALL.iter().find(|scope| scope.name() == word).copied();
        found.ok_or_else(|| Problem::new(Code::BadRequest, format!("There is no scope `{word}`. {allowed}")))
    });
    Ok(Scopes::of(&read.collect::<Result<Vec<_>, _>>()?))
}

/// Lists tokens and sessions.
#[utoipa::path(get, path = "/v1/tokens", operation_id = "token_list", tag = "access", responses((status = 200, body = TokenList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<TokenList>, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let shown = access::list(&node, app).await?.into_iter().filter_map(|token| {
        let kind = match token.kind {
            TokenKind::Claim => return None,
            TokenKind::Session => "session",
            TokenKind::Api => "api",
        };
        Some(Token {
            id: token.id.to_string(),
            kind,
            name: token.name,
            scopes: words(token.scopes),
            created_at: time(token.created),
            expires_at: token.expires.map(time),
            used_at: token.used.map(time),
        })
    });
    Ok(Json(TokenList { items: shown.collect(), next: None }))
}

/// Ends a token or session at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", operation_id = "token_delete", tag = "access", params(("id" = String, Path, description = "The token.")), responses((status = 204, description = "It is over."), Problems))]
pub(crate) async fn delete(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::Admin)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    access::delete(&node, app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_allows_what_its_words_say_and_no_unknown_word() {
        let two = scopes(&["video:read".to_owned(), "upload:write".to_owned()]).unwrap();
        assert_eq!(words(two), ["upload:write", "video:read"]);
        assert!(scopes(&["video:reed".to_owned()]).is_err() && scopes(&[]).is_err());
    }
}
