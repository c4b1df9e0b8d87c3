import type { AggregateState } from '@posthorn/contracts';
import { apiKey, eventType, fold, portalKey, subscription, tenant, type NotThere } from '@posthorn/domain';
import type { NewEvent } from '@posthorn/event-store';
import type { Pool } from 'pg';

type State = AggregateState | NotThere;

/** An aggregate as its events alone have it: told by the rules of the domain, and by nothing of the registry's. */
export type Folded = {
  readonly kind: string;
  readonly id: string;
  /** How many events it has. */
  readonly version: number;
  readonly state: State;
};

type StoredEvent = NewEvent & { readonly stream: string; readonly version: number; readonly position: number };

// `evolve` as a method, so that rules for different states stand in one table: each meets events of its own kind only.
const rules: Readonly<Record<string, { readonly initialState: State; evolve(state: State, event: NewEvent): State }>> = {
  tenant,
  event_type: eventType,
  subscription,
  api_key: apiKey,
  portal_key: portalKey,
};

/** What is in the table of events, in order. */
export const storedEvents = async (pool: Pool): Promise<readonly StoredEvent[]> => {
  const { rows } = await pool.query<StoredEvent & { readonly at: Date }>(
    'select stream, version, position::integer as position, type, data, at from registry.events order by position',
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
};

/** Every aggregate there is or was, in the order of their first events. */
export const foldedFrom = (events: readonly StoredEvent[]): readonly Folded[] => {
  const streams = new Map<string, StoredEvent[]>();
  for (const event of events) streams.set(event.stream, [...(streams.get(event.stream) ?? []), event]);
  return [...streams].map(([stream, history]) => {
    const slash = stream.indexOf('/');
    const kind = stream.slice(0, slash);
    const decider = rules[kind];
    if (!decider) throw new TypeError(`no rules for ${stream}`);
    return { kind, id: stream.slice(slash + 1), version: history.length, state: fold(decider, history) };
  });
};
