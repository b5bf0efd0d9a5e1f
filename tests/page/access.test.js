// Who may connect: origins and tokens. And who can use the page: accessibility.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertAccessible } from './axe.js';
import {
  launch,
  newProfile,
  openChat,
  openTab,
  say,
  until,
  untilFocused,
  untilOnline,
  untilShown,
  untilState,
  untilText,
} from './browser.js';
import { Issuer } from './issuer.js';
import { freePort, startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

/** Starts a system that requires tokens of `issuer`. */
async function startWithIssuer(t) {
  const issuer = await Issuer.start();
  t.after(() => issuer.stop());
  return { issuer, system: await startSystem(t, { parameters: issuer.parameters }) };
}

test('only a page of an allowed origin connects', async (t) => {
  const port = await freePort();
  const allowed = `http://chat.test:${port}`;
  await startSystem(t, { port, parameters: { AllowedOrigins: allowed } });
  const page = await openTab(await newProfile(browser), `${allowed}/?userId=alice&with=bob`);
  await untilOnline(page);
  // A page over plain HTTP has neither randomUUID nor Web Locks.
  assert.equal(await page.evaluate(() => isSecureContext), false);
  await say(page, 'Hello');
  await untilShown(page, ['Hello']);

  const foreign = await openTab(await newProfile(browser), `http://evil.test:${port}/?userId=alice&with=bob`);
  await until(foreign, () => chat.connection.state === 'refused');
  await untilText(foreign, '#notice', 'refuses access');
  assert.equal(await foreign.evaluate(() => chat.conversation('bob').messages.length), 0);
});

for (const [title, times] of [
  ['a token is replaced before it expires', { early: 1_000, answer: 500 }],
  ['a token that the service refuses as expired is replaced', { early: -3_600_000, answer: 500 }],
]) {
  test(title, async (t) => {
    const { issuer, system } = await startWithIssuer(t);
    const page = await openTab(await newProfile(browser), `${system.page}example.html`);
    const tokens = [issuer.token('alice', 6), issuer.token('alice')];
    const result = await page.evaluate(talkUntilTokenIsReplaced, { tokens, times });
    assert.deepEqual(result, { userId: 'alice', last: 'last', wasTurnedAway: false });
  });
}

/** Runs in the page: sends messages until the client has asked for the second token and is connected with it. */
async function talkUntilTokenIsReplaced({ tokens, times }) {
  const { ChatClient } = await import('/chat-client.js');
  const states = [];
  let calls = 0;
  const token = async () => {
    calls += 1;
    return tokens[Math.min(calls, 2) - 1];
  };
  const client = new ChatClient({ url: '/prod', token, times });
  client.addEventListener('connection', (event) => states.push(event.detail.state));
  for (let sent = 0; calls < 2 || client.connection.state !== 'online'; sent += 1) await client.send('bob', `${sent}`);
  await client.send('bob', 'last');
  const all = [];
  for await (const page of client.history('bob')) all.unshift(...page);
  client.close();
  const wasTurnedAway = states.includes('refused') || states.includes('displaced');
  return { userId: client.userId, last: all.at(-1).content, wasTurnedAway };
}

test('a token is taken from the address, or asked for if a name is not enough', async (t) => {
  const { issuer, system } = await startWithIssuer(t);
  const address = `${system.page}?with=bob#token=${issuer.token('alice')}`;
  const alice = await openTab(await newProfile(browser), address);
  const isSignedIn = () =>
    chat.userId === 'alice' && chat.connection.state === 'online' && chat.conversation('bob').loaded;
  await until(alice, isSignedIn);
  assert.equal(await alice.evaluate(() => location.search + location.hash), '?with=bob');
  assert.equal(await alice.locator('#me').textContent(), 'alice');
  await say(alice, 'Hello');
  await untilState(alice, 'sent');
  await alice.reload();
  await until(alice, isSignedIn);
  await untilShown(alice, ['Hello']);

  const bob = await openTab(await newProfile(browser), `${system.page}?userId=bob`);
  await untilFocused(bob, 'token');
  await bob.keyboard.insertText('nonsense');
  await bob.locator('#token-form button').click();
  await untilText(bob, '#token-error', 'This is not a token.');
  await bob.locator('#token').fill(issuer.token('bob'));
  await bob.locator('#token-form button').click();
  await until(bob, () => chat.userId === 'bob' && chat.connection.state === 'online');
  await bob.locator('#list button').click();
  await untilShown(bob, ['Hello']);
  assert.equal(await bob.evaluate(() => location.search + location.hash), '?with=alice');
});

test('a user who is refused in a conversation keeps it on the screen', async (t) => {
  const { system } = await startWithIssuer(t);
  const page = await openTab(await newProfile(browser), `${system.page}?userId=carol&with=bob`);
  await untilText(page, '#notice', 'refuses access');
  await page.locator('#use-token').waitFor();
  const hint = await page.locator('#hint').textContent();
  assert.equal(hint, 'Earlier messages appear once you are connected.', 'it does not claim to load');
  await assertAccessible(page, 'refused');
  await page.locator('#use-token').click();
  await untilFocused(page, 'token');
  await page.locator('#back-to-name').click();
  await page.locator('#peer').waitFor();
  assert.equal(await page.locator('#peer').textContent(), 'bob');
});

test('the form for a token closes when the connection opens without one', async (t) => {
  const system = await startSystem(t);
  const page = await openTab(await newProfile(browser), `${system.page}?userId=dan`);
  await untilOnline(page);
  await page.evaluate(() => {
    document.querySelector('#use-token').click();
    chat.dispatchEvent(new Event('connection'));
  });
  await page.locator('#messenger').waitFor();
  assert.equal(await page.locator('#token-form').isVisible(), false);
});

test('axe finds no serious violation', async (t) => {
  const system = await startSystem(t);
  const profile = await newProfile(browser);
  const bob = await system.connect('bob');
  for (const text of ['Hello, Alice!', 'See https://example.com', '🎉']) await bob.send('alice', text);
  const busy = await openChat(profile, system, { userId: 'alice', peer: 'bob' });
  await say(busy, 'Thank you: https://example.com');
  await until(busy, () => document.querySelectorAll('#log .message').length === 4);
  const carol = await system.connect('carol');
  await carol.send('alice', 'And me?');
  await busy.locator('#list .unread').waitFor();
  const join = await openTab(profile, `${system.page}?userId=%20`);
  await join.evaluate(() => sessionStorage.clear());
  await join.goto(system.page);
  await untilFocused(join, 'name');
  const empty = await openTab(profile, `${system.page}?userId=zoe`);
  await untilOnline(empty);
  const token = await openTab(profile, `${system.page}?userId=zoe`);
  await token.evaluate(() => document.querySelector('#use-token').click());

  const check = async (situation) => {
    for (const [name, page] of Object.entries({ busy, join, empty, token })) {
      await assertAccessible(page, `${situation}, ${name}`);
    }
  };
  await check('connected');
  await system.stop();
  await busy.locator('#notice').waitFor();
  await say(busy, 'Are you there?');
  await check('without a connection');
});
