// Runs dependency-cruiser and fails when it looked at fewer modules than there are: it can report success on none.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
  (name) => /\.(ts|svelte)$/.test(name) && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'),
);
let text = '';
try {
  text = execFileSync(
    'node_modules/.bin/depcruise',
    ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'],
    { encoding: 'utf8', maxBuffer: 64 << 20 },
  );
} catch (failed) {
  // It ends with the number of broken rules; the report is on its standard output all the same.
  text = String(failed.stdout ?? '');
}
const report = JSON.parse(text);
const seen = new Set(report.modules.map((module) => module.source));
const missed = sources.map((name) => `src/${name}`).filter((path) => !seen.has(path));
for (const { rule, from, to } of report.summary.violations) console.error(`${rule.name}: ${from} -> ${to}`);
for (const path of missed) console.error(`not looked at: ${path}`);
const cruised = report.summary.totalCruised;
console.log(`${cruised} modules, ${sources.length} sources, ${report.summary.error} broken rules`);
if (report.summary.error > 0 || missed.length > 0 || cruised < sources.length) process.exit(1);
