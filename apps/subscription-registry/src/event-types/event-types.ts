import { setImmediate } from 'node:timers/promises';
import {
  EVENT_TYPE_NAME,
  TENANT_ID,
  type EventTypeState,
  type EventTypeView,
  type ImportedChange,
  type ImportEventTypesBody,
  type ImportResult,
  type Page,
  type PutEventTypeBody,
} from '@posthorn/contracts';
import { eventType, eventTypeId, type EventType, type EventTypeEvent, type Fault, type ImportedType } from '@posthorn/domain';
import type { EventStore } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase } from 'pg';
import { changeOf, type Aggregates } from '../aggregates.js';
import { asking } from '../database.js';
import { invalid, refuseInvalid } from '../invalid.js';
import { pageOf, type PageRequest } from '../page.js';
import type { Standing } from '../read-model.js';
import type { Requested } from '../requested.js';
import { refuseUnstorable } from '../storable-text.js';
import { streamOf } from '../streams.js';
import { noSuchTenant, tenantExists } from '../tenants/tenant-exists.js';
import type { Tenants } from '../tenants/tenants.js';
import type { Written } from '../written.js';
import { faultsOfContent, planOf, type Plan, type WantedContent } from './event-type-plan.js';
import { eventTypeAggregate, roomForTypes, viewOfEventType, type EventTypeFilter, type EventTypeTable } from './event-type-table.js';
import { importedTypes } from './imported-types.js';

export type EventTypesParts = {
  readonly aggregates: Aggregates;
  readonly store: Pick<EventStore, 'read'>;
  readonly table: EventTypeTable;
  readonly tenants: Tenants;
};

/** Which event type; its names are the path's. */
export type Target = { readonly tenant: string; readonly name: string };

export type PutOptions = {
  /** What a put asks of whether the type is there. */
  readonly onlyIf?: 'absent' | 'present' | undefined;
};

export type Put = { readonly view: EventTypeView; readonly created: boolean };

export type ImportOptions = { readonly dryRun: boolean; readonly newVersions: boolean };

const notFound = (): Problem => new Problem('not_found', 'This tenant has no such event type.');
const now = (): string => new Date().toISOString();
const typeIn = (state: EventType): EventTypeState | undefined => (state.kind === 'event_type' ? state : undefined);

/** What can be done with the catalogue, whatever door asks. */
export class EventTypes {
  readonly #parts: EventTypesParts;

  constructor(parts: EventTypesParts) {
    this.#parts = parts;
  }

