// Edits, deletions and reactions, and what the other user sees of them.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  choose,
  edit,
  launch,
  messageOf,
  newProfile,
  openChat,
  remove,
  say,
  until,
  untilOffline,
  untilShown,
  untilState,
  untilText,
  untilTexts,
} from './browser.js';
import { TcpProxy } from './proxy.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** Opens a window of alice, and one of bob. */
async function openBoth(system) {
  const windows = [];
  for (const [userId, peer] of [
    ['alice', 'bob'],
    ['bob', 'alice'],
  ]) {
    windows.push(await openChat(await newProfile(browser), system, { userId, peer }));
  }
  return windows;
}

/** Waits until a window shows exactly these reactions, such as `👍2`. */
const untilReactions = (page, texts) => untilTexts(page, '#log .reaction', texts);

test('the other user sees an edit, also after a reload', async (t) => {
  const system = await startSystem(t);
  const [alice, bob] = await openBoth(system);
  await say(alice, 'See you at seven');
  await say(alice, 'Bring the key');
  await untilShown(bob, ['See you at seven', 'Bring the key']);
  await edit(alice, 'See you at seven', 'See you at eight');
  for (const page of [alice, bob]) {
    await untilShown(page, ['See you at eight', 'Bring the key']);
    await untilTexts(page, '#log .edited', ['edited']);
  }
  assert.match(await bob.locator('#log .edited').getAttribute('title'), /^Edited .*\d/);
  await untilText(bob, '#announcement', 'alice edited a message: See you at eight');

  // The list shows the newest message, as it is now.
  await edit(alice, 'Bring the key', 'Bring both keys');
  await untilText(bob, '#list .last', 'Bring both keys');
  await bob.reload();
  await untilShown(bob, ['See you at eight', 'Bring both keys']);
  await untilTexts(bob, '#log .edited', ['edited', 'edited']);
  assert.deepEqual(await system.stored('bob', 'alice'), ['See you at eight', 'Bring both keys']);
});

test('an edit that changes nothing, or is cancelled, is not sent', async (t) => {
  const system = await startSystem(t);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await say(page, 'Hello');
  await untilState(page, 'sent');
  await page.locator('#text').fill('Half a draft');
  await choose(page, 'Hello', 'Edit');
  assert.equal(await page.locator('#text').inputValue(), 'Hello');
  await page.locator('#text').fill('Goodbye');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#text').inputValue(), 'Half a draft', 'the draft is back');
  await edit(page, 'Hello', 'Hello');
  await choose(page, 'Hello', 'Edit');
  await page.locator('#context-cancel').click();
  assert.equal(await page.locator('#context').isVisible(), false);
  await choose(page, 'Hello', 'Delete');
  await page.locator('#popup').getByText('Cancel').click();
  // The reply to a later request shows that no change was on its way.
  await page.locator('#text').fill('Bye');
  await page.keyboard.press('Enter');
  await untilShown(page, ['Hello', 'Bye']);
  await untilState(page, 'sent');
  const device = await system.connect('alice');
  const entries = await device.catchUp('bob');
  assert.deepEqual(
    entries.map(({ kind, content }) => [kind, content]),
    [
      [undefined, 'Hello'],
      [undefined, 'Bye'],
    ],
  );
});

test('a deleted text is nowhere in the window of the other user', async (t) => {
  const system = await startSystem(t);
  const [alice, bob] = await openBoth(system);
  const secret = 'The code is 4711';
  await say(alice, secret);
  await untilShown(bob, [secret]);
  // Everywhere that shows it: log, quote, composer, list, and announcement.
  await choose(bob, secret, 'Reply');
  await say(bob, 'Thanks');
  await untilText(bob, '#log .quote', secret);
  await choose(bob, secret, 'Reply');
  await untilText(bob, '#context', secret);
  await untilText(bob, '#announcement', secret);
  await choose(bob, secret, '👍');
  await remove(alice, secret);
  await untilShown(bob, ['Message deleted', 'Thanks']);
  await untilText(bob, '#log .quote', 'Message deleted');
  await untilText(bob, '#context', 'Message deleted');
  const source = () => bob.evaluate(() => document.documentElement.outerHTML + document.title);
  assert.ok(!(await source()).includes('4711'), await source());
  await untilReactions(bob, []);
  assert.equal(await messageOf(bob, 'Message deleted').locator('.act').count(), 0, 'it has no menu');

  await say(alice, 'And 4712');
  await untilText(bob, '#list .last', 'And 4712');
  await remove(alice, 'And 4712');
  await untilText(bob, '#list .last', 'Message deleted');
  assert.ok(!(await source()).includes('4712'), await source());
  await bob.reload();
  await untilShown(bob, ['Message deleted', 'Thanks', 'Message deleted']);
  assert.ok(!(await source()).includes('471'), await source());
});

