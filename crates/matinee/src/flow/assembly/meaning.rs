//! What the steps of an assembly mean: a pipeline of the app, and what is read out of its videos.

use matinee_core::assembly::steps::{self, Made, Output, Step};
use matinee_core::assembly::{Code, Params, Refusal, Template, merged};
use matinee_core::id::AppId;
use matinee_core::pipeline::Pipeline;
use matinee_core::{hash, limits, watermark};
use matinee_io::db::DbError;
use matinee_io::fetch::{FetchError, Get};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Unmade;
use crate::flow::{Failure, mark, now};
use crate::node::Node;

/// What steps mean, as a template keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Meant {
    pub(super) steps: Vec<Step>,
    pub(super) imports: Vec<(String, String)>,
    pub(super) uploads: bool,
}

/// What an assembly will do.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) pipeline: String,
    pub(super) steps: Vec<Step>,
    /// Files that are fetched, with the names of their steps.
    pub(super) imports: Vec<(String, String)>,
    pub(super) uploads: bool,
    pub(super) notify_url: Option<String>,
}

/// Finds out what the params ask for.
pub(super) async fn planned(node: &Node, app: AppId, params: &Params) -> Result<Planned, Unmade> {
    let stored = match &params.template {
        None => None,
        Some(name) => {
            let found = node.db.assembly_template(app, name).await?;
            let lacking = || Refusal::new(Code::NoTemplate, format!("There is no template `{name}`."));
            Some(found.ok_or_else(lacking)?)
        }
    };
    let template = stored.as_ref().map(|stored| Template::read(&stored.body)).transpose()?;
    let whole = merged(template.as_ref(), params.steps.as_ref())?;
    let own = params.steps.as_ref().is_some_and(|steps| !steps.is_empty());
    let (pipeline, meant) = match stored.filter(|_| !own) {
        Some(stored) => {
            let meant = serde_json::from_value(stored.made);
            (stored.pipeline, meant.map_err(|error| Failure::Never(error.to_string()))?)
        }
        None => meant(node, app, &whole).await?,
    };
    let Meant { steps, imports, uploads } = meant;
    let notify_url = params.notify_url.clone().or(template.and_then(|template| template.notify_url));
    Ok(Planned { pipeline, steps, imports, uploads, notify_url })
}

/// What steps mean, with the name of the pipeline of the app that makes it; it is written when there is none.
pub(super) async fn meant(
    node: &Node,
    app: AppId,
    whole: &Map<String, Value>,
) -> Result<(String, Meant), Unmade> {
    let Made { mut pipeline, mark_url, steps, imports, uploads } = steps::read(whole)?;
    for step in &steps {
        if let Output::Stored { store } = &step.output
            && node.config.store.iter().all(|known| known.name != *store)
        {
            let human =
                format!("The step `{}` names `{store}`, which is no store of this server.", step.name);
            return Err(Refusal::new(Code::BadSteps, human).into());
        }
    }
    if let (Some(url), Some(mark)) = (&mark_url, &mut pipeline.watermark) {
        mark.picture = watermark::text_of(&picture(node, url).await?);
    }
    pipeline.name = name_of(&pipeline);
    let known = node.db.newest_pipeline(app, &pipeline.name).await?;
    if known.is_none_or(|known| known.pipeline != pipeline || known.archived.is_some()) {
        write(node, app, &pipeline).await?;
    }
    Ok((pipeline.name, Meant { steps, imports, uploads }))
}

/// Equal steps are one pipeline.
fn name_of(pipeline: &Pipeline) -> String {
    let text = serde_json::to_vec(pipeline).expect("because a pipeline is made of plain values");
    format!("assembly-{}", hash::hex(&hash::of(&text)[..8]))
}

async fn write(node: &Node, app: AppId, pipeline: &Pipeline) -> Result<(), Unmade> {
    let refused = |human: String| Refusal::new(Code::BadSteps, format!("The steps cannot be done: {human}."));
    pipeline.check_own().map_err(|refusal| refused(refusal.to_string()))?;
    match mark::check(node, pipeline).await {
        Err(Failure::Refused { human, .. }) => return Err(refused(human).into()),
        checked => checked?,
    }
    match node.db.put_pipeline(app, pipeline, false, now()).await {
        Err(DbError::Conflict(human)) => Err(refused(human).into()),
        put => Ok(put.map(drop)?),
    }
}

/// The picture of a mark, fetched from where the steps say.
async fn picture(node: &Node, url: &str) -> Result<Vec<u8>, Unmade> {
    let refused =
        |human: String| Refusal::new(Code::BadSteps, format!("`watermark_url` gives no picture: {human}."));
    let unfetched = |error: FetchError| refused(error.to_string());
    let get = Get { url: url.to_owned(), ..Get::default() };
    let mut opened = node.fetch.open(&get).await.map_err(unfetched)?;
    let mut bytes = Vec::new();
    while let Some(more) = opened.body.next().await.map_err(unfetched)? {
        bytes.extend_from_slice(&more);
        if bytes.len() > limits::WATERMARK_BYTES_MAX {
            return Err(refused(format!("it has more than {} bytes", limits::WATERMARK_BYTES_MAX)).into());
        }
    }
    Ok(bytes)
}
