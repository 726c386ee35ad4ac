//! Flows: load, let `core` decide, act, save. No flow calls another; they meet in the job table.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod app;
pub(crate) mod archive;
pub(crate) mod arrival;
mod assemble;
pub(crate) mod assembly;
pub(crate) mod attend;
mod audio;
mod besides;
mod board;
pub(crate) mod broker;
pub(crate) mod bucket;
pub(crate) mod caption;
pub(crate) mod catalogue;
pub(crate) mod choice;
pub(crate) mod chosen;
mod chunk;
mod coding;
pub(crate) mod copies;
mod copy;
pub(crate) mod cost;
mod creation;
mod damage;
mod direct;
pub(crate) mod distribute;
pub(crate) mod doctor;
pub(crate) mod drain;
mod early;
pub(crate) mod engine;
mod erase;
pub(crate) mod event;
pub(crate) mod fault;
mod fetch;
mod finish;
pub(crate) mod free;
mod gate;
mod hashed;
pub(crate) mod health;
mod home;
pub(crate) mod import;
mod indexed;
mod intake;
pub(crate) mod inventory;
pub(crate) mod job;
mod join;
pub(crate) mod kept;
pub(crate) mod lease;
mod leaving;
mod look;
mod mark;
mod message;
pub(crate) mod meter;
pub(crate) mod moving;
pub(crate) mod notify;
mod order;
mod outage;
mod outside;
pub(crate) mod pipeline;
pub(crate) mod plan;
pub(crate) mod plate;
pub(crate) mod play;
mod poster;
mod probe;
pub(crate) mod proof;
pub(crate) mod publication;
mod publish;
pub(crate) mod pull;
pub(crate) mod ran;
mod reach;
pub(crate) mod remake;
mod remux;
pub(crate) mod reproducer;
mod reread;
pub(crate) mod roster;
pub(crate) mod runner;
pub(crate) mod scratch;
pub(crate) mod scrub;
pub(crate) mod serve;
pub(crate) mod settle;
pub(crate) mod standing;
mod step;
mod still;
pub(crate) mod store;
mod storyboard;
mod subtitles;
pub(crate) mod sweep;
pub(crate) mod tail;
pub(crate) mod tariff;
pub(crate) mod thumbnail;
mod told;
pub(crate) mod upload;
mod vacate;
pub(crate) mod video;
pub(crate) mod watch;
pub(crate) mod webhook;
mod webm;
mod whole;
pub(crate) mod work;
pub(crate) mod zoom;

use std::io::ErrorKind;
use std::path::PathBuf;

use matinee_core::arrival::Place;
use matinee_core::job::Task;
use matinee_core::loudness::Leveled;
use matinee_core::plan::argv;
use matinee_core::time::Millis;
use matinee_io::db::DbError;
use matinee_io::spool::SpoolError;
use matinee_io::store::StoreError;

use self::work::pictures::POSTER;
use crate::node::Node;

/// Why a flow could not do what was asked; it says nothing of HTTP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The thing is not there, or belongs to another app.
    #[error("there is no such thing")]
    Absent,
    /// The caller is wrong; `conflict` when the state of the thing forbids it.
    #[error("{human}")]
    Refused {
        /// Repeating the same request later could succeed or was overtaken.
        conflict: bool,
        /// One sentence for a person.
        human: String,
    },
    /// The app or the collection may not have so much, or is being deleted.
    #[error("{0}")]
    Limited(matinee_core::quota::Refusal),
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Too many ask for the same work; the same call may succeed in a moment.
    #[error("too many ask at once")]
    Busy,
    /// The world failed now; the same call may succeed later.
    #[error("{0}")]
    Again(String),
    /// The world failed for good.
    #[error("{0}")]
    Never(String),
}

