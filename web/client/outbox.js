// SPDX-License-Identifier: MIT
// `Outbox`: messages and changes that are not acknowledged yet. They are kept in IndexedDB, so that they survive a reload,
// and all tabs of a user share them. A Web Lock lets one tab at a time send the messages of a conversation.
//
// Storage may fail at any time: a browser loses its connection to the database, a user clears the data of a site, a
// frozen tab holds the lock. Then entries are kept in memory, and the storage is tried again with the next call. Two tabs
// that don't see each other's entries may both send a message; the server stores it once.

import { hasCode, within } from './errors.js';

/** @typedef {import('./conversation.js').Entry} Entry */

/**
 * What a tab tells the other tabs of the same user.
 *
 * @typedef {{ kind: 'queued' | 'failed', entry: Entry }
 *   | { kind: 'gone', clientMessageId: string }
 *   | { kind: 'sent', clientMessageId: string, message: import('./entries.js').LogEntry,
 *       changed?: import('./entries.js').Message }} TabMessage
 */

const STORE = 'outbox';

/** @param {IDBFactory} indexedDB @param {string} name @returns {Promise<IDBDatabase>} */
const openDatabase = (indexedDB, name) =>
  new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'n', autoIncrement: true });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });

export class Outbox {
  /** @type {IDBDatabase | undefined} */
  #database;
  /**
   * The attempt to open the database, until it succeeds or fails. A browser may never answer it.
   *
   * @type {Promise<void> | undefined}
   */
  #opening;
  /** Whether `#opening` takes so long that nothing waits for it any more. */
  #isSlow = false;
  #isClosed = false;
  /**
   * Entries that the database does not hold as they are, by `n`.
   *
   * @type {Map<number, Entry>}
   */
  #memory = new Map();
  /** The largest known `n`. */
  #lastN = 0;
  /**
   * The last addition. Each waits for the one before, because one that fails takes longer than one that succeeds.
   *
   * @type {Promise<unknown>}
   */
  #adding = Promise.resolve();
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /**
   * The last task of each lock, for pages without Web Locks.
   *
   * @type {Map<string, Promise<unknown>>}
   */
  #queues = new Map();

