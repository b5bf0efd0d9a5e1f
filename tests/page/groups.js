// What a user does in a group, and what the page shows of it.

import { newProfile, openTab, until, untilFocused, untilOnline, untilTexts } from './browser.js';

/** Opens the page of a user: the list, or a group. */
export async function openPage(browser, system, userId, { groupId, service, viewport } = {}) {
  const query = new URLSearchParams({
    userId,
    ...(groupId && { group: groupId }),
    ...(service && { ws: `ws://${service}/prod` }),
  });
  const page = await openTab(await newProfile(browser, { viewport }), `${system.page}?${query}`);
  await untilOnline(page);
  if (groupId) await until(page, (id) => chat.conversation({ groupId: id }).group.count !== undefined, groupId);
  return page;
}

/** Creates a group without a browser. Its owner is `userId`. */
export async function createGroup(system, userId, fields) {
  const owner = await system.connect(userId);
  const { groupId } = await owner.store('createGroup', fields);
  return Object.assign(owner, { groupId });
}

/** What the log says about changes of the group. */
export const untilEvents = (page, texts) => untilTexts(page, '#log .event', texts);
export const untilPeerState = (page, text) => untilTexts(page, '#peer-state', [text]);
export const untilMembers = (page, texts) => untilTexts(page, '#group-members .name', texts);
export const field = (page) => page.locator('#group-picker input');

/** Opens the settings of the open group. */
export async function openSettings(page) {
  await page.locator('#group').click();
  await untilFocused(page, 'group-close');
}

/** Removes a member, in the open settings. */
export async function removeMember(page, userId) {
  await page.getByRole('button', { name: `Remove ${userId} from the group` }).click();
  await page.getByRole('button', { name: `Remove ${userId} now` }).click();
}
