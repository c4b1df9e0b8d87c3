import { VERSION, type ApiDescription } from '@posthorn/service-kit';

/** The head of the OpenAPI document. */
export const registryApi: ApiDescription = {
  title: 'Posthorn subscription registry',
  description: 'Tenants, event types, subscriptions and keys.',
  version: VERSION,
};
