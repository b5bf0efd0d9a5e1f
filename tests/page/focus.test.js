// Where the focus goes when what had it is moved, hidden or gone.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  launch,
  newProfile,
  openTab,
  PHONE,
  until,
  untilFocused,
  untilOnline,
  untilText,
  untilTexts,
} from './browser.js';
import { createGroup } from './groups.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** A system in which bob and then carol have written to alice, and a page of alice with the list. */
async function start(t, options, parameters) {
  const system = await startSystem(t, { parameters });
  const [bob, carol] = [await system.connect('bob'), await system.connect('carol')];
  await bob.send('alice', 'Hi');
  await carol.send('alice', 'Hi');
  const page = await openTab(await newProfile(browser, options), `${system.page}?userId=alice`);
  await untilOnline(page);
  await untilNames(page, ['carol', 'bob']);
  return { system, bob, page };
}

const untilNames = (page, names) => untilTexts(page, '#list .name', names);

/** Waits until an element with this text has the focus. */
const untilFocusedText = (page, text) =>
  until(page, (t) => document.activeElement !== document.body && document.activeElement.textContent.includes(t), text);

test('the row of a conversation keeps the focus when a message moves it', async (t) => {
  const { page, bob } = await start(t);
  await page.locator('#list button', { hasText: 'bob' }).focus();
  await bob.send('alice', 'Are you there?');
  await untilNames(page, ['bob', 'carol']);
  await untilFocusedText(page, 'Are you there?');
});

test('the focus stays in the list when a refused group is tried again, and when it is discarded', async (t) => {
  const { page } = await start(t, {}, { MaxGroupMembers: '2' });
  await page.evaluate(() => {
    chat.createGroup({ name: 'Too large', members: ['bob', 'carol'] }).catch(() => {});
  });
  await untilText(page, '.new-group .failure', 'Could not create it');
  await page.locator('.new-group').getByText('Try again').focus();
  await page.keyboard.press('Enter');
  await until(page, () => chat.newGroups[0].failed && document.querySelector('.new-group .failure'));
  await untilFocusedText(page, 'Could not create it');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await untilFocusedText(page, 'Discard');
  await page.keyboard.press('Enter');
  await untilTexts(page, '.new-group', []);
  await untilFocusedText(page, 'carol');
});

for (const [device, options] of [
  ['in a narrow window', { viewport: PHONE.viewport }],
  ['on a phone', PHONE],
]) {
  test(`${device}, the focus follows from the list to a conversation and back`, async (t) => {
    const { system, page } = await start(t, options);
    const isPhone = options === PHONE;
    const open = () => page.locator('#list button', { hasText: 'bob' })[isPhone ? 'tap' : 'click']();
    await open();
    await untilFocused(page, isPhone ? 'scroll' : 'text');
    await page.locator('#back').focus();
    await page.keyboard.press('Enter');
    await untilFocusedText(page, 'bob');
    assert.equal(await page.evaluate(() => document.activeElement.closest('#list') !== null), true);

    // A conversation without a message has no row.
    await page.locator('#new-chat-name').fill('dave');
    await page.keyboard.press('Enter');
    await untilFocused(page, isPhone ? 'scroll' : 'text');
    await page.goBack();
    await untilFocused(page, isPhone ? 'new-group-open' : 'new-chat-name');

    // The box is closed.
    const { groupId } = await createGroup(system, 'carol', { name: 'Team', members: ['alice'], posting: 'admins' });
    await until(page, (id) => chat.conversation({ groupId: id }).group.name, groupId);
    await page.evaluate((id) => chat.loadGroup({ groupId: id }).then(() => {}), groupId);
    await page.locator('#list button', { hasText: 'Team' }).click();
    await untilFocused(page, 'scroll');
  });
}
