import type { Fault, Validate } from '@posthorn/domain';
import type { Accepted } from '../acceptance/accept.js';
import { type Refusal, refuse } from '../acceptance/draft.js';
import type { KnownType, Policy } from './catalogue.js';
import type { KeptSchema } from './schemas.js';

/** Let in, with what was found and is only warned of. */
export type Admitted = { readonly kind: 'admitted'; readonly event: Accepted; readonly warnings: readonly Fault[] };
export type Ruling = Admitted | Refusal;

/** What the catalogue has of an event's type. */
export type Lookup = {
  /** Undefined: no such tenant. */
  readonly policy: Policy | undefined;
  /** Undefined: no such type. */
  readonly type: KnownType | undefined;
};

const NONE: readonly Fault[] = [];
const NOT_JSON: readonly Fault[] = [{ path: 'data', message: 'is not JSON, which the schema of its type is about' }];

/** Whether more than what is known so far is needed: what is not known may just have been made. */
export const isUnknown = ({ policy, type }: Lookup): boolean =>
  policy === undefined || (type === undefined && policy.unknown_event_types === 'reject');

/**
 * By the tenant's policy, as it and the type are known now. A type that nobody knows has no schema.
 * @param value the data as `JSON.parse` gives it, so numbers are what JavaScript makes of them; undefined when it is not JSON
 */
export const ruleOn = (event: Accepted, value: unknown, { policy, type }: Lookup, validatorOf: (schema: KeptSchema) => Validate): Ruling => {
  const { tenant, type: name } = event.envelope;
  if (policy === undefined) return refusalOf(event, refuse('unknown_tenant', `there is no tenant ${tenant}`, event.tenantPath));
  if (type === undefined && policy.unknown_event_types === 'reject') {
    return refusalOf(event, refuse('unknown_event_type', `there is no event type ${name}`, event.typePath));
  }
  const isJudged = type !== undefined && type !== 'no schema' && policy.schema_policy !== 'off';
  const faults = isJudged ? faultsOf(value, validatorOf(type)) : NONE;
  const [first] = faults;
  if (first === undefined || policy.schema_policy !== 'reject') return { kind: 'admitted', event, warnings: faults };
  const message = `data does not fit the schema of ${name}: ${first.path} ${first.message}`;
  return { ...refusalOf(event, refuse('schema_violation', message, first.path)), errors: faults };
};

const faultsOf = (value: unknown, validate: Validate): readonly Fault[] => {
  if (value === undefined) return NOT_JSON;
  const verdict = validate(value);
  return verdict.valid ? NONE : verdict.errors;
};

const refusalOf = ({ envelope: { tenant, id } }: Accepted, refusal: Refusal): Refusal => ({ ...refusal, tenant, eventId: id });
