// A proxy that misbehaves as real ones do: limits, buffering, errors of its own, cut connections.
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** How the proxy treats requests with a body from now on. */
interface Manners {
  /** Bodies longer than this are answered with 413 at once, as nginx does. */
  limit_bytes?: number;
  /** Reads the whole body before the server hears of it. */
  buffers?: boolean;
  /** Answers everything with this status, as if the server were away. */
  away?: number;
  /** Cuts the connection after so many bytes of a body; with `buffers` nothing of it reaches the server. */
  cut_after_bytes?: number;
  /** Passes on so many bytes of a body and then nothing more, until the connection is dropped. */
  hold_after_bytes?: number;
  /** How many requests are cut; then all is well. */
  cuts?: number;
}

export interface Hop {
  url: string;
  manners: Manners;
  /** Method and path, offset and length of each request, and the status that went back (0: cut). */
  seen: { method: string; path: string; offset: number | null; length: number; status: number }[];
  /** Cuts every connection that is open now. */
  drop(): void;
  close(): void;
}

/** Opens the proxy before a server. */
export async function openHop(target: string): Promise<Hop> {
  const proxy: Hop = { url: '', manners: {}, seen: [], drop: () => undefined, close: () => undefined };
  const sockets = new Set<Socket>();
  const server = createServer((from, to) => handle(proxy, target, from, to));
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy.drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  proxy.close = () => {
    server.close();
    proxy.drop();
  };
  return proxy;
}

function handle(proxy: Hop, target: string, from: IncomingMessage, to: ServerResponse): void {
  const { manners } = proxy;
  const length = Number(from.headers['content-length'] ?? 0);
  const offset = from.headers['upload-offset'];
  const entry = {
    method: from.method ?? '',
    path: from.url ?? '',
    offset: offset === undefined ? null : Number(offset),
    length,
    status: 0,
  };
  proxy.seen.push(entry);
  to.once('finish', () => {
    entry.status = to.statusCode;
  });
  if (manners.away !== undefined) refuse(to, manners.away, from);
  else if (length > (manners.limit_bytes ?? Number.POSITIVE_INFINITY)) refuse(to, 413, from);
  else if (manners.buffers) buffered(target, from, to, most(manners, length));
  else streamed(target, from, to, most(manners, length), manners.hold_after_bytes);
}

/** After how many bytes this request is cut. */
function most(manners: Manners, length: number): number {
  const { cut_after_bytes = Number.POSITIVE_INFINITY, cuts = 1 } = manners;
  if (length <= cut_after_bytes || cuts <= 0) return Number.POSITIVE_INFINITY;
  manners.cuts = cuts - 1;
  return cut_after_bytes;
}

/** Passes the body on as it comes, and cuts after `end` bytes. */
function streamed(
  target: string,
  from: IncomingMessage,
  to: ServerResponse,
  end: number,
  hold = Number.POSITIVE_INFINITY,
): void {
  const onward = pass(target, from, to);
  let passed = 0;
  from.on('data', (part: Buffer) => {
    passed += part.length;
    if (passed > end) {
      from.socket.destroy();
      onward.destroy();
    } else if (passed > hold) {
      onward.write(part);
      from.pause();
    } else if (!onward.write(part)) {
      from.pause();
      onward.once('drain', () => from.resume());
    }
  });
  from.on('end', () => onward.end());
  from.on('error', () => onward.destroy());
}

/** The proxy's own page; the body is read and thrown away, as proxies do, so that the answer arrives. */
function refuse(to: ServerResponse, status: number, from: IncomingMessage): void {
  from.resume();
  to.writeHead(status, { 'Content-Type': 'text/html' }).end(`<h1>${status}</h1><hr>proxy`);
}

function buffered(target: string, from: IncomingMessage, to: ServerResponse, end: number): void {
  const parts: Buffer[] = [];
  let held = 0;
  from.on('data', (part: Buffer) => {
    parts.push(part);
    held += part.length;
    if (held > end) from.socket.destroy();
  });
  from.on('error', () => undefined);
  from.on('end', () => pass(target, from, to).end(Buffer.concat(parts)));
}

function pass(target: string, from: IncomingMessage, to: ServerResponse): ClientRequest {
  // The client's own Host stays, so that addresses in answers lead through the proxy.
  const onward = request(new URL(from.url ?? '/', target), {
    method: from.method ?? 'GET',
    headers: from.headers,
  });
  onward.on('response', (answer) => {
    to.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(to);
  });
  onward.on('error', () => {
    if (!to.headersSent) to.writeHead(502).end();
    else to.destroy();
  });
  to.on('close', () => onward.destroy());
  return onward;
}
