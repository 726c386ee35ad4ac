// Somebody is told what happens: added, tried, looked at and told again on a phone in the dark, by keyboard.
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Server, startServer } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let page: Page;
let receiver: HttpServer;
let status = 500;
const heard: { id: string; type: string }[] = [];

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => {
      body += part.toString();
    });
    request.on('end', () => {
      heard.push({ id: String(request.headers['webhook-id']), type: JSON.parse(body).type });
      response.writeHead(status).end(status === 500 ? 'the shelf is full' : 'thank you');
    });
  });
  await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
  [server, browser] = await Promise.all([
    startServer([], `[ingest]\nallow_hosts = ["127.0.0.1:${port()}"]\n`),
    openBrowser(),
  ]);
  page = await browser.page();
  await page.setViewport({ width: 360, height: 740 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
});
afterAll(async () => {
  receiver.close();
  await Promise.all([server?.stop(), browser?.close()]);
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

const port = () => (receiver.address() as AddressInfo).port;
const wide = () => page.evaluate(() => document.documentElement.scrollWidth);

/** Announces an upload, as a page of this browser. */
const happens = () =>
  page.evaluate(async () => {
    const body = JSON.stringify({ size_bytes: 5 });
    const headers = { 'content-type': 'application/json' };
    return (await fetch('/v1/uploads', { method: 'POST', headers, body })).status;
  });

test('an address is added, tried, told what happens, and told again', async () => {
  await page.goto(server.claim);
  await says(page, 'as the administrator of this server');
  await page.goto(`${server.url}/notifications`);
  await says(page, 'Nobody is told yet');
  await page.type('input[type="url"]', 'http://10.0.0.1/');
  await press(page, 'Add');
  await says(page, 'ingest.allow_hosts');
  await page.$eval('input[type="url"]', (input) => {
    input.value = '';
  });
  await page.type('input[type="url"]', `http://127.0.0.1:${port()}/hook`);
  await page.type('input[placeholder^="video"]', 'upload.* video.*');
  // By keyboard: the form is sent as every form is.
  await page.keyboard.press('Enter');
  await says(page, 'Its secret');
  await says(page, 'whsec_');
  await press(page, 'Send a test');
  await says(page, 'The test was not taken: answered 500 in');
  status = 200;
  await press(page, 'Send a test');
  await says(page, 'The test was taken: it answered 200 in');
  expect(await happens()).toBe(201);
  const first = await until('the event is told', async () =>
    heard.find((one) => one.type === 'upload.created'),
  );
  await press(page, 'Messages');
  await says(page, 'delivered after 1 call');
  await page.$$eval('main summary', (all) => {
    for (const one of all) one.click();
  });
  await says(page, 'the shelf is full');
  expect(await unreachable(page)).toEqual([]);
  expect(await wide()).toBe(360);
  const shot = process.env.SHOTS;
  if (shot) await page.screenshot({ path: `${shot}/notifications-360-dark.png`, fullPage: true });
  await press(page, 'Send upload.created again');
  await says(page, '1 event is sent again.');
  await until('it is told again', async () => heard.filter((one) => one.id === first.id).length === 2);
});

test('it is switched off and on, given another secret, and forgotten', async () => {
  await press(page, 'Switch off');
  await says(page, 'It is told nothing any more.');
  await press(page, 'Switch on');
  await says(page, 'It is told again what happens from now on.');
  await press(page, 'New secret');
  await says(page, 'Its new secret');
  await page.setViewport({ width: 1280, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  // Colours that are on their way have no contrast yet.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
  expect(await unreachable(page)).toEqual([]);
  const shot = process.env.SHOTS;
  if (shot) await page.screenshot({ path: `${shot}/notifications-1280-light.png`, fullPage: true });
  await press(page, 'Delete …');
  await press(page, 'Delete for good');
  await says(page, 'Nobody is told yet');
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('told');
});
