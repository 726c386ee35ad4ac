// The qualities that a viewer can choose, named so that each can be told from the others.

/** A quality to choose: its number in hls.js and its name. */
export interface Quality {
  level: number;
  label: string;
}

/** What hls.js knows of a level. */
export interface Level {
  width: number;
  height: number;
  name: string;
  frameRate: number;
  videoCodec?: string | undefined;
  videoRange?: string | undefined;
}

const CODECS: Readonly<Record<string, string>> = {
  avc1: 'H.264',
  avc3: 'H.264',
  vp09: 'VP9',
  av01: 'AV1',
  hvc1: 'HEVC',
  hev1: 'HEVC',
};

/** The largest first; what is there in several codecs says which one it is. */
export function qualities(levels: readonly Level[]): Quality[] {
  const all = levels.map((level, number) => ({ number, level, side: side(level), label: plain(level) }));
  const named = all.map(({ number, level, side: short, label }) => {
    const alone = all.every((other) => other.number === number || other.label !== label);
    return { level: number, side: short, label: alone ? label : `${label} ${kind(level)}`.trim() };
  });
  return named.sort((a, b) => b.side - a.side).map(({ level, label }) => ({ level, label }));
}

const side = ({ width, height }: Level) => Math.min(width, height);

function plain(level: Level): string {
  if (!side(level)) return level.name || 'Sound only';
  return `${side(level)}p${level.frameRate > 40 ? Math.round(level.frameRate) : ''}`;
}

function kind({ videoCodec, videoRange }: Level): string {
  const codec = CODECS[videoCodec?.split('.')[0] ?? ''] ?? '';
  return videoRange === 'PQ' || videoRange === 'HLG' ? `${codec} HDR` : codec;
}
