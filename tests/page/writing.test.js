// Writing a message: keyboards, input methods, focus and drafts.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import {
  choose,
  launch,
  newProfile,
  openChat,
  openTab,
  PHONE,
  say,
  untilFocused,
  untilOnline,
  untilShown,
  untilState,
} from './browser.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** What the box contains. */
const written = (page) => page.locator('#text').inputValue();

test('Enter that chooses a word of an input method does not send', async (t) => {
  const system = await startSystem(t);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await page.locator('#text').focus();
  await page.keyboard.insertText('にほんg');
  for (const init of [
    { isComposing: true, keyCode: 229 },
    // As Safari reports it, after `compositionend`.
    { isComposing: false, keyCode: 229 },
  ]) {
    await page.locator('#text').dispatchEvent('keydown', { key: 'Enter', cancelable: true, bubbles: true, ...init });
    assert.equal(await written(page), 'にほんg');
  }
  await page.keyboard.press('Enter');
  await untilShown(page, ['にほんg']);
});

test('keys of an input method neither choose a member nor close a box', async (t) => {
  const system = await startSystem(t);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  const press = (selector, key) =>
    page.locator(selector).dispatchEvent('keydown', { key, keyCode: 229, cancelable: true, bubbles: true });
  await page.locator('#new-group-open').click();
  const members = '#new-group-members input';
  await page.locator(members).fill('か');
  await press(members, 'Enter');
  assert.equal(await page.locator(members).inputValue(), 'か');
  await page.locator('#new-group-close').click();

  await say(page, 'Hello');
  await untilState(page, 'sent');
  await choose(page, 'Hello', 'Other reaction …');
  await press('#reaction', 'Escape');
  assert.equal(await page.locator('#reaction').count(), 1);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#reaction').count(), 0);
});

test('on a phone, Enter starts a new line and the button sends', async (t) => {
  const system = await startSystem(t);
  const page = await openChat(await newProfile(browser, PHONE), system, { userId: 'alice', peer: 'bob' });
  await page.locator('#text').focus();
  await page.keyboard.insertText('One');
  await page.keyboard.press('Enter');
  await page.keyboard.insertText('Two');
  assert.equal(await written(page), 'One\nTwo');
  assert.equal(await page.locator('#text').getAttribute('enterkeyhint'), 'enter');
  await page.locator('#send').tap();
  await untilShown(page, ['One\nTwo']);
  // A hardware keyboard.
  await page.keyboard.insertText('Three');
  await page.keyboard.press('Control+Enter');
  await untilShown(page, ['One\nTwo', 'Three']);
});

test('the box grows with its text in browsers that do not do so by themselves', async (t) => {
  const system = await startSystem(t);
  const profile = await newProfile(browser);
  await profile.addInitScript(() => {
    CSS.supports = () => false;
  });
  const page = await openChat(profile, system, { userId: 'alice', peer: 'bob' });
  const box = page.locator('#text');
  const height = () => box.evaluate((node) => node.offsetHeight);
  await box.evaluate((node) => node.style.setProperty('field-sizing', 'fixed'));
  const oneLine = await height();
  await box.focus();
  await page.keyboard.insertText('1\n2\n3\n4');
  const fourLines = await height();
  assert.ok(fourLines > 2 * oneLine, `${oneLine} and ${fourLines}`);
  assert.ok(await box.evaluate((node) => node.scrollHeight <= node.clientHeight), 'all lines are visible');
  await page.keyboard.press('Enter');
  await untilShown(page, ['1\n2\n3\n4']);
  assert.equal(await height(), oneLine);
});

test('after another user was opened in a new tab, typing goes on in the box', async (t) => {
  const system = await startSystem(t);
  const profile = await newProfile(browser);
  const page = await openTab(profile, `${system.page}?userId=alice`);
  await untilOnline(page);
  // The first link opens the conversation, too. The second one is below the list.
  for (const link of ['#second-tab', 'footer .second-tab']) {
    const opened = once(profile, 'page');
    await page.locator(link).click();
    await (await opened)[0].close();
    await page.bringToFront();
    await untilFocused(page, 'text');
  }
  await page.keyboard.insertText('Hello');
  assert.equal(await written(page), 'Hello');
});

test('drafts survive a reload, for each conversation', async (t) => {
  const system = await startSystem(t);
  const page = await openChat(await newProfile(browser), system, { userId: 'alice', peer: 'bob' });
  await page.locator('#text').focus();
  await page.keyboard.insertText('For bob');
  await page.reload();
  await untilFocused(page, 'text');
  assert.equal(await written(page), 'For bob');

  await page.goto(`${system.page}?userId=alice&with=carol`);
  await untilFocused(page, 'text');
  assert.equal(await written(page), '');
  await page.keyboard.insertText('For carol');
  await page.goto(`${system.page}?userId=dave&with=bob`);
  await untilFocused(page, 'text');
  assert.equal(await written(page), '', 'the draft belongs to another user');

  await page.goto(`${system.page}?userId=alice&with=bob`);
  await untilFocused(page, 'text');
  await say(page, '!');
  await untilShown(page, ['For bob!']);
  await page.reload();
  await untilShown(page, ['For bob!']);
  assert.equal(await written(page), '', 'it was sent');

  await page.locator('#leave').click();
  await untilFocused(page, 'name');
  await page.goto(`${system.page}?userId=alice&with=carol`);
  await untilFocused(page, 'text');
  assert.equal(await written(page), '', 'who leaves leaves no drafts');
});
