import { hash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { JsonSchema } from '@posthorn/contracts';
import { compileSchema, GenerationCache, type Validate } from '@posthorn/domain';

/** A schema as it is kept: the same object for as long as anybody has the same schema. */
export type KeptSchema = {
  readonly digest: string;
  /** Deflated. Most schemas are not looked at for most of the time, and there may be half a million. */
  readonly packed: Buffer;
  /** Of the text. */
  readonly bytes: number;
};

type Entry = { readonly kept: KeptSchema; holders: number };

/** Twice as many validators are held at most: some 200 MB of them. */
const GENERATION = 1_000;
/** Of schema text; a validator takes about fifty times as much. */
const GENERATION_BYTES = 2 * 1024 * 1024;

/** The schemas that there are, equal ones once, whoever they belong to: tenants of one platform tend to have the same catalogue. */
export class Schemas {
  readonly #entries = new Map<string, Entry>();
  readonly #validators = new GenerationCache<KeptSchema, Validate>(GENERATION, validatorOf, { of: ({ bytes }) => bytes, most: GENERATION_BYTES });
  #packedBytes = 0;

  /** Of what is kept. */
  get packedBytes(): number {
    return this.#packedBytes;
  }

  /** To be released by whoever no longer needs it. */
  keep(schema: JsonSchema): KeptSchema {
    const text = Buffer.from(JSON.stringify(schema));
    const digest = hash('sha256', text, 'base64');
    const entry = this.#entries.get(digest);
    if (entry !== undefined) {
      entry.holders++;
      return entry.kept;
    }
    // In a store of its own: zlib hands out the beginning of 16 KiB, and what is small shares a pool that lives as long as its last.
    const deflated = deflateRawSync(text);
    const packed = Buffer.allocUnsafeSlow(deflated.length);
    deflated.copy(packed);
    this.#packedBytes += packed.length;
    const kept = { digest, packed, bytes: text.length };
    this.#entries.set(digest, { kept, holders: 1 });
    return kept;
  }

  release({ digest, packed }: KeptSchema): void {
    const entry = this.#entries.get(digest);
    if (entry === undefined || --entry.holders > 0) return;
    this.#entries.delete(digest);
    this.#packedBytes -= packed.length;
  }

  /** Compiled when it is first asked for; kept, within bounds, while it is in use. */
  validatorOf(schema: KeptSchema): Validate {
    return this.#validators.get(schema);
  }
}

/** The registry has compiled it before. Should it not compile here, nothing fits: what the tenant's policy lets in has been judged. */
const validatorOf = ({ packed }: KeptSchema): Validate => {
  // Written by `keep`, of a schema.
  const compiled = compileSchema(JSON.parse(inflateRawSync(packed).toString()) as JsonSchema);
  if (compiled.kind === 'compiled') return compiled.validate;
  const [{ path, message } = { path: 'schema', message: 'cannot be compiled' }] = compiled.errors;
  return () => ({ valid: false, errors: [{ path: 'data', message: `cannot be judged: ${path} ${message}` }] });
};
