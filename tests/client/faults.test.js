// Random faults from a seed. SEEDS=4,5 runs other seeds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDBFactory } from 'fake-indexeddb';
import { connect, contents, random, until } from './fixture.js';
import { asReceived, Service } from './service.js';

const MESSAGES = 60;

for (const seed of process.env.SEEDS?.split(',').map(Number) ?? [1, 2, 3]) {
  test(`random faults lose, duplicate and reorder nothing (seed ${seed})`, async () => {
    const chance = random(seed);
    const service = new Service();
    let faulty = true;
    service.refuses = () => faulty && chance() < 0.2;
    service.loses = () => faulty && chance() < 0.3;
    service.script = (frame, socket) => {
      if (!faulty || chance() > 0.3) return undefined;
      if (chance() < 0.3) setImmediate(() => socket.drop(1006));
      const kinds = ['ignore', 'mute', 'unavailable', 'internal', 'rate_limited', 'gateway', 'twice'];
      const kind = kinds[Math.floor(chance() * kinds.length)];
      if (kind === 'ignore' || kind === 'mute') return kind;
      if (kind === 'twice') return void service.answer(socket, frame); // the first attempt still runs
      return kind === 'gateway'
        ? { ref: undefined, message: 'Internal server error' }
        : { type: 'error', code: kind, message: 'later' };
    };
    const times = { answer: 100, check: 50, open: 200, longest: 200, refused: 100, refusedLongest: 200 };
    const stores = { alice: new IDBFactory(), bob: new IDBFactory() };
    const join = (me) => connect(service, me, { indexedDB: stores[me], times });
    const chats = { alice: join('alice'), bob: join('bob') };

    const changes = [];
    for (let number = 0; number < MESSAGES; number += 1) {
      const me = chance() < 0.5 ? 'alice' : 'bob';
      const peer = me === 'alice' ? 'bob' : 'alice';
      const text = `${me} ${number}`;
      chats[me].send(peer, text).catch(() => {});
      await until(
        () =>
          chats[me].conversation(peer).pending.some((entry) => entry.content === text) ||
          service.contents('alice', 'bob').includes(text),
      );
      if (chance() < 0.3) {
        // Changes go through the same outbox.
        const messages = service.messagesOf('alice', 'bob');
        const { seq } = messages[Math.floor(chance() * messages.length)] ?? {};
        const before = changes.length;
        if (seq) changes.push({ seq, senderId: me, reaction: `${number}` });
        if (seq) chats[me].react(peer, seq, `${number}`).catch(() => {});
        const isKnown = ({ reaction }) =>
          chats[me].conversation(peer).changes.some((change) => change.reaction === reaction) ||
          service.messagesOf('alice', 'bob').some(({ reactions }) => reactions?.[reaction]);
        await until(() => changes.slice(before).every(isKnown));
      }
      if (chance() < 0.05) {
        // a reload
        chats[me].close();
        chats[me] = join(me);
      }
      if (chance() < 0.3)
        await new Promise((done) => {
          setTimeout(done, chance() * 30);
        });
    }
    faulty = false;
    await until(() => service.of('alice', 'bob').length >= MESSAGES + changes.length);
    for (const [me, peer] of [
      ['alice', 'bob'],
      ['bob', 'alice'],
    ]) {
      chats[me].connect();
      await chats[me].open(peer);
      await until(
        () =>
          chats[me].conversation(peer).high === service.of('alice', 'bob').length &&
          !chats[me].conversation(peer).pending.length &&
          !chats[me].conversation(peer).changes.length,
      );
      for await (const page of chats[me].history(peer)) void page;
    }

    const entries = service.of('alice', 'bob');
    assert.equal(entries.length, MESSAGES + changes.length, 'each message and each change once');
    const stored = service.messagesOf('alice', 'bob');
    assert.equal(stored.length, MESSAGES);
    for (const { seq, senderId, reaction } of changes)
      assert.deepEqual(entries[seq - 1].reactions?.[reaction], [senderId]);
    for (const me of ['alice', 'bob']) {
      const own = contents(stored.filter((m) => m.senderId === me)).map((text) => Number(text.split(' ')[1]));
      assert.deepEqual(
        own,
        own.toSorted((a, b) => a - b),
        `the messages of ${me} in the order in which they were written`,
      );
      const peer = me === 'alice' ? 'bob' : 'alice';
      assert.deepEqual(asReceived(chats[me].conversation(peer).messages), stored);
    }
    // A client emits each message at most once, in order.
    for (const chat of Object.values(chats)) {
      const seqs = chat.seen.map((m) => m.seq);
      assert.deepEqual(
        seqs,
        [...new Set(seqs)].sort((a, b) => a - b),
      );
    }
  });
}
