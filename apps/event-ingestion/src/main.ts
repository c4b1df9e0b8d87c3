import { runService } from '@posthorn/service-kit';
import { ingestionApi } from './api.js';
import { ingestionModule } from './app.module.js';
import { ingestionConfig } from './config.js';
import { rawBodies } from './events.controller.js';
import { ingestionCalls } from './grpc/event-calls.js';
import { BODY_LIMIT_BYTES } from './rest-door.js';

await runService({
  name: 'event-ingestion',
  config: ingestionConfig,
  defaultPort: 8082,
  module: ingestionModule,
  bodyLimitBytes: BODY_LIMIT_BYTES,
  fastify: rawBodies,
  grpc: { defaultPort: 9082, services: ingestionCalls },
  api: ingestionApi,
});
