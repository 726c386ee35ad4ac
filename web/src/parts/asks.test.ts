// Answers that come late, and whether something runs.
import { expect, test } from 'vitest';
import { Asks } from './asks.ts';

/** Questions whose answers come when the test says so. */
function asked() {
  const taken: string[] = [];
  const busy: boolean[] = [];
  const asks = new Asks((runs) => busy.push(runs));
  const ask = () => {
    let [resolve, reject] = [(_: string) => {}, (_: string) => {}];
    const answer = new Promise<string>((done, fails) => {
      [resolve, reject] = [done, fails];
    });
    const failed = (thrown: unknown) => taken.push(`failed ${thrown}`);
    const over = asks.ask(
      () => answer,
      (text) => taken.push(text),
      failed,
    );
    return { resolve, reject, over };
  };
  return { asks, ask, taken, busy };
}

test('the late answer to an earlier question is not taken', async () => {
  const { ask, taken, busy } = asked();
  const [first, second] = [ask(), ask()];
  second.resolve('second');
  await second.over;
  expect(busy.at(-1)).toBe(true);
  first.resolve('first');
  await first.over;
  expect(taken).toEqual(['second']);
  expect(busy.at(-1)).toBe(false);
});
test('what went wrong with an earlier question is not shown', async () => {
  const { ask, taken } = asked();
  const [first, second] = [ask(), ask()];
  first.reject('first');
  second.reject('second');
  await Promise.all([first.over, second.over]);
  expect(taken).toEqual(['failed second']);
});
test('nothing counts any more when something else was chosen', async () => {
  const { asks, ask, taken, busy } = asked();
  const only = ask();
  asks.forget();
  only.resolve('late');
  await only.over;
  expect(taken).toEqual([]);
  expect(busy).toEqual([true, false]);
});
