// The stand-in of a host as a process of its own.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { binary } from './server.ts';

export interface Pretending {
  /** How a server is configured for it. */
  config: string;
  /** Where it listens. */
  url: string;
  end(): void;
}

/** Starts the stand-in of a service, whose files lie below `home`. */
export function pretend(kind: 'bunny' | 'cloudflare', home: string): Promise<Pretending> {
  const words = ['hosts', 'pretend', kind, '--folder', join(home, kind), '--encode', '2'];
  const child = spawn(binary(), words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = () => {
    child.removeAllListeners('close');
    child.kill('SIGKILL');
  };
  // The last net: a test process that ends early leaves nothing behind.
  process.on('exit', end);
  let told = '';
  return new Promise((done, fail) => {
    child.stdout.on('data', (text: Buffer) => {
      told += text.toString();
      const url = /\nendpoint = "(\S+)"\n/.exec(told)?.[1];
      if (url) done({ config: `${told}poll = "1s"\nprobe_after = "1s"\n`, url, end });
    });
    child.once('close', () => fail(new Error(`the stand-in ended: ${told}`)));
  });
}
