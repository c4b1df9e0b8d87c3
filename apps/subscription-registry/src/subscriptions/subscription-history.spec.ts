import { describe, expect, it } from '@jest/globals';
import type { EventStore, RecordedEvent } from '@posthorn/event-store';
import type { Tenants } from '../tenants/tenants.js';
import { SubscriptionHistory } from './subscription-history.js';

const target = { tenant: 'acme', id: 'sub_1' };
const at = '2026-01-01T00:00:00.000Z';

/** A store with one long stream, and what was read of it. */
const storeOf = (length: number) => {
  const events = Array.from({ length }, (_, index): RecordedEvent => {
    const version = index + 1;
    const [type, data] = version === 1 ? ['SubscriptionCreated', { tenant: 'acme', settings: {} }] : ['SubscriptionEnabled', {}];
    return { position: version, stream: 'subscription/sub_1', version, type, data, actor: 'ann', at };
  });
  let read = 0;
  const store: Pick<EventStore, 'read'> = {
    read: async (_stream, fromVersion = 1, limit = length) => {
      const page = events.slice(fromVersion - 1, fromVersion - 1 + limit);
      read += page.length;
      return page;
    },
  };
  return { store, events, read: () => read };
};

const tenants = { get: async () => ({}) } as unknown as Pick<Tenants, 'get'>; // which only has to be there

describe('a long history', () => {
  it('is read no further than it is shown', async () => {
    const { store, read } = storeOf(10_000);
    const history = new SubscriptionHistory(store, tenants);
    const first = await history.list(target, { page_size: 2, page_token: Buffer.from('1').toString('base64url') });
    expect(first.data.map(({ version }) => version)).toEqual([2, 3]);
    expect(first.next_page_token).toBe(Buffer.from('3').toString('base64url'));
    expect(read()).toBe(4); // its first event tells whose it is; the one behind the page, that there is another
  });

  it('ends with a page that has no next one', async () => {
    const { store } = storeOf(4);
    const last = await new SubscriptionHistory(store, tenants).list(target, { page_size: 2, page_token: Buffer.from('2').toString('base64url') });
    expect([last.data.map(({ version }) => version), last.next_page_token]).toEqual([[3, 4], undefined]);
  });
});
