//! Every named limit with its reason. A limit that is not here does not exist.

mod host;

pub use self::host::*;

/// Target length of a segment in milliseconds: short enough to start and switch quickly, long enough to compress.
pub const SEGMENT_MS: u32 = 4_000;

/// How much earlier than [`SEGMENT_MS`] a key frame of a source may begin a segment, in milliseconds: times are rounded.
pub const CUT_EARLY_MS: u32 = 10;

/// The largest distance of key frames of a source that is played as it is, in milliseconds: each segment needs one, and
/// players wait for whole segments.
pub const KEY_FRAME_GAP_MS: u32 = 10_500;

/// What an edit list may hide at the end of a source that is played as it is, in milliseconds: the padding of a few
/// frames of sound, not a cut made by a person.
pub const SOURCE_TRIM_MS: u32 = 100;

/// How late a track of a source that is played as it is may begin, in milliseconds: players wait where one track has a gap.
pub const SOURCE_LATE_MS: u32 = 500;

/// Most bytes of `moov`, and of all `moof` boxes of a file together: 12 hours of two tracks are below 100 MB.
pub const INDEX_BYTES_MAX: u64 = 256 << 20;

/// Most bytes of the index of a source that is played while it arrives, and of a tail that is sent before the rest: it is
/// read before anything else of the source is known to be true, and 12 hours of one track fit.
pub const EARLY_INDEX_BYTES_MAX: u64 = 32 << 20;

/// Most samples of a source that is played while it arrives: its layout is kept in memory, about 10 bytes for each; ten
/// hours of pictures and sound.
pub const EARLY_SAMPLES_MAX: usize = 4_000_000;

/// Most tracks of one file; ffprobe stops at 1,000 streams as well, and no honest file comes near.
pub const INDEX_TRACKS_MAX: u64 = 1_000;

/// Bytes read at every box before the index, so that a small index costs no round trip of its own.
pub const INDEX_READ_AHEAD_BYTES: u64 = 64 << 10;

/// Least bytes read at every box behind the index, so that short boxes share a round trip.
pub const INDEX_READ_MIN_BYTES: u64 = 4 << 10;

/// Largest picture width of a source; 16384x8192 took 1.1 GB to encode from a file of 395 kB.
pub const SOURCE_WIDTH_MAX: u32 = 8_192;

/// Largest picture height of a source, for the same reason as the width; a portrait source swaps the two.
pub const SOURCE_HEIGHT_MAX: u32 = 4_320;

/// Most pixels per picture of a source: 40 binary megapixels, what `-max_pixels` tells ffmpeg, too.
pub const SOURCE_PIXELS_MAX: u64 = 41_943_040;

/// Most streams of a source; what `-max_streams` tells ffmpeg, too.
pub const SOURCE_STREAMS_MAX: u32 = 64;

/// Most bytes of ffprobe's JSON that are parsed: 64 streams with long metadata fit many times.
pub const PROBE_JSON_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most lines of ffprobe's packet list: 12 h of 60 pictures and four audio tracks of 47 packets a second fit.
pub const PACKET_LINES_MAX: u64 = 16_000_000;

/// Longest line of ffprobe's packet list in bytes: five short numbers.
pub const PACKET_LINE_BYTES_MAX: usize = 512;

/// Most frames that one source may give: 12 h at 60 frames a second.
pub const PLAN_FRAMES_MAX: u64 = 2_592_000;

/// Held pictures that are always allowed, in seconds: a slide show of an hour is no attack.
pub const PLAN_HELD_S_MAX: u64 = 3_600;

/// Frames that a source may give per packet above `PLAN_HELD_S_MAX`; a time stamp gap of 10 h gives thousands.
pub const PLAN_FRAMES_PER_PACKET_MAX: u64 = 20;

/// A longer silence between two packets, in microseconds, is reported as a gap.
pub const PLAN_GAP_US_MAX: i64 = 10_000_000;

/// A gap is that many times as long as the usual interval between two pictures.
pub const PLAN_GAP_INTERVALS: i64 = 4;

