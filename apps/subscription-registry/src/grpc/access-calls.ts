import { apiKeysQuery, createApiKeyBody, createPortalTokenBody } from '@posthorn/contracts';
import type { ApiKeyServiceDefinition, PortalTokenServiceDefinition } from '@posthorn/contracts/grpc/registry';
import { parseOrRefuse } from '@posthorn/service-kit';
import { given, givenList, present, toTime, type Calls } from '@posthorn/service-kit/grpc';
import type { ApiKeys } from '../api-keys/api-keys.js';
import { pageRequest } from '../page.js';
import type { PortalTokens } from '../portal/portal-tokens.js';
import { newApiKeyOf, scopesOf, toApiKey, toScopes } from './access-messages.js';
import { requestedByCall, tellWrittenTo } from './requested-by-call.js';

export const apiKeyCalls = (keys: ApiKeys): Calls<typeof ApiKeyServiceDefinition> => ({
  createApiKey: {
    scope: 'admin',
    answer: async (request, context) => {
      const body = parseOrRefuse(createApiKeyBody, newApiKeyOf(request.api_key));
      const written = await keys.create(context.caller, body, requestedByCall(context, { repeatable: request }));
      const { body: created, position } = tellWrittenTo(context, written);
      return { api_key: toApiKey(created), key: created.key, position };
    },
  },
  listApiKeys: {
    scope: 'admin',
    answer: async ({ tenant, page_size, page_token }, { caller }) => {
      const query = present({ tenant, page_size: given(page_size), page_token: given(page_token) });
      const { tenant: only, ...page } = parseOrRefuse(apiKeysQuery, query);
      const { data, next_page_token = '' } = await keys.list(caller, only, pageRequest('api_keys', page));
      return { api_keys: data.map(toApiKey), next_page_token };
    },
  },
  deleteApiKey: {
    scope: 'admin',
    answer: async ({ id }, context) => {
      const { position } = tellWrittenTo(context, await keys.revoke(context.caller, id, requestedByCall(context)));
      return { position };
    },
  },
});

export const portalTokenCalls = (tokens: PortalTokens): Calls<typeof PortalTokenServiceDefinition> => ({
  createPortalToken: {
    scope: 'admin',
    tenant: ({ tenant }) => tenant,
    answer: async ({ tenant, scopes }, { caller }) => {
      const body = parseOrRefuse(createPortalTokenBody, present({ scopes: givenList(scopesOf(scopes)) }));
      const told = await tokens.create(caller, tenant, body);
      return { token: told.token, tenant: told.tenant, scopes: toScopes(told.scopes), expires_at: toTime(told.expires_at) };
    },
  },
});
