//! What a source hashes to that came through the spool, as the database keeps it.

use matinee_core::id::ObjectId;
use matinee_io::db::{DbError, SlabHash};
use matinee_io::spool::{Slab, Writer};

use crate::node::Node;

/// What was hashed of a source on its way.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    /// Of the whole.
    pub(crate) blake3: Option<[u8; 32]>,
    /// Slabs that no commit has told.
    pub(crate) slabs: Vec<SlabHash>,
}

impl Hashed {
    /// Of a file whose last byte is durable; earlier commits have told the slabs that this writer has not seen.
    pub(crate) async fn of(node: &Node, object: ObjectId, writer: &mut Writer) -> Result<Self, DbError> {
        let earlier = known(node, object, writer.needs_slabs()).await?;
        let hashed = writer.hashed(&earlier);
        Ok(Self { blake3: hashed.whole, slabs: kept(&hashed.slabs) })
    }
}

/// The hashes as the database keeps them.
pub(crate) fn kept(slabs: &[Slab]) -> Vec<SlabHash> {
    slabs.iter().map(|slab| SlabHash { number: slab.number, blake3: slab.hash }).collect()
}

async fn known(node: &Node, object: ObjectId, wanted: u64) -> Result<Vec<Slab>, DbError> {
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let slabs = node.db.slabs(object).await?;
    let before = slabs.iter().filter(|slab| slab.number < wanted);
    Ok(before.map(|slab| Slab { number: slab.number, hash: slab.blake3 }).collect())
}
