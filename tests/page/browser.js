// Chromium for the tests, and what a user does and sees in a tab.

import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

/** Milliseconds that anything may take before a test fails. */
const PATIENCE = 60_000;

const ARGUMENTS = [
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Names that end in .test are this machine. No other name resolves.
  '--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];

/** Starts the Chromium that the variable CHROMIUM names, or the installed one. */
export function launch() {
  const executablePath = process.env.CHROMIUM || installed();
  // Chromium's sandbox does not work for root.
  const args = process.getuid?.() === 0 ? [...ARGUMENTS, '--no-sandbox'] : ARGUMENTS;
  return chromium.launch({ executablePath, args });
}

function installed() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next name.
    }
  }
  throw new Error('The page is tested in Chromium. Install it (Debian: apt install chromium), or set CHROMIUM.');
}

/**
 * A new browser profile. Its tabs share what is stored. Animations are off, so that a slow machine never shows a test
 * an element that is still half transparent.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function newProfile(browser, options) {
  const profile = await browser.newContext({ reducedMotion: 'reduce', ...options });
  profile.setDefaultTimeout(PATIENCE);
  return profile;
}

/** The options of a profile on a phone: a small screen, touch, and a keyboard on the screen. */
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/**
 * Opens a tab at `url`.
 *
 * @param {import('playwright-core').BrowserContext} profile
 * @param {string} url
 */
export async function openTab(profile, url) {
  const page = await profile.newPage();
  await page.goto(url);
  return page;
}

/**
 * Opens a tab in which `userId` talks to `peer`, and waits until it is connected and the conversation is loaded.
 *
 * @param {import('playwright-core').BrowserContext} profile
 * @param {import('./system.js').System} system
 * @param {{ userId: string, peer: string, service?: string }} options `service` is the address of a proxy
 */
export async function openChat(profile, system, { userId, peer, service }) {
  const query = new URLSearchParams({ userId, with: peer, ...(service && { ws: `ws://${service}/prod` }) });
  const page = await openTab(profile, `${system.page}?${query}`);
  await until(page, (name) => chat.connection.state === 'online' && chat.conversation(name).loaded, peer);
  return page;
}

/**
 * Waits until a predicate holds in the page, also across reloads. While the page loads, the predicate may throw.
 *
 * @param {import('playwright-core').Page} page
 * @param {(argument: any) => unknown} predicate
 * @param {unknown} [argument]
 */
export async function until(page, predicate, argument) {
  const deadline = Date.now() + PATIENCE;
  const arranged = { predicate: String(predicate), argument: JSON.stringify(argument), deadline };
  while (!(await watch(page, arranged))) {
    if (Date.now() < deadline) continue;
    const text = await page.locator('body').textContent();
    throw new Error(`never true: ${predicate} with ${arranged.argument}; the page shows:\n${text}`);
  }
}

/**
 * Polls a predicate in the page, because much of what tests wait for has no event. `page.waitForFunction` does not do:
 * it calls `eval`, which the page's content security policy forbids.
 *
 * @param {import('playwright-core').Page} page
 * @param {{ predicate: string, argument: string, deadline: number }} what
 * @returns {Promise<boolean>} false if it did not hold before the deadline, or the page was left
 */
async function watch(page, { predicate, argument, deadline }) {
  const watcher = `new Promise((resolve) => {
    const poll = () => {
      let holds = false;
      try { holds = Boolean((${predicate})(${argument})); } catch {}
      if (holds || Date.now() > ${deadline}) resolve(holds);
      else setTimeout(poll, 20);
    };
    poll();
  })`;
  try {
    return await page.evaluate(watcher);
  } catch (error) {
    if (/navigat|context/i.test(error.message)) return false;
    throw error;
  }
}

/** @param {import('playwright-core').Page} page */
export const untilOnline = (page) => until(page, () => chat.connection.state === 'online');

/** @param {import('playwright-core').Page} page */
export const untilOffline = (page) => until(page, () => chat.connection.state !== 'online');

/**
 * Types a message and sends it.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} text
 */
export async function say(page, text) {
  await page.locator('#text').focus();
  await page.keyboard.insertText(text);
  await page.keyboard.press('Enter');
}

/**
 * The message with this text.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} text
 */
export const messageOf = (page, text) =>
  page.locator('#log .message').filter({ has: page.locator('p', { hasText: text }) });

/**
 * Opens the menu of a message, and chooses from it.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} text of the message
 * @param {string} action the label in the menu
 */
export async function choose(page, text, action) {
  const message = messageOf(page, text);
  await message.hover();
  await message.locator('.act').click();
  await page.locator('#popup').getByText(action, { exact: true }).click();
}

/**
 * Types a new text for a message.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} text
 * @param {string} newText
 */
export async function edit(page, text, newText) {
  await choose(page, text, 'Edit');
  await page.locator('#text').fill(newText);
  await page.keyboard.press('Enter');
}

/**
 * @param {import('playwright-core').Page} page
 * @param {string} text of the message
 */
export async function remove(page, text) {
  await choose(page, text, 'Delete');
  await page.locator('#popup .danger').click();
}

/** @param {import('playwright-core').Page} page */
export const shown = (page) => page.locator('#log .message p').allInnerTexts();

/**
 * Waits until the conversation shows exactly these texts.
 *
 * @param {import('playwright-core').Page} page
 * @param {string[]} texts
 */
export const untilShown = (page, texts) => untilTexts(page, '#log .message p', texts);

/**
 * Waits until the elements of a selector have exactly these texts.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} selector
 * @param {string[]} texts
 */
export const untilTexts = (page, selector, texts) =>
  until(
    page,
    ([wanted, expected]) => {
      const now = [...document.querySelectorAll(wanted)].map((node) => node.textContent);
      return JSON.stringify(now) === JSON.stringify(expected);
    },
    [selector, texts],
  );

/**
 * Waits until the last message is in this state.
 *
 * @param {import('playwright-core').Page} page
 * @param {'queued' | 'sent' | 'read' | 'failed'} state
 */
export const untilState = (page, state) =>
  until(page, (s) => [...document.querySelectorAll('#log .message')].at(-1).dataset.state === s, state);

/**
 * Waits until an element has the focus.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} id
 */
export const untilFocused = (page, id) => until(page, (name) => document.activeElement.id === name, id);

/**
 * Waits until an element contains a text.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} selector
 * @param {string} text
 */
export const untilText = (page, selector, text) =>
  until(page, ([s, t]) => document.querySelector(s).textContent.includes(t), [selector, text]);

/**
 * What reaches beyond the left or the right edge of the window.
 *
 * @param {import('playwright-core').Page} page
 * @returns {Promise<string[]>}
 */
export const tooWide = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('body *')]
      .filter((node) => {
        const { left, right } = node.getBoundingClientRect();
        return left < -1 || right > innerWidth + 1;
      })
      .map((node) => node.id || node.className || node.tagName),
  );
