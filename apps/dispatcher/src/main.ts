import { runService } from '@posthorn/service-kit';
import { dispatcherModule } from './app.module.js';
import { dispatcherConfig } from './config.js';

await runService({ name: 'dispatcher', config: dispatcherConfig, defaultPort: 8083, module: dispatcherModule });
