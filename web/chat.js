// A small chat page on protocol version 1. A conversation is what `seq` says it is: messages are kept by number, `high`
// is the newest one below which none is missing, and whatever lies beyond is fetched with `after`. A message to be sent
// stays in the outbox, with one id, until the server acknowledged it; so it may be repeated at any time.

const PAGE = 50, ANSWER_WITHIN = 15_000, PING_EVERY = 5 * 60_000, LONGEST_WAIT = 30_000;
const PASSING = new Set(['unavailable', 'internal', 'timeout', 'out_of_date']);   // worth repeating on this connection

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const bytes = (text) => new TextEncoder().encode(text).length;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const backoff = (tries) => Math.min(LONGEST_WAIT, 500 * 2 ** tries) * (0.5 + Math.random() / 2);
const newId = () => crypto.randomUUID?.() ??   // randomUUID is missing on plain http, except on this machine
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
const stored = (store, key, value) => {        // storage may be forbidden; the page works without it
  try { return value === undefined ? window[store].getItem(key) : window[store].setItem(key, value); } catch { return null; }
};

class Refusal extends Error {
  constructor(code, message) { super(message); this.code = code; }
}

let me, address, current = null;      // who we are, where the server is, the conversation on screen
const conversations = new Map();      // by the other one's name

// ---- The connection: one socket, replaced when lost; requests find their replies by `ref`.

let socket = null, failures = 0, frames = 0, lastRef = 0, nextTry;
const waiting = new Map();

function connect() {
  clearTimeout(nextTry);
  if (socket) return;
  showState('connecting', 'Connecting …');
  const mine = socket = new WebSocket(address);
  const slow = setTimeout(() => lost(mine), ANSWER_WITHIN);
  mine.onopen = () => {
    clearTimeout(slow);
    if (mine !== socket) return;
    showState('online', 'Connected');
    ping();
    for (const c of conversations.values()) if (c.loaded || c === current || c.outbox.length) { catchUp(c); pump(c); }
  };
  mine.onmessage = (event) => { if (mine === socket) receive(event.data); };
  mine.onclose = () => lost(mine);
}

function lost(which) {
  if (which !== socket) return;
  socket = null;
  which.close();
  for (const c of conversations.values()) c.stale = true;
  failAll(new Refusal('offline', 'Not connected.'));
  const wait = backoff(failures++);
  showState('offline', `No connection, trying again in ${Math.ceil(wait / 1000)} s`);
  nextTry = setTimeout(connect, wait);
}

function failAll(refusal) {
  for (const asked of waiting.values()) { clearTimeout(asked.timer); asked.reject(refusal); }
  waiting.clear();
}

function request(action, fields = {}) {
  return new Promise((resolve, reject) => {
    const on = socket, seen = frames, ref = String(++lastRef);
    if (on?.readyState !== WebSocket.OPEN) return reject(new Refusal('offline', 'Not connected.'));
    const timer = setTimeout(() => {
      waiting.delete(ref);
      reject(new Refusal('timeout', 'No answer from the server yet; trying again.'));
      if (frames === seen) lost(on);             // nothing at all came meanwhile: the connection is dead
    }, ANSWER_WITHIN);
    waiting.set(ref, { resolve, reject, timer });
    on.send(JSON.stringify({ action, ref, ...fields }));
  });
}

function receive(data) {
  let frame;
  try { frame = JSON.parse(data); } catch { return; }
  if (!frame || typeof frame !== 'object') return;
  frames += 1;
  failures = 0;
  const asked = waiting.get(frame.ref);
  if (asked) { waiting.delete(frame.ref); clearTimeout(asked.timer); }
  if (frame.type === 'error') {
    if (asked) asked.reject(new Refusal(frame.code, String(frame.message)));
    else if (current) complain(current, String(frame.message));
  } else if (!frame.type && frame.message) {     // API Gateway itself, which doesn't say what it was about
    failAll(new Refusal('internal', `${frame.message}; trying again.`));
  } else if (asked) asked.resolve(frame.value);
  else if (frame.type === 'message') pushed(frame.value);
  else if (frame.type === 'sent') {              // the answer to a send that had stopped waiting for it
    for (const c of conversations.values()) {
      const entry = c.outbox.find((one) => one.clientMessageId === frame.value?.clientMessageId);
      if (entry) acknowledge(c, entry, frame.value);
    }
  }
}

