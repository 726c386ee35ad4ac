// A stand-in for the server while the pages are being made: the same answers, invented videos.
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';

const PORT = Number(process.env.PORT ?? 8080);
const RATE = Number(process.env.RATE ?? 8e6);
const DIST = new URL('../dist/', import.meta.url).pathname;
const MEDIA = join(tmpdir(), 'matinee-mock-media');
const CSP =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.mp4': 'video/mp4',
  '.m4s': 'video/iso.segment',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.jpg': 'image/jpeg',
};
const SIZES = [
  [1280, 720],
  [854, 480],
];

function makeMedia() {
  if (existsSync(join(MEDIA, 'm.m3u8'))) return;
  mkdirSync(MEDIA, { recursive: true });
  const sample = new URL('../public/sample/sample.mp4', import.meta.url).pathname;
  const run = (...argv) => execFileSync('ffmpeg', ['-v', 'error', '-y', ...argv]);
  const hls = ['-f', 'hls', '-hls_time', '4', '-hls_playlist_type', 'vod', '-hls_segment_type', 'fmp4'];
  const master = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="main",DEFAULT=YES,AUTOSELECT=YES,URI="a/v.m3u8"',
  ];
  for (const [w, h] of SIZES) {
    mkdirSync(join(MEDIA, String(h)), { recursive: true });
    run(
      '-stream_loop',
      '4',
      '-i',
      sample,
      '-an',
      '-vf',
      `scale=${w}:${h}`,
      '-c:v',
      'libx264',
      '-preset',
      'veryfast',
      '-g',
      '50',
      '-keyint_min',
      '50',
      '-sc_threshold',
      '0',
      ...hls,
      '-hls_fmp4_init_filename',
      'init.mp4',
      '-hls_segment_filename',
      join(MEDIA, String(h), '%d.m4s'),
      join(MEDIA, String(h), 'v.m3u8'),
    );
    master.push(
      `#EXT-X-STREAM-INF:BANDWIDTH=${h * 2500},RESOLUTION=${w}x${h},FRAME-RATE=25,CODECS="avc1.64001f,mp4a.40.2",AUDIO="a"`,
      `${h}/v.m3u8`,
    );
  }
  mkdirSync(join(MEDIA, 'a'), { recursive: true });
  run(
    '-stream_loop',
    '4',
    '-i',
    sample,
    '-vn',
    '-c:a',
    'copy',
    ...hls,
    '-hls_fmp4_init_filename',
    'init.mp4',
    '-hls_segment_filename',
    join(MEDIA, 'a', '%d.m4s'),
    join(MEDIA, 'a', 'v.m3u8'),
  );
  for (const [index, at] of [1, 4, 7, 9].entries())
    run('-ss', String(at), '-i', sample, '-frames:v', '1', '-q:v', '4', join(MEDIA, `poster${index}.jpg`));
  execFileSync('tee', [join(MEDIA, 'm.m3u8')], { input: `${master.join('\n')}\n` });
}

const now = Date.now();
const iso = (ms) => new Date(ms).toISOString();
const LABELS = [
  ['received', 'Received'],
  ['checked', 'Checked'],
  ['playable', 'Playable'],
  ['480', '480'],
  ['720', '720'],
  ['1080', '1080'],
];
const STARTS = [0, 0.2, 0.3, 0.35, 0.5, 0.7, 1];

function stepsAt(overall) {
  return LABELS.map(([id, label], index) => {
    const [from, to] = [STARTS[index], STARTS[index + 1]];
    const share = Math.min(1, Math.max(0, (overall - from) / (to - from)));
    return { id, label, state: share >= 1 ? 'done' : share > 0 ? 'running' : 'waiting', progress: share };
  });
}
function rendition(h, share, dur) {
  const w = Math.round((h * 16) / 18) * 2;
  const ready = share >= 1;
  return {
    id: `h264-${h}`,
    medium: 'video',
    background: false,
    state: ready ? 'ready' : share > 0 ? 'encoding' : 'waiting',
    progress: share,
    width: w,
    height: h,
    frame_rate: 25,
    codec: 'avc1.640028',
    language: null,
    label: null,
    channels: null,
    bytes: ready ? Math.round(h * 260 * dur) : null,
    bandwidth: ready ? h * 2600 : null,
    reason: null,
  };
}

