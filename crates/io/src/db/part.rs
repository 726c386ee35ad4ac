//! Parts: runs of consecutive segments of a rendition, with the segment table of each.

use matinee_core::id::{ObjectId, RenditionId};

use super::Db;
use super::error::DbError;
use super::tx::Tx;
use super::value::{Row, args};

/// A part as it is stored, without its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The number of its first segment, from 1.
    pub first: u32,
    /// How many segments it has.
    pub segments: u32,
    /// The object that holds them, or their headers when `source` is set.
    pub object: ObjectId,
    /// The object whose byte ranges the segments gather.
    pub source: Option<ObjectId>,
    /// The bytes of all its segments together.
    pub bytes: u64,
}

impl Db {
    /// The part of `rendition` that begins with segment `first`, with its rows.
    ///
    /// A part that was listed before may have been replaced since, so what it says comes with the rows that mean it.
    pub async fn part_rows(
        &self,
        rendition: RenditionId,
        first: u32,
    ) -> Result<Option<(Part, Vec<u8>)>, DbError> {
        self.read((rendition, first), |tx, (rendition, first)| {
            Box::pin(async move {
                let sql = "SELECT first, segments, object_id, source_id, bytes, rows FROM part
                           WHERE rendition_id = $1 AND first = $2";
                let Some(row) = tx.row(sql, args![*rendition, *first]).await? else { return Ok(None) };
                Ok(Some((part_of(&row)?, row.get("rows")?)))
            })
        })
        .await
    }

    /// The parts of a rendition in the order of their segments.
    pub async fn parts(&self, rendition: RenditionId) -> Result<Vec<Part>, DbError> {
        self.read(rendition, |tx, rendition| Box::pin(parts_of(tx, *rendition))).await
    }
}

pub(crate) async fn parts_of(tx: &mut Tx, rendition: RenditionId) -> Result<Vec<Part>, DbError> {
    let sql = "SELECT first, segments, object_id, source_id, bytes FROM part WHERE rendition_id = $1 ORDER BY first";
    tx.rows(sql, args![rendition]).await?.iter().map(part_of).collect()
}

fn part_of(row: &Row) -> Result<Part, DbError> {
    Ok(Part {
        first: row.get("first")?,
        segments: row.get("segments")?,
        object: row.get("object_id")?,
        source: row.get("source_id")?,
        bytes: row.get("bytes")?,
    })
}

/// Inserts a part with its rows.
pub(crate) async fn insert(
    tx: &mut Tx,
    rendition: RenditionId,
    part: Part,
    rows: &[u8],
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO part (rendition_id, first, segments, object_id, source_id, bytes, rows)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![rendition, part.first, part.segments, part.object, part.source, part.bytes, rows],
    )
    .await
    .map(drop)
}
