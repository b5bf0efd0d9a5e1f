// The dialogs of groups: making one, its members, and its settings.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  launch,
  say,
  until,
  untilFocused,
  untilOffline,
  untilOnline,
  untilShown,
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

const namesOf = (users) => new Intl.ListFormat('en').format(users);
const openPage = (...options) => openPageIn(browser, ...options);

test('an owner renames the group, gives roles, and decides who sends', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'alice', { name: 'Old', members: ['bob', 'carol'] });
  const alice = await openPage(system, 'alice', { groupId });
  const bob = await openPage(system, 'bob', { groupId });
  await openSettings(alice);
  await alice.locator('#group-name').fill('<b>New</b>');
  await alice.locator('#group-name').press('Enter');
  for (const page of [alice, bob]) {
    await untilTexts(page, '#peer', ['<b>New</b>']);
    await untilTexts(page, '#list .name', ['<b>New</b>']);
  }
  await untilTexts(alice, '#group-heading', ['<b>New</b>']);
  await alice.getByText('Only admins can send messages').click();
  await untilText(bob, '#compose-closed', 'Only admins');
  await alice.getByLabel('Role of bob').selectOption('Admin');
  await until(bob, () => !document.querySelector('#compose').hasAttribute('data-closed'));
  await untilText(bob, '#announcement', 'alice made you an admin');
  await say(bob, 'Thanks');
  await untilShown(alice, ['Thanks']);
  await untilEvents(alice, [
    'You created the group “Old” and added bob and carol',
    'You renamed the group to “<b>New</b>”',
    'You now let only admins send messages',
    'You made bob an admin',
  ]);

  // An admin removes members, and no owner.
  await openSettings(bob);
  await untilMembers(bob, ['alice', 'bob', 'carol']);
  const buttons = bob.locator('#group-members button');
  assert.deepEqual(await buttons.allTextContents(), ['Remove']);
  assert.equal(await bob.locator('#group-rename').isVisible(), false);
  await removeMember(bob, 'carol');
  await untilMembers(bob, ['alice', 'bob']);
});

test('the last owner can leave when another member is an owner', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'alice', { name: 'Team', members: ['bob'] });
  const alice = await openPage(system, 'alice', { groupId });
  await openSettings(alice);
  await untilText(alice, '#group-last-owner', 'make another member an owner');
  assert.equal(await alice.locator('#group-leave').isDisabled(), true);
  await alice.getByLabel('Role of bob').selectOption('Owner');
  await until(alice, () => !document.querySelector('#group-leave').disabled);
  await alice.locator('#group-leave').click();
  await untilFocused(alice, 'group-stay');
  await alice.locator('#group-leave-now').click();
  await untilPeerState(alice, 'You are not a member');
  await untilEvents(alice, ['You created the group “Team” and added bob', 'You made bob an owner', 'You left']);
  await alice.reload();
  await untilText(alice, '#compose-closed', 'You are no longer a member');
  await openSettings(alice);
  await untilText(alice, '#group-facts', 'You are no longer a member');
  assert.equal(await alice.locator('#group-members li').count(), 0);
});

test('bad input is refused with a reason, and nothing is lost', async (t) => {
  const system = await startSystem(t);
  const { groupId } = await createGroup(system, 'alice', { name: 'Team', members: ['bob'] });
  const alice = await openPage(system, 'alice', { groupId });
  await alice.locator('#new-group-open').click();
  await alice.locator('#new-group-name').fill('x'.repeat(257));
  const members = alice.locator('#new-group-members input');
  const problem = (text) => untilText(alice, '#new-group-members .error', text);
  for (const [name, reason] of [
    ['alice', 'You are already a member.'],
    ['字'.repeat(50), 'at most 42 characters'],
  ]) {
    await members.fill(name);
    await members.press('Enter');
    await problem(reason);
  }
  await members.fill('bob');
  await members.press('Enter');
  await members.fill('bob');
  await members.press('Enter');
  await problem('bob is already in the list.');
  await members.fill('');
  await alice.locator('#new-group-form .primary').click();
  await untilText(alice, '#new-group-error', 'too long');
  assert.equal(await alice.locator('#new-group .chosen li').count(), 1);
  await alice.keyboard.press('Escape');

  await openSettings(alice);
  await untilMembers(alice, ['alice', 'bob']);
  await field(alice).fill('bob');
  await alice.locator('#group-picker button').click();
  await untilText(alice, '#group-picker .error', 'bob is already a member.');
  await alice.keyboard.press('Escape');
  assert.deepEqual(await alice.evaluate(() => chat.conversations.length), 1);

  // A group that does not exist, and one of other users, look the same.
  const stranger = await createGroup(system, 'dave', { name: 'Secret', members: [] });
  for (const id of [stranger.groupId, '00000000-0000-4000-8000-000000000000', 'no-id']) {
    await alice.goto(`${system.page}?userId=alice&group=${id}`);
    await untilText(alice, '#new-chat-error', 'not a member of this group, or there is no such group');
    await untilTexts(alice, '#list .name', ['Team']);
    assert.equal(await alice.locator('#chat[data-open]').count(), 0);
  }
});

