import { describe, expect, it } from '@jest/globals';
import { PositionGate } from './position-gate.js';

describe('a position gate', () => {
  it('lets through at once whoever asks for what was reached', async () => {
    const gate = new PositionGate();
    gate.reached(5);
    await expect(gate.waitFor(5, 0)).resolves.toBe(true);
  });

  it('lets through those up to the position, and not the ones above', async () => {
    const gate = new PositionGate();
    const waits = [gate.waitFor(1, 10_000), gate.waitFor(3, 10_000), gate.waitFor(4, 10)];
    gate.reached(3);
    await expect(Promise.all(waits)).resolves.toEqual([true, true, false]);
  });

  it('never goes back', async () => {
    const gate = new PositionGate();
    gate.reached(5);
    gate.reached(2);
    expect(gate.position).toBe(5);
    await expect(gate.waitFor(4, 0)).resolves.toBe(true);
  });

  it('turns everybody away when it closes', async () => {
    const gate = new PositionGate();
    const wait = gate.waitFor(1, 10_000);
    gate.close();
    await expect(wait).resolves.toBe(false);
  });
});