/// Address space of an ffmpeg process in bytes; the sandbox trial ran with it.
pub const FFMPEG_ADDRESS_SPACE_BYTES: u64 = 6 * 1024 * 1024 * 1024;

/// The same with a driver of hardware, which maps the memory of the card and of the machine without using it.
pub const HARDWARE_ADDRESS_SPACE_BYTES: u64 = 1 << 40;

/// Chunks that one engine encodes at once. Each has up to seven sizes, and NVIDIA's cards for consumers encode eight streams.
pub const ENGINE_SLOTS: u32 = 1;

/// How long a job waits for a machine that has its engine, in milliseconds: longer than a restart, shorter than patience.
pub const ENGINE_AWAY_MS: i64 = 300_000;

/// How long an encoder in hardware may take for the second of its trial, in milliseconds; drivers that hang are known.
pub const TRIAL_MS: u64 = 20_000;

/// Wall and CPU limits are this many times the estimate: machines differ, and a limit only stops the endless.
pub const PLAN_TIME_FACTOR: u64 = 20;

/// Smallest CPU or wall limit of a job in seconds, so that a loaded machine does not kill short jobs.
pub const PLAN_TIME_S_MIN: u64 = 300;

/// The first wait in milliseconds after a failed delete: a passing fault is over by then.
pub const LEDGER_BACKOFF_FIRST_MS: i64 = 2_000;

/// An object that no row explains is kept for so many milliseconds: long enough to notice that a backup of yesterday was restored.
pub const QUARANTINE_MS: i64 = 48 * 3_600_000;

/// The longest wait in milliseconds between two tries to delete: an operator who repaired a store sees it used soon.
pub const LEDGER_BACKOFF_MAX_MS: i64 = 3_600_000;

/// How long replaced objects stay in milliseconds, for players that have just loaded a playlist which names them.
pub const REPLACED_GRACE_MS: i64 = 60_000;

/// How long a holder owns a job without a word: a killed node costs at most this, and a pause of some seconds nothing.
pub const LEASE_MS: i64 = 30_000;

/// How often a holder renews: two may fail before the lease ends.
pub const LEASE_RENEW_MS: i64 = 10_000;

/// How long a runner that asks for work is kept waiting, in milliseconds: proxies end what rests for a minute.
pub const RUNNER_POLL_MS: u64 = 30_000;

/// How often work is looked for while it waits and nobody has said that there is some, in milliseconds: only retries come
/// so, and a thousand idle runners must cost little.
pub const RUNNER_LOOK_MS: u64 = 5_000;

/// How long the address of an object is good for a runner, in milliseconds: it gets fresh ones with each renewal, so a
/// leaked one is soon worth nothing, and a large file may fail a few times within.
pub const RUNNER_URL_MS: i64 = 120_000;

/// How long a registration token can be used, in milliseconds: a day is enough to walk to another machine.
pub const RUNNER_INVITE_MS: i64 = 86_400_000;

/// How exactly it is known when a runner was last heard of, in milliseconds: each renewal would be a write too many.
pub const RUNNER_SEEN_MS: i64 = 5_000;

/// Sounds of one node that are encoded side by side, when it has as many slots: each needs one core and little memory, and more
/// would only take the cores from the pictures.
pub const SOUNDS_AT_ONCE: u32 = 4;

/// Most bytes of one file that a runner makes: what the sandbox lets ffmpeg write at most.
pub const RUNNER_OUTPUT_BYTES_MAX: u64 = 20 << 30;

/// Most jobs of one runner at the same time: the largest machines have as many cores.
pub const RUNNER_SLOTS_MAX: u32 = 512;

/// Most characters of a text that a runner says about a failure; ffmpeg's last words have 64 KiB.
pub const RUNNER_WORDS_MAX: usize = 8_192;

/// What a runner tells of the programs of one attempt, as JSON: the last of them with all their last words, and well below what
/// a request may have.
pub const RUNNER_RUNS_BYTES_MAX: usize = 32 << 10;

/// How often ended leases are looked for: a lost job starts again within the lease and this.
pub const REAP_MS: i64 = 5_000;

