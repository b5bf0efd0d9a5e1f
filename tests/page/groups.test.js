// Groups: what their members see and do in a conversation.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertAccessible } from './axe.js';
import {
  choose,
  edit,
  launch,
  messageOf,
  say,
  tooWide,
  until,
  untilFocused,
  untilOffline,
  untilOnline,
  untilShown,
  untilState,
  untilText,
  untilTexts,
} from './browser.js';
import {
  createGroup,
  field,
  openPage as openPageIn,
  openSettings,
  removeMember,
  untilEvents,
  untilMembers,
  untilPeerState,
} from './groups.js';
import { TcpProxy } from './proxy.js';
import { startSystem } from './system.js';

const browser = await launch();
after(() => browser.close());

const openPage = (...options) => openPageIn(browser, ...options);

test('three people talk in a group, and one of them is removed and added again', async (t) => {
  const system = await startSystem(t);
  const alice = await openPage(system, 'alice');
  const [bob, carol] = [await openPage(system, 'bob'), await openPage(system, 'carol')];
  await alice.locator('#new-group-open').click();
  await untilFocused(alice, 'new-group-name');
  await alice.locator('#new-group-name').fill('Climbing');
  const members = alice.locator('#new-group-members input');
  await members.fill('bob');
  await members.press('Enter');
  await members.fill('carol');
  await alice.locator('#new-group-form .primary').click();

  await untilTexts(alice, '#peer', ['Climbing']);
  await untilEvents(alice, ['You created the group “Climbing” and added bob and carol']);
  await untilPeerState(alice, '3 members');
  await say(alice, 'Hello @bob, and @carolyn');
  for (const page of [bob, carol]) {
    await until(page, () => document.title.startsWith('(1)'));
    await untilTexts(page, '#list .last', ['alice: Hello @bob, and @carolyn']);
    await page.locator('#list button').click();
  }
  await untilEvents(carol, ['alice created the group “Climbing” and added bob and you']);
  await untilTexts(bob, '#log .mention.me', ['@bob']);
  await untilTexts(carol, '#log .mention', ['@bob']);
  await untilTexts(carol, '#log .mention.me', []);
  await untilState(alice, 'read');
  await say(bob, 'Hi');
  await say(bob, 'I bring the rope');
  for (const page of [alice, carol]) {
    await untilShown(page, ['Hello @bob, and @carolyn', 'Hi', 'I bring the rope']);
    await untilText(page, '#announcement', 'bob: I bring the rope');
    const senders = page.locator('#log .message:not(.mine) .sender:visible');
    assert.deepEqual(await senders.allTextContents(), page === alice ? ['bob'] : ['alice', 'bob']);
  }

  await openSettings(alice);
  await untilMembers(alice, ['alice', 'bob', 'carol']);
  await removeMember(alice, 'carol');
  await untilMembers(alice, ['alice', 'bob']);
  await untilPeerState(carol, 'You are not a member');
  await untilText(carol, '#compose-closed', 'You are no longer a member');
  assert.equal(await carol.locator('#text').isVisible(), false);
  assert.equal(await carol.locator('#log .act').count(), 0);
  await alice.keyboard.press('Escape');
  await untilFocused(alice, 'group');
  await say(bob, 'Without carol');
  await untilText(alice, '#log .message:last-child p', 'Without carol');

  await openSettings(alice);
  await field(alice).fill('carol');
  await alice.locator('#group-picker button').click();
  await untilMembers(alice, ['alice', 'bob', 'carol']);
  await untilPeerState(carol, '3 members');
  const texts = ['Hello @bob, and @carolyn', 'Hi', 'I bring the rope', 'Without carol'];
  await carol.reload();
  await untilShown(carol, texts);
  const events = ['alice created the group “Climbing” and added bob and you', 'alice removed you', 'alice added you'];
  await untilEvents(carol, events);
  await say(carol, 'I am back');
  for (const page of [alice, bob, carol]) await untilShown(page, [...texts, 'I am back']);
});

