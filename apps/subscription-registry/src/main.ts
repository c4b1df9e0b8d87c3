import { runService } from '@posthorn/service-kit';
import { registryModule } from './app.module.js';
import { registryConfig } from './config.js';

await runService({ name: 'subscription-registry', config: registryConfig, defaultPort: 8081, module: registryModule });
