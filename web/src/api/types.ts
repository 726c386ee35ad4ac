// The server's words: the JSON of its REST API, as sent. Times are RFC 3339 texts in UTC.

/** Why something was refused or failed, in words for a person. */
export interface Reason {
  code: string;
  human: string;
  fix: string;
}

/** An error answer (`application/problem+json`, RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  fix: string;
  request_id: string;
}

export interface Server {
  version: string;
  claimed: boolean;
  actor: { kind: 'newcomer' | 'session' | 'token' | 'nobody'; scopes: string[] };
  upload: { max_bytes: number; endpoint: string };
}

type UploadState =
  | 'waiting'
  | 'uploading'
  | 'stalled'
  | 'processing'
  | 'ready'
  | 'failed'
  | 'cancelled'
  | 'expired';

export interface Upload {
  id: string;
  video_id: string;
  state: UploadState;
  title: string;
  size_bytes: number | null;
  offset_bytes: number;
  protocol: 'tus' | 'resumable' | 'form' | 'path' | 'url' | 'zoom' | 'bucket' | 'direct';
  upload_url: string | null;
  expires_at: string;
  created_at: string;
  reason: Reason | null;
}

type StepState = 'waiting' | 'running' | 'done' | 'failed';

export interface Step {
  id: string;
  label: string;
  state: StepState;
  progress: number;
}

type RenditionState = 'waiting' | 'encoding' | 'ready' | 'failed';

export interface Rendition {
  id: string;
  medium: 'video' | 'audio';
  /** Nobody waits for it: a video is ready without it. */
  background: boolean;
  state: RenditionState;
  progress: number;
  width: number | null;
  height: number | null;
  frame_rate: number | null;
  codec: string | null;
  language: string | null;
  label: string | null;
  channels: number | null;
  /** Where its pipeline brings sounds to one loudness. */
  loudness: { measured_lufs: number; gain_db: number } | null;
  bytes: number | null;
  bandwidth: number | null;
  reason: Reason | null;
}

/** One size, as short samples of it came out. */
export interface Judged {
  short_side: number;
  ssim: number;
  bytes: number;
  made: boolean;
}

/** The words of a video in one language. */
export interface Caption {
  id: string;
  language: string | null;
  label: string | null;
  forced: boolean;
  added: boolean;
  state: 'waiting' | 'ready' | 'failed' | 'unsupported';
  reason: Reason | null;
}

export interface Source {
  size_bytes: number;
  container: string;
  video: { codec: string; width: number; height: number; frame_rate: number } | null;
  audio: { codec: string; channels: number } | null;
}

/** The addresses a player needs. */
interface Addresses {
  hls: string;
  dash: string | null;
  mp4: string | null;
  /** VP9 and Opus, when they are made. */
  webm: string | null;
  poster: string | null;
  /** A WebVTT track of small pictures, made after all sizes. */
  storyboard: string | null;
  /** A still of any time: `?t=` in seconds and `&w=` in pixels. */
  thumbnail_dynamic: string | null;
  /** A few silent seconds for cards. */
  preview: string | null;
}

/** By which pipeline something is made. */
interface MadeBy {
  name: string;
  version: number | null;
}

/** Another generation of a video, made while the one before plays on. */
interface Remake {
  state: 'running' | 'failed' | 'cancelled';
  pipeline: MadeBy;
  progress: { overall: number; steps: Step[] };
  reason: Reason | null;
  started_at: string;
  ended_at: string | null;
}

/** The fields of a pipeline; the page knows some of them, and keeps the others. */
/** A picture that is burnt into every size. */
export interface Watermark {
  /** `data:image/png;base64,`; missing in a list. */
  picture?: string;
  width_percent: number;
  opacity_percent: number;
  corner: string;
  x: number;
  y: number;
  keep_unmarked?: boolean;
}

/** An address that is called with what is known of a video. */
export interface PipelineStep {
  name: string;
  after: string;
  call: string;
}

