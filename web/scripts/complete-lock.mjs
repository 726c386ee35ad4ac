// Adds the packages of other platforms to package-lock.json: a registry mirror without them leaves them out,
// and then `npm ci` refuses the lock everywhere.
import { readFileSync, writeFileSync } from 'node:fs';

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const OS = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
  'aix',
];
const CPU = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'wasm32', 'mips64el'];
const known = (name) => `node_modules/${name}` in lock.packages;

function entryOf(name, range, dev) {
  const words = name.split(/[-/]/);
  const os = OS.filter((word) => words.includes(word));
  const cpu = CPU.filter((word) => words.includes(word));
  if (name === 'fsevents') os.push('darwin');
  const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') ? ['glibc'] : [];
  const facts = { version: range.replace(/^[~^]/, ''), optional: true };
  if (dev) facts.dev = true;
  if (os.length > 0) facts.os = os;
  if (cpu.length > 0) facts.cpu = cpu;
  if (libc.length > 0 && os.includes('linux')) facts.libc = libc;
  return facts;
}

let added = 0;
for (const facts of Object.values(lock.packages)) {
  for (const [name, range] of Object.entries(facts.optionalDependencies ?? {})) {
    if (known(name)) continue;
    lock.packages[`node_modules/${name}`] = entryOf(name, range, facts.dev);
    added += 1;
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(sorted);
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} packages added`);
