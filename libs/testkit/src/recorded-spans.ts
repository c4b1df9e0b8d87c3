type Start = { readonly name: string; readonly parent?: string | undefined };
type End = { readonly attributes: object; readonly error?: string | undefined };
type Recorded = { readonly start: Start; readonly end: End; readonly traceparent: string };

/** Spans for specs: kept instead of exported, numbered as they begin, every failure recorded. What it has is what `Tracing` of the service kit has. */
export class RecordedSpans {
  readonly all: Recorded[] = [];
  #spans = 0;

  /** Of the trace `a…`, where there is no parent. */
  constructor(private readonly ofOwn: '00' | '01' = '01') {}

  readonly open = (start: Start): { traceparent: string; end: (end: End) => void } | undefined => {
    if (start.parent?.endsWith('0')) return undefined;
    const traceparent = this.#next(start, start.parent === undefined ? this.ofOwn : '01');
    return { traceparent, end: (end) => void ((traceparent.endsWith('1') || end.error !== undefined) && this.all.push({ start, end, traceparent })) };
  };

  readonly wants = (traceparent: string | undefined, hasFailed: boolean): boolean => hasFailed || traceparent?.endsWith('1') === true;

  readonly record = (start: Start, end: End): string => {
    const traceparent = this.#next(start, '01');
    this.all.push({ start, end, traceparent });
    return traceparent;
  };

  #next({ parent }: Start, flags: '00' | '01'): string {
    this.#spans += 1;
    return `00-${parent?.slice(3, 35) ?? 'a'.repeat(32)}-${String(this.#spans).padStart(16, '0')}-${flags}`;
  }
}
