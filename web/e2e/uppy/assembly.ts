// A page as it is written for Transloadit; only `service` is another one. It is in docs/guides/use-transloadit-pages.md, too.
import Uppy from '@uppy/core';
import Transloadit from '@uppy/transloadit';

interface Told {
  uploads: string[];
  results: string[];
  status: unknown;
}

/** Sends what is chosen in `input`; what the page was told until the end. */
function assemble(
  service: string,
  assemblyOptions: { params: string; signature: string },
  input: HTMLInputElement,
): Promise<Told> {
  const uppy = new Uppy();
  uppy.use(Transloadit, {
    service,
    waitForEncoding: true,
    errorReporting: false, // else faults are told to a host of Transloadit
    // Its types want an object, but what was signed is this very text.
    assemblyOptions: assemblyOptions as never,
  });
  const told: Told = { uploads: [], results: [], status: null };
  uppy.on('transloadit:upload', (file) => told.uploads.push(file.name ?? ''));
  uppy.on('transloadit:result', (step, result) => told.results.push(`${step} ${result.id}`));
  for (const file of input.files ?? []) uppy.addFile({ name: file.name, type: file.type, data: file });
  return new Promise((resolve, reject) => {
    uppy.on('transloadit:complete', (status) => resolve({ ...told, status }));
    uppy.on('transloadit:assembly-error', (_status, error) => reject(error));
    uppy.upload().catch(reject);
  });
}

Object.assign(globalThis, { assemble });
