// A file whose index is at its end: that part goes first, so that the video can be watched while the rest arrives.

/** What the server takes. */
const TAIL_BYTES_MAX = 32 << 20;
/** A shorter file is there before it could be watched. */
const WORTH_BYTES = 8 << 20;
/** A normal file has three or four boxes. */
const BOXES_MAX = 16;

/** The end of an MP4 from its index on; null when the index is in front, or there is none that would help. */
export async function tailOf(file: Blob): Promise<Blob | null> {
  if (file.size < WORTH_BYTES) return null;
  let at = 0;
  let media = false;
  for (let boxes = 0; boxes < BOXES_MAX; boxes += 1) {
    const { kind, length } = await boxAt(file, at);
    if (kind === 'moov') return media && file.size - at <= TAIL_BYTES_MAX ? file.slice(at) : null;
    if (length < 8 || (boxes === 0 && kind !== 'ftyp')) return null;
    media ||= kind === 'mdat';
    at += length;
  }
  return null;
}

/** Kind and length of the box at this place; no length behind the end of the file. */
async function boxAt(file: Blob, at: number): Promise<{ kind: string; length: number }> {
  const head = new DataView(await file.slice(at, at + 16).arrayBuffer());
  if (head.byteLength < 16) return { kind: '', length: 0 };
  const kind = String.fromCharCode(...[4, 5, 6, 7].map((place) => head.getUint8(place)));
  const short = head.getUint32(0);
  return { kind, length: short === 1 ? Number(head.getBigUint64(8)) : short };
}

/** Sends that end, if it is worth it. It is only a help: whatever goes wrong, the upload goes on. */
export async function sendTail(file: Blob, url: string, token: string | null): Promise<void> {
  try {
    const tail = await tailOf(file);
    if (!tail) return;
    const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
    await fetch(`${url}/tail`, { method: 'PUT', body: tail, credentials: 'same-origin', headers });
  } catch {
    // The file or the network is away; the upload itself will tell.
  }
}
