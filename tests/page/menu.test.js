// The menu of a message: by keyboard, on a phone, and for screen readers.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertAccessible } from './axe.js';
import {
  choose,
  launch,
  messageOf,
  newProfile,
  openChat,
  PHONE,
  say,
  tooWide,
  until,
  untilFocused,
  untilShown,
  untilState,
  untilText,
  untilTexts,
} from './browser.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** Waits until the focus is on an element of the message with this text. */
const untilFocusIn = (page, text, selector = '*') =>
  until(
    page,
    ([wanted, s]) =>
      document.activeElement.matches(s) &&
      document.activeElement.closest('.message').querySelector('p').textContent === wanted,
    [text, selector],
  );

/** Waits until the focus is on this item of the menu, or button of the question. */
const untilItem = (page, label) =>
  until(
    page,
    (wanted) =>
      document.querySelector('#popup').contains(document.activeElement) &&
      document.activeElement.textContent === wanted,
    label,
  );

/** Presses these keys, one after the other. */
async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

test('everything works by keyboard alone', async (t) => {
  const system = await startSystem(t);
  const bob = await system.connect('bob');
  for (const text of ['One', 'Two']) await bob.send('alice', text);
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await say(alice, 'Three');
  await untilState(alice, 'sent');
  await untilFocused(alice, 'text');

  // From the box to the newest message, to its menu, and back.
  await press(alice, 'Shift+Tab');
  await untilFocusIn(alice, 'Three', '.act');
  await press(alice, 'Enter');
  await untilItem(alice, '👍');
  assert.equal(await alice.locator('.act[aria-expanded=true]').count(), 1);
  await press(alice, 'ArrowUp');
  await untilItem(alice, 'Delete');
  await press(alice, 'Home', 'ArrowRight');
  await untilItem(alice, '❤️');
  await press(alice, 'Escape');
  await untilFocusIn(alice, 'Three', '.act');
  assert.equal(await alice.locator('#popup').isVisible(), false);
  assert.equal(await alice.locator('.act[aria-expanded=true]').count(), 0);

  // React to another message, and take it back.
  await press(alice, 'ArrowUp', 'ArrowUp', 'ArrowUp');
  await untilFocusIn(alice, 'One', '.act');
  await press(alice, 'Enter', 'Enter');
  await untilTexts(alice, '#log .reaction', ['👍1']);
  await untilFocusIn(alice, 'One', '.act');
  await press(alice, 'Tab', 'Space');
  await untilTexts(alice, '#log .reaction', []);
  await untilFocusIn(alice, 'One', '.act');

  // A reaction of one's own words.
  await press(alice, 'Enter', ...Array(7).fill('ArrowDown'));
  await untilItem(alice, 'Other reaction …');
  await press(alice, 'Enter');
  await untilFocused(alice, 'reaction');
  await alice.keyboard.insertText('+1');
  await press(alice, 'Enter');
  await untilTexts(alice, '#log .reaction', ['+11']);

  // Reply, edit, delete.
  await press(alice, 'Enter', ...Array(8).fill('ArrowDown'));
  await untilItem(alice, 'Reply');
  await press(alice, 'Enter');
  await untilFocused(alice, 'text');
  await alice.keyboard.insertText('Four');
  await press(alice, 'Enter');
  await untilTexts(alice, '#log .quote', ['In reply to bobOne']);
  await untilState(alice, 'sent');
  // The quote is above the button.
  await press(alice, 'Shift+Tab', 'Shift+Tab', 'Enter');
  await untilFocusIn(alice, 'One', '.message');
  await press(alice, 'ArrowDown', 'ArrowDown', 'Enter', 'End', 'ArrowUp');
  await untilItem(alice, 'Edit');
  await press(alice, 'Enter');
  await untilFocused(alice, 'text');
  await alice.keyboard.insertText('!');
  await press(alice, 'Enter');
  await untilShown(alice, ['One', 'Two', 'Three!', 'Four']);
  await press(alice, 'Shift+Tab', 'Enter', 'End', 'Enter');
  await untilItem(alice, 'Cancel');
  await press(alice, 'Tab');
  await untilItem(alice, 'Delete');
  await press(alice, 'Enter');
  await untilShown(alice, ['One', 'Two', 'Three!', 'Message deleted']);
  await untilFocusIn(alice, 'Message deleted', '.message');
  await press(alice, 'ArrowUp');
  await untilFocusIn(alice, 'Three!', '.act');
  assert.deepEqual(await system.stored('alice', 'bob'), ['One', 'Two', 'Three!', '']);
});