export interface Template {
  quality: string;
  as_is?: boolean;
  sizes: number[];
  codecs?: string[];
  hdr?: string;
  poster: string;
  surround: boolean;
  loudness_lufs?: number;
  strict?: boolean;
  hardware?: boolean;
  priority: number;
  watermark?: Watermark;
  step?: PipelineStep[];
}

/** A thing outside that takes room or costs money, or did. */
export interface LedgerEntry {
  id: string;
  video_id: string;
  place: string;
  kind: string;
  state: 'intended' | 'present' | 'to_delete' | 'gone';
  attempts: number;
  next_try_at: string | null;
  last_error: string | null;
  proven_at: string | null;
}

/** How much is in one state at one place. */
export interface LedgerSum {
  place: string;
  state: LedgerEntry['state'];
  things: number;
  bytes: number;
  failing: number;
}

export interface Ledger extends Page<LedgerEntry> {
  sums: LedgerSum[];
}

export interface Pipeline extends Template {
  name: string;
  version: number | null;
  origin: 'file' | 'app' | 'built_in';
  created_at: string | null;
  archived_at: string | null;
}

export interface PlannedTrack {
  id: string;
  medium: 'video' | 'audio';
  width: number | null;
  height: number | null;
  language: string | null;
  channels: number | null;
  max_kbps: number;
}

/** What would be made of a video. */
export interface Planned {
  duration: number;
  as_is: boolean;
  renditions: PlannedTrack[];
  notes: string[];
  cpu_s: number;
  output_bytes: number;
  cost: { currency: string; encode: number | null; month: number | null } | null;
}

export interface Video {
  id: string;
  upload_id: string;
  title: string;
  state: 'processing' | 'ready' | 'failed';
  playable: boolean;
  policy: 'app' | 'public';
  duration: number | null;
  created_at: string;
  playable_at: string | null;
  ready_at: string | null;
  reason: Reason | null;
  damaged: Reason | null;
  progress: { overall: number; steps: Step[] };
  forecast: { ready_in_s: number; speed: number | null } | null;
  run_after: string | null;
  /** Null for who only has its public link; so is `remake`. */
  pipeline: MadeBy | null;
  remake: Remake | null;
  source: Source | null;
  renditions: Rendition[];
  judged: Judged[];
  captions: Caption[];
  playback: Addresses | null;
  publications: Publication[];
}

interface Download {
  id: string;
  label: string;
  url: string;
  bytes: number;
  file_name: string;
}

export interface Playback extends Addresses {
  /** Where it can be played, in the order in which a player tries. */
  places: { place: string; hls: string }[];
  duration: number;
  growing: boolean;
  expires_at: string;
  /** `default`: shown unless the viewer chooses otherwise. */
  captions: (Caption & { default: boolean; url: string })[];
  chapters: string | null;
  downloads: Download[];
}

export type JobGroup = 'running' | 'waiting' | 'retrying' | 'stuck' | 'over';

/** A piece of work. */
export interface Job {
  id: string;
  kind: string;
  human: string;
  state: 'blocked' | 'ready' | 'leased' | 'done' | 'dead' | 'cancelled';
  video_id: string | null;
  title: string | null;
  attempt: number;
  priority: number;
  progress: number;
  fps: number | null;
  speed: number | null;
  left_s: number | null;
  node: string | null;
  stopping: boolean;
  waits: { code: string; human: string } | null;
  last_error: Reason | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  run_at: string;
}

/** A group of jobs, with how many are in each. */
export interface JobList {
  items: Job[];
  next: string | null;
  groups: { running: number; waiting: number; retrying: number; stuck: number } | null;
  paused_at: string | null;
}

/** One run of a program. */
interface JobRun {
  program: string;
  args: string[];
  stderr: string;
  fault: string | null;
  cpu_s: number;
  memory_bytes: number;
  ended: boolean;
}

export interface JobAttempt {
  attempt: number;
  node: string;
  started_at: string;
  ended_at: string | null;
  outcome: string | null;
  error: Reason | null;
  runs: JobRun[];
}

