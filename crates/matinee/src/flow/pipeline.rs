//! Pipelines as their users see them: those of the configuration file, those of the app, and what is built in.
//!
//! A name means what the configuration file says of it; only what is not there is the app's to write. So the operator
//! has the last word, and an app that wants other videos than everybody takes another name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use matinee_core::id::AppId;
use matinee_core::pipeline::{self, Pipeline, Template};
use matinee_core::step;
use matinee_core::time::Millis;
use matinee_io::db::{DbError, Version};

use super::{Failure, intake, mark, now};
use crate::node::Node;

/// Where a pipeline comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The configuration file; nobody but the operator changes it.
    File,
    /// Somebody of the app wrote it.
    App,
    /// The program: it is what `default` means as long as nobody says otherwise.
    BuiltIn,
}

/// A pipeline as it is listed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) origin: Origin,
    pub(crate) pipeline: Pipeline,
    /// Its newest version, where it has versions.
    pub(crate) version: Option<u32>,
    pub(crate) created: Option<Millis>,
    pub(crate) archived: Option<Millis>,
}

impl Listed {
    const fn fixed(origin: Origin, pipeline: Pipeline) -> Self {
        Self { origin, pipeline, version: None, created: None, archived: None }
    }

    fn of(version: &Version) -> Self {
        Self {
            origin: Origin::App,
            pipeline: version.pipeline.clone(),
            version: Some(version.version),
            created: Some(version.created),
            archived: version.archived,
        }
    }
}

/// A pipeline with all of its versions, the newest first.
pub(crate) struct Shown {
    pub(crate) newest: Listed,
    pub(crate) versions: Vec<Version>,
    /// By what its calls are signed, for who may know it.
    pub(crate) secret: Option<String>,
}

/// What was written.
pub(crate) struct Put {
    pub(crate) listed: Listed,
    /// There was no such version before.
    pub(crate) new: bool,
}

fn in_file(node: &Node, name: &str) -> Option<Pipeline> {
    node.config.pipeline.iter().find(|known| known.name == name).cloned()
}

/// All pipelines by which an app can make videos, the default one first.
pub(crate) async fn list(node: &Node, app: AppId) -> Result<Vec<Listed>, Failure> {
    let own = node.db.pipelines(app).await?;
    let own = own.iter().filter(|own| in_file(node, &own.pipeline.name).is_none()).map(Listed::of);
    let file = node.config.pipeline.iter().cloned().map(|one| Listed::fixed(Origin::File, one));
    let mut all: Vec<Listed> = file.chain(own).collect();
    if all.iter().all(|known| known.pipeline.name != pipeline::DEFAULT) {
        all.push(Listed::fixed(Origin::BuiltIn, node.default_pipeline()));
    }
    all.sort_by_key(|known| (known.pipeline.name != pipeline::DEFAULT, known.pipeline.name.clone()));
    Ok(all)
}

/// The names of all pipelines by which an app can make videos, the default one first.
pub(crate) async fn names(node: &Node, app: AppId) -> Result<Vec<String>, Failure> {
    let own = node.db.pipeline_names(app).await?;
    let file = node.config.pipeline.iter().map(|one| one.name.clone());
    let mut all: Vec<String> = file.chain(own).chain([pipeline::DEFAULT.to_owned()]).collect();
    all.sort_by_key(|name| (name != pipeline::DEFAULT, name.clone()));
    all.dedup();
    Ok(all)
}

/// One pipeline, also one that is archived.
pub(crate) async fn show(node: &Node, app: AppId, name: &str) -> Result<Shown, Failure> {
    if let Some(fixed) = in_file(node, name) {
        return Ok(Shown { newest: Listed::fixed(Origin::File, fixed), versions: Vec::new(), secret: None });
    }
    let versions = node.db.pipeline_versions(app, name).await?;
    let newest = node.db.newest_pipeline(app, name).await?;
    // An app that archives its own default one gets back what is built in.
    let newest = newest.filter(|newest| newest.archived.is_none() || name != pipeline::DEFAULT);
    let newest = match &newest {
        Some(newest) => Listed::of(newest),
        None if name == pipeline::DEFAULT => Listed::fixed(Origin::BuiltIn, node.default_pipeline()),
        None => return Err(Failure::Absent),
    };
    Ok(Shown { newest, versions, secret: None })
}