const videos = new Map();
const uploads = new Map();
let count = 0;

function shaped(facts) {
  const { id, title, overall, age_ms, dur, poster, failed, damaged, size } = facts;
  const playable = overall >= 0.35 && !failed;
  const steps = stepsAt(overall);
  if (failed) steps[1] = { ...steps[1], state: 'failed', progress: 0 };
  const share = (h) => steps.find((step) => step.id === String(h)).progress;
  return {
    id,
    upload_id: facts.upload_id ?? `upl_${id.slice(4)}`,
    title,
    state: failed ? 'failed' : overall >= 1 ? 'ready' : 'processing',
    playable,
    policy: 'app',
    duration: overall >= 0.25 && !failed ? dur : null,
    created_at: iso(now - age_ms),
    playable_at: playable ? iso(now - age_ms + 900) : null,
    ready_at: overall >= 1 ? iso(now - age_ms + 90000) : null,
    reason: failed ?? null,
    damaged: damaged ?? null,
    progress: { overall, steps },
    source:
      overall >= 0.25
        ? {
            size_bytes: size,
            container: 'mp4',
            video: { codec: 'h264', width: 1920, height: 1080, frame_rate: 25 },
            audio: { codec: 'aac', channels: 2 },
          }
        : null,
    renditions:
      overall >= 0.3 && !failed
        ? [
            rendition(1080, share(1080), dur),
            rendition(720, share(720), dur),
            rendition(480, share(480), dur),
            {
              ...rendition(0, 1, dur),
              id: 'aac-1',
              medium: 'audio',
              width: null,
              height: null,
              frame_rate: null,
              codec: 'mp4a.40.2',
              language: 'en',
              label: 'English',
              channels: 2,
              bytes: 16000 * dur,
              bandwidth: 128000,
            },
          ]
        : [],
    captions: [],
    publications: [],
    playback: playable
      ? {
          hls: `/p/tok/${id}/${overall >= 1 ? 2 : 1}/m.m3u8`,
          dash: overall >= 1 ? `/p/tok/${id}/2/manifest.mpd` : null,
          mp4: overall >= 1 ? `/p/tok/${id}/2/h264-720/file.mp4` : null,
          webm: null,
          poster: `/p/tok/${id}/1/poster${poster}.jpg`,
        }
      : null,
  };
}
function add(facts) {
  count += 1;
  const id = facts.id ?? `vid_0mock${String(count).padStart(4, '0')}`;
  videos.set(id, { size: 184e6, poster: count % 4, dur: 60, ...facts, id });
  return id;
}
add({ title: 'Evening at the harbour', overall: 1, age_ms: 3 * 3600e3, dur: 60 });
add({
  title: 'lecture-07: waves, and why they carry energy but nothing else',
  overall: 0.62,
  age_ms: 70e3,
  dur: 60,
  size: 2.1e9,
});
add({ title: 'IMG_2044.MOV', overall: 0.28, age_ms: 9e3, dur: 60 });
add({
  title: 'holiday (copy).mp4',
  overall: 0.22,
  age_ms: 30 * 60e3,
  failed: {
    code: 'moov_missing',
    human: 'The file ends before its table of contents: it was cut off while it was being copied.',
    fix: 'Copy it again from the camera or the disk it came from, then upload that copy.',
  },
});
add({ title: 'Ribbons, take 3', overall: 1, age_ms: 26 * 3600e3, dur: 60 });
add({
  title: 'Old tape',
  overall: 1,
  age_ms: 80 * 3600e3,
  dur: 60,
  damaged: {
    code: 'frames_missing',
    human: 'About 3 s of the picture could not be read.',
    fix: 'The rest plays normally; upload a better copy if you have one.',
  },
});
add({ title: 'Sending from somewhere else', overall: 0.1, age_ms: 20e3, dur: 60 });

