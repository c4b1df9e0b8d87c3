import { isDeepStrictEqual } from 'node:util';
import type { Encrypted, PortalKeyState } from '@posthorn/contracts';
import type { Decider, Fact } from '../decider.js';
import { existing, expectUnused, unknownEvent, type NotThere } from '../lifetime.js';

export type PortalKey = NotThere | PortalKeyState;

export type PortalKeyContent = Readonly<Omit<PortalKeyState, 'kind' | 'created_at'>>;

export type PortalKeyCommand =
  | { readonly kind: 'create'; readonly key: PortalKeyContent; readonly at: string }
  /** The same private key under another encryption key. */
  | { readonly kind: 'reencrypt'; readonly private_key: Encrypted; readonly at: string };

export type PortalKeyCreated = Fact<'PortalKeyCreated', PortalKeyContent>;
export type PortalKeyReencrypted = Fact<'PortalKeyReencrypted', { readonly private_key: Encrypted }>;

export type PortalKeyEvent = PortalKeyCreated | PortalKeyReencrypted;

const decide = (command: PortalKeyCommand, state: PortalKey): readonly PortalKeyEvent[] => {
  const { at } = command;
  switch (command.kind) {
    case 'create':
      expectUnused(state, `portal key ${command.key.id}`);
      return [{ type: 'PortalKeyCreated', data: command.key, at }];
    case 'reencrypt': {
      const { private_key } = command;
      if (isDeepStrictEqual(private_key, existing(state, 'portal key').private_key)) return [];
      return [{ type: 'PortalKeyReencrypted', data: { private_key }, at }];
    }
  }
};

const evolve = (state: PortalKey, event: PortalKeyEvent): PortalKey => {
  switch (event.type) {
    case 'PortalKeyCreated':
      return { kind: 'portal_key', ...event.data, created_at: event.at };
    case 'PortalKeyReencrypted':
      return { ...existing(state, 'portal key'), private_key: event.data.private_key };
    default:
      return unknownEvent(event, 'a portal key');
  }
};

export const portalKey: Decider<PortalKeyCommand, PortalKey, PortalKeyEvent> = {
  initialState: { kind: 'absent' },
  decide,
  evolve,
};
