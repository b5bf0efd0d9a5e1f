// Two users talk, and what each of them sees.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  launch,
  newProfile,
  openChat,
  openTab,
  say,
  tooWide,
  until,
  untilFocused,
  untilShown,
  untilState,
} from './browser.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

test('a new visitor and a second user talk', async (t) => {
  const system = await startSystem(t);
  const alice = await openTab(await newProfile(browser), system.page);
  await untilFocused(alice, 'name');
  await alice.keyboard.insertText('alice');
  await alice.keyboard.press('Enter');
  const link = alice.locator('#second-tab');
  await link.waitFor();
  assert.equal((await link.textContent()).trim(), 'Be bob in a new tab');

  const bob = await openTab(await newProfile(browser), await link.evaluate((node) => node.href));
  await until(bob, () => chat.userId === 'bob' && chat.conversation('alice').loaded);
  await say(bob, 'Hello, Alice!');
  await untilShown(bob, ['Hello, Alice!']);
  await untilState(bob, 'sent');

  await until(alice, () => document.title.startsWith('(1)'));
  await until(alice, () => document.querySelector('#list .unread').textContent.startsWith('1'));
  await alice.locator('#list button').click();
  await untilShown(alice, ['Hello, Alice!']);
  await until(alice, () => document.title.startsWith('Chat') && !document.querySelector('#list .unread'));
  await untilState(bob, 'read');

  await alice.keyboard.insertText('Two\nlines');
  await alice.keyboard.press('Enter');
  for (const page of [alice, bob]) await untilShown(page, ['Hello, Alice!', 'Two\nlines']);
  await alice.reload();
  await untilShown(alice, ['Hello, Alice!', 'Two\nlines']);
  await until(alice, () => chat.unread === 0 && chat.connection.state === 'online');
});

test('message contents and names are never markup', async (t) => {
  const system = await startSystem(t);
  const mallory = await system.connect('mallory');
  const texts = [
    '<script>window.attacked = 1</script>',
    "<img src=x onerror='window.attacked = 2'>",
    'javascript:window.attacked=3',
    '[click](javascript:window.attacked=4) data:text/html,<script>window.attacked=5</script>',
    'see https://example.com/a?b=<c>. (https://example.com/wiki/A_(b)) HTTP://EXAMPLE.COM, https://',
    '\u{202e}gnp.exe',
  ];
  for (const text of texts) await mallory.send('alice', text);
  const name = '<b onclick=alert()>x</b>';
  const strange = await system.connect(name);
  await strange.send('alice', 'From a strange name');

  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'mallory' });
  await untilShown(alice, texts);
  const links = await alice.locator('#log a').evaluateAll((all) => all.map((a) => [a.href, a.rel, a.target]));
  const rel = 'noopener noreferrer nofollow';
  assert.deepEqual(links, [
    ['https://example.com/a?b=', rel, '_blank'],
    ['https://example.com/wiki/A_(b)', rel, '_blank'],
    ['http://example.com/', rel, '_blank'],
  ]);
  await alice.evaluate(async (peer) => {
    await chat.open(peer);
  }, name);
  await until(alice, (n) => [...document.querySelectorAll('#list .name')].some((node) => node.textContent === n), name);
  const markup = '#messenger script, #messenger img, #messenger b, #messenger [onclick]';
  assert.equal(await alice.locator(markup).count(), 0);
  assert.equal(await alice.evaluate(() => window.attacked ?? 0), 0);
});

