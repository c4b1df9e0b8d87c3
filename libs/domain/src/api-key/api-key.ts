import type { ApiKeyState } from '@posthorn/contracts';
import type { Decider, Fact } from '../decider.js';
import { existing, expectUnused, unknownEvent, type NotThere } from '../lifetime.js';

export type ApiKey = NotThere | ApiKeyState;

/** A key as it is made; nothing of it changes until it is revoked. */
export type ApiKeyContent = Readonly<Omit<ApiKeyState, 'kind' | 'created_at'>>;

export type ApiKeyCommand =
  | { readonly kind: 'create'; readonly key: ApiKeyContent; readonly at: string }
  | { readonly kind: 'revoke'; readonly at: string };

export type ApiKeyCreated = Fact<'ApiKeyCreated', ApiKeyContent>;
export type ApiKeyRevoked = Fact<'ApiKeyRevoked', Readonly<Record<string, never>>>;

export type ApiKeyEvent = ApiKeyCreated | ApiKeyRevoked;

const decide = (command: ApiKeyCommand, state: ApiKey): readonly ApiKeyEvent[] => {
  const { at } = command;
  switch (command.kind) {
    case 'create':
      expectUnused(state, `API key ${command.key.id}`);
      return [{ type: 'ApiKeyCreated', data: command.key, at }];
    case 'revoke':
      existing(state, 'API key');
      return [{ type: 'ApiKeyRevoked', data: {}, at }];
  }
};

const evolve = (_state: ApiKey, event: ApiKeyEvent): ApiKey => {
  switch (event.type) {
    case 'ApiKeyCreated':
      return { kind: 'api_key', ...event.data, created_at: event.at };
    case 'ApiKeyRevoked':
      return { kind: 'deleted' };
    default:
      return unknownEvent(event, 'an API key');
  }
};

export const apiKey: Decider<ApiKeyCommand, ApiKey, ApiKeyEvent> = { initialState: { kind: 'absent' }, decide, evolve };
