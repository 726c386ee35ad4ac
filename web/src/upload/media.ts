// Which files of a folder are meant: a folder of films often has pictures, lists and hidden files beside them.

const ENDINGS =
  /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|ts|m2ts|mts|mxf|ogv|ogg|wmv|flv|3gp|3g2|vob|dv|mp3|m4a|aac|wav|flac|opus)$/i;

/** Whether a file of a folder is a film or a sound; one that was chosen by name is taken whatever it is. */
export function isMedia(file: { name: string; type: string }): boolean {
  if (file.name.startsWith('.')) return false;
  return /^(video|audio)\//.test(file.type) || ENDINGS.test(file.name);
}

/** What is said about a folder's files. */
export function folderSentence(taken: number, left: number): string {
  if (taken === 0) return 'There is no video in this folder.';
  const files = `${taken} ${taken === 1 ? 'upload' : 'uploads'} added`;
  return left === 0 ? files : `${files}; ${left} other ${left === 1 ? 'file' : 'files'} left out`;
}
