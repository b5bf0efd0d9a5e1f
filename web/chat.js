// A small chat page on protocol version 1. Messages are kept by `seq`; `high` is the newest one below which none is
// missing, and whatever lies beyond it is fetched with `after`. A message to be sent stays in the outbox, with one id,
// until the server acknowledged it, so it may be repeated at any time.

const PAGE = 50, ANSWER_WITHIN = 15_000, PING_EVERY = 5 * 60_000, LONGEST_WAIT = 30_000;
const PASSING = ['unavailable', 'internal', 'timeout', 'out_of_date'];   // worth repeating on the same connection

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const bytes = (text) => new TextEncoder().encode(text).length;
const backoff = (tries) => Math.min(LONGEST_WAIT, 500 * 2 ** tries) * (0.5 + Math.random() / 2);
const newId = () => crypto.randomUUID?.() ??   // which plain http from another machine doesn't have
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
const stored = (store, key, value) => {        // storage may be forbidden; the page works without it
  try { return value === undefined ? window[store].getItem(key) : window[store].setItem(key, value); } catch { return null; }
};
class Refusal extends Error { constructor(code, message) { super(message); this.code = code; } }

let me, address, current = null;               // who we are, where the server is, the conversation on screen
const conversations = new Map();               // by the other one's name
const all = () => [...conversations.values()];

// ---- The connection: one socket, replaced when lost; requests find their replies by `ref`.

let socket = null, failures = 0, frames = 0, lastRef = 0, nextTry;
const waiting = new Map();

function connect() {
  clearTimeout(nextTry);
  if (socket) return;
  showState('connecting', 'Connecting …');
  const mine = socket = new WebSocket(address), slow = setTimeout(() => lost(mine), ANSWER_WITHIN);
  mine.onclose = () => { clearTimeout(slow); lost(mine); };
  mine.onmessage = (event) => { if (mine === socket) receive(event.data); };
  mine.onopen = () => {
    clearTimeout(slow);
    if (mine !== socket) return;
    showState('online', 'Connected');
    ping();
    for (const c of all()) if (c.loaded || c === current || c.outbox.length) { catchUp(c); pump(c); }
  };
}

function lost(which) {
  if (which !== socket) return;
  socket = null;
  which.close();
  for (const c of all()) c.stale = true;
  failAll(new Refusal('offline', 'Not connected.'));
  const wait = backoff(failures++);
  showState('offline', `No connection, trying again in ${Math.ceil(wait / 1000)} s`);
  nextTry = setTimeout(connect, wait);
}

function failAll(refusal) {
  for (const asked of waiting.values()) { clearTimeout(asked.timer); asked.reject(refusal); }
  waiting.clear();
}

function request(action, fields) {
  return new Promise((resolve, reject) => {
    const on = socket, seen = frames, ref = String(++lastRef);
    if (on?.readyState !== WebSocket.OPEN) return reject(new Refusal('offline', 'Not connected.'));
    const timer = setTimeout(() => {
      waiting.delete(ref);
      reject(new Refusal('timeout', 'No answer from the server yet; trying again.'));
      if (frames === seen) lost(on);           // nothing at all came meanwhile: the connection is dead
    }, ANSWER_WITHIN);
    waiting.set(ref, { resolve, reject, timer });
    on.send(JSON.stringify({ action, ref, ...fields }));
  });
}
const ping = () => request('ping').catch(() => {});

function receive(data) {
  let frame;
  try { frame = JSON.parse(data); } catch { return; }
  frames += 1;
  failures = 0;
  const asked = waiting.get(frame?.ref);
  if (asked) { waiting.delete(frame.ref); clearTimeout(asked.timer); }
  if (frame?.type === 'message') pushed(frame.value);
  else if (frame?.type === 'error' && asked) asked.reject(new Refusal(frame.code, String(frame.message)));
  else if (frame?.type === 'error') complain(current, String(frame.message));
  else if (asked) asked.resolve(frame.value);
  else if (frame?.message && !frame.type) failAll(new Refusal('internal', `${frame.message}; trying again.`));   // API Gateway's own
}

