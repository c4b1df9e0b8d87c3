import { isDeepStrictEqual } from 'node:util';
import { eventTypeLimits, type EventTypeState, type ImportedChange, type JsonSchema } from '@posthorn/contracts';
import {
  breakingChanges,
  compileSchema,
  fault,
  isDeeperThan,
  jsonBytes,
  schemaLimits,
  type EventTypeContent,
  type Fault,
  type Place,
} from '@posthorn/domain';

/** What is wrong with a type by itself. `at` is where `schema` and `example` are in what was sent. */
export const faultsOfContent = (
  { schema, example }: { readonly schema?: JsonSchema | undefined; readonly example?: unknown },
  at: Place = [],
): readonly Fault[] => {
  const compiled = schema === undefined ? undefined : compileSchema(schema, [...at, 'schema']);
  const place = [...at, 'example'];
  const faults = compiled?.kind === 'refused' ? compiled.errors : [];
  if (example === undefined) return faults;
  if (isDeeperThan(example, schemaLimits.depth)) return [...faults, fault(place, `is nested more than ${schemaLimits.depth} levels deep`)];
  if (jsonBytes(example) > eventTypeLimits.exampleBytes) return [...faults, fault(place, `is larger than ${eventTypeLimits.exampleBytes / 1024} KiB`)];
  if (compiled?.kind !== 'compiled') return faults;
  const verdict = compiled.validate(example, place);
  return verdict.valid ? faults : verdict.errors;
};

export type WantedContent = Omit<EventTypeContent, 'version'>;

/** Which version the schema is to have: that which was asked for, or the next one if need be, or the present one. */
export type WantedVersion = number | 'next if it breaks' | undefined;

export type Plan =
  | { readonly kind: 'put'; readonly action: Exclude<ImportedChange['action'], 'refused'>; readonly content: EventTypeContent; readonly reasons: readonly Fault[] }
  | { readonly kind: 'refused'; readonly errors: readonly Fault[]; readonly why: 'breaks' | 'version' | 'content' };

/**
 * What putting this content means for the type there is. A schema that breaks needs another version; any put may ask for one.
 * @param at where the members of the type are in what was sent
 */
export const planOf = (present: EventTypeState | undefined, wanted: WantedContent, version: WantedVersion, at: Place = []): Plan => {
  if (!present) {
    if (typeof version === 'number' && version !== 1) return wrongVersion('is 1 for a type that is new', at);
    return { kind: 'put', action: 'create', content: { ...wanted, version: 1 }, reasons: [] };
  }
  const next = present.version + 1;
  const reasons = breakingChanges(present.schema, wanted.schema, [...at, 'schema']);
  if (typeof version === 'number' && version !== present.version && version !== next) {
    return wrongVersion(`is ${present.version} now, and can become ${next}`, at);
  }
  if (version === next || (version === 'next if it breaks' && reasons.length > 0)) {
    return { kind: 'put', action: 'new_version', content: { ...wanted, version: next }, reasons };
  }
  if (reasons.length > 0) return { kind: 'refused', errors: reasons, why: 'breaks' };
  const content = { ...wanted, version: present.version };
  return { kind: 'put', action: isSame(present, content) ? 'unchanged' : 'update', content, reasons };
};

const wrongVersion = (message: string, at: Place): Plan => ({ kind: 'refused', errors: [fault([...at, 'version'], message)], why: 'version' });

const isSame = (present: EventTypeState, content: EventTypeContent): boolean =>
  (['description', 'schema', 'example', 'archived', 'version'] as const).every((member) => isDeepStrictEqual(present[member], content[member]));
