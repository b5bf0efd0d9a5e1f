// Messages and new groups that the service refuses.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { launch, say, untilTexts } from './browser.js';
import { createGroup, openPage } from './groups.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** A page of alice in a group with bob. */
async function start(t) {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'alice', { name: 'Team', members: ['bob'] });
  const { groupId } = owner;
  return { system, owner, groupId, page: await openPage(browser, system, 'alice', { groupId }) };
}

/** Queues a message that mentions a stranger, which the service refuses. */
const sendRefused = (page, groupId, text) =>
  page.evaluate(
    async ([id, content]) => {
      await chat.send({ groupId: id }, content, { mentions: ['zoe'] }).catch(() => {});
    },
    [groupId, text],
  );

/** Sets back the clock of a page by this many days. */
const setBack = (page, days) =>
  page.evaluate((by) => {
    const { now } = Date;
    Date.now = () => now() - by * 86_400_000;
  }, days);

test('a day that comes twice has two headings', async (t) => {
  const { page, groupId } = await start(t);
  await setBack(page, 1);
  await sendRefused(page, groupId, 'Yesterday');
  await setBack(page, -1);
  await sendRefused(page, groupId, 'Today');
  await untilTexts(page, '#log .failed p', ['Yesterday', 'Today']);
  await untilTexts(page, '#log .day', ['Today', 'Yesterday', 'Today']);
  const headings = await page.locator('#log .day').elementHandles();
  await say(page, 'Hello');
  await untilTexts(page, '#log p', ['Hello', 'Yesterday', 'Today']);
  for (const heading of headings) assert.ok(await heading.evaluate((node) => node.isConnected));
});
