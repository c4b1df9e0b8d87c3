import { createTenantBody, pageQuery, updateTenantBody } from '@posthorn/contracts';
import type { TenantServiceDefinition } from '@posthorn/contracts/grpc/registry';
import { parseOrRefuse, z } from '@posthorn/service-kit';
import { given, present, type Calls } from '@posthorn/service-kit/grpc';
import { pageRequest } from '../page.js';
import type { TenantDeletion } from '../tenants/tenant-deletion.js';
import type { Tenants } from '../tenants/tenants.js';
import { requestedByCall, tellWrittenTo } from './requested-by-call.js';
import { changedTenantOf, newTenantOf, toTenant } from './tenant-messages.js';
import { maskedBody } from './update-mask.js';

const listQuery = z.strictObject(pageQuery);

export const tenantCalls = (tenants: Tenants, deletion: TenantDeletion): Calls<typeof TenantServiceDefinition> => ({
  createTenant: {
    scope: 'admin',
    allTenants: true,
    answer: async (request, context) => {
      const body = parseOrRefuse(createTenantBody, newTenantOf(request.tenant));
      const written = await tenants.create(body, requestedByCall(context, { repeatable: request }));
      const { body: view, position } = tellWrittenTo(context, written);
      return { tenant: toTenant(view), position };
    },
  },
  getTenant: {
    scope: 'registry:read',
    tenant: ({ tenant }) => tenant,
    answer: async ({ tenant }) => ({ tenant: toTenant(await tenants.get(tenant)) }),
  },
  listTenants: {
    scope: 'registry:read',
    answer: async ({ page_size, page_token }, { caller }) => {
      const page = parseOrRefuse(listQuery, present({ page_size: given(page_size), page_token: given(page_token) }));
      const { data, next_page_token = '' } = await tenants.listFor(caller, pageRequest('tenants', page));
      return { tenants: data.map(toTenant), next_page_token };
    },
  },
  updateTenant: {
    scope: 'admin',
    tenant: ({ tenant }) => tenant?.id ?? '',
    answer: async ({ tenant, update_mask, expected_version }, context) => {
      const body = parseOrRefuse(updateTenantBody, maskedBody(changedTenantOf(tenant), update_mask));
      const written = await tenants.update(tenant?.id ?? '', body, requestedByCall(context, { expectedVersion: expected_version }));
      const { body: view, position } = tellWrittenTo(context, written);
      return { tenant: toTenant(view), position };
    },
  },
  deleteTenant: {
    scope: 'admin',
    allTenants: true,
    tenant: ({ tenant }) => tenant,
    answer: async ({ tenant, expected_version }, context) => {
      const written = await deletion.delete(tenant, requestedByCall(context, { expectedVersion: expected_version }));
      const { position } = tellWrittenTo(context, written);
      return { position };
    },
  },
});
