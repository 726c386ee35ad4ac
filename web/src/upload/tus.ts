// Sends one file by tus; it never begins again by itself and leaves every retry to the queue.
import { DetailedError, Upload } from 'tus-js-client';
import { problemOf, reasonOf } from '../api/problem.ts';
import type { Reason } from '../api/types.ts';
import { sendTail } from './tail.ts';

export interface Told {
  /** The server made the upload: its address and the ids of upload and video. */
  named(url: string, upload_id: string | null, video_id: string | null): void;
  progress(sent_bytes: number): void;
  /** The network or the server is away: worth another try. */
  stalled(): void;
  /** The server no longer has this upload. */
  gone(): void;
  done(): void;
  failed(reason: Reason): void;
}

export interface Sending {
  send(): void;
  stop(): Promise<void>;
  terminate(): Promise<void>;
}

const AGAIN: ReadonlySet<number> = new Set([409, 423, 425, 429]);

function settle(thrown: Error, resumed: boolean, told: Told): void {
  const response = thrown instanceof DetailedError ? thrown.originalResponse : null;
  const status = response?.getStatus() ?? 0;
  if (status === 0 || status >= 500 || AGAIN.has(status)) {
    told.stalled();
    return;
  }
  if (resumed && (status === 404 || status === 410)) {
    told.gone();
    return;
  }
  let body: unknown = null;
  try {
    body = JSON.parse(response?.getBody() ?? '');
  } catch {
    // A proxy's page instead of a problem document: the status alone has to do.
  }
  told.failed(reasonOf(problemOf(status, body)));
}

/** Prepares the upload of a file; `url` goes on with one that was begun before. */
export function sending(file: File, endpoint: string, url: string | null, told: Told): Sending {
  let resumed = url !== null;
  const upload = new Upload(file, {
    // With an endpoint, tus-js-client answers any bad HEAD (a proxy's 502, say) by a new upload from byte 0.
    // So it has one only until the upload exists.
    ...(url === null ? { endpoint } : { uploadUrl: url }),
    metadata: { filename: file.name, filetype: file.type || 'application/octet-stream' },
    retryDelays: null,
    storeFingerprintForResuming: false,
    removeFingerprintOnSuccess: true,
    onAfterResponse: (request, response) => {
      if (request.getMethod() !== 'POST' || response.getStatus() !== 201) return;
      const location = response.getHeader('Location');
      if (!location) return;
      void sendTail(file, new URL(location, document.baseURI).href);
      told.named(
        new URL(location, document.baseURI).href,
        response.getHeader('Matinee-Upload') ?? null,
        response.getHeader('Matinee-Video') ?? null,
      );
    },
    onUploadUrlAvailable: () => {
      resumed = true;
      upload.options.endpoint = null;
    },
    onProgress: (sent) => told.progress(sent),
    onSuccess: () => told.done(),
    onError: (thrown) => settle(thrown, resumed, told),
  });
  return {
    // A try that still hangs must not answer after the new one has begun.
    send: () => void upload.abort(false).then(() => upload.start()),
    stop: () => upload.abort(false),
    terminate: () => upload.abort(true),
  };
}
