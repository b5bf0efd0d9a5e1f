// Takes pictures of the page at three sizes, light and dark, in each of its situations.
//
// node tests/page/pictures.js FOLDER

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { choose, launch, messageOf, newProfile, openTab, until, untilOnline, untilText } from './browser.js';
import { Issuer } from './issuer.js';
import { System } from './system.js';

const SIZES = [
  { width: 1440, height: 900 },
  { width: 820, height: 1100 },
  { width: 390, height: 844 },
];

const [folder = 'target/pictures'] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const browser = await launch();
const page = await openTab(await newProfile(browser), 'about:blank');
/** @param {string} name */
async function shoot(name) {
  for (const size of SIZES) {
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await page.evaluate(async () => {
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        await Promise.allSettled(document.getAnimations().map((animation) => animation.finished));
      });
      await page.screenshot({ path: join(folder, `${name}-${size.width}-${colorScheme}.png`) });
    }
  }
}

/** @param {string} peer */
const untilLoaded = (peer) => until(page, (name) => chat.conversation(name).loaded, peer);

async function takeOpenMode() {
  const system = await System.start({ parameters: { MessageBurst: '100' } });
  try {
    await talk(system);
    await page.goto(system.page);
    await shoot('name');
    await page.goto(`${system.page}?userId=zoe`);
    await untilOnline(page);
    await shoot('empty');
    await page.goto(`${system.page}?userId=zoe&with=Maya`);
    await untilLoaded('Maya');
    await shoot('new-chat');
    await page.goto(`${system.page}?userId=zoe&with=zoe`);
    await untilLoaded('zoe');
    await page.locator('#new-chat-name').evaluate((input) => {
      input.value = 'carol';
    });
    await shoot('self');
    await takeConversation(system);
    await takeChanges();
    await takeGroup(system);
    await system.stop();
    await until(page, () => chat.connection.state === 'waiting');
    await page.evaluate(() => {
      chat.send('Maya', 'I am on the train, this will reach you in a minute 🚆').catch(() => {});
      chat.edit('Maya', 9, 'שלום, this line is still both ways at once').catch(() => {});
      chat.react('Maya', 12, '🙏').catch(() => {});
    });
    await page.locator('#notice').waitFor();
    await shoot('offline');
  } finally {
    await system.stop();
  }
}

/** @param {System} system */
async function takeConversation(system) {
  await page.goto(`${system.page}?userId=alice&with=Maya`);
  for (const peer of ['bob', 'مريم', 'Dr. Bartholomew Featherstonehaugh-Cholmondeley']) {
    await page.evaluate(async (name) => {
      await chat.open(name);
      chat.markRead(name);
    }, peer);
  }
  for (const peer of ['bob', 'carol']) {
    const user = await system.connect(peer);
    for (const text of ['Are we still on for tonight?', 'I could be there at eight.']) await user.send('alice', text);
  }
  await until(page, () => chat.unread === 4 && chat.conversation('Maya').loaded);
  await shoot('conversation');
  await page.evaluate(() => document.querySelector('#back').click());
  await shoot('list');
  await page.evaluate(() => {
    [...document.querySelectorAll('#list .name')].find((node) => node.textContent === 'Maya').click();
  });
}

/** @param {System} system */
async function takeGroup(system) {
  const [alice, bob, maya] = await Promise.all(['alice', 'bob', 'Maya'].map((name) => system.connect(name)));
  const members = ['bob', 'Maya', 'مريم', 'Dr. Bartholomew Featherstonehaugh-Cholmondeley'];
  const { groupId } = await alice.store('createGroup', { name: 'Climbing on Sunday', members, adding: 'all' });
  await alice.store('sendMessage', { groupId, content: 'Who is in? @Maya has the car.', mentions: ['Maya'] });
  await bob.store('sendMessage', { groupId, content: 'I am!' });
  await bob.store('sendMessage', { groupId, content: 'And I bring the rope.' });
  await maya.store('changeGroup', { groupId, add: ['carol'] });
  await maya.store('sendMessage', {
    groupId,
    content: 'Carol wants to come, too. Eight o’clock, @alice?',
    mentions: ['alice'],
  });
  await alice.store('changeGroup', { groupId, roles: { Maya: 'admin' } });
  await page.goto(`${system.page}?userId=alice&group=${groupId}`);
  await until(page, (id) => chat.conversation({ groupId: id }).group.count === 6, groupId);
  await shoot('group');
  await page.locator('#group').click();
  await until(page, () => document.querySelectorAll('#group-members li').length === 6);
  await shoot('group-settings');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.querySelector('#new-group-open').click());
  await page.locator('#new-group-members input').fill('carol');
  await page.locator('#new-group-members input').press('Enter');
  await shoot('new-group');
  await page.keyboard.press('Escape');
  await page.goto(`${system.page}?userId=alice&with=Maya`);
  await untilLoaded('Maya');
}

