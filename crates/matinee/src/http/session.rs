//! `/v1/session`: a browser signs in with a link or a token, and out.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use matinee_core::limits;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::{self, SESSION_COOKIE};
use super::view::{Problems, Sent};
use crate::flow::access;

/// What a browser signs in with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The secret of the administrator link, or of an API token.
    token: String,
}

/// Signs this browser in; the answer sets its cookie.
#[utoipa::path(post, path = "/v1/session", operation_id = "session_create", tag = "access", request_body = SignIn, responses((status = 204, description = "The browser is signed in."), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    Sent(sign_in): Sent<SignIn>,
) -> Result<Response, Problem> {
    let session = access::sign_in(&node, sign_in.token.trim()).await?;
    let session = session.ok_or_else(|| {
        Problem::new(Code::Unauthorized, "This link or token is not known, was used already, or is over.")
            .fix("Start the server again to get a fresh administrator link, or use another token.")
    })?;
    let cookie = cookie(&session, limits::SESSION_MS / 1_000, is_https(&node));
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Signs this browser out.
#[utoipa::path(delete, path = "/v1/session", operation_id = "session_delete", tag = "access", responses((status = 204, description = "The browser is signed out."), Problems))]
pub(crate) async fn delete(State(node): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(secret) = request::cookie(&headers, SESSION_COOKIE) {
        access::sign_out(&node, secret).await?;
    }
    let cookie = cookie("", 0, is_https(&node));
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn is_https(node: &Shared) -> bool {
    node.config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
}

/// No script reads it, and no other site's page sends it.
fn cookie(secret: &str, max_age_s: i64, https: bool) -> HeaderValue {
    let secure = if https { "; Secure" } else { "" };
    let text =
        format!("{SESSION_COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age_s}{secure}");
    HeaderValue::from_str(&text).expect("because a secret is letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_secure_where_the_address_is() {
        let plain = "matinee_session=mat_x; HttpOnly; SameSite=Strict; Path=/; Max-Age=60";
        assert_eq!(cookie("mat_x", 60, false), plain);
        assert_eq!(cookie("mat_x", 60, true), format!("{plain}; Secure"));
    }
}
