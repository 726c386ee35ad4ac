// When a kept file is read, and when the person is asked first.
import { expect, test } from 'vitest';
import { type FileHandle, fileOf } from './kept.ts';

const FILE = new File(['x'], 'x.mp4');

test.each([
  ['granted', 'denied', true, 0],
  ['prompt', 'granted', true, 1],
  ['prompt', 'denied', false, 1],
  // A page that was refused once may not ask again; reading then throws.
  ['denied', 'denied', false, 0],
] as const)(
  'permission is %s, asked for it the answer is %s: read %s, asked %d times',
  async (now, answer, read, asked) => {
    let times = 0;
    const handle = {
      queryPermission: async () => now,
      requestPermission: async () => {
        times += 1;
        return answer;
      },
      getFile: async () => {
        if (now === 'denied') throw new DOMException('', 'NotAllowedError');
        return FILE;
      },
    };
    expect(await fileOf(handle as unknown as FileHandle)).toBe(read ? FILE : null);
    expect(times).toBe(asked);
  },
);

test('a browser that knows no permissions reads it', async () => {
  const handle = { getFile: async () => FILE };
  expect(await fileOf(handle as unknown as FileHandle)).toBe(FILE);
});
