// The stand-ins of services that take videos, as processes of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { binary } from './server.ts';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface StandIn {
  /** How it is configured. */
  config: string;
  /** Where it listens. */
  url: string;
  /** Ends it at once, as a service does that is away. */
  kill(): void;
}

/** Starts the stand-in of a service; what it is sent lies in a folder of `home`. */
export function pretend(kind: string, home: string): Promise<StandIn> {
  const words = ['hosts', 'pretend', kind, '--folder', join(home, kind), '--encode', '2'];
  const child = spawn(binary(), words, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  const kill = () => {
    child.kill('SIGKILL');
    running.delete(child);
  };
  let told = '';
  return new Promise((done, fail) => {
    child.stdout.on('data', (text: Buffer) => {
      told += text.toString();
      const url = /\nendpoint = "(\S+)"\n/.exec(told)?.[1];
      if (url) done({ config: `${told}poll = "1s"\nprobe_after = "1s"\n`, url, kill });
    });
    child.once('close', () => fail(new Error(`the stand-in ended: ${told}`)));
  });
}
