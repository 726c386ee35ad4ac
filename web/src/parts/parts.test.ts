// The ribbon, the state sentence, the bars of the timeline and the addresses of pages.
import { expect, test } from 'vitest';
import type { Pipeline, Step, TimelineItem, Video } from '../api/types.ts';
import { routeOf, videoPath } from '../pages/route.ts';
import { bars } from './bars.ts';
import { currentStep, secondsLeft, spared, stateName, stateSentence, stepText } from './steps.ts';
import {
  choice,
  draftOf,
  faultOfMark,
  fieldsOf,
  madeName,
  money,
  nameTaken,
  sizesName,
  toggled,
  trackName,
} from './templates.ts';

const one = (state: Step['state'], progress = 0): Step => ({ id: 's', label: 'Checked', state, progress });

test('the current step is the running or failed one, else the first that waits', () => {
  expect(currentStep([one('done'), one('waiting'), one('running')])).toBe(2);
  expect(currentStep([one('done'), one('failed'), one('waiting')])).toBe(1);
  expect(currentStep([one('done'), one('waiting')])).toBe(1);
  expect(currentStep([one('done')])).toBe(-1);
});
test('each state of a step has its own words', () => {
  expect(
    [one('done'), one('failed'), one('waiting'), one('running'), one('running', 0.509)].map(stepText),
  ).toEqual([
    'Checked: done',
    'Checked: failed',
    'Checked: waiting',
    'Checked: in progress',
    'Checked: 50 %',
  ]);
});
test('the sentence names state, sizes and time left', () => {
  const size = (id: string, state: 'ready' | 'waiting') => ({ id, medium: 'video' as const, state });
  const video = {
    state: 'processing',
    playable: true,
    created_at: '2026-01-01T00:00:00Z',
    progress: { overall: 0.5, steps: [] },
    renditions: [size('a', 'ready'), size('b', 'waiting'), { id: 'aac-1', medium: 'audio', state: 'ready' }],
  } as unknown as Video;
  const after = (seconds: number) => Date.parse(video.created_at) + seconds * 1000;
  expect(stateSentence(video, after(240))).toBe('Playable now · 1 of 2 sizes · ready in about 4 min');
  expect(stateSentence(video, after(1))).toBe('Playable now · 1 of 2 sizes');
  expect(stateSentence({ ...video, state: 'ready' }, after(1))).toBe('Ready · 2 sizes');
  const behind = { ...size('vp9-720', 'waiting'), background: true } as (typeof video.renditions)[number];
  const ready = { ...video, state: 'ready' as const, renditions: [...video.renditions, behind] };
  expect(stateSentence(ready, after(1))).toBe('Ready · 2 sizes · 1 more in the background');
  expect(stateSentence({ ...video, state: 'failed' }, after(1))).toBe('This video could not be processed');
  expect(stateName(video)).toBe('Playable');
});
test('a file that is still coming in is not promised for a time', () => {
  const video = {
    state: 'processing',
    playable: false,
    created_at: '2026-01-01T00:00:00Z',
    renditions: [],
    progress: { overall: 0.2, steps: [one('running', 0.5), one('waiting')] },
  } as unknown as Video;
  expect(stateSentence(video, Date.parse(video.created_at) + 60_000)).toBe('The file is being received');
});
test('a size that is not made names the one that takes its place', () => {
  const size = (short_side: number, made: boolean) => ({ short_side, made, ssim: 0.9, bytes: 5 });
  const all = [size(1080, false), size(720, false), size(480, true), size(240, true)];
  expect(spared(all).map((one) => [one.short_side, one.instead])).toEqual([
    [1080, 480],
    [720, 480],
  ]);
  expect(spared([size(480, true)])).toEqual([]);
});
test('time left is not guessed at the very beginning or end', () => {
  expect(secondsLeft(0.04, 0, 60_000)).toBeNull();
  expect(secondsLeft(1, 0, 60_000)).toBeNull();
  expect(secondsLeft(0.75, 0, 60_000)).toBe(20);
});

const item = (
  at_s: number,
  end_s: number | null,
  kind: 'job' | 'event' = 'job',
  outcome: string | null = 'done',
): TimelineItem => ({
  at: new Date(at_s * 1000).toISOString(),
  ended_at: end_s === null ? null : new Date(end_s * 1000).toISOString(),
  kind,
  name: 'n',
  human: 'h',
  outcome,
  attempt: 1,
  progress: null,
});
test('bars share one scale and are in order', () => {
  const [first, second] = bars([item(5, 10), item(0, 5)], 99_000);
  expect([first?.left, first?.width, first?.length_ms]).toEqual([0, 0.5, 5000]);
  expect([second?.left, second?.width, second?.offset_ms]).toEqual([0.5, 0.5, 5000]);
});
test('a running job reaches until now and a moment stays visible inside the scale', () => {
  const [running, moment] = bars([item(0, null, 'job', null), item(20, 20, 'event', null)], 20_000);
  expect(running?.length_ms).toBe(20_000);
  expect(moment?.length_ms).toBeNull();
  expect((moment?.left ?? 0) + (moment?.width ?? 0)).toBeLessThanOrEqual(1);
  expect(bars([], 0)).toEqual([]);
});