test('invisible characters in names are shown, and invalid names are refused with a reason', async (t) => {
  const system = await startSystem(t);
  for (const name of [
    'bob\u{200b}',
    '\u{202e}ecila',
    '👩\u{200d}🚀',
    'a\u{a0}b',
    'می\u{200c}خواهم',
    'دا\u{200c}ر',
    'alice',
  ]) {
    const user = await system.connect(name);
    await user.send('alice', 'Hello');
  }
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'alice' });
  const names = page.locator('#list .name');
  await until(page, () => document.querySelectorAll('#list .name').length === 7);
  const shown = ['می\u{200c}خواهم', '👩\u{200d}🚀'];
  const expected = ['[U+202E]ecila', 'a[U+00A0]b', 'alice (you)', 'bob[U+200B]', 'دا[U+200C]ر', ...shown];
  assert.deepEqual((await names.allTextContents()).sort(), expected);
  assert.equal(await page.locator('#peer').textContent(), 'alice (you)');

  // A remembered peer that the server does not know is not listed.
  await page.evaluate(async () => {
    localStorage.setItem(`ws://${location.host} chat alice`, JSON.stringify(['ghost']));
    await chat.send('carol', 'Hi');
  });
  await page.goto(`${system.page}?userId=alice`);
  await until(page, () => chat.hasInbox && document.querySelectorAll('#list .name').length === 8);

  for (const [name, problem] of [
    [' bad', 'white space'],
    ['字'.repeat(50), 'at most 42 characters; this one has 50'],
  ]) {
    await page.goto(`${system.page}?userId=${encodeURIComponent(name)}`);
    await page.locator('#name-form').waitFor();
    assert.equal(await page.locator('#name').inputValue(), name);
    const error = await page.locator('#name-error').textContent();
    assert.ok(error.includes(problem), error);
  }
});

test('a text that is too long says by how much, and a long message is folded', async (t) => {
  const system = await startSystem(t);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await page.locator('#text').focus();
  await page.keyboard.insertText('x'.repeat(16 * 1024 + 100));
  await until(page, () => document.querySelector('#error').textContent.includes('by about 100 characters'));
  assert.equal(await page.locator('#send').isDisabled(), true);

  await page.locator('#text').evaluate((node) => {
    node.value = '';
  });
  await page.keyboard.insertText('One of many lines.\n'.repeat(40).trimEnd());
  await until(page, () => document.querySelector('#error').textContent === '');
  await page.keyboard.press('Enter');
  await untilState(page, 'sent');
  const height = () => page.locator('#log .message').evaluate((node) => node.offsetHeight);
  const folded = await height();
  await page.locator('#log .more').click();
  const whole = await height();
  assert.ok(folded < 400 && whole > 2 * folded, `${folded} and ${whole}`);
});

test('the longest names fit, on a wide and on a narrow screen', async (t) => {
  const system = await startSystem(t);
  const [me, peer] = ['W', 'M'].map((letter) => letter.repeat(128));
  for (const viewport of [
    { width: 1100, height: 700 },
    { width: 360, height: 700 },
  ]) {
    const page = await openChat(await newProfile(browser, { viewport }), system, { userId: me, peer });
    assert.deepEqual(await tooWide(page), []);
  }
});

test('the example page talks', async (t) => {
  const system = await startSystem(t);
  const support = await system.connect('support');
  await support.send('visitor', 'How can I help?');
  const page = await openTab(await newProfile(browser), `${system.page}example.html`);
  await until(page, () => document.querySelector('#support ol').textContent === 'support: How can I help?');
  await page.locator('#support input').focus();
  await page.keyboard.insertText('Where is my order?');
  await page.keyboard.press('Enter');
  assert.equal((await support.next()).value.content, 'Where is my order?');
  const { seq } = await support.send('visitor', 'It is packed.');
  await support.store('editMessage', { targetId: 'visitor', seq, content: 'On its way.' });
  await until(page, () => document.querySelector('#support li:last-child').textContent === 'support: On its way.');
  const rows = await page.locator('#support li').allInnerTexts();
  assert.deepEqual(rows, ['support: How can I help?', 'You: Where is my order?', 'support: On its way.']);
  await support.store('deleteMessage', { targetId: 'visitor', seq });
  await until(page, () => document.querySelector('#support li:last-child').textContent === 'support: (deleted)');
});
