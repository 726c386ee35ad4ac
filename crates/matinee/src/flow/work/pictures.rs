//! Pictures of a video: the poster, the sheets for finding a place, and the preview; made, and proven whoever made them.

use std::path::Path;

use matinee_core::image;
use matinee_core::media::{Index, TrackKind};
use matinee_core::plan::argv::{self, Film};
use matinee_core::plan::{Plan, Poster, Subject, Video};
use matinee_core::storyboard::{Storyboard, within, within_side};
use serde::{Deserialize, Serialize};

use super::Bench;
use crate::flow::fault::Fault;
use crate::flow::indexed;

/// The file of a poster.
pub(crate) const POSTER: &str = "poster.jpg";
/// The file of a preview.
pub(crate) const PREVIEW: &str = "preview.mp4";
const SHEETS: &str = "sheet_%d.jpg";

/// What is drawn of a rendition: decided by who knows its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sketch {
    pub(crate) board: Storyboard,
    /// Width and height of the rendition.
    pub(crate) size: (u32, u32),
}

impl Sketch {
    /// The file of a sheet, counted from 1.
    pub(crate) fn sheet(number: usize) -> String {
        SHEETS.replace("%d", &number.to_string())
    }

    /// The files of all sheets.
    pub(crate) fn sheets(&self) -> impl Iterator<Item = String> {
        (1..=self.board.sheets()).map(Self::sheet)
    }

    fn preview_size(&self) -> (u32, u32) {
        within(self.size, argv::PREVIEW_WIDTH)
    }
}

impl Bench<'_> {
    /// Makes the poster: one still picture, the most typical of some, or the first one; of sound its cover, or a drawing of it.
    pub(crate) async fn poster(&self) -> Result<(), Fault> {
        let poster = planned(self.plan)?;
        match (&self.plan.video, poster.of) {
            (Some(video), _) => self.still(video, poster).await,
            (None, Subject::Cover) => match self.cover().await {
                Err(fault) if !self.stop.is_cancelled() => {
                    tracing::info!(%fault, "a cover cannot be read");
                    self.wave().await
                }
                made => made,
            },
            (None, Subject::Picture | Subject::Sound) => self.wave().await,
        }
    }

    async fn still(&self, video: &Video, poster: Poster) -> Result<(), Fault> {
        let film = Film { input: self.input_text()?, container: self.plan.container, raw: Some(video) };
        let size = poster_size(video, poster);
        self.draw(argv::poster(film, poster.at_us, size, POSTER)).await?;
        if !self.file(POSTER).exists() {
            // Exit code 0 without a file was seen: the time lay behind the last key frame.
            self.draw(argv::poster_first(film, size, POSTER)).await?;
        }
        Ok(())
    }

    async fn cover(&self) -> Result<(), Fault> {
        self.draw(argv::cover(self.plan.container, self.input_text()?, POSTER)).await?;
        prove_poster(self.plan, &self.file(POSTER)).await.map(drop)
    }

    async fn wave(&self) -> Result<(), Fault> {
        let stream = self.plan.audio.first().map_or(0, |track| track.stream);
        self.draw(argv::waveform(self.plan.container, stream, self.input_text()?, POSTER)).await
    }

    /// Makes the sheets of a storyboard and the preview, of a rendition of ours.
    pub(crate) async fn storyboard(&self, sketch: &Sketch) -> Result<(), Fault> {
        let input = self.input_text()?;
        self.draw(argv::storyboard(&sketch.board, input, SHEETS)).await?;
        (self.progress)(0.6);
        let pictures_us = self.plan.video.as_ref().map_or(0, |video| video.rate.frame_us(video.frames));
        // At a tenth, but never so late that less would be left.
        let from_us = (pictures_us / 10).min(pictures_us - argv::PREVIEW_US).max(0);
        self.draw(argv::preview(from_us, sketch.preview_size(), input, PREVIEW)).await
    }

    async fn draw(&self, args: Vec<String>) -> Result<(), Fault> {
        self.encode(args, |_| {}).await.map(drop)
    }
}

fn planned(plan: &Plan) -> Result<Poster, Fault> {
    plan.images.poster.ok_or_else(|| Fault::unverified("the plan has no poster"))
}

fn poster_size(video: &Video, poster: Poster) -> (u32, u32) {
    let top = video.renditions.first().map_or((2, 2), |top| (top.width, top.height));
    within_side(top, poster.side_max)
}

async fn jpeg_size(path: &Path) -> Result<(u32, u32), Fault> {
    let size = image::jpeg_size(&tokio::fs::read(path).await?);
    let (width, height) = size.ok_or_else(|| Fault::unverified("a picture is no JPEG"))?;
    Ok((width.into(), height.into()))
}

/// The size of a poster, when it is a picture of a size that was planned.
pub(crate) async fn prove_poster(plan: &Plan, path: &Path) -> Result<(u32, u32), Fault> {
    let (poster, size) = (planned(plan)?, jpeg_size(path).await?);
    let as_planned = match (&plan.video, poster.of) {
        (Some(video), _) => size == poster_size(video, poster),
        (None, Subject::Cover) => size == argv::WAVE || size.0.max(size.1) <= argv::POSTER_SIDE_MAX,
        (None, Subject::Picture | Subject::Sound) => size == argv::WAVE,
    };
    if as_planned {
        return Ok(size);
    }
    Err(Fault::unverified(format!("the poster has {} x {} pixels", size.0, size.1)))
}

/// A sheet is one picture of the planned size.
pub(crate) async fn prove_sheet(sketch: &Sketch, path: &Path) -> Result<(), Fault> {
    let size = jpeg_size(path).await?;
    if size == sketch.board.sheet_size() {
        return Ok(());
    }
    Err(Fault::unverified(format!("a sheet has {} x {} pixels", size.0, size.1)))
}

/// A preview is one silent H.264 track of the planned size, some seconds long, with its index in front.
pub(crate) async fn prove_preview(sketch: &Sketch, path: &Path) -> Result<(), Fault> {
    check_preview(&indexed::index(path).await?, sketch.preview_size())
}

fn check_preview(index: &Index, size: (u32, u32)) -> Result<(), Fault> {
    let wrong = |what: &str| Err(Fault::unverified(format!("the preview {what}")));
    let ([track], true) = (index.tracks.as_slice(), index.moov_first) else {
        return wrong("has more than one track, or its index at the end");
    };
    track.check(index.size)?;
    let TrackKind::Video { width, height, .. } = track.kind else { return wrong("has no picture") };
    if (u32::from(width), u32::from(height)) != size || !track.codec.starts_with("avc1.") {
        return wrong("is not of the planned size and codec");
    }
    if !(1..=argv::PREVIEW_PICTURES).contains(&track.samples.iter().count()) {
        return wrong("is not as long as planned");
    }
    Ok(())
}