test('without a connection a group is created and changed later; a refusal says why', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'bob', { name: 'Team', members: ['alice'], adding: 'all' });
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  const alice = await openPage(system, 'alice', { groupId, service: proxy.address });
  const bob = await openPage(system, 'bob', { groupId });
  proxy.cut();
  await untilOffline(alice);
  await alice.locator('#new-group-open').click();
  await alice.locator('#new-group-name').fill('Later');
  await alice.locator('#new-group-form .primary').click();
  await untilTexts(alice, '.new-group .name', ['Later']);
  await openSettings(alice);
  await field(alice).fill('carol');
  await field(alice).press('Enter');
  await untilEvents(alice, [
    'bob created the group “Team”, added you, and now lets all members add others',
    ' Waiting to add carol',
  ]);
  await alice.keyboard.press('Escape');
  await say(alice, 'Hello');
  // Meanwhile the right is taken away.
  await openSettings(bob);
  await bob.getByText('All members can add others').click();
  await untilEvents(bob, [
    'You created the group “Team”, added alice, and now let all members add others',
    'You now let only admins add others',
  ]);

  await proxy.restore();
  await untilOnline(alice);
  await untilText(alice, '#log .note', 'Could not add carol: ');
  await untilTexts(alice, '.new-group .name', []);
  await untilTexts(alice, '#list .name', ['Team', 'Later']);
  await untilShown(bob, ['Hello']);
  await alice.locator('#log .note').getByText('Discard').click();
  await untilTexts(alice, '#log .note', []);
});

test('a group that is stored late does not take the user away from what they write', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'bob', { name: 'Team', members: ['alice'] });
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  const alice = await openPage(system, 'alice', { groupId, service: proxy.address });
  proxy.hold();
  await alice.locator('#new-group-open').click();
  await alice.locator('#new-group-name').fill('Late');
  await alice.locator('#new-group-form .primary').click();
  await untilTexts(alice, '.new-group .last', ['Waiting to be created']);
  await alice.locator('#text').pressSequentially('Hello');
  proxy.release();
  await untilTexts(alice, '.new-group .name', []);
  await untilTexts(alice, '#list .name', ['Late', 'Team']);
  await alice.locator('#text').pressSequentially(', team');
  await alice.keyboard.press('Enter');
  await untilShown(alice, ['Hello, team']);
  await untilTexts(alice, '#peer', ['Team']);
});

test('a group shows who is typing, and who has read a message', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'alice', { name: 'Team', members: ['bob', 'carol'] });
  const alice = await openPage(system, 'alice', { groupId });
  const bob = await openPage(system, 'bob', { groupId });
  await alice.evaluate((id) => chat.send({ groupId: id }, 'Who is in?'), groupId);
  await untilShown(bob, ['Who is in?']);
  await untilState(alice, 'read');
  await choose(alice, 'Who is in?', 'Read by …');
  await untilTexts(alice, '#popup li', ['bob']);
  await alice.keyboard.press('Escape');

  await bob.locator('#text').focus();
  await bob.keyboard.insertText('I');
  await untilPeerState(alice, 'bob\u00a0is typing …');
  await untilTexts(alice, '#list .last', ['bob\u00a0is typing …']);
  await untilText(alice, '#announcement', 'bob is typing');
  await bob.keyboard.press('Enter');
  await untilPeerState(alice, '3 members');
  await untilTexts(alice, '#list .last', ['bob: I']);
});

test('an owner deletes the message of a member, whose text is nowhere then', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'alice', { name: 'Team', members: ['bob'] });
  const alice = await openPage(system, 'alice', { groupId });
  const bob = await openPage(system, 'bob', { groupId });
  await say(bob, 'The code is 4711');
  await untilShown(alice, ['The code is 4711']);
  await messageOf(alice, 'The code').hover();
  await messageOf(alice, 'The code').locator('.act').click();
  const items = alice.locator('#popup [role=menuitem]');
  assert.deepEqual(await items.allTextContents(), ['Other reaction …', 'Reply', 'Delete']);
  await items.getByText('Delete').click();
  await untilText(alice, '#popup', 'for all members');
  await alice.locator('#popup .danger').click();
  for (const page of [alice, bob]) {
    await untilShown(page, ['Message deleted']);
    await until(page, () => !document.body.textContent.includes('4711'));
  }
});

