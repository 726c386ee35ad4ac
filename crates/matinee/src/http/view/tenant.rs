//! Apps and collections as JSON.

use matinee_core::id::JobId;
use matinee_core::quota::{Quota, Usage, Wish};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time;
use crate::flow::app;
use crate::http::problem::{Code, Problem};

/// What an app or a collection may have; null is no limit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Limits {
    /// Bytes that are stored or reserved by open uploads.
    quota_bytes: Option<u64>,
    /// Open uploads.
    quota_open_uploads: Option<u64>,
}

/// What an app or a collection has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Used {
    /// Bytes of everything that is stored, until it is proven gone.
    stored_bytes: u64,
    /// Bytes that open uploads have reserved.
    reserved_bytes: u64,
    /// Open uploads.
    open_uploads: u64,
}

/// An app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct App {
    /// The app's id.
    id: String,
    /// Its name.
    name: String,
    #[serde(flatten)]
    limits: Limits,
    /// What it has; null in a list.
    used: Option<Used>,
    /// When it was made, as RFC 3339 text.
    created_at: String,
    /// Since when it is being deleted.
    deleting_since: Option<String>,
    /// While it is being deleted: so many things of it in stores and at hosts are not proven gone yet. Null in a list.
    pub(crate) left_outside: Option<u64>,
}

/// All apps, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppList {
    /// The apps.
    pub(crate) items: Vec<App>,
    /// Always null: there is one page.
    pub(crate) next: Option<String>,
}

/// A collection of an app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Collection {
    /// The collection's id.
    id: String,
    /// Its name.
    name: String,
    #[serde(flatten)]
    limits: Limits,
    /// What it has; null in a list.
    used: Option<Used>,
    /// When it was made, as RFC 3339 text.
    created_at: String,
    /// Since when it is being deleted.
    deleting_since: Option<String>,
}

/// The collections of an app, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CollectionList {
    /// The collections.
    pub(crate) items: Vec<Collection>,
    /// Always null: there is one page.
    pub(crate) next: Option<String>,
}

/// A deletion that has begun: nothing of it is shown or taken any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deletion {
    /// The job that empties it; see it in `/v1/jobs`.
    job_id: String,
}

/// The app or collection to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// Its name, unique among its like.
    pub(crate) name: String,
    /// Bytes that may be stored or reserved by open uploads; no limit when it is missing.
    quota_bytes: Option<u64>,
    /// Open uploads at the same time; no limit when it is missing.
    quota_open_uploads: Option<u64>,
}

/// What is to be changed; what is missing stays, and null takes a limit away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantChange {
    /// Another name.
    name: Option<String>,
    /// Bytes that may be stored or reserved by open uploads.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    quota_bytes: Wish,
    /// Open uploads at the same time.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    quota_open_uploads: Wish,
}

impl Limits {
    const fn of(quota: Quota) -> Self {
        Self { quota_bytes: quota.bytes, quota_open_uploads: quota.uploads }
    }
}

impl Used {
    const fn of(usage: Usage) -> Self {
        Self {
            stored_bytes: usage.stored_bytes,
            reserved_bytes: usage.reserved_bytes,
            open_uploads: usage.uploads,
        }
    }
}

impl App {
    /// What an administrator sees of an app.
    pub(crate) fn of(app: &app::App, usage: Option<Usage>) -> Self {
        Self {
            id: app.id.to_string(),
            name: app.name.clone(),
            limits: Limits::of(app.quota),
            used: usage.map(Used::of),
            created_at: time(app.created),
            deleting_since: app.deleting.map(time),
            left_outside: None,
        }
    }
}

impl Collection {
    /// What people of its app see of a collection.
    pub(crate) fn of(collection: &app::Collection, usage: Option<Usage>) -> Self {
        Self {
            id: collection.id.to_string(),
            name: collection.name.clone(),
            limits: Limits::of(collection.quota),
            used: usage.map(Used::of),
            created_at: time(collection.created),
            deleting_since: collection.deleting.map(time),
        }
    }
}

impl Deletion {
    /// The deletion that this job does.
    pub(crate) fn by(job: JobId) -> Self {
        Self { job_id: job.to_string() }
    }
}

impl NewTenant {
    /// Does it name a limit? That is for administrators.
    pub(crate) const fn limits(&self) -> bool {
        self.quota_bytes.is_some() || self.quota_open_uploads.is_some()
    }

    /// The quota, when the numbers can be.
    pub(crate) fn quota(&self) -> Result<Quota, Problem> {
        Ok(Quota {
            bytes: possible("quota_bytes", self.quota_bytes)?,
            uploads: possible("quota_open_uploads", self.quota_open_uploads)?,
        })
    }
}

impl TenantChange {
    /// Does it name a limit? That is for administrators.
    pub(crate) const fn limits(&self) -> bool {
        !matches!((self.quota_bytes, self.quota_open_uploads), (Wish::Stays, Wish::Stays))
    }

    /// The change, when name and numbers can be.
    pub(crate) fn read(&self) -> Result<app::Change, Problem> {
        possible("quota_bytes", self.quota_bytes.limit())?;
        possible("quota_open_uploads", self.quota_open_uploads.limit())?;
        Ok(app::Change {
            name: self.name.as_deref().map(name_of).transpose()?.map(str::to_owned),
            bytes: self.quota_bytes,
            uploads: self.quota_open_uploads,
        })
    }
}

/// A number that every part of the server can count to.
pub(crate) fn possible(name: &str, number: Option<u64>) -> Result<Option<u64>, Problem> {
    if number.is_some_and(|number| i64::try_from(number).is_err()) {
        return Err(Problem::new(Code::BadRequest, format!("`{name}` must be below 2^63.")));
    }
    Ok(number)
}

/// A name that can be shown in lists and typed on a command line.
pub(crate) fn name_of(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    let most = matinee_core::limits::NAME_CHARS_MAX;
    if name.is_empty() || name.chars().count() > most || name.chars().any(char::is_control) {
        let text = format!("`name` must have 1 to {most} characters, and no control characters.");
        return Err(Problem::new(Code::BadRequest, text));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_takes_a_limit_away_and_a_missing_one_stays() {
        let read = |json: &str| serde_json::from_str::<TenantChange>(json).unwrap().read().unwrap();
        assert_eq!(read("{}"), app::Change::default());
        assert_eq!(read(r#"{"quota_bytes":null}"#).bytes, Wish::Is(None));
        assert_eq!(read(r#"{"quota_bytes":5}"#).bytes, Wish::Is(Some(5)));
        assert!(possible("x", Some(u64::MAX)).is_err());
    }

    #[test]
    fn a_name_is_short_plain_text() {
        assert_eq!(name_of(" films ").ok(), Some("films"));
        for wrong in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(name_of(wrong).is_err(), "{wrong:?}");
        }
    }
}
