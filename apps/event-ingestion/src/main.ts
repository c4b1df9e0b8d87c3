import { runService } from '@posthorn/service-kit';
import { ingestionModule } from './app.module.js';
import { ingestionConfig } from './config.js';
import { BODY_LIMIT_BYTES, rawBodies } from './events.controller.js';

await runService({
  name: 'event-ingestion',
  config: ingestionConfig,
  defaultPort: 8082,
  module: ingestionModule,
  bodyLimitBytes: BODY_LIMIT_BYTES,
  fastify: rawBodies,
});
