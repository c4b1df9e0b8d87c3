import { describe, expect, it } from '@jest/globals';
import { createSubscriptionBody, customHeaderFault } from './subscriptions.js';

const subscription = (headers: Readonly<Record<string, string>>) => createSubscriptionBody.safeParse({ name: 'a', url: 'https://example.com', event_types: ['*'], headers });

/** Which names may be chosen: by the protocol, or by us, the rest are taken. */
const allowed = ['X-Shop', 'x-a', 'Authorization', 'Cookie', 'Accept', 'X_Y', "!#$%&'*+.^_`|~-", 'ce-mine', 'webhook', 'Forwarded', 'x'.repeat(128)];
const ofTheConnection = ['Connection', 'Keep-Alive', 'Proxy-Authenticate', 'Proxy-Authorization', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade', 'HTTP2-Settings', 'Expect'];
const ofOurs = ['Host', 'Content-Length', 'Content-Type', 'Content-Encoding', 'User-Agent', 'traceparent', 'tracestate', 'webhook-id', 'Webhook-Timestamp', 'WEBHOOK-SIGNATURE', 'webhook-anything'];
const noNames = ['', ' ', 'a b', 'a:b', 'a\tb', 'a\r\nb', 'a\0', 'ä', ':path', '(a)', 'a,b', 'x'.repeat(129)];
const badValues = ['a\r\nx-other: b', 'a\nb', 'a\0', 'a\tb', 'a\x7f', 'ä', '€', 'a\u2028', 'v'.repeat(1_025)];

const many = (count: number): Record<string, string> => Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, 'v']));

describe('headers of a subscription, and of a transform', () => {
  it.each(allowed)('may be called %j', (name) => {
    expect(customHeaderFault(name, 'v')).toBeUndefined();
    expect(subscription({ [name]: 'v' }).success).toBe(true);
  });

  it.each([...ofTheConnection, ...ofOurs, ...noNames])('are not called %j', (name) => {
    expect(customHeaderFault(name, 'v')).toEqual(expect.any(String));
    expect(subscription({ [name]: 'v' }).success).toBe(false);
  });

  it.each(['', ' ', '~!"\'\\{}', 'v'.repeat(1_024)])('may be %j', (value) => {
    expect(customHeaderFault('x-a', value)).toBeUndefined();
    expect(subscription({ 'x-a': value }).success).toBe(true);
  });

  it.each(badValues)('are not %j', (value) => {
    const fault = customHeaderFault('x-a', value);
    expect(fault).toEqual(expect.any(String));
    expect(fault).not.toContain(value);
    expect(subscription({ 'x-a': value }).success).toBe(false);
  });

  it('are at most 32', () => {
    expect([subscription(many(32)).success, subscription(many(33)).success]).toEqual([true, false]);
  });
});
