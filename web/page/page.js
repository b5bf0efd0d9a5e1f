// The page: who is here, with whom they talk, and what they see of the connection. What it knows comes from the client.

import { ChatClient } from '../chat-client.js';
import { excessOf, problemOf } from '../client/limits.js';
import { askForToken, join, leave, stored } from './join.js';
import { List } from './list.js';
import { Log, place } from './log.js';
import { make, paintAvatar, seen } from './text.js';

/** @typedef {import('../chat-client.js').Conversation} Conversation */

const $ = (/** @type {string} */ id) =>
  /** @type {HTMLElement & HTMLInputElement & HTMLAnchorElement} */ (document.getElementById(id));
const query = new URLSearchParams(location.search);
const FRIENDS = ['bob', 'alice', 'carol'];
/** Milliseconds without a connection until somebody is told: most breaks are shorter. */
const CALM = 1_200;

/** @type {ChatClient} */
let chat;
/** @type {List} */
let list;
/** @type {Conversation | null} */
let current = null;
/** @type {Map<string, { log: Log, draft: string }>} */
const screens = new Map();
let atEnd = true,
  turning = false,
  below = 0,
  hasBeenOnline = false,
  byToken = false;

const screenOf = (/** @type {Conversation} */ c) => {
  let screen = screens.get(c.peer);
  if (!screen) screens.set(c.peer, (screen = { log: new Log(chat, c), draft: '' }));
  return screen;
};

// ---- What is on the screen

let asked = false;
/** Draws once for all that happened in this turn. */
function changed() {
  if (asked) return;
  asked = true;
  queueMicrotask(() => {
    asked = false;
    draw();
  });
}

function draw() {
  const total = chat.unread;
  document.title = `${total ? `(${total}) ` : ''}Chat · ${seen(chat.userId ?? '')}`;
  list.draw(current?.peer ?? null);
  [$('invitation').textContent, $('advice').textContent] = $('list').childElementCount
    ? ['Choose a conversation', 'Or type a name to begin a new one.']
    : ['Talk to somebody', 'Type a name on the left: whoever opens this page under that name can answer.'];
  if (!current) return;
  const box = $('scroll');
  place($('log'), screenOf(current).log.nodes());
  const isEmpty = !current.messages.length && !current.pending.length,
    isTold = !$('notice').hidden;
  $('hint').textContent = !isEmpty
    ? ''
    : !current.loaded
      ? isTold
        ? 'Earlier messages appear once you are connected.'
        : 'Loading …'
      : current.peer === chat.userId
        ? 'Notes to yourself. Nobody else sees them.'
        : byToken
          ? `No messages yet. What you write will be there when ${seen(current.peer)} signs in.`
          : `No messages yet. Whoever opens this page as “${seen(current.peer)}” will see what you write.`;
  if (atEnd) box.scrollTop = box.scrollHeight;
  $('latest').hidden = atEnd;
  /** @type {HTMLElement} */ ($('latest').firstElementChild).textContent = below ? `${below} new` : '';
  $('latest').setAttribute(
    'aria-label',
    below ? `${below} new messages: go to the newest` : 'Go to the newest message',
  );
  see();
}

/** Who looks at the end of a conversation has read it. */
function see() {
  if (!current?.loaded || !atEnd || document.hidden) return;
  below = 0;
  chat.markRead(current.peer);
}

async function older() {
  const c = current,
    box = $('scroll');
  if (!c?.loaded || turning || c.older === undefined) return;
  turning = true;
  try {
    await chat.older(c.peer);
  } catch {
    /* without a connection: scrolling asks again */
  }
  turning = false;
  if (c !== current) return;
  // The same message stays where it was, whatever came above it.
  const fromEnd = box.scrollHeight - box.scrollTop;
  draw();
  if (!atEnd) box.scrollTop = box.scrollHeight - fromEnd;
  if (box.scrollTop < box.clientHeight) older();
}

/** Tells calmly how the connection stands. */
let telling = 0,
  since = 0;
function tell() {
  const { state, reason } = chat.connection,
    node = $('state'),
    notice = $('notice');
  if (state === 'online') since = 0;
  else since ||= Date.now();
  hasBeenOnline ||= state === 'online';
  // It was only in trouble: nobody needs a token any more.
  if (state === 'online') [$('pass').hidden, $('app').hidden] = [true, false];
  // Who has nothing on the screen yet is asked at once; the others find it in the notice.
  if (state === 'refused' && !hasBeenOnline && !current && $('pass').hidden) askForToken(byToken ? (reason ?? '') : '');
  const [word, text, act] =
    state === 'online'
      ? ['Connected', '', '']
      : state === 'displaced'
        ? ['Paused', 'You have this open in many places; this one is paused.', 'Continue here']
        : state === 'refused'
          ? [
              ...(byToken
                ? ['Sign-in needed', 'You are not signed in. Messages wait here.']
                : ['Not let in', 'The service does not let you in. Messages wait here.']),
              'Try again',
            ]
          : ['No connection', 'No connection. Messages wait here.', 'Try now'];
  const isCalm = state !== 'online' && (state === 'displaced' || state === 'refused' || Date.now() - since >= CALM);
  if (isCalm || state === 'online') {
    if (node.textContent !== word) node.textContent = word;
    node.dataset.state = state;
  } else if (!node.textContent) node.textContent = 'Connecting …';
  if (notice.hidden === isCalm) changed();
  notice.hidden = !isCalm;
  notice.dataset.state = $('app').dataset.state = state;
  $('use-token').hidden = state !== 'refused';
  /** @type {HTMLElement} */ (notice.firstElementChild).textContent = text;
  $('again').textContent = act;
  $('again').hidden = !act;
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
  $('peer').textContent = c.peer === chat.userId ? `${seen(c.peer)} (you)` : seen(c.peer);
  paintAvatar($('peer-avatar'), c.peer);
  $('text').value = screenOf(c).draft;
  $('error').textContent = '';
  typed();
  draw();
  chat.open(c.peer).then(changed, (error) => {
    if (c === current && error.code !== 'closed') $('error').textContent = error.message;
  });
  // A telephone's keyboard would cover half of what is to be read.
  if (!matchMedia('(hover: none) and (pointer: coarse)').matches) $('text').focus({ preventScroll: true });
}

