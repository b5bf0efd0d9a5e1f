// Scrolling: what a user reads stays in its place, whatever is added or changes.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { launch, newProfile, openChat, shown, until } from './browser.js';
import { createGroup, openPage } from './groups.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** A page of alice with a conversation of this length, in which all messages are of bob. */
async function start(t, length) {
  const system = await startSystem(t, { parameters: { MessageBurst: '2000' } });
  const bob = await system.connect('bob');
  for (let seq = 1; seq <= length; seq += 1) await bob.send('alice', `Message ${seq}`, { lastSeq: seq - 1 });
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await until(alice, () => chat.unread === 0);
  return { bob, alice };
}

/** Scrolls, and waits until the browser has reported it. */
const scrollTo = (page, top) =>
  page.evaluate(async (position) => {
    document.querySelector('#scroll').scrollTop = position;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  }, top);

/** Where a message is, in pixels from the upper edge of the window. */
const topOf = (page, text) =>
  page.evaluate(
    (wanted) =>
      [...document.querySelectorAll('#log .message')]
        .find((node) => node.querySelector('p').textContent === wanted)
        .getBoundingClientRect().top,
    text,
  );

/** Checks that a message is where it was, in pixels from the upper edge of the window. */
async function assertIsAt(page, text, before) {
  const moved = (await topOf(page, text)) - before;
  assert.ok(Math.abs(moved) < 2, `${text} moved by ${moved} pixels`);
}

test('what changes at the moment in which a user scrolls up does not lead back to the end', async (t) => {
  const { alice } = await start(t, 30);
  const top = await alice.evaluate(async () => {
    const box = document.querySelector('#scroll');
    box.scrollTop = 10;
    // Before the event of the scrolling.
    chat.dispatchEvent(new Event('status'));
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return box.scrollTop;
  });
  const end = await alice.evaluate(() => document.querySelector('#scroll').scrollHeight);
  assert.ok(top < end / 2, `${top} of ${end}`);
  await alice.locator('#latest').click();
  await alice.locator('#latest').waitFor({ state: 'hidden' });
});

test('at the upper end, older messages are added above those on the screen', async (t) => {
  const { alice } = await start(t, 120);
  assert.equal((await shown(alice))[0], 'Message 71');
  const before = await alice.evaluate(() => {
    document.querySelector('#scroll').scrollTop = 0;
    return document.querySelector('#log .message').getBoundingClientRect().top;
  });
  await until(alice, () => document.querySelector('#log .message p').textContent === 'Message 21');
  await assertIsAt(alice, 'Message 71', before);
});

test('reactions, new texts and deletions above the screen move nothing on it', async (t) => {
  const { bob, alice } = await start(t, 50);
  await scrollTo(alice, 900);
  const { seq, text } = await alice.evaluate(() => {
    const { x, y } = document.querySelector('#scroll').getBoundingClientRect();
    const text = document
      .elementFromPoint(x + 60, y + 100)
      .closest('.message')
      .querySelector('p').textContent;
    return { text, seq: Number(text.split(' ')[1]) };
  });
  assert.ok(seq > 10, text);
  const target = { targetId: 'alice' };
  const changes = [
    () => bob.store('react', { ...target, seq: 4, reaction: '👍', on: true }),
    () => bob.store('editMessage', { ...target, seq: 5, content: 'One\nTwo\nThree\nFour' }),
    () => bob.store('deleteMessage', { ...target, seq: 5 }),
    () => bob.send('alice', 'A new one'),
  ];
  for (const change of changes) {
    const before = await topOf(alice, text);
    const { seq: entry } = await change();
    await until(alice, (end) => chat.conversation('bob').high === end, entry);
    await assertIsAt(alice, text, before);
  }
});

test('a user scrolls up in a group that has no message yet', async (t) => {
  const system = await startSystem(t, { parameters: { MessageBurst: '2000' } });
  const owner = await createGroup(system, 'alice', { name: 'Team', members: ['bob'] });
  for (let n = 1; n <= 40; n += 1) await owner.store('changeGroup', { groupId: owner.groupId, name: `Team ${n}` });
  const page = await openPage(browser, system, 'alice', { groupId: owner.groupId });
  await until(page, () => document.querySelectorAll('#log .event').length > 40);
  await scrollTo(page, 10);
  await page.evaluate(() => chat.dispatchEvent(new Event('status')));
  assert.ok((await page.locator('#scroll').evaluate((node) => node.scrollTop)) < 20);
});

test('scrolling through a thousand messages moves none of them', async (t) => {
  const { bob, alice } = await start(t, 1_000);
  const { worst } = await alice.evaluate(scrollToFirstMessage);
  assert.ok(worst < 2, `a message moved by ${worst} pixels`);
  const texts = Array.from({ length: 1_000 }, (_, index) => `Message ${index + 1}`);
  const first = await shown(alice);
  assert.deepEqual(first, texts.slice(0, first.length));
  assert.ok(first.length <= 400, 'only what is near the screen is in the document');

  // A new message does not scroll a user who reads old ones, but is counted.
  await bob.send('alice', 'Still there?');
  await until(alice, () => document.querySelector('#latest').textContent.trim() === '1 new');
  const top = await alice.locator('#scroll').evaluate((node) => node.scrollTop);
  assert.ok(top < 20_000, `${top}`);
  await alice.locator('#latest').click();
  await alice.locator('#latest').waitFor({ state: 'hidden' });
  const last = await shown(alice);
  assert.deepEqual(last, [...texts, 'Still there?'].slice(-last.length));
});

/** Runs in the page: follows one message while older ones are inserted above it. */
async function scrollToFirstMessage() {
  const frame = () => new Promise(requestAnimationFrame);
  const box = document.querySelector('#scroll');
  const log = document.querySelector('#log');
  let worst = 0;
  const first = () => log.querySelector('.message p').textContent;
  const deadline = performance.now() + 60_000;
  while (first() !== 'Message 1') {
    const before = first();
    box.scrollTop = Math.min(box.scrollTop, box.clientHeight / 2);
    const { x, y } = box.getBoundingClientRect();
    const visible = document.elementFromPoint(x + box.clientWidth / 2 - 200, y + 200).closest('.message');
    const followed = visible ?? log.querySelector('.message:nth-child(4)');
    const at = followed.getBoundingClientRect().y;
    while (first() === before) {
      if (performance.now() > deadline) throw new Error(`nothing was drawn above ${before}`);
      await frame();
    }
    await frame();
    worst = Math.max(worst, Math.abs(followed.getBoundingClientRect().y - at));
  }
  return { worst };
}