  /**
   * @param {string} owner the service and the user
   * @param {{ indexedDB?: IDBFactory, locks?: LockManager, Channel?: typeof BroadcastChannel }} browser
   * @param {object} options
   * @param {number} options.limit for each answer of the browser, in milliseconds
   * @param {(message: TabMessage) => void} options.onTabMessage
   * @param {() => void} options.onOpened is called when the database was opened late
   */
  constructor(owner, { indexedDB, locks, Channel }, { limit, onTabMessage, onOpened }) {
    this.name = `chat ${owner}`;
    this.indexedDB = indexedDB;
    this.locks = locks;
    this.limit = limit;
    this.onOpened = onOpened;
    try {
      this.#channel = Channel && new Channel(this.name);
    } catch {
      // A page whose storage is blocked has no channel. Other tabs can't reach it, and find the same by sending.
    }
    if (!this.#channel) return;
    this.#channel.onmessage = ({ data }) => onTabMessage(data);
    /** @type {any} */ (this.#channel).unref?.(); // otherwise Node.js does not exit
  }

  /** Whether all queued messages survive a reload. */
  get isDurable() {
    return this.#database !== undefined && this.#memory.size === 0;
  }

  /** @returns {Promise<IDBDatabase | undefined>} undefined if the browser forbids storage, or does not answer in time */
  async open() {
    const { indexedDB } = this;
    if (this.#database || this.#isClosed || !indexedDB) return this.#database;
    this.#opening ??= Promise.resolve()
      .then(() => openDatabase(indexedDB, this.name))
      .then((database) => this.#adopt(database))
      .catch(() => {})
      .then(() => {
        this.#opening = undefined;
        this.#isSlow = false;
      });
    if (this.#isSlow) return undefined;
    await within(this.limit, this.#opening).catch(() => {
      this.#isSlow = this.#opening !== undefined;
    });
    return this.#database;
  }

  /** @param {IDBDatabase} database */
  #adopt(database) {
    if (this.#isClosed) return database.close();
    this.#database = database;
    database.onclose = () => this.#release(database);
    database.onversionchange = () => this.#release(database);
    if (this.#isSlow) this.onOpened();
  }

  /** @param {IDBDatabase} database */
  #release(database) {
    if (this.#database === database) this.#database = undefined;
    database.close();
  }

  /**
   * Returns what is stored, after it has stored what is kept in memory.
   *
   * @returns {Promise<Entry[] | undefined>} undefined if the storage can't be read
   */
  async all() {
    /** @type {Entry[] | undefined} */
    const stored = await this.#transact(this.#memory.size ? 'readwrite' : 'readonly', (store) => store.getAll());
    for (const { n } of stored ?? []) this.#lastN = Math.max(n, this.#lastN);
    return stored;
  }

  /**
   * Adds an entry. When the promise resolves, the entry is stored durably, if `isDurable`.
   *
   * @param {Omit<Entry, 'n'>} draft
   * @returns {Promise<Entry>}
   */
  add(draft) {
    const added = this.#adding.then(() => this.#addNext(draft));
    this.#adding = added;
    return added;
  }

  /**
   * @param {Omit<Entry, 'n'>} draft
   * @returns {Promise<Entry>}
   */
  async #addNext(draft) {
    const key = /** @type {number | undefined} */ (await this.#transact('readwrite', (store) => store.add(draft)));
    // In memory: after all that the database has numbered, and different from what another tab gives.
    const n = key ?? Math.max(Date.now(), this.#lastN) + Math.random();
    this.#lastN = n;
    const entry = { ...draft, n };
    if (key === undefined) this.#memory.set(n, entry);
    return entry;
  }

  /**
   * Stores the entry as it is now.
   *
   * @param {Entry} entry
   */
  async put(entry) {
    const key = await this.#transact('readwrite', (store) => store.put(entry));
    if (key === undefined) this.#memory.set(entry.n, entry);
  }

  /**
   * Stores what the first attempt says about the conversation. If another tab has stored that before, `entry` takes it, so
   * that all attempts say the same.
   *
   * @param {Entry} entry
   * @param {Pick<Entry, 'lastSeq' | 'position'>} end
   * @returns {Promise<boolean>} whether the entry is stored; otherwise another tab may have attempted it
   */
  async begin(entry, end) {
    if (!this.indexedDB) {
      Object.assign(entry, end);
      return true; // no other tab knows the entry
    }
    // In one transaction, so that two tabs agree.
    const stored = await this.#transact('readwrite', (store) => {
      /** @type {IDBRequest<Entry[]>} */
      const request = store.getAll(entry.n);
      request.addEventListener('success', () => {
        const [row] = request.result;
        if (row && row.lastSeq === undefined) store.put({ ...row, ...end });
      });
      return request;
    });
    const [row] = stored ?? [];
    const { lastSeq, position } = row?.lastSeq === undefined ? end : row;
    Object.assign(entry, { lastSeq, position });
    return Boolean(stored?.length);
  }

  /** @param {Entry} entry */
  async remove(entry) {
    this.#memory.delete(entry.n);
    await this.#transact('readwrite', (store) => store.delete(entry.n));
  }

  /**
   * Runs `work` while no other tab runs any under the same name. Does not wait longer than `limit` for another tab, which
   * may be frozen.
   *
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async exclusively(name, work) {
    const lock = `${this.name} ${name}`;
    let hasBegun = false;
    const begin = () => {
      hasBegun = true;
      return work();
    };
    const abandon = new AbortController();
    const timer = setTimeout(() => abandon.abort(), this.limit);
    try {
      if (this.locks) return await this.locks.request(lock, { signal: abandon.signal }, begin);
    } catch (error) {
      if (hasBegun) throw error;
      const isTooLate = abandon.signal.aborted;
      if (!isTooLate) this.locks = undefined; // a sandboxed page has no locks
    } finally {
      clearTimeout(timer);
    }
    const turn = (this.#queues.get(lock) ?? Promise.resolve()).then(work, work);
    this.#queues.set(lock, turn);
    return turn;
  }

  /** @param {TabMessage} message for the other tabs */
  broadcast(message) {
    this.#channel?.postMessage(message);
  }

  close() {
    this.#isClosed = true;
    this.#channel?.close();
    this.#channel = undefined;
    if (this.#database) this.#release(this.#database);
  }

  /**
   * Acts on the stored entries, in one transaction with what was kept in memory meanwhile. After a failure it opens the
   * database again, once.
   *
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T | undefined>} undefined if that is not possible
   */
  async #transact(mode, act) {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const database = await this.open();
      if (!database) return undefined;
      try {
        return await within(this.limit, this.#commit(database, mode, act));
      } catch (error) {
        this.#release(database);
        if (hasCode(error, 'timeout')) return undefined; // a second wait would take too long
      }
    }
    return undefined;
  }

  /**
   * @template T
   * @param {IDBDatabase} database
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T>}
   */
  #commit(database, mode, act) {
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: 'strict' });
      const store = transaction.objectStore(STORE);
      const kept = mode === 'readwrite' ? [...this.#memory] : [];
      for (const [, entry] of kept) store.put(entry);
      const request = act(store);
      transaction.onabort = () => reject(transaction.error);
      transaction.oncomplete = () => {
        for (const [n, entry] of kept) if (this.#memory.get(n) === entry) this.#memory.delete(n);
        resolve(request.result);
      };
    });
  }
}
