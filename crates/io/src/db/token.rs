//! Tokens, sessions and the link of the first administrator; only hashes of secrets come here.

use matinee_core::access::{Actor, Scope, Scopes, TokenKind};
use matinee_core::id::{AppId, TokenId};
use matinee_core::limits::TOKEN_TOUCH_MS;
use matinee_core::time::Millis;
use serde::Serialize;

use super::Db;
use super::error::DbError;
use super::tx::Tx;
use super::value::{Row, args};

/// A token to insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// Its app.
    pub app: AppId,
    /// What it is for.
    pub kind: TokenKind,
    /// What its owner calls it.
    pub name: String,
    /// `Secret::hash` of the secret.
    pub hash: [u8; 32],
    /// What it allows.
    pub scopes: Scopes,
    /// The first moment at which it is no longer valid.
    pub expires: Option<Millis>,
}

/// A token as it is shown: never with its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What it is for.
    pub kind: TokenKind,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was made.
    pub created: Millis,
    /// The first moment at which it is no longer valid.
    pub expires: Option<Millis>,
    /// When it was used last, to the minute.
    pub used: Option<Millis>,
}

impl Db {
    /// Stores a token.
    pub async fn insert_token(&self, new: &NewToken, now: Millis) -> Result<(), DbError> {
        self.write((new.clone(), now), |tx, (new, now)| Box::pin(insert(tx, new, *now))).await
    }

    /// Who holds the secret with this hash, if it is valid at `now`. Notes the use, at most once a minute.
    /// A claim link is nobody.
    pub async fn actor(&self, hash: &[u8; 32], now: Millis) -> Result<Option<Actor>, DbError> {
        let row = self
            .look((*hash, now), |tx, (hash, now)| {
                Box::pin(async move {
                    let sql = "SELECT id, app_id, scopes, used_ms FROM token
                               WHERE hash = $1 AND kind <> $3 AND (expires_ms IS NULL OR expires_ms > $2)
                                 AND NOT EXISTS (SELECT 1 FROM app a WHERE a.id = app_id AND a.deleting_ms IS NOT NULL)";
                    tx.row(sql, args![*hash, *now, kind_text(TokenKind::Claim)]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let token: TokenId = row.get("id")?;
        let used: Option<Millis> = row.get("used_ms")?;
        if used.is_none_or(|used| now.since(used) >= TOKEN_TOUCH_MS) {
            self.write((token, now), |tx, (token, now)| {
                Box::pin(async move {
                    tx.execute("UPDATE token SET used_ms = $2 WHERE id = $1", args![*token, *now]).await
                })
            })
            .await?;
        }
        Ok(Some(Actor::Token { token, app: row.get("app_id")?, scopes: scopes_of(&row)? }))
    }

    /// The tokens and sessions of an app, the newest first.
    pub async fn tokens(&self, app: AppId) -> Result<Vec<Token>, DbError> {
        self.read(app, |tx, app| {
            Box::pin(async move {
                let sql = "SELECT * FROM token WHERE app_id = $1 ORDER BY id DESC";
                tx.rows(sql, args![*app]).await?.iter().map(token).collect()
            })
        })
        .await
    }

    /// Ends a token or session; [`DbError::Absent`] when there is none with this id in this app.
    pub async fn delete_token(&self, app: AppId, id: TokenId) -> Result<(), DbError> {
        self.write((app, id), |tx, (app, id)| {
            Box::pin(async move {
                tx.execute_one("DELETE FROM token WHERE app_id = $1 AND id = $2", args![*app, *id]).await
            })
        })
        .await
    }

    /// Forgets what expired before `now`; administrators' sessions stay, see [`Db::has_administrator`].
    pub async fn prune_tokens(&self, now: Millis) -> Result<u64, DbError> {
        self.write(now, |tx, now| {
            Box::pin(async move {
                let sql = "DELETE FROM token WHERE expires_ms <= $1 AND (kind = $2 OR scopes <> $3)";
                let (claim, admin) = (kind_text(TokenKind::Claim), Scopes::ADMIN.to_string());
                tx.execute(sql, args![*now, claim, admin]).await
            })
        })
        .await
    }

    /// Stores the link of the first administrator; an earlier link is void.
    pub async fn offer_claim(&self, new: &NewToken, now: Millis) -> Result<(), DbError> {
        self.write((new.clone(), now), |tx, (new, now)| {
            Box::pin(async move {
                // Each node has its own, which the start of another leaves alone.
                let sql = "DELETE FROM token WHERE kind = $1 AND name = $2";
                tx.execute(sql, args![kind_text(TokenKind::Claim), new.name.as_str()]).await?;
                insert(tx, new, *now).await
            })
        })
        .await
    }

    /// Turns the link with this hash into an administrator's session. It works once; then, and when the link
    /// has expired, [`DbError::Absent`].
    pub async fn claim_server(
        &self,
        link: &[u8; 32],
        session: &NewToken,
        now: Millis,
    ) -> Result<(), DbError> {
        self.write((*link, session.clone(), now), |tx, (link, session, now)| {
            Box::pin(async move {
                let sql = "DELETE FROM token WHERE hash = $1 AND kind = $3
                           AND (expires_ms IS NULL OR expires_ms > $2)";
                tx.execute_one(sql, args![*link, *now, kind_text(TokenKind::Claim)]).await?;
                let sql = "DELETE FROM token WHERE kind = $1";
                tx.execute(sql, args![kind_text(TokenKind::Claim)]).await?;
                insert(tx, session, *now).await
            })
        })
        .await
    }

    /// Has somebody become administrator? An expired session counts: the server does not fall back to nobody's.
    pub async fn has_administrator(&self) -> Result<bool, DbError> {
        self.look((), |tx, ()| {
            Box::pin(async move {
                let sql = "SELECT scopes FROM token WHERE kind <> $1";
                for row in tx.rows(sql, args![kind_text(TokenKind::Claim)]).await? {
                    if scopes_of(&row)?.allow(Scope::Admin) {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
        })
        .await
    }
}

async fn insert(tx: &mut Tx, new: &NewToken, now: Millis) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO token (id, app_id, kind, name, hash, scopes, created_ms, expires_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            new.id,
            new.app,
            kind_text(new.kind),
            new.name.as_str(),
            new.hash,
            new.scopes.to_string(),
            now,
            new.expires,
        ],
    )
    .await
    .map(drop)
}

const fn kind_text(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Claim => "claim",
        TokenKind::Session => "session",
        TokenKind::Api => "api",
    }
}

fn scopes_of(row: &Row) -> Result<Scopes, DbError> {
    let text: String = row.get("scopes")?;
    text.parse().map_err(|error| DbError::Never(format!("a token with odd scopes: {error}")))
}

fn token(row: &Row) -> Result<Token, DbError> {
    let word: String = row.get("kind")?;
    let kinds = [TokenKind::Claim, TokenKind::Session, TokenKind::Api];
    let kind = kinds.into_iter().find(|kind| kind_text(*kind) == word);
    Ok(Token {
        id: row.get("id")?,
        kind: kind.ok_or_else(|| DbError::Never(format!("no token is a {word}")))?,
        name: row.get("name")?,
        scopes: scopes_of(row)?,
        created: row.get("created_ms")?,
        expires: row.get("expires_ms")?,
        used: row.get("used_ms")?,
    })
}
