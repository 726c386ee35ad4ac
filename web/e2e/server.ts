// The real binary on a free port with a folder of its own, and what tests ask it without a browser.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Playback, Video } from '../src/api/types.ts';
import { until } from './wait.ts';

const running = new Set<ChildProcess>();
// The last net: a test process that ends early leaves nothing behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function binary(): string {
  const built = resolve(import.meta.dirname, '../../target');
  const path = process.env.MATINEE_BIN ?? join(process.env.CARGO_TARGET_DIR ?? built, 'debug/matinee');
  if (!existsSync(path)) throw new Error(`${path} is missing: build it by \`cargo build -p matinee\``);
  return path;
}

export interface Server {
  url: string;
  /** The administrator link that the first start prints. */
  claim: string;
  /** The folder in which everything of it lies. */
  data: string;
  stop(): Promise<void>;
}

/** Starts a server that nobody administers yet; pages of `origins` may upload to it. `more` is configuration. */
export async function startServer(origins: readonly string[] = [], more = ''): Promise<Server> {
  const home = mkdtempSync(join(tmpdir(), 'matinee-e2e-'));
  const listed = origins.map((origin) => JSON.stringify(origin)).join(', ');
  writeFileSync(join(home, 'matinee.toml'), `[uploads]\norigins = [${listed}]\n${more}`);
  const child = spawn(binary(), ['serve', '--listen', '127.0.0.1:0', '--data', join(home, 'data')], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const said = { out: '', err: '' };
  child.stdout.on('data', (text: Buffer) => {
    said.out += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    said.err += text.toString();
  });
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
    running.delete(child);
    rmSync(home, { recursive: true, force: true });
  };
  const ready = await until(
    'the server says where it is',
    async () => /ready at (\S+)\n[\s\S]*?(\S+\/claim#\S+)/.exec(said.out),
    15_000,
    async () => said.err,
  ).catch(async (failed: unknown) => {
    await stop();
    throw failed;
  });
  return { url: ready[1] ?? '', claim: ready[2] ?? '', data: join(home, 'data'), stop };
}

/** An upload that takes its bytes piece by piece. */
export async function uploadInPieces(server: Server, path: string) {
  const body = readFileSync(path);
  const tus = { 'Tus-Resumable': '1.0.0' };
  const name = Buffer.from(basename(path)).toString('base64');
  const created = await fetch(`${server.url}/files/`, {
    method: 'POST',
    headers: { ...tus, 'Upload-Length': String(body.length), 'Upload-Metadata': `filename ${name}` },
  });
  const url = created.headers.get('Location') ?? '';
  let at = 0;
  return {
    id: created.headers.get('Matinee-Video') ?? '',
    /** Sends what is missing until this share of the file is there. */
    until: async (share: number): Promise<void> => {
      const end = Math.floor(body.length * share);
      const answer = await fetch(url, {
        method: 'PATCH',
        headers: {
          ...tus,
          'Upload-Offset': String(at),
          'Content-Type': 'application/offset+octet-stream',
        },
        body: body.subarray(at, end),
      });
      if (answer.status !== 204) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
      at = end;
    },
  };
}

/** Uploads a file by tus in one request, as whom a cookie names; gives the video's id. */
export async function upload(server: Server, path: string, cookie?: string): Promise<string> {
  const body = readFileSync(path);
  const answer = await fetch(`${server.url}/files/`, {
    method: 'POST',
    headers: {
      'Tus-Resumable': '1.0.0',
      'Upload-Length': String(body.length),
      'Upload-Metadata': `filename ${Buffer.from(basename(path)).toString('base64')}`,
      'Content-Type': 'application/offset+octet-stream',
      ...(cookie && { Cookie: cookie }),
    },
    body,
  });
  const video = answer.headers.get('Matinee-Video');
  if (answer.status !== 201 || !video) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
  return video;
}

async function json<T>(server: Server, path: string): Promise<T | null> {
  const answer = await fetch(server.url + path);
  return answer.ok ? ((await answer.json()) as T) : null;
}

export const videoOf = (server: Server, id: string): Promise<Video | null> =>
  json<Video>(server, `/v1/videos/${id}`);

export const playbackOf = (server: Server, id: string): Promise<Playback | null> =>
  json<Playback>(server, `/v1/videos/${id}/playback`);

/** Waits until something of a video can be played. */
export const playable = (server: Server, id: string): Promise<Playback> =>
  until(`${id} is playable`, () => playbackOf(server, id), 60_000);

/** Waits until all of a video is made. */
export const ready = (server: Server, id: string): Promise<Video> =>
  until(
    `${id} is ready`,
    async () => {
      const video = await videoOf(server, id);
      if (video?.state === 'failed')
        throw new Error(`${video.title} failed: ${JSON.stringify(video.reason)}`);
      return video?.state === 'ready' && video;
    },
    110_000,
    async () => JSON.stringify(await videoOf(server, id)),
  );
