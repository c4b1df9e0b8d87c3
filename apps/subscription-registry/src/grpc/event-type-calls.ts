import { eventTypeLimits, eventTypesQuery, importEventTypesBody, putEventTypeBody } from '@posthorn/contracts';
import type { EventTypeServiceDefinition } from '@posthorn/contracts/grpc/registry';
import { parseOrRefuse } from '@posthorn/service-kit';
import { flagText, given, jsonOf, present, type Calls } from '@posthorn/service-kit/grpc';
import type { EventTypes } from '../event-types/event-types.js';
import { pageRequest } from '../page.js';
import { eventTypeOf, toEventType, toImportedChange } from './event-type-messages.js';
import { reading, writing } from './of-tenant.js';
import { requestedByCall, tellWrittenTo } from './requested-by-call.js';

/** REST has `If-None-Match: *` for this. */
const ONLY_IF_ABSENT = 0;

export const eventTypeCalls = (eventTypes: EventTypes): Calls<typeof EventTypeServiceDefinition> => ({
  putEventType: {
    ...writing,
    answer: async ({ tenant, event_type, expected_version }, context) => {
      const body = parseOrRefuse(putEventTypeBody, eventTypeOf(event_type));
      const isNew = expected_version === ONLY_IF_ABSENT;
      const requested = requestedByCall(context, { expectedVersion: isNew ? undefined : expected_version });
      const target = { tenant, name: event_type?.name ?? '' };
      const written = await eventTypes.put(target, body, requested, isNew ? { onlyIf: 'absent' } : {});
      const { body: put, version = 0, position } = tellWrittenTo(context, written);
      return { event_type: toEventType(put.view), created: put.created, version, position };
    },
  },
  getEventType: {
    ...reading,
    answer: async ({ tenant, name, version: schemaVersion }) => {
      if (schemaVersion !== 0) {
        return { event_type: toEventType(await eventTypes.getVersion({ tenant, name }, schemaVersion)), version: undefined };
      }
      const { view, version } = await eventTypes.get({ tenant, name });
      return { event_type: toEventType(view), version };
    },
  },
  listEventTypes: {
    ...reading,
    answer: async (request) => {
      const query = present({
        archived: flagText(request.archived),
        q: given(request.q),
        page_size: given(request.page_size),
        page_token: given(request.page_token),
      });
      const { archived, q, ...page } = parseOrRefuse(eventTypesQuery, query);
      const { data, next_page_token = '' } = await eventTypes.list(request.tenant, pageRequest('event_types', page), { archived, nameContains: q });
      return { event_types: data.map(toEventType), next_page_token };
    },
  },
  deleteEventType: {
    ...writing,
    answer: async ({ tenant, name, expected_version }, context) => {
      const requested = requestedByCall(context, { expectedVersion: expected_version });
      const { position } = tellWrittenTo(context, await eventTypes.delete({ tenant, name }, requested));
      return { position };
    },
  },
  importEventTypes: {
    ...writing,
    maxBytes: eventTypeLimits.importBytes,
    answer: async (request, context) => {
      const body = parseOrRefuse(importEventTypesBody, jsonOf(request.document, 'document'));
      const options = { dryRun: request.dry_run, newVersions: request.new_versions };
      const written = await eventTypes.import(request.tenant, body, options, requestedByCall(context, { repeatable: request }));
      const { body: result, position } = tellWrittenTo(context, written);
      return { dry_run: result.dry_run, changes: result.changes.map(toImportedChange), position: given(position) };
    },
  },
});
