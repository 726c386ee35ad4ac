//! Nodes as JSON.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::time;
use crate::flow::roster::{NodeRow, Roster, is_alive, known_pace};

/// A server that works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    /// Its name.
    id: String,
    /// `running`, `drained`, `stopped` in order, or `lost` without a word.
    state: &'static str,
    /// The release that it runs.
    version: String,
    /// Processors.
    cores: u32,
    /// The mean number of processes that ran in the last minute.
    load: Option<f64>,
    /// Memory for jobs, in bytes.
    memory_bytes: u64,
    /// What the running ones are expected to need of it.
    memory_used_bytes: u64,
    /// Jobs that run there now.
    running: u32,
    /// How many of all kinds together may; null when only the slots count.
    concurrency: Option<u64>,
    /// How many jobs of each kind run there at once.
    #[schema(value_type = Object)]
    slots: Value,
    /// How much of the disk is used, in percent.
    disk_used_percent: Option<u64>,
    /// Nothing that writes begins there.
    disk_full: bool,
    /// The release of ffmpeg; null without one.
    ffmpeg: Option<String>,
    /// Its encoders in hardware that passed their trial; null until they were tried.
    engines: Option<Vec<String>>,
    /// How long jobs take there against what is expected, by kind, where something was learned: 2 is twice as long.
    #[schema(value_type = Object)]
    pace: Value,
    /// When it was started.
    started_at: String,
    /// When it was seen last.
    seen_at: String,
    /// Since when nothing begins there.
    drained_at: Option<String>,
}

/// All servers that work, by name.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct NodeList {
    /// The nodes.
    items: Vec<Node>,
}

impl From<&Roster> for NodeList {
    fn from(roster: &Roster) -> Self {
        let node = |row: &NodeRow| Node { pace: known_pace(roster, &row.name), ..Node::from(row) };
        Self { items: roster.nodes.iter().map(node).collect() }
    }
}

impl From<&NodeRow> for Node {
    fn from(row: &NodeRow) -> Self {
        let facts = &row.beat.facts;
        Self {
            id: row.name.clone(),
            state: if row.stopped.is_some() {
                "stopped"
            } else if !is_alive(row) {
                "lost"
            } else if row.drained.is_some() {
                "drained"
            } else {
                "running"
            },
            version: row.beat.version.clone(),
            cores: row.beat.cores,
            load: facts["load"].as_f64(),
            memory_bytes: row.beat.memory_bytes,
            memory_used_bytes: row.used_bytes,
            running: row.running,
            concurrency: facts["concurrency"].as_u64(),
            slots: row.beat.slots.clone(),
            disk_used_percent: facts["disk_used_percent"].as_u64(),
            disk_full: facts["disk_full"] == true,
            ffmpeg: facts["ffmpeg"].as_str().map(str::to_owned),
            engines: serde_json::from_value(facts["engines"].clone()).ok(),
            pace: Value::Object(serde_json::Map::new()),
            started_at: time(row.started),
            seen_at: time(row.beat.now),
            drained_at: row.drained.map(time),
        }
    }
}
