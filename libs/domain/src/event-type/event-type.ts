import { isDeepStrictEqual } from 'node:util';
import type { EventTypeState } from '@posthorn/contracts';
import { isEmpty } from '../changes.js';
import { CommandRefused, type Decider, type Fact } from '../decider.js';
import { existing, unknownEvent, type NotThere } from '../lifetime.js';

export type EventType = NotThere | EventTypeState;

/** What the catalogue says about a type. */
export type EventTypeContent = Readonly<
  Pick<EventTypeState, 'description' | 'schema' | 'example' | 'archived' | 'version'>
>;

export type EventTypeCommand =
  | {
      /** The whole content: what is absent is removed. Whether a schema breaks was decided before: `version` tells. */
      readonly kind: 'put';
      readonly tenant: string;
      readonly name: string;
      readonly content: EventTypeContent;
      readonly at: string;
    }
  | { readonly kind: 'delete'; readonly at: string };

const removable = ['schema', 'example'] as const;

export type EventTypeCreated = Fact<
  'EventTypeCreated',
  { readonly id: string; readonly tenant: string; readonly name: string } & EventTypeContent
>;
/** Holds only what changed. What went is listed by name, because null is a possible example. */
export type EventTypeUpdated = Fact<
  'EventTypeUpdated',
  Partial<EventTypeContent> & { readonly removed?: readonly (typeof removable)[number][] }
>;
export type EventTypeDeleted = Fact<'EventTypeDeleted', Readonly<Record<string, never>>>;

export type EventTypeEvent = EventTypeCreated | EventTypeUpdated | EventTypeDeleted;

/** A type's id: a name is unique within its tenant. It is the user's own word, so after a deletion it may be put again, from version 1 on. */
export const eventTypeId = (tenant: string, name: string): string => `${tenant}/${name}`;

/** A type begins at 1; after that a put leaves the version or makes the next one. */
const expectVersion = (version: number, present: number): void => {
  if (version === Math.max(present, 1) || (present > 0 && version === present + 1)) return;
  const allowed = present === 0 ? 'the first version is 1' : `version is ${present}: it stays or becomes ${present + 1}`;
  throw new CommandRefused('invalid', `${allowed}, not ${version}`);
};

const changesOf = (present: EventTypeState, wanted: EventTypeContent): EventTypeUpdated['data'] => {
  const replaced: Partial<EventTypeContent> = {};
  for (const member of ['description', 'schema', 'example', 'archived', 'version'] as const) {
    const value = wanted[member];
    if (value !== undefined && !isDeepStrictEqual(value, present[member])) Object.assign(replaced, { [member]: value });
  }
  const removed = removable.filter((member) => wanted[member] === undefined && present[member] !== undefined);
  return { ...replaced, ...(removed.length > 0 && { removed }) };
};

const decide = (command: EventTypeCommand, state: EventType): readonly EventTypeEvent[] => {
  const { at } = command;
  switch (command.kind) {
    case 'put': {
      const { tenant, name, content } = command;
      const id = eventTypeId(tenant, name);
      if (state.kind !== 'event_type') {
        expectVersion(content.version, 0);
        return [{ type: 'EventTypeCreated', data: { id, tenant, name, ...content }, at }];
      }
      expectVersion(content.version, state.version);
      const data = changesOf(state, content);
      return isEmpty(data) ? [] : [{ type: 'EventTypeUpdated', data, at }];
    }
    case 'delete':
      existing(state, 'event type');
      return [{ type: 'EventTypeDeleted', data: {}, at }];
  }
};

const evolve = (state: EventType, event: EventTypeEvent): EventType => {
  switch (event.type) {
    case 'EventTypeCreated':
      return { kind: 'event_type', ...event.data, created_at: event.at, updated_at: event.at };
    case 'EventTypeUpdated': {
      const { removed = [], ...replaced } = event.data;
      const next = { ...existing(state, 'event type'), ...replaced, updated_at: event.at };
      for (const member of removed) delete next[member];
      return next;
    }
    case 'EventTypeDeleted':
      return { kind: 'deleted' };
    default:
      return unknownEvent(event, 'an event type');
  }
};

export const eventType: Decider<EventTypeCommand, EventType, EventTypeEvent> = {
  initialState: { kind: 'absent' },
  decide,
  evolve,
};
