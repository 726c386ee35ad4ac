//! Can this node do its work, and how much of it is there?

use matinee_core::ledger::State;
pub(crate) use matinee_io::db::job::Count;
use matinee_io::random;

use super::Failure;
use crate::node::Node;

/// What is counted in rows.
pub(crate) struct Gauges {
    pub(crate) jobs: Vec<Count>,
    pub(crate) uploads_open: u64,
    /// Objects by the word for their state.
    pub(crate) ledger: Vec<(&'static str, u64)>,
}

/// What this node lacks for its work, a sentence each; nothing when it is ready.
pub(crate) async fn missing(node: &Node) -> Vec<String> {
    let mut missing = Vec::new();
    if node.db.newest_event().await.is_err() {
        missing.push("The database does not answer.".to_owned());
    }
    if let Err(error) = written(node).await {
        missing.push(format!("The data directory cannot be written: {error}."));
    }
    if let Err(error) = &node.ffmpeg {
        missing.push(format!("Videos cannot be encoded: {error}."));
    }
    missing
}

/// Writes a file beside the objects and removes it.
async fn written(node: &Node) -> std::io::Result<()> {
    let path = node.config.data.join(format!(".ready-{:016x}", u64::from_le_bytes(random::bytes())));
    let written = tokio::fs::write(&path, b"ready").await;
    let removed = tokio::fs::remove_file(&path).await;
    written.and(removed)
}

/// Counts rows; cheap however many jobs are done.
pub(crate) async fn gauges(node: &Node) -> Result<Gauges, Failure> {
    let words = [
        (State::Intended, "intended"),
        (State::Present, "present"),
        (State::ToDelete, "to_delete"),
        (State::Gone, "gone"),
    ];
    let counted = node.db.ledger_counts().await?;
    let of =
        |state: State| counted.iter().find(|(known, _)| *known == state).map_or(0, |(_, objects)| *objects);
    Ok(Gauges {
        jobs: node.db.job_counts().await?,
        uploads_open: node.db.uploads_open().await?,
        ledger: words.into_iter().map(|(state, word)| (word, of(state))).collect(),
    })
}
