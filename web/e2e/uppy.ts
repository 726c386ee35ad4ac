// The recipe's page script with the real Uppy packages, bundled as a page's own build would do it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { build, type Rolldown } from 'vite';

const here = (path: string) => new URL(path, import.meta.url).pathname;

export const uppyScript = () => bundled('uppy/recipe.ts');

/** A page's script with its packages, and the style of Uppy's dashboard. */
export async function bundled(entry: string): Promise<{ script: string; style: string }> {
  const made = await build({
    configFile: false,
    root: here('.'),
    logLevel: 'error',
    build: {
      write: false,
      minify: false,
      lib: { entry: here(entry), formats: ['iife'], name: 'recipe' },
    },
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const [output] = (Array.isArray(made) ? made : [made]) as Rolldown.RolldownOutput[];
  const chunk = output?.output.find((file) => file.type === 'chunk');
  if (chunk?.type !== 'chunk') throw new Error('Uppy was not bundled');
  const packages = createRequire(import.meta.url);
  const styles = ['@uppy/core/css/style.min.css', '@uppy/dashboard/css/style.min.css'];
  return {
    script: chunk.code,
    style: styles.map((name) => readFileSync(packages.resolve(name), 'utf8')).join('\n'),
  };
}
