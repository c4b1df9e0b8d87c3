import { describe, expect, it } from '@jest/globals';
import type { EventStore } from '@posthorn/event-store';
import type { ApiKeyContent } from '@posthorn/domain';
import { Aggregates } from './aggregates.js';
import { apiKeyAggregate } from './api-keys/api-key-table.js';
import type { RememberedAnswers } from './idempotency/remembered-answers.js';

const at = '2026-01-01T00:00:00.000Z';
const key: ApiKeyContent = { id: 'key_1', name: 'K', hash: 'h', prefix: 'phk_', scopes: ['admin'] };

const aggregatesOver = (append: (appends: readonly unknown[]) => unknown): Aggregates =>
  new Aggregates({
    store: {
      readMany: async () => new Map(),
      append: async (appends: readonly unknown[]) => {
        await append(appends);
        throw new Error('stored');
      },
    } as unknown as EventStore, // the rest of it is not asked
    relay: { waitUntilRelayed: async () => true },
    answers: {} as RememberedAnswers, // nor is this
    log: { warn: () => undefined },
  });

describe('a change', () => {
  it.each<[what: string, content: ApiKeyContent, stored: boolean]>([
    ['that everybody can read is stored', key, true],
    ['to a time in five digits is not', { ...key, expires_at: '+010000-01-01T13:59:59.000Z' }, false],
    ['to what is no scope is not', { ...key, scopes: ['everything' as 'admin'] }, false],
  ])('%s', async (_what, content, stored) => {
    const appended: unknown[] = [];
    const change = aggregatesOver((appends) => appended.push(...appends)).change(
      apiKeyAggregate,
      key.id,
      () => ({ kind: 'create', key: content, at }) as const,
      { by: { actor: 'ann' } },
      { fresh: true, answer: () => undefined },
    );
    await expect(change).rejects.toThrow(stored ? 'stored' : /expires_at|scopes/);
    expect(appended).toHaveLength(stored ? 1 : 0);
  });
});

describe('changes at once', () => {
  it.each([
    ['of one aggregate come after each other: none has to lose a race', ['key_1', 'key_1', 'key_1'], 1],
    ['of several aggregates do not wait', ['key_1', 'key_2', 'key_3'], 3],
  ])('%s', async (_what, ids, expected) => {
    let underWay = 0;
    let most = 0;
    const aggregates = aggregatesOver(async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => void setImmediate(resolve));
      underWay--;
    });
    const changes = ids.map((id) => {
      const command = () => ({ kind: 'create', key: { ...key, id }, at }) as const;
      return aggregates.change(apiKeyAggregate, id, command, { by: { actor: 'ann' } }, { answer: () => undefined });
    });
    await expect(Promise.allSettled(changes)).resolves.toHaveLength(3);
    expect(most).toBe(expected);
  });
});
