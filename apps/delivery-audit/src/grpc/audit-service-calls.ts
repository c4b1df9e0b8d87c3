import type { AuditServiceDefinition, DeliveryStatus, ListDeliveriesRequest } from '@posthorn/contracts/grpc/audit';
import { parseOrRefuse } from '@posthorn/service-kit';
import { given, givenList, present, type Calls } from '@posthorn/service-kit/grpc';
import type { Redelivery } from '../asking/redelivery.js';
import { explainQuery, type ExplainController } from '../explain/explain.controller.js';
import { attemptsQuery } from '../query/attempts.js';
import type { Database } from '../query/database.js';
import type { DeliveriesController } from '../query/deliveries.controller.js';
import { deliveriesOfEventQuery, deliveriesQuery } from '../query/deliveries.js';
import { unknownEvent, type EventsController } from '../query/events.controller.js';
import { eventsQuery, readWholeEvent } from '../query/events.js';
import { timelineQuery } from '../query/timeline.js';
import { toAskedRound, toAttempt, toDelivery, toTimelineEntry } from './delivery-messages.js';
import { toDuplicates, toEvent, toExplanation } from './event-messages.js';
import { reading, writing } from './of-tenant.js';
import { bounded, paged } from './queries.js';
import { requestedByCall, tellAnswered } from './requested-by-call.js';
import { deliveryStatuses } from './words.js';

/** What REST's methods do that take plain values and give plain values back, and what the others are made of. */
export type AuditServiceParts = {
  readonly database: Database;
  readonly events: EventsController;
  readonly explain: ExplainController;
  readonly deliveries: DeliveriesController;
  readonly redelivery: Redelivery;
};

/** One that is none becomes a word that is refused. */
const wordOf = (status: DeliveryStatus): string => deliveryStatuses.of(status) ?? 'unspecified';

/** What deliveries are searched by. */
export const searched = (search: Pick<ListDeliveriesRequest, 'subscription' | 'statuses' | 'event_id' | 'event_type' | 'subject' | 'created' | 'last_error'>) =>
  present({
    subscription: given(search.subscription),
    status: givenList(search.statuses)?.map(wordOf).join(','),
    event_id: given(search.event_id),
    event_type: given(search.event_type),
    subject: given(search.subject),
    last_error: given(search.last_error),
    ...bounded(search.created),
  });

export const auditServiceCalls = ({ database, events, explain, deliveries, redelivery }: AuditServiceParts): Calls<typeof AuditServiceDefinition> => ({
  listEvents: {
    ...reading,
    answer: async ({ tenant, event_type, subject, accepted, ...page }) => {
      const query = present({ event_type: given(event_type), subject: given(subject), ...bounded(accepted), ...paged(page) });
      const { data, next_page_token = '' } = await events.list(tenant, parseOrRefuse(eventsQuery, query));
      return { events: data.map(toEvent), next_page_token };
    },
  },
  getEvent: {
    ...reading,
    answer: async ({ tenant, id }) => {
      const { event, data } = (await readWholeEvent(database, tenant, id)) ?? unknownEvent();
      return { event: toEvent(event), data, duplicates: event.duplicates && toDuplicates(event.duplicates) };
    },
  },
  listEventDeliveries: {
    ...reading,
    answer: async ({ tenant, event_id, ...page }) => {
      const { data, next_page_token = '' } = await events.deliveries(tenant, event_id, parseOrRefuse(deliveriesOfEventQuery, paged(page)));
      return { deliveries: data.map(toDelivery), next_page_token };
    },
  },
  explainEvent: {
    ...reading,
    answer: async ({ tenant, id, subscription }) => ({
      explanation: toExplanation(await explain.explain(tenant, id, parseOrRefuse(explainQuery, present({ subscription: given(subscription) })))),
    }),
  },
  listDeliveries: {
    ...reading,
    answer: async ({ tenant, ...asked }) => {
      const { data, next_page_token = '' } = await deliveries.list(tenant, parseOrRefuse(deliveriesQuery, { ...searched(asked), ...paged(asked) }));
      return { deliveries: data.map(toDelivery), next_page_token };
    },
  },
  getDelivery: {
    ...reading,
    answer: async ({ tenant, id }) => {
      const view = await deliveries.read(tenant, id);
      return { delivery: toDelivery(view), rounds: view.rounds.map(toAskedRound) };
    },
  },
  getDeliveryTimeline: {
    ...reading,
    answer: async ({ tenant, id, ...page }) => {
      const { data, next_page_token = '' } = await deliveries.timeline(tenant, id, parseOrRefuse(timelineQuery, paged(page)));
      return { entries: data.map(toTimelineEntry), next_page_token };
    },
  },
  listAttempts: {
    ...reading,
    answer: async ({ tenant, delivery_id, ...page }) => {
      const { data, next_page_token = '' } = await deliveries.attempts(tenant, delivery_id, parseOrRefuse(attemptsQuery, paged(page)));
      return { attempts: data.map(toAttempt), next_page_token };
    },
  },
  redeliverDelivery: {
    ...writing,
    answer: async (request, context) => {
      const answered = await redelivery.redeliver(request.tenant, request.id, request.force, requestedByCall(context, request));
      return { delivery: toDelivery(tellAnswered(context, answered)) };
    },
  },
  cancelDelivery: {
    ...writing,
    answer: async (request, context) => {
      const answered = await redelivery.cancel(request.tenant, request.id, requestedByCall(context, request));
      return { delivery: toDelivery(tellAnswered(context, answered)) };
    },
  },
});
