import { describe, expect, it } from '@jest/globals';
import type { OutgoingRecord } from '@posthorn/kafka';
import type { Hash } from './hash.js';
import { Owner } from './owner.js';
import { SendGuard } from './send-guard.js';
import { TIMING } from './timing.js';

const ignore = (): void => undefined;
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };
const log = { bounds: [0], find: async () => new Set<Hash>(), refresh: async () => undefined };

const away = async () => {
  throw new Error('away');
};

/** One that has never reached PostgreSQL. */
const outOfTouch = () => {
  const owner = new Owner({ claims: { enter: away, claim: away }, log, logger, timing: TIMING, onBeat: async () => undefined, onLost: ignore });
  const guard = new SendGuard({ owner, log, topic: 'accepted', settledAfterMs: 0 });
  const claimed: OutgoingRecord = { topic: 'accepted', key: 'a', value: null };
  const other: OutgoingRecord = { topic: 'rejected', key: 'b', value: null };
  guard.watch(claimed, owner.id);
  return { owner, guard, claimed, other };
};

describe('a guard whose owner is out of touch with PostgreSQL', () => {
  it('lets go what is not claimed, and nothing else before the owner is certain', async () => {
    const { owner, guard, claimed, other } = outOfTouch();
    expect(await guard.ask([other], false)).toEqual(['send']);
    const verdicts = guard.ask([claimed, other], false);
    expect(await Promise.race([verdicts, new Promise((resolve) => void setImmediate(resolve, 'waits'))])).toBe('waits');
    await owner.speak(async () => undefined);
    expect(await verdicts).toEqual(['send', 'send']);
    expect(guard.ask([claimed], false)).toBeUndefined();
  });

  it('withdraws what is claimed when all is closed: others may have released it, and let it in', async () => {
    const { owner, guard, claimed, other } = outOfTouch();
    const verdicts = guard.ask([claimed, other], false);
    owner.close();
    expect(await verdicts).toEqual(['withdraw', 'send']);
    expect(await guard.ask([claimed, other], true)).toEqual(['withdraw', 'send']);
  });
});
