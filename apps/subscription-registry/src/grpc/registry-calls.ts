import type { INestApplicationContext } from '@nestjs/common';
import {
  ApiKeyServiceDefinition,
  EventTypeServiceDefinition,
  PortalTokenServiceDefinition,
  SubscriptionServiceDefinition,
  TenantServiceDefinition,
} from '@posthorn/contracts/grpc/registry';
import { serve, type ServedService } from '@posthorn/service-kit/grpc';
import { ApiKeys } from '../api-keys/api-keys.js';
import { EventTypes } from '../event-types/event-types.js';
import { FilterCheck } from '../trials/filter-check.js';
import { PortalTokens } from '../portal/portal-tokens.js';
import { BatchCreation } from '../subscriptions/batch-creation.js';
import { SubscriptionHistory } from '../subscriptions/subscription-history.js';
import { Subscriptions } from '../subscriptions/subscriptions.js';
import { TenantDeletion } from '../tenants/tenant-deletion.js';
import { Tenants } from '../tenants/tenants.js';
import { TestSending } from '../trials/test-sending.js';
import { apiKeyCalls, portalTokenCalls } from './access-calls.js';
import { eventTypeCalls } from './event-type-calls.js';
import { subscriptionCalls } from './subscription-calls.js';
import { tenantCalls } from './tenant-calls.js';

/** `posthorn.registry.v1`, served by the parts that the REST API is served by. */
export const registryCalls = (app: INestApplicationContext): readonly ServedService[] => [
  serve(TenantServiceDefinition, tenantCalls(app.get(Tenants), app.get(TenantDeletion))),
  serve(EventTypeServiceDefinition, eventTypeCalls(app.get(EventTypes))),
  serve(ApiKeyServiceDefinition, apiKeyCalls(app.get(ApiKeys))),
  serve(PortalTokenServiceDefinition, portalTokenCalls(app.get(PortalTokens))),
  serve(
    SubscriptionServiceDefinition,
    subscriptionCalls({
      subscriptions: app.get(Subscriptions),
      batches: app.get(BatchCreation),
      history: app.get(SubscriptionHistory),
      filters: app.get(FilterCheck),
      tests: app.get(TestSending),
    }),
  ),
];
