// Files out of what was dropped or pasted; folders are walked through.
import { isMedia } from './media.ts';

export interface Taken {
  files: File[];
  /** Files of folders that are no films. */
  left: number;
  /** Whether a folder was among them. */
  folder: boolean;
}

/** The files of a drop. Must be called while the event is handled: afterwards the browser forgets its list. */
export async function takenFrom(transfer: DataTransfer | null): Promise<Taken> {
  const taken: Taken = { files: [], left: 0, folder: false };
  const items = [...(transfer?.items ?? [])].filter((item) => item.kind === 'file');
  const found = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  for (const { entry, file } of found) {
    if (entry?.isDirectory) {
      taken.folder = true;
      pick(taken, await within(entry as FileSystemDirectoryEntry));
    } else if (file) taken.files.push(file);
  }
  return taken;
}

/** The films among the files of a chosen folder. */
export function takenOf(files: Iterable<File>): Taken {
  const taken: Taken = { files: [], left: 0, folder: true };
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
