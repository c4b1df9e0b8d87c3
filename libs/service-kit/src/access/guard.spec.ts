import type { Scope } from '@posthorn/contracts';
import { Controller, Get, Module, Req, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { FastifyRequest } from 'fastify';
import { createHttpApp } from '../http-app.js';
import { createLog } from '../log.js';
import type { Caller } from './caller.js';
import { Open, Scoped } from './guard.js';

@Controller('v1')
class ThingsController {
  @Get('tenants/:tenant/things')
  @Scoped('registry:read')
  things(@Req() { caller }: FastifyRequest): object {
    return { actor: caller.actor };
  }

  @Get('things')
  @Scoped('registry:read')
  all(): object {
    return {};
  }

  @Get('realm')
  @Scoped('admin', { allTenants: true })
  realm(): object {
    return {};
  }

  @Get('door')
  @Open()
  door(@Req() { caller }: FastifyRequest): object {
    return { actor: caller.actor };
  }
}

@Controller('v1')
class ForgetfulController {
  @Get('tenants/:tenant/forgotten')
  forgotten(): object {
    return {};
  }
}

@Module({})
class TestModule {}

/** Keys spell out what they may: `acme:registry:read`, `*:admin`. */
const spelled = async (key: string): Promise<Caller | undefined> => {
  const [, tenant, scope] = /^(.+?)-(.+)$/.exec(key) ?? [];
  if (tenant === undefined) return undefined;
  return { actor: key, tenant: tenant === 'all' ? undefined : tenant, scopes: new Set([scope as Scope]) }; // as the specs spell them
};

const appOf = (...controllers: Type[]): Promise<NestFastifyApplication> =>
  createHttpApp({
    module: { module: TestModule, controllers },
    log: createLog('dispatcher', 'silent'),
    authenticate: spelled,
    observe: () => undefined,
  });

let app: NestFastifyApplication;
beforeAll(async () => {
  app = await appOf(ThingsController);
});
afterAll(() => app.close());

const answer = async (url: string, key?: string) => {
  const response = await app.inject({ url, headers: key === undefined ? {} : { authorization: `Bearer ${key}` } });
  return [response.statusCode, response.json<{ code?: string }>().code];
};

describe('a route', () => {
  it.each([
    ['nobody', undefined, 401, 'unauthenticated'],
    ['a stranger', 'stranger', 401, 'unauthenticated'],
    ['a key of another tenant', 'other-registry:read', 404, 'not_found'],
    ['a key of another tenant without the scope, which learns no more', 'other-audit:read', 404, 'not_found'],
    ['a key of another tenant that may do everything there', 'other-admin', 404, 'not_found'],
    ['a key without the scope', 'acme-audit:read', 403, 'forbidden'],
    ['a key that may write, which does not hold to read', 'acme-registry:write', 403, 'forbidden'],
    ['a key for all tenants without the scope', 'all-audit:read', 403, 'forbidden'],
    ["the tenant's key", 'acme-registry:read', 200, undefined],
    ["the tenant's admin", 'acme-admin', 200, undefined],
    ['a key for all tenants', 'all-registry:read', 200, undefined],
  ])('of a tenant answers %s', async (_who, key, status, code) => {
    expect(await answer('/v1/tenants/acme/things', key)).toEqual([status, code]);
  });

  it('knows its tenant however the URL spells it', async () => {
    expect(await answer('/v1/tenants/%61cme/things', 'acme-registry:read')).toEqual([200, undefined]);
    expect(await answer('/v1/tenants/acme%2f/things', 'acme-registry:read')).toEqual([404, 'not_found']);
  });

  it('of no tenant takes the keys of every tenant', async () => {
    expect(await answer('/v1/things', 'acme-registry:read')).toEqual([200, undefined]);
  });

  it("for those with a right to all tenants refuses a tenant's key, also its admin's", async () => {
    expect(await answer('/v1/realm', 'acme-admin')).toEqual([403, 'forbidden']);
    expect(await answer('/v1/realm', 'all-registry:read')).toEqual([403, 'forbidden']);
    expect(await answer('/v1/realm', 'all-admin')).toEqual([200, undefined]);
  });

  it('knows its caller', async () => {
    const response = await app.inject({ url: '/v1/tenants/acme/things', headers: { authorization: 'Bearer acme-admin' } });
    expect(response.json()).toEqual({ actor: 'acme-admin' });
  });

  it('that is open has no caller, whatever is sent', async () => {
    const response = await app.inject({ url: '/v1/door', headers: { authorization: 'Bearer all-admin' } });
    expect(response.json()).toEqual({ actor: '' });
  });

  it('that says neither who may call it nor that it is open keeps the application from starting', async () => {
    await expect(appOf(ThingsController, ForgetfulController)).rejects.toThrow('neither Open nor Scoped: GET /v1/tenants/:tenant/forgotten');
  });
});
