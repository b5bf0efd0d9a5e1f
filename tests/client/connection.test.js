// The connection: kept alive, renewed, and backed off after refusals.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatClient } from '../../web/chat-client.js';
import { connect, contents, online, token, until } from './fixture.js';
import { Service } from './service.js';

const state = (chat, name) => until(() => chat.connection.state === name);

test('a lost connection is reopened', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  for (const code of [1006, 1001]) {
    const [socket] = service.sockets;
    socket.drop(code);
    await state(chat, 'waiting');
    assert.ok(chat.connection.retryAt >= Date.now());
    await online(chat);
  }
  assert.deepEqual(chat.states, [
    'connecting',
    'online',
    'waiting',
    'connecting',
    'online',
    'waiting',
    'connecting',
    'online',
  ]);
});

test('a dead connection is detected and replaced', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { idle: 30, check: 30 } });
  await online(chat);
  const [dead] = service.sockets;
  service.script = (_, socket) => (socket === dead ? 'ignore' : undefined);
  await state(chat, 'waiting');
  await online(chat);
  assert.ok(!service.sockets.has(dead));
});

test('pings keep an idle connection', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { idle: 10 } });
  await online(chat);
  await new Promise((resolve) => {
    service.script = ({ action }) => void (action === 'ping' && resolve());
  });
  assert.equal(chat.connection.state, 'online');
  assert.equal(service.attempts, 1);
});

test('an old connection is renewed without a gap: the new one opens before the old one closes', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { life: 60, early: 60, answer: 40 } });
  await online(chat);
  const [first] = service.sockets;
  let said = 0;
  let most = 0;
  const talk = setInterval(() => {
    service.say('bob', 'alice', `${++said}`);
    most = Math.max(most, service.sockets.size);
  }, 3);
  await until(() => service.attempts >= 3 && !service.sockets.has(first));
  clearInterval(talk);
  await until(() => chat.seen.length === said);
  assert.deepEqual(contents(chat.seen), service.contents('alice', 'bob'));
  assert.deepEqual(new Set(chat.states), new Set(['connecting', 'online']));
  assert.ok(most >= 2);
});

test('close ends a connection that was renewed, too', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { times: { life: 60, early: 60 } });
  await online(chat);
  const [first] = service.sockets;
  service.script = ({ action }, socket) => (action === 'getMessages' && socket === first ? 'ignore' : undefined);
  const opened = assert.rejects(chat.open('bob'), { code: 'closed' });
  await until(() => service.sockets.size === 2);
  chat.close();
  await opened;
  await until(() => service.sockets.size === 0);
});

test('a displaced connection is reopened only when the user acts', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  for (const act of [() => chat.connect(), () => chat.send('bob', 'Hi')]) {
    const [socket] = service.sockets;
    const { attempts } = service;
    socket.drop(1000);
    await state(chat, 'displaced');
    assert.equal(service.attempts, attempts);
    assert.deepEqual(chat.connection, { state: 'displaced' });
    await act();
    await online(chat);
  }
});

test('each connection has a fresh token, and an expired one is replaced at once', async () => {
  const service = new Service();
  let made = 0;
  const chat = connect(service, undefined, { token: async () => token('alice', { number: ++made }) });
  await online(chat);
  assert.equal(chat.userId, 'alice');
  const [old] = service.sockets;
  service.script = ({ action }, socket) => {
    if (action !== 'sendMessage' || socket !== old) return undefined;
    socket.tell({ type: 'error', code: 'token_expired', message: 'connect again with a new one' });
    setImmediate(() => setImmediate(() => socket.drop(1000)));
    return 'mute';
  };
  assert.equal((await chat.send('bob', 'Hi')).seq, 1);
  assert.equal(made, 2);
  assert.ok(!chat.states.includes('displaced'));
  const [socket] = service.sockets;
  assert.equal(JSON.parse(atob(socket.token.split('.')[1])).number, 2);
});

test('a token that is about to expire is replaced before it does', async () => {
  const service = new Service();
  let made = 0;
  const fresh = async () => {
    made += 1;
    return token('alice', { exp: Date.now() / 1000 + (made === 1 ? 0.1 : 3600) });
  };
  const chat = connect(service, undefined, { token: fresh, times: { early: 50, answer: 20 } });
  await online(chat);
  await until(() => made === 2 && service.sockets.size === 1 && service.attempts === 2);
  assert.ok(!chat.states.includes('waiting'));
});

for (const seconds of [10, -7200]) {
  test(`a displaced client waits for its user, also if its token seems to expire in ${seconds} s`, async () => {
    const service = new Service();
    const fresh = async () => token('alice', { exp: Date.now() / 1000 + seconds });
    const chat = connect(service, undefined, { token: fresh });
    await online(chat);
    const [socket] = service.sockets;
    socket.drop(1000);
    await state(chat, 'displaced');
    for (const type of ['online', 'pageshow']) globalThis.dispatchEvent?.(new Event(type));
    await new Promise(setImmediate);
    assert.equal(service.attempts, 1);
    chat.connect();
    await online(chat);
  });
}

