// The fields of a pipeline as a form shows them, and what a plan says in words.
import type { Pipeline, PipelineStep, Planned, PlannedTrack, Template, Watermark } from '../api/types.ts';

/** The sizes that the ladder knows, by the short side of the picture. */
export const SIZES = [2160, 1440, 1080, 720, 480, 360, 240] as const;

/** Where a watermark lies. */
export const CORNERS = [
  ['top-left', 'At the top on the left'],
  ['top-right', 'At the top on the right'],
  ['bottom-left', 'At the bottom on the left'],
  ['bottom-right', 'At the bottom on the right'],
  ['center', 'In the middle'],
] as const;

/** The codecs that are made besides H.264. */
export const CODECS = [
  ['vp9', 'VP9 and WebM'],
  ['av1', 'AV1'],
] as const;

/** Most calls of one pipeline. */
export const STEPS_MAX = 8;
/** The largest picture of a watermark in bytes. */
const PICTURE_BYTES_MAX = 256 << 10;

/** What the form edits; all other fields of a pipeline are kept as they are. */
export interface Draft {
  name: string;
  quality: string;
  asIs: boolean;
  sizes: readonly number[];
  codecs: readonly string[];
  keepHdr: boolean;
  poster: string;
  surround: boolean;
  loudness: number | null;
  strict: boolean;
  hardware: boolean;
  priority: number;
  watermark: Watermark | null;
  steps: PipelineStep[];
}

/** A watermark before anybody has changed anything of it. */
export const NEW_MARK: Watermark = {
  width_percent: 25,
  opacity_percent: 100,
  corner: 'top-right',
  x: 0,
  y: 0,
};

/** The form for a pipeline, or an empty one. */
export function draftOf(pipeline: Pipeline | null): Draft {
  return {
    name: pipeline?.name ?? '',
    quality: pipeline?.quality ?? 'default',
    asIs: pipeline?.as_is ?? false,
    sizes: pipeline?.sizes ?? [],
    codecs: pipeline?.codecs?.filter((codec) => codec !== 'h264') ?? [],
    keepHdr: pipeline?.hdr === 'keep',
    poster: pipeline?.poster ?? '10%',
    surround: pipeline?.surround ?? false,
    loudness: pipeline?.loudness_lufs ?? null,
    strict: pipeline?.strict ?? false,
    hardware: pipeline?.hardware ?? false,
    priority: pipeline?.priority ?? 0,
    watermark: pipeline?.watermark ? { ...pipeline.watermark } : null,
    steps: pipeline?.step?.map((step) => ({ ...step })) ?? [],
  };
}

/** What is not sent as it came: it is no field, or the form has the say. */
const NOT_KEPT = [
  ...['name', 'version', 'origin', 'created_at', 'archived_at', 'versions', 'secret'],
  ...['loudness_lufs', 'watermark', 'step'],
];

/** What is sent: the fields of the form over those that the pipeline has besides. */
export function fieldsOf(pipeline: Pipeline | null, draft: Draft): Template {
  const besides = Object.entries(pipeline ?? {}).filter(([name]) => !NOT_KEPT.includes(name));
  const { quality, poster, surround, strict, hardware, priority, loudness, watermark, steps } = draft;
  // A list leaves out the picture of a watermark.
  const picture = watermark?.picture ?? pipeline?.watermark?.picture;
  return {
    ...Object.fromEntries(besides),
    ...{ quality, poster, surround, strict, hardware, priority },
    as_is: draft.asIs,
    sizes: [...draft.sizes],
    codecs: ['h264', ...draft.codecs],
    hdr: draft.keepHdr ? 'keep' : 'map',
    ...(loudness !== null && { loudness_lufs: loudness }),
    ...(watermark && { watermark: { ...watermark, ...(picture && { picture }) } }),
    ...(steps.length > 0 && { step: steps.map((step) => ({ ...step })) }),
  };
}

/** Why a file cannot be a watermark; the server looks at the picture itself. */
export function faultOfMark(file: { type: string; size: number }): string | null {
  if (file.type !== 'image/png') return 'A watermark is a PNG picture.';
  return file.size > PICTURE_BYTES_MAX ? 'The picture is larger than 256 KiB; make it smaller.' : null;
}

/** Why a new pipeline cannot have this name: another one that can be used has it. */
export function nameTaken(name: string, all: readonly Pipeline[]): string | null {
  const taken = all.some((one) => one.name === name);
  return taken ? `There is a pipeline ${name} already; choose it to write its next version.` : null;
}

/** The pipeline that is chosen for a video: what somebody picked, else its own one, else what there is. */
export function choice(picked: string | null, own: string | null, all: readonly Pipeline[]): string {
  const usable = [picked, own, 'default'].find((name) => all.some((one) => one.name === name));
  return usable ?? all[0]?.name ?? '';
}

/** Puts a size in or takes it out; the largest first. */
export function toggled(sizes: readonly number[], size: number): number[] {
  const others = sizes.filter((one) => one !== size);
  return others.length < sizes.length ? others : [...others, size].sort((a, b) => b - a);
}

/** The sizes in words. */
export function sizesName(sizes: readonly number[]): string {
  return sizes.length === 0 ? 'every size up to the original' : sizes.map((size) => `${size}p`).join(', ');
}

/** What a pipeline makes of the picture, in words. */
export function madeName(pipeline: Pipeline): string {
  const sizes = sizesName(pipeline.sizes);
  return pipeline.as_is ? `left as it is, else ${sizes}` : sizes;
}

/** Where a pipeline comes from, in words. */
export function originName(pipeline: Pipeline): string {
  if (pipeline.origin === 'file') return 'written in the server’s configuration';
  return pipeline.origin === 'app' ? `version ${pipeline.version}` : 'built in';
}

/** A track of a plan in words. */
export function trackName(track: PlannedTrack): string {
  if (track.medium === 'video') return `${Math.min(track.width ?? 0, track.height ?? 0)}p`;
  const parts = ['Sound', track.language, track.channels === 6 ? '5.1' : null];
  return parts.filter(Boolean).join(' ');
}

/** What a plan costs in words. */
export function money(cost: NonNullable<Planned['cost']>): string {
  const amount = (price: number) =>
    `${price < 0.01 ? price.toPrecision(2) : price.toFixed(2)} ${cost.currency}`;
  const encode = cost.encode === null ? null : `about ${amount(cost.encode)} to encode`;
  const month = cost.month === null ? null : `at most ${amount(cost.month)} a month to store`;
  return [encode, month].filter(Boolean).join(', ');
}
