// Another site: pages and scripts from an address that is not the server's, under a policy of its own.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Other {
  url: string;
  /** What it serves, by path; may be changed while it is open. */
  files: Record<string, { kind: string; body: string; policy?: string }>;
  close(): void;
}

/** Opens an empty site. */
export async function openOther(): Promise<Other> {
  const other: Other = { url: '', files: {}, close: () => undefined };
  const server = createServer((request, response) => {
    const file = other.files[request.url ?? ''];
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('Content-Type', file.kind);
    if (file.policy) response.setHeader('Content-Security-Policy', file.policy);
    response.end(file.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  other.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  other.close = () => {
    server.close();
    server.closeAllConnections();
  };
  return other;
}
