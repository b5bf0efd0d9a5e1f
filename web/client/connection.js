// SPDX-License-Identifier: MIT
// `Connection`: one WebSocket to the service. It reconnects after a loss, renews itself before API Gateway or the token
// ends it, detects dead sockets, and backs off when the service refuses it.

import { moment, since } from './clock.js';
import { backoffDelay, ChatError, hasCode, within } from './errors.js';
import { isReachable } from './reachability.js';

/**
 * @typedef {'connecting' | 'online' | 'waiting' | 'refused' | 'displaced' | 'closed'} State
 *
 * - `waiting`: not connected; the next attempt is at `retryAt`.
 * - `refused`: the service is reachable and does not let this client connect; attempts are up to a minute apart. A browser
 *   does not tell whether it refuses the user, token or page, or is too busy; `reason` says what is known.
 * - `displaced`: the user has too many connections, and this was the oldest. The client reconnects when the user acts,
 *   because two clients that reconnect by themselves would displace each other without end.
 *
 * @typedef {{ state: State, retryAt?: number, reason?: string }} ConnectionStatus `retryAt` in milliseconds since the
 *   Unix epoch
 * @typedef {{ url: string, protocols?: string[], expiresAt?: number, lifetime?: number }} Credentials `expiresAt` in
 *   milliseconds since the Unix epoch, by the issuer's clock; `lifetime` of a new token in milliseconds
 *
 * @typedef {object} Link a socket and its state
 * @property {WebSocket} socket
 * @property {boolean} isOpened
 * @property {boolean} isExpired whether the service has refused its token
 * @property {Credentials} credentials
 * @property {number} frames number of frames received
 * @property {import('./clock.js').Moment} lastFrameAt
 * @property {string} failure the socket's error message, if it has one
 * @property {{ idle?: Timer, renewal?: Timer, end?: Timer }} timers
 *
 * @typedef {ReturnType<typeof setTimeout>} Timer
 *
 * @typedef {object} PendingRequest
 * @property {Link} link
 * @property {(value: any) => void} resolve
 * @property {(error: ChatError) => void} reject
 * @property {Timer} timer
 */

export class Connection {
  /** @type {ConnectionStatus} */
  status = { state: 'waiting' };
  /** @type {Link | null} */
  #link = null;
  /**
   * All sockets that have not ended: also those before the current one, which still get replies.
   *
   * @type {Set<Link>}
   */
  #links = new Set();
  /**
   * The attempt in progress.
   *
   * @type {object | null}
   */
  #attempt = null;
  /** @type {Map<string, PendingRequest>} */
  #requests = new Map();
  #lastRef = 0;
  /** Failures since the last reply. */
  #failures = 0;
  /** What the service has refused as expired; another attempt with the same would be refused, too. */
  #expired = '';
  /** Failed upgrades since the last open connection. */
  #failedUpgrades = 0;
  /** @type {import('./clock.js').Moment | undefined} */
  #lastAttemptAt;
  /** @type {Timer | undefined} */
  #nextAttempt;
  #isClosed = false;

  /**
   * @param {object} options
   * @param {() => Promise<Credentials>} options.credentials called before each attempt
   * @param {typeof WebSocket} options.WebSocket
   * @param {typeof fetch} [options.fetch] checks at `address` whether the service is reachable
   * @param {string} options.address
   * @param {typeof import('./times.js').TIMES} options.times
   * @param {(status: ConnectionStatus) => void} options.onStatus
   * @param {() => void} options.onOpen is called for each new connection
   * @param {(frame: any) => void} options.onFrame is called with each frame that is not a reply
   */
  constructor(options) {
    this.options = options;
  }

  get isOpen() {
    return this.#link !== null;
  }

