// Which sound a viewer wants: the choice holds for other videos, too, as far as they have it.

/** A sound to choose: its number in the engine, its name, and its language as a tag. */
export interface Sound {
  number: number;
  label: string;
  language: string;
}

/** What somebody chose once. */
export type Wish = Pick<Sound, 'label' | 'language'>;

/** The sound that was wished for: the same one, else one of its language; null leaves it to the video. */
export function wished(sounds: readonly Sound[], wish: Wish | null): Sound | null {
  if (!wish) return null;
  const known = sounds.filter((sound) => sound.language === wish.language && wish.language !== '');
  return known.find((sound) => sound.label === wish.label) ?? known[0] ?? null;
}

/** Reads a kept wish. */
export function wishOf(kept: string | null): Wish | null {
  try {
    const value: unknown = JSON.parse(kept ?? 'null');
    if (typeof value !== 'object' || value === null) return null;
    const { label, language } = value as Record<string, unknown>;
    return typeof label === 'string' && typeof language === 'string' ? { label, language } : null;
  } catch {
    return null;
  }
}
