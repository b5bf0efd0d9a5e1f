// SPDX-License-Identifier: MIT
// The page: connects the client to what the user sees.

import { ChatClient } from '../chat-client.js';
import { keyOf, nameOf } from '../client/peers.js';
import { Actions } from './actions.js';
import { Composer } from './composer.js';
import { ConnectionNotice } from './connection-notice.js';
import { byId } from './dom.js';
import { Drawing } from './drawing.js';
import { GroupDialog } from './group-dialog.js';
import { MessageMenu } from './message-menu.js';
import { Navigation } from './navigation.js';
import { NewGroupDialog } from './new-group-dialog.js';
import { Popup } from './popup.js';
import { Presence } from './presence.js';
import { serviceUrl } from './service.js';
import { Settings } from './settings.js';
import { signIn } from './sign-in.js';
import { addRecentPeer, recentPeers, savedSettings } from './storage.js';

/** @param {import('./sign-in.js').Identity} identity */
function start(identity) {
  const usesToken = 'token' in identity;
  document.body.classList.toggle('by-token', usesToken);
  const credentials = usesToken ? { token: () => identity.token, userClaim: identity.userClaim } : identity;
  try {
    const chat = new ChatClient({ url: serviceUrl, ...credentials, ...savedSettings() });
    Object.assign(window, { chat }); // for the browser's console
    show(chat, usesToken);
  } catch (error) {
    new Navigation({ usesToken, onOpen: () => {} });
    byId('messenger').hidden = false;
    byId('connection-state').textContent = `This address is not valid: ${/** @type {Error} */ (error).message}`;
  }
}

/**
 * @param {ChatClient} chat
 * @param {boolean} usesToken
 */
async function show(chat, usesToken) {
  /**
   * The key of the open conversation.
   *
   * @type {string | null}
   */
  let current = null;
  const navigation = new Navigation({ usesToken, onOpen: open });
  const composer = new Composer(chat, () => drawing.scrollToEnd());
  const actions = new Actions(chat, (key, message) => {
    if (key === current) composer.showError(message);
  });
  const groupDialog = new GroupDialog(chat);
  new NewGroupDialog(chat, { onCreate: (groupId) => open(keyOf({ groupId })) });
  const popup = new Popup();
  const menu = new MessageMenu(chat, actions, composer, popup);
  const presence = new Presence(chat, () => drawing.schedule());
  const drawing = new Drawing(chat, {
    usesToken,
    presence,
    onChoice: open,
    onMenu: (key, button, seq) => menu.toggle(button, key, seq),
    onReaction: (key, seq, reaction) => actions.toggleReaction(key, seq, reaction),
    onEdit: (key, entry) => composer.takeBack(key, entry),
    onDraw: () => {
      composer.draw();
      groupDialog.draw();
      menu.follow();
    },
    onProblem: (message) => composer.showError(message),
  });
  new Settings(chat, popup, () => {
    presence.refresh();
    drawing.schedule();
  });
  const notice = new ConnectionNotice(chat, {
    usesToken,
    isEmpty: () => current === null,
    onToggle: () => drawing.schedule(),
  });

  /** @param {string | null} key of a conversation */
  function open(key) {
    current = key;
    menu.close();
    groupDialog.open(key);
    navigation.show(key);
    composer.open(key);
    presence.open(key === null ? undefined : nameOf(key).peer);
    drawing.open(key);
    if (key === null) return;
    const { peer } = nameOf(key);
    if (peer !== undefined) addRecentPeer(chat.userId ?? '', peer);
    chat.open(nameOf(key)).then(
      () => drawing.schedule(),
      (error) => {
        if (key !== current || error.code === 'closed') return;
        const isUnknown = error.code === 'forbidden' || error.code === 'bad_request';
        if (peer !== undefined || !isUnknown) return composer.showError(error.message);
        open(null);
        navigation.showProblem('You are not a member of this group, or there is no such group.');
      },
    );
  }

  // With a token, the first connection tells who the user is.
  if (usesToken) await chat.ready;
  const userId = chat.userId ?? '';
  byId('messenger').hidden = false;
  drawing.start();
  chat.addEventListener('message', ({ detail }) => {
    if (!detail.groupId && detail.senderId !== userId) addRecentPeer(userId, detail.senderId);
  });
  for (const peer of recentPeers(userId)) chat.conversation(peer);
  navigation.start(userId);
  notice.draw();
}

document.documentElement.dataset.started = '';
signIn(start);