test('the focus survives what others do', async (t) => {
  const system = await startSystem(t);
  const bob = await system.connect('bob');
  for (const text of ['One', 'Two']) await bob.send('alice', text);
  await bob.store('react', { targetId: 'alice', seq: 1, reaction: '👍', on: true });
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await untilTexts(alice, '#log .reaction', ['👍1']);
  await alice.locator('#log .reaction').focus();
  await bob.store('react', { targetId: 'alice', seq: 1, reaction: '+1', on: true });
  await bob.store('editMessage', { targetId: 'alice', seq: 1, content: 'Uno' });
  await bob.send('alice', 'Three');
  await untilShown(alice, ['Uno', 'Two', 'Three']);
  await untilFocusIn(alice, 'Uno', '.reaction');
  await bob.store('react', { targetId: 'alice', seq: 1, reaction: '👍', on: false });
  await untilTexts(alice, '#log .reaction', ['+11']);
  await untilFocusIn(alice, 'Uno', '.act');
  // The menu closes with the message that it is for.
  await alice.keyboard.press('Enter');
  await untilItem(alice, '👍');
  await bob.send('alice', 'Four');
  await untilShown(alice, ['Uno', 'Two', 'Three', 'Four']);
  await untilItem(alice, '👍');
  await bob.store('deleteMessage', { targetId: 'alice', seq: 1 });
  await untilShown(alice, ['Message deleted', 'Two', 'Three', 'Four']);
  await alice.locator('#popup').waitFor({ state: 'hidden' });
  assert.notEqual(await alice.evaluate(() => document.activeElement.tagName), 'BODY');
});

test('screen readers hear of messages, and not of reactions', async (t) => {
  const system = await startSystem(t);
  const bob = await system.connect('bob');
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await bob.send('alice', 'Hello');
  await untilText(alice, '#announcement', 'bob: Hello');
  await bob.store('react', { targetId: 'alice', seq: 1, reaction: '👍', on: true });
  await untilTexts(alice, '#log .reaction', ['👍1']);
  assert.equal(await alice.locator('#announcement').textContent(), 'bob: Hello');
  await bob.store('deleteMessage', { targetId: 'alice', seq: 1 });
  await untilText(alice, '#announcement', 'bob deleted a message');
});

test('on the narrowest phone, everything fits and works by touch', async (t) => {
  const system = await startSystem(t);
  const bob = await system.connect('bob');
  const long = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft';
  await bob.send('alice', long);
  await bob.send('alice', 'שלום, מה שלומך?', { replyTo: 1 });
  for (const reaction of ['👍', '🎉', '😂', '❤️', '🙏', 'W'.repeat(60)]) {
    await bob.store('react', { targetId: 'alice', seq: 1, reaction, on: true });
  }
  const profile = await newProfile(browser, { ...PHONE, viewport: { width: 320, height: 568 } });
  const alice = await openChat(profile, system, { userId: 'alice', peer: 'bob' });
  await until(alice, () => document.querySelectorAll('#log .reaction').length === 6);
  assert.deepEqual(await tooWide(alice), []);
  const opacity = (text) =>
    messageOf(alice, text)
      .locator('.act')
      .evaluate((node) => getComputedStyle(node).opacity);
  assert.equal(await opacity('שלום'), '1', 'the newest message shows its button');
  assert.equal(await opacity(long), '0');
  await messageOf(alice, long).locator('p').tap();
  assert.equal(await opacity(long), '1', 'the button appears by a tap');
  await messageOf(alice, long).locator('.act').tap();
  assert.deepEqual(await tooWide(alice), []);
  const popup = await alice.locator('#popup').boundingBox();
  assert.ok(popup.y >= 0 && popup.y + popup.height <= 568, JSON.stringify(popup));
  await alice.locator('#popup').getByText('Reply').tap();
  assert.deepEqual(await tooWide(alice), []);
  await alice.locator('#text').fill(long);
  await alice.locator('#send').tap();
  await untilState(alice, 'sent');
  assert.deepEqual(await tooWide(alice), []);
  // A tap beside the menu closes it.
  await messageOf(alice, 'שלום').locator('p').tap();
  await messageOf(alice, 'שלום').locator('.act').tap();
  await alice.locator('#peer').tap();
  await alice.locator('#popup').waitFor({ state: 'hidden' });
  assert.equal(
    await messageOf(alice, 'שלום').evaluate((node) => getComputedStyle(node.querySelector('.bubble')).direction),
    'rtl',
  );
});

test('axe finds no serious violation in messages, menus and questions', async (t) => {
  const system = await startSystem(t);
  const bob = await system.connect('bob');
  for (const text of ['Hello @alice', 'Edited', 'Deleted']) await bob.send('alice', text, { mentions: ['alice'] });
  await bob.store('editMessage', { targetId: 'alice', seq: 2, content: 'Changed' });
  await bob.store('deleteMessage', { targetId: 'alice', seq: 3 });
  await bob.store('react', { targetId: 'alice', seq: 1, reaction: '👍', on: true });
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await choose(page, 'Hello', 'Reply');
  await say(page, 'Mine');
  await untilState(page, 'sent');
  await choose(page, 'Mine', '🎉');
  await choose(page, 'Hello', '👍');
  await assertAccessible(page, 'messages');
  await messageOf(page, 'Mine').hover();
  await messageOf(page, 'Mine').locator('.act').click();
  await assertAccessible(page, 'menu');
  await page.locator('#popup').getByText('Other reaction …').click();
  await assertAccessible(page, 'reaction');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.locator('#popup').getByText('Delete').click();
  await assertAccessible(page, 'question');
  await page.keyboard.press('Escape');
  await choose(page, 'Mine', 'Edit');
  await assertAccessible(page, 'editing');
  await system.stop();
  await page.locator('#notice').waitFor();
  await page.locator('#text').fill('Not yet stored');
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelector('.changing'));
  await assertAccessible(page, 'without a connection');
});
