import { expect, test } from 'vitest';
import { faultOfCaptions, nameOfLanguage } from './captions.ts';

const file = (name: string, size = 100) => ({ name, size });

test('a form of captions is checked before the server is asked', () => {
  expect(faultOfCaptions('sv', file('words.srt'))).toBeNull();
  expect(faultOfCaptions(' pt-BR ', file('WORDS.VTT', 8 * 1024 * 1024))).toBeNull();
  for (const language of ['', 'x', 'English', 'en_GB', '12', 'en-'])
    expect(faultOfCaptions(language, file('words.srt')), language).toContain('as a tag');
  expect(faultOfCaptions('en', null)).toContain('.srt');
  expect(faultOfCaptions('en', file('words.txt'))).toContain('neither');
  expect(faultOfCaptions('en', file('words.srt', 8 * 1024 * 1024 + 1))).toContain('8 MiB');
});

test('a language has a name of its own', () => {
  expect(nameOfLanguage('sv')).toBe('Svenska');
  expect(nameOfLanguage('de')).toBe('Deutsch');
  expect(nameOfLanguage('qqq')).toBe('');
  expect(nameOfLanguage('not a tag')).toBe('');
});
