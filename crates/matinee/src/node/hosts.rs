//! The hosts that the configuration names, ready to be asked.

use std::sync::Arc;

use matinee_core::inventory::outside::Sort;
use matinee_core::price::Prices;
use matinee_core::publication::{HandOver, Pace};
use matinee_core::time::Millis;
use matinee_io::db::inventory::Held;
use matinee_io::db::{Db, DbError};
use matinee_io::host::{self, Host, HostError, Pusher, Seal};

use crate::config::{BadConfig, Config};

/// A host with its name here.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) pace: Pace,
    /// How it gets what it does not have.
    pub(crate) hand_over: HandOver,
    /// Where it reaches this server, to fetch something; empty where nobody knows.
    pub(crate) reach: String,
    /// Our captions are put there, too.
    pub(crate) captions: bool,
    /// Each video is to be there as a file, too.
    pub(crate) downloads: bool,
}

/// All of them, and what is needed to send them something.
pub(crate) struct Hosts {
    all: Vec<Arc<Known>>,
    /// Where browsers find their videos, each after a space.
    sites: String,
    /// Sends bytes to any of them.
    pub(crate) pusher: Result<Pusher, HostError>,
    /// Seals where they go.
    pub(crate) seal: Seal,
}

impl Hosts {
    /// Opens them; nothing is asked yet.
    pub(super) fn open(config: &Config, secret: &[u8; 32]) -> Result<Self, BadConfig> {
        let known = |one: &crate::config::Host| {
            let opened = host::open(one.open()?).map_err(|error| one.bad(&error.to_string()))?;
            let reach = one.reach(config.public_url.as_deref()).to_owned();
            Ok(Arc::new(Known {
                name: one.name.clone(),
                host: opened,
                pace: one.pace(),
                hand_over: one.hand_over,
                reach,
                captions: one.captions,
                downloads: one.downloads,
            }))
        };
        let all = config.host.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        let sites = all.iter().flat_map(|known| [" ".to_owned(), known.host.site()]).collect();
        Ok(Self { all, sites, pusher: Pusher::new(), seal: Seal::of(secret) })
    }

    /// Where browsers find their videos, each after a space.
    pub(crate) fn sites(&self) -> &str {
        &self.sites
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Arc<Known>] {
        &self.all
    }

    /// The one of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Known>> {
        self.all.iter().find(|known| known.name == name)
    }

    /// The names of all of them.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.all.iter().map(|known| known.name.as_str()).collect();
        names.join(", ")
    }

    /// Makes sure that nothing lies at a host that nobody could delete any more; else says what and how much.
    pub(crate) async fn check(&self, db: &Db, prices: &Prices, now: Millis) -> Result<(), StartRefusal> {
        for known in &self.all {
            match db.host_known(&known.name, &known.host.identity(), now).await {
                Err(DbError::Conflict(before)) => {
                    let now = known.host.identity();
                    return Err(StartRefusal::Moved { name: known.name.clone(), before, now });
                }
                known => known?,
            }
        }
        for held in db.held(Sort::Host).await? {
            if self.named(&held.place).is_none() {
                let owing = owing(prices, &held);
                return Err(StartRefusal::Missing { name: held.place, things: held.things, owing });
            }
        }
        Ok(())
    }
}

/// What is known of things that are not proven gone: how many of them are to be deleted, their bytes and their cost.
pub(super) fn owing(prices: &Prices, held: &Held) -> String {
    let cost = match prices.of_stored(held.bytes) {
        Some(cost) => format!(", {cost:.2} {} a month", prices.currency),
        None => String::new(),
    };
    format!("{} of them to be deleted already; {} bytes are known of{cost}", held.to_delete, held.bytes)
}

/// Why a server does not start without, or with another, host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartRefusal {
    /// It is not configured any more.
    #[error(
        "the configuration has no [[host]] `{name}`, but {things} videos are there that are not proven gone ({owing}): nobody \
         could delete them, and they would be paid for. Put it back, delete those videos, and wait until `matinee hosts ls` \
         shows none there."
    )]
    Missing {
        /// Its name.
        name: String,
        /// How much is there.
        things: u64,
        /// What is known of it.
        owing: String,
    },
    /// Its name stands for another account.
    #[error(
        "the [[host]] `{name}` stands for {now} now, but videos are at {before} under this name that are not proven gone. \
         Give the new account another name."
    )]
    Moved {
        /// Its name.
        name: String,
        /// Whose videos those are.
        before: String,
        /// And what is configured.
        now: String,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
}
