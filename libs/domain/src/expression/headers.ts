import { customHeaderFault, subscriptionLimits } from '@posthorn/contracts';
import { EvaluationFailed } from './meter.js';
import { typeName, type Members } from './value.js';

/**
 * The headers of a `request(body, headers)`, under lower-case names: by the rules of a subscription's own, and besides none that says who is sending,
 * because whoever publishes an event has a say in their values.
 * @throws {EvaluationFailed} with the name of the first that is wrong, never with its value
 */
export const headersOf = (members: Members): Readonly<Record<string, string>> => {
  const given = Object.entries(members);
  if (given.length > subscriptionLimits.headers) throw new EvaluationFailed(`a request has at most ${subscriptionLimits.headers} headers of a transform`);
  const headers = new Map<string, string>();
  for (const [name, value] of given) {
    if (typeof value !== 'string') throw new EvaluationFailed(`the header ${quoted(name)} is not a text but of type ${typeName(value)}`);
    const fault = customHeaderFault(name, value) ?? (CREDENTIALS.has(name.toLowerCase()) ? 'a transform does not say who is sending' : undefined);
    if (fault !== undefined) throw new EvaluationFailed(`the header ${quoted(name)} cannot be sent: ${fault}`);
    if (headers.has(name.toLowerCase())) throw new EvaluationFailed(`the header ${quoted(name)} is there twice`);
    headers.set(name.toLowerCase(), value);
  }
  return Object.fromEntries(headers);
};

const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie']);

const quoted = (name: string): string => JSON.stringify(name.slice(0, 128));
