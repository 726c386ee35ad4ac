//! A look at the tables from outside, for what no API tells, and some pushes for what takes hours: it shares no code with what
//! it checks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use matinee_core::id::{Id, Noun, Object, Video};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Connection as _, Row as _, SqliteConnection};

/// The open database of one server.
pub(crate) struct Tables {
    connection: SqliteConnection,
    _copy: Option<tempfile::TempDir>,
}

/// An object with what the ledger says of it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) state: String,
    pub(crate) size: Option<u64>,
}

/// A stored run of segments.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) object: String,
    pub(crate) size: u64,
}

impl Tables {
    /// Opens the database below this data folder.
    pub(crate) async fn open(data: &Path) -> Self {
        // SQLite finds no way to a disk that only the server sees, so there it is a copy.
        let copy = data.starts_with("/proc").then(|| {
            let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            for file in ["matinee.db", "matinee.db-wal"] {
                std::fs::copy(data.join(file), dir.path().join(file)).unwrap();
            }
            dir
        });
        let place = copy.as_ref().map_or(data, tempfile::TempDir::path);
        let options = SqliteConnectOptions::new().filename(place.join("matinee.db"));
        Self { connection: SqliteConnection::connect_with(&options).await.unwrap(), _copy: copy }
    }

    async fn rows(&mut self, sql: &'static str) -> Vec<SqliteRow> {
        sqlx::query(sql).fetch_all(&mut self.connection).await.unwrap()
    }

    /// How many objects there are whose copies nobody has looked at.
    pub(crate) async fn unplaced(&mut self) -> i64 {
        let sql = "SELECT count(*) FROM object WHERE placed IS NULL AND size_bytes IS NOT NULL
                     AND kind NOT IN ('chunk', 'work', 'tail', 'audio_part')";
        self.rows(sql).await[0].get(0)
    }

    /// A store did not answer, and nobody has asked it since.
    pub(crate) async fn store_away(&mut self, name: &str) {
        let sql = "INSERT INTO store_state (name, away_ms, retry_ms, error) VALUES (?1, 1, 2, 'refused')
                   ON CONFLICT (name) DO UPDATE SET away_ms = 1, retry_ms = 2, error = 'refused'";
        sqlx::query(sql).bind(name).execute(&mut self.connection).await.unwrap();
    }

    /// A store is away since so many milliseconds ago, and may be asked again now.
    pub(crate) async fn store_away_for(&mut self, name: &str, ms: i64) {
        let sql = "UPDATE store_state SET retry_ms = 2, away_ms = ?2 WHERE name = ?1 AND away_ms IS NOT NULL";
        let since = matinee_io::clock::now().plus(-ms).0;
        let changed = sqlx::query(sql).bind(name).bind(since).execute(&mut self.connection).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{name} was not away");
    }

    /// As in a database of a version that knew of no plates. Only of a server that does not run.
    pub(crate) async fn forget_plates(mut self) {
        self.rows("UPDATE store_state SET identity = NULL, plate_ms = NULL").await;
        self.connection.close().await.unwrap();
    }

    /// Every place is to be compared with its rows. Only of a server that does not run.
    pub(crate) async fn compare_all(mut self) {
        self.rows("UPDATE inventory SET next_ms = 1").await;
        self.connection.close().await.unwrap();
    }

    /// What is retired was so for long enough. Only of a server that does not run.
    pub(crate) async fn end_grace(mut self) {
        let sql = "UPDATE rendition SET retired_ms = 1 WHERE retired_ms IS NOT NULL";
        sqlx::query(sql).execute(&mut self.connection).await.unwrap();
        self.connection.close().await.unwrap();
    }

    /// The time of all uploads is long over. Only of a server that does not run.
    pub(crate) async fn expire_uploads(mut self) {
        let sql = "UPDATE upload SET expires_ms = 1 WHERE state = 'open'";
        sqlx::query(sql).execute(&mut self.connection).await.unwrap();
        self.connection.close().await.unwrap();
    }

    /// All videos have failed. Only of a server that does not run.
    pub(crate) async fn fail_videos(mut self) {
        let sql = "UPDATE video SET state = 'failed', generation = 0";
        sqlx::query(sql).execute(&mut self.connection).await.unwrap();
        self.connection.close().await.unwrap();
    }

    /// Nobody can read the row of any video any more. Only of a server that does not run.
    pub(crate) async fn spoil_videos(mut self) {
        self.rows("UPDATE video SET policy = 'spoilt'").await;
        self.connection.close().await.unwrap();
    }

    /// Every object that is not proven gone.
    pub(crate) async fn objects(&mut self) -> BTreeMap<String, Kept> {
        let sql = "SELECT l.object_id, l.state, o.size_bytes FROM ledger l
                   LEFT JOIN object o ON o.id = l.object_id WHERE l.state <> 'gone' AND l.object_id IS NOT NULL";
        let kept = |row: &SqliteRow| Kept {
            state: row.get(1),
            size: row.get::<Option<i64>, _>(2).map(i64::cast_unsigned),
        };
        self.rows(sql).await.iter().map(|row| (id::<Object>(row, 0), kept(row))).collect()
    }

