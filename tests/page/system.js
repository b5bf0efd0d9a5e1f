// The whole system on this machine: `ws-local` with the real functions, as a child process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { User } from './user.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Child processes, for a test process that ends early.
 *
 * @type {Set<import('node:child_process').ChildProcess>}
 */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill();
});

/**
 * @typedef {object} SystemOptions
 * @property {number} [port] of the page and the sockets; default a free one
 * @property {string} [data] folder of the tables; default in memory
 * @property {Record<string, string>} [parameters] of the template
 */

/**
 * Starts a system that stops at the end of a test.
 *
 * @param {import('node:test').TestContext} t
 * @param {SystemOptions} [options]
 */
export async function startSystem(t, options) {
  const system = await System.start(options);
  t.after(() => system.stop());
  return system;
}

export class System {
  /**
   * Builds the functions, and starts everything.
   *
   * @param {SystemOptions} [options]
   */
  static async start({ port = 0, data, parameters = {} } = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'chat-page-'));
    const readyFile = join(folder, 'ready.json');
    const args = [
      ...['--template', join(ROOT, 'template.yaml'), '--no-watch', '--ready-file', readyFile],
      ...['--port', String(port), '--dynamodb-port', '0'],
      ...(data ? ['--data', data] : ['--memory']),
      ...Object.entries(parameters).flatMap(([name, value]) => ['--parameter', `${name}=${value}`]),
    ];
    const child = spawn(join(ROOT, 'target/debug/ws-local'), args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    try {
      await isReady(child, readyFile);
      return new System(child, folder, JSON.parse(await readFile(readyFile, 'utf8')));
    } catch (error) {
      child.kill();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {string} folder
   * @param {{ page: string, websocket: string, dynamodb: string }} addresses
   */
  constructor(child, folder, { page, websocket, dynamodb }) {
    this.child = child;
    this.folder = folder;
    /** The URL of the page, with a slash at its end. */
    this.page = page;
    /** The URL that clients connect to. */
    this.websocket = websocket;
    /** The endpoint of the tables. */
    this.dynamodb = dynamodb;
    this.port = Number(new URL(page).port);
  }

  /**
   * Connects a user without a browser.
   *
   * @param {string} userId
   */
  connect(userId) {
    return User.connect(this.websocket, userId);
  }

  /**
   * The texts of a conversation in the table, as another device of `userId` reads them.
   *
   * @param {string} userId
   * @param {string} peer
   */
  async stored(userId, peer) {
    const device = await this.connect(userId);
    const entries = await device.catchUp(peer);
    device.close();
    return entries.filter(({ kind }) => kind === undefined).map((m) => m.content);
  }

  /** Stops it gracefully. A second call does nothing. */
  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await exited;
    await rm(this.folder, { recursive: true, force: true });
  }
}

/**
 * Resolves when `ws-local` has written its ready file; rejects with its output if it exits before.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} readyFile
 */
async function isReady(child, readyFile) {
  /** @type {string[]} */
  const output = [];
  const exited = new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`ws-local has ended:\n${output.join('\n')}`)));
  });
  // Otherwise the later exit is an unhandled rejection.
  exited.catch(() => {});
  const ready = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      // Every line is read, so that the process never waits for its reader. One line follows the ready file.
      createInterface({ input: stream }).on('line', async (line) => {
        output.push(line);
        if (await exists(readyFile)) resolve(undefined);
      });
    }
  });
  await Promise.race([ready, exited]);
}

/** @param {string} file */
const exists = (file) =>
  readFile(file).then(
    () => true,
    () => false,
  );

/** A port that was free a moment ago, for a system whose configuration names its port. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}
