import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { eventually, repositoryRoot } from '@posthorn/testkit';

export const serviceNames = ['subscription-registry', 'event-ingestion', 'dispatcher', 'delivery-audit', 'gateway'] as const;
export type ServiceName = (typeof serviceNames)[number];

const READY_TIMEOUT_MS = 60_000;
const LOG_TAIL_LINES = 5;

export type ServiceOptions = {
  readonly name: ServiceName;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
};

/** One built service as a process of its own; a second `start` after its end is the restart that an orchestrator would make. */
export class Service {
  #process: ChildProcess | undefined;

  constructor(private readonly options: ServiceOptions) {
    mkdirSync(dirname(options.logFile), { recursive: true });
    closeSync(openSync(options.logFile, 'w'));
  }

  get url(): string {
    return `http://127.0.0.1:${this.options.port}`;
  }

  /** What it has logged, its former lives included. */
  get log(): string {
    return readFileSync(this.options.logFile, 'utf8');
  }

  /** Of its gRPC door, whose port is any that is free: as it told when it began to listen. */
  get grpcAddress(): string {
    const told = this.log.split('\n').findLast((line) => line.includes('"msg":"listening"'));
    const { grpc_port: port } = JSON.parse(told ?? '{}') as { readonly grpc_port?: number }; // a line of our own log
    if (port === undefined) throw new Error(`${this.options.name} has not told of a gRPC door`);
    return `127.0.0.1:${port}`;
  }

  /** Resolves when the service says that it is ready. Its end of our pipe closes with us, and it ends then. */
  async start(): Promise<void> {
    const { name, port, env, logFile } = this.options;
    const log = openSync(logFile, 'a');
    const main = join(repositoryRoot, 'apps', name, 'dist', 'main.js');
    const child = spawn(process.execPath, ['--enable-source-maps', main], {
      env: { ...process.env, ...env, PORT: String(port), GRPC_PORT: '0', HOST: '127.0.0.1', POSTHORN_EXIT_WITH_PARENT: 'true' },
      stdio: ['pipe', log, log],
    });
    closeSync(log);
    this.#process = child;
    const ready = await eventually(async () => hasEnded(child) || (await fetch(`${this.url}/readyz`)).ok, {
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: 50,
      describe: () => `${name} to be ready\n${this.#logTail()}`,
    });
    if (!ready || hasEnded(child)) throw new Error(`${name} ended at its start\n${this.#logTail()}`);
  }

  /** Resolves with the exit status (null after a signal that it did not handle) once the process is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#process;
    if (child === undefined) return null;
    if (!hasEnded(child)) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  }

  #logTail(): string {
    return readFileSync(this.options.logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;
