// The rules for user ids, which the client checks before it asks the server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemOf } from '../../web/client/limits.js';

test('an id that the server would refuse is refused with a reason', () => {
  for (const id of ['alice', 'a+b@example.com', '李雷', '🦀', 'e\u0301', '\u00e9', 'x'.repeat(128)]) {
    assert.equal(problemOf(id), '', id);
  }
  for (const [id, reason] of [
    ['', /at least one character/],
    ['a\u0000', /control characters/],
    ['a\ufffd', /U\+FFFD/],
    ['\ud83e', /half of a surrogate pair/],
    [' a', /white space/],
    ['x'.repeat(129), /at most 128 characters/],
    ['🦀'.repeat(33), /at most 32 characters; this one has 33/],
  ]) {
    assert.match(problemOf(id), reason);
  }
});
