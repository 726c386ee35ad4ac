// What a page asks for again and again: answers that cross, and what is said of what went wrong.
import { beforeEach, expect, test, vi } from 'vitest';
import { Watched } from './watched.svelte.ts';

vi.mock('../api/client.ts', () => ({ api: {}, problemIn: (thrown: unknown) => thrown }));

let answers: { take: (answer: string) => void; refuse: (why: string) => void }[] = [];
const watched = () =>
  new Watched(
    1000,
    () =>
      new Promise<string>((take, refuse) => {
        answers.push({ take, refuse });
      }),
  );

beforeEach(() => {
  answers = [];
});

test('an answer never takes the place of one to a later question', async () => {
  const list = watched();
  const both = [list.refresh(), list.refresh()];
  answers[1]?.take('later');
  await both[1];
  answers[0]?.take('earlier');
  await both[0];
  expect(list.answer).toBe('later');
});

test('what was there stays while nobody answers, and the reason goes when somebody does', async () => {
  const list = watched();
  const first = list.refresh();
  answers[0]?.take('a list');
  await first;
  const second = list.refresh();
  answers[1]?.refuse('away');
  await second;
  expect([list.answer, list.problem]).toEqual(['a list', 'away']);
  const third = list.refresh();
  answers[2]?.take('another');
  await third;
  expect([list.answer, list.problem]).toEqual(['another', null]);
});

test('a refusal is said until somebody wants something else, whatever is answered meanwhile', async () => {
  const list = watched();
  await list.act(() => Promise.reject('no'));
  const asked = list.refresh();
  answers[0]?.take('a list');
  await asked;
  expect(list.problem).toBe('no');
  const done = list.act(async () => undefined);
  await vi.waitFor(() => expect(answers).toHaveLength(2));
  expect(list.problem).toBe(null);
  answers[1]?.take('changed');
  await done;
  expect(list.answer).toBe('changed');
});
