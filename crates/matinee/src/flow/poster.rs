//! The poster job: one still picture, the most typical of some, or the first one; of sound its cover, or a drawing of it.

use matinee_core::image;
use matinee_core::ledger;
use matinee_core::plan::argv::{self, Film};
use matinee_core::plan::{Poster, Subject, Video};
use matinee_core::storyboard::within_side;

use super::coding::{Planned, encode, keep_file, planned};
use super::fault::Fault;
use super::lease::Hold;
use super::scratch::Scratch;
use super::{mark, now};
use crate::node::Node;

const NAME: &str = "poster.jpg";

/// Makes, verifies and publishes the poster.
pub(crate) async fn perform(node: &Node, hold: &Hold) -> Result<(), Fault> {
    let planned = planned(node, hold).await?;
    let poster = planned.plan.images.poster.ok_or_else(|| Fault::unverified("the plan has no poster"))?;
    let scratch = Scratch::open(node, &hold.lease)?;
    mark::lay(node, hold.app, &planned.plan, &scratch).await?;
    let work = Work { node, hold, planned: &planned, scratch: &scratch };
    let size = match (&planned.plan.video, poster.of) {
        (Some(video), _) => work.picture(video, poster).await?,
        (None, Subject::Cover) => match work.cover().await {
            Ok(size) => size,
            Err(fault) if hold.stop.is_cancelled() => return Err(fault),
            Err(fault) => {
                tracing::info!(video = %planned.video.id, %fault, "a cover cannot be read");
                work.sound().await?
            }
        },
        (None, Subject::Picture | Subject::Sound) => work.sound().await?,
    };
    tracing::debug!(width = size.0, height = size.1, "a poster was made");
    let stored = keep_file(node, hold, ledger::Kind::Poster, &scratch.file(NAME)).await?;
    node.db.publish_poster(&hold.lease, stored, now()).await?;
    // A player that asks now is shown it.
    node.shelf.forget(planned.video.id);
    Ok(())
}

/// What one attempt works with.
struct Work<'a> {
    node: &'a Node,
    hold: &'a Hold,
    planned: &'a Planned,
    scratch: &'a Scratch,
}

impl Work<'_> {
    async fn picture(&self, video: &Video, poster: Poster) -> Result<(u16, u16), Fault> {
        let input = self.node.input_text(self.planned.input)?;
        let film = Film { input: &input, container: self.planned.plan.container, raw: Some(video) };
        let top = video.renditions.first().map_or((2, 2), |top| (top.width, top.height));
        let size = within_side(top, poster.side_max);
        self.run(argv::poster(film, poster.at_us, size, NAME)).await?;
        if !self.scratch.file(NAME).exists() {
            // Exit code 0 without a file was seen: the time lay behind the last key frame.
            self.run(argv::poster_first(film, size, NAME)).await?;
        }
        self.check(|made| made == size).await
    }

    async fn cover(&self) -> Result<(u16, u16), Fault> {
        let input = self.node.input_text(self.planned.input)?;
        self.run(argv::cover(self.planned.plan.container, &input, NAME)).await?;
        self.check(|(width, height)| width.max(height) <= argv::POSTER_SIDE_MAX).await
    }

    async fn sound(&self) -> Result<(u16, u16), Fault> {
        let input = self.node.input_text(self.planned.input)?;
        let stream = self.planned.plan.audio.first().map_or(0, |track| track.stream);
        self.run(argv::waveform(self.planned.plan.container, stream, &input, NAME)).await?;
        self.check(|made| made == argv::WAVE).await
    }

    async fn run(&self, args: Vec<String>) -> Result<(), Fault> {
        encode(self.node, self.hold, self.planned, (self.scratch, args), |_| {}).await.map(drop)
    }

    /// The size of what was made, when it is a picture of a size that was planned.
    async fn check(&self, planned: impl FnOnce((u32, u32)) -> bool) -> Result<(u16, u16), Fault> {
        let bytes = tokio::fs::read(self.scratch.file(NAME)).await?;
        let size = image::jpeg_size(&bytes);
        let size = size.ok_or_else(|| Fault::unverified("the poster is not a JPEG picture"))?;
        if planned((size.0.into(), size.1.into())) {
            return Ok(size);
        }
        Err(Fault::unverified(format!("the poster has {} x {} pixels", size.0, size.1)))
    }
}
