//! The programs that an attempt ran, as their holder told it: for who looks closer.

use matinee_core::job::Lease;
use serde::{Deserialize, Serialize};

use crate::db::Db;
use crate::db::error::DbError;
use crate::db::value::args;

/// One run of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The program with its release, for example `ffmpeg 5.1.9`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The last that it wrote to standard error.
    pub stderr: String,
    /// How it ended when it did not end well.
    pub fault: Option<String>,
    /// Processor milliseconds that it used.
    pub cpu_ms: u64,
    /// The largest resident set that was seen, in bytes.
    pub memory_bytes: u64,
    /// It has ended.
    pub ended: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            program: "ffmpeg".to_owned(),
            args: Vec::new(),
            stderr: String::new(),
            fault: None,
            cpu_ms: 0,
            memory_bytes: 0,
            ended: false,
        }
    }
}

impl Db {
    /// Keeps what an attempt has run so far, also when it is over: only its holder knows its number.
    pub async fn keep_runs(&self, lease: &Lease, runs: &[Run]) -> Result<(), DbError> {
        let runs = serde_json::to_value(runs).map_err(|error| DbError::Never(error.to_string()))?;
        self.write((*lease, runs), |tx, (lease, runs)| {
            Box::pin(async move {
                let sql = "UPDATE job_attempt SET runs = $3 WHERE job_id = $1 AND attempt = $2";
                tx.execute(sql, args![lease.job, lease.attempt, runs.clone()]).await.map(drop)
            })
        })
        .await
    }
}