/// How long a node writes an upload without a word, in milliseconds: each commit of an offset is one, every 2 s.
pub const UPLOAD_HOLD_MS: i64 = 10_000;

/// So often it says so while nothing arrives, in milliseconds: two of these may be lost.
pub const UPLOAD_KEEP_MS: u64 = 3_000;

/// How long another node waits for an answer of the one that writes, in milliseconds: no client is told longer than a
/// second that its upload is busy.
pub const UPLOAD_ASK_MS: u64 = 1_000;

/// How long a node looks through a folder or a bucket alone beyond its next look, in milliseconds: so long after its
/// death another one does, and a slow look on a network drive is not taken for that.
pub const LOOK_HOLD_MS: i64 = 15_000;

/// Added to the order of jobs in the background: far more than any pipeline's priority, so that they come behind everything
/// that somebody waits for, whoever that is.
pub const BACKGROUND_PRIO: i64 = 1_000_000;

/// From here on a job is one of the background: half of the above, which leaves room for every priority.
pub const BACKGROUND_PRIO_MIN: i64 = BACKGROUND_PRIO / 2;

/// The shortest wait before another attempt: what is broken needs a moment.
pub const RETRY_WAIT_MIN_MS: i64 = 10_000;

/// The shortest wait after an encoder broke down: the same source breaks it down at any time, and there are two more tries only,
/// so nothing is gained by making somebody wait for them. A machine that was out of memory has a moment.
pub const CRASH_WAIT_MIN_MS: i64 = 1_000;

/// The longest wait before another attempt: nobody likes to wait longer for a disk that was emptied.
pub const RETRY_WAIT_MAX_MS: i64 = 3_600_000;

/// Crashes after which a job is repeated as it was.
pub const CRASHES_PLAIN_MAX: u32 = 1;

/// Crashes after which a job is repeated at all.
pub const CRASHES_MAX: u32 = 2;

/// Lost leases in a row from which on each counts as a crash: the job kills its worker.
pub const LOST_IN_A_ROW_MAX: u32 = 5;
/// How exactly the last use of a token is known: a write for each request would be one too many.
pub const TOKEN_TOUCH_MS: i64 = 60_000;

/// A new upload is refused when less than this would be left on the disk, in bytes: databases and logs need room.
pub const FREE_BYTES_MIN: u64 = 256 << 20;

/// A body without a byte for so long is ended, in milliseconds; what arrived is kept.
pub const BODY_IDLE_MS: u64 = 60_000;

/// A request that a newer one takes over is done when nothing came for so long, in milliseconds: what the kernel holds
/// comes at once.
pub const PARTING_IDLE_MS: u64 = 10;

/// It is ended after this in any case, in milliseconds: the newer request shall have its answer within 200.
pub const PARTING_MS: u64 = 120;

/// Bytes of an upload that stopped coming for so long make it stalled, in milliseconds: as long as a silent request may
/// last, and many times the distance between two commits.
pub const STALLED_MS: i64 = 60_000;

/// Bytes of a body between two durable commits.
pub const COMMIT_BYTES: u64 = 64 << 20;

/// Milliseconds of a body between two durable commits.
pub const COMMIT_MS: u64 = 2_000;

/// Most parts of one final upload: all their addresses must fit into one header of 128 KiB.
pub const CONCAT_PARTS_MAX: usize = 1_000;

/// A part stays for so long after it was joined, in milliseconds: another final upload may name it, too.
pub const JOINED_PART_MS: i64 = 600_000;

/// The window over which the pace of a body is measured, in milliseconds.
pub const PACE_WINDOW_MS: u64 = 120_000;

/// 1 KiB/s over [`PACE_WINDOW_MS`]: slower is an attack, or a connection that is dead already.
pub const PACE_BYTES_PER_S_MIN: u64 = 1 << 10;

/// Buffers of all uploads together, in bytes: two of 1 MiB for a few fast ones, two of 64 KiB for hundreds.
pub const INGEST_MEMORY_BYTES: usize = 64 << 20;