/** Repeats `job` while what stops it will pass. Being offline ends it: `connect` starts everything again. */
async function persist(c, job) {
  for (let tries = 0; ; tries += 1) {
    try {
      await job();
      return complain(c, '');
    } catch (refusal) {
      if (!PASSING.includes(refusal.code)) throw refusal;
      if (refusal.code === 'out_of_date') c.stale = true; else complain(c, refusal.message);
      await new Promise((done) => setTimeout(done, backoff(Math.min(tries, 5))));
    }
  }
}

// ---- Conversations

function conversation(peer) {
  if (!conversations.has(peer)) conversations.set(peer, { peer, messages: new Map(), low: 1, high: 0, newest: 0, loaded: false,
    stale: true, olderKey: undefined, outbox: [], unread: 0, draft: '', error: '', item: null, nodes: new Map() });
  return conversations.get(peer);
}

const isMessage = (m) => Number.isSafeInteger(m?.seq) && m.seq > 0 && Math.abs(m.createdAt) <= 8.64e15 &&
  [m.messageId, m.senderId, m.recipientId, m.content].every((field) => typeof field === 'string');

/** Takes a message in, once. `live` ones are news; those of older pages are not. */
function keep(c, m, live) {
  if (m.senderId === me && m.clientMessageId) c.outbox = c.outbox.filter((one) => one.clientMessageId !== m.clientMessageId);
  const same = c.messages.get(m.seq);
  if (same && same.messageId !== m.messageId) complain(c, 'The server has lost its data: reload this page.');
  if (same) return;
  c.messages.set(m.seq, m);
  c.newest = Math.max(c.newest, m.seq);
  while (c.loaded && c.messages.has(c.high + 1)) c.high += 1;
  if (c.messages.size === 1) stored('localStorage', `chat ${me}`, JSON.stringify([...new Set([c.peer, ...remembered()])].slice(0, 100)));
  if (!live || m.senderId === me) return;
  if (c !== current || document.hidden) c.unread += 1;
  $('news').textContent = c === current ? `${m.senderId}: ${m.content}` : `New message from ${m.senderId}`;
}

function pushed(m) {
  if (!isMessage(m) || (m.senderId !== me && m.recipientId !== me)) return;
  const c = conversation(m.senderId === me ? m.recipientId : m.senderId);
  if (c.loaded && m.seq < c.low) return;       // a repeat of something on an older page
  keep(c, m, true);
  if (c.loaded && c.newest > c.high) catchUp(c);
  render();
}

async function fetchPage(c, fields) {
  const page = await request('getMessages', { targetId: c.peer, ...fields });
  return { messages: page.messages.filter(isMessage), next: page.lastEvaluatedKey };
}

/** Loads the newest page, then what is missing after `high`. Callers share one run. */
function sync(c) {
  return c.syncing ??= (async () => {
    while (!c.loaded || c.stale || c.newest > c.high) {
      const first = !c.loaded, { high } = c;
      c.stale = false;
      try {
        const { messages, next } = await fetchPage(c, first ? { limit: PAGE } : { limit: 100, after: high });
        if (first) {
          const seqs = messages.map((m) => m.seq);
          Object.assign(c, { low: seqs.length ? Math.min(...seqs) : 1, high: Math.max(0, ...seqs), olderKey: next, loaded: true });
          for (const seq of c.messages.keys()) if (seq < c.low) c.messages.delete(seq);
        }
        for (const m of messages) keep(c, m, !first);
        while (c.messages.has(c.high + 1)) c.high += 1;
        if (first) continue;
        if (next !== undefined) c.stale = true;
        if (c.high === high && (c.stale || c.newest > high)) throw new Refusal('unavailable', 'Some messages are missing; trying again.');
      } catch (refusal) { c.stale = true; throw refusal; }
    }
  })().finally(() => { c.syncing = null; render(); });
}

async function catchUp(c) {
  if (c.catching) return;
  c.catching = true;
  try { await persist(c, () => sync(c)); } catch (refusal) { if (refusal.code !== 'offline') complain(c, refusal.message); }
  c.catching = false;
}