  /** Connects now, or checks an open connection, for a caller. */
  wake() {
    if (this.#isClosed) return;
    if (this.#link) return this.#check();
    const { state } = this.status;
    const minimum = state === 'refused' ? this.options.times.refused / 3 : 1_000;
    const last = this.#lastAttemptAt;
    if (!last || since(last) >= minimum || state === 'displaced') this.#open();
  }

  /**
   * As `wake`, for a sign that the device or the network came back, or that the user is there.
   *
   * @param {boolean} isAct of the user
   */
  notice(isAct) {
    if (this.#link && since(this.#link.lastFrameAt) < this.options.times.fresh) return;
    if (isAct || this.status.state !== 'displaced') this.wake();
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#nextAttempt);
    this.#attempt = null;
    this.#link = null;
    for (const link of this.#links) this.#end(link, new ChatError('closed', 'The client was closed.'));
    this.#setStatus({ state: 'closed' });
  }

  /**
   * Sends a request.
   *
   * @param {string} action
   * @param {object} [fields]
   * @param {number} [limit] for the reply, in milliseconds
   * @param {boolean} [isSilent] whether the service replies only if it refuses; then it resolves after the limit
   * @returns {Promise<any>} the reply's `value`
   */
  request(action, fields, limit = this.options.times.answer, isSilent = false) {
    const link = this.#link;
    if (!link) return Promise.reject(new ChatError('offline', 'There is no connection.'));
    return new Promise((resolve, reject) => {
      this.#lastRef += 1;
      const ref = String(this.#lastRef);
      const { frames } = link;
      const timer = setTimeout(() => {
        this.#requests.delete(ref);
        if (isSilent) return resolve(undefined);
        reject(new ChatError('timeout', 'The service did not reply in time.'));
        // If no frame at all arrived meanwhile, the connection is dead.
        if (link.frames === frames) this.#onLost(link, 1006);
      }, limit);
      this.#requests.set(ref, { link, resolve, reject, timer });
      // Without a reply to come, a dead connection must not seem alive.
      if (!isSilent) this.#restartIdleTimer(link);
      link.socket.send(JSON.stringify({ action, ref, ...fields }));
    });
  }

  /** Sends a ping. Without a reply, the connection counts as lost. */
  #check() {
    this.request('ping', {}, this.options.times.check).catch(() => {});
  }

  async #open() {
    clearTimeout(this.#nextAttempt);
    if (this.#attempt || this.#isClosed) return;
    const attempt = {};
    this.#attempt = attempt;
    this.#lastAttemptAt = moment();
    if (!this.#link) this.#setStatus({ state: 'connecting' });
    try {
      const limit = this.options.times.open;
      const credentials = await within(limit, this.options.credentials(), 'The token did not arrive in time.');
      if (attempt !== this.#attempt) return;
      const { url, protocols } = credentials;
      if (keyOf(credentials) === this.#expired) throw new ChatError('forbidden', `${EXPIRED} Return a new one.`);
      this.#connect(new this.options.WebSocket(url, protocols ?? []), attempt, credentials);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#attempt = null;
      this.#onFailure(
        error instanceof Error ? error.message : String(error),
        hasCode(error, 'bad_request', 'forbidden'),
      );
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {object} attempt
   * @param {Credentials} credentials
   */
  #connect(socket, attempt, credentials) {
    /** @type {Link} */
    const link = {
      socket,
      isOpened: false,
      isExpired: false,
      credentials,
      frames: 0,
      lastFrameAt: moment(),
      failure: '',
      timers: {},
    };
    this.#links.add(link);
    link.timers.idle = setTimeout(() => this.#onLost(link, 1006, attempt), this.options.times.open);
    socket.onopen = () => {
      if (attempt !== this.#attempt) return this.#end(link);
      this.#attempt = null;
      this.#onOpened(link);
    };
    socket.onmessage = ({ data }) => {
      if (this.#links.has(link)) this.#onData(link, data);
    };
    socket.onerror = (event) => {
      // Browsers give no reason; the npm package `ws` does.
      link.failure = /** @type {ErrorEvent} */ (event).message ?? '';
    };
    socket.onclose = ({ code }) => this.#onLost(link, code, attempt);
  }

  /** @param {Link} link */
  #onOpened(link) {
    const { times } = this.options;
    const previous = this.#link;
    link.isOpened = true;
    this.#link = link;
    this.#failedUpgrades = 0;
    this.#restartIdleTimer(link);
    const { expiresAt = Infinity, lifetime } = link.credentials;
    let untilExpiry = expiresAt - Date.now();
    // The service has just accepted the token. If it seems to expire, the clock of this device may be ahead.
    if (untilExpiry < times.early) untilExpiry = lifetime ?? untilExpiry;
    const life = Math.min(times.life * (0.95 + Math.random() / 20), untilExpiry - times.early);
    // The minimum prevents a wrong clock from renewing in a loop.
    link.timers.renewal = setTimeout(() => this.#open(), Math.max(life, Math.min(times.early, times.life)));
    // The previous socket still gets the replies to its requests. Both sockets get pushes, which are taken in once.
    if (previous) previous.timers.end = setTimeout(() => this.#end(previous), times.answer);
    this.#setStatus({ state: 'online' });
    this.options.onOpen();
  }

  /** @param {Link} link */
  #restartIdleTimer(link) {
    clearTimeout(link.timers.idle);
    link.timers.idle = setTimeout(() => {
      if (link === this.#link) this.#check();
    }, this.options.times.idle);
  }

  /**
   * @param {Link} link
   * @param {unknown} data
   */
  #onData(link, data) {
    const frame = parse(data);
    if (!frame) return;
    link.frames += 1;
    link.lastFrameAt = moment();
    this.#restartIdleTimer(link);
    const request = this.#requests.get(frame.ref);
    if (request) {
      this.#requests.delete(frame.ref);
      clearTimeout(request.timer);
    }
    if (frame.type === 'error') {
      const { code, message, retryAfter } = frame;
      const delay = Number.isFinite(retryAfter) ? retryAfter : undefined;
      const error = new ChatError(String(code), String(message), delay);
      if (hasCode(error, 'token_expired')) this.#expired = keyOf(link.credentials);
      if (hasCode(error, 'token_expired', 'unauthenticated')) this.#onExpired(link);
      request?.reject(error);
    } else if (frame.type) {
      this.#failures = 0;
      if (request) request.resolve(frame.value);
      else this.options.onFrame(frame);
    } else if (frame.message) {
      // API Gateway's own error frame does not name its request. All requests fail, because each is safe to repeat.
      this.#rejectAll(link, new ChatError('internal', String(frame.message)));
    }
  }

  /**
   * The service refuses the token: reconnects with a new one, the first time at once.
   *
   * @param {Link} link
   */
  #onExpired(link) {
    if (link.isExpired) return;
    link.isExpired = true;
    if (link === this.#link) this.#onLost(link, 1006);
  }

  /**
   * @param {Link} link
   * @param {number} code of the close frame; 1006 without one
   * @param {object} [attempt] the attempt that opened the socket
   */
  #onLost(link, code, attempt) {
    if (!this.#links.has(link)) return;
    this.#end(link);
    if (!link.isOpened) {
      if (attempt === this.#attempt) this.#onUpgradeFailed(link);
      return;
    }
    if (link !== this.#link) return;
    this.#link = null;
    if (this.#attempt) return this.#setStatus({ state: 'connecting' });
    // With 1000 the service closes the oldest of too many connections, and one whose token it has refused before.
    if (code === 1000 && !link.isExpired) return this.#setStatus({ state: 'displaced' });
    const delay = link.isExpired && this.#failures === 0 ? 0 : this.#delay();
    this.#failures += 1;
    this.#wait('waiting', delay);
  }

  /** @param {Link} link */
  #onUpgradeFailed({ failure, credentials: { expiresAt = Infinity } }) {
    this.#attempt = null;
    this.#failedUpgrades += 1;
    const status = Number(/\b([45]\d\d)\b/.exec(failure)?.[1] ?? 0);
    const isRefused = status >= 400 && status < 500 && status !== 429;
    const hasExpired = expiresAt < Date.now();
    const reason = hasExpired ? `${EXPIRED} It was valid until ${new Date(expiresAt).toISOString()}.` : failure;
    this.#onFailure(reason || 'The connection could not be opened.', isRefused || hasExpired);
  }

  /** The delay before the next attempt, in milliseconds. */
  #delay() {
    const { first, longest } = this.options.times;
    return this.#failures ? backoffDelay(this.#failures, first / 2, longest) : Math.min(first, longest) * Math.random();
  }

  /**
   * @param {string} reason
   * @param {boolean} isRefused whether it is certain that the service does not accept the client
   */
  #onFailure(reason, isRefused) {
    if (isRefused) this.#waitRefused(reason);
    else this.#wait('waiting', this.#delay(), reason);
    this.#failures += 1;
    // Browsers hide the status of a refused upgrade. If the service replies to HTTP and two upgrades failed, it refuses
    // the client or is too busy.
    if (isRefused || this.#failedUpgrades < 2) return;
    const { status } = this;
    const { fetch, address, times } = this.options;
    isReachable(address, fetch, times.check).then((reachable) => {
      const known = 'The service can be reached, and does not let this client connect: it may be too busy.';
      if (reachable && this.status === status) this.#waitRefused(known);
    });
  }

  /** @param {string} reason */
  #waitRefused(reason) {
    const { refused, refusedLongest } = this.options.times;
    this.#wait('refused', backoffDelay(Math.max(0, this.#failedUpgrades - 2), refused, refusedLongest), reason);
  }

  /**
   * @param {State} state
   * @param {number} delay until the next attempt, in milliseconds
   * @param {string} [reason]
   */
  #wait(state, delay, reason) {
    clearTimeout(this.#nextAttempt);
    this.#nextAttempt = setTimeout(() => this.#open(), delay);
    /** @type {ConnectionStatus} */
    const status = { state, retryAt: Math.round(Date.now() + delay) };
    if (reason) status.reason = reason;
    if (!this.#link) this.#setStatus(status);
  }

  /**
   * @param {Link} link
   * @param {ChatError} [error] of its pending requests
   */
  #end(link, error = new ChatError('offline', 'The connection was lost.')) {
    this.#links.delete(link);
    for (const timer of Object.values(link.timers)) clearTimeout(timer);
    this.#rejectAll(link, error);
    link.socket.close();
  }

  /**
   * @param {Link} link
   * @param {ChatError} error
   */
  #rejectAll(link, error) {
    for (const [ref, request] of this.#requests) {
      if (request.link !== link) continue;
      this.#requests.delete(ref);
      clearTimeout(request.timer);
      request.reject(error);
    }
  }

  /** @param {ConnectionStatus} status */
  #setStatus(status) {
    this.status = status;
    this.options.onStatus(status);
  }
}

const EXPIRED = 'The token has expired.';

/** @param {Credentials} credentials */
const keyOf = ({ url, protocols = [] }) => [url, ...protocols].join(' ');

/**
 * @param {unknown} data
 * @returns {any} undefined for what is not a JSON object
 */
function parse(data) {
  try {
    const frame = JSON.parse(String(data));
    return typeof frame === 'object' && frame !== null ? frame : undefined;
  } catch {
    return undefined;
  }
}