    /// The source of a video.
    pub(crate) async fn source(&mut self, video: &str) -> Source {
        let sql = "SELECT v.id, v.source_id, o.size_bytes FROM video v JOIN object o ON o.id = v.source_id";
        let rows = self.rows(sql).await;
        let row = rows.iter().find(|row| id::<Video>(row, 0) == video).expect("because the video is there");
        Source { object: id::<Object>(row, 1), size: row.get::<i64, _>(2).cast_unsigned() }
    }

    /// Bytes that went out, by the account.
    pub(crate) async fn sent(&mut self) -> u64 {
        let sum: i64 = self.rows("SELECT COALESCE(sum(bytes), 0) FROM egress").await[0].get(0);
        sum.cast_unsigned()
    }

    /// Every video with its state and the topics of its events, oldest first.
    pub(crate) async fn histories(&mut self) -> Vec<(String, String, bool, Vec<String>)> {
        let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in self.rows("SELECT subject, topic FROM event ORDER BY seq").await {
            topics.entry(row.get(0)).or_default().push(row.get(1));
        }
        let videos =
            self.rows("SELECT id, state, playable_ms IS NOT NULL FROM video WHERE deleted_ms IS NULL").await;
        let history = |row: &SqliteRow| {
            let video = id::<Video>(row, 0);
            let topics = topics.get(&video).cloned().unwrap_or_default();
            (video, row.get(1), row.get(2), topics)
        };
        videos.iter().map(history).collect()
    }

    /// Uploads as (id, state, topics of their events).
    pub(crate) async fn uploads(&mut self) -> Vec<(String, String, Vec<String>)> {
        let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in self.rows("SELECT subject, topic FROM event ORDER BY seq").await {
            topics.entry(row.get(0)).or_default().push(row.get(1));
        }
        let uploads =
            self.rows("SELECT id, state FROM upload WHERE concat IS NULL OR concat <> 'partial'").await;
        let upload = |row: &SqliteRow| {
            let upload = id::<matinee_core::id::Upload>(row, 0);
            (upload.clone(), row.get(1), topics.get(&upload).cloned().unwrap_or_default())
        };
        uploads.iter().map(upload).collect()
    }

    /// What is known of a video besides its bytes.
    pub(crate) async fn facts(&mut self, video: &str) -> serde_json::Value {
        let rows = self.rows("SELECT id, facts FROM video").await;
        let row = rows.iter().find(|row| id::<Video>(row, 0) == video).expect("because the video is there");
        serde_json::from_str(row.get(1)).unwrap()
    }

