// A small picture of a chosen file, made in the browser.

const WIDTH = 160;
const PATIENCE_MS = 4000;

/** A `blob:` address of an early frame; null when the browser cannot read the file. */
export async function pictureOf(file: File): Promise<string | null> {
  if (!file.type.startsWith('video/')) return null;
  const source = URL.createObjectURL(file);
  const video = document.createElement('video');
  video.muted = true;
  video.preload = 'auto';
  try {
    await reached(video, 'loadeddata', () => {
      video.src = source;
    });
    await reached(video, 'seeked', () => {
      video.currentTime = Math.min(1, video.duration / 3 || 0);
    });
    return await drawn(video);
  } catch {
    return null;
  } finally {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(source);
  }
}

function reached(video: HTMLVideoElement, event: string, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    setTimeout(reject, PATIENCE_MS);
    video.addEventListener(event, () => resolve(), { once: true });
    video.addEventListener('error', reject, { once: true });
    begin();
  });
}

async function drawn(video: HTMLVideoElement): Promise<string | null> {
  if (!video.videoWidth) return null;
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  canvas.getContext('2d')?.drawImage(video, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.75));
  return blob ? URL.createObjectURL(blob) : null;
}
