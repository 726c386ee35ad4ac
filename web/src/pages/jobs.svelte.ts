// The jobs that a page shows, kept up to date by the event stream.
import { api, problemIn } from '../api/client.ts';
import { listen } from '../api/stream.ts';
import type { Job, JobGroup, JobList, Problem } from '../api/types.ts';

/** Who watches this is told of all running jobs. */
const SUBJECT = 'jobs';

export class Jobs {
  group = $state<JobGroup>('running');
  kind = $state('');
  video = $state('');
  items = $state.raw<readonly Job[]>([]);
  groups = $state.raw<JobList['groups']>(null);
  paused = $state(false);
  next = $state<string | null>(null);
  loaded = $state(false);
  problem = $state.raw<Problem | null>(null);
  mode = $state<'stream' | 'polling'>('stream');
  /** Answers of older questions are not shown any more. */
  #asked = 0;

  /** Starts; the returned function ends it. */
  start(): () => void {
    void this.refresh();
    return listen(SUBJECT, {
      refresh: () => void this.refresh(),
      mode: (mode) => {
        this.mode = mode;
      },
      message: ({ topic, text }) => {
        if (topic === 'jobs.changed') this.#told(JSON.parse(text) as JobList);
      },
    });
  }

  /** Shows another group, or another part of it. */
  async show(group: JobGroup, kind: string, video: string): Promise<void> {
    if (group !== this.group) this.items = [];
    Object.assign(this, { group, kind, video, next: null, loaded: false });
    await this.refresh();
  }

  refresh = async (): Promise<void> => {
    this.#asked += 1;
    const mine = this.#asked;
    try {
      const list = await api.jobs(this.group, this.kind, this.video, null);
      if (mine !== this.#asked) return;
      this.items = list.items;
      this.next = list.next;
      this.#counted(list);
      this.problem = null;
    } catch (thrown) {
      if (mine === this.#asked) this.problem = problemIn(thrown);
    }
    this.loaded = true;
  };

  async more(): Promise<void> {
    if (!this.next) return;
    const list = await api.jobs(this.group, this.kind, this.video, this.next);
    this.items = [...this.items, ...list.items];
    this.next = list.next;
  }

  /** Does something with a job, and shows what came of it. */
  async order(deed: () => Promise<unknown>): Promise<void> {
    try {
      await deed();
      this.problem = null;
      await this.refresh();
    } catch (thrown) {
      this.problem = problemIn(thrown);
    }
  }

  #counted(list: JobList): boolean {
    const before = JSON.stringify(this.groups);
    this.groups = list.groups;
    this.paused = list.paused_at !== null;
    return before !== JSON.stringify(list.groups);
  }

  #told(list: JobList): void {
    const changed = this.#counted(list);
    if (this.group === 'running' && !this.kind && !this.video) this.items = list.items;
    else if (changed) void this.refresh();
  }
}
