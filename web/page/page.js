// The page: who is here, with whom they talk, and what they see of the connection. What it knows comes from the client.

import { ChatClient } from '../chat-client.js';
import { List } from './list.js';
import { Log, place } from './log.js';
import { paintAvatar } from './text.js';

/** @typedef {import('../chat-client.js').Conversation} Conversation */

const $ = (/** @type {string} */ id) => /** @type {HTMLElement & HTMLInputElement & HTMLAnchorElement} */ (document.getElementById(id));
const query = new URLSearchParams(location.search);
const FRIENDS = ['bob', 'alice', 'carol'];
/** Milliseconds without a connection until somebody is told: most breaks are shorter. */
const CALM = 1_200;

/** Storage may be forbidden; the page works without it. @param {'localStorage' | 'sessionStorage'} store @param {string} key @param {string} [value] */
function stored(store, key, value) {
  try { return value === undefined ? window[store].getItem(key) : window[store].setItem(key, value); } catch { return null; }
}

/** @type {ChatClient} */
let chat;
/** @type {List} */
let list;
/** @type {Conversation | null} */
let current = null;
/** @type {Map<string, { log: Log, draft: string }>} */
const screens = new Map();
let atEnd = true, turning = false, below = 0;

const screenOf = (/** @type {Conversation} */ c) => {
  let screen = screens.get(c.peer);
  if (!screen) screens.set(c.peer, screen = { log: new Log(chat, c), draft: '' });
  return screen;
};

// ---- What is on the screen

let asked = false;
/** Draws once for all that happened in this turn. */
function changed() {
  if (asked) return;
  asked = true;
  queueMicrotask(() => { asked = false; draw(); });
}

function draw() {
  const total = chat.unread;
  document.title = `${total ? `(${total}) ` : ''}Chat · ${chat.userId}`;
  list.draw(current?.peer ?? null);
  if (!current) return;
  const box = $('scroll');
  place($('log'), screenOf(current).log.nodes());
  $('hint').textContent = !current.loaded ? (current.messages.length || current.pending.length ? '' : 'Loading …')
    : current.messages.length || current.pending.length ? '' : `This is the beginning. Say hello to ${current.peer}!`;
  if (atEnd) box.scrollTop = box.scrollHeight;
  $('latest').hidden = atEnd;
  /** @type {HTMLElement} */ ($('latest').firstElementChild).textContent = below ? `${below} new` : '';
  $('latest').setAttribute('aria-label', below ? `${below} new messages: go to the newest` : 'Go to the newest message');
  see();
}

/** Who looks at the end of a conversation has read it. */
function see() {
  if (!current?.loaded || !atEnd || document.hidden) return;
  below = 0;
  chat.markRead(current.peer);
}

async function older() {
  const c = current, box = $('scroll');
  if (!c?.loaded || turning || c.older === undefined) return;
  turning = true;
  try {
    await chat.older(c.peer);
  } catch { /* without a connection: scrolling asks again */ }
  turning = false;
  if (c !== current) return;
  // The same message stays where it was, whatever came above it.
  const fromEnd = box.scrollHeight - box.scrollTop;
  draw();
  if (!atEnd) box.scrollTop = box.scrollHeight - fromEnd;
  if (box.scrollTop < box.clientHeight) older();
}

/** Tells calmly how the connection stands. */
let telling = 0, since = 0;
function tell() {
  const { state, retryAt = 0 } = chat.connection, node = $('state'), notice = $('notice');
  if (state === 'online') since = 0; else since ||= Date.now();
  const [word, text, act] = state === 'online' ? ['Connected', '', '']
    : state === 'displaced' ? ['Paused', 'You have this open in many places; this one is paused.', 'Continue here']
    : state === 'refused' ? ['Not let in', 'The service does not let you in. What you write stays here.', 'Try again']
    : ['No connection', 'No connection. What you write waits here.', state === 'waiting' && retryAt - Date.now() > 3000 ? 'Try now' : ''];
  const isCalm = state !== 'online' && (state === 'displaced' || state === 'refused' || Date.now() - since >= CALM);
  if (isCalm || state === 'online') {
    if (node.textContent !== word) node.textContent = word;
    node.dataset.state = state;
  } else if (!node.textContent) node.textContent = 'Connecting …';
  notice.hidden = !isCalm;
  const [message, button] = /** @type {HTMLElement[]} */ ([...notice.children]);
  message.textContent = text;
  button.textContent = act;
  button.hidden = !act;
  clearTimeout(telling);
  if (state !== 'online') telling = setTimeout(tell, isCalm ? 1000 : CALM);
}

// ---- What somebody does

/** @param {string | null} peer */
function open(peer) {
  if (current) screenOf(current).draft = $('text').value;
  current = peer === null ? null : chat.conversation(peer);
  [atEnd, below] = [true, 0];
  $('app').dataset.view = current ? 'chat' : 'list';
  $('chat').toggleAttribute('data-open', Boolean(current));
  offerSecond();
  history.replaceState(null, '', pageFor(chat.userId ?? '', peer ?? undefined));
  if (!current) return draw();
  const c = current;
  remember(c.peer);
  $('peer').textContent = c.peer;
  paintAvatar($('peer-avatar'), c.peer);
  $('text').value = screenOf(c).draft;
  $('error').textContent = '';
  typed();
  draw();
  chat.open(c.peer).then(changed, (error) => {
    if (c === current && error.code !== 'closed') $('error').textContent = error.message;
  });
  $('text').focus({ preventScroll: true });
}