/// The same for an administrator, who also is told by what its calls are signed.
pub(crate) async fn show_with_secret(node: &Node, app: AppId, name: &str) -> Result<Shown, Failure> {
    let shown = show(node, app, name).await?;
    let calls = !shown.newest.pipeline.steps.is_empty();
    let secret = || format!("whsec_{}", STANDARD.encode(step::secret(&node.path_key, app)));
    Ok(Shown { secret: calls.then(secret), ..shown })
}

/// Can an app make videos by the pipeline of this name?
pub(crate) async fn is_usable(node: &Node, app: AppId, name: &str) -> Result<bool, Failure> {
    Ok(intake::usable(node, app, name).await?.is_some())
}

/// Makes sure that an app can make videos by the pipeline of this name.
pub(crate) async fn usable(node: &Node, app: AppId, name: &str) -> Result<(), Failure> {
    if is_usable(node, app, name).await? {
        return Ok(());
    }
    let human = format!("there is no pipeline `{name}`; `matinee pipeline ls` lists what there is");
    Err(Failure::Refused { conflict: false, human })
}

/// What a name means for an app now, or meant in an earlier version.
pub(crate) async fn template(
    node: &Node,
    app: AppId,
    (name, version): (&str, Option<u32>),
) -> Result<Template, Failure> {
    let found = match version {
        None => intake::usable(node, app, name).await?,
        Some(_) if in_file(node, name).is_some() => {
            let human = format!("the pipeline `{name}` is the configuration file's, which has no versions");
            return Err(Failure::Refused { conflict: false, human });
        }
        Some(version) => {
            let found = node.db.pipeline_version(app, name, version).await?;
            found.map(|one| Template { version: Some(one.version), pipeline: one.pipeline })
        }
    };
    if let Some(found) = found {
        return Ok(found);
    }
    let known = list(node, app).await?;
    let known: Vec<&str> = known.iter().map(|known| known.pipeline.name.as_str()).collect();
    let version = version.map(|version| format!(" of version {version}")).unwrap_or_default();
    let human = format!("there is no pipeline `{name}`{version}. Known here: {}.", known.join(", "));
    Err(Failure::Refused { conflict: false, human })
}

/// Makes sure that the picture of a watermark can be decoded, before it is written.
pub(crate) async fn check(node: &Node, pipeline: &Pipeline) -> Result<(), Failure> {
    pipeline
        .check_own()
        .map_err(|refusal| Failure::Refused { conflict: false, human: refusal.to_string() })?;
    mark::check(node, pipeline).await
}

/// Writes the next version of a pipeline of an app; `None` when it must be new, and there is one of its name.
pub(crate) async fn put(
    node: &Node,
    app: AppId,
    pipeline: &Pipeline,
    must_be_new: bool,
) -> Result<Option<Put>, Failure> {
    writable(node, &pipeline.name)?;
    check(node, pipeline).await?;
    let (version, new) = match node.db.put_pipeline(app, pipeline, must_be_new, now()).await {
        Err(DbError::Taken(_)) => return Ok(None),
        Err(DbError::Conflict(human)) => return Err(Failure::Refused { conflict: true, human }),
        put => put?,
    };
    Ok(Some(Put { listed: Listed::of(&version), new }))
}

/// Makes sure that the pictures which the configuration file names can be decoded; the world's faults wait.
pub(crate) async fn check_file(node: &Node) -> Result<(), (String, String)> {
    for pipeline in &node.config.pipeline {
        match mark::check(node, pipeline).await {
            Err(Failure::Refused { human, .. }) => return Err((pipeline.name.clone(), human)),
            Err(failure) => {
                tracing::warn!(%failure, pipeline = pipeline.name, "its watermark could not be looked at");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// No new video is made by a pipeline of an app; those that were keep their copy.
pub(crate) async fn archive(node: &Node, app: AppId, name: &str) -> Result<(), Failure> {
    writable(node, name)?;
    Ok(node.db.archive_pipeline(app, name, now()).await?)
}

/// What the configuration file names is not the app's to change.
fn writable(node: &Node, name: &str) -> Result<(), Failure> {
    if in_file(node, name).is_none() {
        return Ok(());
    }
    let human = format!(
        "The pipeline `{name}` is written in the server's configuration file and can be changed only there; take another name."
    );
    Err(Failure::Refused { conflict: true, human })
}
