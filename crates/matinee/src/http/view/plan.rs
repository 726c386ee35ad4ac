//! What would be made of a video, as JSON.

use matinee_core::plan::Note;
use matinee_core::price::Prices;
use serde::Serialize;
use utoipa::ToSchema;

use super::time::seconds;
use crate::flow::plan::Foreseen;

/// What would be made of a video, and what that would cost; nothing of it is done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
    /// The length in seconds.
    duration: f64,
    /// What would be made, the best picture first.
    renditions: Vec<PlannedRendition>,
    /// In how many pieces the picture would be encoded.
    chunks: usize,
    /// Why browsers cannot play the source as it is; null when they can.
    unfit: Option<String>,
    /// It stays as it is: browsers can play it, and the pipeline wants no more. Encoding it again leaves nothing as it is.
    as_is: bool,
    /// What was noticed in the source, in sentences.
    notes: Vec<String>,
    /// Seconds of one core.
    cpu_s: f64,
    /// Bytes of memory for each piece that is encoded at the same time.
    memory_bytes: u64,
    /// Bytes of all renditions, at most.
    output_bytes: u64,
    /// What that costs by the prices of the server's configuration; null when there are none.
    cost: Option<Cost>,
}

/// One thing that would be made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedRendition {
    /// Its name in addresses, for example `h264-720`.
    id: String,
    /// `video` or `audio`.
    medium: &'static str,
    /// The width in pixels.
    width: Option<u32>,
    /// The height in pixels.
    height: Option<u32>,
    /// The language of a sound, as a tag such as `en`.
    language: Option<String>,
    /// How many channels a sound has.
    channels: Option<u32>,
    /// Thousands of bits per second, at most.
    max_kbps: u32,
}

/// What something costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cost {
    /// The word of the currency.
    currency: String,
    /// The encoding, once; null when a core costs nothing.
    encode: Option<f64>,
    /// What is stored besides the source, each month; null when storage costs nothing.
    month: Option<f64>,
}

impl Cost {
    /// Of a plan, by these prices.
    pub(crate) fn of(foreseen: &Foreseen, prices: &Prices) -> Option<Self> {
        let cost = prices.of(&foreseen.plan.estimate)?;
        Some(Self { currency: prices.currency.clone(), encode: cost.encode, month: cost.month })
    }
}

impl Plan {
    /// What a person sees of a plan.
    pub(crate) fn of(foreseen: &Foreseen, prices: &Prices) -> Self {
        let plan = &foreseen.plan;
        let pictures = plan.video.iter().flat_map(|video| &video.renditions).map(|one| PlannedRendition {
            id: one.id.clone(),
            medium: "video",
            width: Some(one.width),
            height: Some(one.height),
            language: None,
            channels: None,
            max_kbps: one.max_kbps,
        });
        let sounds = plan.audio.iter().map(|one| PlannedRendition {
            id: one.id.clone(),
            medium: "audio",
            width: None,
            height: None,
            language: Some(one.language.clone()).filter(|language| !language.is_empty()),
            channels: Some(one.channels),
            max_kbps: one.kbps,
        });
        Self {
            duration: seconds(u64::try_from(plan.duration_us / 1_000).unwrap_or_default()),
            renditions: pictures.chain(sounds).collect(),
            chunks: plan.video.as_ref().map_or(0, |video| video.chunks.len()),
            unfit: foreseen.unfit.clone(),
            as_is: foreseen.as_is,
            notes: plan.notes.iter().map(|note| note_words(*note)).collect(),
            cpu_s: seconds(plan.estimate.cpu_ms + plan.estimate.background_cpu_ms),
            memory_bytes: plan.estimate.memory_bytes,
            output_bytes: plan.estimate.output_bytes,
            cost: Cost::of(foreseen, prices),
        }
    }
}

/// What was noticed in a source, in words.
pub(crate) fn note_words(note: Note) -> String {
    match note {
        Note::Gap { us } => format!("the picture stops for {} s in the middle", us / 1_000_000),
        Note::ShorterThanHeader => "the file ends before its header says".to_owned(),
        Note::VariableRate => "frames are not evenly spaced; they are put on an even grid".to_owned(),
        Note::PictureSubtitles { stream } => {
            format!("subtitles {} are pictures, which cannot be converted to text", stream + 1)
        }
    }
}
