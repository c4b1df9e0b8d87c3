import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, type buildConnector } from 'undici';
import type { ClientIdentity } from './client-identity.js';
import { AttemptFailed } from './failure.js';

/** Who wants a connection. */
export type Waiter = {
  readonly origin: string;
  /** Shown when connecting; requests of different identities never share a connection. */
  readonly identity: ClientIdentity | undefined;
  /** None that has been used before will do. */
  readonly needsNew: boolean;
  /** At once or when its turn has come; once for each time it asks, unless it has cancelled. */
  onConnection(connection: Connection): void;
};

export type ConnectionsOptions = {
  /** @param tls what the identity adds to a handshake; undefined for the usual one */
  readonly connectorFor: (tls: ConnectionOptions | undefined) => Connector;
  readonly client: Client.Options;
  /** Connections that are open, opening or closing, in all. Who finds them all in use waits. */
  readonly maxOpen: number;
  /** Connections kept for later: in all, and of one origin. The ones idle longest go first. */
  readonly maxIdle: number;
  readonly maxIdlePerOrigin: number;
};

/** Opens a socket, and answers with it before it is connected, so that it can be given up. */
export type Connector = (...args: Parameters<buildConnector.connector>) => Socket | undefined;

/** After the machine or the process had no file left, how long no new connection is tried. */
const OUT_OF_FILES_MS = 250;
/** After a server has closed a kept connection under a request, how long none to its origin is kept. */
const DISTRUST_MS = 60_000;
/** The one distrusted longest is trusted again when there would be more. */
const MAX_DISTRUSTED = 1_000;

const PIECE_BYTES = 4_096;

/** What has a request on a connection. */
type User = {
  /** Bytes that may be read next, 0 when no more is wanted: what is left to the headers of the response, and anything once they are complete. */
  room(): number;
  onBytes(count: number): void;
};

type Realm = { readonly connect: Connector; readonly pools: Map<string, Pool> };
/** The connections to an origin that show the same identity, `open` of them; the one used last is the last of `idle`. */
type Pool = { readonly origin: string; readonly realm: Realm; readonly idle: Connection[]; open: number };

/**
 * One connection at a time to one origin, for one request at a time. It holds a place among all that may be open from before it is opened until it is closed; when the
 * server has closed it between two requests the client opens another in the same place.
 */
export class Connection {
  readonly client: Client;
  /** The latest; also while it is being opened. */
  socket: Socket | undefined = undefined;
  /** Requests its socket was given. More than one: it was kept alive, and the server may have closed it meanwhile. */
  uses = 1;
  /** Whose request is on it. */
  user: User | undefined = undefined;
  isIdle = false;
  isDiscarded = false;

  constructor(
    readonly pool: Pool,
    options: Client.Options,
    onIdleClosed: (connection: Connection) => void,
  ) {
    const { origin, realm } = pool;
    const connect: buildConnector.connector = (target, callback) => {
      const socket = realm.connect(target, (...result) => {
        if (result[1] !== null) this.measure(result[1]);
        callback(...result);
      });
      this.socket = socket;
      this.uses = 1;
      // Not before the client knows too: it would wait for a close that is over.
      socket?.once('close', () => queueMicrotask(() => {
        if (this.isIdle && this.socket === socket) onIdleClosed(this);
      }));
    };
    this.client = new Client(origin, { ...options, connect });
  }

  /**
   * Hands the client a response in pieces until its headers are there. It would parse all that has arrived at once, 64 KiB, and counts names and values alone: 16,000 of the smallest
   * headers, 3 MB of memory, for each of the connections that somebody cares to open.
   */
  private measure(socket: Socket): void {
    const read = socket.read.bind(socket);
    socket.read = (size?: number): unknown => {
      const room = this.user?.room() ?? Infinity;
      if (room <= 0) return null;
      const piece: Buffer | null = room === Infinity || socket.readableLength === 0 ? read(size) : read(Math.min(socket.readableLength, room, PIECE_BYTES));
      if (piece !== null) this.user?.onBytes(piece.length);
      return piece;
    };
  }

  /** Fit for another request: it is open, and all of the last one is gone from here. */
  get isClean(): boolean {
    return this.socket !== undefined && !this.socket.destroyed && this.socket.writableLength === 0;
  }
}

/**
 * All connections there are. The one used last is used first, so that as few as possible are kept; idle ones are closed by the client when their time is
 * over, and by the bounds before. When as many are open as may be, an idle one gives way; when all are in use, requests wait for their turn, whatever
 * their origin, and their deadlines go on. An origin that nobody has a connection to takes no memory.
 */
export class Connections {
  private readonly usual: Realm;
  private readonly realms = new WeakMap<ClientIdentity, Realm>();
  private readonly all = new Set<Connection>();
  /** The one idle longest first. */
  private readonly idle = new Set<Connection>();
  /** Empty as long as there is room: who can be served at once does not go through it. */
  private readonly waiting = new Set<Waiter>();
  /** Origins, each with the time until which its connections are not kept. */
  private readonly distrusted = new Map<string, number>();
  private pause: NodeJS.Timeout | undefined = undefined;
  /** That a connection is open to, or being opened. */
  origins = 0;

  constructor(private readonly options: ConnectionsOptions) {
    this.usual = { connect: options.connectorFor(undefined), pools: new Map() };
  }

  get open(): number {
    return this.all.size;
  }

  get unused(): number {
    return this.idle.size;
  }

