import { isJsonMediaType, type Envelope } from '@posthorn/contracts';
import type { Members, Value } from './value.js';

/**
 * What an expression sees of an event: `event`, its attributes under the names that publishing gives them, and `data`. Each is made when
 * the first expression asks for it, and once for all of them. Data that is not JSON is null.
 */
export class EventInput {
  readonly #envelope: Envelope;
  readonly #bytes: Uint8Array;
  #event: Members | undefined;
  #data: Value | undefined;

  constructor(envelope: Envelope, data: Uint8Array) {
    this.#envelope = envelope;
    this.#bytes = data;
  }

  get event(): Members {
    this.#event ??= attributesOf(this.#envelope);
    return this.#event;
  }

  get data(): Value {
    this.#data ??= isJsonMediaType(this.#envelope.datacontenttype) ? parsed(this.#bytes) : null;
    return this.#data;
  }
}

const attributesOf = ({ id, tenant, type, source, time, subject, partitionkey, datacontenttype, headers, context }: Envelope): Members => ({
  id,
  tenant,
  type,
  source,
  time: new Date(time),
  ...(subject !== undefined && { subject }),
  ...(partitionkey !== undefined && { key: partitionkey }),
  content_type: datacontenttype ?? 'application/json',
  headers: headers ?? {},
  ...(context !== undefined && { context: context as Value }), // JSON, as everything in an envelope.
});

const decoder = new TextDecoder();

/** What was accepted as JSON is JSON; no data at all is null. */
const parsed = (bytes: Uint8Array): Value => (bytes.length === 0 ? null : (JSON.parse(decoder.decode(bytes)) as Value));
