// The browser tests: a real server, a real Chromium, one file after the other so that two slow cores are enough.
import { defineConfig } from 'vitest/config';
import { SecondTries } from './e2e/second-tries.ts';

// biome-ignore lint/style/noDefaultExport: Vitest reads the default export.
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    // A browser has moods. Who needs a second try is named at the end, so that it is looked after and not forgotten.
    retry: 1,
    reporters: ['default', new SecondTries()],
  },
});