    /// Every event of Zoom as (meeting, deliveries).
    pub(crate) async fn zoom_events(&mut self) -> Vec<(String, i64)> {
        let rows = self.rows("SELECT meeting_uuid, deliveries FROM zoom_event").await;
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Every job as (kind, attempts, state).
    pub(crate) async fn attempts(&mut self) -> Vec<(String, i64, i64)> {
        let sql = "SELECT kind, (SELECT count(*) FROM job_attempt a WHERE a.job_id = job.id), state FROM job";
        self.rows(sql).await.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// How each ended attempt of jobs of a kind ended, oldest first.
    pub(crate) async fn outcomes(&mut self, kind: &str) -> Vec<String> {
        let sql = "SELECT j.kind, a.outcome FROM job_attempt a JOIN job j ON j.id = a.job_id
                   WHERE a.outcome IS NOT NULL ORDER BY a.ended_ms";
        let rows = self.rows(sql).await;
        let of_kind = rows.iter().filter(|row| row.get::<String, _>(0) == kind);
        of_kind.map(|row| row.get(1)).collect()
    }

    /// Who has done the jobs of each kind: the names of nodes and runners.
    pub(crate) async fn workers(&mut self, kind: &str) -> BTreeSet<String> {
        let sql = "SELECT j.kind, a.holder FROM job_attempt a JOIN job j ON j.id = a.job_id WHERE a.outcome = 'done'";
        let rows = self.rows(sql).await;
        let of_kind = rows.iter().filter(|row| row.get::<String, _>(0) == kind);
        of_kind.map(|row| row.get::<String, _>(1).split('/').next().unwrap().to_owned()).collect()
    }

    /// Gives an upload another secret in its address.
    pub(crate) async fn give_address(&mut self, old: &str, new: &str) {
        let changed = sqlx::query("UPDATE upload SET url_key = ?2 WHERE url_key = ?1").bind(old).bind(new);
        assert_eq!(changed.execute(&mut self.connection).await.unwrap().rows_affected(), 1);
    }

    /// The BLAKE3 hash of an object, and the hashes of its slabs.
    pub(crate) async fn hashes(&mut self, object: &str) -> (Option<Vec<u8>>, usize) {
        let rows = self
            .rows("SELECT id, blake3, (SELECT count(*) FROM slab WHERE object_id = id) FROM object")
            .await;
        let row =
            rows.iter().find(|row| id::<Object>(row, 0) == object).expect("because the object is there");
        (row.get(1), usize::try_from(row.get::<i64, _>(2)).unwrap())
    }

    /// What hosts may hold that is not proven gone: its state, how often a deletion has failed, and why the last one has.
    pub(crate) async fn at_hosts(&mut self) -> Vec<(String, i64, Option<String>)> {
        let sql = "SELECT state, attempts, last_error FROM ledger WHERE publication_id IS NOT NULL AND state <> 'gone'";
        self.rows(sql).await.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// How many things outside are not proven gone.
    pub(crate) async fn owed(&mut self) -> u64 {
        self.rows("SELECT count(*) FROM ledger WHERE state <> 'gone'").await[0]
            .get::<i64, _>(0)
            .cast_unsigned()
    }

    /// The same at one place.
    pub(crate) async fn owed_at(&mut self, place: &str) -> u64 {
        let sql = "SELECT count(*) FROM ledger WHERE state <> 'gone' AND place = ?1";
        let count = sqlx::query_scalar::<_, i64>(sql).bind(place);
        count.fetch_one(&mut self.connection).await.unwrap().cast_unsigned()
    }

    /// How many are.
    pub(crate) async fn proven(&mut self) -> u64 {
        let sql = "SELECT count(*) FROM ledger WHERE state = 'gone' AND proof IS NOT NULL";
        self.rows(sql).await[0].get::<i64, _>(0).cast_unsigned()
    }

    /// No job waits, and all publications are ready. Only of a server that does not run.
    pub(crate) async fn all_is_done(mut self) {
        for sql in [
            "DELETE FROM job",
            "UPDATE video SET state = 'ready'",
            "UPDATE publication SET phase = 'ready', next_ask_ms = NULL, target = NULL",
        ] {
            self.rows(sql).await;
        }
        self.connection.close().await.unwrap();
    }

    /// As if two days had gone by since something was found that no row knows.
    pub(crate) async fn two_days_pass(mut self) {
        self.rows("UPDATE unknown_thing SET first_ms = first_ms - 172800000").await;
        self.connection.close().await.unwrap();
    }

    /// As if the machine had been started anew since all uploads were written.
    pub(crate) async fn forget_boot(&mut self) {
        self.rows("UPDATE upload SET boot = 'another'").await;
    }

    /// As if no byte of any upload had come for so long.
    pub(crate) async fn silence(&mut self, ms: i64) {
        let silent = sqlx::query("UPDATE upload SET updated_ms = updated_ms - ?1").bind(ms);
        silent.execute(&mut self.connection).await.unwrap();
    }

    /// The names of all objects that lie in the store of this data folder.
    pub(crate) fn stored(data: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for shard in std::fs::read_dir(data.join("objects")).unwrap().flatten() {
            let files = std::fs::read_dir(shard.path()).unwrap().flatten();
            found.extend(files.map(|file| file.file_name().to_str().unwrap().to_owned()));
        }
        found
    }
}

fn id<N: Noun>(row: &SqliteRow, at: usize) -> String {
    let bytes: Vec<u8> = row.get(at);
    Id::<N>::from_bits(u128::from_be_bytes(bytes.try_into().unwrap())).to_string()
}

/// What the tests of several nodes ask PostgreSQL.
pub(crate) mod asks {
    /// How far each upload is.
    pub(crate) const OFFSETS: &str = "SELECT offset_bytes FROM upload";
    /// Which node looks through the watched folder.
    pub(crate) const LOOKS: &str = "SELECT holder FROM look";
    /// How many objects gave way to others of the same upload.
    pub(crate) const SUPERSEDED: &str = "SELECT count(*) FROM ledger WHERE reason = 'superseded'";
    /// How often a video was said to be ready.
    pub(crate) const TOLD_READY: &str = "SELECT count(*) FROM event WHERE topic = 'video.ready'";
    /// How many videos are ready.
    pub(crate) const READY: &str = "SELECT count(*) FROM video WHERE state = 'ready'";
    /// The hash of each source.
    pub(crate) const HASHES: &str = "SELECT o.blake3 FROM video v JOIN object o ON o.id = v.source_id";
    /// Something that is not gone.
    pub(crate) const LIVING: &str = "SELECT 1 FROM ledger WHERE state <> 'gone'";
    /// The same, with why it is there.
    pub(crate) const LEFT: &str = "SELECT object_id::text, state, reason FROM ledger WHERE state <> 'gone'";
}
