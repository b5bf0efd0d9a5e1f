// Messages and new groups that the service refuses.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  launch,
  newProfile,
  openTab,
  say,
  until,
  untilFocused,
  untilOnline,
  untilState,
  untilText,
  untilTexts,
} from './browser.js';
import { createGroup, openPage } from './groups.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** A page of alice in a group of bob. */
async function start(t) {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'bob', { name: 'Team', members: ['alice'] });
  const { groupId } = owner;
  return { system, owner, groupId, page: await openPage(browser, system, 'alice', { groupId }) };
}

/** Queues a message that mentions a stranger, which the service refuses. */
const sendRefused = (page, groupId, text, replyTo) =>
  page.evaluate(
    async ([id, content, seq]) => {
      await chat.send({ groupId: id }, content, { mentions: ['zoe'], replyTo: seq ?? undefined }).catch(() => {});
    },
    [groupId, text, replyTo],
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

test('a message that was refused can be edited and sent', async (t) => {
  const { page, groupId, owner } = await start(t);
  const { seq } = await owner.store('sendMessage', { groupId, content: 'Who comes?' });
  await untilTexts(page, '#log p', ['Who comes?']);
  await sendRefused(page, groupId, 'I, and @zoe', seq);
  const failure = page.locator('#log .failure');
  await untilText(page, '#log .failure', 'Not sent: zoe is not a member of the group; leave them out');
  assert.deepEqual(await failure.locator('button').allTextContents(), ['Try again', 'Edit', 'Delete']);
  await page.locator('#text').fill('See you');
  await failure.getByText('Edit').click();
  await untilTexts(page, '#log p', ['Who comes?']);
  await untilFocused(page, 'text');
  assert.equal(await page.locator('#text').inputValue(), 'I, and @zoe\nSee you');
  await untilText(page, '#context', 'Reply to bob');
  await page.keyboard.insertText(' or @bob');
  await page.keyboard.press('Enter');
  await untilTexts(page, '#log p', ['Who comes?', 'I, and @zoe or @bob\nSee you']);
  await untilState(page, 'sent');
  const { value } = await owner.request('getMessages', { groupId, limit: 1 });
  const [{ content, mentions, replyTo }] = value.messages;
  assert.deepEqual([content, mentions, replyTo], ['I, and @zoe or @bob\nSee you', ['bob'], seq]);
});

test('what was refused goes into an empty box, but into none that is closed', async (t) => {
  const { page, groupId, owner } = await start(t);
  await sendRefused(page, groupId, 'Hello @zoe');
  const buttons = '#log .failure button';
  await untilTexts(page, buttons, ['Try again', 'Edit', 'Delete']);
  await owner.store('changeGroup', { groupId, posting: 'admins' });
  await untilTexts(page, buttons, ['Try again', 'Delete']);
  await owner.store('changeGroup', { groupId, posting: 'all' });
  await untilTexts(page, buttons, ['Try again', 'Edit', 'Delete']);
  await page.locator(buttons, { hasText: 'Edit' }).click();
  await untilFocused(page, 'text');
  assert.equal(await page.locator('#text').inputValue(), 'Hello @zoe');
  assert.equal(await page.locator('#context').isVisible(), false);
});