test('a renewal at the limit of connections closes none of another device', async () => {
  const service = new Service();
  service.limit = 2;
  const life = { life: 30, early: 30, answer: 20 };
  const renewing = connect(service, 'alice', { times: life });
  const other = connect(service, 'alice');
  await Promise.all([online(renewing), online(other)]);
  await until(() => service.attempts >= 8);
  assert.ok(!other.states.includes('displaced') && !renewing.states.includes('displaced'));
  assert.equal(other.states.filter((it) => it === 'online').length, 1);
});

test('the token is sent in the query if proxies drop subprotocols, and renewed there', async () => {
  const service = new Service();
  let made = 0;
  const fresh = async () => token('alice', { number: ++made, exp: Date.now() / 1000 + (made === 1 ? 0.1 : 3600) });
  const times = { early: 50, answer: 20 };
  const chat = connect(service, undefined, { token: fresh, tokenInQuery: true, times });
  await online(chat);
  await until(() => [...service.sockets].some((it) => JSON.parse(atob(it.token.split('.')[1])).number === 2));
  assert.ok([...service.sockets].every(({ protocols }) => protocols.length === 0));
});

test('a token that is no JWT alone is told apart, before a connection', async () => {
  for (const [wrong, reason] of [
    [`Bearer ${token('alice')}`, /begins with "Bearer"/],
    [`${token('alice')}\n`, /white space/],
    ['', /is empty/],
    [undefined, /of type undefined/],
  ]) {
    const service = new Service();
    const chat = connect(service, undefined, { token: async () => wrong });
    await state(chat, 'refused');
    assert.match(chat.connection.reason, reason);
    assert.equal(service.attempts, 0);
  }
  const { WebSocket, url } = new Service();
  assert.throws(() => new ChatClient({ url, WebSocket, token: token('alice') }), { message: /function/ });
});

test('a token that the service has refused as expired is not used again', async () => {
  const service = new Service();
  const old = token('alice', { number: 1 });
  let next = old;
  const chat = connect(service, undefined, { token: async () => next });
  service.script = (_frame, socket) =>
    socket.token === old
      ? { type: 'error', code: 'token_expired', message: 'connect again with a new one' }
      : undefined;
  await state(chat, 'refused');
  assert.match(chat.connection.reason, /has expired/);
  assert.equal(service.attempts, 1);
  next = token('alice', { number: 2 });
  chat.connect();
  await new Promise((done) => setTimeout(done, 10));
  assert.equal(service.attempts, 1, 'not more often than after any refusal');
});

test('an expired token is told, if the service refuses it', async () => {
  const service = new Service();
  service.refuses = () => true;
  const chat = connect(service, undefined, { token: async () => token('alice', { exp: 1e9 }) });
  await state(chat, 'refused');
  assert.match(chat.connection.reason, /has expired. It was valid until 2001-09-09/);
});

test('a clock that is set back does not delay the next attempt', async (t) => {
  const service = new Service();
  service.refuses = () => service.attempts < 2;
  const chat = connect(service, 'alice', { times: { first: 1e6, longest: 1e6 } });
  await until(() => service.attempts === 1 && chat.connection.state === 'waiting');
  const real = Date.now;
  t.mock.method(Date, 'now', () => real() - 3_600_000);
  await new Promise((done) => setTimeout(done, 1000));
  chat.connect();
  await online(chat);
});

test('a sign of life after silence checks the connection', async () => {
  const service = new Service();
  const target = new EventTarget();
  globalThis.addEventListener = target.addEventListener.bind(target);
  globalThis.removeEventListener = target.removeEventListener.bind(target);
  const chat = connect(service, 'alice', { times: { fresh: 20, check: 20 } });
  await until(() => chat.hasInbox);
  const pings = () => service.frames.filter(({ action }) => action === 'ping').length;
  target.dispatchEvent(new Event('focus'));
  assert.equal(pings(), 0, 'a fresh connection is not checked');
  const [dead] = service.sockets;
  await new Promise((done) => setTimeout(done, 25));
  service.script = (_, socket) => (socket === dead ? 'ignore' : undefined);
  target.dispatchEvent(new Event('focus'));
  await state(chat, 'waiting');
  await online(chat);
  delete globalThis.addEventListener;
  delete globalThis.removeEventListener;
});

test('the first attempts of many clients after a loss are spread over seconds', async () => {
  const service = new Service();
  const chats = Array.from({ length: 40 }, () => connect(service, 'alice'));
  await Promise.all(chats.map(online));
  for (const socket of [...service.sockets]) socket.drop(1006);
  await Promise.all(chats.map((chat) => state(chat, 'waiting')));
  const delays = chats.map((chat) => chat.connection.retryAt - Date.now()).sort((a, b) => a - b);
  assert.ok(delays[10] > 200 && delays[30] > 1500 && delays[39] <= 3000, `${delays}`);
  for (const chat of chats) chat.close();
});

