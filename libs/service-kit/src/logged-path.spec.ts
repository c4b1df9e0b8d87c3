import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { loggedPath } from './logged-path.js';

const key = `phk_${randomBytes(32).toString('base64url')}`;
const jwt = 'eyJhbGciOiJFZERTQSIsImtpZCI6InBreV8wIn0.eyJzdWIiOiJhY21lIn0.c2lnbmF0dXJl-_';

describe('the path in a log line', () => {
  it.each([
    [`/v1/tenants/${key}`, '/v1/tenants/[redacted]'],
    [`/v1/tenants/${key}/subscriptions`, '/v1/tenants/[redacted]/subscriptions'],
    [`/v1/api-keys/x${key}`, '/v1/api-keys/x[redacted]'],
    [`/v1/${key.replace('_', '%5F')}/x`, '/v1/[redacted]/x'],
    [`/v1/${key.toUpperCase()}`, '/v1/[redacted]'],
    [`/${key}/${key}`, '/[redacted]/[redacted]'],
    ['/v1/x/whsec_ab/cd+ef==/y', '/v1/x/[redacted]'],
    ['/v1/x/whsec%5fab%2Fcd', '/v1/x/[redacted]'],
    ['/v1/x/whsk_abcd', '/v1/x/[redacted]'],
    [`/v1/tenants/acme/${jwt}`, '/v1/tenants/acme/[redacted]'],
    [`/v1/${jwt.replaceAll('.', '%2E')}/subscriptions`, '/v1/[redacted]/subscriptions'],
    [`/v1/tenants?key=${key}`, '/v1/tenants'],
  ])('of %s is %s', (url, path) => {
    expect(loggedPath(url)).toBe(path);
  });

  it.each([
    '/',
    '/v1/tenants/acme/subscriptions/sub_0190f0c3a1b2c3d4e5f60718293a4b5c/rotate-secret',
    '/v1/tenants/acme/events/eyJ-only-one-part',
    '/v1/tenants/acme/event-types/invoice.paid.late',
    '/v1/tenants/acme/events/%C3%BC%2F%3F',
  ])('is left as it is: %s', (path) => {
    expect(loggedPath(path)).toBe(path);
  });
});
