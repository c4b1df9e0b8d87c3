import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './stack/ports.js';

/** A way to a server that can be cut or stop, and be opened again at the same address. */
export class Way {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server: Server;
  #port: number | undefined;
  #isStopped = false;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer((near) => this.#connect(near));
  }

  /** The port to come by. */
  async open(): Promise<number> {
    // A pair that is joined already would carry everything twice.
    if (this.#isStopped) for (const [near, far] of this.#pairs) near.pipe(far).pipe(near);
    this.#isStopped = false;
    this.#port ??= await freePort('127.0.0.1');
    if (!this.#server.listening) await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
    return this.#port;
  }

  /** Nothing gets through any more, in either direction, and nobody is told: as when a machine is gone, or a firewall has forgotten. */
  stop(): void {
    this.#isStopped = true;
    for (const [near, far] of this.#pairs) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  /** Ends the connections there are, and refuses new ones. */
  async cut(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await closed;
  }

  #connect(near: Socket): void {
    const far = connect(this.#target);
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => undefined).once('close', () => {
        this.#pairs.delete(pair);
        for (const one of pair) one.destroy();
      });
    }
    if (!this.#isStopped) near.pipe(far).pipe(near);
  }
}
