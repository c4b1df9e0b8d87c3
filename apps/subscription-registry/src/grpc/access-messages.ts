import type { ApiKeyView, Scope as ScopeWord } from '@posthorn/contracts';
import { Scope, type ApiKey } from '@posthorn/contracts/grpc/registry';
import { given, present, timeOf, toTime, words } from '@posthorn/service-kit/grpc';

const scopeWords = words(Scope, Scope.SCOPE_UNSPECIFIED);

/** `SCOPE_REGISTRY_READ` is `registry:read`. What is not given is refused: a list has no members that are absent. */
export const scopesOf = (scopes: readonly Scope[]): readonly string[] => scopes.map((scope) => (scopeWords.of(scope) ?? '').replace('_', ':'));
export const toScopes = (scopes: readonly ScopeWord[]): Scope[] => scopes.map((scope) => scopeWords.to(scope.replace(':', '_')));

/** `POST /v1/api-keys` */
export const newApiKeyOf = (apiKey: ApiKey | undefined): unknown =>
  apiKey &&
  present({ name: given(apiKey.name), scopes: scopesOf(apiKey.scopes), tenant: apiKey.tenant, expires_at: timeOf(apiKey.expires_at) });

export const toApiKey = (view: ApiKeyView): ApiKey => ({
  id: view.id,
  name: view.name,
  prefix: view.prefix,
  scopes: toScopes(view.scopes),
  tenant: view.tenant,
  expires_at: toTime(view.expires_at),
  last_used_at: toTime(view.last_used_at),
  created_at: toTime(view.created_at),
});
