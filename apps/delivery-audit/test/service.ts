import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { eventually, NODE_FLAGS } from '@posthorn/testkit';

/** The administrator's. */
export const KEY = 'phk_0123456789abcdef';

export type Answer = { readonly status: number; readonly headers: Headers; readonly text: string; readonly body: never };

export type Request = {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly key?: string | undefined;
};

/** A built service as a process of its own, on a free port. */
export class Service {
  readonly #process: ChildProcess;
  readonly url: Promise<string>;
  /** Of gRPC. */
  readonly grpcAddress: Promise<string>;
  /** What it logged, line by line. */
  readonly log: string[] = [];
  readonly exit: Promise<number | null>;

  constructor(
    name: 'delivery-audit' | 'event-ingestion',
    settings: { readonly databaseUrl: string; readonly topicPrefix: string; readonly eventIngestionUrl?: string | undefined },
  ) {
    this.#process = spawn(process.execPath, [...NODE_FLAGS, new URL(`../../${name}/dist/main.js`, import.meta.url).pathname], {
      env: {
        ...process.env,
        PORT: '0',
        GRPC_PORT: '0',
        HOST: '127.0.0.1',
        POSTHORN_DATABASE_URL: settings.databaseUrl,
        POSTHORN_TOPIC_PREFIX: settings.topicPrefix,
        ...(settings.eventIngestionUrl !== undefined && { POSTHORN_EVENT_INGESTION_URL: settings.eventIngestionUrl }),
        POSTHORN_ADMIN_API_KEY: KEY,
        POSTHORN_EXIT_WITH_PARENT: 'true',
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // Not 'exit', which comes when lines may still be on their way here.
    this.exit = once(this.#process, 'close').then(([code]) => code as number | null);
    const listening = new Promise<{ readonly port?: number; readonly grpc_port?: number }>((resolve, reject) => {
      createInterface({ input: this.#process.stdout ?? process.stdin }).on('line', (line) => {
        this.log.push(line);
        const told = JSON.parse(line) as { msg: string; port?: number; grpc_port?: number };
        if (told.msg === 'listening') resolve(told);
      });
      void this.exit.then(() => reject(new Error(`the service ended before it listened:\n${this.log.join('\n')}`)));
    });
    this.url = listening.then(({ port }) => `http://127.0.0.1:${port}`);
    this.grpcAddress = listening.then(({ grpc_port }) => `127.0.0.1:${grpc_port}`);
    this.url.catch(() => undefined);
    this.grpcAddress.catch(() => undefined);
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return headers === undefined ? this.ask(path) : this.ask(path, { headers, key: undefined });
  }

  /** With the admin key, unless another is given, or none. */
  async ask(path: string, { method = 'GET', headers, body, ...rest }: Request = {}): Promise<Answer> {
    const { key } = { key: KEY, ...rest };
    const response = await fetch((await this.url) + path, {
      method,
      headers: { ...(key !== undefined && { authorization: `Bearer ${key}` }), ...headers },
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parsed(text) as never };
  }

  async ready(): Promise<void> {
    await eventually(async () => (await this.get('/readyz')).status === 200, { timeoutMs: 20_000, describe: () => this.log.join('\n') });
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    this.#process.kill(signal);
    return this.exit;
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
