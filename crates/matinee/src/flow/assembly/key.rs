//! The keys by which assemblies of an app are signed, and its templates.

use matinee_core::assembly::{Refusal, Template, sign};
use matinee_core::id::{AppId, AssemblyKeyId};
use matinee_core::name::is_name;
use matinee_io::db::DbError;
pub(crate) use matinee_io::db::assembly::{AssemblyKey, AssemblyTemplate};
use matinee_io::random;
use serde_json::Value;

use super::{Unmade, meaning};
use crate::flow::{Failure, now};
use crate::node::Node;

/// Makes a key; with its secret, which is shown only now.
pub(crate) async fn create(node: &Node, app: AppId, name: &str) -> Result<(AssemblyKey, String), Failure> {
    let key = AssemblyKey { id: random::id(), app, name: name.to_owned(), created: now() };
    node.db.create_assembly_key(&key).await.map_err(said)?;
    let secret = sign::secret(&node.path_key, key.id);
    Ok((key, secret))
}

/// The keys of an app.
pub(crate) async fn list(node: &Node, app: AppId) -> Result<Vec<AssemblyKey>, Failure> {
    Ok(node.db.assembly_keys(app).await?)
}

/// Ends a key. What was begun by it goes on.
pub(crate) async fn delete(node: &Node, app: AppId, id: AssemblyKeyId) -> Result<(), Failure> {
    Ok(node.db.delete_assembly_key(app, id).await?)
}

/// Writes a template, and what it means.
pub(crate) async fn put(
    node: &Node,
    app: AppId,
    (name, body): (&str, Value),
) -> Result<AssemblyTemplate, Failure> {
    let wrong = |human: String| Failure::Refused { conflict: false, human };
    if !is_name(name) {
        return Err(wrong("The name of a template is as that of a pipeline.".to_owned()));
    }
    let template = Template::read(&body).map_err(|refusal| wrong(refusal.human))?;
    let (pipeline, meant) = match meaning::meant(node, app, &template.steps).await {
        Err(Unmade::Refused(Refusal { code, human })) => {
            return Err(wrong(format!("{human} ({})", code.word())));
        }
        Err(Unmade::Failed(failure)) => return Err(failure),
        Ok(meant) => meant,
    };
    let made = serde_json::to_value(meant).expect("because steps are plain values");
    let new = AssemblyTemplate { name: name.to_owned(), body, pipeline, made, created: now() };
    node.db.put_assembly_template(app, &new).await.map_err(said)?;
    Ok(new)
}

/// The templates of an app.
pub(crate) async fn templates(node: &Node, app: AppId) -> Result<Vec<AssemblyTemplate>, Failure> {
    Ok(node.db.assembly_templates(app).await?)
}

/// One template.
pub(crate) async fn template(node: &Node, app: AppId, name: &str) -> Result<AssemblyTemplate, Failure> {
    node.db.assembly_template(app, name).await?.ok_or(Failure::Absent)
}

/// Forgets a template.
pub(crate) async fn forget(node: &Node, app: AppId, name: &str) -> Result<(), Failure> {
    Ok(node.db.delete_assembly_template(app, name).await?)
}

fn said(error: DbError) -> Failure {
    if let DbError::Conflict(human) = error {
        return Failure::Refused { conflict: true, human };
    }
    error.into()
}
