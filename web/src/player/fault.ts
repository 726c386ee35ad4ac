// What the error overlay says: a short code to pass on, a sentence and what to do.

export interface Fault {
  code: string;
  human: string;
  fix: string;
}

/** Words for a fault of hls.js (`type`, `details`, HTTP status when there was one). */
export function faultOf(type: string, details: string, status: number | null): Fault {
  const code = codeOf(type, details, status);
  if (type === 'networkError') return { code, ...network(status) };
  if (details === 'manifestIncompatibleCodecsError' || details === 'bufferAddCodecError') {
    return {
      code,
      human: 'This browser cannot play this kind of video.',
      fix: 'Use another browser, or download the video.',
    };
  }
  return {
    code,
    human: 'The video stopped because of a playback error.',
    fix: 'Try again; if it stays, pass on the code.',
  };
}

/** Words for a fault of the <video> element itself (its `MediaError.code`). */
export function elementFault(code: number): Fault {
  const base = { code: `M-EL-${code}` };
  if (code === 2) return { ...base, ...network(null) };
  return {
    ...base,
    human: 'This browser cannot play this video.',
    fix: 'Use another browser, or download the video.',
  };
}

function network(status: number | null): { human: string; fix: string } {
  if (status === 401 || status === 403) {
    return { human: 'The permission to watch has run out.', fix: 'Try again to get a new one.' };
  }
  if (status === 404 || status === 410) {
    return {
      human: 'This part of the video is not there.',
      fix: 'It may have been deleted or made anew; try again.',
    };
  }
  return {
    human: 'The server cannot be reached.',
    fix: 'Check your connection and try again; your position is kept.',
  };
}

function codeOf(type: string, details: string, status: number | null): string {
  const kind = type === 'networkError' ? 'NET' : type === 'mediaError' ? 'MED' : 'OTH';
  // The capitals of a detail are its short form: manifestLoadError becomes MLE.
  const short = (details.charAt(0).toUpperCase() + details.slice(1)).replace(/[^A-Z]/g, '');
  return ['M', kind, short, status ?? ''].filter((part) => part !== '').join('-');
}
