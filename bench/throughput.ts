/**
 * A backlog of events delivered as fast as it goes, with the CPU that each service spends on a delivery, next to a bare loop that
 * only POSTs the same bodies to the same receiver. `npm run bench throughput [events] [subscriptions]`
 */
import { Agent } from 'undici';
import { connectPublisher, eventually } from '@posthorn/testkit';
import { kilobyte, percentile, say, startSink } from './support/measure.ts';
import { startSystem } from './support/system.ts';

const events = Number(process.argv[2] ?? 20_000);
const subscriptions = Number(process.argv[3] ?? 10);
const CONCURRENCY = 100;

const system = await startSystem();
let received = 0;
const sink = await startSink(() => {
  received += 1;
});
const ids: string[] = [];
for (let n = 0; n < subscriptions; n += 1) {
  const { id } = await system.rest<{ id: string }>('POST', '/v1/tenants/default/subscriptions', {
    name: `throughput bench ${n}`,
    url: sink.url,
    // Each event goes to one subscription, so that deliveries are as many as events.
    event_types: [`bench.t${n}`],
    policy: { max_concurrency: CONCURRENCY },
  });
  ids.push(id);
}
const publisher = await connectPublisher({ brokers: system.brokers });
const run = Date.now().toString(36);

const deliver = async (count: number, name: string): Promise<number> => {
  const target = received + count;
  const start = performance.now();
  const publishing = Array.from({ length: count }, (_, n) =>
    publisher.publish({ id: `${run}-${name}-${n}`, type: `bench.t${n % subscriptions}`, source: '/bench', data: kilobyte }),
  );
  await Promise.all(publishing);
  await eventually(() => received >= target, { timeoutMs: 600_000, describe: () => `${target - received} deliveries are missing` });
  return performance.now() - start;
};

const bareLoop = async (count: number): Promise<{ readonly ms: number; readonly cpuMs: number }> => {
  const agent = new Agent({ connections: CONCURRENCY, pipelining: 1 });
  const body = JSON.stringify({ type: 'bench', timestamp: new Date().toISOString(), data: kilobyte });
  const { origin } = new URL(sink.url);
  const start = performance.now();
  const cpu = process.cpuUsage();
  let left = count;
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (; left > 0; ) {
        left -= 1;
        const response = await agent.request({ origin, path: '/', method: 'POST', body, headers: { 'content-type': 'application/json' } });
        await response.body.dump();
      }
    }),
  );
  const used = process.cpuUsage(cpu);
  await agent.close();
  return { ms: performance.now() - start, cpuMs: (used.user + used.system) / 1_000 };
};

await deliver(Math.min(events, 5_000), 'warm');
const before = system.cpuSeconds();
const ms = await deliver(events, 'run');
// What the audit still has to write is part of what a delivery costs.
await eventually(async () => /posthorn_consumer_lag\{[^}]*\} [1-9]/.test(await system.metrics('DELIVERY_AUDIT')) === false, {
  timeoutMs: 120_000,
  describe: () => 'the audit does not catch up',
});
const after = system.cpuSeconds();
const bare = [await bareLoop(events), await bareLoop(events), await bareLoop(events)];

say(`${events} events of 1 KB to ${subscriptions} subscriptions, produced, routed, sent and recorded on one machine`);
say(`  ${Math.round((events / ms) * 1_000)} deliveries/s from the first produce to the last delivery`);
for (const [service, seconds] of Object.entries(after)) {
  const microseconds = ((seconds - (before[service] ?? 0)) / events) * 1e6;
  say(`  ${service.padEnd(24)}${microseconds.toFixed(0).padStart(6)} µs CPU per delivery`);
}
say(`Bare loop in the same run: POST the same body to the same receiver, ${CONCURRENCY} at a time`);
say(`  ${Math.round((events / percentile(bare.map(({ ms: each }) => each), 0.5)) * 1_000)} POST/s`);
say(`  ${((percentile(bare.map(({ cpuMs }) => cpuMs), 0.5) / events) * 1_000).toFixed(0)} µs CPU per POST, its receiver's included`);

for (const id of ids) await system.rest('DELETE', `/v1/tenants/default/subscriptions/${id}`);
await publisher.close();
sink.close();
await system.stop();