  acquire(waiter: Waiter): void {
    const kept = this.waiting.size === 0 ? this.kept(waiter) : undefined;
    if (kept !== undefined) {
      waiter.onConnection(kept);
    } else if (this.waiting.size === 0 && this.hasRoom) {
      waiter.onConnection(this.opened(waiter));
    } else {
      this.waiting.add(waiter);
      this.serve();
    }
  }

  cancel(waiter: Waiter): void {
    this.waiting.delete(waiter);
  }

  /** Its request is over, and it may be used again. */
  release(connection: Connection): void {
    connection.user = undefined;
    const { idle, origin } = connection.pool;
    if (!connection.isClean || this.isDistrusted(origin)) {
      this.discard(connection);
      return;
    }
    idle.push(connection);
    this.idle.add(connection);
    connection.isIdle = true;
    if (idle.length > this.options.maxIdlePerOrigin) this.discardFirst(idle);
    if (this.idle.size > this.options.maxIdle) this.discardFirst(this.idle);
    // Not from within what the client calls at the end of a response.
    if (this.waiting.size > 0) queueMicrotask(() => this.serve());
  }

  /** Closes it, whatever it is doing. Its place is free when it is closed. */
  discard(connection: Connection): void {
    if (connection.isDiscarded) return;
    connection.isDiscarded = true;
    this.leaveIdle(connection);
    void connection.client.destroy(DISCARDED).then(() => this.closed(connection));
    // One that is being opened is not yet the client's.
    connection.socket?.destroy();
  }

  /** Its server says that it keeps connections, and does not: a request that it cannot be sure of would fail every time they meet. */
  distrust(origin: string): void {
    this.distrusted.delete(origin);
    this.distrusted.set(origin, performance.now() + DISTRUST_MS);
    const [oldest] = this.distrusted.keys();
    if (this.distrusted.size > MAX_DISTRUSTED && oldest !== undefined) this.distrusted.delete(oldest);
  }

  /** There was no file for a new connection: half of the idle ones are closed, and for a moment no new one is tried. */
  outOfFiles(): void {
    for (let more = Math.ceil(this.idle.size / 2); more > 0; more--) this.discardFirst(this.idle);
    this.pause ??= setTimeout(() => {
      this.pause = undefined;
      this.serve();
    }, OUT_OF_FILES_MS);
  }

  /** Closes all of them. Nobody may ask for one any more. */
  async close(): Promise<void> {
    clearTimeout(this.pause);
    const clients = [...this.all].map(({ client }) => client);
    for (const connection of this.all) this.discard(connection);
    await Promise.all(clients.map((client) => client.destroy()));
  }

  private get hasRoom(): boolean {
    return this.all.size < this.options.maxOpen && this.pause === undefined;
  }

  private isDistrusted(origin: string): boolean {
    if (this.distrusted.size === 0) return false;
    const untilMs = this.distrusted.get(origin);
    if (untilMs === undefined) return false;
    if (untilMs > performance.now()) return true;
    this.distrusted.delete(origin);
    return false;
  }

  /** Those who wait longest first, as far as there are connections for them. */
  private serve(): void {
    for (const waiter of this.waiting) {
      const kept = this.kept(waiter);
      if (kept === undefined && !this.hasRoom) {
        this.discardFirst(this.idle);
        return;
      }
      this.waiting.delete(waiter);
      waiter.onConnection(kept ?? this.opened(waiter));
    }
  }

  private kept({ origin, identity, needsNew }: Waiter): Connection | undefined {
    if (needsNew) return undefined;
    const realm = identity === undefined ? this.usual : this.realms.get(identity);
    const idle = realm?.pools.get(origin)?.idle;
    for (let last = idle?.at(-1); last !== undefined; last = idle?.at(-1)) {
      this.leaveIdle(last);
      last.uses++;
      if (last.isClean) return last;
      this.discard(last);
    }
    return undefined;
  }

  private opened({ origin, identity }: Waiter): Connection {
    const realm = identity === undefined ? this.usual : this.realmOf(identity);
    let pool = realm.pools.get(origin);
    if (pool === undefined) {
      pool = { origin, realm, idle: [], open: 0 };
      realm.pools.set(origin, pool);
      this.origins++;
    }
    const connection = new Connection(pool, this.options.client, (closed) => this.discard(closed));
    pool.open++;
    this.all.add(connection);
    return connection;
  }

  private realmOf(identity: ClientIdentity): Realm {
    let realm = this.realms.get(identity);
    if (realm === undefined) {
      realm = { connect: this.options.connectorFor(identity), pools: new Map() };
      this.realms.set(identity, realm);
    }
    return realm;
  }

  private leaveIdle(connection: Connection): void {
    if (!connection.isIdle) return;
    const { idle } = connection.pool;
    connection.isIdle = false;
    this.idle.delete(connection);
    idle.splice(idle.lastIndexOf(connection), 1);
  }

  private discardFirst(idle: Iterable<Connection>): void {
    const [first] = idle;
    if (first !== undefined) this.discard(first);
  }

  private closed(connection: Connection): void {
    const { pool } = connection;
    this.all.delete(connection);
    pool.open--;
    if (pool.open === 0) {
      pool.realm.pools.delete(pool.origin);
      this.origins--;
    }
    this.serve();
  }
}

/** For requests that are settled already; one for all, since making an error costs a stack trace. */
const DISCARDED = new AttemptFailed({ code: 'aborted', message: 'The connection was given up.' });