/** The link to another tab with somebody to talk to. */
function offerSecond() {
  const me = chat.userId ?? '', other = current && current.peer !== me ? current.peer : FRIENDS.find((name) => name !== me) ?? 'bob';
  for (const id of ['second', 'demo']) $(id).href = pageFor(other, me);
  $('demo').onclick = () => open(other);
}

async function send() {
  const c = current, text = $('text').value;
  if (!c || !text.trim()) return;
  $('text').value = '';
  $('error').textContent = '';
  atEnd = true;
  typed();
  try {
    await chat.send(c.peer, text);
  } catch (error) {
    const { code, message } = /** @type {import('../chat-client.js').ChatError} */ (error);
    // What was queued stands in the log, with its reason. What was not goes back to its writer.
    if (c !== current || c.pending.some((entry) => entry.content === text) || code === 'closed') return;
    $('text').value = text;
    $('error').textContent = message;
    typed();
  }
}

function typed() {
  $('send').disabled = !$('text').value.trim();
}

// ---- Names

/** @param {string} name */
const problemOf = (name) => (name && !/\p{Cc}/u.test(name) && new TextEncoder().encode(name).length <= 128
  ? '' : 'A name has 1 to 128 bytes and no control characters.');

/** @returns {string[]} with whom this user talked on this machine; newest first */
function remembered() {
  try { return JSON.parse(stored('localStorage', `chat ${chat.userId}`) ?? '[]').filter((/** @type {string} */ name) => !problemOf(name)); } catch { return []; }
}

/** @param {string} peer */
const remember = (peer) => stored('localStorage', `chat ${chat.userId}`, JSON.stringify([...new Set([peer, ...remembered()])].slice(0, 100)));

/** The address of this page for somebody, keeping the server that was asked for. @param {string} [userId] @param {string} [peer] */
function pageFor(userId, peer) {
  const fields = Object.entries({ userId, with: peer, ws: query.get('ws') }).filter(([, value]) => value);
  return `${location.pathname}?${new URLSearchParams(/** @type {string[][]} */ (fields))}`;
}

/** @param {string} form @param {string} input @param {(name: string) => void} act */
function onName(form, input, act) {
  $(form).addEventListener('submit', (event) => {
    event.preventDefault();
    const name = $(input).value.trim();
    $(`${form}-error`).textContent = problemOf(name);
    if (problemOf(name)) return;
    $(input).value = '';
    act(name);
  });
}

/** @param {string} userId */
function start(userId) {
  stored('sessionStorage', 'name', userId);
  $('me').textContent = userId;
  paintAvatar($('my-avatar'), userId);
  $('leave').href = pageFor();
  $('join').hidden = true;
  $('app').hidden = false;
  try {
    chat = new ChatClient({ url: query.get('ws') || '/prod', userId });
  } catch (error) {
    $('state').textContent = `This address can't be used: ${/** @type {Error} */ (error).message}`;
    return;
  }
  Object.assign(window, { chat });                              // for whoever tries it out in the console
  list = new List($('list'), chat, open);
  chat.addEventListener('connection', tell);
  chat.addEventListener('conversation', changed);
  chat.addEventListener('message', ({ detail: m }) => {
    if (m.senderId === userId) return;
    remember(m.senderId);
    if (m.senderId === current?.peer && !atEnd) below += 1;
    $('news').textContent = m.senderId === current?.peer ? `${m.senderId}: ${m.content}` : `New message from ${m.senderId}`;
  });
  remembered().forEach((peer) => chat.conversation(peer));
  const peer = query.get('with')?.trim() ?? '';
  open(problemOf(peer) ? null : peer);
  tell();
}

onName('join', 'name', start);
onName('start', 'with', open);
$('compose').addEventListener('submit', (event) => { event.preventDefault(); send(); });
$('text').addEventListener('input', typed);
$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;      // composing: Enter picks a word
  event.preventDefault();
  send();
});
$('back').onclick = () => open(null);
$('leave').onclick = () => { stored('sessionStorage', 'name', ''); };
$('latest').onclick = () => { atEnd = true; draw(); };
/** @type {HTMLElement} */ ($('notice').lastElementChild).onclick = () => chat.connect();
$('scroll').onscroll = () => {
  const box = $('scroll'), was = atEnd;
  atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  if (atEnd !== was) changed();
  if (box.scrollTop < box.clientHeight) older();
};
new ResizeObserver(() => { if (atEnd) $('scroll').scrollTop = $('scroll').scrollHeight; }).observe($('scroll'));
document.addEventListener('visibilitychange', () => { if (!document.hidden && current) changed(); });

const name = (query.get('userId') ?? stored('sessionStorage', 'name') ?? '').trim();
if (!problemOf(name)) start(name);
else {
  $('join').hidden = false;
  $('join-error').textContent = name && problemOf(name);
  $('name').focus();
}
