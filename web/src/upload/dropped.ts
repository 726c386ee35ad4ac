// Files out of what was dropped or pasted; folders are walked through.
import { type FileHandle, handleOf, hasPicker, pick as pickHandles } from './kept.ts';
import { isMedia } from './media.ts';

export interface Taken {
  files: File[];
  /** Files of folders that are no films. */
  left: number;
  /** Whether a folder was among them. */
  folder: boolean;
  /** By which files can be found again later, where the browser has such handles. */
  handles: Map<File, FileHandle>;
}

/** The files of a drop. Must be called while the event is handled: afterwards the browser forgets its list. */
export async function takenFrom(transfer: DataTransfer | null): Promise<Taken> {
  const taken: Taken = { files: [], left: 0, folder: false, handles: new Map() };
  const items = [...(transfer?.items ?? [])].filter((item) => item.kind === 'file');
  const found = items.map((item) => ({
    entry: item.webkitGetAsEntry(),
    file: item.getAsFile(),
    handle: handleOf(item),
  }));
  for (const { entry, file, handle } of found) {
    const known = await handle;
    if (entry?.isDirectory) {
      taken.folder = true;
      pick(taken, await within(entry as FileSystemDirectoryEntry));
    } else if (known?.kind === 'file') {
      // Read by its handle, so that the same file is read in the same way the next time.
      const read = await (known as FileHandle).getFile().catch(() => file);
      if (!read) continue;
      taken.files.push(read);
      taken.handles.set(read, known as FileHandle);
    } else if (file) taken.files.push(file);
  }
  return taken;
}

/** Files that were chosen one by one. */
export const chosen = (files: Iterable<File> | null | undefined): Taken => ({
  files: [...(files ?? [])],
  left: 0,
  folder: false,
  handles: new Map(),
});

/** Files that are chosen in the dialogue that gives handles; null where there is none. */
export async function picked(): Promise<Taken | null> {
  const handles = hasPicker() ? await pickHandles() : null;
  if (!handles) return null;
  const taken = chosen([]);
  for (const handle of handles) {
    const file = await handle.getFile().catch(() => null);
    if (!file) continue;
    taken.files.push(file);
    taken.handles.set(file, handle);
  }
  return taken;
}

/** The films among the files of a chosen folder. */
export function takenOf(files: Iterable<File>): Taken {
  const taken: Taken = { files: [], left: 0, folder: true, handles: new Map() };
  pick(taken, files);
  return taken;
}

function pick(taken: Taken, files: Iterable<File>): void {
  for (const file of files) {
    if (isMedia(file)) taken.files.push(file);
    else if (!file.name.startsWith('.')) taken.left += 1;
  }
}

async function within(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const files: File[] = [];
  for (;;) {
    // A reader gives at most 100 entries at a time.
    const entries = await new Promise<FileSystemEntry[]>((resolve) =>
      reader.readEntries(resolve, () => resolve([])),
    );
    if (entries.length === 0) return files;
    for (const entry of entries) files.push(...(await filesIn(entry)));
  }
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isDirectory) return within(entry as FileSystemDirectoryEntry);
  return new Promise((resolve) =>
    (entry as FileSystemFileEntry).file(
      (file) => resolve([file]),
      () => resolve([]),
    ),
  );
}
