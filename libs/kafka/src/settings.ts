import kafkajs, { type ISocketFactory, type KafkaConfig, type SASLOptions } from 'kafkajs';
import { connect as connectPlain, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type SaslSettings = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
};

export type KafkaSettings = {
  readonly brokers: readonly string[];
  readonly ssl: boolean;
  readonly sasl?: SaslSettings | undefined;
  readonly clientId: string;
  readonly topicPrefix: string;
};

type Log = (fields: object, message: string) => void;

/** What this library needs of a logger; pino has it. */
export type Logger = { readonly debug: Log; readonly info: Log; readonly warn: Log; readonly error: Log; readonly fatal: Log };

const KEEP_ALIVE_MS = 60_000;

/** Nagle's algorithm off: a request that follows another on the same connection would wait up to 40 ms for a delayed acknowledgement. */
const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const socket = ssl
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...(typeof ssl === 'object' ? ssl : {}) }, onConnect)
    : connectPlain({ host, port }, onConnect);
  socket.setNoDelay(true);
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
};

/**
 * Attempts end within about 3 s, so that our own loops, which never give up, notice a broker that is back, and so that a crashed
 * consumer is restarted soon.
 */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, multiplier: 2, factor: 0.2, retries: 5 } as const;

const saslOptions = ({ mechanism, username, password }: SaslSettings): SASLOptions => ({ mechanism, username, password });

export const clientConfig = (
  { brokers, ssl, sasl, clientId }: KafkaSettings,
  log: Logger,
  sockets: ISocketFactory = socketFactory,
): KafkaConfig => ({
  brokers: [...brokers],
  clientId,
  ssl,
  ...(sasl && { sasl: saslOptions(sasl) }),
  connectionTimeout: 3_000,
  requestTimeout: 30_000,
  retry: RETRY,
  socketFactory: sockets,
  logLevel: kafkajs.logLevel.INFO,
  logCreator: clientLog(log),
});

/**
 * The client's log, for whoever looks closely: what it calls an error is one attempt of many, and this library says in its own words when
 * something has really failed. Its debug level holds whole requests and responses and is never let through.
 */
const clientLog =
  (log: Logger): NonNullable<KafkaConfig['logCreator']> =>
  () =>
  ({ namespace, level, label, log: { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...fields } }) => {
    if (level > kafkajs.logLevel.INFO) return;
    log.debug({ ...fields, client: namespace, label }, `kafka client: ${message}`);
  };
