// The recipe of docs/guides/upload-with-uppy.md, as a page would have it.
import Uppy from '@uppy/core';
import Dashboard from '@uppy/dashboard';
import Tus from '@uppy/tus';

/** Shows the dashboard in `target`; gives the id of the first video that was sent. */
function upload(endpoint: string, target: HTMLElement): Promise<string> {
  const uppy = new Uppy({ restrictions: { allowedFileTypes: ['video/*', 'audio/*', '.mkv'] } });
  uppy.use(Dashboard, { inline: true, target });
  const videos = new Map<string, string>();
  uppy.use(Tus, {
    endpoint,
    limit: 3,
    removeFingerprintOnSuccess: true,
    allowedMetaFields: ['name', 'type'],
    onAfterResponse: (request, response) => {
      const video = response.getHeader('Matinee-Video');
      const location = response.getHeader('Location') ?? request.getURL();
      if (video) videos.set(new URL(location, endpoint).href, video);
    },
  });
  return new Promise((resolve) => {
    uppy.on('upload-success', (_file, { uploadURL }) => resolve(videos.get(uploadURL ?? '') ?? ''));
  });
}

Object.assign(globalThis, { upload });
