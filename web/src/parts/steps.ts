// What the ribbon and the state sentence say about a video.

import type { Judged, Rendition, Step, Video } from '../api/types.ts';
import { about } from '../format/time.ts';

/** The index of the step that is being worked on: the first running one, else the first that waits; -1 when all are done. */
export function currentStep(steps: readonly Step[]): number {
  const running = steps.findIndex((step) => step.state === 'running' || step.state === 'failed');
  return running === -1 ? steps.findIndex((step) => step.state === 'waiting') : running;
}

/** A step in words, for people who do not see the picture. */
export function stepText(step: Step): string {
  if (step.state === 'done') return `${step.label}: done`;
  if (step.state === 'failed') return `${step.label}: failed`;
  if (step.state === 'waiting') return `${step.label}: waiting`;
  return step.progress > 0
    ? `${step.label}: ${Math.floor(step.progress * 100)} %`
    : `${step.label}: in progress`;
}

/** The short name of a video's state. */
export function stateName(video: Pick<Video, 'state' | 'playable'>): string {
  if (video.state === 'failed') return 'Failed';
  if (video.state === 'ready') return 'Ready';
  return video.playable ? 'Playable' : 'In progress';
}

/** How many picture renditions that somebody waits for are finished, of how many. */
function renditionCount(renditions: readonly Rendition[]): { ready: number; all: number } {
  const pictures = renditions.filter(({ medium, background }) => medium === 'video' && !background);
  return { ready: pictures.filter((rendition) => rendition.state === 'ready').length, all: pictures.length };
}

/** The whole state in one sentence: `Playable · 3 of 5 sizes · ready in about 4 min`. */
export function stateSentence(video: Video, now_ms: number): string {
  if (video.state === 'failed') return 'This video could not be processed';
  const { ready, all } = renditionCount(video.renditions);
  if (video.state === 'ready') {
    const sizes = all > 0 ? `Ready · ${all} ${all === 1 ? 'size' : 'sizes'}` : 'Ready';
    const behind = video.renditions.filter(
      ({ background, state }) => background && (state === 'waiting' || state === 'encoding'),
    );
    return behind.length > 0 ? `${sizes} · ${behind.length} more in the background` : sizes;
  }
  const received = video.progress.steps[0];
  if (received && (received.state === 'running' || received.state === 'waiting'))
    return 'The file is being received';
  const parts = [video.playable ? 'Playable now' : 'Getting ready'];
  if (all > 0) parts.push(`${ready} of ${all} sizes`);
  parts.push(...outlook(video, now_ms));
  return parts.join(' · ');
}

/** When it will be done, and how fast that goes, as far as that can be told. */
function outlook(video: Video, now_ms: number): string[] {
  if (video.run_after && Date.parse(video.run_after) > now_ms)
    return [`encoded from ${new Date(video.run_after).toLocaleString()} on`];
  const speed = video.forecast?.speed;
  const left_s =
    video.forecast?.ready_in_s ?? secondsLeft(video.progress.overall, Date.parse(video.created_at), now_ms);
  if (left_s === null) return [];
  return [`ready in about ${about(left_s)}`, ...(speed ? [`${speed.toFixed(1)}x`] : [])];
}

/** The time left when work goes on at its mean pace so far, in seconds; null while that would be a guess. */
export function secondsLeft(overall: number, since_ms: number, now_ms: number): number | null {
  const spent_s = (now_ms - since_ms) / 1000;
  if (overall < 0.05 || overall >= 1 || spent_s < 2) return null;
  return (spent_s * (1 - overall)) / overall;
}

/** The sizes that are not made, each with the next smaller one that is. */
export function spared(judged: readonly Judged[]): (Judged & { instead: number })[] {
  return judged.flatMap((one, at) => {
    const instead = judged.slice(at + 1).find((smaller) => smaller.made);
    return one.made || !instead ? [] : [{ ...one, instead: instead.short_side }];
  });
}
