import { apiKeyAggregate } from './api-keys/api-key-table.js';
import { eventTypeAggregate } from './event-types/event-type-table.js';
import { portalKeyAggregate } from './portal/portal-key-table.js';
import type { ReadModel } from './read-model.js';
import { subscriptionAggregate } from './subscriptions/subscription-table.js';
import { tenantAggregate } from './tenants/tenant-table.js';

/** Every kind of aggregate there is, as rows: what the relay reads states from, and what can be made anew from the events. */
export const readModels: readonly ReadModel[] = [tenantAggregate, eventTypeAggregate, subscriptionAggregate, apiKeyAggregate, portalKeyAggregate];