/// After a request was refused its body is read on for so long, in milliseconds, so that the answer is not lost by a
/// reset (RFC 9112, section 9.6).
pub const LINGER_MS: u64 = 30_000;

/// That ends when nothing came for so long, in milliseconds.
pub const LINGER_IDLE_MS: u64 = 5_000;

/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 200;

/// How often the progress of a job is saved when it changed, in milliseconds.
pub const PROGRESS_MS: u64 = 1_000;

/// Microseconds of sound in the first part: as soon as the first picture can be there.
pub const AUDIO_FIRST_PART_US: i64 = 12_000_000;

/// Microseconds of sound in each further part.
pub const AUDIO_PART_US: i64 = 60_000_000;

/// Bytes of one file of captions: ten times the subtitles of a long film, so that styled ones fit, too.
pub const CAPTION_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Cues of one file of captions: two each second for twelve hours.
pub const CAPTION_CUES_MAX: usize = 86_400;

/// Chapters of one video; more are no help to anybody.
pub const CHAPTERS_MAX: usize = 1_000;

/// Captions that people add to one video; more than there are official languages anywhere.
pub const CAPTIONS_ADDED_MAX: u32 = 100;

/// How long segment tables of a finished video are used without a look at the database, in milliseconds; a video
/// that another node deleted is gone here after this.
pub const SHELF_ENDED_MS: i64 = 5_000;

/// The same for a growing video: a new chunk is seen within this.
pub const SHELF_GROWING_MS: i64 = 500;

/// How often the segments of a video are looked at again when they were moved while they were read.
pub const SHELF_READS: u32 = 16;

/// The least bound of a segment's length in seconds: two groups of pictures of 2 s, and sound a quarter longer.
pub const TARGET_DURATION_S: u32 = 6;

/// Most pipelines of one app: more are made by a program that went wrong.
pub const PIPELINES_MAX: u32 = 50;

/// Most bytes of all versions of all pipelines of one app, which count against no quota: those with the largest watermark
/// are 80 versions.
pub const PIPELINES_BYTES_MAX: u64 = 32 << 20;

/// The longest text of a pipeline in bytes: the picture of its watermark as base64, and little else.
pub const PIPELINE_BYTES_MAX: usize = WATERMARK_BYTES_MAX * 4 / 3 + (64 << 10);

/// Most versions of one pipeline, for the same reason.
pub const PIPELINE_VERSIONS_MAX: u32 = 100;

/// Most generations of a video that are kept at once only for those who know their addresses: each is a whole ladder, and
/// stays for hours. Who has so many asks again when the oldest is gone.
pub const RETIRED_GENERATIONS_MAX: u32 = 3;

/// Added to how long a retired generation is kept, in milliseconds: what was on its way when it was retired, and clocks of
/// nodes that differ by minutes.
pub const RETIRED_SLACK_MS: i64 = 5 * 60_000;

/// Shortest life of a token in a media path, in milliseconds.
pub const PATH_TOKEN_MS: i64 = 6 * 3_600_000;

/// The end of such a token is rounded up to whole hours, in milliseconds: pages that are loaded again get the same
/// addresses, and caches keep working.
pub const PATH_TOKEN_ROUND_MS: i64 = 3_600_000;

/// Life of a browser's session, in milliseconds.
pub const SESSION_MS: i64 = 30 * 86_400_000;

/// The sweeper prunes once in so many rounds of the reaper.
pub const PRUNE_ROUNDS: u64 = 12;

/// An object that is still only intended after this, with no attempt that writes it, goes, in milliseconds.
pub const INTENDED_GRACE_MS: i64 = 60_000;

/// A finished upload answers for so long, in milliseconds.
pub const FINISHED_UPLOAD_MS: i64 = 3_600_000;

/// Done jobs are kept for so long, in milliseconds.
pub const DONE_JOB_MS: i64 = 7 * 86_400_000;

/// Redirects that a fetch follows: a link shortener, a login and a content network are three.
pub const PULL_REDIRECTS_MAX: u32 = 5;

