// Messages and new groups that the service refuses.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { launch, newProfile, openTab, say, until, untilOnline, untilText, untilTexts } from './browser.js';
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

test('a new group that is refused can be discarded, which every tab shows', async (t) => {
  const system = await startSystem(t, { parameters: { MaxGroupMembers: '2' } });
  const profile = await newProfile(browser);
  const tabs = [1, 2].map(() => openTab(profile, `${system.page}?userId=alice`));
  const [page, other] = await Promise.all(tabs);
  for (const tab of [page, other]) await untilOnline(tab);
  // Browsers draw hidden tabs slowly.
  await page.bringToFront();
  await page.locator('#new-group-open').click();
  await page.locator('#new-group-name').fill('Too large');
  await page.locator('#new-group-members input').fill('bob, carol');
  await page.locator('#new-group-form .primary').click();
  for (const tab of [page, other]) await untilText(tab, '.new-group .failure', 'Could not create it: ');
  await page.locator('.new-group').getByText('Try again').click();
  await until(page, () => chat.newGroups[0].failed && document.querySelector('.new-group .failure'));
  await page.locator('.new-group').getByText('Discard').click();
  for (const tab of [page, other]) await untilTexts(tab, '.new-group', []);
});

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