  /**
   * Makes the type, or replaces what the catalogue says of it.
   * @throws {Problem} `invalid` with every reason, also when the schema breaks with the present one and no new version was asked for
   */
  put({ tenant, name }: Target, body: PutEventTypeBody, requested: Requested, { onlyIf }: PutOptions = {}): Promise<Written<Put>> {
    if (!TENANT_ID.test(tenant)) throw noSuchTenant();
    if (!isName(name)) throw invalid('name', 'is not an event type such as invoice.paid');
    if (body.name !== undefined && body.name !== name) throw invalid('name', `is not that of the path, ${name}`);
    refuseInvalid(faultsOfContent(body));
    const { description = '', archived = false, schema, example, version } = refuseUnstorable(body);
    const wanted = contentOf({ description, archived, schema, example });
    const at = now();
    let created = false;
    const command = (state: EventType) => {
      const present = typeIn(state);
      requireExistence(onlyIf, present);
      const plan = planOf(present, wanted, version);
      if (plan.kind === 'refused') throw refusalOf(plan, present);
      created = plan.action === 'create';
      return { kind: 'put', tenant, name, content: plan.content, at } as const;
    };
    return this.#parts.aggregates.change(eventTypeAggregate, eventTypeId(tenant, name), command, requested, {
      guard: (client) => this.#guard(client, tenant, created ? 1 : 0),
      answer: (standing) => ({ view: viewAfter(standing), created }),
    });
  }

  delete({ tenant, name }: Target, requested: Requested): Promise<Written<undefined>> {
    if (!TENANT_ID.test(tenant) || !isName(name)) throw notFound();
    const command = { kind: 'delete', at: now() } as const;
    return this.#parts.aggregates.change(eventTypeAggregate, eventTypeId(tenant, name), () => command, requested, {
      admit: (state) => {
        if (!typeIn(state)) throw notFound();
      },
      answer: () => undefined,
    });
  }

  /** With the version of its stream, which is the entity tag. */
  async get({ tenant, name }: Target): Promise<{ readonly view: EventTypeView; readonly version: number }> {
    const row = TENANT_ID.test(tenant) && isName(name) ? await this.#parts.table.find(tenant, name) : null;
    if (!row) throw notFound();
    return { view: viewOfEventType(row.state), version: row.version };
  }

  /** As it was last while its schema had this version; of the type that there is, not of one that was deleted before it. */
  async getVersion({ tenant, name }: Target, version: number): Promise<EventTypeView> {
    await this.get({ tenant, name });
    const history = await asking(this.#parts.store.read(streamOf('event_type', eventTypeId(tenant, name))));
    let state: EventType = eventType.initialState;
    let found: EventTypeState | undefined;
    // Only this type's decider ever wrote to the stream.
    for (const event of history as unknown as readonly EventTypeEvent[]) {
      state = eventType.evolve(state, event);
      if (state.kind !== 'event_type') found = undefined;
      else if (state.version === version) found = state;
    }
    if (!found) throw new Problem('not_found', `This event type has no version ${version}.`);
    return viewOfEventType(found);
  }

  async list(tenant: string, page: PageRequest, filter: EventTypeFilter): Promise<Page<EventTypeView>> {
    await this.#parts.tenants.get(tenant);
    refuseUnstorable({ q: filter.nameContains });
    const rows = await this.#parts.table.list(tenant, { ...page, size: page.size + 1 }, filter);
    return pageOf(
      rows,
      page.size,
      ({ state }) => viewOfEventType(state),
      ({ name }) => name,
    );
  }

  /**
   * Puts many types, all of them or none. What an import does not say of a type that there is stays as it is; nothing is removed.
   * @throws {Problem} `invalid` with every reason of every type that is refused; a dry run tells these in its answer, but for what
   * concerns the whole
   */
  async import(tenant: string, body: ImportEventTypesBody, options: ImportOptions, requested: Requested): Promise<Written<ImportResult>> {
    await this.#parts.tenants.get(tenant);
    const { types, errors } = importedTypes(body);
    refuseInvalid(errors);
    const faultsByName = new Map<string, readonly Fault[]>();
    for (const type of types) {
      const faults = faultsOfContent(type, placeOf(type));
      faultsByName.set(type.name, faults.length > 0 ? faults : unstorableIn(type));
      // Compiling a thousand schemas takes a second or two; others' requests come in between.
      await setImmediate();
    }
    if (options.dryRun) return this.#tryImport(tenant, types, faultsByName, options);
    refuseInvalid([...faultsByName.values()].flat());
    return this.#carryOutImport(tenant, types, options, requested);
  }

  async #tryImport(
    tenant: string,
    types: readonly ImportedType[],
    faultsByName: ReadonlyMap<string, readonly Fault[]>,
    { newVersions }: ImportOptions,
  ): Promise<Written<ImportResult>> {
    const present = await this.#parts.table.findAll(
      tenant,
      types.map(({ name }) => name),
    );
    const changes = types.map((type): ImportedChange => {
      const reasons = faultsByName.get(type.name) ?? [];
      if (reasons.length > 0) return { name: type.name, action: 'refused', reasons: [...reasons] };
      return changeIn(type.name, planOfImport(type, present.get(type.name), newVersions));
    });
    return { body: { dry_run: true, changes }, position: 0 };
  }

  #carryOutImport(tenant: string, types: readonly ImportedType[], { newVersions }: ImportOptions, requested: Requested): Promise<Written<ImportResult>> {
    const at = now();
    const plans = new Map<string, Plan>();
    const wanted = types.map((type) => {
      const command = (state: EventType) => {
        const plan = planOfImport(type, typeIn(state), newVersions);
        plans.set(type.name, plan);
        if (plan.kind === 'refused' || plan.action === 'unchanged') return undefined;
        return { kind: 'put', tenant, name: type.name, content: plan.content, at } as const;
      };
      return changeOf(eventTypeAggregate, eventTypeId(tenant, type.name), command);
    });
    return this.#parts.aggregates.changeMany(wanted, requested, {
      guard: async (client) => {
        const created = [...plans.values()].filter((plan) => plan.kind === 'put' && plan.action === 'create');
        await this.#guard(client, tenant, created.length);
      },
      answer: () => {
        // Only now has every type been looked at; what is thrown here undoes the transaction.
        refuseImport([...plans.values()].flatMap((plan) => (plan.kind === 'refused' ? plan : [])));
        return { dry_run: false, changes: types.flatMap(({ name }) => told(name, plans.get(name))) };
      },
    });
  }

  async #guard(client: ClientBase, tenant: string, created: number): Promise<void> {
    await tenantExists(tenant)(client);
    if (created > 0) await roomForTypes(tenant)(client, created);
  }
}