/// A connection to a source must stand within this, in milliseconds: one lost packet and its repeat.
pub const PULL_CONNECT_MS: u64 = 10_000;

/// The head of an answer must come within this, in milliseconds: a source may have to fetch the file itself first.
pub const PULL_HEAD_MS: u64 = 30_000;

/// A source that sends nothing for so long is taken as gone, in milliseconds.
pub const PULL_IDLE_MS: u64 = 30_000;

/// Connections in a row that brought no byte, until the attempt ends and waits.
pub const PULL_CUTS_MAX: u32 = 3;

/// Times that a file may turn out to be another one than before; then it is one that never stands still.
pub const PULL_RESTARTS_MAX: u32 = 5;

/// The longest address in bytes: signed links have about 2,000.
pub const PULL_URL_BYTES_MAX: usize = 8_192;

/// The longest JSON answer of a service in bytes: the recordings of one meeting are some kilobytes.
pub const PULL_JSON_BYTES_MAX: usize = 4 << 20;

/// What an upload lives longer than its source is waited for, in milliseconds: the longest wait before an attempt, twice.
pub const PULL_GRACE_MS: i64 = 2 * RETRY_WAIT_MAX_MS;

/// The longest name that an app may give a video, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 255;

/// What an app may tell of a video, in bytes of JSON: it is loaded with every look at the video.
pub const FACTS_BYTES_MAX: usize = 16 << 10;

/// How far the clock of Zoom may be ahead of ours, in milliseconds.
pub const ZOOM_AHEAD_MS: i64 = 300_000;

/// The largest event of Zoom in bytes: a meeting of hundreds of files fits.
pub const ZOOM_EVENT_BYTES_MAX: usize = 1 << 20;
/// What an upload of unknown length reserves of a quota at a time, in bytes: one durable commit never needs more.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// How long the address of an announced upload is good when nobody says it, in seconds: a day, as an idle upload has.
pub const SENDER_TOKEN_S: u64 = 86_400;

/// The shortest and the longest life of such an address, in seconds: a minute to begin, a week for a slow line.
pub const SENDER_TOKEN_S_RANGE: std::ops::RangeInclusive<u64> = 60..=604_800;

/// Origins that may send to one announced upload: a site and its neighbours.
pub const SENDER_ORIGINS_MAX: usize = 20;

/// Characters of the name of an app or a collection: it is shown in lists and typed on command lines.
pub const NAME_CHARS_MAX: usize = 100;

/// Videos or uploads that are deleted in one transaction: other writers wait some milliseconds at most.
pub const ERASE_BATCH: u32 = 50;

/// Events of a deleted app that are removed in one transaction, for the same reason.
pub const ERASE_EVENTS: u32 = 2_000;

/// A repeat with the same Idempotency-Key within this time is the same upload, in milliseconds.
pub const REPEAT_MS: i64 = 86_400_000;

/// How finely the moment of a still can be asked for, in milliseconds: a tenth of a second is finer than anybody points.
pub const THUMBNAIL_STEP_MS: u64 = 100;

/// The narrowest and the widest still that can be asked for, in pixels.
pub const THUMBNAIL_WIDTH_MIN: u32 = 16;
/// See [`THUMBNAIL_WIDTH_MIN`]: what fills a usual screen.
pub const THUMBNAIL_WIDTH_MAX: u32 = 1_920;

/// Widths of stills are multiples of this, in pixels: 24 different ones are enough for every page.
pub const THUMBNAIL_WIDTH_STEP: u32 = 80;

/// Stills that are kept on the disk of a node, in bytes: some ten thousand.
pub const THUMBNAIL_CACHE_BYTES: u64 = 256 << 20;

/// Stills that are made at once on a node: each costs a core for a moment, and encoding has to go on.
pub const STILLS_AT_ONCE: usize = 2;

/// Who may wait for their still; the others are asked to come again. At 0.2 s each the last one waits 3 s.
pub const STILLS_WAITING_MAX: usize = 30;

/// How often a still is tried of one file whose bytes give none: once more than once, for what was bad luck.
pub const STILL_TRIES_MAX: u32 = 2;

