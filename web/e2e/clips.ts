// Clips to upload: those of the machine when they are there, all others drawn by ffmpeg.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

/** What is said and which chapters there are in `languages.mkv`, beside it. */
const WORDS = {
  'words.srt': '1\n00:00:00,200 --> 00:00:05,800\nSnow falls & stays\n',
  'chapters.txt':
    ';FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=2\ntitle=The beginning\n' +
    '[CHAPTER]\nTIMEBASE=1/1\nSTART=2\nEND=6\ntitle=The rest\n',
} as const;

/** How ffmpeg draws each clip. */
const DRAWN: Readonly<Record<string, readonly string[]>> = {
  'portrait.mp4': [...picture('360x640'), ...SOUND, ...H264, ...AAC],
  'cinema.mp4': [...picture('960x528', 24), ...SOUND, ...H264, ...AAC, '-movflags', '+faststart'],
  'odd.mkv': [...picture('321x241'), ...SOUND, '-c:v', 'ffv1', '-c:a', 'flac'],
  'silent.mp4': [...picture('320x240'), ...H264, '-an'],
  'own.png': ['-f', 'lavfi', '-i', 'color=orange:s=500x700', '-frames:v', '1'],
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
  'ten-seconds.mp4': [
    ...picture('320x240', 25, 10),
    '-f',
    'lavfi',
    '-i',
    'sine=440:d=10:r=48000',
    ...H264,
    ...AAC,
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

/** English at 440 Hz and Swedish at 1,760 Hz, with English subtitles and two chapters. */
async function drawLanguages(home: string, path: string): Promise<void> {
  for (const [file, text] of Object.entries(WORDS)) writeFileSync(join(home, file), text);
  const [words, chapters] = Object.keys(WORDS).map((file) => join(home, file)) as [string, string];
  const swedish = ['-f', 'lavfi', '-i', 'sine=1760:d=6:r=44100'];
  const maps = [0, 1, 2, 3].flatMap((input) => ['-map', String(input)]);
  const tags = ['-metadata:s:a:0', 'language=eng', '-metadata:s:a:1', 'language=swe'];
  const inputs = [...picture('320x240'), ...SOUND, ...swedish, '-i', words, '-i', chapters];
  const spoken = [...tags, '-metadata:s:s:0', 'language=eng', '-map_chapters', '4'];
  await run('ffmpeg', ['-v', 'error', ...inputs, ...maps, ...H264, ...AAC, '-c:s', 'srt', ...spoken, path]);
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
    if (name === 'languages.mkv') await drawLanguages(home, path);
    else if (name === 'rotated.mp4') {
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