const ping = () => request('ping').catch(() => {});   // a lost pong has already closed the connection

/** Repeats `job` while what stops it will pass. Being offline ends it: `connect` starts everything again. */
async function persist(c, job) {
  for (let tries = 0; ; tries += 1) {
    try {
      await job();
      return complain(c, '');
    } catch (refusal) {
      if (!PASSING.has(refusal.code)) throw refusal;
      if (refusal.code === 'out_of_date') c.stale = true; else complain(c, refusal.message);
      await sleep(backoff(Math.min(tries, 5)));
    }
  }
}

// ---- Conversations

function conversation(peer) {
  if (!conversations.has(peer)) {
    conversations.set(peer, { peer, unread: 0, outbox: [], draft: '', error: '', item: null, nodes: new Map() });
    startOver(conversations.get(peer));
  }
  return conversations.get(peer);
}

function startOver(c) {
  Object.assign(c, { messages: new Map(), low: 1, high: 0, newest: 0, olderKey: undefined, loaded: false, stale: true });
  c.nodes.clear();
}

const isMessage = (m) => Number.isSafeInteger(m?.seq) && m.seq > 0 && Math.abs(m.createdAt) <= 8.64e15 &&
  [m.messageId, m.senderId, m.recipientId, m.content].every((field) => typeof field === 'string');

/** Takes a message in, once; true if it is new. */
function keep(c, m) {
  if (m.senderId === me && m.clientMessageId) c.outbox = c.outbox.filter((one) => one.clientMessageId !== m.clientMessageId);
  if (c.messages.has(m.seq)) return false;
  c.messages.set(m.seq, m);
  c.newest = Math.max(c.newest, m.seq);
  while (c.loaded && c.messages.has(c.high + 1)) c.high += 1;
  return true;
}

function arrived(c, m) {
  if (m.senderId === me) return;
  if (c !== current || document.hidden) c.unread += 1;
  $('news').textContent = c === current ? `${m.senderId}: ${m.content}` : `New message from ${m.senderId}`;
}

function pushed(m) {
  if (!isMessage(m) || (m.senderId !== me && m.recipientId !== me)) return;
  const c = conversation(m.senderId === me ? m.recipientId : m.senderId);
  if (c.loaded && m.seq < c.low) return;         // a repeat of something on an older page
  if (c.messages.has(m.seq) && c.messages.get(m.seq).messageId !== m.messageId) startOver(c);   // the server's data is new
  if (keep(c, m)) arrived(c, m);
  if (c.loaded ? c.newest > c.high : c === current) catchUp(c);
  render();
}

async function history(c, fields) {
  const page = await request('getMessages', { targetId: c.peer, ...fields });
  if (!Array.isArray(page?.messages)) throw new Refusal('bad_answer', 'The server sent something that is no page of messages.');
  return { messages: page.messages.filter(isMessage), next: page.lastEvaluatedKey };
}

