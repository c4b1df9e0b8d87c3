import { runService } from '@posthorn/service-kit';
import { auditApi } from './api.js';
import { appModule } from './app.module.js';
import { auditConfig } from './config.js';

await runService({ name: 'delivery-audit', config: auditConfig, defaultPort: 8084, module: appModule, api: auditApi });
