import { describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import { fold } from '../decider.js';
import { apiKey, type ApiKeyCommand, type ApiKeyContent, type ApiKeyEvent } from './api-key.js';

const at = '2026-01-02T03:04:05.678Z';
const key: ApiKeyContent = { id: 'key_1', name: 'ci', hash: 'ab'.repeat(32), prefix: 'phk_abcd', scopes: ['registry:read'], tenant: 'acme' };
const created: ApiKeyEvent = { type: 'ApiKeyCreated', data: key, at };
const revoked: ApiKeyEvent = { type: 'ApiKeyRevoked', data: {}, at };

const given = (...history: ApiKeyEvent[]) => {
  const state = fold(apiKey, history);
  return { state, when: (command: ApiKeyCommand) => apiKey.decide(command, state) };
};

const refused = (code: string) => expect.objectContaining({ code });

describe('an API key', () => {
  it('is created once', () => {
    expect(given().when({ kind: 'create', key, at })).toEqual([created]);
    expect(() => given(created).when({ kind: 'create', key, at })).toThrow(refused('already_exists'));
    expect(() => given(created, revoked).when({ kind: 'create', key, at })).toThrow(refused('already_exists'));
  });

  it('stands as registry.state carries it', () => {
    const { state } = given(created);
    const carried = recordSchemas.registryState.parse({ position: 1, version: 1, state }).state;
    expect(carried).toEqual({ kind: 'api_key', ...key, created_at: at });
  });

  it('is gone when it is revoked', () => {
    expect(given(created).when({ kind: 'revoke', at })).toEqual([revoked]);
    expect(given(created, revoked).state).toEqual({ kind: 'deleted' });
  });

  it('that is not there cannot be revoked', () => {
    expect(() => given().when({ kind: 'revoke', at })).toThrow(refused('not_found'));
    expect(() => given(created, revoked).when({ kind: 'revoke', at })).toThrow(refused('not_found'));
  });

  it('refuses to fold an event it does not know', () => {
    const later = { type: 'ApiKeyMoved', data: {}, at } as unknown as ApiKeyEvent;
    expect(() => given(created, later)).toThrow('ApiKeyMoved');
  });
});
