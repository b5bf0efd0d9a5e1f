// One connection to the service, kept up: made anew when it is lost, renewed before it is too old, watched for being
// dead, and left alone for a while where the service does not want it.

import { backoff, ChatError } from './trouble.js';

/**
 * @typedef {'connecting' | 'online' | 'waiting' | 'refused' | 'displaced' | 'closed'} State
 *
 * - `waiting`: not connected; the next attempt is at `retryAt`.
 * - `refused`: the service can be reached and does not take this user, token or page; attempts are minutes apart.
 * - `displaced`: this user has too many connections, and this was the oldest. It comes back when somebody acts here.
 *
 * @typedef {{ state: State, retryAt?: number, reason?: string }} Standing `retryAt` in milliseconds since 1970
 * @typedef {{ url: string, protocols?: string[], expiresAt?: number }} Credentials `expiresAt` in milliseconds since 1970
 *
 * @typedef {object} Line a socket and what is known of it
 * @property {WebSocket} socket
 * @property {boolean} opened
 * @property {boolean} gone
 * @property {number} expiresAt when its token does, in milliseconds since 1970; Infinity where that is not known
 * @property {boolean} expired the service has said that its token has
 * @property {number} frames how many came
 * @property {string} trouble what the socket said when it failed, where it says something
 * @property {ReturnType<typeof setTimeout>[]} timers
 *
 * @typedef {{ line: Line, resolve: (value: any) => void, reject: (error: ChatError) => void,
 *   timer: ReturnType<typeof setTimeout> }} Asked
 */

/** In milliseconds. API Gateway ends a connection after two hours, or ten minutes without a frame. */
export const TIMES = {
  open: 15_000,               // an upgrade may take: authorizer and $connect, both cold
  answer: 15_000,             // an answer may take
  check: 5_000,               // the answer to a ping may take that asks whether the connection still lives
  idle: 4 * 60_000,           // without a frame until a ping; routers forget a connection after five minutes
  life: 110 * 60_000,         // of a connection, until the next one is made beside it
  early: 60_000,              // before its token expires
  refused: 30_000,            // the first wait after a refusal
  refusedLongest: 10 * 60_000,
  displaced: 15 * 60_000,     // until a displaced client comes back by itself
  longest: 30_000,            // wait between attempts
};

export class Connection {
  /** @type {Standing} */
  standing = { state: 'waiting' };
  /** @type {Line | null} */
  #line = null;
  /** @type {object | null} the attempt that is under way */
  #attempt = null;
  /** @type {Map<string, Asked>} */
  #asked = new Map();
  #lastRef = 0;
  #failures = 0;
  #unopened = 0;
  #triedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #next;
  #closed = false;

  /**
   * @param {object} means
   * @param {() => Promise<Credentials>} means.credentials asked for each connection anew
   * @param {typeof WebSocket} means.WebSocket
   * @param {typeof fetch} [means.fetch] asks whether the service can be reached at all, at `address`
   * @param {string} means.address
   * @param {typeof TIMES} means.times
   * @param {(standing: Standing) => void} means.onState
   * @param {() => void} means.onOpen a connection stands: what was missed can be asked for
   * @param {(frame: any) => void} means.onFrame a frame that answers nothing
   */
  constructor(means) {
    this.means = means;
  }

  get isOpen() {
    return this.#line !== null;
  }