impl Failure {
    /// May the same call succeed later?
    pub(crate) const fn passes(&self) -> bool {
        matches!(self, Self::Full | Self::Busy | Self::Again(_))
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Absent => Self::Absent,
            DbError::Again(cause) => Self::Again(cause),
            DbError::Never(cause) => Self::Never(cause),
            DbError::Conflict(cause) | DbError::Taken(cause) => {
                Self::Refused { conflict: true, human: format!("this exists already: {cause}") }
            }
            DbError::Refused(refusal) => Self::Limited(refusal),
            DbError::LeaseLost => Self::Again("the lease was lost".to_owned()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        if full { Self::Full } else { Self::Again(error.to_string()) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Absent(_) => Self::Absent,
            StoreError::NoSpace => Self::Full,
            StoreError::Io(_) => Self::Again(error.to_string()),
            StoreError::Exists(_) | StoreError::Short(_) => Self::Never(error.to_string()),
        }
    }
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::NoSpace => Self::Full,
            SpoolError::Busy | SpoolError::Failed | SpoolError::Io(_) => Self::Again(error.to_string()),
            SpoolError::Lost { .. } => Self::Never(error.to_string()),
        }
    }
}

pub(crate) use matinee_io::clock::Stopwatch;

/// The time, for everything below that hands it to `core` and to the database.
pub(crate) fn now() -> Millis {
    matinee_io::clock::now()
}

/// Does what a job's task says; the worker knows nothing of it.
pub(crate) async fn perform(node: &Node, hold: &lease::Hold) -> Result<(), fault::Fault> {
    home::ready(node, hold).await?;
    match hold.task {
        Task::Fetch { .. } => fetch::perform(node, hold).await,
        Task::Join { .. } => join::perform(node, hold).await,
        Task::Take { ref from, .. } => match from {
            Place::File { .. } => import::perform(node, hold, from).await,
            Place::Object { .. } => bucket::perform(node, hold, from).await,
        },
        Task::Probe { .. } => probe::perform(node, hold).await,
        Task::Remux { .. } => remux::perform(node, hold).await,
        Task::Audio { track, .. } => audio::perform(node, hold, track).await,
        Task::Chunk { chunk, family, .. } => chunk::perform(node, hold, (chunk, family)).await,
        Task::Poster { .. } => poster::perform(node, hold).await,
        Task::Subtitles { .. } => subtitles::perform(node, hold).await,
        Task::Storyboard { .. } => storyboard::perform(node, hold).await,
        Task::Assemble { rendition, .. } => assemble::perform(node, hold, rendition).await,
        Task::Webm { rendition, .. } => webm::perform(node, hold, rendition).await,
        Task::Finish { background, .. } => finish::perform(node, hold, background).await,
        Task::Step { step, .. } => step::perform(node, hold, step).await,
        Task::Publish { ref host, .. } => publish::perform(node, hold, host).await,
        Task::Copy { replica, .. } => copy::perform(node, hold, replica).await,
        Task::Erase { app, collection } => erase::perform(node, hold, (app, collection)).await,
    }
}

/// Proves and publishes what somebody else has made of a task; `file` says where each output lies.
async fn publish_made(
    node: &Node,
    hold: &lease::Hold,
    (order, leveled): (&order::Order, Option<Leveled>),
    file: impl Fn(&str) -> PathBuf,
) -> Result<(), fault::Fault> {
    let planned = &order.planned;
    if let Task::Chunk { chunk, family, .. } = hold.task {
        chunk::publish(node, hold, (planned, (chunk, family)), file).await
    } else if let Task::Audio { track, .. } = hold.task {
        let sound = (file(argv::AUDIO_OUTPUT), leveled);
        audio::publish_whole(node, hold, (planned, track), sound).await
    } else if let Task::Poster { .. } = hold.task {
        poster::publish(node, hold, planned, &file(POSTER)).await
    } else if let Task::Storyboard { .. } = hold.task {
        storyboard::publish(node, hold, order, file).await
    } else {
        Err(fault::Fault::unverified("nobody else can do this"))
    }
}

/// A short id that finds a request in the log.
pub(crate) fn request_id() -> String {
    format!("{:016x}", u64::from_le_bytes(matinee_io::random::bytes()))
}

/// An unguessable key for an upload's address: 128 random bits.
fn upload_key() -> String {
    format!("{:032x}", u128::from_le_bytes(matinee_io::random::bytes()))
}