test('reactions show how many there are, from whom, and which are one’s own', async (t) => {
  const system = await startSystem(t);
  const [alice, bob] = await openBoth(system);
  await say(alice, 'It works!');
  await untilShown(bob, ['It works!']);
  await choose(bob, 'It works!', '🎉');
  for (const page of [alice, bob]) await untilReactions(page, ['🎉1']);
  const button = (page) => page.locator('#log .reaction').first();
  assert.equal(await button(alice).getAttribute('aria-pressed'), 'false');
  assert.equal(await button(bob).getAttribute('aria-pressed'), 'true');
  assert.equal(await button(alice).getAttribute('aria-label'), '🎉 1: bob');

  await button(alice).click();
  for (const page of [alice, bob]) await untilReactions(page, ['🎉2']);
  assert.equal(await button(alice).getAttribute('aria-label'), '🎉 2: bob and you');
  assert.equal(await button(bob).getAttribute('title'), '🎉: you and alice');
  await button(bob).click();
  for (const page of [alice, bob]) await untilReactions(page, ['🎉1']);

  // Any short text, which is never markup.
  await choose(bob, 'It works!', 'Other reaction …');
  await bob.locator('#reaction').fill('ж'.repeat(33));
  await bob.keyboard.press('Enter');
  await untilText(bob, '#popup .error', 'Too long.');
  await bob.locator('#reaction').fill('<b>+1</b>');
  await bob.keyboard.press('Enter');
  for (const page of [alice, bob]) await untilReactions(page, ['<b>+1</b>1', '🎉1']);
  assert.equal(await alice.locator('#log b').count(), 0);
  await alice.reload();
  await untilReactions(alice, ['<b>+1</b>1', '🎉1']);
  assert.equal(await alice.locator('#log .reaction').last().getAttribute('aria-pressed'), 'true');
  assert.equal(await alice.evaluate(() => chat.unread), 0);
});

test('a window that was away shows what has changed meanwhile', async (t) => {
  const system = await startSystem(t);
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  const bob = await openChat(await newProfile(browser), system, {
    userId: 'bob',
    peer: 'alice',
    service: proxy.address,
  });
  const alice = await system.connect('alice');
  for (const text of ['one', 'two', 'three']) await alice.send('bob', text);
  await untilShown(bob, ['one', 'two', 'three']);
  proxy.cut();
  await untilOffline(bob);
  await alice.store('editMessage', { targetId: 'bob', seq: 1, content: 'One' });
  await alice.store('deleteMessage', { targetId: 'bob', seq: 2 });
  await alice.store('react', { targetId: 'bob', seq: 3, reaction: '👍', on: true });
  await alice.send('bob', 'four');
  await untilShown(bob, ['one', 'two', 'three']);
  proxy.restore();
  await bob.evaluate(() => chat.connect());
  await untilShown(bob, ['One', 'Message deleted', 'three', 'four']);
  await untilReactions(bob, ['👍1']);
});