test('nothing happens by a second click, a stale field, or a pasted list', async (t) => {
  const system = await startSystem(t);
  const members = Array.from({ length: 30 }, (_, n) => `p${String(n).padStart(2, '0')}`);
  const owner = await createGroup(system, 'alice', { name: 'Team', members });
  const { groupId } = owner;
  const alice = await openPage(system, 'alice', { groupId });
  await openSettings(alice);
  await until(alice, () => document.querySelectorAll('#group-members li').length === 31);
  await alice.getByRole('button', { name: 'Remove p05 from the group' }).dblclick();
  await alice.getByLabel('Role of p07').selectOption('Owner');
  await untilEvents(alice, [`You created the group “Team” and added ${namesOf(members)}`, 'You made p07 an owner']);

  // Another name is in the field, unless the user has changed it.
  await owner.store('changeGroup', { groupId, name: 'Other' });
  await until(alice, () => document.querySelector('#group-name').value === 'Other');
  await alice.locator('#group-name').press('Enter');

  await field(alice).fill('dave, erin;frank');
  await field(alice).press('Enter');
  await untilText(alice, '#log .event:last-child', 'You added dave, erin, and frank');
  await alice.locator('#group-leave').dblclick({ position: { x: 300, y: 20 } });
  await untilText(alice, '#group-leaving', 'Leave this group?');
  await owner.store('sendMessage', { groupId, content: 'Are you there?' });
  await untilShown(alice, ['Are you there?']);
  assert.equal(await alice.evaluate((id) => chat.conversation({ groupId: id }).group.left, groupId), false);
});

test('the settings of a group work by keyboard, and the focus stays in them', async (t) => {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'alice', { name: 'Team', members: ['bob', 'carol'] });
  const { groupId } = owner;
  const alice = await openPage(system, 'alice', { groupId });
  await openSettings(alice);
  await untilMembers(alice, ['alice', 'bob', 'carol']);
  const select = alice.getByLabel('Role of bob');
  await select.focus();
  await alice.keyboard.press('ArrowUp');
  await alice.keyboard.press('ArrowUp');
  await untilText(alice, '#log .event:last-child', 'You made bob an owner');
  await until(alice, () => document.activeElement.ariaLabel === 'Role of bob');
  await alice.getByRole('button', { name: 'Remove carol from the group' }).focus();
  await alice.keyboard.press('Enter');
  await until(
    alice,
    () => document.activeElement.textContent === 'Remove' && document.activeElement.closest('#group-members'),
  );
  await alice.keyboard.press('Enter');
  await untilMembers(alice, ['alice', 'bob']);
  await untilFocused(alice, 'group-close');
  await alice.locator('#group-leave').focus();
  await alice.keyboard.press('Enter');
  await untilFocused(alice, 'group-stay');
  const bob = await system.connect('bob');
  await bob.store('changeGroup', { groupId, remove: ['alice'] });
  await untilFocused(alice, 'group-close');
  assert.equal(await alice.locator('#group-leaving').isVisible(), false);
});

/** A page of alice with two groups, of which both have bob. The first one is open. */
async function startWithTwo(t) {
  const system = await startSystem(t);
  const [one, two] = await Promise.all(
    ['One', 'Two'].map((name) => createGroup(system, 'alice', { name, members: ['bob'] })),
  );
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  const alice = await openPage(system, 'alice', { groupId: two.groupId, service: proxy.address });
  const openGroup = async (name) => {
    await alice.keyboard.press('Escape');
    await alice.locator('#list button', { hasText: name }).click();
    await untilTexts(alice, '#peer', [name]);
  };
  await openGroup('One');
  await until(alice, () => chat.conversations.every(({ group }) => group.members));
  return { alice, proxy, groupId: one.groupId, openGroup };
}