test('a group that is opened from the list has its members and settings', async (t) => {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'alice', { name: 'Team', members: ['bob', 'carol'], posting: 'admins' });
  const bob = await openPage(system, 'bob');
  await until(bob, () => chat.hasInbox);
  await untilTexts(bob, '#list .last', ['3 members']);
  await bob.locator('#list button').click();
  await untilText(bob, '#compose-closed', 'Only admins');
  await owner.store('changeGroup', { groupId: owner.groupId, posting: 'all' });
  await say(bob, 'Hello @carol');
  await untilTexts(bob, '#log .mention', ['@carol']);
  await untilState(bob, 'sent');
  await owner.store('changeGroup', { groupId: owner.groupId, remove: ['bob'] });
  await untilTexts(bob, '#list .last', ['alice removed you']);
  await bob.goto(`${system.page}?userId=bob`);
  await untilTexts(bob, '#list .last', ['You are not a member']);
});

test('a member edits a message although only admins send', async (t) => {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'alice', { name: 'Team', members: ['bob'] });
  const { groupId } = owner;
  const bob = await openPage(system, 'bob', { groupId });
  await say(bob, 'Mine');
  await untilState(bob, 'sent');
  await owner.store('changeGroup', { groupId, posting: 'admins' });
  await untilText(bob, '#compose-closed', 'Only admins');
  await edit(bob, 'Mine', 'Mine!');
  await untilShown(bob, ['Mine!']);
  await untilText(bob, '#compose-closed', 'Only admins');
});

test('the longest names fit, on a wide and on a narrow screen', async (t) => {
  const system = await startSystem(t);
  const [name, ...users] = ['N', 'W', 'M'].map((letter) => letter.repeat(128));
  const owner = await createGroup(system, users[0], { name: name + name, members: [users[1]] });
  await owner.store('sendMessage', { groupId: owner.groupId, content: 'Hello' });
  for (const width of [1100, 320]) {
    const page = await openPage(system, users[0], { groupId: owner.groupId, viewport: { width, height: 600 } });
    assert.deepEqual(await tooWide(page), [], `${width}`);
    await openSettings(page);
    await until(page, () => document.querySelectorAll('#group-members li').length === 2);
    assert.deepEqual(await tooWide(page), [], `${width}, settings`);
    const name = await page.locator('#group-members .name').last().boundingBox();
    assert.ok(name.width > 150, `the names have ${name.width} pixels`);
    await page.keyboard.press('Escape');
  }
});

test('axe finds no serious violation in a group and its dialogs', async (t) => {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'alice', { name: 'Team', members: ['bob', 'carol', 'dave'] });
  const { groupId } = owner;
  for (const userId of ['bob', 'carol', 'dave']) {
    const user = await system.connect(userId);
    await user.store('sendMessage', { groupId, content: 'Hello @alice', mentions: ['alice'] });
  }
  await owner.store('react', { groupId, seq: 2, reaction: '👍', on: true });
  const alice = await openPage(system, 'alice', { groupId });
  await say(alice, 'Mine');
  await untilState(alice, 'sent');
  await assertAccessible(alice, 'group');
  await choose(alice, 'Mine', 'Read by …');
  await untilText(alice, '#popup li', 'No one yet');
  await assertAccessible(alice, 'readers');
  await alice.keyboard.press('Escape');
  await openSettings(alice);
  await untilMembers(alice, ['alice', 'bob', 'carol', 'dave']);
  await assertAccessible(alice, 'settings');
  await alice.keyboard.press('Escape');
  await alice.setViewportSize({ width: 1440, height: 900 });
  await alice.locator('#new-group-open').click();
  await alice.locator('#new-group-members input').fill('bob');
  await alice.locator('#new-group-members input').press('Enter');
  await assertAccessible(alice, 'new group');
  await alice.keyboard.press('Escape');
  await owner.store('changeGroup', { groupId, remove: ['bob'] });
  const bob = await openPage(system, 'bob');
  await bob.locator('#list button').click();
  await untilText(bob, '#compose-closed', 'You are no longer a member');
  await assertAccessible(bob, 'removed');
});
