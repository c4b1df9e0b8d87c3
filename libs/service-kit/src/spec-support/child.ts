import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export type Line = { readonly msg: string; readonly [field: string]: unknown };

const HERE = new URL('.', import.meta.url);

/** A process of a test that runs TypeScript sources: its log lines as they come, and how it ends. */
export class Child {
  readonly process: ChildProcessWithoutNullStreams;
  readonly lines: Line[] = [];
  stderr = '';
  readonly exitCode: Promise<number | null>;
  #rest = '';

  constructor(script: string, env: Readonly<Record<string, string>> = {}) {
    const hooks = new URL('typescript-sources.mjs', HERE).href;
    this.process = spawn(
      process.execPath,
      ['--conditions', '@posthorn/source', '--no-warnings', '--import', hooks, fileURLToPath(new URL(script, HERE))],
      { env: { PATH: process.env['PATH'], ...env } },
    );
    this.process.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exitCode = once(this.process, 'close').then(([code]) => code as number | null);
  }

  /** The first line with this message, now or when it comes. */
  async line(message: string): Promise<Line> {
    for (;;) {
      const found = this.lines.find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      const ended = await Promise.race([once(this.process.stdout, 'data').then(() => false), this.exitCode.then(() => true)]);
      if (ended) throw new Error(`the process ended without saying "${message}": ${this.stderr}${JSON.stringify(this.lines)}`);
    }
  }

  get messages(): readonly string[] {
    return this.lines.map(({ msg, step }) => (typeof step === 'string' ? `${msg}: ${step}` : msg));
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    this.lines.push(...lines.map((line) => JSON.parse(line) as Line));
  }
}
