import { Socket } from 'node:net';

const LEASH_FD = 3;

/** Asks this process to end, as a TERM would, once the launcher is gone: killed by force it could not pass that on. */
export const endWithLauncher = () => {
  if (process.env.POSTHORN_LAUNCHED !== '1') return;
  // Who we start is not on the launcher's leash but on ours.
  delete process.env.POSTHORN_LAUNCHED;
  const leash = new Socket({ fd: LEASH_FD });
  leash.on('error', () => {});
  leash.once('close', () => process.kill(process.pid, 'SIGTERM'));
  leash.resume();
  leash.unref();
};
