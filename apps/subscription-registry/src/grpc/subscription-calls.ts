import {
  createSubscriptionBody,
  createSubscriptionsBody,
  historyQuery,
  rotateSecretBody,
  subscriptionLimits,
  subscriptionQuery,
  subscriptionsQuery,
  updateSubscriptionBody,
  type CreatedSubscriptions,
} from '@posthorn/contracts';
import type { CreateSubscriptionsResult, SubscriptionServiceDefinition } from '@posthorn/contracts/grpc/registry';
import { parseOrRefuse } from '@posthorn/service-kit';
import { durationOf, flagText, given, present, timeOf, type Calls } from '@posthorn/service-kit/grpc';
import type { FilterCheck } from '../trials/filter-check.js';
import { pageRequest } from '../page.js';
import type { BatchCreation } from '../subscriptions/batch-creation.js';
import type { SubscriptionHistory } from '../subscriptions/subscription-history.js';
import type { Subscriptions, Target } from '../subscriptions/subscriptions.js';
import type { TestSending } from '../trials/test-sending.js';
import { reading, writing } from './of-tenant.js';
import { requestedByCall, tellWrittenTo } from './requested-by-call.js';
import {
  changedSubscriptionOf,
  newSubscriptionOf,
  signatureSchemes,
  toHistoryEntry,
  toMissed,
  toSecret,
  toSubscription,
} from './subscription-messages.js';
import { trialCalls } from './trial-calls.js';
import { maskedBody } from './update-mask.js';

export type SubscriptionCallsParts = {
  readonly subscriptions: Subscriptions;
  readonly batches: BatchCreation;
  readonly history: SubscriptionHistory;
  readonly filters: FilterCheck;
  readonly tests: TestSending;
};

const targetOf = ({ tenant, id }: Target): Target => ({ tenant, id });

const toResult = (result: CreatedSubscriptions['results'][number]): CreateSubscriptionsResult => {
  if ('error' in result) {
    const { code, message, errors = [] } = result.error;
    return { outcome: { $case: 'error', value: { code, message, errors: [...errors] } } };
  }
  const { secret, public_key } = result;
  return { outcome: { $case: 'created', value: { subscription: toSubscription(result), secret, public_key } } };
};

export const subscriptionCalls = ({
  subscriptions,
  batches,
  history,
  filters,
  tests,
}: SubscriptionCallsParts): Calls<typeof SubscriptionServiceDefinition> => ({
  ...trialCalls(filters, tests),
  createSubscription: {
    ...writing,
    answer: async (request, context) => {
      const body = parseOrRefuse(createSubscriptionBody, newSubscriptionOf(request));
      const written = await subscriptions.create(request.tenant, body, requestedByCall(context, { repeatable: request }));
      const { body: created, position } = tellWrittenTo(context, written);
      return { subscription: toSubscription(created), secret: created.secret, public_key: created.public_key, position };
    },
  },
  createSubscriptions: {
    ...writing,
    maxBytes: subscriptionLimits.batchBytes,
    answer: async (request, context) => {
      const { subscriptions: bodies } = parseOrRefuse(createSubscriptionsBody, { subscriptions: request.subscriptions.map(newSubscriptionOf) });
      const written = await batches.create(request.tenant, bodies, requestedByCall(context, { repeatable: request }));
      const { body, position } = tellWrittenTo(context, written);
      return { results: body.results.map(toResult), position: given(position) };
    },
  },
  getSubscription: {
    ...reading,
    answer: async (request) => {
      const { at } = parseOrRefuse(subscriptionQuery, present({ at: timeOf(request.at) }));
      const target = targetOf(request);
      return { subscription: toSubscription(at === undefined ? await subscriptions.get(target) : await history.at(target, at)) };
    },
  },
  listSubscriptions: {
    ...reading,
    answer: async (request) => {
      const query = present({
        event_type: given(request.event_type),
        enabled: flagText(request.enabled),
        q: given(request.q),
        page_size: given(request.page_size),
        page_token: given(request.page_token),
      });
      const { event_type, enabled, q, ...page } = parseOrRefuse(subscriptionsQuery, query);
      const filter = { eventType: event_type, enabled, nameContains: q };
      const { data, next_page_token = '' } = await subscriptions.list(request.tenant, pageRequest('subscriptions', page), filter);
      return { subscriptions: data.map(toSubscription), next_page_token };
    },
  },
  updateSubscription: {
    ...writing,
    answer: async ({ tenant, subscription, update_mask, expected_version }, context) => {
      const body = parseOrRefuse(updateSubscriptionBody, maskedBody(changedSubscriptionOf(subscription), update_mask));
      const target = { tenant, id: subscription?.id ?? '' };
      const written = await subscriptions.update(target, body, requestedByCall(context, { expectedVersion: expected_version }));
      const { body: view, position } = tellWrittenTo(context, written);
      return { subscription: toSubscription(view), position };
    },
  },
  deleteSubscription: {
    ...writing,
    answer: async (request, context) => {
      const requested = requestedByCall(context, { expectedVersion: request.expected_version });
      const { position } = tellWrittenTo(context, await subscriptions.delete(targetOf(request), requested));
      return { position };
    },
  },
  enableSubscription: {
    ...writing,
    answer: async (request, context) => {
      const requested = requestedByCall(context, { expectedVersion: request.expected_version, repeatable: request });
      const { body, position } = tellWrittenTo(context, await subscriptions.enable(targetOf(request), requested));
      return { subscription: toSubscription(body), position, missed: body.missed && toMissed(body.missed) };
    },
  },
  disableSubscription: {
    ...writing,
    answer: async (request, context) => {
      const requested = requestedByCall(context, { expectedVersion: request.expected_version, repeatable: request });
      const { body, position } = tellWrittenTo(context, await subscriptions.disable(targetOf(request), requested));
      return { subscription: toSubscription(body), position };
    },
  },
  rotateSubscriptionSecret: {
    ...writing,
    answer: async (request, context) => {
      const body = parseOrRefuse(
        rotateSecretBody,
        present({ overlap: durationOf(request.overlap), signature: signatureSchemes.of(request.signature), secret: request.secret }),
      );
      const requested = requestedByCall(context, { expectedVersion: request.expected_version, repeatable: request });
      const { body: secret, position } = tellWrittenTo(context, await subscriptions.rotateSecret(targetOf(request), body, requested));
      return { secret: toSecret(secret), position };
    },
  },
  getSubscriptionSecret: {
    ...writing,
    answer: async (request) => ({ secret: toSecret(await subscriptions.secretOf(targetOf(request))) }),
  },
  getSubscriptionHistory: {
    ...reading,
    answer: async (request) => {
      const query = present({ page_size: given(request.page_size), page_token: given(request.page_token) });
      const { data, next_page_token = '' } = await history.list(targetOf(request), parseOrRefuse(historyQuery, query));
      return { entries: data.map(toHistoryEntry), next_page_token };
    },
  },
});
