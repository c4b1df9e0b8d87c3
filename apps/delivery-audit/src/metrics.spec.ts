import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { databaseMetrics, sendingAgainMetrics, statisticsMetrics } from './metrics.js';

const samplesOf = async (registry: Registry, name: string): Promise<readonly string[]> => (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));

const fails = async (): Promise<never> => {
  throw new Error('away');
};

describe('what is asked of the database at a scrape', () => {
  it('is told', async () => {
    const registry = new Registry();
    databaseMetrics(registry, async () => '8589934592');
    statisticsMetrics(registry, async () => 3);
    expect(await samplesOf(registry, 'posthorn_database_bytes')).toEqual(['posthorn_database_bytes 8589934592']);
    expect(await samplesOf(registry, 'posthorn_audit_statistics_deltas')).toEqual(['posthorn_audit_statistics_deltas 3']);
  });

  it('is not told as 0 while the database is away, nor by who does not lead', async () => {
    const registry = new Registry();
    databaseMetrics(registry, fails);
    statisticsMetrics(registry, fails);
    sendingAgainMetrics(registry, { query: async () => [], isLeader: () => false });
    for (const name of ['posthorn_database_bytes', 'posthorn_audit_statistics_deltas', 'posthorn_audit_rounds_waiting']) {
      expect(await samplesOf(registry, name)).toEqual([]);
    }
  });
});
