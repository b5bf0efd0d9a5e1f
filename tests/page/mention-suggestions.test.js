// Suggestions of members while a mention is written.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertAccessible } from './axe.js';
import { choose, launch, PHONE, tooWide, until, untilShown, untilState, untilTexts } from './browser.js';
import { createGroup, openPage } from './groups.js';
import { TcpProxy } from './proxy.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

const untilSuggested = (page, names) => untilTexts(page, '#suggestions bdi', names);
const untilActive = (page, name) => untilTexts(page, '#suggestions [aria-selected=true] bdi', [name]);
const writtenIn = (page) => page.locator('#text').inputValue();

/** A page of alice in a group with these members. */
async function start(t, members, options = {}) {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'alice', { name: 'Team', members });
  const page = await openPage(browser, system, 'alice', { groupId: owner.groupId, ...options });
  return { owner, page, write: (text) => page.locator('#text').pressSequentially(text) };
}

test('the keyboard takes a suggested member', async (t) => {
  const { page, write } = await start(t, ['Maya Chen', 'maya', '李雷', 'x@y']);
  await write('Hi @');
  await untilSuggested(page, ['maya', 'Maya Chen', 'x@y', '李雷']);
  await untilActive(page, 'maya');
  assert.equal(await page.locator('#text').getAttribute('aria-activedescendant'), 'suggestion-0');
  await assertAccessible(page, 'suggestions');
  await write('M');
  await untilSuggested(page, ['maya', 'Maya Chen']);
  await page.keyboard.press('ArrowUp');
  await untilActive(page, 'Maya Chen');
  await page.keyboard.press('ArrowDown');
  await untilActive(page, 'maya');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.equal(await writtenIn(page), 'Hi @Maya Chen ');
  await untilSuggested(page, []);
  await write('and @李');
  await untilSuggested(page, ['李雷']);
  await page.keyboard.press('Tab');
  assert.equal(await writtenIn(page), 'Hi @Maya Chen and @李雷 ');
  await page.keyboard.press('Enter');
  await untilShown(page, ['Hi @Maya Chen and @李雷 ']);
  await untilTexts(page, '#log .mention', ['@Maya Chen', '@李雷']);
  assert.equal(await page.locator('#text').getAttribute('aria-activedescendant'), null);
});

test('Escape keeps the text and the reply, and Enter then sends', async (t) => {
  const { page, write } = await start(t, ['bob', 'bobby']);
  await write('One');
  await page.keyboard.press('Enter');
  await untilState(page, 'sent');
  await choose(page, 'One', 'Reply');
  await write('@b');
  await untilSuggested(page, ['bob', 'bobby']);
  await page.keyboard.press('Escape');
  await untilSuggested(page, []);
  await write('o');
  assert.deepEqual([await writtenIn(page), await page.locator('#context').isVisible()], ['@bo', true]);
  assert.equal(await page.locator('#suggestions').isVisible(), false);
  await write(' @b');
  await untilSuggested(page, ['bob', 'bobby']);
  await write('obby');
  await untilSuggested(page, []);
  await page.keyboard.press('Enter');
  await untilShown(page, ['One', '@bo @bobby']);
});

test('a touch takes a member in the middle of a text, and the text keeps the focus', async (t) => {
  const members = ['W'.repeat(128), 'bob', ...Array.from({ length: 8 }, (_, n) => `b${n}`)];
  const { page, write } = await start(t, members, { viewport: { ...PHONE.viewport, width: 320 } });
  await write('@');
  await until(page, () => document.querySelectorAll('#suggestions li').length === 6);
  assert.deepEqual(await tooWide(page), []);
  await page.locator('#text').fill('Hello bob!');
  await page.evaluate(() => document.getElementById('text').setSelectionRange(6, 9));
  await write('@bo');
  await untilSuggested(page, ['bob']);
  await page.locator('#suggestions li').click();
  assert.equal(await writtenIn(page), 'Hello @bob!');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'text');
});

test('members are suggested within Chinese text, and those who leave are not', async (t) => {
  const { owner, page, write } = await start(t, ['王小明', '王', 'bob']);
  const { groupId } = owner;
  await write('你好＠');
  await untilSuggested(page, ['bob', '王', '王小明']);
  await owner.store('changeGroup', { groupId, remove: ['bob'] });
  await untilSuggested(page, ['王', '王小明']);
  await page.locator('#text').fill('你好@王小明在吗');
  await page.keyboard.press('Enter');
  await untilTexts(page, '#log .mention', ['@王小明']);
  await untilState(page, 'sent');
  const { value } = await owner.request('getMessages', { groupId });
  assert.deepEqual(value.messages[0].mentions, ['王小明']);
});

test('mentions without a space between them are all mentions', async (t) => {
  const { owner, page, write } = await start(t, ['小明', '小红', 'C++', 'bob', 'x@y']);
  await write('@小明@小');
  await untilSuggested(page, ['小明', '小红']);
  const texts = ['@小明@小红', '@C++@bob', '@小明＠x@y', 'mail@bob@小明', '@bob@C++'];
  for (const text of texts) {
    await page.locator('#text').fill(text);
    await page.keyboard.press('Enter');
  }
  await untilShown(page, texts);
  await untilState(page, 'sent');
  const { value } = await owner.request('getMessages', { groupId: owner.groupId });
  assert.deepEqual(value.messages.flatMap(({ kind, mentions }) => (kind ? [] : [mentions])).reverse(), [
    ['小明', '小红'],
    ['C++', 'bob'],
    ['小明', 'x@y'],
    undefined,
    ['bob'],
  ]);
  const highlighted = ['@小明', '@小红', '@C++', '@bob', '@小明', '＠x@y', '@bob'];
  await untilTexts(page, '#log .mention', highlighted);
});

test('while the members are not loaded, a hint says that no one is mentioned', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'alice', { name: 'Team', members: ['bob'] });
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  const page = await openPage(browser, system, 'alice', { service: proxy.address });
  await until(page, () => chat.hasInbox);
  proxy.hold();
  await page.locator('#list button').click();
  const untilHint = (text) => untilTexts(page, '#members-hint', [text]);
  for (const text of ['Hi @bob', 'Hi ＠bob']) {
    await page.locator('#text').fill('Hi');
    await untilHint('');
    await page.locator('#text').fill(text);
    await untilHint('Members are still loading, so @ does not mention anyone yet.');
  }
  assert.equal(await page.locator('#members-hint').isVisible(), true);
  const size = page.viewportSize();
  await assertAccessible(page, 'hint');
  await page.setViewportSize(size);
  proxy.release();
  await untilHint('');
  assert.equal(await page.evaluate((id) => chat.conversation({ groupId: id }).group.count, groupId), 2);
  await page.keyboard.press('Enter');
  await untilTexts(page, '#log .mention', ['＠bob']);

  await page.locator('#new-chat-name').fill('bob');
  await page.keyboard.press('Enter');
  await untilTexts(page, '#peer', ['bob']);
  await page.locator('#text').fill('@');
  await untilHint('');
});

test('nothing is suggested in an address, in an edit, and without a group', async (t) => {
  const { page, write } = await start(t, ['bob']);
  await write('mail@b');
  await page.keyboard.press('Enter');
  await untilState(page, 'sent');
  await choose(page, 'mail@b', 'Edit');
  await write(' @b');
  assert.equal(await page.locator('#suggestions').isVisible(), false);
  await page.keyboard.press('Enter');
  await untilShown(page, ['mail@b @b']);
  await write('@b');
  await untilSuggested(page, ['bob']);
  await page.locator('#peer').click();
  await untilSuggested(page, []);
});
