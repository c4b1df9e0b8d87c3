import { describe, expect, it } from '@jest/globals';
import { Health } from './health.js';

const never = (): Promise<undefined> => new Promise(() => undefined);

describe('Health', () => {
  it('is ready when nothing says otherwise', async () => {
    const health = new Health();
    health.addReadiness('a', () => undefined);
    health.addReadiness('b', async () => undefined);
    expect(await health.readiness()).toEqual({ status: 'ready' });
  });

  it('gives every reason, also that of a check that throws', async () => {
    const health = new Health();
    health.addReadiness('lag', () => '12 records behind');
    health.addReadiness('kafka', () => Promise.reject(new Error('no broker answers')));
    health.addReadiness('sync', () => {
      throw new Error('broken');
    });
    health.addReadiness('fine', () => undefined);
    expect(await health.readiness()).toEqual({
      status: 'not_ready',
      reasons: [
        { name: 'lag', reason: '12 records behind' },
        { name: 'kafka', reason: 'no broker answers' },
        { name: 'sync', reason: 'broken' },
      ],
    });
  });

  it('does not wait for a check that hangs, and asks all at the same time', async () => {
    const health = new Health(20);
    for (const name of ['a', 'b', 'c']) health.addReadiness(name, never);
    const { reasons } = await health.readiness();
    expect(reasons).toEqual(['a', 'b', 'c'].map((name) => ({ name, reason: 'no answer within 20 ms' })));
  });

  it('lets go of a check that was removed or replaced', async () => {
    const health = new Health();
    health.addReadiness('a', () => 'old');
    health.addReadiness('a', () => undefined);
    health.addReadiness('b', () => 'gone');
    health.removeReadiness('b');
    expect(await health.readiness()).toEqual({ status: 'ready' });
  });

  it('tells information beside, which decides nothing', async () => {
    const health = new Health(20);
    health.addInformation('services', async () => ({ audit: 'away' }));
    health.addInformation('status', async () => 'cannot be overwritten');
    health.addInformation('slow', never);
    expect(await health.readiness()).toEqual({ status: 'ready', services: { audit: 'away' }, slow: 'no answer within 20 ms' });
  });
});
