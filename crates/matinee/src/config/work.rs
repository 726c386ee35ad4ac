//! The sections `[workers]` and `[work]`: how much runs at once, and what is left of it.

use matinee_core::limits;
use serde::{Deserialize, Serialize};

use super::{BadConfig, Config, Span};

/// How much work runs at the same time on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Workers {
    /// Chunks that are encoded at the same time; 0 = one for each core.
    pub(crate) chunks: u32,
    /// What runners can do is done here, too. Set to false it is left to them, and waits while there is none.
    pub(crate) here: bool,
    /// Only runners whose encoders give the same bytes as those here get work.
    pub(crate) identical: bool,
    /// Jobs of all kinds that run at the same time; 1 = one after the other, 0 = each kind has its own slots.
    pub(crate) concurrency: u32,
    /// Memory for jobs in bytes; 0 = three quarters of what the machine, or its container, has.
    pub(crate) memory_bytes: u64,
    /// When the server stops, jobs that are this near to their end go on; the others are given back and begin again.
    pub(crate) finish_within: Span,
    /// Tells by the event `job.waiting` how much work waits for runners, for who starts machines when there is some.
    pub(crate) tell_waiting: bool,
}

/// What is left of the work on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Work {
    /// Whether the folder of an attempt is kept: `never`, `on_failure` or `always`.
    pub(crate) keep_temp: Keep,
    /// For how many days.
    pub(crate) keep_days: u32,
    /// A disk that is used so far, in percent, lets nothing new in, unless 100 GiB are free.
    pub(crate) admit_percent: u8,
    /// A disk that is used so far, in percent, is not written to: uploads and jobs wait for room.
    pub(crate) full_percent: u8,
}

/// Whether the folder of an attempt is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keep {
    Never,
    OnFailure,
    Always,
}

impl Default for Workers {
    fn default() -> Self {
        let finish_within = Span { ms: limits::FINISH_WITHIN_MS };
        Self {
            chunks: 0,
            here: true,
            identical: true,
            concurrency: 0,
            memory_bytes: 0,
            finish_within,
            tell_waiting: false,
        }
    }
}

impl Default for Work {
    fn default() -> Self {
        Self {
            keep_temp: Keep::Never,
            keep_days: 3,
            admit_percent: limits::DISK_ADMIT_PERCENT,
            full_percent: limits::DISK_WORK_PERCENT,
        }
    }
}

/// What no single key can tell.
pub(super) fn check(config: &Config) -> Result<(), BadConfig> {
    let Work { admit_percent: admit, full_percent: full, .. } = config.work;
    if admit > full || full > 100 {
        return Err(BadConfig(format!(
            "`work.admit_percent` ({admit}) must be at most `work.full_percent` ({full}), and that at most 100"
        )));
    }
    Ok(())
}
