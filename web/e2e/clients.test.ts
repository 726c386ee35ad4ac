// Upload clients of other people against the real server: tus-js-client in all its kinds, curl and tuspy.
import { execFile } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Upload, type UploadOptions } from 'tus-js-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Clips, openClips } from './clips.ts';
import { expectWhole, film } from './films.ts';
import { openHop } from './proxy.ts';
import { type Server, startServer } from './server.ts';
import { until } from './wait.ts';

const run = promisify(execFile);
const CLIENTS = resolve(
  process.env.CARGO_TARGET_DIR ?? resolve(import.meta.dirname, '../../target'),
  'clients',
);
const NAME = 'Ünïcode фильм.mp4';

let server: Server;
let clips: Clips;
let home = '';
let path = '';

beforeAll(async () => {
  server = await startServer();
  clips = openClips();
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-clients-'));
  path = await film(clips, home, 'client.mp4', 24 << 20);
});
afterAll(async () => {
  await server?.stop();
  clips?.clear();
  rmSync(home, { recursive: true, force: true });
});

const tus = (url: string) => fetch(url, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });

interface Sent {
  url: string;
  video: string;
}

/** Sends by tus-js-client; gives the upload's address and the video's id. */
function send(input: Upload['file'], options: Partial<UploadOptions>): Promise<Sent> {
  return new Promise((done, reject) => {
    let video = '';
    const upload = new Upload(input, {
      endpoint: `${server.url}/files/`,
      retryDelays: [0, 500, 1000],
      metadata: { filename: NAME, empty: '' },
      onAfterResponse: (_request, response) => {
        video ||= response.getHeader('Matinee-Video') ?? '';
      },
      onSuccess: () => done({ url: upload.url ?? '', video }),
      onError: reject,
      ...options,
    });
    upload.start();
  });
}

/** What holds after each kind of upload. */
async function expectSent({ url, video }: Sent): Promise<void> {
  const size = String(statSync(path).size);
  const head = await tus(url);
  expect(head.status).toBe(200);
  expect(head.headers.get('Tus-Resumable')).toBe('1.0.0');
  expect(head.headers.get('Upload-Offset')).toBe(size);
  expect(head.headers.get('Upload-Length')).toBe(size);
  const pairs = (head.headers.get('Upload-Metadata') ?? '')
    .split(',')
    .map((pair) => pair.trim())
    .sort();
  expect(pairs).toEqual(['empty', `filename ${Buffer.from(NAME).toString('base64')}`]);
  await expectWhole(server, video, path);
}

describe('tus-js-client', () => {
  const blob = () => readFileSync(path);

  test('a blob in one request', async () => expectSent(await send(blob(), {})));
  test('a blob in pieces', async () => expectSent(await send(blob(), { chunkSize: 5_000_000 })));
  test('the body in the creation', async () =>
    expectSent(await send(blob(), { uploadDataDuringCreation: true })));
  test('PATCH in the disguise of POST', async () =>
    expectSent(await send(blob(), { overridePatchMethod: true })));
  test('a stream of known length', async () =>
    expectSent(await send(createReadStream(path), { chunkSize: 4 << 20, uploadSize: statSync(path).size })));
  // A Node stream of unknown length is left out: its last piece never ends, whatever the server is.
  test('the IETF draft, interop version 6', async () => {
    // Its types do not know this option.
    const draft: object = { protocol: 'ietf-draft-05', chunkSize: 5_000_000 };
    const { video } = await send(blob(), draft);
    await expectWhole(server, video, path);
  });
  test('an upload that is given up is gone', async () => {
    const upload: Upload = await new Promise((done, reject) => {
      const one: Upload = new Upload(blob(), {
        endpoint: `${server.url}/files/`,
        chunkSize: 1 << 20,
        onChunkComplete: () => done(one),
        onError: reject,
      });
      one.start();
    });
    await upload.abort(true);
    expect((await tus(upload.url ?? '')).status).toBe(404);
  });
  test('a line that is cut again and again', async () => {
    const hop = await openHop(server.url);
    hop.manners = { cut_after_bytes: 5 << 20, cuts: 3 };
    const sent = await send(blob(), { endpoint: `${hop.url}/files/` });
    expect(hop.seen.filter(({ method }) => method === 'POST')).toHaveLength(1);
    await expectSent({ ...sent, url: sent.url.replace(hop.url, server.url) });
    hop.close();
  });
});

describe('curl', () => {
  test('the form', async () => {
    const { stdout } = await run('curl', [
      ...['-sS', '-F', `file=@${path}`, `${server.url}/upload`],
      ...['-o', join(home, 'answer'), '-w', '%{redirect_url}'],
    ]);
    await expectWhole(server, stdout.split('/v/')[1] ?? '', path);
  });
  test('tus: creation, the first part, the offset, the rest', async () => {
    const size = statSync(path).size;
    const tusHeader = ['-H', 'Tus-Resumable: 1.0.0'];
    const created = await run('curl', [
      ...['-sS', '-i', '-X', 'POST', ...tusHeader, '-H', `Upload-Length: ${size}`],
      `${server.url}/files/`,
    ]);
    const header = (name: string, text: string) =>
      new RegExp(`^${name}: (.*?)\\r?$`, 'im').exec(text)?.[1] ?? '';
    const url = header('location', created.stdout);
    const part = join(home, 'part');
    const put = async (offset: number, end: number) => {
      writeFileSync(part, readFileSync(path).subarray(offset, end));
      await run('curl', [
        ...['-sS', '-f', '-X', 'PATCH', ...tusHeader, '-H', `Upload-Offset: ${offset}`],
        ...['-H', 'Content-Type: application/offset+octet-stream', '--data-binary', `@${part}`, url],
      ]);
    };
    await put(0, 10_000_001);
    const head = await run('curl', ['-sS', '-I', ...tusHeader, url]);
    expect(header('upload-offset', head.stdout)).toBe('10000001');
    await put(10_000_001, size);
    await expectWhole(server, header('matinee-video', created.stdout), path);
  });
});

describe('tuspy', () => {
  const SCRIPT = `
import sys
from tusclient import client
url, path, stop_at = sys.argv[1], sys.argv[2], int(sys.argv[3])
uploader = client.TusClient(url).uploader(path, chunk_size=4 << 20, metadata={"filename": "by tuspy.mp4"}, url=(sys.argv[4:] or [None])[0])
uploader.upload(stop_at=stop_at)
print(uploader.url, uploader.offset)
`;
  const python = async (...args: string[]): Promise<[url: string, offset: number]> => {
    const program = join(CLIENTS, 'bin/python');
    if (!existsSync(program)) throw new Error(`${program} is missing: run tools/clients`);
    const { stdout } = await run(program, ['-c', SCRIPT, `${server.url}/files/`, path, ...args]);
    const [url = '', offset] = stdout.trim().split(' ');
    return [url, Number(offset)];
  };

  test('begins, is stopped, and another process goes on at the offset', async () => {
    const size = statSync(path).size;
    const [url, offset] = await python(String(12 << 20));
    expect(offset).toBe(12 << 20);
    expect((await tus(url)).headers.get('Upload-Offset')).toBe(String(12 << 20));
    expect(await python(String(size), url)).toEqual([url, size]);
    const video = await until('the server names its video', async () =>
      (await tus(url)).headers.get('Matinee-Video'),
    );
    await expectWhole(server, video, path);
  });
});
