// How the pages are built: hashed files below dist/assets, nothing inline, so a strict policy holds.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';
import { adoptedStyles } from './scripts/adopted-styles.ts';

// biome-ignore lint/style/noDefaultExport: Vite reads the default export.
export default defineConfig({
  plugins: [adoptedStyles(), tailwindcss(), svelte()],
  // Our change to media-chrome is a transform, which pre-bundled packages would not see.
  optimizeDeps: { exclude: ['media-chrome'] },
  build: {
    target: 'es2022',
    // A data: URL would need a wider policy for fonts and images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/files', '/p/', '/upload'].map((path) => [path, 'http://127.0.0.1:8080']),
    ),
  },
  test: { include: ['src/**/*.test.ts', 'test/**/*.test.ts'], environment: 'node' },
});
