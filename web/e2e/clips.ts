// Clips to upload: those of the machine when they are there, all others drawn by ffmpeg.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SHARED = [
  process.env.MATINEE_MEDIA ?? '',
  resolve(import.meta.dirname, '../../../shared/media'),
  resolve(import.meta.dirname, '../../../../shared/media'),
];
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '50'];
const SOUND = ['-f', 'lavfi', '-i', 'sine=440:d=6:r=44100'];
const AAC = ['-c:a', 'aac', '-b:a', '64k'];
const picture = (size: string, rate = 25, length_s = 6) => [
  '-f',
  'lavfi',
  '-i',
  `testsrc2=s=${size}:r=${rate}:d=${length_s}`,
];
const surround = (length_s: number) => [
  '-f',
  'lavfi',
  '-i',
  `anoisesrc=d=${length_s}:a=0.1,pan=5.1|c0=c0|c1=c0|c2=c0`,
];

/** How ffmpeg draws each clip. */
const DRAWN: Readonly<Record<string, readonly string[]>> = {
  'portrait.mp4': [...picture('360x640'), ...SOUND, ...H264, ...AAC],
  'cinema.mp4': [...picture('960x528', 24), ...SOUND, ...H264, ...AAC, '-movflags', '+faststart'],
  'odd.mkv': [...picture('321x241'), ...SOUND, '-c:v', 'ffv1', '-c:a', 'flac'],
  'silent.mp4': [...picture('320x240'), ...H264, '-an'],
  'sound.m4a': [...SOUND, ...AAC, '-vn'],
  'varying.mp4': [
    ...picture('320x240', 30),
    ...SOUND,
    '-vf',
    "select='not(mod(n,3))+lt(mod(n,60),30)'",
    '-vsync',
    'vfr',
    '-af',
    'atrim=end=5.93',
    ...H264,
    ...AAC,
  ],
  'ten-bit.mp4': [
    ...picture('320x240'),
    ...SOUND,
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-pix_fmt',
    'yuv420p10le',
    ...AAC,
  ],
  'vp8.webm': [
    ...picture('320x240'),
    ...SOUND,
    '-c:v',
    'libvpx',
    '-deadline',
    'realtime',
    '-cpu-used',
    '8',
    '-b:v',
    '500k',
    '-c:a',
    'libvorbis',
  ],
  'moov-last.mp4': [...picture('320x240'), ...SOUND, ...H264, ...AAC],
  'fragmented.mp4': [
    ...picture('320x240'),
    ...SOUND,
    ...H264,
    ...AAC,
    '-movflags',
    'frag_keyframe+empty_moov+default_base_moof',
  ],
  'front.mp4': [...picture('640x360', 25, 40), ...surround(40), ...H264, ...AAC, '-movflags', '+faststart'],
  'growing.avi': [
    ...picture('640x360', 25, 64),
    '-f',
    'lavfi',
    '-i',
    'sine=440:d=64:r=44100',
    '-vf',
    'noise=alls=8:allf=t',
    '-c:v',
    'mpeg4',
    '-q:v',
    '6',
    '-c:a',
    'mp3',
  ],
  'bbb-480p-30s.mp4': [...picture('854x480', 24, 30), ...surround(30), ...H264, ...AAC],
  'bbb-720p-5s.mp4': [...picture('1280x720', 25, 5), ...surround(5), ...H264, ...AAC],
  'bbb-trailer.webm': [
    ...picture('640x360', 25, 32),
    ...SOUND,
    '-c:v',
    'libvpx',
    '-cpu-used',
    '8',
    '-deadline',
    'realtime',
    '-c:a',
    'libvorbis',
  ],
};

export interface Clips {
  /** The path of a clip, drawn at first use. */
  path(name: string): Promise<string>;
  clear(): void;
}

/** A folder for drawn clips. */
export function openClips(): Clips {
  const home = mkdtempSync(join(tmpdir(), 'matinee-e2e-clips-'));
  const known = new Map<string, Promise<string>>();
  const make = async (name: string): Promise<string> => {
    for (const folder of SHARED) {
      if (folder && existsSync(join(folder, name))) return join(folder, name);
    }
    const path = join(home, name);
    const drawn = DRAWN[name];
    if (name === 'rotated.mp4') {
      const upright = await again('moov-last.mp4');
      await run('ffmpeg', ['-v', 'error', '-i', upright, '-c', 'copy', '-metadata:s:v', 'rotate=90', path]);
    } else if (drawn) await run('ffmpeg', ['-v', 'error', ...drawn, path]);
    else throw new Error(`nobody knows how to draw ${name}`);
    return path;
  };
  const again = (name: string): Promise<string> => {
    const path = known.get(name) ?? make(name);
    known.set(name, path);
    return path;
  };
  return { path: again, clear: () => rmSync(home, { recursive: true, force: true }) };
}
