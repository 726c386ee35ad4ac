// The server's words for hosts: services that take videos and stream them.
/** A question that a host was asked. */
export interface HostCall {
  name: string;
  at: string;
  took_ms: number;
  error: string | null;
}

/** A service that videos are published to. */
export interface Host {
  name: string;
  kind: 'cloudflare' | 'bunny';
  /** For administrators of the server only. */
  health: {
    identity: string;
    away_since: string | null;
    asked_again_at: string | null;
    answered_at: string | null;
    error: string | null;
    error_at: string | null;
    held: number;
    usage: HostUsage | null;
    draining_since: string | null;
    /** The host where what is there is to be first. */
    draining_to: string | null;
    published: number;
    /** Videos that are nowhere else. */
    only_there: number;
    calls: HostCall[];
  } | null;
}

/** What a host says that is used of what was paid for. */
export interface HostUsage {
  stored_s: number | null;
  limit_s: number | null;
  videos: number | null;
  told_at: string;
}

/** How a trial of a host went. */
export interface HostTrial {
  passed: boolean;
  steps: { name: string; error: string | null; took_ms: number }[];
}
