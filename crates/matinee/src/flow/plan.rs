//! The plan of a file that is not uploaded: what would be made of it, and what that would cost.

use std::path::Path;

use matinee_core::media::layout::layout;
use matinee_core::plan::{self, Capabilities, Pipeline, Plan, Probe};
use matinee_io::ffmpeg::{self, Ffmpeg};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::look::{Looked, look};

/// What would happen to a file.
pub(crate) struct Foreseen {
    pub(crate) probe: Probe,
    pub(crate) plan: Plan,
    /// Why browsers cannot play it as it is; `None` when they can.
    pub(crate) unfit: Option<String>,
}

/// Finds ffmpeg as the server would.
pub(crate) async fn programs(config: ffmpeg::Config) -> Result<Ffmpeg, Fault> {
    Ffmpeg::detect(config).await.map_err(|error| Fault::world(error.to_string()))
}

/// Plans one file as a server with these capabilities would; nothing is stored.
pub(crate) async fn foresee(
    ffmpeg: &Ffmpeg,
    path: &Path,
    pipeline: &Pipeline,
    capabilities: &Capabilities,
) -> Result<Foreseen, Fault> {
    let Looked { probe, timeline, index } = look(ffmpeg, path, &CancellationToken::new()).await?;
    let plan = plan::plan(&probe, &timeline, pipeline, capabilities)?;
    let unfit = match index.as_ref().map(layout) {
        Some(Ok(_)) => None,
        Some(Err(unfit)) => Some(unfit.to_string()),
        None => Some("it is no MP4 with an index".to_owned()),
    };
    Ok(Foreseen { probe, plan, unfit })
}
