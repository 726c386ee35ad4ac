// What a person writes of captions of their own, checked before the server is asked.

/** The largest file that the server takes, in bytes. */
const BYTES_MAX = 8 * 1024 * 1024;

/** What is wrong with a form, in a sentence that says what to do; null when it can be sent. */
export function faultOfCaptions(language: string, file: Pick<File, 'name' | 'size'> | null): string | null {
  if (!isTag(language)) return 'Write the language as a tag, such as en, sv or pt-BR.';
  if (!file) return 'Take a SubRip (.srt) or WebVTT (.vtt) file.';
  if (!/\.(srt|vtt)$/i.test(file.name)) return 'This is neither a .srt nor a .vtt file. Take one of these.';
  if (file.size > BYTES_MAX) return 'The file has more than 8 MiB. Take one without pictures or fonts.';
  return null;
}

/** Whether a text can be a language tag (RFC 5646): letters first, then parts of letters and digits. */
function isTag(text: string): boolean {
  return /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i.test(text.trim());
}

/** The name of a language in its own words, for who leaves the name empty; empty when nobody knows it. */
export function nameOfLanguage(tag: string): string {
  if (!isTag(tag)) return '';
  try {
    const name = new Intl.DisplayNames([tag.trim()], { type: 'language', fallback: 'none' }).of(tag.trim());
    return name ? name.charAt(0).toLocaleUpperCase(tag.trim()) + name.slice(1) : '';
  } catch {
    return '';
  }
}