async function takeTokenMode() {
  const issuer = await Issuer.start();
  const stranger = await Issuer.start();
  const system = await System.start({ parameters: issuer.parameters });
  try {
    await page.goto(`${system.page}?userId=zoe`);
    await page.locator('#token-form').waitFor();
    await shoot('token');
    await page.goto(`${system.page}?userId=zoe&with=Maya`);
    await page.locator('#use-token').waitFor();
    await shoot('refused');
    await page.goto(`${system.page}?with=Maya#token=${stranger.token('zoe')}`);
    await untilText(page, '#connection-state', 'Can’t connect');
    await shoot('token-refused');
  } finally {
    await system.stop();
    issuer.stop();
    stranger.stop();
  }
}

/** @param {System} system */
async function talk(system) {
  const alice = await system.connect('alice');
  const maya = await system.connect('Maya');
  const doctor = await system.connect('Dr. Bartholomew Featherstonehaugh-Cholmondeley');
  await doctor.send('alice', 'Please find the papers attached.');
  const mariam = await system.connect('مريم');
  await mariam.send('alice', 'مرحبا! كيف حالك اليوم؟');
  const minutes =
    'Here are the notes of this morning, all of them, because you asked what exactly was said about the numbers: ' +
    'no team wants two of them, and no team wants one to be missing. ';
  for (const [sender, text, fields] of [
    [alice, 'Morning! Did the deploy go through?'],
    [
      maya,
      'It did, took four minutes. Dashboard is here: ' +
        'https://example.com/dashboards/chat?range=3h&view=latency (p99 looks flat)',
    ],
    [maya, '🎉🎉'],
    [alice, 'Lovely.'],
    [
      alice,
      'One thing: the release notes say\n\n  - messages are numbered without gaps\n  - a retry is stored once\n\n' +
        "and I'd like to add who reviewed it.",
    ],
    [
      maya,
      'That was Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsangehörige' +
        '_0123456789_0123456789 and me 😄',
    ],
    [alice, "<script>alert('no')</script> stays text, I hope?"],
    [maya, 'Of course.'],
    [alice, 'שלום, this line is both ways at once'],
    [maya, 'Then lunch? The place around the corner has the good soup today.'],
    [alice, minutes.repeat(8)],
    [maya, '@alice thanks! I read all of it.', { mentions: ['alice'], replyTo: 11 }],
    [alice, 'In one minute'],
    [alice, 'In ten minutes 🍜', { replyTo: 10 }],
  ]) {
    await sender.send(sender === alice ? 'Maya' : 'alice', text, fields);
  }
  for (const [user, seq, reaction] of [
    [maya, 7, '😂'],
    [alice, 7, '😂'],
    [alice, 8, '👍'],
    [maya, 9, 'שלום'],
    [alice, 10, '🍜'],
    [maya, 10, '🎉'],
    [alice, 10, '🎉'],
    [maya, 13, '👍'],
  ]) {
    await user.store('react', { targetId: user === alice ? 'Maya' : 'alice', seq, reaction, on: true });
  }
  const soup = 'Then lunch? The place around the corner has the good soup today. My treat.';
  await maya.store('editMessage', { targetId: 'alice', seq: 10, content: soup });
  await alice.store('deleteMessage', { targetId: 'Maya', seq: 13 });
}

/** The situations of one message, in the open conversation. */
async function takeChanges() {
  await choose(page, 'In ten minutes', 'Reply');
  await page.locator('#text').fill('Or eleven');
  await shoot('replying');
  await page.keyboard.press('Escape');
  await page.locator('#text').fill('');
  await choose(page, 'In ten minutes', 'Edit');
  await shoot('editing');
  await page.keyboard.press('Escape');
  const button = messageOf(page, 'In ten minutes').locator('.act');
  await button.click();
  await shoot('menu');
  await page.locator('#popup').getByText('Other reaction …').click();
  await shoot('reaction');
  await page.keyboard.press('Escape');
  await button.click();
  await page.locator('#popup').getByText('Delete').click();
  await shoot('question');
  await page.keyboard.press('Escape');
}

try {
  await takeOpenMode();
  await takeTokenMode();
} finally {
  await browser.close();
}