test('the settings of another group begin without the question and the answer of the first one', async (t) => {
  const { alice, proxy, groupId: first, openGroup } = await startWithTwo(t);
  const states = alice.locator('#group-members .who .soft');
  await openSettings(alice);
  await untilMembers(alice, ['alice', 'bob']);
  await alice.getByRole('button', { name: 'Remove bob from the group' }).click();
  await openGroup('Two');
  // Without answers of the service, there is one drawing.
  proxy.hold();
  await openSettings(alice);
  assert.deepEqual(await alice.locator('#group-members button').allTextContents(), ['Remove']);
  proxy.release();

  await openGroup('One');
  await alice.evaluate((id) => {
    chat.presence = ({ groupId }) =>
      new Promise((resolve) => {
        if (groupId === id) window.answer = () => resolve([{ userId: 'bob', online: true }]);
        else resolve([]);
      });
  }, first);
  await openSettings(alice);
  await openGroup('Two');
  await openSettings(alice);
  await alice.evaluate(() => window.answer());
  await untilMembers(alice, ['alice', 'bob']);
  assert.deepEqual(await states.allTextContents(), ['you', '']);
});

test('a name that is queued can be taken back', async (t) => {
  const { alice, proxy, groupId } = await startWithTwo(t);
  proxy.cut();
  await untilOffline(alice);
  await openSettings(alice);
  const name = alice.locator('#group-name');
  for (const text of ['Other', 'One', 'One']) {
    await name.fill(text);
    await name.press('Enter');
    await untilText(alice, '#group-pending li:last-child', `Waiting to rename the group to “${text}”`);
  }
  await name.fill('Last');
  await name.press('Enter');
  const waiting = ['Other', 'One', 'Last'].map((text) => ` Waiting to rename the group to “${text}”`);
  await untilTexts(alice, '#group-pending li', waiting);
  await alice.keyboard.press('Escape');
  await openSettings(alice);
  assert.equal(await name.inputValue(), 'Last');
  proxy.restore();
  await untilOnline(alice);
  await untilTexts(alice, '#group-pending li', []);
  assert.equal(await alice.evaluate((id) => chat.conversation({ groupId: id }).group.name, groupId), 'Last');
});

test('the changes of a group are good English, done and waiting', async (t) => {
  const system = await startSystem(t);
  const owner = await createGroup(system, 'carol', { name: 'Team', members: ['alice', 'bob'] });
  const { groupId } = owner;
  await owner.store('changeGroup', { groupId, roles: { alice: 'owner' } });
  const proxy = await TcpProxy.start(system.port);
  t.after(() => proxy.stop());
  const alice = await openPage(system, 'alice', { groupId, service: proxy.address });
  const bob = await openPage(system, 'bob', { groupId });
  await until(alice, (id) => chat.conversation({ groupId: id }).group.members, groupId);
  proxy.cut();
  await untilOffline(alice);
  const changes = [
    { posting: 'admins', adding: 'all' },
    { posting: 'all' },
    { adding: 'admins' },
    { name: 'Crew', add: ['dave', 'erin'] },
    { remove: ['dave'], roles: { bob: 'admin' } },
    { roles: { alice: 'admin', bob: 'member' } },
    { remove: ['alice'] },
  ];
  await alice.evaluate(
    ([id, all]) => {
      for (const one of all) chat.changeGroup({ groupId: id }, one);
    },
    [groupId, changes],
  );
  const before = ['carol created the group “Team” and added you and bob', 'carol made you an owner'];
  await untilEvents(alice, [
    ...before,
    ' Waiting to let only admins send messages and let all members add others',
    ' Waiting to let all members send messages',
    ' Waiting to let only admins add others',
    ' Waiting to rename the group to “Crew” and add dave and erin',
    ' Waiting to remove dave and make bob an admin',
    ' Waiting to become an admin and make bob a member',
    ' Waiting to leave',
  ]);
  proxy.restore();
  await untilEvents(alice, [
    ...before,
    'You now let only admins send messages and now let all members add others',
    'You now let all members send messages',
    'You now let only admins add others',
    'You renamed the group to “Crew” and added dave and erin',
    'You removed dave and made bob an admin',
    'You became an admin and made bob a member',
    'You left',
  ]);
  await untilEvents(bob, [
    'carol created the group “Team” and added alice and you',
    'carol made alice an owner',
    'alice now lets only admins send messages and now lets all members add others',
    'alice now lets all members send messages',
    'alice now lets only admins add others',
    'alice renamed the group to “Crew” and added dave and erin',
    'alice removed dave and made you an admin',
    'alice became an admin and made you a member',
    'alice left',
  ]);
});
