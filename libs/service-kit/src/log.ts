import type { LoggerService } from '@nestjs/common';
import { pino, stdSerializers, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';

export type Log = Logger;

/** Whatever is called like a secret is one, at any depth, however it is spelled: `client_secret`, `X-Api-Key`, `adminApiKey`. */
const SECRET_NAME = /(?:authorization|cookie|secrets?|password|(?:api|private|encryption)[-_]?keys?|(?:auth|access|refresh|portal)[-_]?token|otlp_headers|^token)$/i;
const REDACTED = '[redacted]';
/** Deeper than anything that is logged on purpose; ends the walk in cyclic values. */
const DEPTH = 8;

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

const redact = (value: unknown, depth: number): unknown => {
  if (typeof value !== 'object' || value === null || depth === 0) return value;
  if (Array.isArray(value)) return value.map((element: unknown) => redact(element, depth - 1));
  if (!isPlain(value)) return value;
  return redactMembers(value, depth);
};

const redactMembers = (value: object, depth: number): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, unknown]) => [
      name,
      SECRET_NAME.test(name) && member !== undefined && member !== null ? REDACTED : redact(member, depth - 1),
    ]),
  );

/** One JSON object per line on standard output. Secrets are redacted in what a line is given, not in a child logger's bindings. */
export const createLog = (service: string, level: string, destination?: DestinationStream): Log =>
  pino(
    {
      level,
      base: { service },
      timestamp: stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redactMembers(fields, DEPTH),
      },
      // An error carries members of its own (a client's has the request's headers), out of reach of the formatter.
      serializers: { err: (error: Error) => redact({ ...stdSerializers.err(error) }, DEPTH) },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );

/** Nest's own lines as pino lines. Its start-up chatter (every module, every route) is debug to us. */
export class NestLog implements LoggerService {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.#write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.#write('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.#write('trace', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.#write('fatal', message, rest);
  }

  /** Nest's convention: what follows the message is, in this order and each optional, a stack and the context's name. */
  #write(level: 'trace' | 'debug' | 'warn' | 'error' | 'fatal', message: unknown, rest: readonly unknown[]): void {
    const context = rest.at(-1);
    const stack = rest.length > 1 ? rest[0] : undefined;
    const fields = {
      ...(typeof context === 'string' && { context }),
      ...(typeof stack === 'string' && { stack }),
      ...(message instanceof Error && { err: message }),
    };
    this.#log[level](fields, message instanceof Error ? message.message : text(message));
  }
}

const text = (message: unknown): string => (typeof message === 'string' ? message : JSON.stringify(message));
