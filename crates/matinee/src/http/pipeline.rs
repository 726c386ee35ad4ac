//! `/v1/pipelines`: the templates by which videos are made, with their versions.

use axum::Json;
use axum::extract::{Path, Request, State};
use http::{StatusCode, header};
use matinee_core::access::Scope;
use matinee_core::id::AppId;
use matinee_core::{limits, pipeline};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Shared;
use super::problem::{Code, Problem};
use super::request::Caller;
use super::view::{Problems, sent_up_to, time};
use crate::flow::pipeline::{self as flow, Listed, Origin, Shown};
use crate::node::Node;

/// What is made from a source. What is missing has its default, and what is not known is refused.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Template {
    /// `default` (quick) or `high` (slower, smaller files).
    quality: String,
    /// Short sides of the pictures in pixels; empty means all steps of the ladder.
    sizes: Vec<u32>,
    /// A source that browsers can play stays as it is, and nothing is encoded of it; missing when it is encoded.
    as_is: bool,
    /// The shape that pictures are cut to, such as `4:3`; missing when they keep theirs.
    crop: Option<String>,
    /// A picture that is burnt into all sizes.
    watermark: Option<Watermark>,
    /// A size is made only when it looks better than the next smaller one by so many thousandths of SSIM.
    gate_permille: Option<u16>,
    /// Codecs of the pictures: `h264`, and what is made in the background, `vp9` and `av1`.
    codecs: Vec<&'static str>,
    /// What a source of high dynamic range becomes: `map` (pictures for every screen) or `keep` (and, in the background,
    /// pictures that keep it).
    hdr: &'static str,
    /// The codecs in which it is kept: `av1`, `hevc`, or both.
    hdr_codecs: Vec<&'static str>,
    /// Where the poster is taken: `10%` of the length, or `12.5s` from the beginning.
    poster: String,
    /// The longest side of the poster in pixels.
    poster_side: u32,
    /// Sound of six channels and more is made in 5.1, too, besides stereo.
    surround: bool,
    /// Every sound is brought to this loudness in LUFS; missing when it is left as it is.
    loudness_lufs: Option<i8>,
    /// Most frames that a source may give.
    frames_max: u64,
    /// A source that cannot be decoded to its last picture is refused; else what is damaged is concealed, and said.
    strict: bool,
    /// H.264 may be encoded in hardware, by machines whose encoders passed a trial.
    hardware: bool,
    /// Jobs of a higher priority go first, from -100 to 100.
    priority: i32,
    /// Hosts to which the video is published when it is ready; missing when there is none.
    publish: Vec<String>,
    /// What happens besides; missing when nothing does.
    step: Vec<Step>,
}

/// An address that is called with what is known of a video, signed by Standard Webhooks 1.0.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Step {
    /// What it is called, once in a pipeline.
    name: String,
    /// `probe` (the source was looked at) or `ready`, which is meant when it is missing.
    after: &'static str,
    /// The address; a public one, unless the server allows its host.
    call: String,
}

/// A picture that is burnt into every picture of a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Watermark {
    /// A PNG picture as `data:image/png;base64,`; only in the answer about one pipeline, and only of its newest version.
    picture: Option<String>,
    /// Its width in hundredths of the video's.
    width_percent: u8,
    /// How much it covers what is below, 1 to 100.
    opacity_percent: u8,
    /// `top-left`, `top-right`, `bottom-left`, `bottom-right` or `center`.
    corner: String,
    /// Pixels of the largest size to the right of its place; negative to the left.
    x: i32,
    /// Pixels of the largest size below its place; negative above.
    y: i32,
    /// The largest size is kept without it, too, as a file for the owner; missing when it is not.
    keep_unmarked: bool,
}

/// A pipeline as its name is understood now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pipeline {
    /// What an upload names.
    name: String,
    /// The number of its newest version; null where there are no versions.
    version: Option<u32>,
    /// `file` (the server's configuration, which cannot be changed here), `app` or `built_in`.
    origin: &'static str,
    /// When the newest version was written.
    created_at: Option<String>,
    /// Since when no new video is made by it.
    archived_at: Option<String>,
    /// What is made.
    #[serde(flatten)]
    #[schema(inline, value_type = Template)]
    template: Map<String, Value>,
}

/// One version of a pipeline; it never changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PipelineVersion {
    /// Its number.
    version: u32,
    /// When it was written.
    created_at: String,
    /// What is made.
    #[serde(flatten)]
    #[schema(inline, value_type = Template)]
    template: Map<String, Value>,
}

/// A pipeline with all of its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PipelineWithVersions {
    /// What its name means now.
    #[serde(flatten)]
    #[schema(inline)]
    newest: Pipeline,
    /// Its versions, the newest first; none for those of the configuration file.
    versions: Vec<PipelineVersion>,
    /// By what its calls are signed; only for administrators, and only when it calls somebody.
    secret: Option<String>,
}

/// All pipelines, the default one first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PipelineList {
    items: Vec<Pipeline>,
}

/// The fields of a pipeline but its name.
fn template(pipeline: &pipeline::Pipeline) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(pipeline) else {
        unreachable!("because a pipeline is made of named plain values")
    };
    fields.remove("name");
    fields
}

