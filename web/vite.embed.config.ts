// How the web component is built: one classic script under a name that stays, for pages of other sites.
import { defineConfig } from 'vite';

// biome-ignore lint/style/noDefaultExport: Vite reads the default export.
export default defineConfig({
  publicDir: false,
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: false,
    lib: {
      entry: 'src/embed/uploader.ts',
      formats: ['iife'],
      name: 'matineeUploader',
      fileName: () => 'embed/uploader.js',
    },
  },
});
