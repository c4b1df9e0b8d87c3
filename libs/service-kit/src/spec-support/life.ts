import { LifeCycle } from '../life-cycle.js';
import { createLog } from '../log.js';

/** A life cycle alone, told by FAULT what goes wrong in it. */
const log = createLog('life', 'info');
const lifeCycle = new LifeCycle(log, Number(process.env['DEADLINE_MS'] ?? 5_000));
lifeCycle.watch(process.env['POSTHORN_EXIT_WITH_PARENT'] === '1');
const fault = process.env['FAULT'];

lifeCycle.onShutdown('first', async () => undefined);
lifeCycle.onShutdown('second', async () => {
  if (fault === 'failing') throw new Error('cannot close');
  if (fault === 'hanging') await new Promise(() => undefined);
});
lifeCycle.onShutdown('third', async () => {
  // Added while shutting down, as by a part that was still being built.
  if (fault === 'late') lifeCycle.onShutdown('late', async () => undefined);
});

// Keeps the process alive, as a server does.
setInterval(() => undefined, 60_000);
log.info('up');
if (fault === 'throwing') setTimeout(() => { throw new Error('nobody caught'); });
if (fault === 'rejecting') void Promise.reject(new Error('nobody awaited'));
