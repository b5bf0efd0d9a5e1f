// Reading: what counts as read, where links lead, and the way back to the list.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  launch,
  newProfile,
  openChat,
  openTab,
  PHONE,
  say,
  until,
  untilOnline,
  untilShown,
  untilState,
} from './browser.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

test('a message is read when the window has the focus, not when it is only visible', async (t) => {
  const system = await startSystem(t);
  const alice = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  const bob = await openChat(await newProfile(browser), system, { userId: 'bob', peer: 'alice' });
  // Playwright lets every page believe that it has the focus. Without that, another one takes it.
  const devtools = await alice.context().newCDPSession(alice);
  await devtools.send('Emulation.setFocusEmulationEnabled', { enabled: false });
  await openTab(alice.context(), 'about:blank');
  await until(alice, () => !document.hasFocus() && !document.hidden);
  await say(bob, 'Are you there?');
  await untilShown(alice, ['Are you there?']);
  await until(alice, () => document.title.startsWith('(1)'));
  // The reply to a later request shows that no read position was on its way.
  await say(bob, 'Hello?');
  await untilShown(alice, ['Are you there?', 'Hello?']);
  assert.equal(await alice.evaluate(() => chat.unread), 2);
  await untilState(bob, 'sent');

  await devtools.send('Emulation.setFocusEmulationEnabled', { enabled: true });
  await untilState(bob, 'read');
  assert.equal(await alice.evaluate(() => chat.unread), 0);
});

test('a link shows what it opens', async (t) => {
  const system = await startSystem(t);
  const mallory = await system.connect('mallory');
  const cases = [
    // Written, shown, opened.
    ['https://example.com/photo_\u{202e}gpj.exe', 'https://example.com/photo_[U+202E]gpj.exe'],
    ['https://example.com/a\u{200b}b', 'https://example.com/a[U+200B]b'],
    ['https://bank.example@evil.example/login', 'https://evil.example/login', 'https://evil.example/login'],
    ['https://bank.example:pin@evil.example', 'https://evil.example/', 'https://evil.example/'],
    ['https://bank.example\\@evil.example', 'https://bank.example/@evil.example'],
    ['https://b\u{430}nk.example/', 'https://xn--bnk-6cd.example/', 'https://xn--bnk-6cd.example/'],
    ['https:///evil.example/x', 'https://evil.example/x', 'https://evil.example/x'],
    ['HTTPS://Example.com/wiki/Döner', 'HTTPS://Example.com/wiki/Döner'],
    // The override before the link does not turn the link around.
    ['\u{202e}https://example.com/abc', 'https://example.com/abc'],
  ];
  for (const [text] of cases) await mallory.send('alice', text);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'mallory' });
  await until(page, (count) => document.querySelectorAll('#log a').length === count, cases.length);
  const links = await page
    .locator('#log a')
    .evaluateAll((all) =>
      all.map((a) => ({ shown: a.textContent, opens: a.href, bidi: getComputedStyle(a).unicodeBidi, dir: a.dir })),
    );
  for (const [index, [written, shown, opens]] of cases.entries()) {
    const link = links[index];
    assert.equal(link.shown, shown, written);
    if (opens) assert.equal(link.opens, opens, written);
    assert.equal(new URL(link.opens).username, '', written);
    assert.deepEqual([link.bidi, link.dir], ['isolate', 'ltr'], written);
  }
});

/** Waits until a conversation, or the list, is on the screen and in the address. */
const untilOpen = (page, peer, search) =>
  until(
    page,
    ([name, query]) => {
      const isOpen = document.querySelector('#messenger').dataset.view === 'chat';
      return (isOpen ? document.querySelector('#peer').textContent : '') === name && location.search === query;
    },
    [peer, search],
  );

for (const [device, options] of [
  ['a phone', PHONE],
  ['a computer', {}],
]) {
  test(`on ${device}, Back leads from a conversation to the list, then out of the page`, async (t) => {
    const system = await startSystem(t);
    const page = await openTab(await newProfile(browser, options), 'about:blank');
    const untilList = () => untilOpen(page, '', '?userId=alice');
    const untilChat = (peer) => untilOpen(page, peer, `?userId=alice&with=${peer}`);

    // By the form.
    await page.goto(`${system.page}?userId=alice`);
    await untilOnline(page);
    for (const name of ['bob', 'carol']) {
      if (device === 'a phone' && name === 'carol') break;
      await page.locator('#new-chat-name').fill(name);
      await page.keyboard.press('Enter');
      await untilChat(name);
    }
    await page.goBack();
    await untilList();
    await page.goForward();
    await untilChat(device === 'a phone' ? 'bob' : 'carol');
    // A reload adds no step.
    await page.reload();
    await untilOnline(page);
    await page.goBack();
    await untilList();
    await page.goBack();
    assert.equal(page.url(), 'about:blank');

    // By a link to the conversation.
    await page.goto(`${system.page}?userId=alice&with=bob`);
    await untilOnline(page);
    await page.goBack();
    await untilList();
    await page.goForward();
    await untilChat('bob');

    // By the arrow in the page, which only a small screen shows.
    if (device !== 'a phone') return;
    await page.locator('#back').tap();
    await untilList();
    await page.goBack();
    assert.equal(page.url(), 'about:blank');
  });
}
