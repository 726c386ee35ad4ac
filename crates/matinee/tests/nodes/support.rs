//! Nodes that share a place, and what holds for all of them together.

use std::sync::Arc;

use matinee_core::id::{Id, Object};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::support::invariants::object_path;
use crate::support::raw::Raw;
use crate::support::sender::{Sent, create};
use crate::support::server::{Place, Server};
use crate::support::tables::Tables;
use crate::support::tables::asks;
use crate::support::{clips, noise, postgres, until};

/// The bytes that [`half_sent`] sends.
pub(crate) const PART: usize = 4 << 20;

/// One PostgreSQL database and one data directory.
pub(crate) struct Nodes {
    pub(crate) place: Arc<Place>,
    url: String,
}

impl Nodes {
    /// An empty place; `None` where there is no PostgreSQL.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with("").await
    }

    /// The same with more configuration.
    pub(crate) async fn start_with(more: &str) -> Option<Self> {
        let url = postgres::database().await?;
        let place = Arc::new(Place::new(&format!("database = \"{url}\"\n{more}")));
        Some(Self { place, url })
    }

    /// Another data directory for the same database.
    pub(crate) fn elsewhere(&self) -> Place {
        Place::new(&format!("database = \"{}\"", self.url))
    }

    /// Starts a node.
    pub(crate) async fn add(&mut self, name: &str) -> Server {
        Server::node(&self.place, name).await
    }

    /// Nodes that are started from now on do only this.
    pub(crate) fn only(&self, role: &str) {
        self.place.configure(&format!("database = \"{}\"\nroles = [\"{role}\"]\n", self.url));
    }

    async fn rows(&self, sql: &'static str) -> Vec<sqlx::postgres::PgRow> {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::query(sql).fetch_all(&mut connection).await.unwrap()
    }

    /// The node that looks through the watched folder.
    pub(crate) async fn looks(&self) -> String {
        self.rows(asks::LOOKS).await[0].get(0)
    }

    /// How many objects of an earlier attempt were given up.
    pub(crate) async fn taken_anew(&self) -> i64 {
        self.rows(asks::SUPERSEDED).await[0].get(0)
    }

    /// Waits until so many bytes lie in the largest file, whatever the row says.
    pub(crate) async fn arrived(&self, wanted: usize) {
        let largest = || {
            let files = Tables::stored(&self.place.data());
            let len = |name: &String| {
                std::fs::metadata(object_path(&self.place.data(), name)).map_or(0, |file| file.len())
            };
            files.iter().map(len).max().unwrap_or_default()
        };
        until("the bytes are in the file", 20, async || (largest() >= wanted as u64).then_some(())).await;
    }

    /// Waits until the only upload has so many durable bytes; how many they are.
    pub(crate) async fn committed(&self, wanted: u64) -> u64 {
        until("an offset is committed", 20, async || {
            let rows = self.rows(asks::OFFSETS).await;
            Some(rows[0].get::<i64, _>(0).cast_unsigned()).filter(|at| *at >= wanted)
        })
        .await
    }

    /// The first bytes of the only file in the store.
    pub(crate) fn only_file(&self, len: u64) -> Vec<u8> {
        let name = Tables::stored(&self.place.data()).pop_first().unwrap();
        let mut bytes = std::fs::read(object_path(&self.place.data(), &name)).unwrap();
        bytes.truncate(usize::try_from(len).unwrap());
        bytes
    }

    /// The video becomes ready, exactly once, of exactly these bytes.
    pub(crate) async fn ready_once(&self, server: &Server, video: &str, sent: &[u8]) {
        server.video_in(video, &["ready"], 120).await;
        let told = self.rows(asks::TOLD_READY).await;
        let videos = self.rows(asks::READY).await;
        assert_eq!(told[0].get::<i64, _>(0), videos[0].get::<i64, _>(0), "each is ready once");
        let hash = blake3::hash(sent);
        let known = self.rows(asks::HASHES).await;
        let known: Vec<Option<Vec<u8>>> = known.iter().map(|row| row.get(0)).collect();
        let right = |known: &Option<Vec<u8>>| known.as_deref() == Some(hash.as_bytes().as_slice());
        assert!(known.iter().any(right), "the hash of the source is known");
        let files = Tables::stored(&self.place.data());
        let same = |name: &String| {
            let path = object_path(&self.place.data(), name);
            std::fs::metadata(&path).is_ok_and(|file| file.len() == sent.len() as u64)
                && std::fs::read(&path).is_ok_and(|bytes| blake3::hash(&bytes) == hash)
        };
        assert!(files.iter().any(same), "I1: the stored source of {video} differs");
    }

    /// Neither file nor open row is left.
    pub(crate) async fn nothing_remains(&self) {
        until("nothing is left in the store", 40, async || {
            let rows = self.rows(asks::LIVING).await;
            (rows.is_empty() && Tables::stored(&self.place.data()).is_empty()).then_some(())
        })
        .await;
    }

    /// I3: what lies in the store has a row, what a row says is there lies there, and left files are gone.
    pub(crate) async fn rows_and_files_agree(&self) {
        until("store and rows agree", 40, async || {
            let sql = asks::LEFT;
            let rows = self.rows(sql).await;
            let rows = rows.iter().map(|row| {
                let bits: String = row.get::<String, _>(0).replace('-', "");
                let object = Id::<Object>::from_bits(u128::from_str_radix(&bits, 16).unwrap()).to_string();
                (object, row.get::<String, _>(1), row.get::<Option<String>, _>(2))
            });
            let rows: Vec<_> = rows.collect();
            let files = Tables::stored(&self.place.data());
            let known = files.iter().all(|file| rows.iter().any(|(object, ..)| object == file));
            let mut present = rows.iter().filter(|(_, state, _)| state == "present");
            let there = present.all(|(object, ..)| files.contains(object));
            let left = rows.iter().any(|(_, _, reason)| reason.as_deref() == Some("superseded"));
            (known && there && !left).then_some(())
        })
        .await;
    }
}

/// A clip that is followed by bytes no player looks at, so that it has exactly this length.
pub(crate) fn padded(len: usize) -> Vec<u8> {
    let mut bytes = clips::faststart(3);
    let rest = len - bytes.len();
    bytes.extend(u32::try_from(rest).unwrap().to_be_bytes());
    bytes.extend(b"free");
    bytes.extend(noise(1, rest - 8));
    bytes
}

/// A PATCH of which only the first 4 MiB have been sent.
pub(crate) async fn half_sent(server: &Server, bytes: &[u8]) -> (Sent, Raw) {
    let sent = create(server, bytes.len() as u64, "cut.mp4").await;
    let mut raw = Raw::patch(server.port, &sent.path, 0, bytes.len() as u64).await;
    raw.send(&bytes[..PART]).await.unwrap();
    (sent, raw)
}
