import { describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import { fold } from '../decider.js';
import { portalKey, type PortalKeyCommand, type PortalKeyEvent } from './portal-key.js';

const at = '2026-01-02T03:04:05.678Z';
const key = { id: 'pky_1', public_key: 'eA', private_key: { key_id: 'k1', ciphertext: 'YQ==' } };
const created: PortalKeyEvent = { type: 'PortalKeyCreated', data: key, at };

const given = (...history: PortalKeyEvent[]) => {
  const state = fold(portalKey, history);
  return { state, when: (command: PortalKeyCommand) => portalKey.decide(command, state) };
};

const refused = (code: string) => expect.objectContaining({ code });

describe('a portal key', () => {
  it('is created once', () => {
    expect(given().when({ kind: 'create', key, at })).toEqual([created]);
    expect(() => given(created).when({ kind: 'create', key, at })).toThrow(refused('already_exists'));
  });

  it('stands as registry.state carries it', () => {
    const { state } = given(created);
    const carried = recordSchemas.registryState.parse({ position: 1, version: 1, state }).state;
    expect(carried).toEqual({ kind: 'portal_key', ...key, created_at: at });
  });

  it('can be encrypted anew', () => {
    const private_key = { key_id: 'k2', ciphertext: 'Yg==' };
    const event: PortalKeyEvent = { type: 'PortalKeyReencrypted', data: { private_key }, at };
    expect(given(created).when({ kind: 'reencrypt', private_key, at })).toEqual([event]);
    expect(given(created, event).state).toEqual({ kind: 'portal_key', ...key, private_key, created_at: at });
    expect(given(created, event).when({ kind: 'reencrypt', private_key, at })).toEqual([]);
  });

  it('that is not there cannot be encrypted anew', () => {
    expect(() => given().when({ kind: 'reencrypt', private_key: key.private_key, at })).toThrow(refused('not_found'));
  });

  it('refuses to fold an event it does not know', () => {
    const later = { type: 'PortalKeyMoved', data: {}, at } as unknown as PortalKeyEvent;
    expect(() => given(created, later)).toThrow('PortalKeyMoved');
  });
});
