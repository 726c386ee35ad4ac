// What a page of yours does, in one file without a dependency: asks for an upload into a collection, sends the file straight to
// the host by tus, and waits for what becomes of it. It runs in Node and, but for reading the file, in every browser.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

const [server, collection, target, path, wish] = process.argv.slice(2);

/** One question to matinee. With a token it would carry `Authorization: Bearer ...`. */
async function ask(method, where, body) {
  const answer = await fetch(server + where, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

/** Asks again until there is something to say. */
async function until(look) {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resume) => setTimeout(resume, 500));
  }
}

/** Sends bytes by tus 1.0, in requests as the host likes them; after a break it goes on where the host is. */
async function send(upload, bytes) {
  let url = upload.upload_url;
  let tus = upload.direct.tus;
  const request = (method, headers, body) =>
    fetch(url, { method, headers: { 'Tus-Resumable': '1.0.0', ...tus.headers, ...headers }, body });
  if (!tus.created) {
    const made = await request('POST', { 'Upload-Length': `${bytes.length}`, 'Upload-Metadata': tus.metadata });
    url = new URL(made.headers.get('Location'), url).href;
  }
  const step = Math.floor(tus.chunk_max_bytes / tus.chunk_step_bytes) * tus.chunk_step_bytes;
  for (let tries = 0, at = 0; at < bytes.length; ) {
    const headers = { 'Upload-Offset': `${at}`, 'Content-Type': 'application/offset+octet-stream' };
    const sent = await request('PATCH', headers, bytes.subarray(at, at + step)).catch(() => undefined);
    if (sent?.ok) {
      at = Number(sent.headers.get('Upload-Offset'));
      tries = 0;
      continue;
    }
    if (++tries > 20) throw new Error(`the host does not take it: ${sent?.status ?? 'no answer'}`);
    // The right to send may have ended: matinee gives a fresh one.
    if (sent?.status === 401) tus = (await ask('GET', `/v1/uploads/${upload.id}`)).direct.tus;
    await new Promise((resume) => setTimeout(resume, Math.min(500 * 2 ** tries, 30_000)));
    const stands = await request('HEAD', {}).catch(() => undefined);
    if (stands?.ok) at = Number(stands.headers.get('Upload-Offset'));
  }
}

const bytes = await readFile(path);
const announced = await ask('POST', '/v1/uploads', {
  target,
  collection,
  file_name: basename(path),
  size_bytes: bytes.length,
  max_duration_s: 600,
});
console.log(`upload ${announced.id} for ${announced.direct.host}`);

// The host may be away at this moment, or for hours: then the address comes when it is back.
const upload = await until(async () => {
  const now = await ask('GET', `/v1/uploads/${announced.id}`);
  return now.upload_url ? now : undefined;
});

if (wish === 'cancel') {
  await ask('DELETE', `/v1/uploads/${upload.id}`);
  console.log(`state ${(await ask('GET', `/v1/uploads/${upload.id}`)).state}`);
} else {
  await send(upload, bytes);
  console.log(`sent ${bytes.length} bytes to the host`);
  let state = '';
  await until(async () => {
    const now = await ask('GET', `/v1/uploads/${upload.id}`);
    if (now.state !== state) console.log(`state ${(state = now.state)}`);
    if (now.state === 'failed') throw new Error(`${now.reason.human} ${now.reason.fix}`);
    return now.state === 'ready' ? true : undefined;
  });
  const video = await ask('GET', `/v1/videos/${upload.video_id}`);
  console.log(`video ${video.id} of ${video.duration} s`);
  console.log(`hls ${video.playback.hls}`);
}
