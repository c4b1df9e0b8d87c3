import { runService } from '@posthorn/service-kit';
import { auditApi } from './api.js';
import { appModule } from './app.module.js';
import { auditConfig } from './config.js';
import { auditCalls } from './grpc/audit-calls.js';

await runService({
  name: 'delivery-audit',
  config: auditConfig,
  defaultPort: 8084,
  module: appModule,
  grpc: { defaultPort: 9084, services: auditCalls },
  api: auditApi,
});
