import { isJsonMediaType } from '@posthorn/contracts';
import type { Acceptable, Accepted } from '../acceptance/accept.js';
import type { Catalogue } from './catalogue.js';
import type { ReadFresh } from './reading.js';
import { isUnknown, type Lookup, ruleOn, type Ruling } from './ruling.js';
import type { Schemas } from './schemas.js';
import type { Violations } from './violations.js';

export type AdmissionOptions = {
  readonly catalogue: Catalogue;
  readonly schemas: Schemas;
  readonly violations: Violations;
  /** How far `registry.state` has been folded. */
  readonly position: () => number;
  /** What it fails with, those fail with who asked. */
  readonly readFresh: ReadFresh;
};

const ignore = (): void => undefined;

/**
 * One door's way to what the registry says. Mostly that is known, and the answer is there at once. It is not when the tenant, or a
 * type that its tenant wants to be known, is unknown so far, or when the producer has changed something and says at which position:
 * then `registry.state` is read first. Meanwhile the tenant's later events wait behind, so that all leave in the order in which they
 * came; other tenants' do not.
 */
export class Admission {
  /** By tenant: settles when the last of those who wait has had its turn. */
  readonly #lines = new Map<string, Promise<void>>();
  #waitingBytes = 0;
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Of data of events that wait. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /**
   * For requests about a tenant, before there is an event.
   * @param startedMs when the request arrived, by performance.now()
   */
  async hasTenant(tenant: string, startedMs: number): Promise<boolean> {
    const { catalogue, readFresh } = this.#options;
    if (catalogue.policyOf(tenant) === undefined) await readFresh(startedMs);
    return catalogue.policyOf(tenant) !== undefined;
  }

  /**
   * @param use what becomes of the event: called synchronously, at once or when it is the event's turn. Its own promise is not waited for
   * by those behind.
   * @param startedMs when the event arrived, by performance.now()
   * @throws what `readFresh` fails with; then `use` was not called
   */
  admit<T>({ value, ...event }: Acceptable, use: (ruling: Ruling) => Promise<T>, startedMs: number): Promise<T> {
    const lookup = this.#lookup(event);
    const mustRead = isUnknown(lookup) || Number(event.registryPosition ?? 0) > this.#options.position();
    const before = this.#lines.get(event.envelope.tenant);
    if (!mustRead && before === undefined) return use(this.#rule(event, value, lookup));
    return this.#wait(event, use, before, mustRead ? this.#options.readFresh(startedMs) : undefined);
  }

  /** What it waits with is the text of the data: parsed, it may take many times as much. */
  #wait<T>(event: Accepted, use: (ruling: Ruling) => Promise<T>, before: Promise<void> | undefined, reading: Promise<void> | undefined): Promise<T> {
    const { tenant } = event.envelope;
    const turn = this.#turn(event, use, before, reading);
    const line = turn.then(ignore, ignore);
    this.#lines.set(tenant, line);
    void line.then(() => {
      if (this.#lines.get(tenant) === line) this.#lines.delete(tenant);
    });
    return turn.then(({ ended }) => ended);
  }

  async #turn<T>(event: Accepted, use: (ruling: Ruling) => Promise<T>, before: Promise<void> | undefined, reading: Promise<void> | undefined) {
    this.#waitingBytes += event.data.length;
    try {
      // Both to the end: one who cannot be answered leaves the line no sooner than those before.
      const [, read] = await Promise.allSettled([before, reading]);
      if (read.status === 'rejected') throw read.reason;
    } finally {
      this.#waitingBytes -= event.data.length;
    }
    return { ended: use(this.#rule(event, parsed(event), this.#lookup(event))) };
  }

  #lookup({ envelope: { tenant, type } }: Accepted): Lookup {
    const { catalogue } = this.#options;
    return { policy: catalogue.policyOf(tenant), type: catalogue.typeOf(tenant, type) };
  }

  #rule(event: Accepted, value: unknown, lookup: Lookup): Ruling {
    const { schemas, violations } = this.#options;
    const ruling = ruleOn(event, value, lookup, (schema) => schemas.validatorOf(schema));
    if (ruling.kind === 'admitted') {
      if (ruling.warnings.length > 0) violations.warned(event.envelope, ruling.warnings);
    } else if (ruling.code === 'schema_violation') violations.rejected();
    return ruling;
  }
}

/** The bytes have been parsed once and found to be JSON. */
const parsed = ({ data, envelope }: Accepted): unknown => (isJsonMediaType(envelope.datacontenttype) ? JSON.parse(data.toString()) : undefined);
