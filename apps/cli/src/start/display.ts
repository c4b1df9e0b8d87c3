import type { WriteStream } from 'node:tty';
import colors from 'picocolors';

export type RowState = 'waiting' | 'running' | 'done' | 'failed';
export type Row = { readonly label: string; state: RowState; startedMs: number; tookMs: number; note: string };

const MARKS: Readonly<Record<RowState, string>> = { waiting: '·', running: '·', done: '✓', failed: '✗' };
const FRAME_MS = 100;
const LABEL_WIDTH = 23;

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`.padStart(7);

/** One line of the board; the elapsed time runs while the step does. */
export const rowText = ({ label, state, startedMs, tookMs, note }: Row, nowMs: number, paint: ReturnType<typeof colors.createColors>): string => {
  const time = state === 'waiting' ? ' '.repeat(7) : seconds(state === 'running' ? nowMs - startedMs : tookMs);
  const mark = { waiting: paint.gray, running: paint.cyan, done: paint.green, failed: paint.red }[state](MARKS[state]);
  return `  ${mark} ${label.padEnd(LABEL_WIDTH)} ${paint.gray(time)}   ${paint.gray(note)}`.trimEnd();
};

export type Step = {
  /** What is going on within the step. */
  note(text: string): void;
  done(note?: string): void;
  failed(): void;
};

/**
 * Steps that go on side by side. On a terminal each has a line that lives until the last has ended; in a pipe each is one plain
 * line when it has ended.
 */
export class Board {
  readonly #rows: Row[] = [];
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly out: NodeJS.WriteStream | WriteStream,
    private readonly paint: ReturnType<typeof colors.createColors>,
  ) {}

  add(label: string): Step {
    const row: Row = { label, state: 'running', startedMs: performance.now(), tookMs: 0, note: '' };
    this.#rows.push(row);
    if (this.out.isTTY) this.#timer ??= setInterval(() => this.#draw(), FRAME_MS);
    const end = (state: RowState) => {
      row.state = state;
      row.tookMs = performance.now() - row.startedMs;
      if (this.out.isTTY) this.#draw();
      else this.out.write(`${rowText(row, performance.now(), this.paint)}\n`);
    };
    return {
      note: (text) => {
        row.note = text;
      },
      done: (note = '') => {
        row.note = note;
        end('done');
      },
      failed: () => end('failed'),
    };
  }

  /** Leaves what is drawn where it is. */
  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
  }

  #draw(): void {
    const width = this.out.columns || 80;
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '';
    // A line that wraps would make the count of lines to go back wrong; colours do not count for its width.
    const lines = this.#rows.map((row) => `\x1b[K${rowText({ ...row, note: row.note.slice(0, Math.max(0, width - LABEL_WIDTH - 16)) }, performance.now(), this.paint)}\n`);
    this.out.write(up + lines.join(''));
    this.#drawn = this.#rows.length;
  }
}
