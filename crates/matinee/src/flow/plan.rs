//! The plan of a file that is not uploaded: what would be made of it, and what that would cost.

use std::path::Path;

use matinee_core::id::{AppId, VideoId};
use matinee_core::job::retry::Class;
use matinee_core::media::layout::layout;
use matinee_core::plan::{self, Capabilities, Pipeline, Plan, Probe};
use matinee_io::ffmpeg::{self, Ffmpeg};
use tokio_util::sync::CancellationToken;

use super::coding::anywhere;
use super::fault::Fault;
use super::look::{Looked, look};
use super::{Failure, intake};
use crate::node::Node;

/// What would happen to a file.
pub(crate) struct Foreseen {
    pub(crate) probe: Probe,
    pub(crate) plan: Plan,
    /// Why browsers cannot play it as it is; `None` when they can.
    pub(crate) unfit: Option<String>,
    /// The pipeline leaves it as it is, because they can.
    pub(crate) as_is: bool,
}

/// Finds ffmpeg as the server would.
pub(crate) async fn programs(config: ffmpeg::Config) -> Result<Ffmpeg, Fault> {
    Ffmpeg::detect(config).await.map_err(|error| Fault::world(error.to_string()))
}

/// Plans a video of an app by a template; nothing is stored.
pub(crate) async fn foresee_video(
    node: &Node,
    (app, id): (AppId, VideoId),
    template: Planned<'_>,
) -> Result<Foreseen, Failure> {
    let video = node.db.video(app, id).await?.ok_or(Failure::Absent)?;
    let pipeline = match template {
        Planned::By(pipeline) => *pipeline,
        Planned::Named(name) => {
            let name = name.unwrap_or(&video.pipeline);
            let template = intake::usable(node, app, name).await?;
            let human = format!("There is no pipeline `{name}`.");
            let pipeline = template.ok_or(Failure::Refused { conflict: false, human })?.pipeline;
            // That is what encoding it again would be, which leaves nothing as it is.
            Pipeline { as_is: false, ..pipeline }
        }
    };
    let gone = || {
        let human = "The file that this video came from is not kept here.".to_owned();
        Failure::Refused { conflict: true, human }
    };
    let source = video.source.ok_or_else(gone)?;
    if node.store.size(source).await?.is_none() {
        return Err(gone());
    }
    let ffmpeg = node.ffmpeg.as_ref().map_err(|error| Failure::Again(error.to_string()))?;
    // Somebody waits, and others may ask at the same time.
    let _turn = node.planning.enter(app).await.ok_or(Failure::Busy)?;
    let again = |fault: Fault| Failure::Again(fault.problem.human);
    let path = node.object_path(source)?;
    let anywhere = anywhere(node).await.map_err(again)?;
    foresee(ffmpeg, &path, &pipeline, (&anywhere, &node.stop)).await.map_err(|fault| match fault.class {
        Class::World => again(fault),
        // Whatever a program has said that was ended.
        Class::Refusal | Class::Damage | Class::Crash if node.stop.is_cancelled() => again(fault),
        Class::Refusal | Class::Damage | Class::Crash => {
            Failure::Refused { conflict: false, human: fault.problem.human }
        }
    })
}

/// By what a video is planned.
pub(crate) enum Planned<'a> {
    /// By fields that nobody has written yet.
    By(Box<Pipeline>),
    /// By the newest version of this pipeline, or of the video's own.
    Named(Option<&'a str>),
}

/// Plans one file as a server with these capabilities would, until `stop` is cancelled; nothing is stored.
pub(crate) async fn foresee(
    ffmpeg: &Ffmpeg,
    path: &Path,
    pipeline: &Pipeline,
    (capabilities, stop): (&Capabilities, &CancellationToken),
) -> Result<Foreseen, Fault> {
    let Looked { probe, timeline, index } = look(ffmpeg, path, stop).await?;
    let plan = plan::plan(&probe, &timeline, pipeline, capabilities)?;
    let unfit = match index.as_ref().map(layout) {
        Some(Ok(_)) => None,
        Some(Err(unfit)) => Some(unfit.to_string()),
        None => Some("it is no MP4 with an index".to_owned()),
    };
    let as_is = pipeline.as_is && !pipeline.changes_pictures() && unfit.is_none();
    let plan = if as_is { plan.without_encoding() } else { plan };
    Ok(Foreseen { probe, plan, unfit, as_is })
}
