// A TCP proxy between a browser and the service, which a test can cut.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class TcpProxy {
  #isCut = false;
  /**
   * The sockets of each connection: to the browser, and to the service.
   *
   * @type {Set<[import('node:net').Socket, import('node:net').Socket]>}
   */
  #connections = new Set();

  /**
   * Listens on a free port, and forwards to `port`.
   *
   * @param {number} port
   */
  static async start(port) {
    const proxy = new TcpProxy(port);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  /** @param {number} port */
  constructor(port) {
    this.server = createServer((near) => {
      if (this.#isCut) return near.destroy();
      const far = connect(port, '127.0.0.1');
      near.pipe(far).pipe(near);
      const connection = /** @type {[typeof near, typeof far]} */ ([near, far]);
      this.#connections.add(connection);
      for (const socket of connection) {
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#connections.delete(connection);
          for (const other of connection) other.destroy();
        });
      }
    });
  }

  /** The host and port that it listens on. */
  get address() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    return `127.0.0.1:${port}`;
  }

  /** Drops every connection, and accepts none until `restore`. */
  cut() {
    this.#isCut = true;
    for (const connection of this.#connections) for (const socket of connection) socket.destroy();
  }

  restore() {
    this.#isCut = false;
  }

  /** Keeps what the browser sends until `release`. */
  hold() {
    for (const [near, far] of this.#connections) near.unpipe(far);
  }

  release() {
    for (const [near, far] of this.#connections) near.pipe(far);
  }

  stop() {
    this.cut();
    this.server.close();
  }
}
