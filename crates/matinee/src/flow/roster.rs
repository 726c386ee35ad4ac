//! The nodes: what this one says of itself, and what is known of all.

use matinee_core::disk::Level;
use matinee_core::job::Kind;
use matinee_core::job::load::Pace;
use matinee_core::job::wait::Host;
use matinee_core::limits;
use matinee_core::runner::State;
use matinee_core::time::Millis;
pub(crate) use matinee_io::db::NodeRow;
use matinee_io::db::runner::Runner;
use matinee_io::db::{Beat, DbError};
use serde_json::{Map, Value, json};

use super::{Failure, now};
use crate::node::Node;

/// All nodes with what they have learned.
pub(crate) struct Roster {
    pub(crate) nodes: Vec<NodeRow>,
    runners: Vec<Runner>,
    pub(crate) paces: Vec<(String, Kind, Pace)>,
}

impl Roster {
    /// What a kind takes on a node of this name; where nothing is known of it, what it takes on all others together.
    pub(crate) fn pace(&self, name: Option<&str>, kind: Kind) -> Pace {
        let of_kind = || self.paces.iter().filter(|(_, known, _)| *known == kind);
        if let Some((_, _, pace)) = of_kind().find(|(node, _, _)| Some(node.as_str()) == name) {
            return *pace;
        }
        of_kind().fold(Pace::default(), |all, (_, _, pace)| Pace {
            jobs: all.jobs + pace.jobs,
            cost_ms: all.cost_ms + pace.cost_ms,
            took_ms: all.took_ms + pace.took_ms,
        })
    }

    /// Those that are there now.
    fn alive(&self) -> impl Iterator<Item = &NodeRow> {
        self.nodes.iter().filter(|row| is_alive(row))
    }

    /// The nodes, and where it can go there the runners, that could run a job of this kind.
    pub(crate) fn hosts(&self, kind: Option<Kind>) -> Vec<Host> {
        let host = |row: &NodeRow| Host {
            drained: row.drained.is_some(),
            disk_full: row.beat.facts["disk_full"] == true,
            ffmpeg: row.beat.facts["ffmpeg"].is_string(),
            memory_bytes: row.beat.memory_bytes,
        };
        let away = |runner: &Runner| Host {
            drained: runner.state == State::Draining,
            disk_full: false,
            ffmpeg: true,
            memory_bytes: runner.report.memory_bytes,
        };
        let runners = self.runners.iter().filter(|_| kind.is_some_and(Kind::is_for_runners));
        // A node whose roles leave it out has no slots for it.
        let does = |row: &&NodeRow| kind.is_none_or(|kind| row.beat.slots[kind.name()] != 0);
        self.alive().filter(does).map(host).chain(runners.filter(|runner| works(runner)).map(away)).collect()
    }

    /// Chunks that all nodes together encode at once.
    pub(crate) fn chunk_slots(&self) -> u32 {
        let of = |row: &NodeRow| row.beat.slots["chunk"].as_u64().unwrap_or_default();
        let slots: u64 = self.alive().filter(|row| row.drained.is_none()).map(of).sum();
        u32::try_from(slots).unwrap_or(u32::MAX)
    }
}

/// Is it there, as far as anybody knows?
pub(crate) fn is_alive(row: &NodeRow) -> bool {
    row.stopped.is_none() && now().since(row.beat.now) < limits::NODE_ALIVE_MS
}

/// How long jobs take on a node against what is expected, by kind, where something was learned.
pub(crate) fn known_pace(roster: &Roster, name: &str) -> Value {
    let mine = roster.paces.iter().filter(|(node, _, pace)| node == name && pace.cost_ms > 0);
    #[expect(clippy::cast_precision_loss, reason = "a pace is shown with two digits")]
    let factor = |pace: &Pace| (pace.took_ms as f64 / pace.cost_ms as f64 * 100.0).round() / 100.0;
    let known: Map<String, Value> =
        mine.map(|(_, kind, pace)| (kind.name().to_owned(), factor(pace).into())).collect();
    known.into()
}

/// What this node says of itself.
pub(super) fn beat(node: &Node) -> Beat {
    let slots: Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.name().to_owned(), node.slots_of(*kind).into())).collect();
    let (room, level) = node.disk();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    let concurrency = node.config.workers.concurrency;
    Beat {
        holder: node.holder.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cores: std::thread::available_parallelism()
            .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1)),
        memory_bytes: node.memory_bytes(),
        slots: slots.into(),
        facts: json!({
            "load": load,
            "disk_used_percent": room.used_percent(),
            "disk_free_bytes": room.free.min(i64::MAX.unsigned_abs()),
            "disk_full": level == Level::Full,
            "ffmpeg": node.ffmpeg.as_ref().ok().map(|ffmpeg| ffmpeg.found().version.clone()),
            // Null until they were tried.
            "engines": node.engines.get().map(|all| all.iter().map(|one| one.engine).collect::<Vec<_>>()),
            "concurrency": (concurrency > 0).then_some(concurrency),
        }),
        now: now(),
    }
}

/// Everything that is known of all nodes.
pub(crate) async fn roster(node: &Node) -> Result<Roster, Failure> {
    let nodes = node.db.nodes(now().plus(-limits::NODE_FORGOTTEN_MS)).await?;
    Ok(Roster { nodes, runners: node.db.runners().await?.0, paces: node.db.paces().await? })
}

/// Does it do work, as far as anybody knows?
fn works(runner: &Runner) -> bool {
    matches!(runner.state, State::Active | State::Draining)
        && runner.seen.is_some_and(|seen| now().since(seen) < limits::NODE_COUNTS_MS)
}

/// The most memory that a job may need on any node or runner that was seen lately; `None` when there is none. What only nodes
/// do needs next to none.
pub(super) async fn memory_max(node: &Node) -> Result<Option<u64>, DbError> {
    let nodes = node.db.memory_max(now().plus(-limits::NODE_COUNTS_MS)).await?;
    let (runners, _) = node.db.runners().await?;
    let away = runners.iter().filter(|runner| works(runner)).map(|runner| runner.report.memory_bytes).max();
    Ok(nodes.max(away))
}

/// No new work begins on a node from now on, or again.
pub(crate) async fn drain(node: &Node, name: &str, drained: bool) -> Result<NodeRow, Failure> {
    node.db.drain_node(name, drained.then(now)).await?;
    let all = node.db.nodes(Millis(0)).await?;
    all.into_iter().find(|row| row.name == name).ok_or(Failure::Absent)
}

/// This node ends in order.
pub(crate) async fn leave(node: &Node) -> Result<(), Failure> {
    Ok(node.db.node_stopped(&node.holder, now()).await?)
}
