//! `GET /v1/pipelines`: the templates by which videos of this server can be encoded.

use axum::Json;
use axum::extract::State;
use matinee_core::access::Scope;
use matinee_core::codec::Codec;
use matinee_core::pipeline::{Hdr, Quality};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::Problems;

/// A template of what is made from a source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pipeline {
    /// What an upload names.
    name: String,
    /// `default` (quick) or `high` (slower, smaller files).
    quality: &'static str,
    /// Short sides of the pictures in pixels; empty means all steps of the ladder.
    sizes: Vec<u32>,
    /// The shape that pictures are cut to, such as `4:3`.
    crop: Option<String>,
    /// A picture is burnt into all sizes.
    watermark: bool,
    /// A size is made only when it looks better than the next smaller one by so many thousandths of SSIM.
    gate_permille: Option<u16>,
    /// Codecs of the pictures: `h264`, and what is made in the background, `vp9` and `av1`.
    codecs: Vec<&'static str>,
    /// What a source of high dynamic range becomes: `map` (pictures for every screen) or `keep` (and AV1 in the
    /// background that keeps it).
    hdr: &'static str,
    /// Where the poster is taken: `10%` of the length, or `12.5s` from the beginning.
    poster: String,
    /// The longest side of the poster in pixels.
    poster_side: u32,
    /// Sound of six channels and more is made in 5.1, too, besides stereo.
    surround: bool,
    /// Every sound is brought to this loudness in LUFS.
    loudness_lufs: Option<i8>,
    /// Jobs of a higher priority go first.
    priority: i32,
}

/// H.264 is made without being named, too.
fn codecs(named: &[Codec]) -> Vec<&'static str> {
    let others = named.iter().filter(|codec| **codec != Codec::H264);
    [Codec::H264].iter().chain(others).map(|codec| codec.name()).collect()
}

/// All pipelines, the default one first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PipelineList {
    items: Vec<Pipeline>,
}

/// Lists the pipelines of this server; they are written in its configuration.
#[utoipa::path(get, path = "/v1/pipelines", operation_id = "pipeline_list", tag = "videos", responses((status = 200, body = PipelineList), Problems))]
pub(crate) async fn list(State(node): State<Shared>, caller: Caller) -> Result<Json<PipelineList>, Problem> {
    caller.permit(Scope::UploadWrite).or_else(|_| caller.permit(Scope::VideoRead))?;
    let items = node.config.pipelines().into_iter().map(|one| Pipeline {
        name: one.name,
        quality: match one.quality {
            Quality::Default => "default",
            Quality::High => "high",
        },
        sizes: one.sizes,
        crop: one.crop.map(String::from),
        watermark: one.watermark.is_some(),
        gate_permille: one.gate_permille,
        codecs: codecs(&one.codecs),
        hdr: match one.hdr {
            Hdr::Map => "map",
            Hdr::Keep => "keep",
        },
        poster: one.poster.into(),
        poster_side: one.poster_side,
        surround: one.surround,
        loudness_lufs: one.loudness_lufs,
        priority: one.priority,
    });
    Ok(Json(PipelineList { items: items.collect() }))
}
