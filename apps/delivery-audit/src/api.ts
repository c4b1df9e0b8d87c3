import { VERSION, type ApiDescription } from '@posthorn/service-kit';

/** The head of the OpenAPI document. */
export const auditApi: ApiDescription = {
  title: 'Posthorn delivery audit',
  description: 'What became of events: deliveries, attempts, and what was refused.',
  version: VERSION,
};
