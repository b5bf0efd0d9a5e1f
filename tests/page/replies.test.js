// Replies and mentions.

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
  untilFocused,
  untilShown,
  untilState,
  untilText,
  untilTexts,
} from './browser.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

test('a reply quotes the first line of the message, as it is now', async (t) => {
  const system = await startSystem(t);
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  const bob = await openChat(await newProfile(browser), system, { userId: 'bob', peer: 'alice' });
  await alice.locator('#text').fill('\nTea or coffee?\nBoth are there.');
  await alice.keyboard.press('Enter');
  await until(bob, () => document.querySelectorAll('#log .message').length === 1);
  await choose(bob, 'Tea or coffee?', 'Reply');
  await untilFocused(bob, 'text');
  await untilText(bob, '#context', 'Reply to alice');
  await untilText(bob, '#context', 'Tea or coffee?');
  await bob.keyboard.insertText('Tea');
  await bob.keyboard.press('Enter');
  await until(bob, () => document.querySelector('#context').hidden);
  for (const [page, name] of [
    [alice, 'You'],
    [bob, 'alice'],
  ]) {
    await untilTexts(page, '#log .quote', [`In reply to ${name}Tea or coffee?`]);
  }
  await edit(alice, 'Tea or coffee?', '<b>Tea</b> or cocoa?');
  for (const page of [alice, bob]) await untilText(page, '#log .quote', '<b>Tea</b> or cocoa?');
  await bob.reload();
  await untilTexts(bob, '#log .quote', ['In reply to alice<b>Tea</b> or cocoa?']);
  await remove(alice, '<b>Tea</b> or cocoa?');
  for (const page of [alice, bob]) await untilText(page, '#log .quote', 'Message deleted');
});

test('a quote leads to its message, also to one that is not loaded', async (t) => {
  const system = await startSystem(t, { parameters: { MessageBurst: '1000' } });
  const bob = await system.connect('bob');
  const count = 400;
  for (let seq = 1; seq <= count; seq += 1) await bob.send('alice', `Message ${seq}.`, { lastSeq: seq - 1 });
  await bob.send('alice', 'Remember this?', { lastSeq: count, replyTo: 3 });
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await untilText(alice, '#log .quote', 'Earlier message');
  await alice.locator('#log .quote').click();
  await until(alice, () => {
    const { top, bottom } = document.activeElement.closest('.message').getBoundingClientRect();
    const isVisible = top > 0 && bottom < innerHeight;
    return isVisible && document.activeElement.querySelector('p').textContent === 'Message 3.';
  });
  assert.equal(await alice.locator('#latest').isVisible(), true);
  assert.ok((await alice.evaluate(() => document.querySelectorAll('#log .message').length)) <= 400);
  await alice.locator('#latest').click();
  await untilText(alice, '#log .quote', 'Message 3.');
  await alice.locator('#log .quote').click();
  await until(alice, () => document.activeElement.querySelector('p').textContent === 'Message 3.');
});

test('a draft keeps what it replies to, and an edit gives way to the draft', async (t) => {
  const system = await startSystem(t);
  const bob = await system.connect('bob');
  for (const text of ['First', 'Second']) await bob.send('alice', text);
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await say(alice, 'Mine');
  await untilState(alice, 'sent');
  await choose(alice, 'Second', 'Reply');
  await alice.keyboard.insertText('About that');
  await alice.reload();
  await untilText(alice, '#context', 'Second');
  assert.equal(await alice.locator('#text').inputValue(), 'About that');

  await edit(alice, 'Mine', 'Yours');
  await untilText(alice, '#context', 'Second');
  assert.equal(await alice.locator('#text').inputValue(), 'About that');
  await alice.locator('#text').focus();
  await alice.keyboard.press('Enter');
  await untilShown(alice, ['First', 'Second', 'Yours', 'About that']);
  await untilTexts(alice, '#log .quote', ['In reply to bobSecond']);

  // Another conversation has its own.
  await choose(alice, 'First', 'Reply');
  await alice.goto(`${system.page}?userId=alice&with=carol`);
  await untilFocused(alice, 'text');
  assert.equal(await alice.locator('#context').isVisible(), false);
  await alice.goto(`${system.page}?userId=alice&with=bob`);
  await untilText(alice, '#context', 'First');
  await untilFocused(alice, 'text');
  await alice.keyboard.press('Escape');
  await until(alice, () => document.querySelector('#context').hidden);
});

test('a message that is deleted while it is being edited leaves the box', async (t) => {
  const system = await startSystem(t);
  const device = await system.connect('alice');
  await device.send('bob', 'From my phone');
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await choose(page, 'From my phone', 'Edit');
  await device.store('deleteMessage', { targetId: 'bob', seq: 1 });
  await untilText(page, '#error', 'was deleted');
  assert.equal(await page.locator('#text').inputValue(), '');
  assert.equal(await page.locator('#context').isVisible(), false);
});

test('a mention of the peer is stored and highlighted', async (t) => {
  const system = await startSystem(t);
  const peer = 'bob <b>(+1)</b>';
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer });
  const bob = await openChat(await newProfile(browser), system, { userId: peer, peer: 'alice' });
  await say(alice, `@${peer}, and @${peer}: https://example.com/@${peer}`);
  await say(alice, `mail@${peer} and @bob`);
  await until(bob, () => document.querySelectorAll('#log .message').length === 2);
  await untilTexts(bob, '#log .mention.me', [`@${peer}`, `@${peer}`]);
  await untilTexts(alice, '#log .mention', [`@${peer}`, `@${peer}`]);
  assert.equal(await alice.locator('#log .mention.me').count(), 0);
  assert.equal(await messageOf(bob, 'mail').locator('.mention').count(), 0);
  assert.equal(await bob.locator('#log b').count(), 0);
  const entries = await (await system.connect('alice')).catchUp(peer);
  assert.deepEqual(
    entries.map(({ mentions }) => mentions),
    [[peer], undefined],
  );
});