test('a token of another user is not used', async () => {
  const service = new Service();
  const chat = connect(service, 'alice', { token: async () => token('mallory') });
  await state(chat, 'refused');
  assert.match(chat.connection.reason, /another user/);
  assert.equal(service.attempts, 0);
});

test('a failed token call is repeated', async () => {
  let asked = 0;
  const fresh = async () => {
    if (++asked === 1) throw new Error('the login service is down');
    return token('alice');
  };
  const chat = connect(new Service(), undefined, { token: fresh });
  await until(() => chat.connection.reason?.includes('login service is down'));
  await online(chat);
});

test('two failed upgrades of a reachable service count as a refusal, and attempts become rare', async (t) => {
  const service = new Service();
  const asked = [];
  service.refuses = () => true;
  t.mock.method(globalThis, 'fetch', async (address) => {
    asked.push(String(address));
    return new Response(null, { status: 403 });
  });
  const chat = connect(service, 'alice');
  await state(chat, 'refused');
  assert.equal(service.attempts, 2);
  assert.ok(chat.connection.retryAt > Date.now() + 5_000);
  assert.deepEqual(asked, [service.url.replace('ws', 'http')], 'without user or token');
  chat.connect();
  assert.equal(service.attempts, 2, 'connect() does not shorten the delay');
});

test('an unreachable service is no refusal', async (t) => {
  const service = new Service();
  service.refuses = () => service.attempts < 4;
  t.mock.method(globalThis, 'fetch', async () => {
    throw new TypeError('fetch failed');
  });
  const chat = connect(service, 'alice');
  await online(chat);
  assert.equal(service.attempts, 4);
  assert.ok(!chat.states.includes('refused'));
});

test('a status that the WebSocket reports is a refusal at once', async () => {
  const service = new Service();
  service.WebSocket = class {
    constructor() {
      service.attempts += 1;
      setImmediate(() => {
        this.onerror({ message: 'Unexpected server response: 401' });
        this.onclose({ code: 1006 });
      });
    }
    close() {}
  };
  const chat = connect(service, 'alice');
  await state(chat, 'refused');
  assert.equal(service.attempts, 1);
  assert.match(chat.connection.reason, /401/);
});

test('a client needs a userId or a token, and a URL', () => {
  assert.throws(() => new ChatClient({ url: 'ws://chat.test/prod' }), { code: 'bad_request' });
  const { WebSocket } = new Service();
  assert.throws(() => new ChatClient({ url: 'nonsense', userId: 'alice', WebSocket }), {
    code: 'bad_request',
    message: /wss:/,
  });
  assert.throws(() => new ChatClient(), { code: 'bad_request', message: /userId or token/ });
  assert.throws(() => new ChatClient({ url: 'ws://chat.test/prod', userId: ' alice', WebSocket }), {
    code: 'bad_request',
    message: /white space/,
  });
});

test('arguments that are not valid are refused with what is right', async () => {
  const service = new Service();
  const options = { url: service.url, userId: 'alice', WebSocket: service.WebSocket };
  for (const [wrong, message] of [
    [{ pageSize: 0 }, /pageSize is from 1 to 100/],
    [{ pageSize: 1000 }, /pageSize/],
    [{ times: { answer: 'x' } }, /times.answer/],
    [{ times: { displaced: 5 } }, /times.displaced/],
  ]) {
    assert.throws(() => new ChatClient({ ...options, ...wrong }), { code: 'bad_request', message });
  }
  const chat = connect(service, 'alice');
  await assert.rejects(chat.send('bob', 5), { code: 'bad_request', message: /type number/ });
  await assert.rejects(chat.send('bob'), { code: 'bad_request', message: /type undefined/ });
  for (const call of ['open', 'older', 'send']) {
    await assert.rejects(chat[call]('', 'Hi'), { code: 'bad_request', message: /at least one character/ });
  }
  await assert.rejects(chat.history('').next(), { code: 'bad_request' });
  assert.throws(() => chat.markRead('bob', 'x'), { code: 'bad_request', message: /whole number/ });
});

test('without a WebSocket the constructor says what to do', (t) => {
  const own = globalThis.WebSocket;
  t.after(() => {
    globalThis.WebSocket = own;
  });
  globalThis.WebSocket = undefined;
  assert.throws(() => new ChatClient({ url: 'ws://chat.test/prod', userId: 'alice' }), {
    code: 'bad_request',
    message: /Node\.js 22 or later/,
  });
});

test('a closed client stays closed', async () => {
  const service = new Service();
  const chat = connect(service, 'alice');
  await online(chat);
  chat.close();
  assert.equal(chat.connection.state, 'closed');
  chat.connect();
  await assert.rejects(chat.send('bob', 'Hi'), { code: 'closed' });
  assert.equal(service.attempts, 1);
});
