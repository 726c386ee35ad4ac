// What the server says about itself and about who we are.
import { api, problemIn } from '../api/client.ts';
import type { Problem, Server } from '../api/types.ts';

class Session {
  server = $state.raw<Server | null>(null);
  problem = $state.raw<Problem | null>(null);

  load = async (): Promise<void> => {
    try {
      this.server = await api.server();
      this.problem = null;
    } catch (thrown) {
      this.problem = problemIn(thrown);
    }
  };

  /** Whether this visitor has to sign in before anything can be done. */
  get closed(): boolean {
    return this.server?.actor.kind === 'nobody';
  }
}

export const session = new Session();
