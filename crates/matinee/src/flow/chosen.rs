//! The poster that somebody chose: a moment of the video, or a picture of their own. It takes the place of ours for good.

use bytes::Bytes;
use matinee_core::id::{AppId, ObjectId, VideoId};
use matinee_core::plan::argv::POSTER_SIDE_MAX;
use matinee_core::thumbnail::milliseconds;
use matinee_io::db::Stored;
use matinee_io::{random, store};

use super::still::{self, Size};
use super::whole::{Whole, show};
use super::{Failure, now};
use crate::node::Node;

/// What the poster shall be.
pub(crate) enum Choice {
    /// The picture at so many seconds.
    At(f64),
    /// A JPEG or PNG picture.
    Own(Bytes),
}

/// Makes the choice the poster of a video.
pub(crate) async fn choose(
    node: &Node,
    (app, id): (AppId, VideoId),
    choice: Choice,
) -> Result<Whole, Failure> {
    // Whose video it is comes before any work.
    show(node, Some(app), id)
        .await
        .and_then(|whole| if whole.video.app == app { Ok(()) } else { Err(Failure::Absent) })?;
    let picture = match choice {
        Choice::At(seconds) => {
            let at_ms = milliseconds(seconds)
                .map_err(|refusal| Failure::Refused { conflict: false, human: refusal.to_string() })?;
            still::at(node, id, (at_ms, Size::Side(POSTER_SIDE_MAX)), &node.studio).await?
        }
        Choice::Own(bytes) => still::brought(node, bytes).await?,
    };
    keep(node, (app, id), picture).await?;
    node.shelf.forget(id);
    show(node, Some(app), id).await
}

/// Row first, then the bytes, then the change: after a crash in between the sweeper finds what nobody names.
async fn keep(node: &Node, whose: (AppId, VideoId), picture: Bytes) -> Result<(), Failure> {
    let object: ObjectId = random::id();
    node.db.intend_poster(whose, object, now()).await?;
    let written = node.store.write(object, vec![store::Piece::Literal(picture)]).await;
    let kept = match written {
        Ok(written) => {
            let stored = Stored { object, size: written.size, blake3: written.blake3 };
            node.db.choose_poster(whose, stored, now()).await.map_err(Failure::from)
        }
        Err(error) => Err(error.into()),
    };
    if kept.is_err() {
        node.db.drop_objects(&[object], now()).await?;
    }
    kept
}
