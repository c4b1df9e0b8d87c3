/** One of Server-Sent Events, as a browser would hand it over; `data` is parsed. */
export type ServerSentEvent = { readonly name: string; readonly id: string | undefined; readonly data: unknown };

/** A client of Server-Sent Events that reads when it is asked, and not before. */
export class EventStream {
  #text = '';
  #id: string | undefined;

  private constructor(
    readonly headers: Headers,
    private readonly reader: ReadableStreamDefaultReader<string>,
    private readonly abort: () => void,
  ) {}

  /** Resolves once the first place was told: whatever happens from then on is in the stream. @throws {Error} when it is refused */
  static async open(url: string, headers: Readonly<Record<string, string>>): Promise<EventStream> {
    const abort = new AbortController();
    const response = await fetch(url, { headers, signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`the stream was refused: ${response.status} ${await response.text()}`);
    const stream = new EventStream(response.headers, response.body.pipeThrough(new TextDecoderStream()).getReader(), () => abort.abort());
    while (stream.#id === undefined) stream.#handle(await stream.#block());
    return stream;
  }

  /** The next event. @throws {Error} when the stream has ended before one */
  async next(): Promise<ServerSentEvent> {
    for (;;) {
      const event = this.#handle(await this.#block());
      if (event) return event;
    }
  }

  close(): void {
    this.abort();
  }

  async #block(): Promise<readonly string[]> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return block.split('\n');
      }
      const { value, done } = await this.reader.read();
      if (done) throw new Error('the stream has ended');
      this.#text += value;
    }
  }

  #handle(lines: readonly string[]): ServerSentEvent | undefined {
    const fields = new Map(lines.filter((line) => !line.startsWith(':')).map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]));
    this.#id = fields.get('id') ?? this.#id;
    const data = fields.get('data');
    return data === undefined ? undefined : { name: fields.get('event') ?? 'message', id: fields.get('id'), data: JSON.parse(data) };
  }
}