/** Loads the newest page, or what is missing after `high`; nothing if nothing is. Callers share one run. */
function sync(c) {
  return c.syncing ??= (async () => {
    while (!c.loaded || c.stale || c.newest > c.high) {
      const first = !c.loaded, { high, messages: kept } = c;
      c.stale = false;
      try {
        const page = await history(c, first ? { limit: PAGE } : { limit: 100, after: high });
        if (kept !== c.messages) continue;       // started over meanwhile
        if (first) {
          const seqs = page.messages.map((m) => m.seq);
          Object.assign(c, { low: Math.min(...seqs, seqs.length ? Infinity : 1), high: Math.max(0, ...seqs), olderKey: page.next, loaded: true });
          for (const seq of kept.keys()) if (seq < c.low) kept.delete(seq);
        }
        for (const m of page.messages) if (keep(c, m) && !first) arrived(c, m);
        while (c.messages.has(c.high + 1)) c.high += 1;
        if (!first && page.next !== undefined) c.stale = true;
        if (!first && c.high === high && (c.stale || c.newest > high)) throw new Refusal('unavailable', 'Some messages are missing; trying again.');
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
  const key = c.olderKey;
  if (c.turning || key === undefined) return;
  c.turning = true;
  render();
  try {
    await persist(c, async () => {
      const page = await history(c, { limit: PAGE, startKey: key });
      if (key !== c.olderKey) return;
      for (const m of page.messages) { keep(c, m); c.low = Math.min(c.low, m.seq); }
      c.olderKey = page.next;
    });
  } catch (refusal) { complain(c, refusal.message); }
  c.turning = false;
  render('older');
}

/** Sends the outbox, one after the other so that the order stays, each until it is acknowledged or refused for good. */
async function pump(c) {
  if (c.pumping) return;
  c.pumping = true;
  while (c.outbox.length) {
    const entry = c.outbox[0];
    try {
      await persist(c, async () => {
        await sync(c);                           // may find that an earlier attempt was stored
        if (!c.outbox.includes(entry)) return;
        const { content, clientMessageId } = entry;
        acknowledge(c, entry, await request('sendMessage', { recipientId: c.peer, content, clientMessageId, lastSeq: c.high }));
      });
    } catch (refusal) {
      if (refusal.code === 'offline') break;
      c.outbox = c.outbox.filter((one) => one !== entry);
      c.draft = c === current ? $('text').value : c.draft;
      c.draft = entry.content + (c.draft && `\n${c.draft}`);          // back to be corrected
      if (c === current) $('text').value = c.draft;
      if (refusal.code === 'bad_request') { startOver(c); await catchUp(c); }   // perhaps the server's data is new
      complain(c, refusal.message);
    }
  }
  c.pumping = false;
}

function acknowledge(c, entry, value) {
  c.outbox = c.outbox.filter((one) => one !== entry);
  const m = { ...value, senderId: me, recipientId: c.peer, content: entry.content, clientMessageId: entry.clientMessageId };
  if (!isMessage(m)) c.stale = true; else if (!c.loaded || m.seq >= c.low) keep(c, m);
  if (c.stale || c.newest > c.high) catchUp(c);
  render();
}

function send(c, text) {
  const content = text.toWellFormed?.() ?? text;
  if (!content.trim()) return false;
  // Past 32 KB in one frame API Gateway would close the connection, again at every repeat.
  if (bytes(content) > 16 * 1024 || bytes(JSON.stringify(content)) > 24_000) {
    complain(c, 'This message is too long: 16 KB is the limit.');
    return false;
  }
  c.outbox.push({ clientMessageId: newId(), content, createdAt: Date.now() });
  complain(c, '');
  render('sent');
  pump(c);
  return true;
}

// ---- The page. Names and content become text nodes, never markup.

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat([], { weekday: 'short', day: 'numeric', month: 'long', year: 'numeric' });

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);                      // strings become text
  return node;
}

/** Makes `nodes` the children of `parent`, leaving alone those that are there already. */
function place(parent, nodes) {
  let at = parent.firstChild;
  for (const node of nodes) if (node === at) at = at.nextSibling; else parent.insertBefore(node, at);
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

function bubble(m, pending) {
  const text = make('p', '', m.content), time = make('time', '', pending ? 'sending …' : clock.format(m.createdAt));
  text.dir = 'auto';
  if (!pending) time.dateTime = new Date(m.createdAt).toISOString();
  const mine = pending || m.senderId === me;
  return make('li', `${mine ? 'mine' : ''} ${pending ? 'pending' : ''}`, make('span', 'sr', mine ? 'You:' : `${m.senderId}:`), text, time);
}

function renderLog(c) {
  const nodes = [], node = (key, create) => {
    if (!c.nodes.has(key)) c.nodes.set(key, create());
    nodes.push(c.nodes.get(key));
  };
  let day;
  for (const m of c.loaded ? [...c.messages.values()].sort((a, b) => a.seq - b.seq) : []) {
    const date = calendar.format(m.createdAt);
    if (date !== day) node(`day before ${m.seq}`, () => make('li', 'day', date));
    day = date;
    node(m.seq, () => bubble(m));
  }
  for (const entry of c.outbox) node(entry.clientMessageId, () => bubble(entry, true));
  place($('log'), nodes);
}

function renderItem(c) {
  c.item ??= make('li', '', make('button', ''));
  const last = c.messages.get(c.newest), button = c.item.firstChild, name = make('span', 'name', c.peer);
  name.dir = 'auto';
  button.type = 'button';
  button.onclick = () => open(c.peer);
  button.toggleAttribute('aria-current', c === current);
  button.replaceChildren(name, make('time', '', last ? clock.format(last.createdAt) : ''),
    make('span', 'soft last', last ? `${last.senderId === me ? 'You: ' : ''}${last.content.slice(0, 100)}` : ''));
  if (c.unread) button.append(make('span', 'mark', String(c.unread), make('span', 'sr', ' new')));
  return c.item;
}

let atEnd = true;
const scrollToEnd = () => { $('scroll').scrollTop = $('scroll').scrollHeight; };

function render(why) {
  const box = $('scroll'), fromEnd = box.scrollHeight - box.scrollTop, when = (c) => c.messages.get(c.newest)?.createdAt ?? 0;
  place($('list'), [...conversations.values()].sort((a, b) => when(b) - when(a)).map(renderItem));
  const unread = [...conversations.values()].reduce((sum, c) => sum + c.unread, 0), c = current;
  document.title = `${unread ? `(${unread}) ` : ''}Chat${me ? ` · ${me}` : ''}`;
  $('app').dataset.view = c ? 'chat' : 'list';
  $('compose').hidden = !c;
  $('peer').textContent = c ? c.peer : 'No conversation open';
  $('error').textContent = c ? c.error : '';
  $('older').hidden = !c?.loaded || c.olderKey === undefined;
  $('older').disabled = Boolean(c?.turning);
  $('hint').textContent = !c ? 'Choose somebody to talk to.' : !c.loaded ? 'Loading …' : c.messages.size + c.outbox.length ? '' : 'No messages yet. Say hello!';
  if (c) renderLog(c); else $('log').replaceChildren();
  if (why === 'older') box.scrollTop = box.scrollHeight - fromEnd;
  else if (atEnd || why) scrollToEnd();
  const known = [...conversations.values()].filter((one) => one.messages.size).map((one) => one.peer);
  if (known.length) stored('localStorage', `chat ${me}`, JSON.stringify([...new Set([...known, ...remembered()])].slice(0, 100)));
}

function remembered() {
  try { return JSON.parse(stored('localStorage', `chat ${me}`)).filter((name) => !nameProblem(name)); } catch { return []; }
}

function complain(c, text) { c.error = text; if (c === current) $('error').textContent = text; }
function showState(state, text) { $('state').dataset.state = state; $('state').textContent = text; }

const nameProblem = (name) => typeof name !== 'string' || !name || name !== name.trim() || /\p{Cc}/u.test(name) || bytes(name) > 128
  ? 'A name has 1 to 128 bytes and no control characters.' : '';

/** The address of this page for a user, keeping the server that was asked for. */
function pageFor(user, peer) {
  const url = new URL(location.pathname, location.href);
  for (const [key, value] of Object.entries({ userId: user, with: peer, ws: query.get('ws') })) if (value) url.searchParams.set(key, value);
  return url.href;
}

function open(peer) {
  if (current) current.draft = $('text').value;
  current = peer === null ? null : conversation(peer);
  $('text').value = current?.draft ?? '';
  history_(peer);
  if (current) { current.unread = 0; catchUp(current); $('text').focus(); }
  render('open');
  if (current) $('text').focus();
}
