import { describe, expect, it } from '@jest/globals';
import { deliveryId } from '@posthorn/contracts';
import { cancelledRecord, cancelling, KEEP_MS } from '../../spec-support/cancelling.js';
import { requestFor, turn } from '../../spec-support/records.js';

describe('cancellations', () => {
  it('hold back what is read of a partition until all is read that was cancelled before, and keep its order', async () => {
    const read = Promise.withResolvers<void>();
    const { cancellations } = cancelling({ readToEnd: () => read.promise });
    const ran: number[] = [];
    cancellations.assigned(3);
    for (const n of [1, 2]) cancellations.whenRead(3, () => void ran.push(n));
    await turn();
    expect(ran).toEqual([]);
    read.resolve();
    await turn();
    cancellations.whenRead(3, () => void ran.push(3));
    expect(ran).toEqual([1, 2, 3]);
  });

  it('read once for a partition that stays, and anew for one that comes again; drop what waited for one that went', async () => {
    let times = 0;
    const ran: string[] = [];
    const { cancellations } = cancelling({ readToEnd: async () => void (times += 1) });
    cancellations.assigned(3);
    await turn();
    cancellations.assigned(3);
    cancellations.whenRead(3, () => void ran.push('stays'));
    cancellations.revoked(3);
    cancellations.assigned(3);
    cancellations.whenRead(3, () => void ran.push('goes'));
    cancellations.revoked(3);
    await turn();
    expect([times, ran]).toEqual([2, ['stays']]);
  });

  it('read again while Kafka is away', async () => {
    const timers: (() => void)[] = [];
    const failures = [new Error('away'), new Error('away')];
    const { cancellations } = cancelling({
      readToEnd: async () => {
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
      },
      setTimer: (_, run) => {
        timers.push(run);
        return () => undefined;
      },
    });
    let hasRun = false;
    cancellations.assigned(3);
    cancellations.whenRead(3, () => (hasRun = true));
    for (let times = 0; times < 2; times += 1) {
      await turn();
      expect(hasRun).toBe(false);
      timers.shift()?.();
    }
    await turn();
    expect(hasRun).toBe(true);
  });

  it('are told of as they come, but for those that are over', () => {
    const told: string[] = [];
    const { cancellations, cancel } = cancelling({ nowMs: () => 2 * KEEP_MS });
    cancellations.listen((subscription, { delivery, round }) => void told.push(`${subscription} ${delivery} ${round}`));
    cancel('evt_1', { atMs: 2 * KEEP_MS, round: 2 });
    cancel('evt_2', { atMs: KEEP_MS });
    expect(told).toEqual([`sub_a ${deliveryId('default', 'evt_1', 'sub_a')}/2026-01-01 2`]);
    expect([cancellations.size, cancellations.isCancelled(requestFor([], { round: 2 }), 'sub_a'), cancellations.isCancelled(requestFor([]), 'sub_a')]).toEqual([1, true, false]);
  });

  it('in a version that is not known here are not passed over', () => {
    const { cancellations } = cancelling();
    expect(() => cancellations.onRecord({ ...cancelledRecord('evt_1'), headers: { schema: Buffer.from('99') } })).toThrow('schema version 99');
  });
});
