//! The endpoints of an app: made, changed, tried out, and told again what has happened.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use matinee_core::id::{AppId, EventId, WebhookId};
use matinee_core::time::Millis;
use matinee_core::webhook::Try;
use matinee_core::webhook::limits::{DESCRIPTION_CHARS_MAX, URL_BYTES_MAX};
use matinee_core::webhook::pattern::{self, Topics};
use matinee_io::db::DbError;
pub(crate) use matinee_io::db::delivery::{Delivery, DeliveryFilter, Replayed};
pub(crate) use matinee_io::db::webhook::Webhook;
use matinee_io::db::webhook::{NewWebhook, WebhookChange};
use matinee_io::random;
use serde_json::json;

use super::{Failure, message, now};
use crate::node::Node;

/// The type of the message that somebody sends to see whether it arrives.
const TEST: &str = "webhook.test";

/// Why an endpoint cannot be as somebody wants it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// Nobody is called there.
    #[error("{0}")]
    Url(String),
    /// Something else.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<DbError> for Unfit {
    fn from(error: DbError) -> Self {
        Self::Failed(if let DbError::Conflict(human) = error {
            Failure::Refused { conflict: true, human }
        } else {
            error.into()
        })
    }
}

/// How an endpoint is to be; what is `None` stays, or has its default.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(crate) url: Option<String>,
    pub(crate) topics: Option<Vec<String>>,
    pub(crate) description: Option<String>,
    pub(crate) active: Option<bool>,
}

impl Wish {
    fn checked(&self, node: &Node) -> Result<WebhookChange, Unfit> {
        let refused = |human: String| Failure::Refused { conflict: false, human };
        let url = self.url.as_deref().map(str::trim);
        if let Some(url) = url {
            if url.len() > URL_BYTES_MAX {
                return Err(Unfit::Url(format!("The address has more than {URL_BYTES_MAX} bytes.")));
            }
            node.fetch
                .check(url)
                .map_err(|refusal| Unfit::Url(format!("Nobody is called there: {refusal}.")))?;
        }
        let topics = self.topics.as_deref().map(Topics::read).transpose();
        let topics = topics.map_err(|refusal: pattern::Refusal| refused(format!("{refusal}.")))?;
        let description = self.description.as_deref().map(str::trim);
        if description.is_some_and(|text| {
            text.chars().count() > DESCRIPTION_CHARS_MAX || text.chars().any(char::is_control)
        }) {
            let human = format!(
                "A description has at most {DESCRIPTION_CHARS_MAX} letters and no control characters."
            );
            return Err(refused(human).into());
        }
        Ok(WebhookChange {
            url: url.map(str::to_owned),
            topics,
            description: description.map(str::to_owned),
            active: self.active,
        })
    }
}

/// Makes an endpoint, with its secret, which is shown only now.
pub(crate) async fn create(node: &Node, app: AppId, wish: &Wish) -> Result<(Webhook, String), Unfit> {
    let wanted = wish.checked(node)?;
    let new = NewWebhook {
        id: random::id(),
        app,
        url: wanted.url.ok_or_else(|| Unfit::Url("The address is missing.".to_owned()))?,
        topics: wanted.topics.unwrap_or_else(Topics::all),
        description: wanted.description.unwrap_or_default(),
        active: wanted.active.unwrap_or(true),
    };
    let made = node.db.create_webhook(&new, now()).await?;
    let secret = revealed(node, &made);
    Ok((made, secret))
}

/// The newest secret of an endpoint as its owner is told it.
fn revealed(node: &Node, of: &Webhook) -> String {
    format!("whsec_{}", STANDARD.encode(message::secret(node, of, of.secrets.number)))
}

/// The endpoints of an app, the oldest first.
pub(crate) async fn list(node: &Node, app: AppId) -> Result<Vec<Webhook>, Failure> {
    Ok(node.db.webhooks(app).await?)
}

/// One endpoint.
pub(crate) async fn show(node: &Node, app: AppId, id: WebhookId) -> Result<Webhook, Failure> {
    node.db.webhook(app, id).await?.ok_or(Failure::Absent)
}

/// Changes an endpoint.
pub(crate) async fn change(
    node: &Node,
    (app, id): (AppId, WebhookId),
    wish: &Wish,
) -> Result<Webhook, Unfit> {
    let change = wish.checked(node)?;
    Ok(node.db.change_webhook((app, id), &change).await?)
}

/// Gives an endpoint another secret, which is shown only now; the one before signs for a day, too.
pub(crate) async fn rotate(node: &Node, app: AppId, id: WebhookId) -> Result<(Webhook, String), Failure> {
    let rotated = node.db.rotate_webhook(app, id, now()).await?;
    let secret = revealed(node, &rotated);
    Ok((rotated, secret))
}

/// Forgets an endpoint with all that waits for it.
pub(crate) async fn delete(node: &Node, app: AppId, id: WebhookId) -> Result<(), Failure> {
    Ok(node.db.delete_webhook(app, id).await?)
}

/// Sends a message of no event now, once, whether the endpoint is switched on or not; how it went.
pub(crate) async fn test(node: &Node, app: AppId, id: WebhookId) -> Result<Try, Failure> {
    let webhook = show(node, app, id).await?;
    let event: EventId = random::id();
    let human = "This is a test: somebody wanted to see whether messages arrive here.";
    let data = json!({ "webhook_id": webhook.id, "human": human });
    let body = message::message(TEST, now(), &data);
    let sent = message::send(node, &webhook, &event.to_string(), body).await;
    node.db.note_test(id, (event, TEST), &sent.tried).await?;
    Ok(sent.tried)
}

/// What is to be sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Again {
    /// One event, whatever it is about.
    Event(EventId),
    /// All events of the endpoint's topics that were written since then.
    Since(Millis),
}

/// Sends events to an endpoint again, or for the first time.
pub(crate) async fn replay(
    node: &Node,
    (app, id): (AppId, WebhookId),
    again: Again,
) -> Result<Replayed, Failure> {
    let replayed = match again {
        Again::Event(event) => node.db.replay_event((app, id), event, now()).await,
        Again::Since(since) => node.db.replay_since((app, id), since, now()).await,
    };
    match replayed {
        Err(DbError::Conflict(human)) => Err(Failure::Refused { conflict: true, human }),
        replayed => Ok(replayed?),
    }
}

/// How messages to an endpoint fared, the newest event first.
pub(crate) async fn deliveries(
    node: &Node,
    (app, id): (AppId, WebhookId),
    filter: &DeliveryFilter,
) -> Result<Vec<Delivery>, Failure> {
    show(node, app, id).await?;
    Ok(node.db.deliveries((app, id), filter).await?)
}