  /** Connects now, or, where it is connected, finds out whether that is still true. Somebody acted, or came back. */
  wake() {
    if (this.#closed) return;
    if (this.#line) return this.#check();
    const patience = this.standing.state === 'refused' ? this.means.times.refused / 3 : 1_000;
    const since = Date.now() - this.#triedAt;
    if (since >= patience || this.standing.state === 'displaced') this.#open();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#next);
    this.#attempt = null;
    const line = this.#line;
    this.#line = null;
    if (line) this.#end(line, new ChatError('closed', 'The client was closed.'));
    this.#set({ state: 'closed' });
  }

  /**
   * @param {string} action
   * @param {object} [fields]
   * @param {number} [within] how long an answer may take
   * @returns {Promise<any>} the reply's `value`
   */
  request(action, fields, within = this.means.times.answer) {
    const line = this.#line;
    if (!line) return Promise.reject(new ChatError('offline', 'There is no connection.'));
    return new Promise((resolve, reject) => {
      const ref = String(++this.#lastRef), { frames } = line;
      const timer = setTimeout(() => {
        this.#asked.delete(ref);
        reject(new ChatError('timeout', 'The service has not answered.'));
        if (line.frames === frames) this.#lost(line, 1006);      // nothing at all came meanwhile: it is dead
      }, within);
      this.#asked.set(ref, { line, resolve, reject, timer });
      this.#busy(line);
      line.socket.send(JSON.stringify({ action, ref, ...fields }));
    });
  }

  /** A ping; where nothing comes, the connection is given up. */
  #check() {
    this.request('ping', {}, this.means.times.check).catch(() => {});
  }

  async #open() {
    clearTimeout(this.#next);
    if (this.#attempt || this.#closed) return;
    const attempt = this.#attempt = {};
    this.#triedAt = Date.now();
    if (!this.#line) this.#set({ state: 'connecting' });
    try {
      const { url, protocols, expiresAt } = await this.#inTime(this.means.credentials());
      if (attempt !== this.#attempt) return;
      this.#listen(new this.means.WebSocket(url, protocols ?? []), attempt, expiresAt ?? Infinity);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#attempt = null;
      this.#failed(error instanceof Error ? error.message : String(error), error instanceof ChatError);
    }
  }

  /** @template T @param {Promise<T>} work @returns {Promise<T>} */
  #inTime(work) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('The token did not come in time.')), this.means.times.open);
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** @param {WebSocket} socket @param {object} attempt @param {number} expiresAt */
  #listen(socket, attempt, expiresAt) {
    /** @type {Line} */
    const line = { socket, opened: false, gone: false, expiresAt, expired: false, frames: 0, trouble: '', timers: [] };
    line.timers[0] = setTimeout(() => this.#lost(line, 1006, attempt), this.means.times.open);
    socket.onopen = () => {
      if (line.gone) return;
      if (attempt !== this.#attempt) return this.#end(line);
      this.#attempt = null;
      this.#opened(line);
    };
    socket.onmessage = ({ data }) => { if (!line.gone) this.#receive(line, data); };
    // Browsers don't say why; the package `ws` does.
    socket.onerror = (event) => { line.trouble = /** @type {ErrorEvent} */ (event).message ?? ''; };
    socket.onclose = ({ code }) => this.#lost(line, code, attempt);
  }

  /** @param {Line} line */
  #opened(line) {
    const { times } = this.means, old = this.#line;
    line.opened = true;
    clearTimeout(line.timers[0]);
    this.#line = line;
    this.#unopened = 0;
    this.#busy(line);
    const left = line.expiresAt - Date.now() - times.early;
    // Never sooner than this, whatever a wrong clock says.
    const life = Math.max(Math.min(times.life * (0.95 + Math.random() / 20), left), Math.min(times.early, times.life));
    line.timers[1] = setTimeout(() => this.#open(), life);
    // The old one still gets what was asked of it; pushes come to both, and are dropped where they are known.
    if (old) old.timers[2] = setTimeout(() => this.#end(old), times.answer);
    this.#set({ state: 'online' });
    this.means.onOpen();
  }

  /** Restarts the time after which a ping keeps the connection from being idle. @param {Line} line */
  #busy(line) {
    clearTimeout(line.timers[0]);
    line.timers[0] = setTimeout(() => { if (line === this.#line) this.#check(); }, this.means.times.idle);
  }

  /** @param {Line} line @param {unknown} data */
  #receive(line, data) {
    let frame;
    try { frame = JSON.parse(String(data)); } catch { return; }
    if (typeof frame !== 'object' || frame === null) return;
    line.frames += 1;
    this.#busy(line);
    const asked = this.#asked.get(frame.ref);
    if (asked) { this.#asked.delete(frame.ref); clearTimeout(asked.timer); }
    if (frame.type === 'error') {
      if (['token_expired', 'unauthenticated'].includes(frame.code)) this.#expired(line);
      const { code, message, retryAfter } = frame;
      asked?.reject(new ChatError(String(code), String(message), Number.isFinite(retryAfter) ? retryAfter : undefined));
    } else if (frame.type) {
      this.#failures = 0;
      if (asked) asked.resolve(frame.value); else this.means.onFrame(frame);
    } else if (frame.message) {
      // API Gateway's own; it does not say to what, and everything that is repeated is safe to repeat.
      this.#rejectAll(line, new ChatError('internal', String(frame.message)));
    }
  }

  /** Its token has expired: a connection with a new one takes its place, at once the first time. @param {Line} line */
  #expired(line) {
    if (line.expired) return;
    line.expired = true;
    if (line === this.#line) this.#lost(line, 1006);
  }

  /**
   * @param {Line} line @param {number} code
   * @param {object} [attempt] that made it
   */
  #lost(line, code, attempt) {
    if (line.gone) return;
    const wasOpen = line.opened;
    this.#end(line);
    if (this.#closed) return;
    if (!wasOpen) {
      if (attempt !== this.#attempt) return;
      this.#attempt = null;
      this.#unopened += 1;
      const status = Number(/\b([45]\d\d)\b/.exec(line.trouble)?.[1] ?? 0);
      return this.#failed(line.trouble || 'The connection could not be opened.', status >= 400 && status < 500 && status !== 429);
    }
    if (line !== this.#line) return;
    this.#line = null;
    if (this.#attempt) return this.#set({ state: 'connecting' });
    // The service closes with 1000 the oldest of too many connections. To come back would close the next one.
    const expired = line.expired || Date.now() > line.expiresAt - this.means.times.early;
    if (code === 1000 && !expired) return this.#wait('displaced', backoff(0, this.means.times.displaced, Infinity));
    const wait = expired && this.#failures === 0 ? 0 : backoff(this.#failures, 500, this.means.times.longest);
    this.#failures += 1;
    this.#wait('waiting', wait);
  }

  /** @param {string} reason @param {boolean} refused whether it is known that the service does not want us */
  #failed(reason, refused) {
    this.#failures += 1;
    const { times } = this.means;
    const long = () => this.#wait('refused', backoff(Math.max(0, this.#unopened - 2), times.refused, times.refusedLongest), reason);
    if (refused) return long();
    this.#wait('waiting', backoff(this.#failures - 1, 500, times.longest), reason);
    // Browsers hide the status of a refused upgrade. Where the service answers HTTP and yet opens no connection, a second
    // time, it is most likely a refusal.
    const { standing } = this;
    if (this.#unopened >= 2) this.#isReachable().then((reachable) => { if (reachable && this.standing === standing) long(); });
  }

  async #isReachable() {
    const { fetch, address, times } = this.means;
    if (!fetch || globalThis.navigator?.onLine === false) return false;
    try {
      const signal = AbortSignal.timeout(times.check);
      const answer = await fetch(address, { mode: 'no-cors', cache: 'no-store', credentials: 'omit', signal });
      return answer.type === 'opaque' || answer.status < 500;
    } catch {
      return false;
    }
  }

  /** @param {State} state @param {number} time @param {string} [reason] */
  #wait(state, time, reason) {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.#open(), time);
    if (!this.#line) this.#set({ state, retryAt: Date.now() + time, reason });
  }

  /** @param {Line} line @param {ChatError} [error] what those are told who wait for its answers */
  #end(line, error = new ChatError('offline', 'The connection was lost.')) {
    line.gone = true;
    line.timers.forEach(clearTimeout);
    this.#rejectAll(line, error);
    line.socket.close();
  }

  /** @param {Line} line @param {ChatError} error */
  #rejectAll(line, error) {
    for (const [ref, asked] of this.#asked) {
      if (asked.line !== line) continue;
      this.#asked.delete(ref);
      clearTimeout(asked.timer);
      asked.reject(error);
    }
  }

  /** @param {Standing} standing */
  #set(standing) {
    this.standing = standing;
    this.means.onState(standing);
  }
}
