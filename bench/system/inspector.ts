import { readFileSync } from 'node:fs';
import { eventually } from '@posthorn/testkit';
import type { Profile } from './profile.ts';

/** So that each process that is asked (by SIGUSR1) takes a port of its own. */
export const INSPECTABLE = { NODE_OPTIONS: '--inspect-port=127.0.0.1:0' } as const;
const SAMPLE_EVERY_MICROS = 500;
const LISTENING = /(?<=Debugger listening on )ws:\S+/g;

type Reply = { readonly id?: number; readonly result?: unknown; readonly error?: { readonly message: string } };

/** Profiles a Node process that was started with `INSPECTABLE`. @param logFile where its standard error goes: that tells its address */
export const startProfile = async (pid: number, logFile: string): Promise<() => Promise<Profile>> => {
  // Once its inspector is there it stays, and a further signal says nothing.
  process.kill(pid, 'SIGUSR1');
  const address = await eventually(() => readFileSync(logFile, 'utf8').match(LISTENING)?.at(-1), { describe: `process ${pid} to tell its inspector's address` });
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', reject, { once: true });
  });
  let asked = 0;
  const call = (method: string, params: object = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      asked += 1;
      const id = asked;
      const listen = ({ data }: MessageEvent): void => {
        const { id: of, result, error } = JSON.parse(String(data)) as Reply;
        if (of !== id) return;
        socket.removeEventListener('message', listen);
        if (error === undefined) resolve(result);
        else reject(new Error(`${method}: ${error.message}`));
      };
      socket.addEventListener('message', listen);
      socket.send(JSON.stringify({ id, method, params }));
    });
  await call('Profiler.enable');
  await call('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_MICROS });
  await call('Profiler.start');
  return async () => {
    const { profile } = (await call('Profiler.stop')) as { profile: Profile };
    socket.close();
    return profile;
  };
};
