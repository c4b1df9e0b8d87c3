import * as fc from 'fast-check';
import type { AuthenticationState, Encrypted, SigningSecret, SubscriptionState } from '@posthorn/contracts';
import type { SubscriptionChanges, SubscriptionCommand, SubscriptionSettings } from '../subscription/subscription.js';

/** Few values of each kind, so that commands often ask for what is there already. */
const label = fc.constantFrom('a', 'b', 'Rechnungen é');
const url = fc.constantFrom('https://example.com/a', 'https://example.com/b');
const eventTypes = fc.constantFrom<string[]>(['*'], ['invoice.*'], ['invoice.paid', 'order.*']);
const labels = fc.constantFrom<Record<string, string>>({}, { a: '1' }, { a: '2', b: '1' });

/** Another ciphertext each time, as encryption makes it. */
export const encrypted: fc.Arbitrary<Encrypted> = fc.record({
  key_id: fc.constantFrom('k1', 'k2'),
  ciphertext: fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('base64')),
});

const scheme = fc.constantFrom('v1' as const, 'v1' as const, 'v1a' as const);
const newSecret = fc.tuple(encrypted, scheme).map(([secret, scheme]) => ({ ...secret, scheme }));

/** One of each type, with everything a type can have or without. */
export const authentications: fc.Arbitrary<AuthenticationState> = fc.oneof(
  fc.constant<AuthenticationState>({ type: 'none' }),
  fc.record({ type: fc.constant('api_key' as const), header: fc.constant('X-API-Key'), key: encrypted }),
  fc.record({ type: fc.constant('token' as const), token: encrypted }),
  fc.record({ type: fc.constant('basic' as const), username: label, password: encrypted }),
  fc.record({ type: fc.constant('bearer' as const), token: encrypted }),
  fc.record(
    {
      type: fc.constant('oauth2_client_credentials' as const),
      token_url: url,
      client_id: label,
      client_secret: encrypted,
      scope: label,
    },
    { requiredKeys: ['type', 'token_url', 'client_id', 'client_secret'] },
  ),
  fc.record(
    { type: fc.constant('mtls' as const), certificate: label, private_key: encrypted, ca: label },
    { requiredKeys: ['type', 'certificate', 'private_key'] },
  ),
);

const payload = fc.constantFrom<SubscriptionState['payload']>(
  { format: 'standard' },
  { format: 'context', context: { shop: [1, null] } },
  { format: 'context', context: null },
  { format: 'transform', transform: '{"total": data.total}' },
);

const filter = fc.constantFrom('data.total > 100.0', 'subject == "x"');
const waits = fc.constantFrom<number[]>([], [5_000], [5_000, 300_000]);
const rateLimit = fc.constantFrom({ per_second: 10, burst: 20 }, { per_second: 0.5, burst: 1 });
const success = fc.constantFrom<{ statuses: string[] }>({ statuses: ['2xx'] }, { statuses: ['200', '409'] });
const spread = fc.constantFrom(2, 16);
const policyMembers = {
  timeout_ms: fc.constantFrom(5_000, 15_000),
  max_concurrency: fc.constantFrom(1, 10),
  ordering: fc.constantFrom('none' as const, 'by_key' as const),
  disable_after_ms: fc.constantFrom(0, 432_000_000),
};

const policy = fc.record(
  { ...policyMembers, retry_schedule_ms: waits, rate_limit: rateLimit, success, spread },
  { requiredKeys: ['timeout_ms', 'max_concurrency', 'ordering', 'disable_after_ms'] },
);

const members = { name: label, url, event_types: eventTypes, payload, authentication: authentications, headers: labels, metadata: labels };

export const settings: fc.Arbitrary<SubscriptionSettings> = fc.record(
  { ...members, policy, description: label, filter },
  { requiredKeys: ['name', 'url', 'event_types', 'payload', 'authentication', 'headers', 'metadata', 'policy'] },
);