test('changes show at once, and survive a reload without a connection', async (t) => {
  const system = await startSystem(t);
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  const alice = await openChat(await newProfile(browser), system, {
    userId: 'alice',
    peer: 'bob',
    service: proxy.address,
  });
  for (const text of ['one', 'two', 'three']) await say(alice, text);
  await untilShown(alice, ['one', 'two', 'three']);
  await untilState(alice, 'sent');
  proxy.cut();
  await untilOffline(alice);
  await edit(alice, 'one', 'eins');
  await untilShown(alice, ['eins', 'two', 'three']);
  await choose(alice, 'eins', 'Edit');
  assert.equal(await alice.locator('#text').inputValue(), 'eins', 'what the user sees is edited');
  await alice.locator('#text').fill('one');
  await alice.keyboard.press('Enter');
  await remove(alice, 'two');
  await choose(alice, 'three', '👍');
  await untilShown(alice, ['one', 'Message deleted', 'three']);
  await untilReactions(alice, ['👍1']);
  assert.equal(await alice.locator('#log .changing').count(), 2);
  assert.equal(await alice.locator('#log .reaction[data-waiting]').count(), 1);
  assert.deepEqual(await system.stored('bob', 'alice'), ['one', 'two', 'three']);
  await alice.reload();
  proxy.restore();
  await untilShown(alice, ['one', 'Message deleted', 'three']);
  await until(alice, () => chat.conversation('bob').changes.length === 0);
  await until(alice, () => !document.querySelector('.changing, [data-waiting]'));
  await untilReactions(alice, ['👍1']);
  assert.deepEqual(await system.stored('bob', 'alice'), ['one', '', 'three']);
  const entries = await (await system.connect('bob')).catchUp('alice');
  assert.deepEqual(
    entries.flatMap(({ kind, target }) => (kind === 'change' ? [target] : [])),
    [1, 1, 2, 3],
  );
});

test('a refused change shows its reason, and can be tried again or discarded', async (t) => {
  const system = await startSystem(t, { parameters: { EditWindow: '0' } });
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await say(page, 'Hello');
  await untilState(page, 'sent');
  await edit(page, 'Hello', 'Goodbye');
  await untilText(page, '#log .failure', 'Not edited: ');
  await untilShown(page, ['Hello']);
  const buttons = page.locator('#log .failure button');
  assert.deepEqual(await buttons.allTextContents(), ['Try again', 'Discard']);
  await buttons.first().click();
  await until(page, () => chat.conversation('bob').changes[0].failed && document.querySelector('.failure'));
  await buttons.last().click();
  await until(page, () => !document.querySelector('.failure'));
  assert.equal(await page.evaluate(() => chat.conversation('bob').changes.length), 0);
  assert.equal(await page.locator('#error').textContent(), '', 'it is not shown twice');
});

test('a refused change of a message that is not on the screen leads to it', async (t) => {
  const system = await startSystem(t, { parameters: { EditWindow: '0', MessageBurst: '1000' } });
  const device = await system.connect('alice');
  for (let seq = 1; seq <= 120; seq += 1) await device.send('bob', `Message ${seq}.`, { lastSeq: seq - 1 });
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await page.evaluate(() => {
    chat.edit('bob', 1, 'Message one.').catch(() => {});
  });
  await untilText(page, '#log .note', 'Not edited: ');
  await page.locator('#log .note').getByText('Show message').click();
  await until(page, () => document.activeElement.querySelector('p').textContent === 'Message 1.');
  await untilText(page, '#log .failure', 'Not edited: ');
  assert.equal(await page.locator('#log .note').count(), 0);
});

test('a screen that a page of messages and changes does not fill shows older messages, too', async (t) => {
  const system = await startSystem(t, { parameters: { MessageBurst: '1000' } });
  const bob = await system.connect('bob');
  const texts = Array.from({ length: 50 }, (_, index) => `Message ${index + 1}.`);
  let lastSeq = 0;
  for (const content of texts) {
    ({ seq: lastSeq } = await bob.store('sendMessage', { recipientId: 'alice', content, lastSeq }));
    if (lastSeq !== 25) continue;
    // A page is 50 entries: the newest one has the other 25 messages, and half of these changes.
    for (; lastSeq < 75; lastSeq += 1) {
      const on = lastSeq % 2 === 0;
      await bob.store('react', { targetId: 'alice', seq: 25, reaction: '👍', on, lastSeq });
    }
  }
  const profile = await newProfile(browser, { viewport: { width: 800, height: 2600 } });
  const alice = await openChat(profile, system, { userId: 'alice', peer: 'bob' });
  await untilShown(alice, texts);
});
