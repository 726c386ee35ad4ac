//! What one process does of all that a matinee does.

use serde::{Deserialize, Serialize};

use super::{BadConfig, Config};

/// A part of the work; a process that is told nothing does all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Pages, interface, uploads and videos for viewers.
    Web,
    /// Jobs.
    Worker,
    /// Looks through watched folders and buckets.
    Ingest,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Web, Self::Worker, Self::Ingest];
}

impl Config {
    /// Is this done here?
    pub(crate) fn does(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Checks what its type allows and no process can do.
pub(super) fn check(config: &Config) -> Result<(), BadConfig> {
    if config.roles.is_empty() {
        let text =
            "`roles` is empty, so nothing would be done; leave it out, or name some of web, worker, ingest";
        return Err(BadConfig(text.to_owned()));
    }
    if config.roles.len() < Role::ALL.len() && config.node.is_none() {
        let text =
            "`roles` leaves something out, which another node must do; give each node a name with `node`";
        return Err(BadConfig(text.to_owned()));
    }
    Ok(())
}
