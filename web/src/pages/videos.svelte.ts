// The videos a page shows, kept up to date by one event stream.
import { api, problemIn } from '../api/client.ts';
import { apply, drop, type Live, put } from '../api/live.ts';
import { listen } from '../api/stream.ts';
import type { Problem, Video } from '../api/types.ts';

const PAGE = 24;

/** News for the list of videos (`subject` null) or for one video. */
export class Videos {
  live = $state.raw<Live>({ videos: [] });
  loaded = $state(false);
  problem = $state.raw<Problem | null>(null);
  next = $state<string | null>(null);
  mode = $state<'stream' | 'polling'>('stream');
  /** Grows with each piece of news, for parts that load more by themselves. */
  news = $state(0);
  readonly #subject: string | null;

  constructor(subject: string | null) {
    this.#subject = subject;
  }

  /** Starts; the returned function ends it. */
  start(): () => void {
    void this.refresh();
    return listen(this.#subject, {
      refresh: () => void this.refresh(),
      mode: (mode) => {
        this.mode = mode;
      },
      message: (message) => {
        const change = apply(this.live, message);
        this.live = change.live;
        this.news += 1;
        for (const id of change.ask) void this.ask(id);
      },
    });
  }

  refresh = async (): Promise<void> => {
    try {
      if (this.#subject) this.keep(await api.video(this.#subject));
      else await this.#first();
      this.problem = null;
    } catch (thrown) {
      this.problem = problemIn(thrown);
      // A cancelled upload takes its video along.
      if (this.#subject && this.problem.status === 404) this.live = drop(this.live, this.#subject);
    }
    this.loaded = true;
    this.news += 1;
  };

  async more(): Promise<void> {
    if (!this.next) return;
    const page = await api.videos(this.next, PAGE);
    for (const video of page.items) this.keep(video);
    this.next = page.next;
  }

  async ask(id: string): Promise<void> {
    if (this.#subject && id !== this.#subject) return;
    try {
      this.keep(await api.video(id));
    } catch (thrown) {
      if (problemIn(thrown).status === 404) this.live = drop(this.live, id);
    }
  }

  /** Puts a video into what is known now, which may be other than when the answer was asked for. */
  keep(video: Video): void {
    this.live = put(this.live, video);
  }

  of(id: string | null): Video | null {
    return this.live.videos.find((video) => video.id === id) ?? null;
  }

  async #first(): Promise<void> {
    const page = await api.videos(null, PAGE);
    const oldest = page.items.at(-1)?.created_at ?? '';
    // What the first page no longer names is gone; older ones that were loaded later stay.
    const older = page.next ? this.live.videos.filter((video) => video.created_at < oldest) : [];
    const there = page.items.filter((video) => !this.live.deleted?.includes(video.id));
    this.live = { ...this.live, videos: [...there, ...older] };
    if (older.length === 0) this.next = page.next;
  }
}
