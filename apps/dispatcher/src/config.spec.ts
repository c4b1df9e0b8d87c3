import { describe, expect, it } from '@jest/globals';
import { dispatcherConfig } from './config.js';

const enough = { POSTHORN_KAFKA_BROKERS: 'a:9092', POSTHORN_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` };
const issuesOf = (env: Readonly<Record<string, string | undefined>>): unknown => dispatcherConfig.safeParse({ ...enough, ...env }).error?.issues.map(({ path }) => path);

describe('the configuration of the dispatcher', () => {
  it.each(['router', 'delay', 'router,delay'])('needs no database for %s', (roles) => {
    expect(issuesOf({ POSTHORN_DISPATCHER_ROLES: roles })).toBeUndefined();
  });

  it.each([{}, { POSTHORN_DISPATCHER_ROLES: 'sender' }, { POSTHORN_DISPATCHER_ROLES: 'delay, sender' }])('needs one for the sender: %j', (env) => {
    expect(issuesOf(env)).toEqual([['POSTHORN_DATABASE_URL']]);
    expect(issuesOf({ ...env, POSTHORN_DATABASE_URL: 'postgres://u@h/d' })).toBeUndefined();
  });
});
