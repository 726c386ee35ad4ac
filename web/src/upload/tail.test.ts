import { describe, expect, test } from 'vitest';
import { tailOf } from './tail.ts';

const LONG = 9 << 20;

/** A box of so many bytes, of which only the head matters. */
function box(kind: string, length: number, wide = false): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, wide ? 1 : length);
  if (wide) view.setBigUint64(8, BigInt(length));
  bytes.set(new TextEncoder().encode(kind), 4);
  return bytes;
}

const size = async (...boxes: Uint8Array[]): Promise<number | null> =>
  (await tailOf(new Blob(boxes as BlobPart[])))?.size ?? null;

describe('the end of a file that goes first', () => {
  const ftyp = box('ftyp', 24);
  test('is its index with all that follows', async () => {
    expect(await size(ftyp, box('mdat', LONG), box('moov', 100))).toBe(100);
    expect(await size(ftyp, box('free', 8), box('mdat', LONG, true), box('moov', 100), box('free', 8))).toBe(
      108,
    );
  });
  test('is not worth it when the index is in front, or the file is short', async () => {
    expect(await size(ftyp, box('moov', 100), box('mdat', LONG))).toBe(null);
    expect(await size(ftyp, box('mdat', 100), box('moov', 100))).toBe(null);
  });
  test('is nothing in other files, and in broken ones', async () => {
    expect(await size(new Uint8Array(LONG))).toBe(null);
    expect(await size(ftyp, box('mdat', LONG))).toBe(null);
    expect(await size(box('mdat', LONG), box('moov', 100))).toBe(null);
    const endless = box('mdat', LONG);
    new DataView(endless.buffer).setUint32(0, 0);
    expect(await size(ftyp, endless, box('moov', 100))).toBe(null);
    expect(await size(ftyp, box('mdat', LONG), box('moov', 33 << 20))).toBe(null);
  });
});