test.each([
  ['/', { page: 'home' }],
  ['/claim', { page: 'claim' }],
  ['/v/vid_01abc', { page: 'video', id: 'vid_01abc' }],
  ['/storage', { page: 'storage' }],
  ['/storage/', { page: 'storage' }],
  ['/hosts', { page: 'hosts' }],
  ['/costs', { page: 'costs' }],
  ['/storage//', { page: 'not-found' }],
  ['/v/', { page: 'not-found' }],
  ['/v/job_1', { page: 'not-found' }],
  ['/v/vid_1/x', { page: 'not-found' }],
  ['/jobs', { page: 'jobs' }],
  ['/jobs/job_7', { page: 'job', id: 'job_7' }],
  ['/jobs/vid_7', { page: 'not-found' }],
])('the address %s is %j', (path, route) => expect(routeOf(path)).toEqual(route));
test('a video’s own address leads to it', () =>
  expect(routeOf(videoPath('vid_7'))).toEqual({ page: 'video', id: 'vid_7' }));

test('a form keeps the fields of a pipeline that it does not show', () => {
  const pipeline = {
    name: 'cinema',
    version: 3,
    origin: 'app',
    created_at: '2026-01-01T00:00:00Z',
    archived_at: null,
    versions: [],
    secret: 'whsec_abc',
    quality: 'high',
    sizes: [720],
    poster: '3s',
    surround: false,
    priority: 1,
    crop: '4:3',
  } as unknown as Pipeline;
  const draft = { ...draftOf(pipeline), sizes: toggled([720], 1080) };
  expect(fieldsOf(pipeline, draft)).toEqual({
    quality: 'high',
    as_is: false,
    sizes: [1080, 720],
    codecs: ['h264'],
    hdr: 'map',
    poster: '3s',
    surround: false,
    strict: false,
    hardware: false,
    priority: 1,
    crop: '4:3',
  });
  expect(fieldsOf(null, draftOf(null))).toEqual({
    quality: 'default',
    as_is: false,
    sizes: [],
    codecs: ['h264'],
    hdr: 'map',
    poster: '10%',
    surround: false,
    strict: false,
    hardware: false,
    priority: 0,
  });
});
test('a pipeline that leaves sources as they are can be told to encode them, and back', () => {
  const kept = { name: 'archive', sizes: [], as_is: true } as unknown as Pipeline;
  expect(fieldsOf(kept, draftOf(kept)).as_is).toBe(true);
  expect(fieldsOf(kept, { ...draftOf(kept), asIs: false }).as_is).toBe(false);
  expect(madeName(kept)).toBe('left as it is, else every size up to the original');
  expect(madeName({ ...kept, as_is: false, sizes: [720] })).toBe('720p');
});
test('what a form takes away is gone, and the picture that a list leaves out is kept', () => {
  const mark = { width_percent: 10, opacity_percent: 50, corner: 'center', x: 1, y: 2 };
  const step = [{ name: 'index', after: 'ready', call: 'https://example.org/' }];
  const listed = {
    name: 'cinema',
    sizes: [],
    watermark: mark,
    loudness_lufs: -16,
    step,
  } as unknown as Pipeline;
  const whole = { ...listed, watermark: { ...mark, picture: 'data:old' } };
  const draft = draftOf(listed);
  expect(fieldsOf(whole, draft)).toMatchObject({
    watermark: { ...mark, picture: 'data:old' },
    loudness_lufs: -16,
    step,
  });
  const another = { ...draft, watermark: { ...mark, picture: 'data:new' } };
  expect(fieldsOf(whole, another).watermark?.picture).toBe('data:new');
  const less = fieldsOf(whole, { ...draft, watermark: null, loudness: null, steps: [] });
  expect([less.watermark, less.loudness_lufs, less.step]).toEqual([undefined, undefined, undefined]);
  expect(JSON.stringify(less)).not.toMatch(/watermark|loudness|step/);
});
test('only a small PNG can be a watermark', () => {
  expect(faultOfMark({ type: 'image/png', size: 256 << 10 })).toBeNull();
  expect(faultOfMark({ type: 'image/png', size: (256 << 10) + 1 })).toContain('256 KiB');
  expect(faultOfMark({ type: 'image/jpeg', size: 1 })).toContain('PNG');
});
test('sizes, tracks and costs have their words', () => {
  expect([toggled([720, 480], 720), sizesName([]), sizesName([720, 480])]).toEqual([
    [480],
    'every size up to the original',
    '720p, 480p',
  ]);
  const track = { id: 'a', width: null, height: null, language: null, channels: null, max_kbps: 1 };
  expect(trackName({ ...track, medium: 'video', width: 720, height: 1280 })).toBe('720p');
  expect(trackName({ ...track, medium: 'audio', language: 'en', channels: 6 })).toBe('Sound en 5.1');
  expect(money({ currency: 'EUR', encode: 0.5, month: 0.0004 })).toBe(
    'about 0.50 EUR to encode, at most 0.00040 EUR a month to store',
  );
});
test('a new pipeline has a name of its own, and one that is archived is not chosen', () => {
  const all = ['default', 'cinema'].map((name) => ({ name }) as Pipeline);
  expect(nameTaken('cinema', all)).toContain('cinema already');
  expect(nameTaken('theatre', all)).toBeNull();
  expect(choice(null, 'cinema', all)).toBe('cinema');
  expect(choice('default', 'cinema', all)).toBe('default');
  expect(choice(null, 'archived', all)).toBe('default');
  expect(choice('archived', null, [{ name: 'other' } as Pipeline])).toBe('other');
  expect(choice(null, 'cinema', [])).toBe('');
});