async function older(c) {
  c.turning = true;
  render();
  try {
    const { messages, next } = await fetchPage(c, { limit: PAGE, startKey: c.olderKey });
    for (const m of messages) { keep(c, m); c.low = Math.min(c.low, m.seq); }
    c.olderKey = next;
    complain(c, '');
  } catch (refusal) { complain(c, refusal.message); }
  c.turning = false;
  render('older');
}

/** Sends the outbox, one after the other so that the order stays, each until it is acknowledged or refused for good. */
async function pump(c) {
  if (c.pumping) return;
  c.pumping = true;
  while (c.outbox.length) {
    const entry = c.outbox[0], { content, clientMessageId } = entry, drop = () => { c.outbox = c.outbox.filter((one) => one !== entry); };
    try {
      await persist(c, async () => {
        await sync(c);                         // may find that an earlier attempt was stored
        if (!c.outbox.includes(entry)) return;
        const sent = await request('sendMessage', { recipientId: c.peer, content, clientMessageId, lastSeq: c.high });
        const m = { ...sent, senderId: me, recipientId: c.peer, content, clientMessageId };
        drop();
        if (isMessage(m) && m.seq >= c.low) keep(c, m);
        if (c.newest > c.high) catchUp(c);
        render('sent');
      });
    } catch (refusal) {
      if (refusal.code === 'offline') break;
      drop();
      if (c === current) c.draft = $('text').value;
      c.draft = content + (c.draft && `\n${c.draft}`);   // back to its writer, to be corrected
      if (c === current) $('text').value = c.draft;
      complain(c, refusal.message);
      render();
    }
  }
  c.pumping = false;
}

function send(c, text) {
  const content = text.toWellFormed?.() ?? text;
  if (!content.trim()) return;
  // Past 32 KB in one frame API Gateway would close the connection, again at every repeat.
  if (bytes(content) > 16 * 1024 || bytes(JSON.stringify(content)) > 24_000) return complain(c, 'Too long: 16 KB is the limit.');
  c.outbox.push({ clientMessageId: newId(), content });
  $('text').value = '';
  complain(c, '');
  render('sent');
  pump(c);
}