/// The same without the picture of its watermark, which is many times longer than all else.
fn brief(pipeline: &pipeline::Pipeline) -> Map<String, Value> {
    let mut fields = template(pipeline);
    if let Some(Value::Object(watermark)) = fields.get_mut("watermark") {
        watermark.remove("picture");
    }
    fields
}

impl Pipeline {
    pub(crate) fn of(listed: &Listed) -> Self {
        Self {
            name: listed.pipeline.name.clone(),
            version: listed.version,
            origin: match listed.origin {
                Origin::File => "file",
                Origin::App => "app",
                Origin::BuiltIn => "built_in",
            },
            created_at: listed.created.map(time),
            archived_at: listed.archived.map(time),
            template: brief(&listed.pipeline),
        }
    }

    /// The same with the picture of its watermark.
    pub(crate) fn whole(listed: &Listed) -> Self {
        Self { template: template(&listed.pipeline), ..Self::of(listed) }
    }
}

impl PipelineWithVersions {
    pub(crate) fn of(shown: &Shown) -> Self {
        let versions = shown.versions.iter().map(|one| PipelineVersion {
            version: one.version,
            created_at: time(one.created),
            template: brief(&one.pipeline),
        });
        Self {
            newest: Pipeline::whole(&shown.newest),
            versions: versions.collect(),
            secret: shown.secret.clone(),
        }
    }
}

/// Who sends or watches must see which pipelines there are.
fn reader(caller: &Caller) -> Result<AppId, Problem> {
    caller.permit(Scope::UploadWrite).or_else(|_| caller.permit(Scope::VideoRead))
}

/// Lists the pipelines by which the caller's app can make videos.
#[utoipa::path(get, path = "/v1/pipelines", operation_id = "pipeline_list", tag = "videos", responses((status = 200, body = PipelineList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<PipelineList>, Problem> {
    let all = flow::list(&node, reader(&caller)?).await?;
    Ok(Json(PipelineList { items: all.iter().map(Pipeline::of).collect() }))
}

/// Shows a pipeline with its versions, also one that is archived.
#[utoipa::path(get, path = "/v1/pipelines/{name}", operation_id = "pipeline_show", tag = "videos", params(("name" = String, Path, description = "The name of the pipeline.")), responses((status = 200, body = PipelineWithVersions), Problems))]
pub(crate) async fn show(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<PipelineWithVersions>, Problem> {
    let app = reader(&caller)?;
    let shown = match caller.permit(Scope::Admin) {
        Ok(_) => flow::show_with_secret(&node, app, &name).await?,
        Err(_) => flow::show(&node, app, &name).await?,
    };
    Ok(Json(PipelineWithVersions::of(&shown)))
}

/// Writes the next version of a pipeline; the same content again makes none. Those of the configuration file are refused, and with `If-None-Match: *` all that are in use.
#[utoipa::path(put, path = "/v1/pipelines/{name}", operation_id = "pipeline_put", tag = "videos", params(("name" = String, Path, description = "The name of the pipeline.")), request_body = Template, responses((status = 200, body = Pipeline), (status = 201, body = Pipeline, description = "There is a new version."), Problems))]
pub(crate) async fn put(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Pipeline>), Problem> {
    let app = caller.permit(Scope::Admin)?;
    let must_be_new = request.headers().get(header::IF_NONE_MATCH).is_some_and(|tags| tags == "*");
    let fields = sent_up_to(request, limits::PIPELINE_BYTES_MAX).await?;
    let pipeline = pipeline::Pipeline::read(&name, fields)
        .map_err(|refusal| Problem::new(Code::BadRequest, refusal.to_string()))?;
    let put = flow::put(&node, app, &pipeline, must_be_new).await?.ok_or_else(|| {
        Problem::new(Code::PipelineExists, format!("There is a pipeline `{name}` already."))
    })?;
    let status = if put.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Pipeline::whole(&put.listed))))
}

/// Archives a pipeline: no new video is made by it, and those that were keep their copy.
#[utoipa::path(delete, path = "/v1/pipelines/{name}", operation_id = "pipeline_archive", tag = "videos", params(("name" = String, Path, description = "The name of the pipeline.")), responses((status = 204, description = "It is archived."), Problems))]
pub(crate) async fn archive(
    State(node): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let app = caller.permit(Scope::Admin)?;
    flow::archive(&node, app, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The pipeline that somebody names, or the default one; it must be one by which the app can make videos.
pub(super) async fn named(node: &Node, app: AppId, asked: Option<&str>) -> Result<String, Problem> {
    let asked = asked.unwrap_or(pipeline::DEFAULT);
    if flow::is_usable(node, app, asked).await? {
        return Ok(asked.to_owned());
    }
    let text =
        format!("There is no such pipeline; this server has {}.", flow::names(node, app).await?.join(", "));
    Err(Problem::new(Code::BadRequest, text)
        .fix("Name one of them, or make it with PUT /v1/pipelines/{name}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::PartialSchema as _;

    #[test]
    fn the_description_names_every_field_of_a_pipeline() {
        let schema = serde_json::to_value(Template::schema()).unwrap();
        let described: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        // What is missing of the default one has no value there.
        let fields = pipeline::Pipeline::FIELDS.iter().filter(|field| **field != "name");
        let mut known: Vec<String> = fields.map(|field| (*field).to_owned()).collect();
        known.sort_unstable();
        let mut described: Vec<String> = described.into_iter().cloned().collect();
        described.sort_unstable();
        assert_eq!(described, known);
    }
}