export const changes: fc.Arbitrary<SubscriptionChanges> = fc.record(
  {
    ...members,
    description: fc.option(label),
    filter: fc.option(filter),
    policy: fc.record(
      {
        ...policyMembers,
        retry_schedule_ms: fc.option(waits),
        rate_limit: fc.option(rateLimit),
        success: fc.option(success),
        spread: fc.option(spread),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

type Timed<Command> = Command extends unknown ? Omit<Command, 'at'> : never;
type Step = (atMs: number) => Timed<SubscriptionCommand>;

const HOUR_MS = 3_600_000;
const time = (ms: number): string => new Date(ms).toISOString();

/** Undefined, or a time up to so far from a command's own. */
const around = (hours: { min: number; max: number }) => fc.option(fc.integer(hours), { nil: undefined });
const shifted = (atMs: number, hours: number | undefined): string | undefined =>
  hours === undefined ? undefined : time(atMs + hours * HOUR_MS);

/** What encrypting anew gives for a subscription whose secret was never rotated; refused for any other. */
const soleSecret: fc.Arbitrary<readonly SigningSecret[]> = newSecret.map((secret) => [secret]);

const createStep = (id: string, tenant: string): fc.Arbitrary<Step> =>
  fc
    .record({ settings, enabled: fc.boolean(), signing_secret: newSecret })
    .map((given) => () => ({ kind: 'create', id, tenant, ...given }));

const updateStep: fc.Arbitrary<Step> = fc
  .record({ changes, enabled: fc.option(fc.boolean(), { nil: undefined }) })
  .map((given) => () => ({ kind: 'update', ...given }));

const disableStep: fc.Arbitrary<Step> = fc
  .tuple(fc.constantFrom('by_user' as const, 'gone' as const, 'failing' as const), around({ min: -200, max: 0 }))
  .map(([reason, hours]) => (atMs) => ({ kind: 'disable', reason, observed_at: shifted(atMs, hours) }));

const rotateStep: fc.Arbitrary<Step> = fc
  .tuple(newSecret, around({ min: -1, max: 168 }))
  .map(([secret, hours]) => (atMs) => ({ kind: 'rotate_secret', secret, overlap_until: shifted(atMs, hours) }));

const reencryptStep: fc.Arbitrary<Step> = soleSecret.map((signing_secrets) => () => ({ kind: 'reencrypt', signing_secrets }));

/**
 * What could be asked of one subscription, in the order of its times, some hours apart. Mostly it is created first and lives to the end;
 * commands before it is there, a second creation and commands after its deletion are among them too.
 */
export const subscriptionCommands = (id = 'sub_1', tenant = 'default'): fc.Arbitrary<readonly SubscriptionCommand[]> => {
  const step = fc.oneof(
    { weight: 1, arbitrary: createStep(id, tenant) },
    { weight: 8, arbitrary: updateStep },
    { weight: 4, arbitrary: fc.constant<Step>(() => ({ kind: 'enable' })) },
    { weight: 4, arbitrary: disableStep },
    { weight: 4, arbitrary: rotateStep },
    { weight: 2, arbitrary: reencryptStep },
    { weight: 1, arbitrary: fc.constant<Step>(() => ({ kind: 'delete' })) },
  );
  const first = fc.oneof({ weight: 9, arbitrary: createStep(id, tenant) }, { weight: 1, arbitrary: step });
  const hours = fc.integer({ min: 0, max: 100 });
  return fc.tuple(first, fc.array(fc.tuple(step, hours), { maxLength: 20 })).map(([firstStep, steps]) => {
    let atMs = Date.UTC(2026, 0, 1);
    const commands = [{ ...firstStep(atMs), at: time(atMs) }];
    for (const [next, passed] of steps) {
      atMs += passed * HOUR_MS;
      commands.push({ ...next(atMs), at: time(atMs) });
    }
    return commands;
  });
};