/** The link to another tab with somebody to talk to. */
function offerSecond() {
  const me = chat.userId ?? '',
    other = current && current.peer !== me ? current.peer : (FRIENDS.find((name) => name !== me) ?? 'bob');
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('a.second'))) {
    link.href = pageFor(other, me);
    link.firstElementChild?.replaceChildren('Be ', make('bdi', '', seen(other)), ' in a new tab');
  }
  $('demo').onclick = () => open(other);
}

async function send() {
  const c = current,
    text = $('text').value;
  if (!c || $('send').disabled) return;
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

const TOO_LONG = 'Too long by about ';
function typed() {
  const text = $('text').value,
    excess = text.length > 4_000 ? excessOf(text) : 0;
  $('send').disabled = !text.trim() || excess > 0;
  if (excess)
    $('error').textContent = `${TOO_LONG}${excess.toLocaleString()} characters. Shorten it, or send it in parts.`;
  else if ($('error').textContent?.startsWith(TOO_LONG)) $('error').textContent = '';
}

// ---- Names

/** @returns {string[]} with whom this user talked on this machine; newest first */
function remembered() {
  try {
    return JSON.parse(stored('localStorage', `chat ${chat.userId}`) ?? '[]').filter(
      (/** @type {string} */ name) => !problemOf(name),
    );
  } catch {
    return [];
  }
}

/** @param {string} peer */
const remember = (peer) =>
  stored('localStorage', `chat ${chat.userId}`, JSON.stringify([...new Set([peer, ...remembered()])].slice(0, 100)));

/** The address of this page for somebody, keeping the server that was asked for. @param {string} [userId] @param {string} [peer] */
function pageFor(userId, peer) {
  const fields = Object.entries({ userId: byToken ? '' : userId, with: peer, ws: query.get('ws') }).filter(
    ([, value]) => value,
  );
  return `${location.pathname}?${new URLSearchParams(/** @type {string[][]} */ (fields))}`;
}

/** @param {import('./join.js').Pass} pass */
async function start(pass) {
  byToken = 'token' in pass;
  document.body.classList.toggle('by-token', byToken);
  $('leave').href = $('back-to-name').href = pageFor();
  $('leave').textContent = byToken ? 'Leave' : 'Change name';
  // With a token it is most likely the token; without one it may be something else as well.
  if (byToken) $('again').before($('use-token'));
  try {
    chat = new ChatClient({
      url: query.get('ws') || '/prod',
      ...('token' in pass ? { token: () => pass.token, userClaim: pass.claim } : pass),
    });
  } catch (error) {
    $('app').hidden = false;
    $('state').textContent = `This address can't be used: ${/** @type {Error} */ (error).message}`;
    return;
  }
  Object.assign(window, { chat }); // for whoever tries it out in the console
  list = new List($('list'), chat, open);
  chat.addEventListener('connection', tell);
  // Who somebody with a token is, the token says.
  if (byToken) await chat.ready;
  const userId = chat.userId ?? '';
  $('app').hidden = false;
  $('me').textContent = seen(userId);
  paintAvatar($('my-avatar'), userId);
  chat.addEventListener('conversation', changed);
  chat.addEventListener('message', ({ detail: m }) => {
    if (m.senderId === userId) return;
    remember(m.senderId);
    if (m.senderId === current?.peer && !atEnd) below += 1;
    $('news').textContent =
      m.senderId === current?.peer ? `${seen(m.senderId)}: ${m.content}` : `New message from ${seen(m.senderId)}`;
  });
  remembered().forEach((peer) => chat.conversation(peer));
  const peer = query.get('with') ?? '',
    problem = peer && problemOf(peer, 'A name');
  open(problem ? null : peer || null);
  if (problem) [$('with').value, $('start-error').textContent] = [peer, problem];
  tell();
}

$('start').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('with').value.trim(),
    problem = problemOf(name, 'A name');
  $('start-error').textContent = problem;
  if (problem) return;
  $('with').value = '';
  open(name);
});
$('compose').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
$('text').addEventListener('input', typed);
$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return; // composing: Enter picks a word
  event.preventDefault();
  send();
});
$('back').onclick = () => open(null);
$('leave').onclick = leave;
$('back-to-name').onclick = (event) => {
  if (!current) return leave();
  event.preventDefault();
  [$('pass').hidden, $('app').hidden] = [true, false];
};
$('use-token').onclick = () => askForToken('');
$('latest').onclick = () => {
  atEnd = true;
  draw();
};
$('again').onclick = () => chat.connect();
$('scroll').onscroll = () => {
  const box = $('scroll'),
    was = atEnd;
  atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  if (atEnd !== was) changed();
  if (box.scrollTop < box.clientHeight) older();
};
new ResizeObserver(() => {
  if (atEnd) $('scroll').scrollTop = $('scroll').scrollHeight;
}).observe($('scroll'));
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && current) changed();
});

join(start);