const streams = new Set();
function news(id) {
  const facts = videos.get(id);
  if (!facts) return;
  for (const answer of streams)
    answer.write(`event: video.changed\ndata: ${JSON.stringify(shaped(facts))}\n\n`);
}
setInterval(() => {
  for (const facts of videos.values()) {
    if (!facts.moving || facts.overall >= 1) continue;
    facts.overall = Math.min(1, facts.overall + 0.03);
    news(facts.id);
  }
}, 1000);

function send(answer, status, body, headers = {}) {
  answer.writeHead(status, {
    'content-type': status >= 400 ? 'application/problem+json' : 'application/json',
    ...headers,
  });
  answer.end(body === undefined ? '' : JSON.stringify(body));
}
function problem(answer, status, code, detail, fix) {
  send(answer, status, {
    type: `about:blank#${code}`,
    title: detail,
    status,
    detail,
    code,
    fix,
    request_id: 'req_mock',
  });
}
async function textOf(request) {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

function playbackOf(facts) {
  const video = shaped(facts);
  if (!video.playback) return null;
  return {
    ...video.playback,
    places: [{ place: 'matinee', hls: video.playback.hls }],
    duration: facts.dur,
    growing: facts.overall < 1,
    expires_at: iso(Date.now() + 6 * 3600e3),
    captions: [],
    chapters: null,
    downloads:
      facts.overall >= 1
        ? [1080, 720, 480].map((h) => ({
            id: `h264-${h}`,
            label: `${h}p`,
            url: `/p/tok/${facts.id}/2/h264-${h}/file.mp4?download=1`,
            bytes: h * 260 * facts.dur,
            file_name: `${facts.title}-${h}p.mp4`,
          }))
        : [],
  };
}
function timelineOf(facts) {
  const t0 = now - facts.age_ms;
  const job = (name, human, from, to, outcome = 'done', attempt = 1) => ({
    at: iso(t0 + from),
    ended_at: to === null ? null : iso(t0 + to),
    kind: 'job',
    name,
    human,
    outcome: to === null ? null : outcome,
    attempt,
    progress: to === null ? 0.4 : 1,
  });
  const event = (name, human, at) => ({
    at: iso(t0 + at),
    ended_at: iso(t0 + at),
    kind: 'event',
    name,
    human,
    outcome: null,
    attempt: null,
    progress: null,
  });
  return [
    event('upload.completed', 'The last byte arrived', 0),
    job('probe', 'Checked the file', 40, 420),
    event('video.playable', 'Playable from the original', 470),
    job('audio', 'Encoded the sound', 500, 6200),
    job('chunk', 'Encoded part 1 of 3 in all sizes', 520, 14800),
    job('chunk', 'Encoded part 2 of 3 in all sizes', 14820, 22000, 'failed'),
    job('chunk', 'Encoded part 2 of 3 in all sizes', 24000, 41000, 'done', 2),
    facts.overall < 1
      ? job('chunk', 'Encodes part 3 of 3 in all sizes', 41050, null)
      : job('assemble', 'Put the parts together', 58000, 59300),
  ];
}

async function apiRoutes(request, answer, url) {
  const [, , kind, id, part] = url.pathname.split('/');
  if (kind === 'server')
    return send(answer, 200, {
      version: '0.1.0',
      claimed: url.searchParams.has('claimed'),
      actor: { kind: 'newcomer', scopes: ['upload', 'watch'] },
      upload: { max_bytes: 64e9, endpoint: '/files/' },
    });
  if (kind === 'session') {
    const { token } = JSON.parse((await textOf(request)) || '{}');
    if (token !== 'good')
      return problem(
        answer,
        401,
        'token_unknown',
        'This link is not valid any more.',
        'Ask the administrator for a new one, or look for the link the server printed when it started.',
      );
    return send(answer, 204);
  }
  if (kind === 'events') {
    answer.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    answer.write(': hello\n\n');
    streams.add(answer);
    request.on('close', () => streams.delete(answer));
    return;
  }
  if (kind === 'uploads' && id) {
    const upload = uploads.get(id) ?? { id, state: 'uploading', offset_bytes: 412e6, size_bytes: 1.3e9 };
    return send(answer, 200, upload);
  }
  if (kind === 'videos' && !id)
    return send(answer, 200, {
      items: [...videos.values()].map(shaped).sort((a, b) => (a.created_at < b.created_at ? 1 : -1)),
      next: null,
    });
  const facts = videos.get(id);
  if (kind !== 'videos' || !facts)
    return problem(answer, 404, 'not_found', 'There is no such video.', 'Check the link.');
  if (part === 'playback') {
    const playback = playbackOf(facts);
    return playback
      ? send(answer, 200, playback)
      : problem(answer, 409, 'not_playable_yet', 'Nothing can be played yet.', 'Wait a moment.');
  }
  if (part === 'timeline') return send(answer, 200, { items: timelineOf(facts) });
  if (request.method === 'DELETE') {
    videos.delete(id);
    return send(answer, 204);
  }
  if (request.method === 'PATCH') {
    Object.assign(facts, JSON.parse(await textOf(request)));
    news(id);
  }
  return send(answer, 200, shaped(facts));
}

function decoded(metadata, name) {
  const pair = (metadata ?? '').split(',').find((entry) => entry.startsWith(`${name} `));
  return pair ? Buffer.from(pair.split(' ')[1], 'base64').toString() : name;
}
async function tusRoutes(request, answer, url) {
  const base = { 'tus-resumable': '1.0.0' };
  if (request.method === 'POST') {
    const id = `upl_0mock${uploads.size}`;
    const title = decoded(request.headers['upload-metadata'], 'filename');
    if (title.startsWith('refused'))
      return problem(
        answer,
        403,
        'forbidden',
        'This needs the scope `upload:write`.',
        'Use a token that has it.',
      );
    const video_id = add({ title, overall: 0.05, age_ms: now - Date.now(), upload_id: id });
    uploads.set(id, {
      id,
      title,
      video_id,
      state: 'uploading',
      offset_bytes: 0,
      size_bytes: Number(request.headers['upload-length']),
    });
    return send(answer, 201, undefined, {
      ...base,
      location: `http://${request.headers.host}/files/${id}`,
      'matinee-video': video_id,
      'matinee-upload': id,
    });
  }
  const upload = uploads.get(url.pathname.split('/')[2]);
  if (!upload) return send(answer, 404, undefined, base);
  if (request.method === 'DELETE') {
    uploads.delete(upload.id);
    videos.delete(upload.video_id);
    return send(answer, 204, undefined, base);
  }
  // Names that ask for a proxy that misbehaves.
  if (upload.title.startsWith('narrow') && Number(request.headers['content-length'] ?? 0) > 1 << 20) {
    request.resume();
    return answer.writeHead(413).end();
  }
  if (upload.title.startsWith('away') && upload.offset_bytes > 0) {
    request.resume();
    return answer.writeHead(502).end();
  }
  // The newest connection wins: what an older one still has in its buffers no longer counts.
  upload.writer = (upload.writer ?? 0) + 1;
  const mine = upload.writer;
  if (request.method === 'PATCH') {
    for await (const part of request) {
      if (upload.writer !== mine) return;
      upload.offset_bytes += part.length;
      if (upload.title.startsWith('away') && upload.offset_bytes > 9e6) return request.destroy();
      await new Promise((resolve) => setTimeout(resolve, (part.length * 1000) / RATE));
    }
    if (upload.offset_bytes === upload.size_bytes) {
      upload.state = 'processing';
      Object.assign(videos.get(upload.video_id), { overall: 0.22, moving: true, size: upload.size_bytes });
      news(upload.video_id);
    }
    return send(answer, 204, undefined, { ...base, 'upload-offset': String(upload.offset_bytes) });
  }
  return send(answer, 200, undefined, {
    ...base,
    'matinee-video': upload.video_id,
    'matinee-upload': upload.id,
    'upload-offset': String(upload.offset_bytes),
    'upload-length': String(upload.size_bytes),
    'cache-control': 'no-store',
  });
}

function mediaRoutes(answer, url, request) {
  const [, , , id, , ...rest] = url.pathname.split('/');
  const name = rest.join('/');
  const facts = videos.get(id);
  const path = join(MEDIA, name);
  if (name.endsWith('v.m3u8') && facts && facts.overall < 1) {
    // A growing playlist: as many segments as the progress says, and no end.
    const lines = readFileSync(path, 'utf8')
      .replace('VOD', 'EVENT')
      .replace('#EXT-X-ENDLIST\n', '')
      .split('\n#EXTINF');
    const shown = Math.max(2, Math.floor(lines.length * facts.overall));
    answer.writeHead(200, { 'content-type': TYPES['.m3u8'], 'cache-control': 'max-age=2' });
    return answer.end(`${lines.slice(0, shown).join('\n#EXTINF')}\n`);
  }
  if (name.endsWith('file.mp4'))
    return file(answer, new URL('../public/sample/sample.mp4', import.meta.url).pathname, request);
  return file(answer, path, request);
}
function file(answer, path, request) {
  if (!existsSync(path) || !statSync(path).isFile())
    return problem(answer, 404, 'not_found', 'There is no such file.', 'Check the address.');
  const size = statSync(path).size;
  const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '');
  const from = range ? Number(range[1]) : 0;
  const to = range?.[2] ? Number(range[2]) : size - 1;
  answer.writeHead(range ? 206 : 200, {
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'content-length': to - from + 1,
    'accept-ranges': 'bytes',
    ...(range ? { 'content-range': `bytes ${from}-${to}/${size}` } : {}),
  });
  createReadStream(path, { start: from, end: to }).pipe(answer);
}
const EMBEDDING = `<!doctype html><html lang="en"><title>Elsewhere</title><meta name="viewport" content="width=device-width">
  <script src="/embed/uploader.js" async></script>
  <main><h1>Elsewhere</h1><matinee-uploader multiple></matinee-uploader></main>`;
