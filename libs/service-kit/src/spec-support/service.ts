import { Controller, Get, Module } from '@nestjs/common';
import { commonConfig, Open, processConfig, runService, z } from '../index.js';

/** A whole small service; with WITH_KAFKA=1 one that has Kafka. */
@Controller('v1')
class SlowController {
  @Get('slow')
  @Open()
  async slow(): Promise<object> {
    const answer = await new Promise<object>((resolve) => {
      process.once('SIGTERM', () => setTimeout(() => resolve({ answered: true }), 50));
      process.stdout.write('{"msg":"slow request under way"}\n');
    });
    return answer;
  }
}

@Module({ controllers: [SlowController] })
class ServiceModule {}

const own = { OWN: z.string().describe('A variable of its own') };

await runService({
  name: 'dispatcher',
  config: z.object(process.env['WITH_KAFKA'] === '1' ? { ...commonConfig, ...own } : { ...processConfig, ...own }),
  defaultPort: 0,
  module: async (config, kit) => {
    kit.onShutdown('first part', async () => undefined);
    kit.onShutdown('second part', async () => undefined);
    if (config.OWN === 'unbuildable') throw new Error('cannot be built');
    if (config.OWN === 'slow to build') {
      kit.log.info('building');
      await new Promise((resolve) => process.stdin.once('data', resolve));
    }
    return { module: ServiceModule };
  },
});