/** A job with all that is known of it. */
export interface JobDetail extends Job {
  memory_bytes: number;
  attempts: JobAttempt[];
  needs: { id: string; kind: string; state: string }[];
}

/** A server that works. */
export interface NodeState {
  id: string;
  state: 'running' | 'drained' | 'stopped' | 'lost';
  version: string;
  cores: number;
  load: number | null;
  memory_bytes: number;
  memory_used_bytes: number;
  running: number;
  concurrency: number | null;
  slots: Record<string, number>;
  disk_used_percent: number | null;
  disk_full: boolean;
  ffmpeg: string | null;
  pace: Record<string, number>;
  started_at: string;
  seen_at: string;
  drained_at: string | null;
}

export interface TimelineItem {
  at: string;
  ended_at: string | null;
  kind: 'event' | 'job';
  name: string;
  human: string;
  outcome: string | null;
  attempt: number | null;
  progress: number | null;
}

/** A job that a runner works on. */
/** A store, and how it stands. */
export interface Store {
  id: string;
  place: string;
  class: 'replica' | 'archive';
  domain: string;
  state: 'working' | 'away' | 'elsewhere' | 'draining' | 'lost';
  away_since: string | null;
  error: string | null;
  objects: number;
  bytes: number;
  waiting_objects: number;
  waiting_bytes: number;
  waiting_since: string | null;
  bad_objects: number;
  leaving_objects: number;
  scrubbed_since: string | null;
  facts: string[];
  tried: string | null;
  found: string[];
  compared: string | null;
}

interface RunnerJob {
  id: string;
  kind: string;
  video_id: string | null;
  attempt: number;
  progress: number;
}

/** A machine that works for this server. */
export interface Runner {
  id: string;
  name: string;
  state: 'invited' | 'active' | 'draining' | 'revoked';
  reason: Reason | null;
  kinds: string[];
  online: boolean;
  version: string;
  ffmpeg: string;
  cores: number;
  memory_bytes: number;
  /** Its encoders in hardware: kind, `-`, and a hash of what each made of a known picture. */
  engines: string[];
  slots: number;
  jobs: RunnerJob[];
  created_at: string;
  invited_until: string;
  seen_at: string | null;
}

/** An address that is told what happens. */
export interface Webhook {
  id: string;
  url: string;
  topics: string[];
  description: string;
  active: boolean;
  state: 'active' | 'paused' | 'gone' | 'failing';
  waiting: number;
  failures: number;
  failing_since: string | null;
  rests_until: string | null;
  old_secret_until: string | null;
  created_at: string;
}

/** The same with a secret that is shown once. */
export interface MadeWebhook extends Webhook {
  secret: string;
}

/** One call of such an address. */
export interface Try {
  at: string;
  took_ms: number;
  status: number | null;
  answer: string | null;
  error: string | null;
}

/** One event for one such address. */
export interface Delivery {
  event_id: string;
  topic: string;
  state: 'waiting' | 'delivered' | 'failed';
  attempts: number;
  next_at: string | null;
  created_at: string;
  ended_at: string | null;
  tries: Try[];
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** A video at a host. */
export interface Publication {
  id: string;
  host: string;
  state: 'waiting' | 'uploading' | 'processing' | 'playable' | 'ready' | 'failed';
  percent: number | null;
  /** Since when the host does not answer. */
  stalled_since: string | null;
  sent_bytes: number;
  size_bytes: number | null;
  reason: Reason | null;
  /** Whether it is sent or fetched by the host; null until the host was asked. */
  hand_over: 'push' | 'pull' | null;
  /** Why it is sent, where the host was to fetch it. */
  pull_refused: Reason | null;
  /** Our captions there; `refused` says why the host did not take them. */
  captions: { language: string; refused: string | null }[];
  /** The video as a file there, where that was asked for. */
  download: { state: 'making' | 'ready' | 'failed'; percent: number | null; url: string | null } | null;
  /** Whether the host was given what our archive has. */
  original: 'same' | 'differs' | null;
  /** The video is nowhere else. */
  only_place: boolean;
  playback: { hls: string } | null;
  updated_at: string;
}