const isName = (name: string): boolean => name.length <= 256 && EVENT_TYPE_NAME.test(name);

const viewAfter = ({ id, state }: Standing<EventType>): EventTypeView => {
  if (state.kind !== 'event_type') throw new TypeError(`${id} is ${state.kind} after it was written`);
  return viewOfEventType(state);
};

const contentOf = ({ description, archived, schema, example }: WantedContent): WantedContent => ({
  description,
  archived,
  ...(schema !== undefined && { schema }),
  ...(example !== undefined && { example }),
});

const requireExistence = (onlyIf: PutOptions['onlyIf'], present: EventTypeState | undefined): void => {
  if (onlyIf === 'absent' && present) throw new Problem('version_mismatch', 'There is such an event type already.');
  if (onlyIf === 'present' && !present) throw new Problem('version_mismatch', 'There is no such event type yet.');
};

type Refusal = Extract<Plan, { kind: 'refused' }>;

const refusalOf = ({ errors, why }: Refusal, present: EventTypeState | undefined): Problem => {
  const [first] = errors;
  const detail =
    why === 'breaks'
      ? `The schema breaks with version ${present?.version ?? 1}; put it with "version": ${(present?.version ?? 1) + 1}, or as another type.`
      : `${first?.path}: ${first?.message}`;
  return new Problem('invalid', detail, { errors });
};

const refuseImport = (refused: readonly Refusal[]): void => {
  const errors = refused.flatMap((plan) => plan.errors);
  if (refused.some(({ why }) => why !== 'breaks')) return refuseInvalid(errors);
  if (errors.length === 0) return;
  throw new Problem('invalid', 'Schemas break with those there are; import them with new_versions=true to give them new versions.', { errors });
};

/** What of a type the database does not take, by its place in what was sent. */
const unstorableIn = (type: ImportedType): readonly Fault[] => {
  const { description, schema, example } = type;
  try {
    refuseUnstorable(placeOf(type).reduceRight<object>((inner, step) => ({ [step]: inner }), { description, schema, example }));
    return [];
  } catch (error) {
    if (error instanceof Problem && error.errors) return error.errors;
    throw error;
  }
};

/** Where its `schema` and its `example` are said to be: an OpenAPI document has them below a media type. */
const placeOf = ({ place }: ImportedType): ImportedType['place'] => (place.at(-1) === 'schema' ? place.slice(0, -1) : place);

const planOfImport = (type: ImportedType, present: EventTypeState | undefined, newVersions: boolean): Plan => {
  const { description = present?.description ?? '', schema = present?.schema, example = present?.example } = type;
  const at = placeOf(type);
  const wanted = contentOf({ description, archived: present?.archived ?? false, schema, example });
  // Where only one of them is new, the example from before may not fit the schema, or the schema from before not allow the example.
  const faults = (type.schema === undefined) === (type.example === undefined) ? [] : faultsOfContent(wanted, at);
  if (faults.length > 0) return { kind: 'refused', errors: faults, why: 'content' };
  return planOf(present, wanted, newVersions ? 'next if it breaks' : undefined, at);
};

const changeIn = (name: string, plan: Plan): ImportedChange => {
  if (plan.kind === 'refused') return { name, action: 'refused', reasons: [...plan.errors] };
  return { name, action: plan.action, version: plan.content.version, ...(plan.reasons.length > 0 && { reasons: [...plan.reasons] }) };
};

const told = (name: string, plan: Plan | undefined): readonly ImportedChange[] => (plan ? [changeIn(name, plan)] : []);