// ---- The page. Names and content become text nodes, never markup.

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat([], { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const time = (ms) => make('time', '', (Date.now() - ms < 12 * 3_600_000 ? clock : calendar).format(ms));

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  node.dir = 'auto';
  node.append(...children);                    // strings become text
  return node;
}

/** Makes `nodes` the children of `parent` without touching those that are there already. */
function place(parent, nodes) {
  let at = parent.firstChild;
  for (const node of nodes) if (node === at) at = at.nextSibling; else parent.insertBefore(node, at);
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

function bubble(c, key, m, pending) {
  const mine = pending || m.senderId === me, name = make('span', 'sr', mine ? 'You:' : `${m.senderId}:`);
  if (!c.nodes.has(key)) c.nodes.set(key, make('li', `${mine ? 'mine' : ''} ${pending ? 'pending' : ''}`, name,
    make('p', '', m.content), pending ? make('span', 'time', 'sending …') : time(m.createdAt)));
  return c.nodes.get(key);
}

function entryInList(c) {
  c.item ??= make('li', '', make('button', ''));
  const last = c.messages.get(c.newest), button = c.item.firstChild;
  button.onclick = () => open(c.peer);
  button.setAttribute('aria-current', c === current);
  button.replaceChildren(make('span', 'name', c.peer), last ? time(last.createdAt) : '',
    make('span', 'last', last ? `${last.senderId === me ? 'You: ' : ''}${last.content.slice(0, 100)}` : ''));
  if (c.unread) button.append(make('span', 'mark', String(c.unread), make('span', 'sr', ' new')));
  return c.item;
}

let atEnd = true;
const scrollToEnd = () => { $('scroll').scrollTop = $('scroll').scrollHeight; };

function render(why) {
  const c = current, latest = (one) => one.messages.get(one.newest)?.createdAt ?? 0;
  const box = $('scroll'), fromEnd = box.scrollHeight - box.scrollTop, unread = all().reduce((sum, one) => sum + one.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ''}Chat · ${me}`;
  place($('list'), all().sort((a, b) => latest(b) - latest(a)).map(entryInList));
  $('app').dataset.view = c ? 'chat' : 'list';
  $('compose').hidden = !c;
  $('peer').textContent = c ? c.peer : 'No conversation open';
  $('error').textContent = c ? c.error : '';
  $('older').hidden = !c?.loaded || c.olderKey === undefined;
  $('older').disabled = Boolean(c?.turning);
  $('hint').textContent = !c ? 'Choose somebody to talk to.' : !c.loaded ? 'Loading …' : c.messages.size ? '' : 'No messages yet. Say hello!';
  const messages = c?.loaded ? [...c.messages.values()].sort((a, b) => a.seq - b.seq) : [];
  place($('log'), [...messages.map((m) => bubble(c, m.seq, m)), ...(c?.outbox ?? []).map((m) => bubble(c, m.clientMessageId, m, true))]);
  if (why === 'older') box.scrollTop = box.scrollHeight - fromEnd; else if (atEnd || why) scrollToEnd();
}

function complain(c, text) { if (c) c.error = text; if (c === current) $('error').textContent = text; }
function showState(state, text) { $('state').dataset.state = state; $('state').textContent = text; }

const nameProblem = (name) => name && name === name.trim() && !/\p{Cc}/u.test(name) && bytes(name) <= 128
  ? '' : 'A name has 1 to 128 bytes and no control characters.';

function remembered() {
  try { return JSON.parse(stored('localStorage', `chat ${me}`)).filter((one) => !nameProblem(one)); } catch { return []; }
}

/** The address of this page for a user, keeping the server that was asked for. */
function pageFor(userId, peer) {
  const fields = Object.entries({ userId, with: peer, ws: query.get('ws') }).filter(([, value]) => value);
  return `${location.pathname}?${new URLSearchParams(fields)}`;
}

function open(peer) {
  if (current) current.draft = $('text').value;
  current = peer ? conversation(peer) : null;
  $('text').value = current?.draft ?? '';
  $('second').href = pageFor(peer && peer !== me ? peer : me === 'bob' ? 'alice' : 'bob', me);
  if (current) { current.unread = 0; catchUp(current); }
  render('open');
  if (current) $('text').focus();
}

function start(name) {
  me = name;
  stored('sessionStorage', 'name', me);
  $('me').textContent = me;
  $('leave').href = pageFor();
  $('join').hidden = true;
  for (const part of document.querySelectorAll('.inside')) part.hidden = false;
  remembered().forEach(conversation);
  const peer = query.get('with')?.trim();
  open(nameProblem(peer) ? null : peer);
  try {
    const url = new URL(query.get('ws') || '/prod', location.href.replace(/^http/, 'ws'));
    url.searchParams.set('userId', me);
    address = url.href;
    connect();
  } catch (problem) { showState('offline', `This server address can't be used: ${problem.message}`); }
}

function onSubmit(form, act) { $(form).addEventListener('submit', (event) => { event.preventDefault(); act(); }); }
function onName(form, input, act) {
  onSubmit(form, () => {
    const name = $(input).value.trim();
    $(`${form}-error`).textContent = nameProblem(name);
    if (!nameProblem(name)) { $(input).value = ''; act(name); }
  });
}

onName('join', 'name', start);
onName('start', 'with', open);
onSubmit('compose', () => send(current, $('text').value));
$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;   // composing: Enter picks a word
  event.preventDefault();
  $('compose').requestSubmit();
});
$('older').onclick = () => older(current);
$('back').onclick = () => open(null);
$('leave').onclick = () => stored('sessionStorage', 'name', '');
$('scroll').onscroll = ({ target }) => { atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 80; };
new ResizeObserver(() => { if (atEnd) scrollToEnd(); }).observe($('scroll'));
setInterval(ping, PING_EVERY);
addEventListener('online', () => { if (me) connect(); });
addEventListener('visibilitychange', () => { if (!document.hidden && current?.unread) { current.unread = 0; render(); } });
addEventListener('beforeunload', (event) => { if (all().some((c) => c.outbox.length)) event.preventDefault(); });

const name = (query.get('userId') ?? stored('sessionStorage', 'name') ?? '').trim();
if (!nameProblem(name)) start(name);
else { $('join').hidden = false; $('join-error').textContent = name && nameProblem(name); $('name').focus(); }
