import { describe, expect, it } from '@jest/globals';
import { deliveryId } from '@posthorn/contracts';
import { deliveryOfDay } from '../delivery.js';
import { CancelledRounds } from './cancelled-rounds.js';

const KEEP_MS = 10_000;
const delivery = (n: number, day = '2026-01-01'): string => deliveryOfDay(deliveryId('default', `evt_${n}`, 'sub_a'), day);

describe('cancelled rounds', () => {
  it('are those that were added, of that delivery and that number', () => {
    const rounds = new CancelledRounds(10, KEEP_MS);
    rounds.add({ delivery: delivery(1), round: 0 }, 0, 0);
    rounds.add({ delivery: delivery(2), round: 12 }, 0, 0);
    const asked = [1, 2, 3].flatMap((n) => [0, 1, 12].map((round) => ({ delivery: delivery(n), round })));
    expect(asked.filter((round) => rounds.has(round))).toEqual([{ delivery: delivery(1), round: 0 }, { delivery: delivery(2), round: 12 }]);
  });

  it('are remembered for as long as the topic has them', () => {
    const rounds = new CancelledRounds(10, KEEP_MS);
    expect(rounds.add({ delivery: delivery(1), round: 0 }, 5_000, 5_000)).toBe(true);
    rounds.add({ delivery: delivery(2), round: 0 }, 14_999, 14_999);
    expect(rounds.size).toBe(2);
    rounds.add({ delivery: delivery(3), round: 0 }, 15_000, 15_000);
    expect([rounds.has({ delivery: delivery(1), round: 0 }), rounds.size, rounds.forgotten]).toEqual([false, 2, 0]);
    expect(rounds.add({ delivery: delivery(4), round: 0 }, 0, 15_000)).toBe(false);
  });

  it('are forgotten, the first ones first, where there are too many, and counted', () => {
    const rounds = new CancelledRounds(100, KEEP_MS);
    for (let n = 0; n < 150; n += 1) rounds.add({ delivery: delivery(n), round: 0 }, 0, 0);
    const known = Array.from({ length: 150 }, (_, n) => n).filter((n) => rounds.has({ delivery: delivery(n), round: 0 }));
    expect([rounds.size, rounds.forgotten, known[0], known.length]).toEqual([100, 50, 50, 100]);
  });
});
