import { VERSION, type ApiDescription } from '@posthorn/service-kit';

/** The head of the OpenAPI document. */
export const ingestionApi: ApiDescription = {
  title: 'Posthorn event ingestion',
  description: 'Publishing events.',
  version: VERSION,
};
