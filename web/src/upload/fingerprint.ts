// How a chosen file is recognised as one whose upload was begun before a reload.

/** The facts of a file that survive choosing it again. */
export interface FileFacts {
  name: string;
  type: string;
  size: number;
  lastModified: number;
}

/** The name under which the upload of this file is remembered; `target` tells servers apart where pages know several. */
export function fingerprint(file: FileFacts, target = 'matinee'): string {
  return [target, file.name, file.type, file.size, file.lastModified].join('|');
}

/** An upload that was begun and not finished, as it is remembered in this browser. */
export interface Begun {
  fingerprint: string;
  name: string;
  size_bytes: number;
  sent_bytes: number;
  url: string;
  upload_id: string | null;
  video_id: string | null;
}

const LIMIT = 50;

/** Reads what was remembered; anything unreadable counts as nothing. */
export function remembered(text: string | null): Begun[] {
  if (text === null) return [];
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter(isBegun).slice(0, LIMIT) : [];
  } catch {
    return [];
  }
}

/** The list with `begun` as its first and only entry for that file. */
export function remember(list: readonly Begun[], begun: Begun): Begun[] {
  return [begun, ...forget(list, begun.fingerprint)].slice(0, LIMIT);
}

/** The list without the file. */
export function forget(list: readonly Begun[], print: string): Begun[] {
  return list.filter((known) => known.fingerprint !== print);
}

function isBegun(value: unknown): value is Begun {
  if (typeof value !== 'object' || value === null) return false;
  const entry = value as Partial<Begun>;
  return (
    typeof entry.fingerprint === 'string' &&
    typeof entry.url === 'string' &&
    typeof entry.size_bytes === 'number'
  );
}
