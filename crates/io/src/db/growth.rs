//! How renditions grow: parts that are added and replaced, and how far they reach.

use matinee_core::id::RenditionId;
use matinee_core::time::Millis;
use matinee_core::video::{Medium, PartFrontier, RenditionState, Span, frontier};

use super::error::DbError;
use super::lease::Held;
use super::object::{Stored, present, unwanted, unwanted_if_unused};
use super::part::{Part, insert, parts_of};
use super::rendition::{Shape, agree, renditions_of};
use super::tx::Tx;
use super::value::args;

/// A run of finished segments to publish, with the object that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPart {
    /// The track it continues.
    pub rendition: RenditionId,
    /// The object that holds its segments.
    pub stored: Stored,
    /// The number of its first segment, from 1.
    pub first: u32,
    /// How many segments it has; more than none.
    pub segments: u32,
    /// The bytes of all its segments together.
    pub bytes: u64,
    /// One row of fixed size for each segment (`core::media::segment::Row`).
    pub rows: Vec<u8>,
    /// What the encoder made; every part of a rendition says the same.
    pub shape: Shape,
}

/// Adds a finished run of segments to its rendition. Segments that an earlier attempt has already published stay as
/// they are: only what is new of the part is used, and a part with nothing new is given up.
pub(crate) async fn add(tx: &mut Tx, held: Held, new: &NewPart, now: Millis) -> Result<(), DbError> {
    let row_bytes = row_bytes(new.segments, &new.rows)?;
    let sql = "SELECT 1 AS mine FROM rendition WHERE id = $1 AND video_id = $2 AND generation = $3";
    if tx.row(sql, args![new.rendition, held.video, held.generation]).await?.is_none() {
        return Err(DbError::Conflict("the rendition is not one that this job works for".to_owned()));
    }
    let known = agree(tx, new.rendition, &new.shape).await?;
    let parts = parts_of(tx, new.rendition).await?;
    if known.state == RenditionState::Ready && known.file.is_some() {
        return unwanted(tx, new.stored.object, "superseded", now).await;
    }
    let Some(fresh) = fresh(&parts, new.first, new.segments) else {
        return unwanted(tx, new.stored.object, "superseded", now).await;
    };
    present(tx, (new.stored.object, new.stored.size, Some(new.stored.blake3)), now).await?;
    let skipped = usize::try_from(fresh.first - new.first).expect("because u32 fits") * row_bytes;
    let taken = usize::try_from(fresh.segments).expect("because u32 fits") * row_bytes;
    let rows =
        new.rows.get(skipped..skipped + taken).expect("because the fresh part lies inside of the new one");
    let bytes = new.bytes * u64::from(fresh.segments) / u64::from(new.segments);
    let part =
        Part { first: fresh.first, segments: fresh.segments, object: new.stored.object, source: None, bytes };
    insert(tx, new.rendition, part, rows).await
}

fn row_bytes(segments: u32, rows: &[u8]) -> Result<usize, DbError> {
    let count = usize::try_from(segments).expect("because u32 fits");
    match rows.len().checked_div(count) {
        Some(each) if each > 0 && each * count == rows.len() => Ok(each),
        Some(_) | None => Err(DbError::Conflict("a part needs one row for each segment".to_owned())),
    }
}

/// The run of segments inside `first..first + segments` that no part has; they are always in one piece, because
/// attempts cut the same timeline from its beginning.
fn fresh(parts: &[Part], first: u32, segments: u32) -> Option<Span> {
    let (mut from, mut to) = (first, first.saturating_add(segments));
    for part in parts {
        let end = part.first.saturating_add(part.segments);
        if part.first <= from && from < end {
            from = end;
        } else if from < part.first && part.first < to {
            to = part.first;
        }
    }
    (from < to).then(|| Span { first: from, segments: to - from })
}

/// Replaces all parts of a rendition by one that covers the whole; what nothing points at any more is deleted
/// from `later` on.
pub(crate) async fn replace(
    tx: &mut Tx,
    rendition: RenditionId,
    (whole, rows): (Part, &[u8]),
    later: Millis,
) -> Result<(), DbError> {
    row_bytes(whole.segments, rows)?;
    let old = parts_of(tx, rendition).await?;
    let span: Vec<Span> =
        old.iter().map(|part| Span { first: part.first, segments: part.segments }).collect();
    if frontier(&span) != whole.segments || whole.first != 1 {
        return Err(DbError::Conflict("the whole has another number of segments than its parts".to_owned()));
    }
    tx.execute("DELETE FROM part WHERE rendition_id = $1", args![rendition]).await?;
    insert(tx, rendition, whole, rows).await?;
    for part in old {
        unwanted_if_unused(tx, part.object, "replaced", later).await?;
    }
    Ok(())
}

/// How far each track of an encoded generation that has not failed can be played; nobody waits for the background, and for a
/// sound that is only an alternative.
pub(crate) async fn frontiers(tx: &mut Tx, held: Held) -> Result<Vec<PartFrontier>, DbError> {
    let mut tracks = Vec::new();
    let mut sounds = 0;
    for rendition in renditions_of(tx, held.video).await? {
        if rendition.generation != held.generation || rendition.background {
            continue;
        }
        sounds += u32::from(rendition.medium == Medium::Audio);
        let alternative = rendition.medium == Medium::Audio && sounds > 1;
        if !alternative && rendition.state != RenditionState::Failed {
            let parts = parts_of(tx, rendition.id).await?;
            let spans: Vec<Span> =
                parts.iter().map(|part| Span { first: part.first, segments: part.segments }).collect();
            tracks.push(PartFrontier { medium: rendition.medium, frontier: frontier(&spans) });
        }
    }
    Ok(tracks)
}

#[cfg(test)]
mod tests {
    use matinee_core::id::ObjectId;

    use super::*;

    fn part(first: u32, segments: u32) -> Part {
        Part { first, segments, object: ObjectId::from_bits(1), source: None, bytes: 0 }
    }

    #[test]
    fn only_segments_that_nobody_has_are_taken() {
        let have = [part(1, 4), part(9, 2)];
        assert_eq!(fresh(&have, 5, 4), Some(Span { first: 5, segments: 4 }));
        assert_eq!(fresh(&have, 3, 4), Some(Span { first: 5, segments: 2 }));
        assert_eq!(fresh(&have, 5, 6), Some(Span { first: 5, segments: 4 }));
        assert_eq!(fresh(&have, 2, 3), None);
        assert_eq!(fresh(&[], 1, 3), Some(Span { first: 1, segments: 3 }));
    }

    #[test]
    fn rows_are_counted() {
        assert_eq!(row_bytes(2, &[0; 8]).unwrap(), 4);
        assert!(row_bytes(0, &[]).is_err() && row_bytes(3, &[0; 8]).is_err() && row_bytes(1, &[]).is_err());
    }
}