function pageRoutes(request, answer, url) {
  if (url.pathname === '/embedding')
    return answer
      .writeHead(200, { 'content-type': TYPES['.html'], 'content-security-policy': CSP })
      .end(EMBEDDING);
  const wanted = join(DIST, normalize(url.pathname));
  if (url.pathname !== '/' && wanted.startsWith(DIST) && existsSync(wanted) && statSync(wanted).isFile())
    return file(answer, wanted, request);
  answer.writeHead(/^\/($|v\/|claim$)/.test(url.pathname) ? 200 : 404, {
    'content-type': TYPES['.html'],
    'content-security-policy': CSP,
  });
  createReadStream(join(DIST, 'index.html')).pipe(answer);
}

makeMedia();
createServer(async (request, answer) => {
  const url = new URL(request.url, 'http://mock');
  try {
    if (url.pathname.startsWith('/v1/')) await apiRoutes(request, answer, url);
    else if (url.pathname.startsWith('/files')) await tusRoutes(request, answer, url);
    else if (url.pathname.startsWith('/p/')) mediaRoutes(answer, url, request);
    else pageRoutes(request, answer, url);
  } catch (failed) {
    // A client that goes away in the middle is the usual case here.
    if (!answer.headersSent) problem(answer, 500, 'mock', String(failed), '');
  }
}).listen(PORT, '127.0.0.1', () => console.log(`mock on http://127.0.0.1:${PORT}/`));
