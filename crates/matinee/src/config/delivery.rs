//! Our own delivery: what it can carry, and when viewers come back to it.

use matinee_core::choice::Link;
use serde::{Deserialize, Serialize};

use super::Span;

/// Our own delivery beside the hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Delivery {
    /// What the line of this node carries, in Mbit/s; 0: nobody knows, and nobody is sent elsewhere because of it.
    pub(crate) capacity_mbit: u32,
    /// It must have been calm for so long before new viewers come back.
    pub(crate) calm: Span,
}

impl Default for Delivery {
    fn default() -> Self {
        // Viewers whom others took over must have had time to show in the figures.
        Self { capacity_mbit: 0, calm: Span { ms: 30_000 } }
    }
}

impl Delivery {
    /// What is known of the line.
    pub(crate) fn link(&self) -> Option<Link> {
        (self.capacity_mbit > 0)
            .then(|| Link { capacity_mbit: f64::from(self.capacity_mbit), calm_ms: self.calm.ms })
    }
}