/// Stills that could not be made and are remembered on a node: a hundred bytes each.
pub const STILLS_REFUSED_MAX: usize = 8_192;

/// Posters that are made at once on a node while their owner waits; they do not wait behind what viewers ask for.
pub const POSTERS_AT_ONCE: usize = 1;

/// Who may wait for the poster that they chose.
pub const POSTERS_WAITING_MAX: usize = 8;

/// Sources that are looked through at once on a node for plans that somebody waits for, one of an app: each may read its
/// whole file.
pub const PLANS_AT_ONCE: usize = 2;

/// Who of one app may wait for a plan behind the one that is being made; the others are asked to come again.
pub const PLANS_WAITING_MAX: usize = 3;

/// Videos whose kept stills are looked at in one round of the sweeper: are they still wanted?
pub const THUMBNAIL_ROUND: usize = 200;

/// The largest picture of a watermark in bytes: a logo has a few thousand, and every pipeline that shows one carries it.
pub const WATERMARK_BYTES_MAX: usize = 256 << 10;

/// Most pixels of the picture of a watermark: more than any screen shows in a corner.
pub const WATERMARK_PIXELS_MAX: u64 = 4 << 20;

/// The largest picture that somebody may choose as a poster, in bytes: a photograph of a good camera.
pub const POSTER_BYTES_MAX: usize = 20 << 20;

/// With so many bytes free no disk is full, whatever the percentage: a dozen long videos with all their sizes.
pub const DISK_PLENTY_BYTES: u64 = 100 << 30;

/// A disk that is used so far, in percent, lets nothing new in (F5).
pub const DISK_ADMIT_PERCENT: u8 = 90;

/// A disk that is used so far, in percent, is not written to any more: what runs needs the rest (F5).
pub const DISK_WORK_PERCENT: u8 = 95;

/// How long a job may be without a step before it counts as stalled, at least, in milliseconds (F7).
pub const STALL_MS: i64 = 60_000;

/// A job whose steps are rare is stalled after so many of its median ones.
pub const STALL_STEPS: u64 = 20;

/// How long a server that stops lets those jobs go on that are nearly done, in milliseconds: containers are killed
/// after ten seconds.
pub const FINISH_WITHIN_MS: i64 = 8_000;

/// The sweeper says in one of so many rounds of the reaper that its node lives: 20 s.
pub const BEAT_ROUNDS: u64 = 4;

/// A node that has not said so for this long is taken as gone, in milliseconds: two may be lost.
pub const NODE_ALIVE_MS: i64 = 65_000;

/// A node that was seen within this counts when somebody asks whether any machine has enough memory, in milliseconds: one
/// that is mended overnight is no reason to give a job up.
pub const NODE_COUNTS_MS: i64 = 86_400_000;

/// A node is forgotten after this, in milliseconds.
pub const NODE_FORGOTTEN_MS: i64 = 7 * 86_400_000;

/// Of the machine's memory jobs may use this share, in percent, when nothing else is said: the rest is for the server,
/// the database and the page cache.
pub const MEMORY_PERCENT: u64 = 75;

/// What is kept of the standard error of a run that went well, in bytes; of a failed one all that there is.
pub const RUN_STDERR_BYTES: usize = 4 << 10;

/// Bytes of the beginning of a source in a reproducer: every demuxer decides within that.
pub const REPRODUCER_SOURCE_BYTES: u64 = 1 << 20;

/// Bytes of the index of a source in a reproducer, when it lies elsewhere: that of two hours.
pub const REPRODUCER_INDEX_BYTES: u64 = 8 << 20;

/// The farthest that a priority may be from the usual one, 0.
pub const PRIORITY_MAX: i64 = 100;

/// How long what waits before a video is remembered, in milliseconds: an estimate needs no more.
pub const QUEUE_REMEMBERED_MS: u64 = 5_000;

/// What goes out is added to the account so often, in milliseconds: a crash takes what was not added yet, and each time is a write.
pub const EGRESS_ADD_MS: i64 = 10_000;
