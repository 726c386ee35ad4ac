// Files that this browser finds again after a reload, by their fingerprint, where it has handles of files at all.

const DATABASE = 'matinee';
const STORE = 'files';

/** A file's handle with the part of the File System Access API that not every browser has. */
export interface FileHandle extends FileSystemFileHandle {
  queryPermission?(): Promise<PermissionState>;
  requestPermission?(): Promise<PermissionState>;
}

/** What a dropped item stands for; null where the browser does not say. Must be called while the event is handled. */
export async function handleOf(item: DataTransferItem): Promise<FileSystemHandle | null> {
  const known = item as DataTransferItem & { getAsFileSystemHandle?(): Promise<FileSystemHandle | null> };
  try {
    return (await known.getAsFileSystemHandle?.()) ?? null;
  } catch {
    return null;
  }
}

/** Whether there is a dialogue that gives handles; on phones the other one is better: it offers camera and gallery. */
export function hasPicker(): boolean {
  return 'showOpenFilePicker' in globalThis && !matchMedia('(pointer: coarse)').matches;
}

/** Opens that dialogue, from a click; nothing is chosen when the person closes it, null means that it did not open. */
export async function pick(): Promise<FileHandle[] | null> {
  const { showOpenFilePicker } = globalThis as unknown as {
    showOpenFilePicker(options: object): Promise<FileHandle[]>;
  };
  const accept = { 'video/*': ['.mkv', '.ts', '.m2ts', '.mxf'], 'audio/*': [] };
  try {
    return await showOpenFilePicker({ multiple: true, types: [{ description: 'Video and sound', accept }] });
  } catch (thrown) {
    return thrown instanceof DOMException && thrown.name === 'AbortError' ? [] : null;
  }
}

/** The file behind a handle; asks the person when the browser wants it, so call it from a click. */
export async function fileOf(handle: FileHandle): Promise<File | null> {
  try {
    const now = await handle.queryPermission?.();
    if (now === 'prompt' && (await handle.requestPermission?.()) !== 'granted') return null;
    return await handle.getFile();
  } catch {
    return null;
  }
}

export const keep = (print: string, handle: FileHandle) => inStore((store) => store.put(handle, print));

export const drop = (print: string) => inStore((store) => store.delete(print));

/** The fingerprints of all files that are kept. */
export async function kept(): Promise<string[]> {
  const keys = await inStore((store) => store.getAllKeys());
  return (keys ?? []).filter((key) => typeof key === 'string');
}

export async function find(print: string): Promise<FileHandle | null> {
  return (await inStore<FileHandle | undefined>((store) => store.get(print))) ?? null;
}

/** One request to the store; null where there is none, as in some private windows: then a file is chosen again. */
function inStore<T>(ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  return new Promise((resolve) => {
    try {
      const opening = indexedDB.open(DATABASE, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
      opening.onerror = () => resolve(null);
      opening.onsuccess = () => {
        const database = opening.result;
        const asked = ask(database.transaction(STORE, 'readwrite').objectStore(STORE));
        asked.onsuccess = () => resolve(asked.result);
        asked.onerror = () => resolve(null);
        database.close();
      };
    } catch {
      resolve(null);
    }
  });
}
