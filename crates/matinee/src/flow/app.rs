//! Apps and collections as administrators see them: made, listed, shown, changed, deleted.

use matinee_core::id::{AppId, CollectionId, JobId};
use matinee_core::quota::{Quota, Usage};
pub(crate) use matinee_io::db::app::{App, Change, Collection};
use matinee_io::db::{DbError, Erase};
use matinee_io::random;

use super::{Failure, intake, now};
use crate::node::Node;

/// Makes an app.
pub(crate) async fn create(node: &Node, name: &str, quota: Quota) -> Result<AppId, Failure> {
    let id = random::id();
    node.db.create_app(id, name, quota, now()).await.map_err(|error| taken(error, "app", name))?;
    Ok(id)
}

/// All apps, the oldest first.
pub(crate) async fn list(node: &Node) -> Result<Vec<App>, Failure> {
    Ok(node.db.apps().await?)
}

/// One app with what it has.
pub(crate) async fn show(node: &Node, id: AppId) -> Result<(App, Usage), Failure> {
    node.db.app(id).await?.ok_or(Failure::Absent)
}

/// How much of an app that is being deleted is not proven gone yet, in stores and at hosts.
pub(crate) async fn left_outside(node: &Node, app: &App) -> Result<Option<u64>, Failure> {
    if app.deleting.is_none() {
        return Ok(None);
    }
    Ok(Some(node.db.ledger_sums(app.id).await?.iter().map(|sum| sum.things).sum()))
}

/// The app with this id or name, for a command line.
pub(crate) async fn find(node: &Node, text: &str) -> Result<App, Failure> {
    let named = |app: &App| app.name == text || app.id.to_string() == text;
    list(node).await?.into_iter().find(named).ok_or(Failure::Absent)
}

/// Changes name and quota of an app; what is not named stays.
pub(crate) async fn change(node: &Node, id: AppId, change: &Change) -> Result<(App, Usage), Failure> {
    let name = change.name.as_deref().unwrap_or_default();
    if id == node.defaults.app && change.name.is_some() {
        return Err(refused("The first app keeps its name: a start of the server looks for it."));
    }
    node.db.update_app(id, change).await.map_err(|error| taken(error, "app", name))?;
    show(node, id).await
}

/// Deletes an app with all that is in it: closed now, emptied by the job that is named.
pub(crate) async fn delete(node: &Node, by: AppId, id: AppId) -> Result<JobId, Failure> {
    if id == node.defaults.app {
        return Err(refused("The first app cannot be deleted: those who administer the server work in it."));
    }
    let job = node.db.close(Erase { app: id, collection: None, by, job: random::id() }, now()).await?;
    node.shelf.clear();
    Ok(job)
}

/// Makes a collection.
pub(crate) async fn create_collection(
    node: &Node,
    app: AppId,
    name: &str,
    quota: Quota,
) -> Result<CollectionId, Failure> {
    let id = random::id();
    let made = node.db.create_collection((id, app), name, quota, now()).await;
    made.map_err(|error| taken(error, "collection", name))?;
    Ok(id)
}

/// The collections of an app, the oldest first.
pub(crate) async fn collections(node: &Node, app: AppId) -> Result<Vec<Collection>, Failure> {
    Ok(node.db.collections(app).await?)
}

/// One collection with what it has.
pub(crate) async fn collection(
    node: &Node,
    app: AppId,
    id: CollectionId,
) -> Result<(Collection, Usage), Failure> {
    node.db.collection(app, id).await?.ok_or(Failure::Absent)
}

/// The living collection of an app with this id or name.
pub(crate) async fn find_collection(node: &Node, app: AppId, text: &str) -> Result<CollectionId, Failure> {
    intake::collection(node, app, Some(text)).await
}

/// Changes name and quota of a collection; what is not named stays.
pub(crate) async fn change_collection(
    node: &Node,
    (app, id): (AppId, CollectionId),
    change: &Change,
) -> Result<(Collection, Usage), Failure> {
    if change.name.is_some() && id == node.first_collection(app) {
        return Err(refused("The first collection of an app keeps its name."));
    }
    let name = change.name.as_deref().unwrap_or_default();
    let changed = node.db.update_collection((app, id), change).await;
    changed.map_err(|error| taken(error, "collection", name))?;
    collection(node, app, id).await
}

/// Deletes a collection with all that is in it: closed now, emptied by the job that is named.
pub(crate) async fn delete_collection(node: &Node, app: AppId, id: CollectionId) -> Result<JobId, Failure> {
    if id == node.first_collection(app) {
        return Err(refused(
            "The first collection of an app cannot be deleted: uploads that name none go there. Delete the app, or its videos.",
        ));
    }
    let job = node.db.close(Erase { app, collection: Some(id), by: app, job: random::id() }, now()).await?;
    node.shelf.clear();
    Ok(job)
}

fn refused(human: &str) -> Failure {
    Failure::Refused { conflict: true, human: human.to_owned() }
}

fn taken(error: DbError, what: &str, name: &str) -> Failure {
    match error {
        DbError::Taken(_) => {
            let human =
                format!("There is a {what} with the name `{name}` already, or one that is being deleted.");
            Failure::Refused { conflict: true, human }
        }
        DbError::Again(_)
        | DbError::Never(_)
        | DbError::Absent
        | DbError::Conflict(_)
        | DbError::Refused(_)
        | DbError::LeaseLost => error.into(),
    }
}
